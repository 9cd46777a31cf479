package egress

import (
	"net/netip"
	"testing"
)

// A public address is reached with https only, one of the own network if it is allowed, and the addresses for special
// purposes never, also as an IPv6 address that holds them.
func TestControl(t *testing.T) {
	for address, want := range map[string]string{
		"93.184.215.14": "public", "2606:4700::1111": "public", "64:ff9b::5db8:d70e": "public",
		"2002:5db8:d70e::1": "public", "::ffff:93.184.215.14": "public",
		"127.0.0.1": "own", "127.9.9.9": "own", "::1": "own", "10.0.0.1": "own", "172.31.255.255": "own",
		"192.168.1.1": "own", "100.64.0.1": "own", "fd12::1": "own", "::ffff:10.0.0.1": "own",
		"::ffff:127.0.0.1": "own", "64:ff9b::a00:1": "own", "2002:7f00:1::": "own",
		"169.254.169.254": "never", "::ffff:169.254.169.254": "never", "64:ff9b::a9fe:a9fe": "never",
		"2002:a9fe:a9fe::": "never", "fd00:ec2::254": "never", "100.100.100.200": "never", "fe80::1": "never",
		"fe80::1%eth0": "never", "0.0.0.0": "never", "::": "never", "::127.0.0.1": "never", "224.0.0.1": "never",
		"255.255.255.255": "never", "ff02::1": "never", "2001::1": "never", "64:ff9b:1::a00:1": "never",
		"192.0.2.1": "never", "2001:db8::1": "never",
	} {
		for _, c := range []struct {
			private bool
			scheme  string
			want    bool
		}{
			{false, "https", want == "public"}, {true, "https", want != "never"}, {true, "http", want == "own"},
			{false, "http", false},
		} {
			to := netip.AddrPortFrom(netip.MustParseAddr(address), 443).String()
			if err := Control(c.scheme, c.private)("tcp", to, nil); (err == nil) != c.want {
				t.Errorf("%s, private allowed %t, %s: %v", address, c.private, c.scheme, err)
			}
		}
	}
	if err := Control("https", true)("tcp", "example.com:443", nil); err == nil {
		t.Error("a name is taken for an address")
	}
}
