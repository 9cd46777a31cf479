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
	firefox   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	updated   = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
	older     = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0"
	chrome    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	mac       = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0"
	phone     = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
	tablet    = "Mozilla/5.0 (Android 15; Tablet; rv:140.0) Gecko/140.0 Firefox/140.0"
	homeV4    = "203.0.113.5"
	homeV6    = "2001:db8:1:2::5"
	officeV4  = "198.51.100.7"
	neighbour = "203.0.113.9"
)

var (
	verified = time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC)
	policy   = trust.Policy{Life: trust.Life, Network: trust.Exact, Browser: trust.Family}
)

func addr(text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(text)
}

// at is a record of Firefox at these addresses.
func at(addresses ...string) trust.Record {
	var all []netip.Addr
	for _, a := range addresses {
		all = append(all, addr(a))
	}
	return trust.Record{Place: trust.At(all...), Browser: trust.ReadBrowser(firefox, ""), Verified: verified}
}

func ended(why trust.Reason) trust.Record {
	r := at(homeV4)
	r.Ended = why
	return r
}

// The page that describes the feature, read as a table.
func TestCheck(t *testing.T) {
	const day = 24 * time.Hour
	exact := func(p *trust.Policy) { p.Browser = trust.SameText }
	prefix := func(p *trust.Policy) { p.Network = trust.Prefix }
	anywhere := func(p *trust.Policy) { p.Network = trust.Anywhere }
	for _, row := range []struct {
		says    string
		record  trust.Record
		address string
		agent   string
		after   time.Duration
		policy  func(*trust.Policy)
		want    trust.Reason
	}{
		{"You can optionally skip 2-Step verification", at(homeV4), homeV4, firefox, day, nil, trust.Trusted},
		{"for up to 30 days: to the second", at(homeV4), homeV4, firefox, 30 * day, nil, trust.Trusted},
		{"once the timestamp is greater than 30 days old, a new validation is required", at(homeV4), homeV4, firefox, 30*day + time.Second, nil, trust.Expired},
		{"30 days, and a millisecond", at(homeV4), homeV4, firefox, 30*day + time.Millisecond, nil, trust.Expired},
		{"the owner chose 7 days", at(homeV4), homeV4, firefox, 7*day + time.Second, func(p *trust.Policy) { p.Life = 7 * day }, trust.Expired},
		{"the owner chose none", at(homeV4), homeV4, firefox, day, func(p *trust.Policy) { p.Life = 0 }, trust.Off},
		{"a policy nobody filled in", at(homeV4), homeV4, firefox, day, func(p *trust.Policy) { *p = trust.Policy{} }, trust.Off},

		{"home and office require separate validation", at(homeV4), officeV4, firefox, day, nil, trust.OtherNetwork},
		{"a clients office", at(officeV4), "192.0.2.77", firefox, day, nil, trust.OtherNetwork},
		{"your ISP changes your public IP address", at(homeV4), neighbour, firefox, day, nil, trust.OtherNetwork},
		{"an address written as an IPv6 one is the same", at(homeV4), "::ffff:203.0.113.5", firefox, day, nil, trust.Trusted},
		{"and one that went through NAT64", at(homeV4), "64:ff9b::203.0.113.5", firefox, day, nil, trust.Trusted},
		{"IPv6: the privacy address of tomorrow", at(homeV6), "2001:db8:1:2:aaaa:bbbb:cccc:dddd", firefox, day, nil, trust.Trusted},
		{"IPv6: the network next door", at(homeV6), "2001:db8:1:3::5", firefox, day, nil, trust.OtherNetwork},
		{"the same place over IPv4", at(homeV6, homeV4), homeV4, firefox, day, nil, trust.Trusted},
		{"the same place over IPv6", at(homeV6, homeV4), homeV6, firefox, day, nil, trust.Trusted},
		{"IPv4 was never seen there", at(homeV6), homeV4, firefox, day, nil, trust.OtherNetwork},
		{"IPv6 was never seen there", at(homeV4), homeV6, firefox, day, nil, trust.OtherNetwork},
		{"nobody knows the address", at(homeV4), "", firefox, day, nil, trust.UnknownNetwork},
		{"a record without a place", at(), homeV4, firefox, day, nil, trust.OtherNetwork},
		{"the owner chose prefixes", at(homeV4), neighbour, firefox, day, prefix, trust.Trusted},
		{"beyond the prefix", at(homeV4), "203.0.114.5", firefox, day, prefix, trust.OtherNetwork},
		{"prefixes, IPv6", at(homeV6), "2001:db8:1:ff::1", firefox, day, prefix, trust.Trusted},
		{"beyond the prefix, IPv6", at(homeV6), "2001:db8:1:100::1", firefox, day, prefix, trust.OtherNetwork},
		{"the owner chose no networks", at(homeV4), officeV4, firefox, day, anywhere, trust.Trusted},
		{"no networks, nobody knows the address", at(homeV4), "", firefox, day, anywhere, trust.Trusted},

		{"a different browser on the same machine requires separate validation", at(homeV4), homeV4, chrome, day, nil, trust.OtherBrowser},
		{"a different machine requires separate validation", at(homeV4), homeV4, mac, day, nil, trust.OtherBrowser},
		{"a phone", at(homeV4), homeV4, phone, day, nil, trust.OtherBrowser},
		{"a tablet", at(homeV4), homeV4, tablet, day, nil, trust.OtherBrowser},
		{"the browser was updated", at(homeV4), homeV4, updated, day, nil, trust.Trusted},
		{"the browser was never so old", at(homeV4), homeV4, older, day, nil, trust.OlderBrowser},
		{"no browser at all", at(homeV4), homeV4, "", day, nil, trust.OtherBrowser},
		{"the owner chose the exact header", at(homeV4), homeV4, firefox, day, exact, trust.Trusted},
		{"the exact header, updated", at(homeV4), homeV4, updated, day, exact, trust.OtherBrowser},

		{"ended by a password", ended(trust.EndedPassword), homeV4, firefox, day, nil, trust.EndedPassword},
		{"ended by its owner", ended(trust.EndedRevoked), officeV4, chrome, 40 * day, nil, trust.EndedRevoked},

		{"another server's clock is some seconds late", at(homeV4), homeV4, firefox, -30 * time.Second, nil, trust.Trusted},
		{"the clock was set back", at(homeV4), homeV4, firefox, -2 * time.Minute, nil, trust.BehindTime},
		{"everything is wrong: the first reason counts", at(homeV4), officeV4, chrome, 40 * day, nil, trust.OtherBrowser},
		{"network and time are wrong", at(homeV4), officeV4, firefox, 40 * day, nil, trust.OtherNetwork},
	} {
		p := policy
		if row.policy != nil {
			row.policy(&p)
		}
		q := trust.Request{Address: addr(row.address), Browser: trust.ReadBrowser(row.agent, "")}
		if got := trust.Check(row.record, q, p, verified.Add(row.after)); got != row.want {
			t.Errorf("%s: got %q, want %q", row.says, got, row.want)
		}
	}
}

