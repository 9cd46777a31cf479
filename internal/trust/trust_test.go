package trust_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"twostep.example/twostep/internal/trust"
)

const (
	firefox      = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	newerFirefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
	olderFirefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0"
	chrome       = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	mac          = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0"
	phone        = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
	tablet       = "Mozilla/5.0 (Android 15; Tablet; rv:140.0) Gecko/140.0 Firefox/140.0"
	homeV4       = "203.0.113.5"
	homeV6       = "2001:db8:1:2::5"
	officeV4     = "198.51.100.7"
	neighbour    = "203.0.113.9"
)

var (
	verifiedAt = time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC)
	policy     = trust.Policy{TTL: trust.MaxTTL, Network: trust.NetworkExact, Browser: trust.BrowserFamily}
)

func addr(text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(text)
}

// recordAt is a record of Firefox at these addresses.
func recordAt(addresses ...string) trust.Record {
	var all []netip.Addr
	for _, a := range addresses {
		all = append(all, addr(a))
	}
	return trust.Record{Network: trust.NetworkOf(all...), Browser: trust.ParseBrowser(firefox, ""),
		VerifiedAt: verifiedAt}
}

// verifiedBy is a record that was verified by a method, for a person who was told this time.
func verifiedBy(method string, ttl time.Duration) trust.Record {
	r := recordAt(homeV4)
	r.Method, r.TTL = method, ttl
	return r
}

func revokedRecord(why trust.Reason) trust.Record {
	r := recordAt(homeV4)
	r.RevokeReason = why
	return r
}

