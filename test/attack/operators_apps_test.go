package attack

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/admin"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

const newsForm = "id=news&name=The+News&redirects=" + "https%3A%2F%2Fnews.example%2Fcb"

var (
	shownSecret   = regexp.MustCompile(`<code id="secret"[^>]*>([^<]+)</code>`)
	secretHash    = regexp.MustCompile(`[0-9a-f]{64}`)
	hiddenVersion = regexp.MustCompile(`name="version" value="([^"]+)"`)
)

// version is that of the app on one of its pages.
func (h *server) version(b *live.Browser, path string) string {
	h.T.Helper()
	m := hiddenVersion.FindStringSubmatch(h.wantStatus(b.Get(path), http.StatusOK).Body)
	if m == nil {
		h.T.Fatalf("%s has no version", path)
	}
	return m[1]
}

// secretIn is the secret on a page, which is not kept by caches.
func (h *server) secretIn(a live.Answer) string {
	h.T.Helper()
	m := shownSecret.FindStringSubmatch(h.wantStatus(a, http.StatusOK).Body)
	if m == nil {
		h.T.Fatalf("no secret:\n%.800s", a.Body)
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" || a.Header.Get("Location") != "" {
		h.T.Errorf("the page with the secret has Cache-Control %q and leads to %q", got, a.Header.Get("Location"))
	}
	return m[1]
}

// mailedTo runs a step and returns the recipients of the emails of it, which must say who made the change and when.
func (h *server) mailedTo(step func()) (to []string, text string) {
	h.T.Helper()
	h.WaitForOutbox()
	n := h.Mail.Len()
	step()
	h.WaitForOutbox()
	for ; n < h.Mail.Len(); n++ {
		mail := h.Mail.Next(n)
		to = append(to, regexp.MustCompile(`(?m)^To: <?([^\s>]+)`).FindStringSubmatch(mail)[1])
		if text = mail; !strings.Contains(mail, "Rolf") || !strings.Contains(mail, h.Now().UTC().Format("2 Jan 2006")) {
			h.T.Errorf("the email does not say who and when:\n%s", mail)
		}
	}
	slices.Sort(to)
	return to, text
}

