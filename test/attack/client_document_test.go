package attack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

const (
	editorID   = "https://editor.example/oauth/client.json"
	editorBack = "http://127.0.0.1:7000/callback"
)

// documents answers the requests for metadata documents, and counts them.
type documents struct {
	mu     sync.Mutex
	answer func(*http.Request) *http.Response
	asked  int
}

func (d *documents) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	res := d.answer(r)
	res.Request = r
	return res, nil
}

// says is the answer with a document.
func says(text string, pairs ...string) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i+1 < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(strings.NewReader(text))}
	}
}

// editor is the document of an app at editorID, with more fields.
func editor(more string) string {
	return fmt.Sprintf(`{"client_id": %q, "client_name": "Example Editor", "redirect_uris": [%q, "https://editor.example/cb", "https://evil.example/cb", "com.evil.app:/cb"],
		"token_endpoint_auth_method": "none"%s}`, editorID, editorBack, more)
}

// withDocuments runs f on both databases, with a server that reads documents and with Anna signed in.
func withDocuments(t *testing.T, f func(h *server, d *documents, anna *live.Browser)) {
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		d := &documents{answer: says(editor(""))}
		h := start(t, url, d.set)
		f(h, d, h.annaSignedIn())
	})
}

func (d *documents) set(o *twostep.Options) {
	o.ClientMetadata = &twostep.ClientMetadata{Transport: d}
}

// wantNoClient wants the page that says that the app cannot be used, and no answer to it.
func (h *server) wantNoClient(what string, a live.Answer, logged string) {
	h.T.Helper()
	if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" || !strings.Contains(h.Log.String(), logged) {
		h.T.Errorf("%s: %d to %q; the log lacks %q: %v", what, a.StatusCode, a.Header.Get("Location"), logged, !strings.Contains(h.Log.String(), logged))
	}
}

func (h *server) ask(b *live.Browser, app, back string, pairs ...string) live.Answer {
	h.T.Helper()
	return b.Get("/oauth2/authorize?" + asking(app, back, pairs...).Encode())
}

// The URL of a document leads to this machine or its network, by an address in any notation or by a name.
func TestClientDocumentReachesNoPrivateAddress(t *testing.T) {
	t.Parallel()
	h := start(t, "", func(o *twostep.Options) { o.ClientMetadata = &twostep.ClientMetadata{} })
	anna := h.annaSignedIn()
	for _, host := range []string{"127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"} {
		h.wantNoClient(host, h.ask(anna, "https://"+host+"/app.json", editorBack), "the address is not public")
	}
	port := h.URL[strings.LastIndex(h.URL, ":"):]
	for _, id := range []string{
		h.URL + "/app.json", "https://localhost" + port + "/app.json", "https://[::1]/app.json", "https://[::ffff:127.0.0.1]/app.json", "https://localhost/app.json",
		"https://user@editor.example/app.json", "https://editor.example/", "https://editor.example", "https://editor.example/a/../app.json", "https://editor.example/%61pp.json",
		"https://editor.example/app.json?x=1", "https://editor.example/app.json#x", "https://Editor.example/app.json", "https://editor.example//app.json", "https://editor.example/" + strings.Repeat("x", 300),
	} {
		h.wantNoClient(id, h.ask(anna, id, editorBack), "the URL")
	}
	for _, id := range []string{"http://editor.example/app.json", "HTTPS://editor.example/app.json", "file:///etc/passwd", "ftp://editor.example/app.json"} {
		h.wantNoClient(id, h.ask(anna, id, editorBack), "there is no app with this client_id")
	}
	if n := h.count("client_documents"); n != 0 {
		t.Errorf("%d documents", n)
	}
}