// The section "Troubleshoot Trust this device" of the help page, as a table.
func TestCheckRecord(t *testing.T) {
	const day = 24 * time.Hour
	exact := func(p *trust.Policy) { p.Browser = trust.BrowserExact }
	prefix := func(p *trust.Policy) { p.Network = trust.NetworkPrefix }
	byApp := func(p *trust.Policy) { p.Methods = []string{"sms", "totp"} }
	anywhere := func(p *trust.Policy) { p.Network = trust.NetworkIgnored }
	for _, row := range []struct {
		says    string
		record  trust.Record
		address string
		agent   string
		after   time.Duration
		policy  func(*trust.Policy)
		want    trust.Reason
	}{
		{"You can optionally skip 2-Step verification", recordAt(homeV4), homeV4, firefox, day, nil, trust.Trusted},
		{"for up to 30 days: to the second", recordAt(homeV4), homeV4, firefox, 30 * day, nil, trust.Trusted},
		{"once the timestamp is greater than 30 days old, a new validation is required", recordAt(homeV4), homeV4,
			firefox, 30*day + time.Second, nil, trust.Expired},
		{"30 days, and a millisecond", recordAt(homeV4), homeV4, firefox, 30*day + time.Millisecond, nil,
			trust.Expired},
		{"the owner chose 7 days", recordAt(homeV4), homeV4, firefox, 7*day + time.Second,
			func(p *trust.Policy) { p.TTL = 7 * day }, trust.Expired},
		{"the owner chose none", recordAt(homeV4), homeV4, firefox, day, func(p *trust.Policy) { p.TTL = 0 },
			trust.TrustDisabled},
		{"the zero policy", recordAt(homeV4), homeV4, firefox, day,
			func(p *trust.Policy) { *p = trust.Policy{} }, trust.TrustDisabled},

		{"home and office require separate validation", recordAt(homeV4), officeV4, firefox, day, nil,
			trust.OtherNetwork},
		{"a clients office", recordAt(officeV4), "192.0.2.77", firefox, day, nil, trust.OtherNetwork},
		{"your ISP changes your public IP address", recordAt(homeV4), neighbour, firefox, day, nil, trust.OtherNetwork},
		{"an address written as an IPv6 one is the same", recordAt(homeV4), "::ffff:203.0.113.5", firefox, day, nil,
			trust.Trusted},
		{"and one that went through NAT64", recordAt(homeV4), "64:ff9b::203.0.113.5", firefox, day, nil, trust.Trusted},
		{"IPv6: the privacy address of tomorrow", recordAt(homeV6), "2001:db8:1:2:aaaa:bbbb:cccc:dddd", firefox, day,
			nil, trust.Trusted},
		{"IPv6: the neighbouring network", recordAt(homeV6), "2001:db8:1:3::5", firefox, day, nil, trust.OtherNetwork},
		{"the same place over IPv4", recordAt(homeV6, homeV4), homeV4, firefox, day, nil, trust.Trusted},
		{"the same place over IPv6", recordAt(homeV6, homeV4), homeV6, firefox, day, nil, trust.Trusted},
		{"IPv4 was never seen there", recordAt(homeV6), homeV4, firefox, day, nil, trust.OtherNetwork},
		{"IPv6 was never seen there", recordAt(homeV4), homeV6, firefox, day, nil, trust.OtherNetwork},
		{"unknown address", recordAt(homeV4), "", firefox, day, nil, trust.UnknownNetwork},
		{"a record without a place", recordAt(), homeV4, firefox, day, nil, trust.OtherNetwork},
		{"the owner chose prefixes", recordAt(homeV4), neighbour, firefox, day, prefix, trust.Trusted},
		{"beyond the prefix", recordAt(homeV4), "203.0.114.5", firefox, day, prefix, trust.OtherNetwork},
		{"prefixes, IPv6", recordAt(homeV6), "2001:db8:1:ff::1", firefox, day, prefix, trust.Trusted},
		{"beyond the prefix, IPv6", recordAt(homeV6), "2001:db8:1:100::1", firefox, day, prefix, trust.OtherNetwork},
		{"the owner chose no networks", recordAt(homeV4), officeV4, firefox, day, anywhere, trust.Trusted},
		{"networks ignored, unknown address", recordAt(homeV4), "", firefox, day, anywhere, trust.Trusted},

		{"a different browser on the same machine requires separate validation", recordAt(homeV4), homeV4, chrome, day,
			nil, trust.OtherBrowser},
		{"a different machine requires separate validation", recordAt(homeV4), homeV4, mac, day, nil,
			trust.OtherBrowser},
		{"a phone", recordAt(homeV4), homeV4, phone, day, nil, trust.OtherBrowser},
		{"a tablet", recordAt(homeV4), homeV4, tablet, day, nil, trust.OtherBrowser},
		{"the browser was updated", recordAt(homeV4), homeV4, newerFirefox, day, nil, trust.Trusted},
		{"the browser was never so old", recordAt(homeV4), homeV4, olderFirefox, day, nil, trust.BrowserDowngrade},
		{"no browser at all", recordAt(homeV4), homeV4, "", day, nil, trust.OtherBrowser},
		{"the owner chose the exact header", recordAt(homeV4), homeV4, firefox, day, exact, trust.Trusted},
		{"the exact header, updated", recordAt(homeV4), homeV4, newerFirefox, day, exact, trust.OtherBrowser},

		{"ended by a password", revokedRecord(trust.RevokedPasswordChanged), homeV4, firefox, day, nil,
			trust.RevokedPasswordChanged},
		{"ended by its owner", revokedRecord(trust.RevokedByOwner), officeV4, chrome, 40 * day, nil,
			trust.RevokedByOwner},

		{"another server's clock is some seconds late", recordAt(homeV4), homeV4, firefox, -30 * time.Second, nil,
			trust.Trusted},
		{"the clock was set back", recordAt(homeV4), homeV4, firefox, -2 * time.Minute, nil, trust.ClockSetBack},
		{"everything is wrong: the first reason counts", recordAt(homeV4), officeV4, chrome, 40 * day, nil,
			trust.OtherBrowser},
		{"the policy allows its method", verifiedBy("totp", 0), homeV4, firefox, day, byApp, trust.Trusted},
		{"the policy does not allow its method", verifiedBy("email", 0), homeV4, firefox, day, byApp, trust.MethodNotAllowed},
		{"its method is not known", recordAt(homeV4), homeV4, firefox, day, byApp, trust.MethodNotAllowed},
		{"the person was told a shorter time", verifiedBy("totp", 23*time.Hour), homeV4, firefox, 23 * time.Hour, nil, trust.Trusted},
		{"which is over", verifiedBy("totp", 23*time.Hour), homeV4, firefox, 23*time.Hour + time.Millisecond, nil, trust.Expired},
		{"the policy has become shorter since", verifiedBy("totp", 30*day), homeV4, firefox, 8 * day,
			func(p *trust.Policy) { p.TTL = 7 * day }, trust.Expired},
		{"network and time are wrong", recordAt(homeV4), officeV4, firefox, 40 * day, nil, trust.OtherNetwork},
	} {
		p := policy
		if row.policy != nil {
			row.policy(&p)
		}
		q := trust.Request{Address: addr(row.address), Browser: trust.ParseBrowser(row.agent, "")}
		if got := trust.CheckRecord(row.record, q, p, verifiedAt.Add(row.after)); got != row.want {
			t.Errorf("%s: got %q, want %q", row.says, got, row.want)
		}
	}
}

