package e2e

import (
	"testing"

	"twostep.example/twostep/test/e2e/live"
)

// After a typing error, reload and Back send nothing again: no try is spent, and the
// browser never asks whether to send a form once more.
func TestBrowserHistoryAfterErrors(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.credentials(live.AnnaEmail, "wrong")
	b.enter("password", live.AnnaPassword)
	b.click("Sign in")
	b.at("/signin/verify")
	b.back()
	b.at("/signin/verify")
	code := s.Code(0)
	b.code(live.Wrong(code))
	b.sees(incorrect)
	b.reload()
	b.at("/signin/verify")
	if n := posts(s, "/signin/verify"); n != 1 {
		t.Errorf("reload sent the wrong code again: %d requests", n)
	}
	b.code(code)
	b.at("/settings")
	b.back()
	b.at("/settings")
}

// The sessions page names browsers as people do.
func TestBrowserSessionsNames(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.signIn(s)
	b.open("/settings/sessions")
	if name := value[string](b, `document.querySelector(".rows strong").innerText`); name != "Chrome on Linux" {
		t.Errorf("this browser is called %q", name)
	}
}
