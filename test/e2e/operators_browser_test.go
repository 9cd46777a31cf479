package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/test/e2e/live"
)

// withSettings shows some settings to operators.
func withSettings(o *twostep.Options) {
	o.Version = "v1.2.3 go1.26"
	o.Settings = []twostep.Setting{
		{Name: "public_url", Value: "https://signin.example.com", Source: "twostep.toml:1"},
		{Name: "site", Value: "Example", Source: "TWOSTEP_SITE"},
		{Name: "database", Value: "SQLite in the data folder"},
		{Name: "smtp.host", Value: "mail.example.com", Source: "twostep.toml:7"},
		{Name: "smtp.password", Value: "••••••••", Source: "TWOSTEP_SMTP_PASSWORD_FILE"},
		{Name: "trust.days", Value: "30"},
	}
}

// history inserts events of 30 days: sign-ins by three ways, wrong passwords and codes.
func history(s *live.Server) {
	s.T.Helper()
	now := s.Now().Truncate(time.Hour)
	var anna string
	db := s.Beside()
	if err := db.QueryRowContext(s.T.Context(), "SELECT id FROM accounts WHERE email = 'anna@example.com'").Scan(&anna); err != nil {
		s.T.Fatal(err)
	}
	tx, err := db.BeginTx(s.T.Context(), nil)
	if err != nil {
		s.T.Fatal(err)
	}
	n := int64(0)
	add := func(at time.Time, kind int, failed bool, reason string, times int) {
		for range times {
			n++
			_, err := tx.ExecContext(s.T.Context(), `INSERT INTO audit_events (id, kind, actor_type, actor_id, account, target, failed,
				reason, client, sign_in, address, browser, trace, occurrences) VALUES ($1, $2, 2, '', $3, '', $4, $5, '', '', '203.0.113.7', 0, '', 1)`,
				at.UnixMilli()<<21+n, kind, anna, failed, reason)
			if err != nil {
				s.T.Fatal(err)
			}
		}
	}
	for hour := range 30 * 24 {
		at := now.Add(-time.Duration(hour) * time.Hour)
		busy := max(0, 6-(at.Hour()-13)*(at.Hour()-13)/6)
		add(at, 18, false, "trusted device", busy)
		add(at, 18, false, "email", busy/2)
		add(at, 12, true, "", busy/3)
		add(at, 16, true, "", busy/5)
	}
	if err := tx.Commit(); err != nil {
		s.T.Fatal(err)
	}
}

// person opens the page of somebody in the list.
func (b *tab) person(name string) {
	b.t.Helper()
	b.open(value[string](b, `[...document.querySelectorAll(".rows a")].find(a => a.innerText.startsWith("`+name+`")).getAttribute("href")`))
}

