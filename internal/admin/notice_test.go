package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/grant"
)

// get requests a path with the cookies of responses, and returns the notice and the response.
func get(s *Handlers, method, path string, cookies ...*http.Cookie) (string, *http.Response) {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, path, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	notice := s.takeNotice(w, r)
	return notice, w.Result()
}

// A notice is shown once, on the page of the change, and by nothing in an address.
func TestNoticeBelongsToTheChange(t *testing.T) {
	s := newTestHandlers()
	for _, done := range []string{"delete", "over", "unsent"} {
		w := httptest.NewRecorder()
		if err := s.redirectDone(w, httptest.NewRequest("POST", "/admin/people/A/delete", nil), "/admin/people", done); err != nil {
			t.Fatal(err)
		}
		to, cookies := w.Result().Header.Get("Location"), w.Result().Cookies()
		if to != "/admin/people" || len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].MaxAge != 60 {
			t.Fatalf("%s: to %q with %+v", done, to, cookies)
		}
		for _, other := range [][2]string{{"GET", "/admin/keys"}, {"GET", "/admin/people/A"}, {"HEAD", "/admin/people"}, {"POST", "/admin/people"}} {
			if notice, response := get(s, other[0], other[1], cookies...); notice != "" || len(response.Cookies()) != 0 {
				t.Errorf("%s: %s says %q", done, other, notice)
			}
		}
		notice, response := get(s, "GET", "/admin/people?q=anna", cookies...)
		if notice != "admin.done."+done || len(response.Cookies()) != 1 || response.Cookies()[0].MaxAge >= 0 {
			t.Errorf("%s: %q, %+v", done, notice, response.Cookies())
		}
	}
	for _, path := range []string{"/admin/people?done=delete", "/admin/people?notice=delete"} {
		if notice, _ := get(s, "GET", path); notice != "" {
			t.Errorf("%s says %q", path, notice)
		}
	}
	forged := httptest.NewRecorder()
	s.setNotice(forged, "anything", "/admin", time.Minute)
	if notice, _ := get(s, "GET", "/admin", forged.Result().Cookies()...); notice != "" {
		t.Errorf("an unknown notice: %q", notice)
	}
	long := httptest.NewRecorder()
	s.setNotice(long, "unsent", "/admin/people/"+strings.Repeat("a", 4000)+"/delete", time.Minute)
	if cookies := long.Result().Cookies(); len(cookies) != 0 {
		t.Errorf("a long path: %+v", cookies)
	}
}

// New keys can be made as soon as the newest key of one algorithm is old enough.
func TestWhenKeysCanBeMade(t *testing.T) {
	s := newTestHandlers()
	ago := func(h int) time.Time { return now.Add(-time.Duration(h) * time.Hour) }
	for name, c := range map[string]struct {
		keys []grant.KeyInfo
		want time.Time
	}{
		"none":              {},
		"old":               {keys: []grant.KeyInfo{{Algorithm: "ES256", CreatedAt: ago(24)}}},
		"new":               {keys: []grant.KeyInfo{{Algorithm: "ES256", CreatedAt: ago(1)}, {Algorithm: "ES256", CreatedAt: ago(99)}}, want: ago(-23)},
		"one is old":        {keys: []grant.KeyInfo{{Algorithm: "ES256", CreatedAt: ago(1)}, {Algorithm: "RS256", CreatedAt: ago(25)}}},
		"the older of them": {keys: []grant.KeyInfo{{Algorithm: "ES256", CreatedAt: ago(1)}, {Algorithm: "RS256", CreatedAt: ago(5)}}, want: ago(-19)},
	} {
		if got := s.rotateAt(c.keys); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
