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

// A code that is valid for one minute is not valid for "1 minutes".
func TestCodeMailOfOneMinute(t *testing.T) {
	for language, want := range map[string]string{"en": "works for 1 minute, until", "de": "gilt 1 Minute, bis"} {
		ask := testRequest(language)
		ask.ExpiresAt = ask.Now.Add(time.Minute)
		c, err := Method{}.Challenge(t.Context(), ask)
		if err != nil || !strings.Contains(c.Message.Text, want) {
			t.Errorf("%s: %v\n%s", language, err, c.Message.Text)
		}
	}
}

// The code is first in the subject and alone on its line, the message says how long the code is
// valid and what it is for, and it has no link.
func TestCodeMail(t *testing.T) {
	for language, says := range map[string][]string{
		"en": {"is your Example <b> verification code", "This code works for 15 minutes, until 14:32 CET.", "23 Nov 2026, 14:17 CET",
			"We never ask for this code"},
		"de": {"Bestätigungscode", "Dieser Code gilt 15 Minuten, bis 14:32 Uhr (MEZ).",
			"23. November 2026, 14:17 Uhr (MEZ)"},
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
			m.Language != language {
			t.Errorf("%s: the code is not where it should be:\n%s\n%s", m.Language, m.Subject, m.Text)
		}
		for _, want := range append(says, "Firefox on Windows", "203.0.113.5") {
			if !strings.Contains(m.Subject+m.Text, want) {
				t.Errorf("%s: does not say %q:\n%s", language, want, m.Text)
			}
		}
		if strings.Contains(m.Text, "http") || m.HTML != "" {
			t.Errorf("%s: a link, or HTML that the server would not lay out:\n%s\n%s", language, m.Text, m.HTML)
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
