package e2e

import (
	"net/http"
	"strings"
	"testing"

	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// A whole sign-in over HTTPS with a code that travels through a real mail server.
func TestSignIn(t *testing.T) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		s := live.Start(t, url)
		b := s.Browser()
		code := b.Password()
		if a := b.Get("/settings"); a.StatusCode != http.StatusSeeOther {
			t.Errorf("settings before step two: %d", a.StatusCode)
		}
		if a := b.Post("/signin/verify", "code", code); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/settings" {
			t.Fatalf("code: %d to %s", a.StatusCode, a.Header.Get("Location"))
		}
		if a := b.Get("/settings"); a.StatusCode != http.StatusOK || !strings.Contains(a.Body, live.AnnaEmail) {
			t.Errorf("settings: %d %s", a.StatusCode, a.Body)
		}
	})
}
