package main

import "testing"

// formatChance never understates a chance, and does not overstate it because of a rounding error.
func TestFormatChance(t *testing.T) {
	for p, want := range map[float64]string{
		0: "none", 1.000365e-4: "1 in 9,990", 1e-4: "1 in 10,000", 2e-5: "1 in 50,000", 2.00219e-5: "1 in 49,900",
		1e-6: "1 in 1,000,000", 1e-11: "1 in 100,000,000,000", 1 / 22_899_999.0: "1 in 22,800,000",
	} {
		if got := formatChance(p); got != want {
			t.Errorf("%g: got %s, want %s", p, got, want)
		}
	}
}
