package twostep

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// A client with a wrong issuer or path gets JSON that says where the metadata is, and a page of another origin can read
// it. Pages for people stay pages.
func TestUnknownEndpointsAnswerClients(t *testing.T) {
	m := newMisconfigured(t, filepath.Join(t.TempDir(), "twostep.db"))
	for path, status := range map[string]int{
		"/oauth2/unknown": 404, "/oauth2/": 404, "/oauth2/token/": 404, "/oauth2/x/.well-known/openid-configuration": 404,
		"//.well-known/openid-configuration": 404, "/x/.well-known/oauth-authorization-server": 404,
		"/realms/x/.well-known/openid-configuration": 404, "/oauth2/token": 405, "/oauth2/par": 405,
	} {
		r := httptest.NewRequest(http.MethodGet, "https://signin.example.com/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		var body map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != status ||
			w.Header().Get("Access-Control-Allow-Origin") != "*" || body["error"] != "invalid_request" ||
			status == 404 && !strings.Contains(body["error_description"],
				"the issuer is https://signin.example.com, its metadata is at "+
					"https://signin.example.com/.well-known/openid-configuration") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/oauth2/authorize", "/oauth2/continue", "/unknown", "/.well-known/unknown"} {
		if w := m.send("GET", path, ""); !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s", path, w.Header().Get("Content-Type"))
		}
	}
}

// An app that names itself only by its post_logout_redirect_uri is found if no other app has registered it. A person who
// is signed in is asked first, which test/attack tests.
func TestSignedOutAddressNamesItsApp(t *testing.T) {
	m := newMisconfigured(t, filepath.Join(t.TempDir(), "twostep.db"))
	w := m.send("GET", "/oauth2/logout", "post_logout_redirect_uri=https%3A%2F%2Fwiki.example.com%2F&state=s")
	if to := w.Header().Get("Location"); to != "https://wiki.example.com/?state=s" {
		t.Errorf("%d, sent to %q", w.Code, to)
	}
}

// A page of another origin may ask all endpoints that programs call, with any header. No cookie comes with it.
func TestPreflightRequests(t *testing.T) {
	m := newMisconfigured(t, filepath.Join(t.TempDir(), "twostep.db"))
	for path, ok := range map[string]bool{
		"/.well-known/openid-configuration": true, "/.well-known/openid-configuration/": true,
		"/.well-known/oauth-authorization-server": true, "/oauth2/jwks": true, "/oauth2/par": true, "/oauth2/token": true,
		"/oauth2/userinfo": true, "/oauth2/revoke": true,
		"/oauth2/authorize": false, "/oauth2/consent": false, "/signin": false, "/settings": false,
	} {
		w := m.send(http.MethodOptions, path, "")
		h := w.Header()
		if got := w.Code == http.StatusNoContent && h.Get("Access-Control-Allow-Origin") == "*" &&
			strings.Contains(h.Get("Access-Control-Allow-Headers"), "*"); got != ok ||
			h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
	}
}
