package attack

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"twostep.example/twostep/test/e2e/live"
)

// actions returns the addresses of the forms, buttons and links of a page.
func actions(a live.Answer) (found []string) {
	page, _ := html.Parse(strings.NewReader(a.Body)) // a string reader never fails
	for n := range page.Descendants() {
		for _, attribute := range n.Attr {
			if slices.Contains([]string{"action", "formaction", "href", "data-url"}, attribute.Key) {
				found = append(found, attribute.Val)
			}
		}
	}
	return found
}

// tagOf returns the hidden field that names the account of a page.
func (h *server) tagOf(a live.Answer) string {
	h.T.Helper()
	for _, m := range hidden.FindAllStringSubmatch(a.Body, -1) {
		if m[1] == "page" {
			return m[2]
		}
	}
	h.T.Fatalf("%s does not say whose it is\n%s", a.Request.URL, a.Body)
	return ""
}

// asSameBrowser gives b what tells the browser of other from all others.
func (h *server) asSameBrowser(b, other *live.Browser) *live.Browser {
	h.T.Helper()
	u, err := url.Parse(h.URL)
	if err != nil {
		h.T.Fatal(err)
	}
	for _, c := range other.Jar.Cookies(u) {
		if strings.HasPrefix(c.Name, "__Host-browser-") {
			b.Jar.SetCookies(u, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/", Secure: true}})
		}
	}
	return b
}

// Two apps are opened in two tabs, the password is typed in both and the code in the first. Each tab must lead to its own
// app, with the state of that app, and each app is answered once.
func TestTabLeadsToItsOwnApp(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, _ *live.Browser) {
		b := h.Browser()
		books := h.authorize(b, asking("books", booksBack, "state", "of books"))
		phone := h.authorize(b, asking("phone", phoneBack, "state", "of phone"))
		code := b.FirstStep(books.RequestURI(), "email", live.AnnaEmail, "password", live.AnnaPassword)
		first := b.CodePage
		second := b.Post(phone.RequestURI(), "email", live.AnnaEmail, "password", live.AnnaPassword).Header.Get("Location")
		if first == second {
			h.T.Fatalf("both tabs are at %s", first)
		}
		for page, state := range map[string]string{first: "of books", second: "of phone"} {
			a := b.Post(page, "code", code)
			for range 3 {
				if to := h.location(a); to.Scheme == "" || "https://"+to.Host == h.URL {
					a = b.Get(to.RequestURI())
				}
			}
			if to := h.location(a); to.Query().Get("state") != state || to.Query().Get("code") == "" {
				h.T.Errorf("the tab %q leads to %s", state, to)
			}
			if a := b.Get(page); h.location(b.Get(h.location(a).RequestURI())).Query().Has("code") {
				h.T.Errorf("%q was answered twice", state)
			}
		}
	})
}

// Somebody uses the token of an authorization request that another browser has made, to finish it with their account, to
// ask for consent, or to be led on from a page or a mail.
func TestRequestBelongsToItsBrowser(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, anna *live.Browser) {
		h.addBen()
		ben := h.signIn(h.Browser(), benEmail, benPassword)
		leaked := h.authorize(h.Browser(), asking("books", booksBack)).Query().Get("return_to")
		posted := h.location(h.post(h.visitor(), "/oauth2/authorize", asking("books", booksBack).Encode())).RequestURI()
		for what, a := range map[string]live.Answer{
			"to go on": ben.Get(leaked), "from the sign-in page": ben.Get(h.location(ben.Get("/signin?return_to=" + escapeQuery(leaked))).RequestURI()),
			"in a new browser": h.Browser().Get(leaked),
		} {
			if h.wantStatus(a, http.StatusBadRequest); a.Header.Get("Location") != "" {
				h.T.Errorf("%s: to %s", what, a.Header.Get("Location"))
			}
		}
		if page := h.Browser().Get("/signin?return_to=" + escapeQuery(leaked)); strings.Contains(page.Body, "Books") {
			h.T.Error("the sign-in page of another browser names the app")
		}
		asked := h.authorizePage(anna, asking("other", otherBack))
		h.wantStatus(h.allow(ben, asked), http.StatusBadRequest)
		if n := h.count("grants") + h.count("consents"); n != 0 {
			h.T.Errorf("%d grants and consents", n)
		}
		// A request that came as a POST of another site, which brings no cookies, belongs to the browser that follows first.
		owner := h.Browser()
		if to := h.location(owner.Get(posted)); to.Path != "/signin" {
			h.T.Errorf("a posted request leads to %s", to)
		}
		h.wantStatus(ben.Get(posted), http.StatusBadRequest)
	})
}

