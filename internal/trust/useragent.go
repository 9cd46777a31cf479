package trust

import (
	"strconv"
	"strings"
)

// Browser is what a request says of the browser it comes from. All of it is whatever its
// sender likes, so it can end trust and never begin it.
type Browser struct {
	Family       string // "Firefox"; of one we do not know, the header without its numbers
	OS           string // "Windows"; "" if we do not know it
	Mobile       bool   // a phone, or a tablet that says so
	MajorVersion int    // version; 0 if we do not know it
	UserAgent    string // the whole header User-Agent
	ClientHints  string // the whole header Sec-CH-UA
	Recognized   bool   // Family is the name of a browser that we know
}

// userAgentTokens are the browsers by the tokens in which they tell their version, the more
// special before the more general: every Edge also says Chrome, and every Chrome Safari.
var userAgentTokens = []struct{ token, family string }{
	{"EdgiOS/", "Edge"}, {"EdgA/", "Edge"}, {"Edg/", "Edge"}, {"Edge/", "Edge"},
	{"OPR/", "Opera"}, {"OPT/", "Opera"}, {"OPX/", "Opera"}, {"Opera Mini/", "Opera"}, {"Opera/", "Opera"},
	{"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"}, {"YaBrowser/", "Yandex Browser"}, {"YaSearchBrowser/", "Yandex Browser"},
	{"DuckDuckGo/", "DuckDuckGo"}, {"Ddg/", "DuckDuckGo"}, {"HuaweiBrowser/", "Huawei Browser"}, {"UCBrowser/", "UC Browser"},
	{"MiuiBrowser/", "Mi Browser"}, {"GSA/", "Google app"}, {"Seamonkey/", "SeaMonkey"}, {"SeaMonkey/", "SeaMonkey"},
	{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"}, {"Focus/", "Firefox"},
	{"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"},
	{"MSIE ", "Internet Explorer"}, {"Trident/", "Internet Explorer"},
}

// clientHintBrands are the browsers that say Chrome in the header and their name in Sec-CH-UA.
var clientHintBrands = []struct{ brand, family string }{
	{"Brave", "Brave"}, {"Microsoft Edge", "Edge"}, {"Opera", "Opera"}, {"Opera GX", "Opera"}, {"Opera Mobile", "Opera"},
	{"Vivaldi", "Vivaldi"}, {"YaBrowser", "Yandex Browser"}, {"YaSearchBrowser", "Yandex Browser"}, {"Yandex", "Yandex Browser"}, {"Samsung Internet", "Samsung Internet"},
	{"DuckDuckGo", "DuckDuckGo"}, {"HuaweiBrowser", "Huawei Browser"},
}

// osTokens are the operating systems, the more special first: every Android says Linux.
var osTokens = []struct{ word, system string }{
	{"Windows", "Windows"}, {"HarmonyOS", "HarmonyOS"}, {"OpenHarmony", "HarmonyOS"}, {"Android", "Android"},
	{"iPhone", "iOS"}, {"iPad", "iOS"}, {"iPod", "iOS"}, {"CrOS", "ChromeOS"}, {"Macintosh", "macOS"},
	{"Tizen", "Tizen"}, {"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"}, {"NetBSD", "NetBSD"}, {"Linux", "Linux"},
}

// ParseBrowser reads the headers User-Agent and Sec-CH-UA (W3C UA Client Hints, 3.1).
func ParseBrowser(agent, hints string) Browser {
	b := Browser{UserAgent: agent, ClientHints: hints, Mobile: strings.Contains(agent, "Mobile")}
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

// familyFromHints is what a browser that says Chrome calls itself where it tells the truth.
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

// numberAfter is the number that follows a token, 0 if there is none.
func numberAfter(text, token string) int {
	_, rest, _ := strings.Cut(text, token)
	end := 0
	for end < len(rest) && end < 6 && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(rest[:end])
	return n
}

// matches reports whether a request comes from the browser of a record. The version is
// compared elsewhere: it may rise.
func (b Browser) matches(now Browser, rule BrowserMatch) bool {
	if rule == BrowserExact {
		return b.UserAgent == now.UserAgent
	}
	return b.Family == now.Family && b.OS == now.OS && b.Mobile == now.Mobile
}
