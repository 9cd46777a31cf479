package trust_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/trust"
)

// sampleBrowser is a browser with the headers that it sends.
type sampleBrowser struct {
	family, system string
	mobile         bool
	major          int
	agent          string
}

func (r sampleBrowser) sameBrowser(o sampleBrowser) bool {
	return r.family == o.family && r.system == o.system
}

func readLines(t testing.TB, name string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return rows
}

func browserCorpus(t testing.TB) (all []sampleBrowser) {
	t.Helper()
	for _, row := range readLines(t, "agents.tsv") {
		major, err := strconv.Atoi(row[3])
		if err != nil || len(row) != 5 {
			t.Fatal(row)
		}
		all = append(all, sampleBrowser{row[0], row[1], row[2] == "1", major, row[4]})
	}
	return all
}

// An updated browser keeps its trust; another browser, system or an older version loses it. Every
// pair of the corpus is tried.
func TestBrowserUpdateAndDowngrade(t *testing.T) {
	all := browserCorpus(t)
	families, systems := map[string]bool{}, map[string]bool{}
	read := make([]trust.Browser, len(all))
	for i, r := range all {
		families[r.family], systems[r.system] = true, true
		read[i] = trust.ParseBrowser(r.agent, "")
		b := read[i]
		if b.Family != r.family || b.OS != r.system || b.MajorVersion != r.major ||
			!b.Recognized {
			t.Errorf("%s\n got %s %d on %s\nwant %s %d on %s", r.agent, b.Family, b.MajorVersion,
				b.OS, r.family, r.major, r.system)
		}
	}
	if len(all) < 200 || len(families) < 5 || len(systems) < 5 {
		t.Errorf("%d browsers of %d families on %d systems", len(all), len(families), len(systems))
	}
	updates, others, older, flips := 0, 0, 0, 0
	for i, was := range all {
		record := trust.Record{Network: trust.NetworkOf(addr(homeV4)), Browser: read[i], VerifiedAt: verifiedAt}
		for j, is := range all {
			got := trust.CheckRecord(record, trust.Request{Address: addr(homeV4), Browser: read[j]}, policy,
				verifiedAt.Add(time.Hour))
			var want trust.Reason
			switch {
			case !was.sameBrowser(is):
				want = trust.OtherBrowser
				others++
			case is.major < was.major:
				want = trust.BrowserDowngrade
				older++
			default:
				want = trust.Trusted
				updates++
				if was.mobile != is.mobile {
					flips++
				}
			}
			if got != want {
				t.Fatalf("from %s\n  to %s\ngot %q, want %q", was.agent, is.agent, got, want)
			}
		}
	}
	if flips == 0 {
		t.Error("no browser of the corpus says Mobile and then not")
	}
	t.Logf("%d browsers: %d updates, none asked; %d other browsers and %d older ones, all asked", len(all), updates,
		others, older)
}

// A foldable phone says Mobile or not, as it is folded, and is the same browser. A browser that asks for desktop sites
// names another system, which may be another machine.
func TestMobileFlagIsNotCompared(t *testing.T) {
	const (
		folded   = "Mozilla/5.0 (Linux; Android 16; SM-F966B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
		unfolded = "Mozilla/5.0 (Linux; Android 16; SM-F966B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
		desktop  = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
		samsung  = "Mozilla/5.0 (Linux; Android 16; SM-F966B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 Chrome/136.0.0.0 Safari/537.36"
		fenix    = "Mozilla/5.0 (Android 16; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0"
		tablet   = "Mozilla/5.0 (Android 16; Tablet; rv:145.0) Gecko/145.0 Firefox/145.0"
		iPad     = "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
		asMac    = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15"
	)
	for _, row := range []struct {
		was, is string
		want    trust.Reason
	}{
		{folded, unfolded, trust.Trusted},
		{unfolded, folded, trust.Trusted},
		{fenix, tablet, trust.Trusted},
		{folded, desktop, trust.OtherBrowser},
		{desktop, folded, trust.OtherBrowser},
		{iPad, asMac, trust.OtherBrowser},
		{unfolded, samsung, trust.OtherBrowser},
	} {
		record := trust.Record{Network: trust.NetworkOf(addr(homeV4)), Browser: trust.ParseBrowser(row.was, ""), VerifiedAt: verifiedAt}
		q := trust.Request{Address: addr(homeV4), Browser: trust.ParseBrowser(row.is, "")}
		if got := trust.CheckRecord(record, q, policy, verifiedAt); got != row.want {
			t.Errorf("from %s\n  to %s\ngot %q, want %q", row.was, row.is, got, row.want)
		}
		exact := policy
		exact.Browser = trust.BrowserExact
		if got := trust.CheckRecord(record, q, exact, verifiedAt); got != trust.OtherBrowser {
			t.Errorf("exact: from %s\n  to %s\ngot %q", row.was, row.is, got)
		}
	}
}