// Tabs that a browser without cookies opens at the same time take the requests away from each other.
func TestTabsOpenedAtTheSameTimeKeepTheirRequests(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, _ *live.Browser) {
		b := h.Browser()
		u, err := url.Parse(h.URL)
		if err != nil {
			h.T.Fatal(err)
		}
		var pages []string
		for range 3 { // none of the three has the cookies of the others when it is sent
			alone := h.Browser()
			pages = append(pages, h.authorize(alone, asking("books", booksBack)).RequestURI())
			b.Jar.SetCookies(u, alone.Jar.Cookies(u))
		}
		for _, page := range pages {
			if a := b.Get(page); !strings.Contains(a.Body, "to continue to Books") {
				h.T.Errorf("a tab has lost its request: %s", a.Body)
			}
		}
		before := len(b.Jar.Cookies(u))
		h.authorize(b, asking("books", booksBack))
		if after := len(b.Jar.Cookies(u)); after != before {
			h.T.Errorf("each request adds a cookie: %d, then %d", before, after)
		}
	})
}

// A form of a page about one account is used for another, because another tab has begun a sign-in or has signed in.
func TestFormOfAnotherAccountIsNotUsed(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		h.addBen()
		b := h.Browser()
		b.Password()
		annas := h.tagOf(b.Get("/signin/verify"))
		code := b.FirstStep("/signin", "email", benEmail, "password", benPassword)
		bens := h.tagOf(b.Get("/signin/verify"))
		before := h.contents()
		forms := map[string][]string{
			"/signin/verify": {"code", code}, "/signin/code": {"code", ""}, "/signin/method": {"method", "email"}, "/signin/trust": {"trust", "1"},
			"/signin/other": {"trust", "1"}, "/signin/cancel": nil, "/signin/cancel?again": {"again", "1"},
		}
		for path, form := range forms {
			path, _, _ = strings.Cut(path, "?")
			for what, tag := range map[string]string{"of Anna": annas, "of nobody": "nonsense", "no base64": "%"} {
				a := h.wantStatus(b.Post(path, append([]string{"page", tag}, form...)...), http.StatusConflict)
				if !strings.Contains(a.Body, "was not used") {
					h.T.Errorf("%s, %s: %s", path, what, a.Body)
				}
			}
		}
		if status := b.Get("/signin/status?page=" + annas).Body; !strings.Contains(status, `"state":""`) {
			h.T.Errorf("the page of Anna shows the state of Ben's code: %s", status)
		}
		if h.contents() != before {
			h.T.Error("a form of another account has changed something")
		}
		h.wantRedirect(b.Post("/signin/verify", "code", code, "page", bens), "/settings")
		for path, form := range forms { // signed in as Ben, and the page of Anna is sent
			if path, _, _ := strings.Cut(path, "?"); path != "/signin/cancel" {
				h.wantStatus(b.Post(path+"?return_to=/settings/devices", append([]string{"page", annas}, form...)...), http.StatusConflict)
				h.wantRedirect(b.Post(path+"?return_to=/settings/devices", append([]string{"page", bens}, form...)...), "/signin")
			}
		}
	})
}

