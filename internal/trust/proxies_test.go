package trust_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"twostep.example/twostep/internal/trust"
)

func mustParseProxies(t testing.TB, text string) trust.TrustedProxies {
	t.Helper()
	p, err := trust.ParseTrustedProxies(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The client address of a request. Each row that must not be trusted names the trick.
func TestClientAddr(t *testing.T) {
	const none, own = "", "127.0.0.1, 10.0.0.0/8, 2001:db8:f::/48"
	long := strings.Repeat("10.0.0.1, ", 6000)
	for _, row := range []struct {
		says    string
		trusted string
		peer    string
		xff     []string
		fwd     []string
		want    string // "unclear": ErrInvalidForwarding; "": unknown
	}{
		{"a direct connection", none, "203.0.113.5:443", nil, nil, "203.0.113.5"},
		{"a direct connection, IPv6", none, "[2001:db8::1]:443", nil, nil, "2001:db8::1"},
		{"a zone says nothing", none, "[fe80::1%eth0]:443", nil, nil, "fe80::1"},
		{"a mapped address", none, "[::ffff:203.0.113.5]:443", nil, nil, "203.0.113.5"},
		{"a Unix socket", none, "@", nil, nil, ""},
		{"a Unix socket, and a header", own, "@", []string{"203.0.113.5"}, nil, ""},
		{"no address at all", none, "", nil, nil, ""},
		{"no trusted proxies, a header", none, "203.0.113.5:443", []string{"198.51.100.7"}, nil, "203.0.113.5"},
		{"no trusted proxies, loopback", none, "127.0.0.1:443", []string{"198.51.100.7"}, nil, "127.0.0.1"},
		{"a client claims to be passed on", own, "203.0.113.5:443", []string{"198.51.100.7"}, nil, "203.0.113.5"},
		{"a client claims to be this machine", own, "203.0.113.5:443", []string{"127.0.0.1"}, nil, "203.0.113.5"},
		{"a client, Forwarded", own, "203.0.113.5:443", nil, []string{"for=198.51.100.7"}, "203.0.113.5"},

		{"our proxy", own, "127.0.0.1:1", []string{"203.0.113.5"}, nil, "203.0.113.5"},
		{"our proxy in a network", own, "10.1.2.3:1", []string{"203.0.113.5"}, nil, "203.0.113.5"},
		{"our proxy as a mapped address", own, "[::ffff:127.0.0.1]:1", []string{"203.0.113.5"}, nil, "203.0.113.5"},
		{"our proxy over IPv6", own, "[2001:db8:f::1]:1", []string{"2001:db8::1"}, nil, "2001:db8::1"},
		{"just outside the network", own, "11.0.0.0:1", []string{"198.51.100.7"}, nil, "11.0.0.0"},
		{"two proxies", own, "127.0.0.1:1", []string{"203.0.113.5, 10.0.0.9"}, nil, "203.0.113.5"},
		{"two proxies, two lines", own, "127.0.0.1:1", []string{"203.0.113.5", "10.0.0.9"}, nil, "203.0.113.5"},
		{"what the client wrote is on the left", own, "127.0.0.1:1", []string{"198.51.100.7, 203.0.113.5"}, nil,
			"203.0.113.5"},
		{"what the client wrote, a line of its own", own, "127.0.0.1:1", []string{"198.51.100.7", "203.0.113.5"}, nil,
			"203.0.113.5"},
		{"the client names our proxies", own, "127.0.0.1:1", []string{"10.0.0.1, 127.0.0.1, 203.0.113.5"}, nil,
			"203.0.113.5"},
		{"garbage left of the client", own, "127.0.0.1:1", []string{"a, 999.1.1.1, <script>, 203.0.113.5"}, nil,
			"203.0.113.5"},
		{"64 kB left of the client", own, "127.0.0.1:1", []string{long + "203.0.113.5"}, nil, "203.0.113.5"},
		{"64 kB of proxies", own, "127.0.0.1:1", []string{long}, nil, "10.0.0.1"},
		{"without blanks", own, "127.0.0.1:1", []string{"198.51.100.7,203.0.113.5,10.0.0.9"}, nil, "203.0.113.5"},
		{"blanks and tabs", own, "127.0.0.1:1", []string{" \t203.0.113.5 ,\t10.0.0.9 "}, nil, "203.0.113.5"},
		{"empty elements", own, "127.0.0.1:1", []string{"203.0.113.5, , 10.0.0.9,"}, nil, "203.0.113.5"},
		{"with a port", own, "127.0.0.1:1", []string{"203.0.113.5:51234"}, nil, "203.0.113.5"},
		{"IPv6 in brackets", own, "127.0.0.1:1", []string{"[2001:db8::1]"}, nil, "2001:db8::1"},
		{"IPv6 in brackets with a port", own, "127.0.0.1:1", []string{"[2001:db8::1]:51234"}, nil, "2001:db8::1"},
		{"IPv6 with a zone", own, "127.0.0.1:1", []string{"fe80::1%eth0"}, nil, "fe80::1"},
		{"a mapped client", own, "127.0.0.1:1", []string{"::ffff:203.0.113.5"}, nil, "203.0.113.5"},
		{"only proxies: the farthest", own, "127.0.0.1:1", []string{"10.0.0.8, 10.0.0.9"}, nil, "10.0.0.8"},
		{"our proxy says nothing", own, "127.0.0.1:1", nil, nil, "unclear"},
		{"a public proxy that says nothing", "203.0.113.5", "203.0.113.5:1", nil, nil, "unclear"},

		{"an empty header", own, "127.0.0.1:1", []string{""}, nil, "unclear"},
		{"only commas", own, "127.0.0.1:1", []string{",,"}, nil, "unclear"},
		{"a letter", own, "127.0.0.1:1", []string{"a"}, nil, "unclear"},
		{"the rightmost cannot be read", own, "127.0.0.1:1", []string{"203.0.113.5, a"}, nil, "unclear"},
		{"no such address", own, "127.0.0.1:1", []string{"999.1.1.1"}, nil, "unclear"},
		{"all zeros", own, "127.0.0.1:1", []string{"0.0.0.0"}, nil, "unclear"},
		{"all zeros, IPv6", own, "127.0.0.1:1", []string{"::"}, nil, "unclear"},
		{"encoded", own, "127.0.0.1:1", []string{"::1%25x"}, nil, "::1"},
		{"octal", own, "127.0.0.1:1", []string{"0203.0.113.5"}, nil, "unclear"},
		{"a name", own, "127.0.0.1:1", []string{"localhost"}, nil, "unclear"},
		{"unknown", own, "127.0.0.1:1", []string{"unknown"}, nil, "unclear"},
		{"a network", own, "127.0.0.1:1", []string{"203.0.113.0/24"}, nil, "unclear"},
		{"a bracket left open", own, "127.0.0.1:1", []string{"[2001:db8::1"}, nil, "unclear"},

		{"Forwarded", own, "127.0.0.1:1", nil, []string{"for=203.0.113.5"}, "203.0.113.5"},
		{"Forwarded, more than for", own, "127.0.0.1:1", nil,
			[]string{"proto=https;FOR=203.0.113.5;by=10.0.0.1;host=signin.example.com"}, "203.0.113.5"},
		{"Forwarded, IPv6", own, "127.0.0.1:1", nil, []string{`For="[2001:db8::1]:4711"`}, "2001:db8::1"},
		{"Forwarded, quoted IPv4 with a port", own, "127.0.0.1:1", nil, []string{`for="203.0.113.5:80"`},
			"203.0.113.5"},
		{"Forwarded, two hops", own, "127.0.0.1:1", nil, []string{"for=203.0.113.5, for=10.0.0.9"}, "203.0.113.5"},
		{"Forwarded, two lines", own, "127.0.0.1:1", nil, []string{"for=198.51.100.7", "for=203.0.113.5"},
			"203.0.113.5"},
		{"Forwarded, a comma in quotes", own, "127.0.0.1:1", nil,
			[]string{`for=203.0.113.5;host="a, for=198.51.100.7"`}, "203.0.113.5"},
		{"Forwarded, an escaped quote", own, "127.0.0.1:1", nil,
			[]string{`for=203.0.113.5;host="a\", for=198.51.100.7"`}, "203.0.113.5"},
		{"Forwarded, quotes left open", own, "127.0.0.1:1", nil, []string{`for="203.0.113.5`}, "unclear"},
		{"Forwarded, hidden", own, "127.0.0.1:1", nil, []string{"for=_secret"}, "unclear"},
		{"Forwarded, unknown", own, "127.0.0.1:1", nil, []string{"for=unknown"}, "unclear"},
		{"Forwarded without for", own, "127.0.0.1:1", nil, []string{"proto=https"}, "unclear"},
		{"Forwarded, IPv6 without quotes", own, "127.0.0.1:1", nil, []string{"for=[2001:db8::1]"}, "2001:db8::1"},

		{"both agree", own, "127.0.0.1:1", []string{"203.0.113.5"}, []string{"for=203.0.113.5"}, "203.0.113.5"},
		{"the proxy writes one, the client the other", own, "127.0.0.1:1", []string{"203.0.113.5"},
			[]string{"for=198.51.100.7"}, "unclear"},
		{"the client's cannot be read", own, "127.0.0.1:1", []string{"203.0.113.5"}, []string{"for=x"}, "unclear"},
		{"one of them is empty", own, "127.0.0.1:1", []string{""}, []string{"for=203.0.113.5"}, "unclear"},
		{"the other is empty", own, "127.0.0.1:1", []string{"203.0.113.5"}, []string{""}, "unclear"},

		{"the client leaves a quote open, the proxy goes on", own, "127.0.0.1:1", nil,
			[]string{`for=198.51.100.7;x=", for=203.0.113.5`}, "unclear"},
		{"a quote left open, the proxy writes quotes", own, "127.0.0.1:1", nil,
			[]string{`for=198.51.100.7;x=", for="203.0.113.5:4711";proto=https`}, "unclear"},
		{"a quote left open, and a second proxy", own, "127.0.0.1:1", nil,
			[]string{`for=198.51.100.7;x=", for=203.0.113.5`, "for=10.0.0.9"}, "unclear"},
		{"a quote left open, both headers", own, "127.0.0.1:1", []string{"198.51.100.7"},
			[]string{`for=198.51.100.7;x=", for=203.0.113.5`}, "unclear"},
		{"a backslash at the end", own, "127.0.0.1:1", []string{"198.51.100.7"}, []string{`for=203.0.113.5;x="\`},
			"unclear"},
		{"a backslash before the proxy's quote", own, "127.0.0.1:1", nil,
			[]string{`for=198.51.100.7;x="\, for="203.0.113.5"`}, "unclear"},
		{"for twice in one hop", own, "127.0.0.1:1", nil, []string{"for=198.51.100.7;for=203.0.113.5"}, "unclear"},
		{"blanks where none belong", own, "127.0.0.1:1", nil, []string{"for = 203.0.113.5"}, "unclear"},
	} {
		got, err := mustParseProxies(t, row.trusted).ClientAddr(trust.ForwardingInfo{PeerAddr: row.peer,
			ForwardedFor: row.xff, Forwarded: row.fwd})
		text := "unclear"
		if !errors.Is(err, trust.ErrInvalidForwarding) {
			if text = ""; got.IsValid() {
				text = got.String()
			}
		}
		if text != row.want {
			t.Errorf("%s: got %q (%v), want %q", row.says, text, err, row.want)
		}
		if err != nil && got.IsValid() {
			t.Errorf("%s: an error and an address", row.says)
		}
	}
}

// Networks in which any client could forge its address are rejected, and so is malformed input.
func TestParseTrustedProxies(t *testing.T) {
	for _, bad := range []string{"*", "0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "0/0", "any", "10.0.0.0/33",
		"10.0.0", "proxy.example.com", "::ffff:0.0.0.0/96", "10.0.0.1-10.0.0.9", "2000::/3"} {
		if p, err := trust.ParseTrustedProxies(bad); err == nil {
			t.Errorf("%q: %v", bad, p)
		}
	}
	p := mustParseProxies(t, " 127.0.0.1,10.1.2.3/8\n ::ffff:192.168.0.0/112 fc00::/7 ")
	for text, want := range map[string]bool{"127.0.0.1": true, "127.0.0.2": false, "10.255.0.1": true,
		"192.168.9.9": true, "192.169.0.1": false, "fd00::1": true, "::ffff:10.0.0.1": true, "fe80::1": false} {
		if got := p.Contains(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	if p := mustParseProxies(t, " ,\n"); len(p) != 0 || p.Contains(netip.MustParseAddr("127.0.0.1")) ||
		p.Contains(netip.Addr{}) {
		t.Errorf("nothing: %v", p)
	}
}

// headerLines returns the lines of a header; none for "".
func headerLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// rightmost is an independent implementation: the first address from the right of an
// X-Forwarded-For that is not a proxy; zero if there is something unreadable before it.
func rightmost(p trust.TrustedProxies, xff string) (a netip.Addr) {
	hops := strings.Split(strings.ReplaceAll(xff, "\n", ","), ",")
	for _, hop := range slices.Backward(hops) {
		if hop = strings.TrimSpace(hop); hop == "" {
			continue
		}
		var err error
		if a, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]")); err != nil {
			port, _ := netip.ParseAddrPort(hop)
			a = port.Addr()
		}
		if a = a.WithZone("").Unmap(); !p.Contains(a) {
			return a
		}
	}
	return a
}

// Whatever the headers are, the address of an untrusted peer is the peer's, nothing to the left of
// the first untrusted address is returned, and the returned address determines itself.
func FuzzClientAddr(f *testing.F) {
	const own = "127.0.0.1 10.0.0.0/8"
	f.Add(own, "127.0.0.1:1", "203.0.113.5, 10.0.0.9", "")
	f.Add(own, "127.0.0.1:1", "198.51.100.7\n203.0.113.5:80", "for=198.51.100.7\nfor=203.0.113.5")
	f.Add(own, "203.0.113.5:1", "127.0.0.1", `for="[2001:db8::1]:1"`)
	f.Add(own, "[::ffff:127.0.0.1]:1", "::ffff:1.2.3.4", `for=a;by="\"`)
	f.Add("2001:db8:f::/48, ::ffff:10.0.0.0/104", "[2001:db8:f::1%eth0]:443", "fe80::1%eth0, [2001:db8:f::2]:1,,", "")
	f.Add("", "@", "0.0.0.0", "for=unknown")
	f.Fuzz(func(t *testing.T, own, peer, xff, fwd string) {
		p, err := trust.ParseTrustedProxies(own)
		if err != nil {
			return
		}
		h := trust.ForwardingInfo{PeerAddr: peer, ForwardedFor: headerLines(xff), Forwarded: headerLines(fwd)}
		got, err := p.ClientAddr(h)
		// Without proxies there is no error.
		direct, _ := trust.TrustedProxies(nil).ClientAddr(trust.ForwardingInfo{PeerAddr: peer})
		switch {
		case err != nil && (got.IsValid() || !errors.Is(err, trust.ErrInvalidForwarding)):
			t.Errorf("%v and %v", got, err)
		case got != trust.CanonicalAddr(got):
			t.Errorf("%v is not plain", got)
		case !p.Contains(direct) && (err != nil || got != direct):
			t.Errorf("the peer %v is no proxy: got %v, %v", direct, got, err)
		case p.Contains(direct) && err == nil && xff != "" && got != rightmost(p, xff):
			t.Errorf("%q: got %v, want %v", xff, got, rightmost(p, xff))
		}
		if again, _ := p.ClientAddr(h); again != got {
			t.Errorf("got %v, then %v", got, again)
		}
		if !got.IsValid() {
			return
		}
		if passed, err := p.ClientAddr(trust.ForwardingInfo{PeerAddr: peer,
			ForwardedFor: []string{got.String()}}); passed != got || err != nil {
			t.Errorf("passed on, %v becomes %v, %v", got, passed, err)
		}
	})
}

// Whatever a client sends before the proxy's own element in the same line, the result is the
// address that the proxy saw, or an error.
func FuzzClientAddrWithForgedLeftPart(f *testing.F) {
	f.Add("198.51.100.7", "for=198.51.100.7")
	f.Add("10.0.0.9", `for=198.51.100.7;x="`)
	f.Add("", `for=198.51.100.7;x="\`)
	f.Fuzz(func(t *testing.T, xff, fwd string) {
		p := mustParseProxies(t, "127.0.0.1 10.0.0.0/8")
		saw := netip.MustParseAddr("203.0.113.5")
		for _, h := range []trust.ForwardingInfo{
			{ForwardedFor: []string{xff + ", 203.0.113.5"}},
			{Forwarded: []string{fwd + ", for=203.0.113.5"}},
			{Forwarded: []string{fwd + `, for="203.0.113.5:4711";proto=https`}},
			{Forwarded: []string{fwd + `,for=203.0.113.5;by="10.0.0.1:443"`, "for=10.0.0.9"}},
			{ForwardedFor: []string{xff, "203.0.113.5"}, Forwarded: []string{fwd}},
		} {
			h.PeerAddr = "127.0.0.1:1"
			if got, err := p.ClientAddr(h); err == nil && got != saw {
				t.Fatalf("%v is believed: %+v", got, h)
			}
		}
	})
}