// operatorsStory shows the operators' pages.
func operatorsStory(b *tab, show func(string)) {
	s := b.on(withSettings, func(o *twostep.Options) {
		send := o.Senders[delivery.Email]
		o.Senders[delivery.Email] = func(ctx context.Context, m delivery.Message) error {
			if m.To == "gone@example.net" {
				return fmt.Errorf("%w: 550 5.1.1 <gone@example.net>: Recipient address rejected: User unknown", delivery.ErrRejected)
			}
			if m.To == "later@example.net" {
				return errors.New("451 4.7.1 Greylisting in action, please come back in 00:04:59")
			}
			return send(ctx, m)
		}
	})
	if err := s.SetRole(b.t.Context(), twostep.By{}, live.AnnaEmail, twostep.RoleOperator); err != nil {
		b.t.Fatal(err)
	}
	ben := twostep.AccountParams{Email: "ben@example.com", Name: "Ben Baker", Password: newPassword, Groups: []string{"staff", "wiki"}}
	if err := s.CreateAccount(b.t.Context(), ben); err != nil {
		b.t.Fatal(err)
	}
	history(s)
	b.signIn(s)
	b.sees("Manage this site")
	show("settings-operator")
	b.open("/admin")
	b.sees("No alarms.")
	show("admin-overview")
	b.click("Last 30 days")
	show("admin-overview-30")
	b.click("People")
	b.sees("ben@example.com")
	show("admin-people")
	b.person("Ben")
	b.sees("Never signed in")
	show("admin-person")
	b.open(value[string](b, "location.pathname") + "/role")
	show("admin-role")
	b.open("/admin/people")
	b.person("Ben")
	b.click("Delete the account")
	b.enter("confirm", "anna@example.com")
	b.click("Delete the account")
	b.sees("This isn't the email address of the account.")
	show("admin-delete")
	b.open("/admin/people?q=anna")
	b.person("Anna")
	b.sees("This is your own account.")
	show("admin-person-self")
	b.open("/admin/invitations")
	show("admin-invitations-none")
	b.click("Invite people")
	b.do(chromedp.SetValue("#people", "eva@example.net, Eva Evans, staff\nanna@example.com\nnobody", chromedp.ByQuery))
	b.click("Check the list")
	b.sees("Nobody was invited.")
	show("admin-invite-wrong")
	b.do(chromedp.SetValue("#people", "eva@example.net, Eva Evans, staff\nfay@example.net", chromedp.ByQuery))
	b.click("Check the list")
	b.sees("People on the list: 2.")
	show("admin-invite-preview")
	b.click("Change the list")
	b.click("Check the list")
	b.click("Send the invitations")
	b.sees("The invitations are on their way.")
	b.do(chromedp.SetValue("#state", "pending", chromedp.ByQuery))
	b.click("Show invitations")
	b.sees("eva@example.net")
	show("admin-invitations")
	b.click("Revoke")
	show("admin-revoke")
	b.click("Revoke")
	b.sees("The invitation was revoked.")
	b.click("Security events")
	b.sees("Wrong password")
	show("admin-audit")
	b.open("/admin/audit?person=nobody%40example.com&address=here&since=yesterday")
	b.sees("No account has this email address.")
	show("admin-audit-wrong")
	b.open("/admin/audit?result=failure&person=anna%40example.com")
	b.click("Wrong password")
	show("admin-event")
	b.click("Messages")
	for _, to := range []string{"gone@example.net", "later@example.net"} {
		b.enter("email", to)
		b.click("Send test")
	}
	b.open("/admin/delivery")
	show("admin-delivery")
	b.click("Signing keys")
	show("admin-keys-none")
	s.Browser().Get("/oauth2/jwks") // creates the first keys
	b.open("/admin/keys")
	b.sees("You can make new keys from")
	show("admin-keys")
	b.click("Settings in force")
	show("admin-settings")
	s.Turn(25 * time.Hour)
	b.signIn(s)
	b.open("/admin/keys")
	b.click("Make new signing keys")
	show("admin-rotate")
	s.Turn(16 * time.Minute)
	b.click("Make new keys")
	b.sees("To open the administrators' pages")
	show("admin-confirm")
	n := s.Mail.Len()
	b.enter("password", live.AnnaPassword)
	b.click("Confirm")
	b.code(s.Code(n))
	b.sees("Nothing was sent.")
	show("admin-unsent")
}

// The pages of an operator are in German too.
func TestBrowserOperatorsInGerman(t *testing.T) {
	t.Parallel()
	b := browse(t, "", phone)
	s := b.on(withSettings)
	if err := s.SetRole(t.Context(), twostep.By{}, live.AnnaEmail, twostep.RoleOperator); err != nil {
		t.Fatal(err)
	}
	b.signIn(s)
	b.speaks("de-DE")
	for path, text := range map[string]string{"/admin": "Übersicht", "/admin/audit": "Sicherheitsereignisse", "/admin/delivery": "Test senden",
		"/admin/keys": "Signaturschlüssel", "/admin/settings": "Geltende Einstellungen"} {
		b.open(path)
		b.sees(text)
		b.fits()
		b.shoot("german-"+filepath.Base(path), phone)
	}
}
