package admin

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/deskcode"
	"twostep.example/twostep/internal/directory"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/webhook"
)

var now = time.Date(2026, 11, 5, 10, 2, 11, 0, time.UTC)

func newTestHandlers() *Handlers {
	return &Handlers{
		Challenges: &challenge.Challenges{Methods: []factor.Method{email.Method{}}},
		Pages:      &render.Renderer{Site: "Example & Söhne", Now: func() time.Time { return now }},
	}
}

// exampleCounts are counts of 31 days with all outcomes and some methods.
func exampleCounts() (list []audit.Count) {
	for hour := range 31 * 24 {
		at := now.Truncate(time.Hour).Add(-time.Duration(hour) * time.Hour)
		for i, one := range []audit.Count{
			{Kind: audit.SessionCreated, Reason: audit.TrustedDevice}, {Kind: audit.SessionCreated, Reason: "email"},
			{Kind: audit.SessionCreated, Reason: "gone"}, {Kind: audit.PasswordRejected}, {Kind: audit.CodeRejected},
			{Kind: audit.LimitReached}, {Kind: audit.EventsOmitted},
		} {
			one.Hour, one.Events = at, int64(1000*(i+1)+hour%17)
			list = append(list, one)
		}
	}
	return list
}

func (s *Handlers) exampleCharts(lang string, days int) []chart {
	buckets, counts := s.buckets(i18n.ForTag(lang), days), exampleCounts()
	first := newChart(buckets, counts, outcomes, outcomeOf)
	first.ID, first.Title = "outcomes", "admin.chart.outcomes"
	second := newChart(buckets, counts, s.methodSeries(counts), methodOf)
	second.ID, second.Title = "methods", "admin.chart.methods"
	return []chart{first, second}
}

