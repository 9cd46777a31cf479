package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/oidc"
	"twostep.example/twostep/test/e2e/live"
)

// What an app gets wrong before any endpoint has read it, an app can read: JSON, and the words
// say what to send instead.
func TestProgramsReadErrors(t *testing.T) {
	t.Parallel()
	s := live.Start(t, "", func(o *twostep.Options) {
		o.Apps = []twostep.App{{ID: "phone", RedirectURIs: []string{"com.example.phone:/back"}}}
	})
	for _, path := range oidc.APIPaths() {
		if path == "/oauth2/register" {
			continue // it takes JSON, and asks for its token first: see test/attack
		}
		for _, c := range []struct {
			method, kind, body, host string
			status                   int
			says                     string
		}{
			{"POST", "application/json", `{"grant_type":"authorization_code"}`, "", http.StatusUnsupportedMediaType, "application/x-www-form-urlencoded"},
			{"POST", "application/x-www-form-urlencoded", "a=" + strings.Repeat("b", 1<<17), "", http.StatusRequestEntityTooLarge, "too large"},
			{"DELETE", "", "", "", http.StatusMethodNotAllowed, "method"},
			{"POST", "application/x-www-form-urlencoded", "a=b", "elsewhere.example", http.StatusMisdirectedRequest, "host"},
		} {
			r, err := http.NewRequest(c.method, s.URL+path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", c.kind)
			r.Host = c.host
			a, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(a.Body)
			a.Body.Close()
			var said struct {
				Error string `json:"error"`
				Text  string `json:"error_description"`
			}
			if err != nil || a.StatusCode != c.status || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Access-Control-Allow-Origin") != "*" || json.Unmarshal(text, &said) != nil ||
				said.Error != "invalid_request" || !strings.Contains(said.Text, c.says) {
				t.Errorf("%s %s, %s: %d %s\n%.300s", c.method, path, c.says, a.StatusCode, a.Header.Get("Content-Type"), text)
			}
		}
	}
}