// A document that was redirected, is too large, of another type, of another app, or wants more than a public app gets.
func TestClientDocumentIsChecked(t *testing.T) {
	t.Parallel()
	withDocuments(t, func(h *server, d *documents, anna *live.Browser) {
		for what, c := range map[string]struct {
			answer func(*http.Request) *http.Response
			logged string
		}{
			"redirected": {func(*http.Request) *http.Response {
				return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"https://editor.example/other.json"}}, Body: http.NoBody}
			}, "has status 302"},
			"large":          {says(editor(`, "x": "` + strings.Repeat("x", 11<<10) + `"`)), "has more than 10240 bytes"},
			"HTML":           {says(editor(""), "Content-Type", "text/html"), "has the content type"},
			"another ID":     {says(strings.ReplaceAll(editor(""), "client.json", "other.json")), "has another client_id"},
			"no JSON":        {says("x"), "is not a JSON object"},
			"a secret":       {says(editor(`, "client_secret": "x"`)), "has a client_secret"},
			"a secret way":   {says(strings.ReplaceAll(editor(""), `"none"`, `"client_secret_basic"`)), "has a client_secret"},
			"no redirects":   {says(fmt.Sprintf(`{"client_id": %q, "redirect_uris": ["https://evil.example/cb"]}`, editorID)), "has no redirect_uris"},
			"a strange name": {says(strings.ReplaceAll(editor(""), "Example Editor", `A\u202eB`)), "has a client_name"},
		} {
			d.answer = c.answer
			h.wantNoClient(what, h.ask(anna, editorID, editorBack), c.logged)
			h.Turn(2 * time.Minute) // it is tried again
		}
		if n := h.count("client_documents"); n != 0 {
			h.T.Errorf("%d documents", n)
		}
		d.answer = says(editor(""))
		for _, back := range []string{"https://evil.example/cb", "com.evil.app:/cb", "https://editor.example/other", "http://127.0.0.1:7000/other", "https://editor.example.evil.example/cb"} {
			h.wantNoClient(back, h.ask(anna, editorID, back), "is not registered")
		}
		// A public app: PKCE is required, and it has no grants of its own.
		h.wantNoClient("without PKCE", h.ask(anna, editorID, editorBack, "code_challenge", "", "code_challenge_method", ""), "PKCE is required")
		for _, grant := range []string{"client_credentials", deviceGrant} {
			h.wantDeviceError(grant, h.call(h.Browser(), "/oauth2/token", "grant_type", grant, "client_id", editorID, "device_code", "x"), "unauthorized_client")
		}
	})
}

// An app that nobody registered calls itself by the name of another, and is allowed without a question.
func TestClientDocumentIsAskedAboutEachTime(t *testing.T) {
	t.Parallel()
	withDocuments(t, func(h *server, d *documents, anna *live.Browser) {
		for range 2 {
			asked := h.authorizePage(anna, asking(editorID, editorBack))
			for _, text := range []string{"<h1>Allow editor.example to sign you in?</h1>", "This app isn&#39;t registered with Example.", "It calls itself “Example Editor”. Anyone can choose that name.", editorID, "127.0.0.1:7000"} {
				if !strings.Contains(asked.Body, text) {
					h.T.Errorf("the page lacks %q: %s", text, asked.Body)
				}
			}
			if a := h.ask(anna, editorID, editorBack, "prompt", "none"); a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" {
				h.T.Errorf("without a page: %d to %q", a.StatusCode, a.Header.Get("Location"))
			}
			h.Turn(time.Minute)
			to := h.location(h.allow(anna, asked))
			got := h.redeem(to.Query().Get("code"), editorID, "", editorBack)
			if got.status != http.StatusOK || h.userinfo(got.text("access_token")).text("email") != live.AnnaEmail {
				h.T.Fatalf("with consent: %s, %d %v", to, got.status, got.body)
			}
		}
		if d.asked != 1 {
			h.T.Errorf("the document was fetched %d times", d.asked)
		}
		page := anna.Get("/settings/apps")
		_, path, _ := strings.Cut(page.Body, `action="/settings/apps/`)
		id, _, _ := strings.Cut(path, `/remove"`)
		if !strings.Contains(page.Body, "<strong>editor.example</strong>") || id == "" {
			h.T.Fatalf("the list of apps: %s", page.Body)
		}
		h.wantRedirect(anna.Post("/settings/apps/"+id+"/remove"), "/settings/apps")
		if n := h.count("consents"); n != 0 || strings.Contains(anna.Get("/settings/apps").Body, "editor.example") {
			h.T.Errorf("after the removal: %d consents", n)
		}
	})
}

