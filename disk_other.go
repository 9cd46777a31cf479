//go:build !linux && !darwin

package twostep

// diskNearlyFull is not known on this system.
func diskNearlyFull(string) bool { return false }
