package twostep

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The key set and the metadata have an ETag, by which a client hears that they have not changed. A new app counts at
// once.
func TestDocumentsAreServedFromMemory(t *testing.T) {
	o := options(t)
	o.NoBackgroundWork = true
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	get := func(path, etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "https://signin.example.com"+path, nil)
		r.Header.Set("If-None-Match", etag)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	etags := map[string]string{"/oauth2/jwks": "", "/.well-known/openid-configuration": ""}
	for path := range etags {
		first := get(path, "")
		etags[path] = first.Header().Get("ETag")
		if first.Code != http.StatusOK || etags[path] == "" || first.Body.Len() == 0 {
			t.Errorf("%s: %d, ETag %q", path, first.Code, etags[path])
		}
		if again := get(path, etags[path]); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s again: %d", path, again.Code)
		}
	}
	app := App{ID: "books", RedirectURIs: []string{"https://books.example.com/cb"}, IDTokenAlg: "EdDSA"}
	if err := s.CreateApp(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	for path, before := range etags {
		if w := get(path, before); w.Code != http.StatusOK || w.Header().Get("ETag") == before {
			t.Errorf("%s with an app that uses EdDSA: %d, ETag %q", path, w.Code, w.Header().Get("ETag"))
		}
	}
}
