package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/store"
)

// Each of 10,000 sessions is on exactly one page, this browser's session is the first, and no page is large.
func TestSessionsPages(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	a, err := h.Accounts.Find(t.Context(), annaEmail)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	err = h.Accounts.Store.Tx(t.Context(), func(tx *store.DB) error {
		for i := range 10_000 {
			_, row := h.Sessions.New(a.Ref(), nil, origin.Origin{
				UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
			})
			row.AuthenticatedAt = h.now
			row.StartedAt = h.now.Add(time.Duration(i/3-5000) * time.Second) // three at the same time
			row.Address = fmt.Sprintf("2001:db8:1111:2222:3333:4444:5555:%x", i)
			want["/settings/sessions/"+row.ID+"/end"] = true
			if err := tx.CreateSession(t.Context(), row); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	pages := 0
	for address := "/settings/sessions"; address != ""; pages++ {
		w := b.get(address)
		if size := w.Body.Len(); size > 40_000 {
			t.Fatalf("%s has %d bytes, want at most 40,000", address, size)
		}
		doc := parseHTML(w)
		if !matches(doc, "form[action=/settings/sessions/end]") {
			t.Errorf("%s has no button to sign out everywhere", address)
		}
		address = ""
		rows, current := 0, 0
		for node := range doc.Descendants() {
			switch {
			case node.Data == "li":
				rows++
			case attr(node, "class") == "badge":
				current = rows
			case strings.HasSuffix(attr(node, "action"), "/end") && attr(node, "action") != "/settings/sessions/end":
				seen[attr(node, "action")]++
			case attr(node, "rel") == "next":
				address = attr(node, "href")
			}
		}
		if first := pages == 0; (current == 1) != first || current > 1 {
			t.Errorf("page %d: this browser is in row %d", pages, current)
		}
	}
	if pages != 200 || len(seen) != len(want) {
		t.Errorf("%d pages with %d sessions, want 200 with %d", pages, len(seen), len(want))
	}
	for action, n := range seen {
		if n != 1 || !want[action] {
			t.Fatalf("%s comes %d times", action, n)
		}
	}
	for _, wrong := range []string{"x", "-", "1-", "0-A", "1-a", "99999999999999999999-A"} {
		b.wantPage(b.get("/settings/sessions?before="+url.QueryEscape(wrong)), http.StatusOK, "This browser")
	}
	b.wantPage(b.get("/settings/sessions?before=1-A"), http.StatusOK,
		"There are no older sessions.", "a[href=/settings/sessions]", "form[action=/settings/sessions/end]")
}