// If one network is trusted, the device is; otherwise the record that passed the most checks has
// the reason.
func TestDecide(t *testing.T) {
	home, office, gone := recordAt(homeV4), recordAt(officeV4), revokedRecord(trust.RevokedPasswordChanged)
	office.VerifiedAt = verifiedAt.Add(20 * 24 * time.Hour)
	later := func(days int) time.Time { return verifiedAt.Add(time.Duration(days) * 24 * time.Hour) }
	for _, row := range []struct {
		says    string
		records []trust.Record
		address string
		now     time.Time
		want    trust.Reason
		nearest int
	}{
		{"nothing is known of this browser", nil, homeV4, later(1), trust.NoRecord, -1},
		{"at home", []trust.Record{home, office}, homeV4, later(21), trust.Trusted, 0},
		{"in the office", []trust.Record{home, office}, officeV4, later(21), trust.Trusted, 1},
		{"somewhere else: the newer network decides", []trust.Record{home, office}, "192.0.2.77", later(21),
			trust.OtherNetwork, 1},
		{"at home, after its own 30 days", []trust.Record{home, office}, homeV4, later(31), trust.Expired, 0},
		{"in the office, which has its own", []trust.Record{home, office}, officeV4, later(31), trust.Trusted, 1},
		{"everything has ended", []trust.Record{gone}, homeV4, later(1), trust.RevokedPasswordChanged, 0},
		{"a live place says more than one that has ended", []trust.Record{gone, office}, homeV4, later(21),
			trust.OtherNetwork, 1},
	} {
		q := trust.Request{Address: addr(row.address), Browser: trust.ParseBrowser(firefox, "")}
		d := trust.Decide(row.records, q, policy, row.now)
		if d.Reason != row.want || d.NearestIndex != row.nearest || len(d.RecordReasons) != len(row.records) {
			t.Errorf("%s: got %q of record %d, want %q of %d", row.says, d.Reason, d.NearestIndex, row.want,
				row.nearest)
		}
	}
	if d := trust.Decide(nil, trust.Request{}, trust.Policy{}, verifiedAt); d.Reason != trust.TrustDisabled {
		t.Errorf("switched off: got %q", d.Reason)
	}
}

// Zero values are never trusted.
func TestZeroValuesAreNotTrusted(t *testing.T) {
	var d trust.Decision
	if d.Reason == trust.Trusted || trust.Reason("") == trust.Trusted {
		t.Error("the zero decision trusts")
	}
	if r := trust.CheckRecord(trust.Record{}, trust.Request{}, policy, verifiedAt); r == trust.Trusted {
		t.Error("the empty record is trusted")
	}
	if r := trust.CheckRecord(trust.Record{}, trust.Request{},
		trust.Policy{TTL: trust.MaxTTL, Network: trust.NetworkIgnored}, verifiedAt); r != trust.Expired {
		t.Errorf("the empty record, anywhere: %q", r)
	}
}

