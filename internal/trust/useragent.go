package trust

import (
	"strconv"
	"strings"
)

// Browser is what a request says about its browser. The client controls all of it, so it can end
// trust and never create it.
type Browser struct {
	Family       string // "Firefox"; if unknown, the User-Agent header without digits
	OS           string // "Windows"; "" if unknown
	MajorVersion int    // 0 if unknown
	UserAgent    string // the User-Agent header
	ClientHints  string // the Sec-CH-UA header
	Recognized   bool   // Family is the name of a known browser
}

// userAgentTokens maps version tokens to browsers, the more specific first: Edge also says Chrome,
// and Chrome also says Safari.
var userAgentTokens = []struct{ token, family string }{
	{"EdgiOS/", "Edge"}, {"EdgA/", "Edge"}, {"Edg/", "Edge"}, {"Edge/", "Edge"},
	{"OPR/", "Opera"}, {"OPT/", "Opera"}, {"OPX/", "Opera"}, {"Opera Mini/", "Opera"}, {"Opera/", "Opera"},
	{"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"}, {"YaBrowser/", "Yandex Browser"},
	{"YaSearchBrowser/", "Yandex Browser"},
	{"DuckDuckGo/", "DuckDuckGo"}, {"Ddg/", "DuckDuckGo"}, {"HuaweiBrowser/", "Huawei Browser"},
	{"UCBrowser/", "UC Browser"},
	{"MiuiBrowser/", "Mi Browser"}, {"GSA/", "Google app"}, {"Seamonkey/", "SeaMonkey"}, {"SeaMonkey/", "SeaMonkey"},
	{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"}, {"Focus/", "Firefox"},
	{"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"},
	{"MSIE ", "Internet Explorer"}, {"Trident/", "Internet Explorer"},
}

// clientHintBrands are the browsers that say Chrome in User-Agent and their name in Sec-CH-UA.
var clientHintBrands = []struct{ brand, family string }{
	{"Brave", "Brave"}, {"Microsoft Edge", "Edge"}, {"Opera", "Opera"}, {"Opera GX", "Opera"},
	{"Opera Mobile", "Opera"},
	{"Vivaldi", "Vivaldi"}, {"YaBrowser", "Yandex Browser"}, {"YaSearchBrowser", "Yandex Browser"},
	{"Yandex", "Yandex Browser"}, {"Samsung Internet", "Samsung Internet"},
	{"DuckDuckGo", "DuckDuckGo"}, {"HuaweiBrowser", "Huawei Browser"},
}

// osTokens maps words to operating systems, the more specific first: Android also says Linux.
var osTokens = []struct{ word, system string }{
	{"Windows", "Windows"}, {"HarmonyOS", "HarmonyOS"}, {"OpenHarmony", "HarmonyOS"}, {"Android", "Android"},
	{"iPhone", "iOS"}, {"iPad", "iOS"}, {"iPod", "iOS"}, {"CrOS", "ChromeOS"}, {"Macintosh", "macOS"},
	{"Tizen", "Tizen"}, {"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"}, {"NetBSD", "NetBSD"}, {"Linux", "Linux"},
}

// ParseBrowser parses the headers User-Agent and Sec-CH-UA (W3C User-Agent Client Hints, 3.1).
func ParseBrowser(agent, hints string) Browser {
	b := Browser{UserAgent: agent, ClientHints: hints}
	for _, s := range osTokens {
		if strings.Contains(agent, s.word) {
			b.OS = s.system
			break
		}
	}
	b.Family, b.MajorVersion = parseFamily(agent)
	if b.Family == "Chrome" {
		b.Family, b.MajorVersion = familyFromHints(hints, b.MajorVersion)
	}
	if b.Recognized = b.Family != ""; !b.Recognized {
		b.Family = strings.Map(func(c rune) rune {
			if c >= '0' && c <= '9' || c == '.' || c == '_' {
				return -1
			}
			return c
		}, agent)
	}
	return b
}

func parseFamily(agent string) (string, int) {
	if strings.Contains(agent, "; wv)") {
		return "Android WebView", numberAfter(agent, "Chrome/")
	}
	for _, f := range userAgentTokens {
		if strings.Contains(agent, f.token) {
			return f.family, numberAfter(agent, f.token)
		}
	}
	if strings.Contains(agent, "Safari/") && strings.Contains(agent, "Version/") {
		if strings.Contains(agent, "Android") {
			return "Android Browser", numberAfter(agent, "Version/")
		}
		return "Safari", numberAfter(agent, "Version/")
	}
	return "", 0
}

// familyFromHints returns the family and version of a browser that says Chrome in User-Agent.
func familyFromHints(hints string, major int) (string, int) {
	for _, b := range clientHintBrands {
		if quoted := `"` + b.brand + `"`; strings.Contains(hints, quoted) {
			if n := numberAfter(hints, quoted+`;v="`); n > 0 {
				major = n
			}
			return b.family, major
		}
	}
	return "Chrome", major
}

// numberAfter returns the number that follows a token, 0 if there is none.
func numberAfter(text, token string) int {
	_, rest, _ := strings.Cut(text, token)
	end := 0
	for end < len(rest) && end < 6 && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(rest[:end])
	return n
}

// matches reports whether a request has the browser of a record. CheckRecord compares the version,
// which may increase. The word Mobile in the header is not compared: it changes when somebody unfolds
// a phone or turns a tablet's keyboard off.
func (b Browser) matches(now Browser, rule BrowserMatch) bool {
	if rule == BrowserExact {
		return b.UserAgent == now.UserAgent
	}
	return b.Family == now.Family && b.OS == now.OS
}
