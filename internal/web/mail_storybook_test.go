package web

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/brand"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/mail"
)

// mailStories are the keys of the text of each mail; the subject is beside it.
var mailStories = map[string]string{
	"code": "mail.code.text", "code-long": "mail.code.long.text", "code-new": "mail.code.new.text",
	"reset": "mail.reset.text", "signup": "mail.signup.text", "exists": "mail.exists.text",
	"changed": "mail.changed.text", "added": "mail.added.text", "removed": "mail.removed.text",
	"email": "mail.email.text", "used": "mail.used.text", "welcome": "mail.welcome.text",
	"trusted": "mail.trusted.text", "stolen": "mail.stolen.text", "guessed": "mail.guessed.text",
	"longer": "mail.longer.text", "removed-email": "mail.removed.email.text", "frozen": "mail.frozen.text",
	"kept": "mail.kept.text", "undone": "mail.undone.text", "step-until": "mail.step.until.text",
	"step-always": "mail.step.always.text", "operator-role": "mail.operator.role.text", "test": "mail.test.text",
	"invited":           "mail.invited.text",
	"operator-disabled": "mail.operator.disabled.text", "operator-enabled": "mail.operator.enabled.text",
	"operator-deleted": "mail.operator.deleted.text", "operator-renamed": "mail.operator.renamed.text",
	"operator-groups": "mail.operator.groups.text", "operator-session": "mail.operator.session.text",
	"operator-sessions": "mail.operator.sessions.text", "operator-device": "mail.operator.device.text",
	"operator-devices": "mail.operator.devices.text", "operator-methods": "mail.operator.methods.text",
	"operator-removed": "mail.operator.removed.text", "operator-email": "mail.operator.email.text",
	"operator-address": "mail.operator.address.text", "operator-reset": "mail.operator.reset.text",
	"operator-kept":      "mail.operator.kept.text",
	"operator-app-added": "mail.operator.app.added.text", "operator-app-changed": "mail.operator.app.changed.text",
	"operator-app-secret": "mail.operator.app.secret.text", "operator-app-removed": "mail.operator.app.removed.text",
	"desk-requested": "mail.desk.requested.text", "desk-approved": "mail.desk.approved.text",
	"desk-refused": "mail.desk.refused.text", "desk-withdrawn": "mail.desk.withdrawn.text",
	"desk-used": "mail.desk.used.text", "desk-cancelled": "mail.desk.cancelled.text", "desk-ended": "mail.desk.ended.text",
}

// storyMail returns a mail with values as they come in real life.
func storyMail(lang, key string, brand brand.Brand) delivery.Message {
	w := i18n.ForTag(lang)
	code, what, token := "012345", "Authenticator App", "4WQPHJ7QXMKDDPTVFZ2B"
	switch key {
	case "mail.code.long.text":
		code = "7KQ2-M9XPA-3HVTN"
	case "mail.email.text":
		what = "jane.doe@example.org"
	case "mail.operator.role.text":
		what = w.Translate("role.helpdesk")
	case "mail.operator.app.added.text", "mail.operator.app.changed.text", "mail.operator.app.secret.text", "mail.operator.app.removed.text":
		what = "Grafana (grafana)"
	case "mail.trusted.text":
		what = w.Translate("trust.label", "Count", 30)
	}
	until := w.FormatHour(now.Add(900e9))
	if key == "mail.frozen.text" {
		until = w.FormatTime(now.Add(72 * 3600e9))
	}
	say := func(key string) string {
		return w.Translate(key, "Code", code, "Link", "https://signin.example.com/signin/verify#7KQ2M9XPA3HVTN",
			"Site", "Example & Söhne", "URL", "https://signin.example.com", "Query", "", "Token", token, "What", what, "More", "groups, redirects", "Count", 7,
			"Valid", w.Translate("mail.minutes", "Count", 15), "Until", until,
			"When", w.FormatTime(now), "Browser", w.Translate("browser.on", "Browser", "Firefox", "System", "Windows"),
			"Address", "203.0.113.5", "Who", w.Translate("mail.operator.name", "Name", "root"))
	}
	subject := strings.TrimSuffix(key, "text") + "subject"
	if strings.HasPrefix(key, "mail.code.") {
		subject = "mail.code.subject"
	}
	return mail.Layout{Site: "Example & Söhne", PublicURL: "https://signin.example.com", Brand: brand}.Apply(
		delivery.Message{Channel: delivery.Email, Language: lang, Subject: say(subject), Text: say(key)})
}

func storyBrand(t *testing.T) brand.Brand {
	t.Helper()
	logo, err := os.ReadFile(filepath.Join("testdata", "logo.png"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := brand.New(brand.Config{
		Logo: logo, Color: "#0a7d4f", Support: "help@example.com", Footer: "Example & Söhne Ltd\n1 High Street, London",
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// notInMail are values and texts that are missing, and anything that a mail program would load.
var notInMail = regexp.MustCompile(`<no value>|\[\[|\bmail\.[a-z]+\.|src="http|url\(`)

// Every mail in every language, with and without a brand. With TWOSTEP_PAGES=folder the mails are written there.
func TestStorybookMails(t *testing.T) {
	for _, lang := range i18n.Languages() {
		for name, key := range mailStories {
			for look, b := range map[string]brand.Brand{"": {}, "-brand": storyBrand(t)} {
				m := storyMail(lang, key, b)
				html := m.HTML
				for _, f := range m.Inline {
					html = strings.ReplaceAll(html, "cid:"+f.ID,
						"data:"+f.ContentType+";base64,"+base64.StdEncoding.EncodeToString(f.Data))
				}
				saveStory(t, lang+"-mail-"+name+look+".html", html)
				saveStory(t, lang+"-mail-"+name+look+".txt", m.Subject+"\n\n"+m.Text)
				if not := notInMail.FindString(m.Subject + m.Text + m.HTML); not != "" {
					t.Errorf("%s %s: has %q:\n%s", lang, name, not, m.Text)
				}
			}
		}
	}
}

// The list has every mail that there is.
func TestStorybookHasEveryMail(t *testing.T) {
	words, err := os.ReadFile("../i18n/words/en.json")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, key := range mailStories {
		told[key] = true
	}
	for _, line := range strings.Split(string(words), "\n") {
		key, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), `"`), `"`)
		if strings.HasPrefix(key, "mail.") && strings.HasSuffix(key, ".text") && !told[key] {
			t.Errorf("%s is not in the storybook", key)
		}
	}
}
