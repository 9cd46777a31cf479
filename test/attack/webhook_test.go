package attack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// hookKey is the key of the secret of the webhooks, and hookPath has a secret of the receiver.
var (
	hookKey  = []byte("0123456789abcdefghijklmnopqrstuv")
	hookPath = "/hooks/receiver-secret"
)

func webhook(url string, events ...string) twostep.Webhook {
	return twostep.Webhook{
		Name: "crm", URL: url, Events: events, AllowPrivate: true,
		Secrets: []string{"whsec_" + base64.StdEncoding.EncodeToString(hookKey)},
	}
}

// hooked is a request of a webhook.
type hooked struct {
	header http.Header
	body   string
}

// signed reports whether a request is signed as the specification says: an HMAC of its id, its time and its body.
func (r hooked) signed(id, seconds, body string) bool {
	mac := hmac.New(sha256.New, hookKey)
	fmt.Fprintf(mac, "%s.%s.%s", id, seconds, body)
	return r.header.Get("webhook-signature") == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// receiver is a receiver of webhooks that passes on what it gets, and answers with a status.
func receiver(t *testing.T, status int, header ...string) (url string, got chan hooked) {
	t.Helper()
	got = make(chan hooked, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- hooked{r.Header, string(body)}
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL + hookPath, got
}

// next is the next request, or fails.
func next(t *testing.T, got chan hooked) hooked {
	t.Helper()
	select {
	case r := <-got:
		return r
	case <-time.After(30 * time.Second):
		t.Fatal("no request has arrived")
	}
	return hooked{}
}

// hookFailure waits until a webhook has failed, and returns why.
func (h *server) hookFailure() (why string) {
	h.T.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	enough := time.After(30 * time.Second)
	for why == "" {
		list, err := h.ListWebhooks(h.T.Context())
		if err != nil {
			h.T.Fatal(err)
		}
		why = list[0].Failure
		select {
		case <-look.C:
		case <-enough:
			h.T.Fatal("the webhook has not failed")
		}
	}
	return why
}

// A webhook leads to this machine by a name. It is reached only if the owner allows it.
func TestWebhookReachesNoPrivateAddress(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		var reached atomic.Int64
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				reached.Add(1)
				c.Close()
			}
		}()
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		hook := webhook("https://localhost:"+port+hookPath, "*")
		hook.AllowPrivate = false
		h := start(t, url, func(o *twostep.Options) { o.Webhooks = []twostep.Webhook{hook} })
		h.annaSignedIn()
		why := h.hookFailure()
		if reached.Load() != 0 || !strings.Contains(why, "private or reserved") {
			t.Errorf("%d connections, %s", reached.Load(), why)
		}
	})
	for _, address := range []string{"https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/", "http://example.com/"} {
		hook := webhook(address, "*")
		hook.AllowPrivate = false
		if hook.Check() == nil {
			t.Errorf("%s is accepted", address)
		}
	}
}

// The receiver leads the request on to another address.
func TestWebhookFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		inside, reached := receiver(t, http.StatusOK)
		var hooks []twostep.Webhook
		statuses := []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}
		var got []chan hooked
		for _, status := range statuses {
			outside, requests := receiver(t, status, "Location", inside)
			hook := webhook(outside, "*")
			hook.Name = fmt.Sprint("status-", status)
			hooks, got = append(hooks, hook), append(got, requests)
		}
		h := start(t, url, func(o *twostep.Options) { o.Webhooks = hooks })
		h.annaSignedIn()
		for i := range statuses {
			next(t, got[i])
		}
		if why := h.hookFailure(); !strings.Contains(why, "redirects are not followed") {
			t.Error(why)
		}
		h.End() // the attempts have ended
		if len(reached) != 0 {
			t.Errorf("%d requests inside", len(reached))
		}
	})
}

// Somebody else sends an event, changes one, or sends one again later: the signature covers the id, the time and the
// body, and the time is that of the attempt.
func TestWebhookIsSigned(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		address, got := receiver(t, http.StatusOK)
		h := start(t, url, func(o *twostep.Options) { o.Webhooks = []twostep.Webhook{webhook(address, "session.created")} })
		h.annaSignedIn()
		r := next(t, got)
		id, seconds := r.header.Get("webhook-id"), r.header.Get("webhook-timestamp")
		if !r.signed(id, seconds, r.body) || id == "" || strings.Contains(id, ".") || !strings.Contains(r.body, `"type":"session.created"`) {
			t.Errorf("the signature is not valid: %v %s", r.header, r.body)
		}
		for what, valid := range map[string]bool{
			"another id": r.signed(id+"x", seconds, r.body), "another time": r.signed(id, seconds+"0", r.body),
			"another body": r.signed(id, seconds, r.body+" "), "no time": r.signed(id, "", r.body),
		} {
			if valid {
				t.Errorf("%s has the same signature", what)
			}
		}
	})
}

// Who reads the requests of a webhook, or the log, learns no secret; the requests say nothing of the person but the id.
func TestWebhookTellsNoSecrets(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		address, got := receiver(t, http.StatusInternalServerError)
		taken, all := receiver(t, http.StatusOK)
		refused, works := webhook(address, "*"), webhook(taken, "*")
		works.Name = "siem"
		h := start(t, url, func(o *twostep.Options) { o.Webhooks = []twostep.Webhook{refused, works} })
		b := h.Browser()
		code := h.passwordStep(b, live.AnnaEmail, live.AnnaPassword)
		b.Post("/signin/verify", "code", live.Wrong(code))
		b.Post("/signin/verify", "code", code)
		next(t, got)
		text := ""
		for !strings.Contains(text, `"type":"session.created"`) {
			r := next(t, all)
			text += fmt.Sprint(r.header) + r.body
		}
		h.hookFailure()
		for what, secret := range map[string]string{
			"code": code, "password": live.AnnaPassword, "email address": live.AnnaEmail, "network address": h.value("SELECT MAX(address) FROM audit_events"),
			"browser": "Go-http-client", "cookie": h.cookie(b, "session"), "secret": string(hookKey),
			"serialized secret": refused.Secrets[0],
		} {
			for how, spelling := range spellings(secret) {
				if spelling != "" && strings.Contains(text, spelling) && (what != "code" || alone(text, code)) {
					t.Errorf("a request has the %s (%s)", what, how)
				}
			}
		}
		for what, secret := range map[string]string{"path": "receiver-secret", "secret": refused.Secrets[0], "key": string(hookKey)} {
			if strings.Contains(h.Log.String(), secret) {
				t.Errorf("the log has the %s", what)
			}
		}
	})
}

// A receiver that never answers holds up no sign-in, and none of its events is lost.
func TestSlowWebhookHoldsUpNoSignIn(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		arrived, end := make(chan bool, 10), make(chan bool)
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			arrived <- true
			<-end
		}))
		defer server.Close()
		h := start(t, url, func(o *twostep.Options) { o.Webhooks = []twostep.Webhook{webhook(server.URL, "*")} })
		h.annaSignedIn()
		<-arrived
		for range 3 {
			h.annaSignedIn()
		}
		close(end)
		list, err := h.ListWebhooks(t.Context())
		if err != nil || list[0].Waiting < 3 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
