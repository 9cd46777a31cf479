package render

import (
	"net/http"
	"net/netip"
	"strings"
	"unicode"

	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/trust"
)

// maxHeaderLength is how much of a browser's name is looked at and stored.
const maxHeaderLength = 256

// Origin is where a request came from. Forwarding headers are believed from the configured
// proxies only; an address that no person on the internet has is not known.
func (p *Renderer) Origin(r *http.Request) origin.Origin {
	address, err := p.TrustedProxies.ClientAddr(forwardingHops(r))
	from := p.NewOrigin(address, r.UserAgent(), strings.Join(r.Header["Sec-Ch-Ua"], ", "))
	from.Unclear, from.Language, from.DeviceToken = err != nil, p.Localizer(r).Tag(), p.Cookie(r, DeviceCookie)
	return from
}

// FromTrustedProxy reports whether a request comes straight from one of the configured proxies, so that
// what it says of another request is believed.
func (p *Renderer) FromTrustedProxy(r *http.Request) bool {
	peer, _ := trust.TrustedProxies(nil).ClientAddr(trust.ForwardingInfo{PeerAddr: r.RemoteAddr}) // no proxies, no error
	return p.TrustedProxies.Contains(peer)
}

// NewOrigin is what is looked at of an address and the headers User-Agent and Sec-CH-UA.
func (p *Renderer) NewOrigin(address netip.Addr, agent, hints string) origin.Origin {
	from := origin.Origin{UserAgent: sanitizeHeader(agent), ClientHints: sanitizeHeader(hints)}
	if p.PrivateClients || !trust.IsPrivateAddr(address) {
		from.Address = address
	}
	return from
}

func forwardingHops(r *http.Request) trust.ForwardingInfo {
	return trust.ForwardingInfo{PeerAddr: r.RemoteAddr, ForwardedFor: r.Header["X-Forwarded-For"], Forwarded: r.Header["Forwarded"]}
}

// sanitizeHeader is a header as it may stand in a table, a log, a mail and a terminal: one line.
func sanitizeHeader(header string) string {
	if len(header) > maxHeaderLength {
		header = header[:maxHeaderLength]
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, strings.ToValidUTF8(header, ""))
}