// What an operator does to an app is done in silence, or in the name of somebody else. A secret is in a cache, an
// address, an email, the log or an event, or is shown again.
func TestOperatorsChangeApps(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b, anna := h.withRole(twostep.RoleOperator), h.annaSignedIn()
		me := h.value("SELECT id FROM accounts WHERE role = 'operator'")
		h.must(h.SetRole(h.T.Context(), twostep.By{}, live.AnnaEmail, twostep.RoleOperator))
		off := twostep.AccountParams{Email: "off@example.com", Name: "Off", Password: benPassword, Role: twostep.RoleOperator}
		h.must(h.CreateAccount(h.T.Context(), off))
		h.must(h.Disable(h.T.Context(), twostep.By{}, off.Email))
		h.withRole(twostep.RoleAuditor)
		var secrets []string
		act := func(kind, reason string, step func()) {
			h.T.Helper()
			to, text := h.mailedTo(step)
			if !slices.Equal(to, []string{live.AnnaEmail, "roleoperator@example.com"}) || !strings.Contains(text, "news") {
				h.T.Errorf("%s: emails to %q\n%s", kind, to, text)
			}
			events, err := h.AuditEvents(h.T.Context(), twostep.AuditFilter{Kinds: []string{kind}, Limit: 1})
			if err != nil || len(events) != 1 || events[0].ActorType != "operator" || events[0].ActorID != me ||
				events[0].Client != "news" || events[0].Reason != reason || events[0].Address == "" {
				h.T.Errorf("%s: %v %+v", kind, err, events)
			}
			for _, secret := range secrets {
				if strings.Contains(text, secret) {
					h.T.Errorf("%s: the secret is in the email", kind)
				}
			}
		}
		redeem := func(secret string) appAnswer {
			return h.redeem(h.codeFor(anna, asking("news", "https://news.example/cb")), "news", secret, "https://news.example/cb")
		}
		want := func(what, secret string, status int) {
			h.T.Helper()
			if got := redeem(secret); got.status != status {
				h.T.Errorf("%s: %d %v, want %d", what, got.status, got.body, status)
			}
		}
		act("client.created", "", func() { secrets = append(secrets, h.secretIn(h.post(b, "/admin/new-app", newsForm))) })
		want("the secret", secrets[0], http.StatusOK)
		again := h.post(b, "/admin/new-app", newsForm) // a reload
		if h.wantStatus(again, http.StatusUnprocessableEntity); !strings.Contains(again.Body, "Another app has this ID.") {
			h.T.Errorf("the same app again: %.800s", again.Body)
		}

		rotate := "keep=1&version=" + h.version(b, "/admin/apps/news/rotate")
		act("client.secret_rotated", "secrets", func() { secrets = append(secrets, h.secretIn(h.post(b, "/admin/apps/news/rotate", rotate))) })
		h.wantDone(b, h.post(b, "/admin/apps/news/rotate", rotate), "/admin/apps/news", "Nothing was changed: someone else change")
		want("the kept secret", secrets[0], http.StatusOK)
		want("the new secret", secrets[1], http.StatusOK)
		if page := h.wantStatus(b.Get("/admin/apps/news"), http.StatusOK).Body; !strings.Contains(page, "the old one still works") {
			h.T.Error("the page does not say that the old secret works")
		}
		act("client.updated", "secrets", func() {
			v := h.version(b, "/admin/apps/news/end-old")
			h.wantDone(b, h.post(b, "/admin/apps/news/end-old", "version="+v), "/admin/apps/news", "The old secret no longer works.")
		})
		want("the ended secret", secrets[0], http.StatusUnauthorized)
		want("the new secret", secrets[1], http.StatusOK)
		h.wantStatus(b.Get("/admin/apps/news/end-old"), http.StatusNotFound)
		act("client.secret_rotated", "secrets", func() {
			v := h.version(b, "/admin/apps/news/rotate")
			secrets = append(secrets, h.secretIn(h.post(b, "/admin/apps/news/rotate", "version="+v)))
		})
		want("a secret that was not kept", secrets[1], http.StatusUnauthorized)
		want("the newest", secrets[2], http.StatusOK)

		version := h.version(b, "/admin/apps/news/edit")
		change := "name=The+News&redirects=https%3A%2F%2Fnews.example%2Fcb%0D%0Ahttps%3A%2F%2Fnews.example%2Fother&max_age=8h&version="
		act("client.updated", "max_age, redirects", func() {
			h.wantDone(b, h.post(b, "/admin/apps/news/edit", change+version), "/admin/apps/news", "The app was changed.")
		})
		if to, _ := h.mailedTo(func() {
			h.wantDone(b, h.post(b, "/admin/apps/news/edit", "name=Thief&redirects=https%3A%2F%2Fthief.example%2Fcb&version="+version), "/admin/apps/news", "Nothing was changed: someone else change")
			same := change + h.version(b, "/admin/apps/news/edit")
			h.wantDone(b, h.post(b, "/admin/apps/news/edit", same), "/admin/apps/news", "The app was changed.")
			h.wantDone(b, h.post(b, "/admin/apps/news/end-old", "version="+version), "/admin/apps/news", "Nothing was changed: someone else change")
		}); len(to) != 0 {
			h.T.Errorf("emails to %q about what was not changed", to)
		}
		if news, err := h.GetApp(h.T.Context(), "news"); err != nil || news.Name != "The News" || len(news.RedirectURIs) != 2 || news.MaxAge != 8*3600 {
			h.T.Errorf("%+v, %v", news, err)
		}
		for _, path := range []string{"/admin/apps", "/admin/apps/news", "/admin/apps/news/edit", "/admin/apps/news/rotate", "/admin/apps/news/people", "/admin/audit"} {
			page := h.wantStatus(b.Get(path), http.StatusOK).Body
			for _, secret := range append(secretHash.FindAllString(h.value("SELECT registration FROM clients"), 1), secrets...) {
				if strings.Contains(page, secret) {
					h.T.Errorf("%s shows a secret again", path)
				}
			}
		}
		if people := b.Get("/admin/apps/news/people").Body; !strings.Contains(people, "/admin/people/"+h.value("SELECT id FROM accounts WHERE email = 'anna@example.com'")) {
			h.T.Error("Anna is not among the people of the app")
		}
		tokens := redeem(secrets[2])
		remove := h.wantStatus(b.Get("/admin/apps/news/remove"), http.StatusOK).Body
		if !strings.Contains(remove, "People who use it now: 1") {
			h.T.Errorf("the page does not say how many people: %s", remove)
		}
		act("client.deleted", "", func() {
			h.wantDone(b, h.post(b, "/admin/apps/news/remove", "version="+h.version(b, "/admin/apps/news/remove")), "/admin/apps", "The app was removed.")
		})
		if got := h.userinfo(tokens.text("access_token")); got.status != http.StatusUnauthorized {
			h.T.Errorf("a token of a removed app: %d", got.status)
		}
		for _, table := range []string{"clients", "grants", "tokens", "consents", "client_uses"} {
			if n := h.count(table); n != 0 {
				h.T.Errorf("%d rows of %s are left", n, table)
			}
		}
		h.wantStatus(b.Get("/admin/apps/news"), http.StatusNotFound)
		kept := h.Log.String() + strings.Join(h.column("SELECT target || reason || client FROM audit_events"), "\n")
		for _, secret := range secrets {
			if strings.Contains(kept, secret) {
				h.T.Error("a secret is in the log or in an event")
			}
		}
	})
}