// Somebody makes the server fetch documents all the time: the same, one that fails, or many.
func TestClientDocumentFetchesAreLimited(t *testing.T) {
	t.Parallel()
	withDocuments(t, func(h *server, d *documents, anna *live.Browser) {
		stranger := h.Browser()
		ask := func(b *live.Browser, n int) int {
			return h.ask(b, fmt.Sprintf("https://editor.example/%d.json", n), editorBack).StatusCode
		}
		for range 3 { // none has its own URL as client_id
			if got := ask(stranger, 1); got != http.StatusBadRequest {
				h.T.Errorf("a document that cannot be used: %d", got)
			}
		}
		if d.asked != 1 {
			h.T.Errorf("a document that cannot be used was fetched %d times in a minute", d.asked)
		}
		for i, kind := range []string{"client_documents_network", "client_documents_strangers"} {
			h.exec("UPDATE rate_limit_counters SET used = used + 1000000 WHERE kind = '" + kind + "'")
			if got := ask(stranger, 10+i); got != http.StatusTooManyRequests {
				h.T.Errorf("%s: %d", kind, got)
			}
			if got := h.ask(anna, editorID, editorBack).StatusCode; got != http.StatusSeeOther {
				h.T.Errorf("%s: a known browser: %d", kind, got)
			}
			h.exec("UPDATE rate_limit_counters SET used = 0")
			h.exec("DELETE FROM client_documents")
		}
		before := d.asked
		for range 3 {
			h.wantStatus(h.ask(anna, editorID, editorBack), http.StatusSeeOther)
		}
		h.Turn(time.Hour + time.Minute)
		d.answer = says(editor(""), "Cache-Control", "max-age=1")
		for range 3 {
			h.wantStatus(h.ask(anna, editorID, editorBack), http.StatusSeeOther)
		}
		if n := d.asked - before; n != 2 {
			h.T.Errorf("the same document was fetched %d times in an hour, want 2", n)
		}
	})
}

// leaver is a stranger who leaves while the document that they asked for is fetched.
type leaver struct {
	*documents
	leave context.CancelFunc
}

func (l leaver) RoundTrip(r *http.Request) (*http.Response, error) {
	l.leave()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return l.documents.RoundTrip(r)
}

// Somebody leaves while a document is fetched: nobody else is told that it cannot be used.
func TestLeavingRefusesNoDocument(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		ctx, leave := context.WithCancel(t.Context())
		d := &documents{answer: says(editor(""))}
		h := start(t, url, func(o *twostep.Options) { o.ClientMetadata = &twostep.ClientMetadata{Transport: leaver{d, leave}} })
		r := h.request(http.MethodGet, "/oauth2/authorize?"+asking(editorID, editorBack).Encode(), "")
		r.RemoteAddr = "127.0.0.1:9"
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
		if ctx.Err() == nil {
			t.Fatal("nothing was fetched")
		}
		if a := h.ask(h.annaSignedIn(), editorID, editorBack); a.StatusCode != http.StatusSeeOther || strings.Contains(h.Log.String(), "the metadata document of the app is refused") {
			t.Errorf("after somebody has left: %d", a.StatusCode)
		}
	})
}