// stories are the pages in situations with much on them.
func stories(lang string) map[string]render.View {
	s, words := newTestHandlers(), i18n.ForTag(lang)
	f := frame{Role: account.RoleOperator, Here: "overview"}
	events := auditPage{frame: f, Older: "/admin/audit?before=1", Newest: "/admin/audit", CSV: "/admin/audit.csv", JSON: "/admin/audit.json"}
	events.Kinds = kindOptions(words)
	for range eventsPerPage {
		events.Events = append(events.Events, newEventRow(words, audit.Event{
			ID: 1 << 40, At: now, Kind: audit.EmailSecondStepChanged, Actor: audit.Actor{Type: audit.TypeOperator, ID: "B"},
			Account: "BO63BHZUKWFSA7LGVCCPWHSJOE", Owner: "<script>jane.doe@example.com", ActorEmail: "john.smith@example.com",
			Reason: "<b>until another", Address: "203.0.113.199", Result: audit.Failure, Occurrences: 12,
		}))
	}
	message := newMessageRow(outbox.Entry{ID: "m", State: "refused", At: now, DueAt: now, Attempts: 3, Channel: "sms", To: "+4915112345678",
		Failure: "<script>550 no"})
	one := events.Events[0]
	alarms := Health{Version: "v1", Database: "SQLite", Jobs: []Job{{Name: "expired", Runs: 3, EndedAt: now}, {Name: "clock"}}}
	for _, key := range []string{"guessing", "proxy", "clock", "database", "mail", "sms", "waiting", "disk", "certificate",
		"mailcertificate"} {
		alarms.Alarms = append(alarms.Alarms, Alarm{Key: key, Time: now, Ends: strings.HasSuffix(key, "certificate")})
	}
	for _, key := range []string{"webhook", "webhook_lost"} {
		alarms.Alarms = append(alarms.Alarms, Alarm{Key: key, Time: now, Name: "<script>crm"})
	}
	views := map[string]render.View{
		"overview": newView("overview", "admin.overview.title", overviewPage{frame: f, Days: 1, Charts: s.exampleCharts(lang, 1), Health: alarms, Paid: true, Today: "0.80", Month: "12.40",
			Delivery: latencyRows(words, []Latency{{"email", 200, 300 * time.Millisecond, 4 * time.Second}, {"twilio", 3, 0, time.Minute}}), Waiting: 3, Oldest: now, Refused: 20, More: true}),
		"overview-30": newView("overview", "admin.overview.title", overviewPage{frame: f, Days: 30, Charts: s.exampleCharts(lang, 30)}),
		"audit":       newView("audit", "admin.audit.title", events),
		"event": newView("event", "admin.audit.title", eventPage{frame: f, eventRow: one, Description: "A.", Browser: "Firefox",
			Facts: []fact{{"target", "<script>"}}}),
		"delivery": newView("delivery", "admin.delivery.title", deliveryPage{frame: f, Waiting: []messageRow{message}, Count: 1, Oldest: now,
			Failed: []messageRow{message}, Channels: []channelRow{{"admin.channel.email", true, now, now}}, MayTest: true, Texts: true, Number: "<b>x",
			TestState: "admin.test.waiting", Reload: "/admin/delivery",
			Webhooks: []webhook.State{{Name: "crm", Host: "https://crm.example.com"}, {Name: "<script>siem", Host: "<b>x", DeliveredAt: now,
				FailingSince: now, Failures: 3, Failure: "<script>answered 503", Waiting: 7, Oldest: now, Lost: 2, LostAt: now, Gone: true}}}),
		"keys": newView("keys", "admin.keys.title", keysPage{f, []grant.KeyInfo{{ID: "k", Use: grant.KeyNext}, {Use: grant.KeyRetired}}, true, now}),
		"people": newView("people", "admin.people.title", peoplePage{frame: f, People: slices.Repeat([]personRow{{directory.Entry{ID: "BO63BHZUKWFSA7LGVCCPWHSJOE",
			Name: "<script>Jane", Email: "jane.doe@example.com", State: directory.StateFrozen, LastSignInAt: now}, "role.helpdesk", "/admin/people/BO63BHZUKWFSA7LGVCCPWHSJOE?from=q%3Djane"}}, peoplePerPage),
			States: peopleStates(), First: "/admin/people", Next: "/admin/people?after=x", CSV: "/admin/people.csv", MayMail: true}),
		"person-barred": newView("person", "admin.people.title", personPage{frame: f, Barred: true, Back: "/admin/people"}),
		"person":        newView("person", "admin.people.title", examplePerson(f)),
		"desk": newView("desk", "admin.desk.title", deskListPage{f, slices.Repeat([]deskcode.Request{{AccountID: "A", Name: "<script>", Email: "a@example.com",
			AskedName: "<b>x", AskedAt: now}}, 20)}),
		"deskcode":          newView("deskcode", "admin.desk.code.title", deskPage{frame: f, ID: "A", Person: "<script>", Email: "a@example.com", State: deskcode.Valid, Mine: true, Code: "K7M2Q-X9HTB"}),
		"deskcode-ask":      newView("deskcode", "admin.desk.open", deskPage{frame: f, ID: "A", Person: "<script>", Second: true}),
		"deskcode-waiting":  newView("deskcode", "admin.desk.waiting.title", deskPage{frame: f, ID: "A", State: deskcode.Waiting, Request: deskcode.Request{AskedName: "<b>x", AskedAt: now}}),
		"deskcode-mine":     newView("deskcode", "admin.desk.waiting.title", deskPage{frame: f, ID: "A", State: deskcode.Waiting, Mine: true}),
		"deskcode-approved": newView("deskcode", "admin.desk.approved.title", deskPage{frame: f, ID: "A", State: deskcode.Approved, Mine: true}),
		"action": newView("action", "admin.act.rename.title", actionPage{frame: f, Name: "rename", ID: "A", Email: "a@example.com", Person: "<script>", Item: "<b>x",
			Inputs: []actionInput{{"name", "field.name", "<script>", false}, {"given_name", "field.given", "", true}, {"email", "admin.field.email", "", false}},
			Roles:  []roleChoice{{"", "role.none", "admin.role.none", true}, {"operator", "role.operator", "admin.role.operator", false}}, Danger: true, Confirm: confirmField}),
		"invitations": newView("invitations", "admin.invitations.title", invitationsPage{frame: f, Next: "/x", State: "pending", Partial: true, States: []account.InvitationState{"pending", "expired", "joined"}, Invitations: slices.Repeat([]invitationRow{{
			Invitation: account.Invitation{Email: "jane.doe@example.com", Name: "<script>", InvitedAt: now}, State: "admin.invitation.pending", Open: true,
			Resend: "/admin/invitations/resend?email=jane.doe%40example.com", Revoke: "/x", Groups: "staff"}}, invitationsShown)}),
		"invite":         newView("invite", "admin.invite.title", invitePage{frame: f, Text: "<script>", Groups: true, Wrong: []lineProblem{{3, "<b>x", "problem.email"}}}),
		"invite-preview": newView("invite", "admin.invite.title", invitePage{frame: f, Text: "<script>", Preview: []previewRow{{account.NewAccount{Email: "a@example.com", Name: "<b>x"}, true}}}),
		"settings":       newView("settings", "admin.settings.title", settingsPage{f, sectionsOf([]Setting{{"site", "<b>x", "a:1"}, {"smtp.host", "", ""}})}),
	}
	maps.Copy(views, appStories(f))
	return views
}

