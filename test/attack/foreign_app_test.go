package attack

import (
	"net/url"
	"strings"
	"testing"

	"twostep.example/twostep/test/e2e/live"
)

// A sign-in leads to the site of an app of somebody else, which may have registered itself, without a question.
func TestSignInLeadsToNoForeignApp(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, _ *live.Browser) {
		token := h.registrationToken(1)
		if got := h.register(h.Browser(), token, registration); got.text("client_id") == "" {
			h.T.Fatalf("%d %v", got.status, got.body)
		}
		leadsTo := func(address string) bool {
			a := h.Browser().Get("/signin?" + url.Values{"return_to": {address}}.Encode())
			return strings.Contains(a.Body, url.QueryEscape(address))
		}
		for _, address := range []string{"https://new.example/cb", "https://new.example/sign-in-again", otherBack} {
			if leadsTo(address) {
				h.T.Errorf("it leads to %s", address)
			}
		}
		if !leadsTo(booksBack) {
			h.T.Error("it leads to no app of the owner")
		}
	})
}

// Somebody sends a request in the name of an app whose text is cut off in the middle of a character: the operator sees
// it all the same.
func TestRejectionWithLongTextIsRecorded(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, anna *live.Browser) {
		for n := 160; n < 200; n++ {
			h.exec("DELETE FROM client_rejections")
			back := "https://evil.example/" + strings.Repeat("x", n-len("https://evil.example/")) + strings.Repeat("ä€🚪", 20)
			anna.Get("/oauth2/authorize?" + asking("books", back).Encode())
			if n == 160 && h.count("client_rejections") != 1 {
				h.T.Fatalf("%d bytes before it: %d rejections", n, h.count("client_rejections"))
			}
			h.Turn(61e9)
			if h.count("client_rejections") != 1 {
				h.T.Errorf("%d bytes before it: nothing is recorded", n)
			}
		}
	})
}