// A link of this site to an app that nobody registered leads to the address that its document names, without a page:
// by an error of the request, or by one of the session.
func TestClientDocumentLeadsNobodyAway(t *testing.T) {
	t.Parallel()
	withDocuments(t, func(h *server, _ *documents, anna *live.Browser) {
		const back = "https://editor.example/cb"
		for what, pairs := range map[string][]string{
			"a wrong response type": {"response_type", "x"}, "an access token": {"response_type", "token"}, "no PKCE": {"code_challenge", "", "code_challenge_method", ""},
			"a wrong prompt": {"prompt", "x"}, "no page": {"prompt", "none"}, "a form": {"response_type", "x", "response_mode", "form_post"}, "a fragment": {"response_type", "id_token"},
			"a wrong hint": {"id_token_hint", "x"}, "a request object": {"request", "x"}, "more than she has": {"acr_values", "urn:twostep:acr:3", "claims", `{"id_token":{"acr":{"essential":true,"value":"x"}}}`},
		} {
			for _, b := range []*live.Browser{anna, h.Browser()} {
				a := h.ask(b, editorID, back, pairs...)
				if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" || strings.Contains(a.Body, back) {
					h.T.Errorf("%s: %d to %q", what, a.StatusCode, a.Header.Get("Location"))
				}
			}
		}
		asked := h.authorizePage(anna, asking(editorID, back)) // her own no is sent
		if to := h.location(h.allow(anna, asked, "answer", "deny")); to.Query().Get("error") != "access_denied" {
			h.T.Errorf("her no leads to %s", to)
		}
	})
}

// A person allows a request in one tab; another one, of the same app, waits in their browser. It is not the one that
// they have read.
func TestConsentIsForOneRequest(t *testing.T) {
	t.Parallel()
	withDocuments(t, func(h *server, _ *documents, anna *live.Browser) {
		waits := h.authorizePage(anna, asking(editorID, "http://127.0.0.1:9999/callback"))
		h.Turn(time.Second)
		asked := h.authorizePage(anna, asking(editorID, editorBack))
		h.Turn(time.Second)
		if to := h.location(h.allow(anna, asked)); !to.Query().Has("code") {
			h.T.Fatalf("her yes leads to %s", to)
		}
		a := anna.Get(waits.Request.URL.RequestURI())
		if a.StatusCode != http.StatusOK || !strings.Contains(a.Body, "127.0.0.1:9999") {
			h.T.Errorf("the other request: %d to %q", a.StatusCode, a.Header.Get("Location"))
		}
		if n := h.count("grants"); n != 1 {
			h.T.Errorf("%d grants", n)
		}
	})
}

// The operator no longer wants apps that are not registered, or never did.
func TestClientDocumentsAreOffUnlessAllowed(t *testing.T) {
	t.Parallel()
	withDocuments(t, func(h *server, _ *documents, anna *live.Browser) {
		to := h.location(h.allow(anna, h.authorizePage(anna, asking(editorID, editorBack))))
		got := h.redeem(to.Query().Get("code"), editorID, "", editorBack)
		second := h.location(h.allow(anna, h.authorizePage(anna, asking(editorID, editorBack)))).Query().Get("code")
		if got.status != http.StatusOK || second == "" {
			h.T.Fatalf("%d %v", got.status, got.body)
		}
		session := h.cookie(anna, "session")
		supported := func(h *server, want string) {
			for _, path := range []string{"openid-configuration", "oauth-authorization-server"} {
				if body := h.Browser().Get("/.well-known/" + path).Body; !strings.Contains(body, `"client_id_metadata_document_supported":`+want) {
					h.T.Errorf("%s: %s", path, body)
				}
			}
		}
		supported(h, "true")
		now := h.Now
		h.End()
		off := start(h.T, h.Database, func(o *twostep.Options) { o.KeyFile, o.Now = h.KeyFile, now })
		supported(off, "false")
		off.wantNoClient("off", off.ask(off.withCookies("session", session), editorID, editorBack), "set client_metadata = true")
		if s := off.redeem(second, editorID, "", editorBack); s.status != http.StatusUnauthorized {
			h.T.Errorf("a code: %d %v", s.status, s.body)
		}
		if s := off.refresh(got.text("refresh_token"), editorID, ""); s.status != http.StatusUnauthorized {
			h.T.Errorf("a refresh token: %d %v", s.status, s.body)
		}
		if s := off.userinfo(got.text("access_token")); s.status != http.StatusUnauthorized {
			h.T.Errorf("an access token: %d %v", s.status, s.body)
		}
	})
}
