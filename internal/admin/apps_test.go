package admin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/render"
)

// exampleApp is an app with every field set, and more redirect URLs than a page shows.
func exampleApp() app {
	cl := client.Client{
		ID: "grafana-with-a-rather-long-client-id", Name: "<script>Grafana", RedirectURIs: []string{"https://<b>x"},
		PostLogoutRedirectURIs: []string{"https://grafana.example.com/login"}, AllowedSchemes: []string{"vscode"}, InsecureHTTP: true,
		BackChannelLogoutURI: "https://grafana.example.com/logout", SecretHashes: []string{"HASH", "HASH"}, ThirdParty: true,
		ResponseTypes: []string{"code id_token"}, PKCE: client.PKCERequired, IDTokenAlg: "ES256", Pairwise: true,
		Hosts: []string{"wiki.example.com"}, PublicPaths: []string{"/hooks/*"}, PublicPreflight: true, HeaderEncoding: "percent",
		RequiredACR: "urn:twostep:acr:2", MaxAge: 3600, RequiredGroups: []string{"staff"}, IDTokenTTL: 60, AccessTokenTTL: 60,
		RefreshTokenTTL: 7200, RefreshTokenIdle: 3600, IDTokenClaims: []string{"email"}, ClaimNames: map[string]string{"groups": "roles"},
		GroupNames: map[string]string{"a": "b"}, StaticClaims: map[string]string{"tenant": "acme"}, CanIntrospect: true, DeviceGrant: true,
		SelfRegistered: true,
	}
	for i := range 200 {
		cl.RedirectURIs = append(cl.RedirectURIs, fmt.Sprintf("https://grafana%d.example.com/login/generic_oauth", i))
	}
	return app{cl, true, now}
}

// appStories are the pages about apps in situations with much on them.
func appStories(f frame) map[string]render.View {
	a := exampleApp()
	page := appPage{frame: f, app: a, MayChange: true, MayRotate: true, MayEndOld: true}
	for _, field := range appFields() {
		if v, ok := newAppValue(a.Client, field.name); ok {
			page.Fields = append(page.Fields, v)
		}
	}
	page.Rejections = slices.Repeat([]client.Rejection{{Reason: shorten("<b>x" + strings.Repeat("the redirect_uri is not registered ", 99)),
		Remedy: shorten(strings.Repeat("twostep app set ", 99)), Requests: 3, LastAt: now}}, rejectionsShown)
	few := a.Client
	few.RedirectURIs = few.RedirectURIs[:3]
	people := slices.Repeat([]client.Person{{AccountID: "BO63BHZUKWFSA7LGVCCPWHSJOE", Email: "jane.doe@example.com", Name: "<script>Jane", LastAt: now}}, peoplePerPage)
	return map[string]render.View{
		"apps":       newView("apps", "admin.apps.title", appsPage{frame: f, Apps: slices.Repeat([]app{a}, appsPerPage), First: "/admin/apps", Next: "/admin/apps?after=x", MayAdd: true}),
		"apps-none":  newView("apps", "admin.apps.title", appsPage{frame: f}),
		"app":        newView("app", "admin.apps.title", page),
		"app-people": newView("app_people", "admin.apppeople.title", appPeoplePage{frame: f, app: a, People: people, First: "/x", Next: "/x"}),
		"app-add":    newView("app_form", "admin.app.add", appFormPage{frame: f, Action: "/admin/new-app", Sections: newAppForm(nil, true, "")}),
		"app-edit": newView("app_form", "admin.app.edit", appFormPage{frame: f, Action: "/x", Lead: "<script>", Version: "v",
			Sections: newAppForm(appFormValues(few), false, "redirects")}),
		"app-remove": newView("app_confirm", "admin.app.remove.title", appConfirmPage{frame: f, Lead: "<script>", Text: []string{"<b>x"},
			Keep: true, Danger: true, Button: "admin.app.remove.button"}),
		"app-secret": newView("app_secret", "admin.appsecret.title", appSecretPage{f, a.Client, "SECRET", "https://signin.example.com", true}),
	}
}