// An app gets an address that somebody else could read, or two apps one host, because a page checks less than the command.
func TestAppPagesCheckWhatTheCommandChecks(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.withRole(twostep.RoleOperator)
		h.wantDone(b, h.post(b, "/admin/new-app", "id=wiki&hosts=wiki.example"), "/admin/apps/wiki", "The app was added.")
		h.must(h.CreateApp(h.T.Context(), twostep.App{ID: "news", RedirectURIs: []string{"https://news.example/cb"}}))
		before := h.contents()
		for what, row := range map[string]struct{ form, field, says string }{
			"no id":      {"hosts=a.example", "id", "The ID must have 1 to 64 lower-case letters"},
			"path id":    {"id=..%2Fa&hosts=a.example", "id", "The ID must have"},
			"wildcard":   {"redirects=https%3A%2F%2F*.example%2Fcb", "redirects", `"https://*.example/cb" has a wildcard`},
			"http":       {"redirects=http%3A%2F%2Fa.example%2Fcb", "redirects", "is http, which anybody on the network can read"},
			"user":       {"redirects=https%3A%2F%2Fgood%40evil.example%2Fcb", "redirects", "has a user name"},
			"backslash":  {"redirects=https%3A%2F%2Fevil%5C%40good.example%2Fcb", "redirects", "has a backslash"},
			"script":     {"redirects=javascript%3Aalert(1)", "redirects", "has the scheme javascript"},
			"signed out": {"hosts=a.example&signed_out=x", "signed_out", "The URL after signing out"},
			"host":       {"hosts=wiki.example", "hosts", `The host "wiki.example" already belongs to the app "wiki".`},
			"no way in":  {"name=A&public=1", "redirects", "It needs a redirect URL, a host"},
			"file":       {"redirects=https%3A%2F%2Fa.example%2Fcb&keys=%2Fetc%2Fpasswd", "keys", "The keys: no JWK set"},
			"private":    {"redirects=https%3A%2F%2Fa.example%2Fcb&keys=" + url.QueryEscape(`{"keys":[{"kty":"oct","k":"aHVudGVyMg"}]}`), "keys", "public keys only"},
			"lifetime":   {"hosts=a.example&id_token_ttl=48h", "id_token_ttl", "want 1m to 24h."},
		} {
			for _, path := range []string{"/admin/new-app", "/admin/apps/news/edit"} {
				form := row.form
				switch isNew := path == "/admin/new-app"; {
				case !isNew && row.field == "id":
					continue
				case isNew && row.field != "id":
					form = "id=thief&" + form
				case !isNew:
					form += "&version=" + h.version(b, path)
				}
				a := h.wantStatus(h.post(b, path, form), http.StatusUnprocessableEntity)
				beside := `<p class="wrong" id="` + row.field + `-wrong" role="alert">`
				_, text, found := strings.Cut(html.UnescapeString(a.Body), beside)
				if text, _, _ = strings.Cut(text, "</p>"); !found || !strings.Contains(text, row.says) {
					h.T.Errorf("%s at %s: %q", what, path, text)
				}
				if strings.Contains(a.Body, "aHVudGVyMg") || strings.Contains(a.Body, "root:") {
					h.T.Errorf("%s at %s: the page shows what nobody may see", what, path)
				}
			}
		}
		for _, form := range []string{"id=thief&hosts=a.example&secrets=x", "id=thief&hosts=a.example&self_registered=1", "id=thief&hosts=a.example&hosts=b.example"} {
			h.wantStatus(h.post(b, "/admin/new-app", form), http.StatusBadRequest)
		}
		if after := h.contents(); after != before {
			h.T.Error("a refused form has changed something")
		}
	})
}