// Every network keeps the time of its own verification; an address is in one record only.
func TestAddRecord(t *testing.T) {
	on := func(day int, r trust.Record) trust.Record {
		r.VerifiedAt, r.ID = verifiedAt.Add(time.Duration(day)*24*time.Hour), fmt.Sprint("day ", day)
		return r
	}
	show := func(list []trust.Record) (all []string) {
		for _, r := range list {
			all = append(all, r.ID+": "+r.Network.String())
		}
		return all
	}
	for _, row := range []struct {
		says  string
		old   []trust.Record
		fresh trust.Record
		want  []string
	}{
		{"the first", nil, on(1, recordAt(homeV4)), []string{"day 1: 203.0.113.5"}},
		{"the office is added", []trust.Record{on(1, recordAt(homeV4))}, on(2, recordAt(officeV4)),
			[]string{"day 1: 203.0.113.5", "day 2: 198.51.100.7"}},
		{"home again", []trust.Record{on(1, recordAt(homeV4)), on(2, recordAt(officeV4))}, on(3, recordAt(homeV4)),
			[]string{"day 2: 198.51.100.7", "day 3: 203.0.113.5"}},
		{"IPv6 joins the place it was seen with", []trust.Record{on(1, recordAt(homeV4))},
			on(2, recordAt(homeV4, homeV6)), []string{"day 2: 203.0.113.5, 2001:db8:1:2::/64"}},
		{"two places turn out to be one", []trust.Record{on(1, recordAt(homeV4)), on(2, recordAt(homeV6))},
			on(3, recordAt(homeV4, homeV6)), []string{"day 3: 203.0.113.5, 2001:db8:1:2::/64"}},
		{"only IPv4 was verified again: IPv6 keeps its own time", []trust.Record{on(1, recordAt(homeV4, homeV6))},
			on(2, recordAt(homeV4)), []string{"day 1: 2001:db8:1:2::/64", "day 2: 203.0.113.5"}},
		{"what has ended goes", []trust.Record{revokedRecord(trust.RevokedPasswordChanged)}, on(2, recordAt(officeV4)),
			[]string{"day 2: 198.51.100.7"}},
	} {
		if got := show(trust.AddRecord(row.old, row.fresh)); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.says, got, row.want)
		}
	}
	var list []trust.Record
	for day := range 12 {
		list = trust.AddRecord(list, on(day, recordAt(fmt.Sprintf("192.0.2.%d", day))))
	}
	if len(list) != trust.MaxNetworks || list[0].ID != "day 4" {
		t.Errorf("after 12 places: %q", show(list))
	}
}

// A valid token is a likely copy if neither the browser nor the network is known.
func TestIsLikelyCopy(t *testing.T) {
	of := func(address, agent string) trust.Request {
		return trust.Request{Address: addr(address), Browser: trust.ParseBrowser(agent, "")}
	}
	anywhere := policy
	anywhere.Network = trust.NetworkIgnored
	for _, row := range []struct {
		says    string
		records []trust.Record
		q       trust.Request
		p       trust.Policy
		want    bool
	}{
		{"the same", []trust.Record{recordAt(homeV4)}, of(homeV4, firefox), policy, false},
		{"another network", []trust.Record{recordAt(homeV4)}, of(officeV4, firefox), policy, false},
		{"another browser", []trust.Record{recordAt(homeV4)}, of(homeV4, chrome), policy, false},
		{"both", []trust.Record{recordAt(homeV4)}, of(officeV4, chrome), policy, true},
		{"both, and it ended before", []trust.Record{revokedRecord(trust.RevokedByOwner)}, of(officeV4, chrome), policy,
			false},
		{"both, beside one that ended", []trust.Record{revokedRecord(trust.RevokedByOwner), recordAt(homeV4)},
			of(officeV4, chrome), policy, true},
		{"home of one of two", []trust.Record{recordAt(homeV4), recordAt(officeV4)}, of(officeV4, chrome), policy,
			false},
		{"nothing is known of it", nil, of(officeV4, chrome), policy, false},
		{"unknown address", []trust.Record{recordAt(homeV4)}, of("", chrome), policy, false},
		{"unknown browser", []trust.Record{recordAt(homeV4)}, of(officeV4, "curl/8"), policy, false},
		{"places do not count", []trust.Record{recordAt(homeV4)}, of(officeV4, chrome), anywhere, false},
	} {
		if got := trust.IsLikelyCopy(row.records, row.q, row.p); got != row.want {
			t.Errorf("%s: %v", row.says, got)
		}
	}
}

