package origin

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"twostep.example/twostep/internal/trust"
)

func TestOriginTrustsForwardingHeadersOfTrustedProxiesOnly(t *testing.T) {
	ask := func(v Resolver, remote string, headers ...string) Origin {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		for _, line := range headers {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Add(name, value)
		}
		return v.Resolve(r)
	}
	inside := Resolver{PrivateClients: true}
	for remote, want := range map[string]string{
		"192.0.2.1:1234": "192.0.2.1", "[::ffff:192.0.2.1]:1": "192.0.2.1", "[fe80::1%eth0]:1": "fe80::1",
		"[2001:db8::1]:443": "2001:db8::1", "127.0.0.1:1": "127.0.0.1", "@": "", "": "",
	} {
		if got := ask(inside, remote).AddressString(); got != want {
			t.Errorf("%q is %q, want %q", remote, got, want)
		}
	}
	for remote, want := range map[string]string{"127.0.0.1:1": "", "10.0.0.7:1": "", "[fe80::1%eth0]:1": "",
		"100.64.0.1:1": "", "192.0.2.1:1": "192.0.2.1"} {
		if got := ask(Resolver{}, remote).AddressString(); got != want {
			t.Errorf("without private clients, %q is %q, want %q", remote, got, want)
		}
	}
	for header, want := range map[string]string{
		"Mozilla/5.0 (X11)":            "Mozilla/5.0 (X11)",
		"a\x00b\tc\u0085d\xffe":        "abcde",
		"one\u2028line\u2029only":      "onelineonly",
		strings.Repeat("a", 255) + "ä": strings.Repeat("a", 255),
		strings.Repeat("b", 10000):     strings.Repeat("b", 256),
	} {
		if got := sanitizeHeader(header); got != want {
			t.Errorf("sanitizeHeader(%.20q) = %.300q", header, got)
		}
	}
	proxied := Resolver{TrustedProxies: trust.TrustedProxies{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, row := range []struct {
		remote, header, want, network string
	}{
		{"192.0.2.1:1", "X-Forwarded-For: 203.0.113.9", "192.0.2.1", "192.0.2.1"},
		{"10.0.0.1:1", "X-Forwarded-For: 203.0.113.9", "203.0.113.9", "203.0.113.9"},
		{"10.0.0.1:1", "X-Forwarded-For: 192.168.1.1", "", ""},
		{"10.0.0.1:1", "X-Forwarded-For: garbage", "", "unclear"},
		{"10.0.0.1:1", "X-Real-Ip: 203.0.113.9", "", "unclear"},
	} {
		from := ask(proxied, row.remote, row.header)
		if from.AddressString() != row.want || from.Network() != row.network {
			t.Errorf(
				"%s, %s: address %q, network %q, want %q, %q",
				row.remote,
				row.header,
				from.AddressString(),
				from.Network(),
				row.want,
				row.network,
			)
		}
	}
	if got := ask(proxied, "192.0.2.1:1", `Sec-Ch-Ua: "Brave";v="1"`); got.ClientHints != `"Brave";v="1"` {
		t.Errorf("%+v", got)
	}
}

// A proxy that is missing from trusted_proxies is reported once. Clients that connect directly, and a client that
// forges headers, are not taken for a proxy.
func TestProxyDetectorWarnsOnceOfUnconfiguredProxy(t *testing.T) {
	type hop struct{ remote, xff string }
	many := func(n int, h ...hop) (all []hop) {
		for range n {
			all = append(all, h...)
		}
		return all
	}
	person, own := hop{"192.0.2.1:1", ""}, trust.TrustedProxies{netip.MustParsePrefix("10.0.0.0/8")}
	for _, row := range []struct {
		says    string
		proxies trust.TrustedProxies
		hops    []hop
		want    string
	}{
		{"people", nil, many(50, person), ""},
		{"a health check from this machine", nil, many(50, hop{"127.0.0.1:1", ""}, person), ""},
		{"a client forges headers", nil, many(10, hop{"192.0.2.1:1", "1.2.3.4"}, person), ""},
		{"a proxy on this machine", nil, many(1, hop{"127.0.0.1:1", "203.0.113.9"}), "a proxy in a private network"},
		{"a proxy outside", nil, many(30, hop{"192.0.2.1:1", "203.0.113.9"}), "nearly every request"},
		{"a proxy without headers", nil, many(30, hop{"10.0.0.1:1", ""}),
			"every request comes from one private address"},
		{"an office", nil, many(30, hop{"10.0.0.1:1", ""}, hop{"10.0.0.2:1", ""}), ""},
		{"too few requests", nil, many(5, hop{"10.0.0.1:1", ""}), ""},
		{"a trusted proxy", own, many(30, hop{"10.0.0.1:1", "203.0.113.9"}), ""},
		{"a trusted proxy without headers", own, many(30, hop{"10.0.0.1:1", ""}), "without X-Forwarded-For"},
		{"a trusted proxy with invalid headers", own, many(30, hop{"10.0.0.1:1", "?"}), "cannot be read"},
		{"a second proxy that is not trusted", own, many(30, hop{"10.0.0.1:1", "203.0.113.9, 172.17.0.1"}),
			"from 172.17.0.1"},
		{"clients in a private network", own, many(30, hop{"10.0.0.1:1", "192.168.0.1"}), "from 192.168.0.1"},
		{"one request by the operator", nil, append(many(30, person), many(1, hop{"127.0.0.1:1", "203.0.113.9"})...), ""},
		{"one invalid header of many", own, many(30, hop{"10.0.0.1:1", "203.0.113.9"},
			hop{"10.0.0.1:1", "203.0.113.9"}, hop{"10.0.0.1:1", "203.0.113.8, ?"}), ""},
	} {
		a := ProxyDetector{Resolver: Resolver{TrustedProxies: row.proxies}}
		var said []string
		for _, h := range row.hops {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = h.remote
			if h.xff != "" {
				r.Header.Set("X-Forwarded-For", h.xff)
			}
			if warning := a.Observe(r, time.Now()); warning != "" {
				said = append(said, warning)
			}
		}
		text := strings.Join(said, "; ")
		if (text == "") != (row.want == "") || !strings.Contains(text, row.want) || len(said) > 1 {
			t.Errorf("%s: said %q, want %q once", row.says, said, row.want)
		}
		if strings.Contains(a.String(), "warning") != (row.want != "") {
			t.Errorf("%s: %s", row.says, a.String())
		}
	}
}

// With private clients a proxy that is missing from trusted_proxies gives every client its own address. The warning
// goes when the cause is gone. Health checks do not count.
func TestProxyDetectorWithPrivateClients(t *testing.T) {
	a := ProxyDetector{Resolver: Resolver{PrivateClients: true}}
	ask := func(path, remote, xff string) string {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = remote
		if xff != "" {
			r.Header.Set("X-Forwarded-For", xff)
		}
		return a.Observe(r, time.Now())
	}
	for range 50 {
		if got := ask("/signin", "10.0.0.1:1", "") + ask("/healthz", "127.0.0.1:1", "10.0.0.9"); got != "" {
			t.Errorf("direct clients: %q", got)
		}
	}
	var said []string
	for range 100 {
		if got := ask("/signin", "127.0.0.1:1", "10.0.0.9"); got != "" {
			said = append(said, got)
		}
	}
	if len(said) != 1 || !strings.Contains(said[0], "all clients have its address") {
		t.Errorf("said %q", said)
	}
	for range 10 * decayAfter {
		ask("/signin", "10.0.0.1:1", "")
	}
	if got := a.String(); strings.Contains(got, "warning") {
		t.Errorf("after the cause is gone: %s", got)
	}
}

// sanitizeHeader returns one line of text that is safe in both databases, a log, an email and a terminal.
func FuzzSanitizeHeader(f *testing.F) {
	for _, header := range []string{"Mozilla/5.0 (X11)", "a\x00b\tc\u0085d\xffe", strings.Repeat("a", 255) + "ä",
		strings.Repeat("a", 250) + "\u202e\ufffd\xf0\x9f", "\u2028\ue000\U000e0001\x1b[31m"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := sanitizeHeader(header)
		if len(got) > maxHeaderBytes || !utf8.ValidString(got) || strings.ContainsFunc(got, func(c rune) bool {
			return c < ' ' || c >= 0x7f && c < 0xa0 || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp)
		}) {
			t.Errorf("%q: kept as %q", header, got)
		}
		if again := sanitizeHeader(got); again != got {
			t.Errorf("%q: %q becomes %q", header, got, again)
		}
	})
}
