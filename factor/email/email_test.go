package email

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
)

func testRequest(language string) factor.Request {
	zone := time.FixedZone("CET", 3600)
	return factor.Request{
		Account: factor.Account{ID: "a", Email: "anna@example.com", Name: "Anna"},
		Factor:  factor.Factor{ID: "email", Method: "email", Destination: "anna@example.com"},
		Site:    "Example <b>", Language: language, Browser: "Firefox on Windows", Address: "203.0.113.5",
		StartedAt: time.Date(2026, 11, 23, 14, 17, 0, 0, zone), Now: time.Date(2026, 11, 23, 14, 17, 0, 0, zone),
		ExpiresAt: time.Date(2026, 11, 23, 14, 32, 0, 0, zone),
	}
}

// The code is first in the subject and alone on its line, the message says how long the code is
// valid and what it is for, and it has no link.
func TestCodeMail(t *testing.T) {
	for language, says := range map[string][]string{
		"en": {"is your Example <b> verification code", "Works for 15 minutes, until 14:32 CET.",
			"We never ask for this code"},
		"de": {"Bestätigungscode", "Gilt 15 Minuten, bis 14:32 CET."},
	} {
		c, err := Method{}.Challenge(t.Context(), testRequest(language))
		if err != nil {
			t.Fatal(err)
		}
		m := c.Message
		if m.Channel != delivery.Email || m.To != "anna@example.com" ||
			!regexp.MustCompile(`^\d{6}$`).MatchString(c.Answer) {
			t.Errorf("%s: to %s, answer of %d characters", language, m.To, len(c.Answer))
		}
		if !strings.HasPrefix(m.Subject, c.Answer+" ") || !strings.Contains(m.Text, "\n\n"+c.Answer+"\n\n") ||
			!strings.Contains(m.HTML, "<h1>"+c.Answer+"</h1>") {
			t.Errorf("%s: the code is not where it should be:\n%s\n%s\n%s", language, m.Subject, m.Text, m.HTML)
		}
		for _, want := range append(says, "Firefox on Windows", "203.0.113.5", "14:17 CET") {
			if !strings.Contains(m.Subject+m.Text, want) {
				t.Errorf("%s: does not say %q:\n%s", language, want, m.Text)
			}
		}
		if strings.Contains(m.Text+m.HTML, "http") || strings.Contains(m.HTML, "Example <b>") ||
			strings.Contains(m.HTML, "style") {
			t.Errorf("%s: a link, a style or raw text in\n%s", language, m.HTML)
		}
	}
}

func TestChallengeDrawsNewCode(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		c, err := Method{}.Challenge(t.Context(), testRequest("en"))
		if err != nil {
			t.Fatal(err)
		}
		seen[c.Answer] = true
	}
	if len(seen) < 49 {
		t.Errorf("%d different codes of 50", len(seen))
	}
}
