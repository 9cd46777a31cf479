package e2e

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

// withFixedApp has an app in the configuration file.
func withFixedApp(o *twostep.Options) {
	o.Apps = []twostep.App{{ID: "wiki", Name: "Wiki", Hosts: []string{"wiki.example.com"}, RequiredGroups: []string{"staff"}}}
}

// operatorsAppsStory shows the operators' pages about apps.
func operatorsAppsStory(b *tab, show func(string)) {
	s := b.on(withFixedApp)
	if err := s.SetRole(b.t.Context(), twostep.By{}, live.AnnaEmail, twostep.RoleOperator); err != nil {
		b.t.Fatal(err)
	}
	b.signIn(s)
	b.open("/admin/apps")
	b.sees("Configuration file")
	show("admin-apps-fixed")
	b.click("Add an app")
	show("admin-app-add")
	b.enter("id", "grafana")
	b.enter("name", "Grafana")
	b.do(chromedp.SetValue("#redirects", "https://*.example.com/login/generic_oauth", chromedp.ByQuery))
	b.click("Save")
	b.sees("has a wildcard: list each URL")
	show("admin-app-wrong")
	b.do(chromedp.SetValue("#redirects", "https://grafana.example.com/login/generic_oauth", chromedp.ByQuery))
	b.click("Save")
	b.sees("The secret is shown only once")
	secret := value[string](b, `document.querySelector("#secret").innerText`)
	show("admin-app-secret")
	b.click("Back to the app")
	b.sees("Not used yet")
	show("admin-app")
	b.click("People who use it")
	b.sees("Nobody uses it now.")
	back := "https://grafana.example.com/login/generic_oauth"
	anna := s.Browser()
	anna.SignIn()
	anna.Get("/oauth2/authorize?" + url.Values{"client_id": {"grafana"}, "redirect_uri": {back}, "response_type": {"code"},
		"scope": {"openid"}, "nonce": {"n"}}.Encode())
	b.reload()
	b.sees("Anna")
	show("admin-app-people")
	b.click("Back to the app")
	b.click("Create a new secret")
	show("admin-app-rotate")
	b.click("Create the secret")
	b.sees("The old one works until you end it")
	if value[string](b, `document.querySelector("#secret").innerText`) == secret {
		b.t.Error("the new secret is the old one")
	}
	b.click("Back to the app")
	b.sees("Two secrets, the old one still works")
	b.click("End the old secret")
	show("admin-app-end-old")
	b.click("End the old secret")
	b.sees("The old secret no longer works.")
	b.click("Change the app")
	show("admin-app-edit")
	b.do(chromedp.SetValue("#groups", "staff\nadmins", chromedp.ByQuery))
	b.do(chromedp.Click(`//summary[contains(., "Tokens, claims")]`, chromedp.BySearch))
	b.enter("id_token_ttl", "48h")
	b.click("Save")
	b.sees("id_token_ttl is 172800 seconds, want 1m to 24h.")
	if where := b.focus(); where != "id_token_ttl" {
		b.t.Errorf("the focus is on %q", where)
	}
	show("admin-app-edit-wrong")
	b.enter("id_token_ttl", "8h")
	b.click("Save")
	b.sees("The app was changed.")
	b.click("Remove the app")
	b.sees("People who use it now: 1")
	show("admin-app-remove")
	b.click("Remove the app")
	b.sees("The app was removed.")
	for i := range 30 {
		a := twostep.App{ID: fmt.Sprintf("app%02d", i), Name: fmt.Sprintf("App number %d", i), Hosts: []string{fmt.Sprintf("app%02d.example.com", i)}, SelfRegistered: i%7 == 0}
		if err := s.CreateApp(b.t.Context(), a); err != nil {
			b.t.Fatal(err)
		}
	}
	b.open("/admin/apps")
	show("admin-apps")
	b.click("Next page")
	b.sees("App number 29")
	b.click("First page")
	b.enter("q", "number 12")
	b.click("Find apps")
	b.sees("app12.example.com")
	b.open("/admin/apps/app07")
	b.sees("This app registered itself")
	show("admin-app-self")
}

// The pages about apps are in German too, and long words do not break on a phone.
func TestBrowserOperatorsAppsInGerman(t *testing.T) {
	t.Parallel()
	b := browse(t, "", phone)
	s := b.on(withFixedApp)
	if err := s.SetRole(t.Context(), twostep.By{}, live.AnnaEmail, twostep.RoleOperator); err != nil {
		t.Fatal(err)
	}
	b.signIn(s)
	b.speaks("de-DE")
	b.open("/admin/apps/wiki")
	b.sees("Diese App steht in der Konfigurationsdatei.")
	b.fits()
	b.shoot("german-admin-app", phone)
	b.open("/admin/new-app")
	b.enter("id", "wiki")
	b.do(chromedp.SetValue("#hosts", "other.example.com", chromedp.ByQuery))
	b.click("Speichern")
	b.sees("Eine andere App hat diese ID.")
	b.fits()
	b.shoot("german-admin-app-wrong", phone)
}
