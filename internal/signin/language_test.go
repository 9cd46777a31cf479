package signin_test

import (
	"strings"
	"testing"
	"time"
)

// Mails are in the language of the person's pages: the code, the link and the notification, with dates.
func TestMailsAreInTheLanguageOfThePages(t *testing.T) {
	withAccount(t, func(h *fixture) {
		from := home
		from.Language = "de"
		if _, err := h.start(annaEmail, annaPassword, from); err != nil {
			h.Fatal(err)
		}
		code := h.lastMail()
		h.advance(time.Second)
		if err := h.Accounts.RequestPasswordReset(h.Context(), annaEmail, "", from); err != nil {
			h.Fatal(err)
		}
		link := h.lastMail()
		h.advance(time.Second)
		if err := h.Accounts.ResetPassword(h.Context(), h.linkToken(), "another horse battery", from); err != nil {
			h.Fatal(err)
		}
		changed := h.lastMail()
		date := h.now.Format("2006") + ", "
		for _, c := range []struct{ text, want string }{
			{code.Subject, "ist Ihr Bestätigungscode für Example"}, {code.Text, "Dieser Code gilt 15 Minuten"},
			{code.Text, date}, {code.Text, " Uhr ("},
			{link.Text, "Neues Passwort wählen:\nhttps://signin.example.com/reset#"}, {link.Text, "gilt 30 Minuten"},
			{changed.Subject, "wurde geändert"}, {changed.Text, date}, {changed.Text, " Uhr ("},
			{code.Language + link.Language + changed.Language, "dedede"},
		} {
			if !strings.Contains(c.text, c.want) {
				h.Errorf("no %q in\n%s", c.want, c.text)
			}
		}
	})
}