// If one place is trusted, the browser is; if none is, the nearest says why.
func TestDecide(t *testing.T) {
	home, office, gone := at(homeV4), at(officeV4), ended(trust.EndedPassword)
	office.Verified = verified.Add(20 * 24 * time.Hour)
	later := func(days int) time.Time { return verified.Add(time.Duration(days) * 24 * time.Hour) }
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
		{"somewhere else: the newer place is told", []trust.Record{home, office}, "192.0.2.77", later(21), trust.OtherNetwork, 1},
		{"at home, after its own 30 days", []trust.Record{home, office}, homeV4, later(31), trust.Expired, 0},
		{"in the office, which has its own", []trust.Record{home, office}, officeV4, later(31), trust.Trusted, 1},
		{"everything has ended", []trust.Record{gone}, homeV4, later(1), trust.EndedPassword, 0},
		{"a live place says more than one that has ended", []trust.Record{gone, office}, homeV4, later(21), trust.OtherNetwork, 1},
	} {
		q := trust.Request{Address: addr(row.address), Browser: trust.ReadBrowser(firefox, "")}
		d := trust.Decide(row.records, q, policy, row.now)
		if d.Reason != row.want || d.Nearest != row.nearest || len(d.Each) != len(row.records) {
			t.Errorf("%s: got %q of record %d, want %q of %d", row.says, d.Reason, d.Nearest, row.want, row.nearest)
		}
	}
	if d := trust.Decide(nil, trust.Request{}, trust.Policy{}, verified); d.Reason != trust.Off {
		t.Errorf("switched off: got %q", d.Reason)
	}
}

// Nothing that nobody filled in trusts anybody.
func TestZero(t *testing.T) {
	var d trust.Decision
	if d.Reason == trust.Trusted || trust.Reason("") == trust.Trusted {
		t.Error("the zero decision trusts")
	}
	if r := trust.Check(trust.Record{}, trust.Request{}, policy, verified); r == trust.Trusted {
		t.Error("the empty record is trusted")
	}
	if r := trust.Check(trust.Record{}, trust.Request{}, trust.Policy{Life: trust.Life, Network: trust.Anywhere}, verified); r != trust.Expired {
		t.Errorf("the empty record, anywhere: %q", r)
	}
}

