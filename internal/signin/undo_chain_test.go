package signin_test

import (
	"testing"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/store/storetest"
)

// Undoing the addition of a number also removes the number that has replaced it since, and the link of the replacement
// does not bring the first one back.
func TestUndoOfAReplacedNumberRemovesItsSuccessor(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.tick()
		sessionToken := h.enrollNumber(h.signIn(), "+491711234567")
		added := h.linkTokenTo(annaEmail)
		h.advance(time.Minute)
		h.enrollNumber(sessionToken, "+491711234568")
		replaced := h.linkTokenTo(annaEmail)
		h.advance(time.Minute)
		h.wantErr("undo the addition", h.undo(added, annaPassword), nil)
		if n := storetest.CountRows(t, h.url, "factors"); n != 0 {
			h.Errorf("%d numbers after the undo, want none", n)
		}
		h.advance(time.Minute)
		h.wantErr("the link of the replacement", h.undo(replaced, annaPassword), account.ErrLink)
		if n := storetest.CountRows(t, h.url, "factors"); n != 0 {
			h.Errorf("%d numbers after the second link, want none", n)
		}
	})
}

// Undoing the addition of an app ends the link of its removal, which would bring it back.
func TestUndoOfARemovedFactorEndsItsLinks(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.tick()
		_, sessionToken := h.enrollApp(h.signIn())
		added := h.linkTokenTo(annaEmail)
		all, err := h.Enrollments.List(h.Context(), h.getSession(sessionToken))
		if err != nil {
			h.Fatal(err)
		}
		for _, m := range all {
			if m.Method == "totp" {
				if _, err := h.Enrollments.Remove(h.Context(), h.getSession(sessionToken), m.Factors[0].ID, home); err != nil {
					h.Fatal(err)
				}
			}
		}
		removal := h.linkTokenTo(annaEmail)
		h.wantErr("undo the addition", h.undo(added, annaPassword), nil)
		h.wantErr("the link of the removal", h.undo(removal, annaPassword), account.ErrLink)
		if n := storetest.CountRows(t, h.url, "factors"); n != 0 {
			h.Errorf("%d factors, want none", n)
		}
	})
}

// A thief who has changed the address and requests an undo from there freezes nothing beyond the undo of the address:
// the owner can choose a new password at once.
func TestUndoneAddressEndsTheFreezeOfTheThief(t *testing.T) {
	withAccount(t, func(h *fixture) {
		h.tick()
		sessionToken := h.signIn()
		if err := h.startEmailChange(sessionToken, "thief@example.com"); err != nil {
			h.Fatal(err)
		}
		sessionToken, err := h.confirm(sessionToken, "email", h.code())
		if err != nil {
			h.Fatal(err)
		}
		address := h.linkTokenTo(annaEmail)
		h.advance(time.Minute)
		sessionToken = h.enrollNumber(sessionToken, "+491711234567")
		h.advance(time.Minute)
		h.enrollNumber(sessionToken, "+491711234568")
		h.advance(time.Minute)
		begun, err := h.start("thief@example.com", annaPassword, home)
		if err != nil {
			h.Fatal(err)
		}
		h.wantErr("by phone", h.Choose(h.Context(), begun.Attempt, "spoken", home), nil)
		if _, err := h.verify(begun.Attempt, h.code()); err != nil {
			h.Fatal(err)
		}
		until, err := h.Enrollments.Undo(h.Context(), enroll.UndoRequest{Token: h.linkTokenTo("thief@example.com"), Password: annaPassword}, home)
		if err != nil || until.IsZero() {
			h.Fatalf("frozen until %v (%v)", until, err)
		}
		h.wantErr("undo the address", h.undo(address, annaPassword), nil)
		h.resetTo("brand new horse")
		h.advance(enroll.FreezeTime + time.Minute)
		if _, err := h.Enrollments.ApplyDueUndos(h.Context()); err != nil {
			h.Fatal(err)
		}
		if _, err := h.start(annaEmail, "brand new horse", home); err != nil {
			h.Errorf("signing in after the freeze: %v", err)
		}
		h.wantErr("the new link of the owner", h.undo(h.linkTokenTo(annaEmail), annaPassword), nil)
	})
}