// Typing the password again in another tab gives more guesses or messages, in a sign-in or in a step-up, or makes the
// code of the first tab worthless.
func TestTabsShareOneAttempt(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		for what, path := range map[string]string{"sign-in": "/signin", "step-up": "/settings/confirm?return_to=/settings/email"} {
			b := h.Browser()
			if what == "step-up" {
				h.signIn(b, live.AnnaEmail, live.AnnaPassword)
			}
			h.Turn(24 * time.Hour / 2)
			if what == "step-up" {
				b.SignIn() // the session of before has ended
				h.Turn(11 * time.Minute)
			}
			h.WaitForOutbox()
			n := h.Mail.Len()
			enter := func() {
				h.wantRedirect(b.Post(path, "email", live.AnnaEmail, "password", live.AnnaPassword), "/signin/verify")
			}
			enter()
			code := h.Code(n)
			for range 4 {
				h.Turn(time.Minute)
				h.wantStatus(b.Post("/signin/verify", "code", live.Wrong(code)), http.StatusUnprocessableEntity)
				enter()
			}
			h.WaitForOutbox()
			if sent := h.Mail.Len() - n; sent != 1 {
				h.T.Errorf("%s: %d messages", what, sent)
			}
			h.Turn(time.Minute)
			if a := b.Post("/signin/verify", "code", code); a.StatusCode != http.StatusSeeOther {
				h.T.Errorf("%s: the fifth guess is the code of the first tab: %d", what, a.StatusCode)
			}
		}
	})
}

// A page in the middle of a sign-in leads off this site, or to a request of an app that does not exist, by the return_to
// of its address or of its form.
func TestNoPageOfASignInLeadsOffThisSite(t *testing.T) {
	t.Parallel()
	h := start(t, "")
	b := h.Browser()
	b.Password()
	pages := []string{"/signin", "/signin/verify", "/signin/method", "/forgot", "/forgot/sent", "/signup", "/signup/sent", "/reset", "/reset/done",
		"/join", "/join/done", "/undo", "/undo/done", "/undo/requested", "/address", "/address/done"}
	forms := map[string][]string{
		"/signin": {"email", "nobody@example.com", "password", "wrong horse battery"}, "/signin/verify": {"code", "000000"}, "/forgot": {"email", live.AnnaEmail},
		"/signin/code": nil, "/signin/other": nil, "/signup": {"email", "new@example.org", "name", "New"}, "/reset": {"token", "x"}, "/join": {"token", "x"}, "/undo": {"token", "x", "password", "x"}, "/address": {"token", "x", "confirm", "1"},
	}
	for _, back := range append(offSite, "/signin?return_to=//evil.example/"+strings.Repeat("a", 1100)) {
		for _, query := range []string{"?return_to=" + escapeQuery(back), "?return_to=/settings&return_to=" + escapeQuery(back)} {
			var answers []live.Answer
			for _, path := range pages {
				answers = append(answers, b.Get(path+query))
			}
			for path, form := range forms {
				answers = append(answers, b.PostNow(path+query, form...), b.PostNow(path, append([]string{"return_to", back}, form...)...))
			}
			for _, a := range answers {
				for _, to := range append(actions(a), a.Header.Get("Location")) {
					if strings.HasPrefix(to, "data:image/svg+xml;base64,") {
						continue // the icon
					}
					if strings.Contains(to, "return_to=") {
						t.Errorf("%s %s carries %q on as %q", a.Request.Method, a.Request.URL, back, to)
					}
					if u, err := url.Parse(to); err != nil || u.Host != "" || u.Scheme != "" {
						t.Errorf("%s %s leads to %q", a.Request.Method, a.Request.URL, to)
					}
				}
				if strings.Contains(a.Header.Get("Content-Security-Policy"), "https:") {
					t.Errorf("%s: forms may lead anywhere", a.Request.URL)
				}
			}
		}
	}
}

// An app that requires a fresh sign-in is answered because another tab has signed in with less.
func TestAnotherTabIsNoFreshSignIn(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, _ *live.Browser) {
		b := h.Browser()
		code := b.Password()
		h.wantStatus(b.Post("/signin/verify", "code", code, "trust", "1"), http.StatusSeeOther)
		b.Post("/signout")
		h.Turn(time.Minute)
		for what, more := range map[string][]string{
			"prompt": {"prompt", "login"}, "age": {"max_age", "300"}, "level": {"acr_values", "urn:twostep:acr:email"},
		} {
			first := h.authorize(b, asking("books", booksBack, more...))
			h.wantRedirect(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), "/settings") // by trust
			a := b.Post(first.RequestURI(), "email", live.AnnaEmail, "password", live.AnnaPassword)
			if to := h.location(b.Get(h.location(a).RequestURI())); to.Path != "/settings/confirm" {
				h.T.Errorf("%s: the first tab goes on to %s", what, to)
			}
			b.Post("/signout")
		}
	})
}

