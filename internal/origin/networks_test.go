package origin_test

import (
	"net/netip"
	"reflect"
	"testing"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
)

func TestNetworks(t *testing.T) {
	for _, one := range []struct {
		from origin.Origin
		want ratelimit.Networks
	}{
		{origin.Origin{}, ratelimit.Networks{{Weight: 20}}},
		{origin.Origin{Address: netip.MustParseAddr("203.0.113.5"), Unclear: true}, ratelimit.Networks{{Name: "unclear", Weight: 1}}},
		{origin.Origin{Address: netip.MustParseAddr("::ffff:203.0.113.5")},
			ratelimit.Networks{{Name: "203.0.113.5", Weight: 1}, {Name: "203.0.113.0/24", Weight: 8}}},
		{origin.Origin{Address: netip.MustParseAddr("2001:db8:1:2f3::5%eth0")}, ratelimit.Networks{
			{Name: "2001:db8:1:2f3::/64", Weight: 1}, {Name: "2001:db8:1:200::/56", Weight: 4}, {Name: "2001:db8:1::/48", Weight: 16}}},
	} {
		if got := one.from.Networks(); !reflect.DeepEqual(got, one.want) {
			t.Errorf("%v: %v, want %v", one.from.Address, got, one.want)
		}
	}
}
