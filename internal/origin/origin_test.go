package origin_test

import (
	"testing"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/trust"
)

// The User-Agent header is written by the client: a name that is not known is not repeated.
func TestBrowser(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0":                      "Firefox on Windows",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36": "Chrome on Linux",
		"https://evil.example/1.0 (Windows NT 10.0)":                                                            "Unknown browser",
		"Calm.Enter.your.code.at.evil.example/1.0 (Windows NT 10.0; Win64)":                                     "Unknown browser",
		"Firefox on evil.example": "Unknown browser",
		"":                        "Unknown browser",
	} {
		if got := origin.DescribeBrowser(trust.ParseBrowser(agent, ""), "en"); got != want {
			t.Errorf("%q: got %q, want %q", agent, got, want)
		}
	}
}
