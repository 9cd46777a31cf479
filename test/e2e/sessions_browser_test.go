package e2e

import (
	"testing"

	"twostep.example/twostep/test/e2e/live"
)

// Whoever changes the password stays signed in; every other browser is out.
func TestBrowserChangePassword(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b, other := browse(t, s.URL, light), browse(t, s.URL, light)
	other.signIn(s)
	b.signIn(s)
	b.click("Password\nChange your password")
	b.at("/settings/password")
	b.enter("current", "not it")
	b.enter("password", newPassword)
	b.click("Change password")
	b.sees("The current password isn't correct.")
	b.enter("current", live.AnnaPassword)
	b.enter("password", newPassword)
	b.click("Change password")
	b.at("/settings/password/done")
	b.click("Back to settings")
	b.at("/settings")
	other.reload()
	other.at("/signin")
	other.credentials(live.AnnaEmail, live.AnnaPassword)
	other.sees("The email or password isn't correct.")
}

// The sessions page lists both browsers, and ends both.
func TestBrowserSignOutEverywhere(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b, other := browse(t, s.URL, light), browse(t, s.URL, light)
	other.signIn(s)
	b.signIn(s)
	b.click("Sessions\nSee where you're signed in")
	b.at("/settings/sessions")
	if n := value[[]int](b, `[document.querySelectorAll(".rows > li").length, document.querySelectorAll(".badge").length]`); n[0] != 2 || n[1] != 1 {
		t.Errorf("sessions, this one: %d", n)
	}
	b.click("Sign out everywhere")
	b.at("/signin")
	b.back()
	b.at("/signin")
	other.reload()
	other.at("/signin")
}

// After signing out, Back shows nothing of the account, nor does another tab.
func TestBrowserSignOut(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "")
	b := browse(t, s.URL, light)
	b.signIn(s)
	b.click("Password\nChange your password")
	b.click("Back to settings")
	second := b.beside()
	second.open("/settings")
	b.click("Sign out")
	b.at("/signin")
	for range 3 {
		b.back()
		b.at("/signin")
	}
	second.reload()
	second.at("/signin")
}