// Somebody without the role changes an app that is there, the help desk sees one, or a page changes an app of the
// configuration file.
func TestRolesLimitWhatIsDoneToApps(t *testing.T) {
	t.Parallel()
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		h := start(t, database, func(o *twostep.Options) {
			o.Apps = []twostep.App{{ID: "fixed", Name: "Fixed", Hosts: []string{"fixed.example"}}}
		})
		_, hash := twostep.NewAppSecret()
		news := twostep.App{ID: "news", RedirectURIs: []string{"https://news.example/cb"}, SecretHashes: []string{hash, hash}}
		h.must(h.CreateApp(h.T.Context(), news))
		byRole := map[string]*live.Browser{}
		for _, role := range allRoles {
			byRole[role] = h.withRole(role)
		}
		before := h.value("SELECT registration FROM clients")
		for _, r := range (&admin.Handlers{}).Routes() {
			method, path, _ := strings.Cut(r.Pattern, " ")
			if !strings.HasPrefix(path, "/admin/apps") && path != "/admin/new-app" {
				continue
			}
			form := inventory[slices.IndexFunc(inventory, func(one route) bool { return one.pattern == r.Pattern })].form
			reads := method == http.MethodGet && !strings.HasSuffix(path, "/{id}") && path != "/admin/apps" && !strings.HasSuffix(path, "/people")
			for role, b := range byRole {
				allowed := slices.Contains(r.Roles, role)
				if wantRole := role == twostep.RoleOperator || role == twostep.RoleAuditor && method == http.MethodGet && !reads; allowed != wantRole {
					h.T.Errorf("%s is allowed for %q: %v", r.Pattern, role, allowed)
				}
				for _, id := range []string{"news", "fixed"} {
					want := http.StatusNotFound
					switch {
					case allowed && method == http.MethodPost && id == "news":
						continue // another test
					case allowed && method == http.MethodGet && (id == "news" || !reads || path == "/admin/new-app"):
						want = http.StatusOK
					case allowed && path == "/admin/new-app":
						continue
					}
					to := strings.Replace(path, "{id}", id, 1)
					h.wantStatus(h.requestRoute(b, operatorRoute{method: method, path: to, form: form}), want)
				}
			}
		}
		if after := h.value("SELECT registration FROM clients"); after != before {
			h.T.Errorf("the app was changed: %s", after)
		}
		auditor := h.wantStatus(byRole[twostep.RoleAuditor].Get("/admin/apps/news"), http.StatusOK).Body
		fixed := h.wantStatus(byRole[twostep.RoleOperator].Get("/admin/apps/fixed"), http.StatusOK).Body
		for what, page := range map[string]string{"an auditor": auditor, "an app of the file": fixed} {
			for _, link := range []string{"/edit", "/rotate", "/remove", "/end-old"} {
				if strings.Contains(page, link+`"`) {
					h.T.Errorf("%s: the page links to %s", what, link)
				}
			}
		}
		if !strings.Contains(fixed, "This app is in the configuration file.") {
			h.T.Error("the page does not say that the app is in the configuration file")
		}
	})
}

