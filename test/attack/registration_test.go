package attack

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/test/e2e/live"
)

// register sends a registration request from a network of its own.
func (h *server) register(b *live.Browser, token, body string, headers ...string) (s appAnswer) {
	h.T.Helper()
	if token != "" {
		headers = append(headers, "Authorization: Bearer "+token)
	}
	a := b.Do(h.request(http.MethodPost, "/oauth2/register", body, append([]string{"Content-Type: application/json"}, headers...)...))
	s.status, s.header = a.StatusCode, a.Header
	_ = json.Unmarshal([]byte(a.Body), &s.body)
	return s
}

func (h *server) registrationToken(uses int64) string {
	h.T.Helper()
	token, err := h.CreateRegistrationToken(h.T.Context(), uses, time.Hour)
	if err != nil {
		h.T.Fatal(err)
	}
	return token
}

const registration = `{"client_name": "New App", "redirect_uris": ["https://new.example/cb"]}`

// An app registers itself without a token, with one that was used up, has expired or was ended, or by a form.
func TestRegistrationNeedsAToken(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		expired := h.registrationToken(1)
		h.Turn(time.Hour + time.Second)
		used, ended := h.registrationToken(1), h.registrationToken(5)
		if got := h.register(h.Browser(), used, registration); got.status != http.StatusCreated {
			h.T.Fatalf("with a token: %d %v", got.status, got.body)
		}
		if n, err := h.EndRegistrationTokens(h.T.Context()); err != nil || n != 1 {
			h.T.Errorf("%d tokens were ended: %v", n, err)
		}
		for what, token := range map[string]string{"none": "", "unknown": strings.Repeat("A", 43), "used": used, "expired": expired, "ended": ended} {
			got := h.register(h.Browser(), token, registration)
			if got.status != http.StatusUnauthorized || got.text("error") != "invalid_token" || got.header.Get("WWW-Authenticate") == "" {
				h.T.Errorf("%s: %d %v", what, got.status, got.body)
			}
		}
		if !strings.Contains(h.Log.String(), "create a token with `twostep app registration-token`") {
			h.T.Error("the log has no remedy")
		}
		b := h.Browser()
		var statuses []int
		for range 15 {
			statuses = append(statuses, h.register(b, "x", registration).status)
		}
		if statuses[9] != http.StatusUnauthorized || statuses[14] != http.StatusTooManyRequests {
			h.T.Errorf("wrong tokens of one network: %v", statuses)
		}
		if !strings.Contains(h.Log.String(), "too many failed client authentications") {
			h.T.Error("the log does not say that the network is limited")
		}
		restored := h.registrationToken(5)
		if err := h.InvalidateAfterRestore(h.T.Context()); err != nil {
			h.T.Fatal(err)
		}
		if got := h.register(h.Browser(), restored, registration); got.status != http.StatusUnauthorized {
			h.T.Errorf("of a backup: %d", got.status)
		}
		good := h.registrationToken(1)
		for what, headers := range map[string][]string{"a form": {form}, "a text": {"Content-Type: text/plain"}} {
			a := h.Browser().Do(h.request(http.MethodPost, "/oauth2/register", registration, append(headers, "Authorization: Bearer "+good)...))
			h.wantStatus(a, http.StatusUnsupportedMediaType)
			_ = what
		}
		if n := h.count("clients"); n != 1 {
			h.T.Errorf("%d apps", n)
		}
	})
}

// What no operator could add is registered, a refused registration uses the token, or one token registers several apps at
// once.
func TestRegistrationIsChecked(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		token := h.registrationToken(1)
		for body, code := range map[string]string{
			`x`:  "invalid_client_metadata",
			`{}`: "invalid_redirect_uri",
			`{"redirect_uris": ["http://new.example/cb"]}`:                                                       "invalid_redirect_uri",
			`{"redirect_uris": ["https://*.example/cb"]}`:                                                        "invalid_redirect_uri",
			`{"redirect_uris": ["javascript:alert(1)"]}`:                                                         "invalid_redirect_uri",
			`{"redirect_uris": ["myapp://cb"]}`:                                                                  "invalid_redirect_uri",
			`{"redirect_uris": ["https://new.example/cb"], "client_name": "\u202e"}`:                             "invalid_client_metadata",
			`{"redirect_uris": ["https://new.example/cb"], "response_types": ["token"]}`:                         "invalid_client_metadata",
			`{"redirect_uris": ["https://new.example/cb"], "token_endpoint_auth_method": "tls_client_auth"}`:     "invalid_client_metadata",
			`{"redirect_uris": ["https://new.example/cb"], "token_endpoint_auth_method": "private_key_jwt"}`:     "invalid_client_metadata",
			`{"redirect_uris": ["https://new.example/cb"], "id_token_signed_response_alg": "none"}`:              "invalid_client_metadata",
			`{"redirect_uris": ["https://new.example/cb"], "grant_types": ["` + deviceGrant + `"]}`:              "invalid_client_metadata",
			`{"redirect_uris": ["https://new.example/cb"], "grant_types": ["password"]}`:                         "invalid_client_metadata",
			`{"redirect_uris": ["https://new.example/cb"], "default_max_age": -1}`:                               "invalid_client_metadata",
			`{"redirect_uris": ["https://new.example/cb"], "jwks": {"keys": []}}`:                                "invalid_client_metadata",
			`{"redirect_uris": ["https://new.example/cb"], "post_logout_redirect_uris": ["http://new.example"]}`: "invalid_client_metadata",
		} {
			h.wantDeviceError(body, h.register(h.Browser(), token, body), code)
		}
		if n := h.count("clients"); n != 0 {
			h.T.Errorf("%d apps", n)
		}
		var answers status
		atOnce(8, func(int) { answers.add(h.register(h.Browser(), token, registration).status) })
		if answers.n[http.StatusCreated] != 1 || answers.n[http.StatusUnauthorized] != 7 || h.count("clients") != 1 {
			h.T.Errorf("8 registrations with one token: %v", answers.n)
		}
		// What an app may not decide itself: no consent, roles, hosts of a proxy, or calls of this server.
		more := `{"redirect_uris": ["https://new.example/cb"], "foreign": false, "introspects": true, "hosts": ["wiki.example.com"], "device_grant": true,
			"backchannel_logout_uri": "https://169.254.169.254/", "pkce": "off", "client_id": "books", "id": "books"}`
		got := h.register(h.Browser(), h.registrationToken(1), more)
		registered := h.value("SELECT registration FROM clients WHERE id = '" + got.text("client_id") + "'")
		for _, word := range []string{"introspects", "hosts", "device_grant", "169.254", "pkce", "books"} {
			if strings.Contains(registered, word) {
				h.T.Errorf("an app has decided %s: %s", word, registered)
			}
		}
		if got.status != http.StatusCreated || !strings.Contains(registered, `"foreign":true`) {
			h.T.Fatalf("%d %v: %s", got.status, got.body, registered)
		}
		// It works, with consent.
		anna := h.annaSignedIn()
		to := h.location(h.allow(anna, h.authorizePage(anna, asking(got.text("client_id"), "https://new.example/cb"))))
		if s := h.redeem(to.Query().Get("code"), got.text("client_id"), got.text("client_secret"), "https://new.example/cb"); s.status != http.StatusOK {
			h.T.Errorf("its tokens: %d %v", s.status, s.body)
		}
		if kinds := h.column("SELECT kind FROM audit_log WHERE kind LIKE 'registration_token%' OR kind = 'client.created'"); len(kinds) != 4 {
			h.T.Errorf("events: %q", kinds)
		}
	})
}