// examplePerson has something of everything.
func examplePerson(f frame) personPage {
	p := personPage{frame: f, Back: "/admin/people?q=jane", RoleKey: "role.auditor", Export: true, May: map[string]bool{}}
	p.Details.Entry = directory.Entry{ID: "BO63BHZUKWFSA7LGVCCPWHSJOE", Name: "<script>Jane", Email: "jane@example.com", State: directory.StateFrozen,
		FrozenUntil: now, Groups: []string{"<b>x", "staff"}, CreatedAt: now, LastSignInAt: now}
	for _, a := range actions() {
		p.May[a.name] = true
		p.Actions = append(p.Actions, a.name)
	}
	for range 5 {
		p.Ways = append(p.Ways, methodRow{directory.Method{ID: "m", Name: "<b>x", Destination: "•••• 123", AddedAt: now, LastUsedAt: now}, "Authenticator app"})
		p.Signed = append(p.Signed, sessionRow{directory.Session{ID: "s", StartedAt: now, LastSeenAt: now}, "Firefox on Windows", "203.0.113.5"})
		p.Devices = append(p.Devices, deviceRow{directory.Device{ID: "d", Networks: []directory.Network{{Network: "203.0.113.5", ExpiresAt: now}}}, "Firefox"})
		p.Asked = append(p.Asked, decisionRow{directory.Decision{At: now, Browser: "Firefox on Windows"}, "Other network", "203.0.113.5"})
	}
	for range 20 {
		p.Events = append(p.Events, eventRow{ID: "E", Kind: "session.created", Name: "Signed in", Reason: "email", At: now, Failed: true})
	}
	return p
}

// textKey is the key of a text that is shown instead of the text.
var textKey = regexp.MustCompile(`\b(admin|app)\.[a-z_]+\.[a-z]+`)