// An app that has registered itself looks like one of the operator, or one that is in use like one that nobody uses. The
// list has all apps, a page at a time, and those that match.
func TestListOfApps(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(h *server) {
		b := h.withRole(twostep.RoleOperator)
		got := h.register(h.Browser(), h.registrationToken(1), `{"redirect_uris": ["https://new.example/cb"], "client_name": "Robot"}`)
		if got.status != http.StatusCreated {
			h.T.Fatal(got)
		}
		want := []string{got.text("client_id")}
		for i := range 60 {
			id := "app" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			h.must(h.CreateApp(h.T.Context(), twostep.App{ID: id, Name: "Name of " + id, Hosts: []string{id + ".example"}}))
			want = append(want, id)
		}
		link := regexp.MustCompile(`href="/admin/apps/([^"/]+)"`)
		next := regexp.MustCompile(`href="([^"]+)" rel="next"`)
		list := func(path string) (ids []string) {
			for path != "" {
				a := h.wantStatus(b.Get(path), http.StatusOK)
				if len(a.Body) > 15<<10 {
					h.T.Errorf("%s has %d bytes", path, len(a.Body))
				}
				for _, m := range link.FindAllStringSubmatch(a.Body, -1) {
					ids = append(ids, m[1])
				}
				path = ""
				if m := next.FindStringSubmatch(a.Body); m != nil {
					path = html.UnescapeString(m[1])
				}
			}
			return ids
		}
		if all := list("/admin/apps"); !slices.Equal(all, want) {
			h.T.Errorf("%d apps: %q", len(all), all)
		}
		for q, want := range map[string][]string{"NAME+OF+APPAB": {"appab"}, "appac.EXAMPLE": {"appac"}, "appa": want[1:27], "nothing": nil} {
			if found := list("/admin/apps?q=" + q); !slices.Equal(found, want) {
				h.T.Errorf("%s: %q", q, found)
			}
		}
		robot := want[0]
		if page := b.Get("/admin/apps?q=robot").Body; !strings.Contains(page, "Registered itself") {
			h.T.Error("an app that has registered itself is not marked")
		}
		h.wantDone(b, h.post(b, "/admin/apps/"+robot+"/remove", ""), "/admin/apps", "The app was removed.")
		h.wantStatus(h.post(b, "/admin/apps/"+robot+"/remove", ""), http.StatusNotFound)
	})
	checkLastUses(t)
}

// checkLastUses checks that the pages say when somebody last came in through the proxy, or a token was last renewed.
func checkLastUses(t *testing.T) {
	eachDatabase(t, func(h *server) {
		b := h.withRole(twostep.RoleOperator)
		used := func(app string) bool {
			h.T.Helper()
			return !strings.Contains(h.wantStatus(b.Get("/admin/apps/"+app), http.StatusOK).Body, "Not used yet")
		}
		_, secret := h.addNews(func(*twostep.App) {})
		if used("wiki") || used("news") {
			h.T.Error("an app is used before anybody has used it")
		}
		person := h.annaSignedIn()
		h.wantStatus(h.proxiedUser(person).open(wiki, "/"), http.StatusOK)
		tokens := h.tokensOf(person, secret)
		if !used("wiki") || !used("news") || used("payroll") {
			h.T.Errorf("used: wiki %v, news %v, payroll %v", used("wiki"), used("news"), used("payroll"))
		}
		page := func() string { return b.Get("/admin/apps?q=news").Body }
		before := page()
		h.Turn(3 * time.Minute)
		if got := h.refresh(tokens.text("refresh_token"), "news", secret); got.status != http.StatusOK {
			h.T.Fatal(got)
		}
		if page() == before {
			h.T.Error("a renewed token is no use")
		}
	}, behindProxy)
}

// wantDone fails the test unless a redirects to the page at path, which then says what was done.
func (h *server) wantDone(b *live.Browser, a live.Answer, path, says string) {
	h.T.Helper()
	h.wantRedirect(a, path)
	if page := b.Get(path).Body; !strings.Contains(page, says) {
		h.T.Errorf("%s does not say %q", path, says)
	}
}