// A browser that says Chrome is identified by its client hints; without them it is Chrome.
func TestFamilyFromClientHints(t *testing.T) {
	n := 0
	for _, row := range readLines(t, "hints.tsv") {
		family := map[string]string{"Yandex": "Yandex Browser"}[row[0]]
		if family == "" {
			family = row[0]
		}
		b := trust.ParseBrowser(row[2], row[1])
		if b.Family != family {
			t.Errorf("%s\n%s\n got %s, want %s", row[1], row[2], b.Family, family)
		}
		n++
	}
	if n < 20 {
		t.Errorf("%d pairs of headers", n)
	}
	chrome := `"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"`
	brave := `"Chromium";v="142", "Brave";v="142", "Not_A Brand";v="99"`
	agent := "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	record := trust.Record{Network: trust.NetworkOf(addr(homeV4)), Browser: trust.ParseBrowser(agent, chrome),
		VerifiedAt: verifiedAt}
	for hints, want := range map[string]trust.Reason{chrome: trust.Trusted, "": trust.Trusted,
		brave: trust.OtherBrowser} {
		if got := trust.CheckRecord(record,
			trust.Request{Address: addr(homeV4),
				Browser: trust.ParseBrowser(agent, hints)}, policy, verifiedAt); got != want {
			t.Errorf("%s: got %q, want %q", hints, got, want)
		}
	}
}

// An unknown browser is compared by its header without digits, and has no name.
func TestUnknownBrowser(t *testing.T) {
	for _, row := range []struct {
		was, is string
		want    trust.Reason
	}{
		{"NetSurf/3.10 (Linux)", "NetSurf/3.11 (Linux)", trust.Trusted},
		{"NetSurf/3.10 (Linux)", "Dillo/3.1 (Linux)", trust.OtherBrowser},
		{"curl/8.9.1", "curl/8.10.0", trust.Trusted},
		{"", "", trust.Trusted},
		{"", "curl/8.9.1", trust.OtherBrowser},
		{"curl/8.9.1", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", trust.OtherBrowser},
	} {
		record := trust.Record{Network: trust.NetworkOf(addr(homeV4)), Browser: trust.ParseBrowser(row.was, ""),
			VerifiedAt: verifiedAt}
		q := trust.Request{Address: addr(homeV4), Browser: trust.ParseBrowser(row.is, "")}
		if got := trust.CheckRecord(record, q, policy, verifiedAt); got != row.want {
			t.Errorf("%q to %q: got %q, want %q", row.was, row.is, got, row.want)
		}
		if record.Browser.Recognized {
			t.Errorf("%q is %s", row.was, record.Browser.Family)
		}
	}
	for agent, family := range map[string]string{
		"Mozilla/5.0 (Linux; Android 12; Moto Edge 20) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/111.0.5563.115 Mobile Safari/537.36":                  "Chrome",
		"Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36":            "Android WebView",
		"Mozilla/5.0 (Linux; U; Android 4.1; en-us) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30":                               "Android Browser",
		"Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko":                                                                            "Internet Explorer",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36":                                    "Chrome",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1 Ddg/26.0": "DuckDuckGo",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/380.0.7 Mobile/15E148 Safari/604.1":           "Google app",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0 SeaMonkey/2.53.20":                                               "SeaMonkey",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/" + strings.Repeat("9", 300) +
			" Safari/537.36": "Chrome",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142 Version/11.1.1 Safari/605.1.15": "Chrome",
	} {
		if b := trust.ParseBrowser(agent, ""); b.Family != family {
			t.Errorf("%s: got %s, want %s", agent, b.Family, family)
		}
	}
}

// Whatever the headers are, equal headers are the same browser, and parsing terminates.
func FuzzParseBrowser(f *testing.F) {
	f.Add(firefox, "")
	f.Add(chrome, `"Brave";v="1"`)
	f.Add("Chrome/", `"Opera";v="`)
	f.Fuzz(func(t *testing.T, agent, hints string) {
		b := trust.ParseBrowser(agent, hints)
		r := trust.Record{Network: trust.NetworkOf(addr(homeV4)), Browser: b, VerifiedAt: verifiedAt}
		if got := trust.CheckRecord(r, trust.Request{Address: addr(homeV4), Browser: trust.ParseBrowser(agent, hints)},
			policy, verifiedAt); got != trust.Trusted {
			t.Errorf("%q, %q: the same browser is asked: %s", agent, hints, got)
		}
		if b.MajorVersion < 0 || b.MajorVersion > 999999 {
			t.Errorf("%q: version %d", agent, b.MajorVersion)
		}
	})
}
