package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
)

// The buttons move the clock by their own minutes, also when the field beside them has a number. They are submit
// buttons of the form, so they work without a script.
func TestInboxClockButtons(t *testing.T) {
	s, h := newTestHandlersAndMux()
	var moved time.Duration
	s.AdvanceClock = func(d time.Duration) { moved += d }
	s.Inbox = &delivery.Inbox{Dir: t.TempDir()}
	page := sendRequest(h, "GET", "/inbox", "", "").Body.String()
	for minutes, want := range map[string]time.Duration{
		"15": 15 * time.Minute, "1440": 24 * time.Hour, "43200": 30 * 24 * time.Hour,
	} {
		if !strings.Contains(page, `<button type="submit" class="second" name="add" value="`+minutes+`">`) {
			t.Errorf("no button for %s minutes\n%s", minutes, page)
		}
		moved = 0
		w := sendRequest(h, "POST", "/inbox/clock", urlencoded, "minutes=16&add="+minutes)
		if w.Code != 303 || moved != want {
			t.Errorf("%s: answered %d, moved by %s, want %s", minutes, w.Code, moved, want)
		}
	}
	moved = 0
	for _, bad := range []string{"minutes=16&add=x", "minutes=16&add=-1", "add=60001", "minutes=0", ""} {
		if w := sendRequest(h, "POST", "/inbox/clock", urlencoded, bad); w.Code != 422 || moved != 0 {
			t.Errorf("%q: answered %d, moved by %s", bad, w.Code, moved)
		}
	}
	// Enter in the field uses the first button: the one for the field.
	if strings.Index(page, `name="minutes"`) > strings.Index(page, "<button") ||
		strings.Index(page, `<button type="submit">`) > strings.Index(page, `name="add"`) {
		t.Error("Enter in the field would not move the clock by the field")
	}
}

// The page shows the newest messages, and all on request.
func TestInboxShowsNewestMessages(t *testing.T) {
	s, h := newTestHandlersAndMux()
	s.Inbox.Dir = t.TempDir()
	for i := range newestMessages + 5 {
		s.Inbox.Now = func() time.Time { return now.Add(time.Duration(i) * time.Minute) }
		m := delivery.Message{
			ID: fmt.Sprintf("m%02d", i), Channel: delivery.Email, To: "jane@example.com", Subject: "x", Text: "x",
		}
		if err := s.Inbox.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for target, want := range map[string]int{"/inbox": newestMessages, "/inbox?all": newestMessages + 5} {
		page := sendRequest(h, "GET", target, "", "").Body.String()
		if n := strings.Count(page, "<article"); n != want || !strings.Contains(page, `id="m-m24"`) {
			t.Errorf("%s: %d messages, want the newest %d", target, n, want)
		}
		if strings.Contains(page, `href="/inbox?all"`) != (target == "/inbox") {
			t.Errorf("%s: the link to all messages is on the wrong page", target)
		}
	}
}

// Without the key nobody reads a message or moves the clock. The key of the printed address goes into a cookie that
// scripts cannot read, and the address of the page has no key.
func TestInboxNeedsItsKey(t *testing.T) {
	s := newTestHandlers()
	moved := false
	s.Inbox, s.InboxKey = &delivery.Inbox{Dir: t.TempDir()}, "key-of-the-inbox"
	s.AdvanceClock = func(time.Duration) { moved = true }
	m := delivery.Message{ID: "one", Channel: delivery.Email, To: "jane@example.com", Subject: "x", Text: "123456"}
	if err := s.Inbox.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	h := s.Pages.Middleware(s.Pages.NewMux(s.Routes()...))
	open := sendRequest(h, "GET", "/inbox?key=key-of-the-inbox", "", "")
	cookie := open.Header().Get("Set-Cookie")
	if open.Code != 303 || open.Header().Get("Location") != "/inbox" || !strings.Contains(cookie, "; HttpOnly") {
		t.Fatalf("the right key: %d, %v", open.Code, open.Header())
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	for _, path := range []string{"/inbox", "/inbox?all", "/inbox/one", "/inbox/one/text"} {
		for _, wrong := range []string{"", "inbox=", "inbox=key-of-the-inboy", cookie + "x", cookie + "; " + cookie} {
			w := sendRequest(h, "GET", path, "", "", wrong)
			if w.Code != 403 || strings.Contains(w.Body.String(), "123456") || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s with the cookie %q: %d\n%s", path, wrong, w.Code, w.Body)
			}
		}
		if w := sendRequest(h, "GET", path, "", "", cookie); w.Code != 200 || !strings.Contains(w.Body.String(), "123456") {
			t.Errorf("%s with the key: %d", path, w.Code)
		}
	}
	for _, query := range []string{"key=", "key=x", "key=key-of-the-inbo", "key=x&key=key-of-the-inbox"} {
		if w := sendRequest(h, "GET", "/inbox?"+query, "", ""); w.Code != 403 || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
	if w := sendRequest(h, "POST", "/inbox/clock", urlencoded, "minutes=5"); w.Code != 403 || moved {
		t.Errorf("the clock without a key: %d", w.Code)
	}
	if w := sendRequest(h, "POST", "/inbox/clock", urlencoded, "minutes=5", cookie); w.Code != 303 || !moved {
		t.Errorf("the clock with the key: %d", w.Code)
	}
	if s.InboxKey = ""; sendRequest(h, "GET", "/inbox?key=", "", "", "inbox=").Code != 403 {
		t.Error("an empty key opens the inbox")
	}
}
