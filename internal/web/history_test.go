package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/store"
)

// The history has the events of this account only.
func TestHistory(t *testing.T) {
	h := newTestServer(t)
	h.addAccount("ben@example.com")
	b := h.newBrowser()
	b.wantPage(b.post("/signin", "email", annaEmail, "password", "not her password"), http.StatusUnprocessableEntity)
	b = h.signInAnna()
	b.wantPage(
		b.get("/settings/history"),
		http.StatusOK,
		"Signed in",
		"A wrong password was entered",
		"Failed",
		"Your account was created",
		"By an administrator",
		"192.0.2.1",
		"This wasn't me",
		"a[href=/settings/history/not-me]",
	)
	if text := textOf(parseHTML(b.get("/settings/history"))); strings.Count(text, "Your account was created") != 1 ||
		strings.Contains(text, "we asked for a verification code") {
		t.Errorf("another account's events, or the password of a sign-in that was finished: %s", text)
	}
	b.wantPage(
		b.get("/settings/history/not-me"),
		http.StatusOK,
		"form[action=/settings/sessions/end]",
		"form[action=/settings/devices/forget]",
		"a[href=/settings/password]",
	)
	b.wantRedirect(h.newBrowser().get("/settings/history"), "/signin?return_to="+escaped("/settings/history"))
}

// A page has 50 events; Older leads through all of them, each exactly once.
func TestHistoryPages(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	a, err := h.Accounts.Find(t.Context(), annaEmail)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 120 {
		h.now = h.now.Add(time.Duration(i%2) * time.Second) // two events at the same time
		err := h.Accounts.Store.Tx(t.Context(), func(tx *store.DB) error {
			return h.Accounts.Audit().Record(
				t.Context(),
				tx,
				audit.Event{Kind: audit.GroupsChanged, Account: a.ID},
				audit.Source{Address: fmt.Sprint("192.0.2.", i)},
			)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	address := "/settings/history"
	var sizes []int
	for address != "" {
		doc := parseHTML(b.get(address))
		address = ""
		n := 0
		for node := range doc.Descendants() {
			switch {
			case node.Data == "dd" && strings.HasPrefix(textOf(node), "192.0.2."):
				seen[textOf(node)]++
				n++
			case attr(node, "rel") == "next":
				address = attr(node, "href")
			}
		}
		sizes = append(sizes, n)
	}
	if len(sizes) != 3 || sizes[0] != 50 || sizes[1] != 50 || len(seen) != 120 {
		t.Errorf("pages of %v events, %d addresses", sizes, len(seen))
	}
	for address, n := range seen {
		if want := map[bool]int{true: 2,
			false: 1}[address == "192.0.2.1"]; n != want { // the sign-in has this address too
			t.Errorf("%s comes %d times, want %d", address, n, want)
		}
	}
	for _, wrong := range []string{"x", "-", "1-", "0-A", "-1-A", "1-a", "1-" + strings.Repeat("A", 65),
		"99999999999999999999-A"} {
		b.wantPage(
			b.get("/settings/history?before="+url.QueryEscape(wrong)), http.StatusOK, "192.0.2.119", "a[rel=next]",
		)
	}
}

// Every kind has a text or is in unshown.
func TestHistoryKinds(t *testing.T) {
	for _, lang := range []string{"en", "de"} {
		for _, k := range shown() {
			if key := "history." + string(k); i18n.ForTag(lang).Translate(key, "Count", 2) == key {
				t.Errorf("%s: no text for %s", lang, key)
			}
		}
	}
	for _, k := range unshown {
		if !k.Known() || slices.Contains(shown(), k) {
			t.Errorf("%s is in unshown, but is shown or not a kind", k)
		}
	}
}