// The text of a network for its owner.
func TestClientNetworkString(t *testing.T) {
	for want, p := range map[string]trust.ClientNetwork{"": {}, homeV4: trust.NetworkOf(addr(homeV4)),
		"2001:db8:1:2::/64": trust.NetworkOf(addr(homeV6)), homeV4 +
			", 2001:db8:1:2::/64": trust.NetworkOf(addr(homeV6), addr(homeV4))} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Addresses without a client on the internet are recognized.
func TestIsPrivateAddr(t *testing.T) {
	for text, want := range map[string]bool{
		"203.0.113.5": false, "8.8.8.8": false, "2001:db8::1": false, "2a00:1450::1": false, "::ffff:8.8.8.8": false,
		"172.32.0.1": false,
		"127.0.0.1":  true, "127.8.8.8": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true,
		"fd00::1":     true,
		"169.254.1.1": true, "fe80::1": true, "fe80::1%eth0": true, "::ffff:10.1.2.3": true, "64:ff9b::a01:203": true,
		"100.64.0.1": true, "0.0.0.0": true, "0.1.2.3": true,
		"::": true, "224.0.0.1": true, "ff02::1": true, "240.0.0.1": true, "255.255.255.255": true, "2001:0:1::1": true,
		"198.18.0.1":   true,
		"64:ff9b:1::1": true, "::8.8.8.8": true, "2002:a00::1": true, "2001:2::1": true, "5f00::1": true,
		"fec0::1": true,
	} {
		if got := trust.IsPrivateAddr(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	if !trust.IsPrivateAddr(netip.Addr{}) {
		t.Error("no address at all is somebody's")
	}
}

func TestReasonIsRevoked(t *testing.T) {
	for reason, want := range map[trust.Reason]bool{trust.RevokedTokenReuse: true, trust.RevokedEpochChanged: true,
		trust.Trusted: false, trust.NoRecord: false, trust.Expired: false, trust.OtherNetwork: false, trust.BrowserDowngrade: false} {
		if reason.IsRevoked() != want {
			t.Errorf("%q ended: %v", reason, !want)
		}
	}
}

func TestIsLoopbackHost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.8.9.1": true, "::1": true,
		"": false, "localhost.example.com": false, "10.0.0.1": false, "127.0.0.1.example.com": false,
	} {
		if got := trust.IsLoopbackHost(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}

// Reasons has each reason once, and every reason for which a decision asks.
func TestReasons(t *testing.T) {
	list := trust.Reasons()
	for i, reason := range list {
		if reason == "" || slices.Contains(list[:i], reason) {
			t.Errorf("%q is empty or listed twice", reason)
		}
	}
	for _, reason := range []trust.Reason{trust.Trusted, trust.NoRecord, trust.OtherBrowser, trust.UnknownNetwork, trust.OtherNetwork, trust.Expired} {
		if !slices.Contains(list, reason) {
			t.Errorf("%q is not listed", reason)
		}
	}
}
