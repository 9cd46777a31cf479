package kannel_test

import (
	"testing"

	"twostep.example/twostep/test/e2e/kannel"
)

// Two gateways at once do not disturb each other's start.
func TestStart(t *testing.T) {
	for _, k := range []*kannel.Kannel{kannel.Start(t), kannel.Start(t)} {
		if k.URL == "" || k.User == "" || k.Password == "" {
			t.Errorf("got %s, %s", k.URL, k.User)
		}
	}
}