// A mailed link leads on to the app of somebody else, or has text that they have chosen.
func TestMailedLinkLeadsOnInItsBrowserOnly(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, _ *live.Browser) {
		link := func(b *live.Browser, path string, form ...string) string {
			h.T.Helper()
			h.WaitForOutbox()
			n := h.Mail.Len()
			h.wantStatus(b.Post(path, form...), http.StatusSeeOther)
			text := strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(h.Mail.Next(n)) // quoted-printable
			_, rest, _ := strings.Cut(text, h.URL)
			address, _, found := strings.Cut(rest, "#")
			if !found {
				h.T.Fatalf("no link in %s", text)
			}
			return address
		}
		b := h.Browser()
		app := h.authorize(b, asking("books", booksBack)).RawQuery
		for path, form := range map[string][]string{
			"/forgot": {"email", live.AnnaEmail}, "/signup": {"email", "new@example.org", "name", "New"},
		} {
			to := link(b, path+"?"+app, form...)
			if !strings.HasSuffix(to, "?"+app) {
				h.T.Errorf("%s: the link %q does not lead on to the app", path, to)
			}
			if a := b.Get(to); !slices.ContainsFunc(actions(a), func(to string) bool { return strings.HasSuffix(to, "?"+app) }) {
				h.T.Errorf("%s: the page of the link does not lead on", path)
			}
			if other := h.Browser().Get("/signin?" + app); strings.Contains(other.Body, "Books") {
				h.T.Errorf("%s: the link leads to the app of another browser", path)
			}
			for _, text := range []string{"/settings?Call-0900-123456-now", "/oauth2/continue?request=x&text=Call-0900-123456-now"} {
				if to := link(h.Browser(), path+"?return_to="+escapeQuery(text), form...); strings.Contains(to, "?") {
					h.T.Errorf("%s: the mail of somebody else has the link %q", path, to)
				}
			}
		}
	})
}

// A page outside of the sign-ins of apps stays open to the page that opened it, or one of a sign-in does not.
func TestOnlyAppSignInsKeepTheirOpener(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, anna *live.Browser) {
		keeps := func(a live.Answer) bool { return a.Header.Get("Cross-Origin-Opener-Policy") == "" }
		b := h.Browser()
		app := h.authorize(b, asking("other", otherBack, "response_mode", "form_post")).RawQuery
		forged := "return_to=%2Foauth2%2Fcontinue%3Frequest%3Dforged"
		for _, path := range []string{"/signin", "/signin/verify", "/signin/method", "/forgot", "/reset", "/signup"} {
			if !keeps(b.Get(path + "?" + app)) {
				h.T.Errorf("%s of an app cuts the opener off", path)
			}
			for _, query := range []string{"", "?return_to=/settings", "?" + forged, "?" + app + "&" + forged} {
				if keeps(b.Get(path + query)) {
					h.T.Errorf("%s%s keeps the opener", path, query)
				}
			}
		}
		for _, path := range []string{"/", "/settings", "/settings/devices", "/settings?" + app, "/help", "/signout/done", "/healthz", "/nothing"} {
			if keeps(anna.Get(path)) {
				h.T.Errorf("%s keeps the opener", path)
			}
		}
		code := b.FirstStep("/signin?"+app, "email", live.AnnaEmail, "password", live.AnnaPassword)
		way := []live.Answer{b.Post(b.CodePage, "code", live.Wrong(code))}
		h.Turn(time.Minute)
		way = append(way, b.Post(b.CodePage, "code", code))
		way = append(way, b.Get(h.location(way[1]).RequestURI())) // consent
		way = append(way, h.allow(b, way[2]), b.Get("/oauth2/authorize?client_id=nobody"), b.Get("/oauth2/authorize?"+asking("other", otherBack).Encode()))
		for _, a := range way {
			if !keeps(a) {
				h.T.Errorf("%s %s cuts the opener off", a.Request.Method, a.Request.URL)
			}
		}
	})
}
