package page

import (
	"net/http"
	"net/netip"
	"strings"
	"unicode"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/trust"
)

// maxHeader is how much of a browser's name is looked at and stored.
const maxHeader = 256

// From is where a request came from. Forwarding headers are believed from the configured
// proxies only; an address that no person on the internet has is not known.
func (p *Printer) From(r *http.Request) origin.Origin {
	address, err := p.Proxies.Client(hops(r))
	from := p.Asked(address, r.UserAgent(), strings.Join(r.Header["Sec-Ch-Ua"], ", "))
	from.Unclear, from.Language, from.DeviceToken = err != nil, p.Words(r).Tag(), p.Cookie(r, DeviceCookie)
	return from
}

// Proxied reports whether a request comes straight from one of the configured proxies, so that
// what it says of another request is believed.
func (p *Printer) Proxied(r *http.Request) bool {
	peer, _ := trust.Proxies(nil).Client(trust.Hops{Peer: r.RemoteAddr}) // no proxies, no error
	return p.Proxies.Has(peer)
}

// Asked is what is looked at of an address and the headers User-Agent and Sec-CH-UA.
func (p *Printer) Asked(address netip.Addr, agent, hints string) origin.Origin {
	from := origin.Origin{UserAgent: plain(agent), ClientHints: plain(hints)}
	if p.Private || !trust.Private(address) {
		from.Address = address
	}
	return from
}

func hops(r *http.Request) trust.Hops {
	return trust.Hops{Peer: r.RemoteAddr, ForwardedFor: r.Header["X-Forwarded-For"], Forwarded: r.Header["Forwarded"]}
}

// plain is a header as it may stand in a table, a log, a mail and a terminal: one line.
func plain(header string) string {
	if len(header) > maxHeader {
		header = header[:maxHeader]
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, strings.ToValidUTF8(header, ""))
}