// Every field that a change can have is on the form, and a form that is sent as it was shown changes nothing.
func TestAppFormHasEveryField(t *testing.T) {
	a := exampleApp().Client
	for _, f := range appFields() {
		if f.name != "id" && client.Flag(f.name) == "" {
			t.Errorf("%s is set by no flag", f.name)
		}
		if f.name != "id" && f.name != "public" && f.name != "keys" && len(a.Typed(f.name)) == 0 {
			t.Errorf("the example has no %s", f.name)
		}
	}
	same := a
	if secret, err := appChange(appFormValues(a), a).Apply(&same); err != nil || secret != "" || same.Version() != a.Version() {
		t.Errorf("%v, %q: %+v", err, secret, same)
	}
	public := client.Client{ID: "tv", DeviceGrant: true, JWKSet: nil}
	same = public
	if secret, err := appChange(appFormValues(public), public).Apply(&same); err != nil || secret != "" || same.Version() != public.Version() {
		t.Errorf("public: %v, %q: %+v", err, secret, same)
	}
	hosts := client.Client{ID: "wiki", Hosts: []string{"wiki.example.com"}}
	same = hosts
	if secret, err := appChange(appFormValues(hosts), hosts).Apply(&same); err != nil || secret != "" || same.Version() != hosts.Version() {
		t.Errorf("hosts: %v, %q: %+v", err, secret, same)
	}
}

// What is wrong is said in the words of twostep app, in every language, beside a field of the form.
func TestAppMistakes(t *testing.T) {
	for what, row := range map[string]struct {
		form        render.FormValues
		field, want string
		german      string
	}{
		"wildcard": {render.FormValues{"redirects": "https://a.example.com/cb\nhttps://*.example.com/cb"}, "redirects",
			`The redirect URL "https://*.example.com/cb" has a wildcard: list each URL, or codes could be sent to a URL you don't control.`,
			`Die Weiterleitungs-URL "https://*.example.com/cb" hat einen Platzhalter: nennen Sie jede URL, sonst könnten Codes an eine fremde URL gehen.`},
		"http":  {render.FormValues{"redirects": "http://a.example.com/cb"}, "redirects", `The redirect URL "http://a.example.com/cb" is http, which`, "ist http, was"},
		"user":  {render.FormValues{"redirects": "https://good@evil.example/cb"}, "redirects", "has a user name", "Benutzernamen"},
		"host":  {render.FormValues{"hosts": "https://wiki.example.com"}, "hosts", `The host "https://wiki.example.com" is a URL`, "Der Host"},
		"time":  {render.FormValues{"hosts": "a.example.com", "max_age": "8"}, "max_age", "--max-age is 8, want a time with a unit, like 8s for seconds.", "--max-age ist 8"},
		"pair":  {render.FormValues{"hosts": "a.example.com", "map_claims": "groups"}, "map_claims", "--map-claim is", "--map-claim ist"},
		"claim": {render.FormValues{"hosts": "a.example.com", "map_claims": "name=roles"}, "map_claims", "name cannot be mapped to", "kann nicht"},
		"group": {render.FormValues{"hosts": "a.example.com", "groups": "a,b"}, "groups", `The group "a,b" has a comma, which separates groups.`, "Komma"},
		"keys":  {render.FormValues{"redirects": "https://a.example.com/cb", "keys": "/etc/passwd"}, "keys", "The keys: no JWK set", "kein JWK-Set"},
		"both":  {render.FormValues{"redirects": "https://a.example.com/cb", "keys": "{}", "public": "1"}, "public", "--public and --keys exclude each other", "schließen sich aus"},
		"ttl":   {render.FormValues{"hosts": "a.example.com", "id_token_ttl": "48h"}, "id_token_ttl", "id_token_ttl is 172800 seconds, want 1m to 24h.", "erlaubt ist 1m bis 24h."},
	} {
		cl := client.Client{ID: "a"}
		_, err := appChange(row.form, cl).Apply(&cl)
		if err == nil {
			err = cl.Validate()
		}
		invalid, ok := errors.AsType[*client.ValidationError](err)
		if !ok || invalid.Field != row.field {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if !slices.ContainsFunc(appFields(), func(f appField) bool { return f.name == invalid.Field }) {
			t.Errorf("%s: no input %s", what, invalid.Field)
		}
		english, german := asSentence(invalid.Translate(i18n.ForTag("en"))), asSentence(invalid.Translate(i18n.ForTag("de")))
		if !strings.Contains(english, row.want) || !strings.Contains(german, row.german) {
			t.Errorf("%s: %s / %s", what, english, german)
		}
		if said := strings.TrimSuffix(english[1:], "."); !strings.Contains(err.Error(), said) {
			t.Errorf("%s: the page says %q, the command %q", what, english, err)
		}
	}
}