// Every place keeps the time of its own verification; an address is in one place only.
func TestAdded(t *testing.T) {
	on := func(day int, r trust.Record) trust.Record {
		r.Verified, r.ID = verified.Add(time.Duration(day)*24*time.Hour), fmt.Sprint("day ", day)
		return r
	}
	show := func(list []trust.Record) (all []string) {
		for _, r := range list {
			all = append(all, r.ID+": "+r.Place.String())
		}
		return all
	}
	for _, row := range []struct {
		says  string
		old   []trust.Record
		fresh trust.Record
		want  []string
	}{
		{"the first", nil, on(1, at(homeV4)), []string{"day 1: 203.0.113.5"}},
		{"the office is added", []trust.Record{on(1, at(homeV4))}, on(2, at(officeV4)), []string{"day 1: 203.0.113.5", "day 2: 198.51.100.7"}},
		{"home anew", []trust.Record{on(1, at(homeV4)), on(2, at(officeV4))}, on(3, at(homeV4)), []string{"day 2: 198.51.100.7", "day 3: 203.0.113.5"}},
		{"IPv6 joins the place it was seen with", []trust.Record{on(1, at(homeV4))}, on(2, at(homeV4, homeV6)), []string{"day 2: 203.0.113.5, 2001:db8:1:2::/64"}},
		{"two places turn out to be one", []trust.Record{on(1, at(homeV4)), on(2, at(homeV6))}, on(3, at(homeV4, homeV6)), []string{"day 3: 203.0.113.5, 2001:db8:1:2::/64"}},
		{"only IPv4 was proven anew: IPv6 keeps its own time", []trust.Record{on(1, at(homeV4, homeV6))}, on(2, at(homeV4)), []string{"day 1: 2001:db8:1:2::/64", "day 2: 203.0.113.5"}},
		{"what has ended goes", []trust.Record{ended(trust.EndedPassword)}, on(2, at(officeV4)), []string{"day 2: 198.51.100.7"}},
	} {
		if got := show(trust.Added(row.old, row.fresh)); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.says, got, row.want)
		}
	}
	var list []trust.Record
	for day := range 12 {
		list = trust.Added(list, on(day, at(fmt.Sprintf("192.0.2.%d", day))))
	}
	if len(list) != trust.MostPlaces || list[0].ID != "day 4" {
		t.Errorf("after 12 places: %q", show(list))
	}
}

// A right secret is a copy if neither the browser nor the place is known.
func TestElsewhere(t *testing.T) {
	of := func(address, agent string) trust.Request {
		return trust.Request{Address: addr(address), Browser: trust.ReadBrowser(agent, "")}
	}
	anywhere := policy
	anywhere.Network = trust.Anywhere
	for _, row := range []struct {
		says    string
		records []trust.Record
		q       trust.Request
		p       trust.Policy
		want    bool
	}{
		{"the same", []trust.Record{at(homeV4)}, of(homeV4, firefox), policy, false},
		{"another network", []trust.Record{at(homeV4)}, of(officeV4, firefox), policy, false},
		{"another browser", []trust.Record{at(homeV4)}, of(homeV4, chrome), policy, false},
		{"both", []trust.Record{at(homeV4)}, of(officeV4, chrome), policy, true},
		{"both, and it ended before", []trust.Record{ended(trust.EndedRevoked)}, of(officeV4, chrome), policy, false},
		{"both, beside one that ended", []trust.Record{ended(trust.EndedRevoked), at(homeV4)}, of(officeV4, chrome), policy, true},
		{"home of one of two", []trust.Record{at(homeV4), at(officeV4)}, of(officeV4, chrome), policy, false},
		{"nothing is known of it", nil, of(officeV4, chrome), policy, false},
		{"nobody knows from where", []trust.Record{at(homeV4)}, of("", chrome), policy, false},
		{"nobody knows with what", []trust.Record{at(homeV4)}, of(officeV4, "curl/8"), policy, false},
		{"places do not count", []trust.Record{at(homeV4)}, of(officeV4, chrome), anywhere, false},
	} {
		if got := trust.Elsewhere(row.records, row.q, row.p); got != row.want {
			t.Errorf("%s: %v", row.says, got)
		}
	}
}

// A place for its owner.
func TestPlaceString(t *testing.T) {
	for want, p := range map[string]trust.Place{"": {}, homeV4: trust.At(addr(homeV4)), "2001:db8:1:2::/64": trust.At(addr(homeV6)), homeV4 + ", 2001:db8:1:2::/64": trust.At(addr(homeV6), addr(homeV4))} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Addresses that no person has on the internet are told from those that people have.
func TestPrivate(t *testing.T) {
	for text, want := range map[string]bool{
		"203.0.113.5": false, "8.8.8.8": false, "2001:db8::1": false, "2a00:1450::1": false, "::ffff:8.8.8.8": false, "172.32.0.1": false,
		"127.0.0.1": true, "127.8.8.8": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "fd00::1": true,
		"169.254.1.1": true, "fe80::1": true, "fe80::1%eth0": true, "::ffff:10.1.2.3": true, "64:ff9b::a01:203": true, "100.64.0.1": true, "0.0.0.0": true, "0.1.2.3": true,
		"::": true, "224.0.0.1": true, "ff02::1": true, "240.0.0.1": true, "255.255.255.255": true, "2001:0:1::1": true, "198.18.0.1": true,
		"64:ff9b:1::1": true, "::8.8.8.8": true, "2002:a00::1": true, "2001:2::1": true, "5f00::1": true, "fec0::1": true,
	} {
		if got := trust.Private(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	if !trust.Private(netip.Addr{}) {
		t.Error("no address at all is somebody's")
	}
}

func TestReasons(t *testing.T) {
	for reason, want := range map[trust.Reason]bool{trust.EndedStolen: true, trust.EndedChanged: true, trust.Trusted: false, trust.NoRecord: false, trust.Expired: false, trust.OtherNetwork: false, trust.OlderBrowser: false} {
		if reason.Ended() != want {
			t.Errorf("%q ended: %v", reason, !want)
		}
	}
}