// Every page is complete in both languages, prints no input as markup, has no inline style, and weighs at most 15 KB with
// its style.
func TestPages(t *testing.T) {
	s := newTestHandlers()
	assets := 0
	for _, name := range []string{"style.css", "admin.css", "script.js"} {
		data, err := os.ReadFile(filepath.Join("..", "render", "assets", name))
		if err != nil {
			t.Fatal(err)
		}
		assets += gzipSize(data)
	}
	for _, lang := range i18n.Languages() {
		for name, view := range stories(lang) {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/admin", nil)
			r.Header.Set("Accept-Language", lang)
			if err := s.Pages.Render(w, r, view); err != nil {
				t.Fatal(err)
			}
			body := w.Body.String()
			if found := textKey.FindString(body); found != "" {
				t.Errorf("%s %s: the text of %s is missing", lang, name, found)
			}
			for _, bad := range []string{"<b>x", "<script>", " style=", "<style", "%!", "<no value>"} {
				if strings.Contains(body, bad) {
					t.Errorf("%s %s: has %q", lang, name, bad)
				}
			}
			if len(body) > 15<<10 {
				t.Errorf("%s %s: %d bytes, more than 15 KB", lang, name, len(body))
			}
			t.Logf("%s %s: %d bytes, %d with its style and script compressed", lang, name, len(body), gzipSize([]byte(body))+assets)
			if dir := os.Getenv("TWOSTEP_PAGES"); dir != "" {
				if err := os.WriteFile(filepath.Join(dir, lang+"-admin-"+name+".html"), w.Body.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func gzipSize(data []byte) int {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return b.Len()
}

// A chart has a bar for each hour or day, the series on top of each other, and the same numbers in its table.
func TestChart(t *testing.T) {
	s := newTestHandlers()
	hours := s.buckets(i18n.ForTag("en"), 1)
	if len(hours) != 24 || hours[23].From != now.Truncate(time.Hour) || hours[0].Label != "11:00" {
		t.Errorf("%d hours from %s to %s", len(hours), hours[0].Label, hours[23].From)
	}
	c := newChart(hours, []audit.Count{
		{Hour: hours[0].From, Kind: audit.SessionCreated, Events: 3}, {Hour: hours[0].From, Kind: audit.PasswordRejected, Events: 1},
		{Hour: hours[23].From, Kind: audit.SessionCreated, Events: 2}, {Hour: hours[0].From.Add(-time.Hour), Kind: audit.SessionCreated, Events: 9},
	}, outcomes, outcomeOf)
	if got := c.Series[0].Path; got != fmt.Sprintf("M0 100h10V25h-10zM%d 100h10V50h-10z", 23*13) {
		t.Errorf("signed in: %s", got)
	}
	if got := c.Series[1].Path; got != "M0 25h10V0h-10z" || c.Most != 4 || c.Series[0].Sum != 5 || c.Rows[23].Values[0] != 2 {
		t.Errorf("wrong passwords: %s, %+v", got, c)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	s.Pages.Location = berlin
	days := s.buckets(i18n.ForTag("en"), 30)
	if days[29].From.Hour() != 0 || days[29].To.Sub(days[29].From) != 24*time.Hour || days[18].To.Sub(days[18].From) != 25*time.Hour && days[19].To.Sub(days[19].From) != 25*time.Hour {
		t.Errorf("days: %+v", days[17:21])
	}
	if empty := newChart(hours, nil, outcomes, outcomeOf); empty.Most != 0 || empty.Series[0].Path != "" {
		t.Errorf("empty: %+v", empty)
	}
}

// The colors of the charts differ from the page by 3:1 in both themes (WCAG 1.4.11).
func TestChartContrast(t *testing.T) {
	var themes [2]string
	for _, name := range []string{"style.css", "admin.css"} {
		css, err := os.ReadFile(filepath.Join("..", "render", "assets", name))
		if err != nil {
			t.Fatal(err)
		}
		light, dark, ok := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
		if !ok {
			t.Fatalf("%s has no dark theme", name)
		}
		themes[0], themes[1] = themes[0]+light, themes[1]+dark
	}
	for i, theme := range themes {
		card := luminance(t, theme, "card")
		for _, name := range []string{"accent", "s1", "s2", "s3", "s4", "s5"} {
			color := luminance(t, theme, name)
			if c := (max(color, card) + 0.05) / (min(color, card) + 0.05); c < 3 {
				t.Errorf("theme %d: --%s has a contrast of %.2f", i, name, c)
			}
		}
	}
}

func luminance(t *testing.T, theme, name string) float64 {
	t.Helper()
	m := regexp.MustCompile(`--` + name + `: #([0-9a-f]{3,6})[; ]`).FindStringSubmatch(theme)
	if m == nil {
		t.Fatalf("no color %s", name)
	}
	hex := m[1]
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(channel uint64) float64 {
		c := float64(channel) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(n>>16) + 0.7152*linear(n>>8&255) + 0.0722*linear(n&255)
}

// Every kind of event has a name in every language, and no two have the same.
func TestKindNames(t *testing.T) {
	for _, lang := range i18n.Languages() {
		words, seen := i18n.ForTag(lang), map[string]audit.Kind{}
		for _, d := range audit.Describe() {
			name := kindName(words, string(d.Kind))
			if name == string(d.Kind) {
				t.Errorf("%s: %s has no name", lang, d.Kind)
			}
			if seen[name] != "" {
				t.Errorf("%s: %s and %s are both %q", lang, seen[name], d.Kind, name)
			}
			seen[name] = d.Kind
		}
	}
}
