package e2e

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/test/e2e/live"
)

// startLocal runs a server as somebody has it who tries Twostep at home: plain http on
// this machine, mail in the inbox page. Anna has an account. inboxPath opens the inbox in a new browser.
func startLocal(t *testing.T) (url, inboxPath string) {
	t.Helper()
	return startBranded(t, twostep.Brand{})
}

// startBranded does the same for a site with a look of its own.
func startBranded(t *testing.T, brand twostep.Brand) (url, inboxPath string) {
	t.Helper()
	dir := t.TempDir()
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	inbox := &delivery.Inbox{Dir: filepath.Join(dir, "inbox"), Now: now}
	web := httptest.NewServer(nil)
	t.Cleanup(web.Close)
	s, err := twostep.New(t.Context(), twostep.Options{
		Database: filepath.Join(dir, "twostep.db"), KeyFile: filepath.Join(dir, "keys"), PublicURL: web.URL, Site: "Example", Brand: brand,
		Methods: []factor.Method{email.Method{}},
		Senders: map[delivery.Channel]delivery.SendFunc{delivery.Email: inbox.Send},
		Now:     now, Logger: slog.New(slog.DiscardHandler),
		Local: &twostep.LocalMode{Inbox: inbox, AdvanceClock: func(d time.Duration) { ahead.Add(int64(d)) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	web.Config.Handler = s
	t.Cleanup(func() {
		web.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	err = s.CreateAccount(context.Background(), twostep.AccountParams{Email: live.AnnaEmail, Name: "Anna", Password: live.AnnaPassword})
	if err != nil {
		t.Fatal(err)
	}
	return web.URL, strings.TrimPrefix(s.InboxURL(), web.URL)
}

// On this machine alone, with no mail server: the code is read on the inbox page in a
// second tab.
func TestBrowserInbox(t *testing.T) {
	t.Parallel()
	url, inboxPath := startLocal(t)
	b := browse(t, url, light)
	inbox := b.beside()
	inbox.open("/inbox")
	inbox.sees("The inbox needs its full address")
	inbox.open(inboxPath)
	inbox.at("/inbox")
	inbox.sees("No messages yet.")
	b.credentials(live.AnnaEmail, live.AnnaPassword)
	b.sees("Sent at ")
	b.code(inbox.newest())
	b.at("/settings")
}

// newest is the code in the newest mail on the inbox page.
func (b *tab) newest() string {
	b.t.Helper()
	b.click("Reload")
	return value[string](b, `(document.querySelector("article pre")?.innerText.match(/^\d{6}$/m) ?? [""])[0]`)
}

// The clock of the demo moves, so that a code expires without waiting 15 minutes.
func TestBrowserInboxClock(t *testing.T) {
	t.Parallel()
	url, inboxPath := startLocal(t)
	b := browse(t, url, light)
	b.credentials(live.AnnaEmail, live.AnnaPassword)
	b.sees("Sent at ")
	inbox := b.beside()
	inbox.open(inboxPath)
	late := inbox.newest()
	inbox.enter("minutes", "many")
	inbox.click("Move clock forward")
	inbox.sees("Enter a number of minutes from 1 to 60000.")
	inbox.click("+15 min")
	inbox.at("/inbox")
	b.code(late)
	b.sees(incorrect)
	inbox.enter("minutes", "16")
	inbox.click("Move clock forward")
	inbox.at("/inbox")
}
