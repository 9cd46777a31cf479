package page

import (
	"net/http"
	"strings"
	"unicode"

	"twostep/internal/account"
	"twostep/internal/trust"
)

// maxHeader is how much of a browser's name is looked at and stored.
const maxHeader = 256

// From is where a request came from. Forwarding headers are believed from the configured
// proxies only; an address that no person on the internet has is not known.
func (p *Printer) From(r *http.Request) account.From {
	from := account.From{
		UserAgent: plain(r.UserAgent()), Hints: plain(strings.Join(r.Header["Sec-Ch-Ua"], ", ")),
		Language: p.Words(r).Tag(), Device: p.Cookie(r, DeviceCookie),
	}
	hops := hops(r)
	address, err := p.Proxies.Client(hops)
	from.Unclear = err != nil
	if p.Private || !trust.Private(address) {
		from.Address = address
	}
	return from
}

func hops(r *http.Request) trust.Hops {
	return trust.Hops{Peer: r.RemoteAddr, ForwardedFor: r.Header["X-Forwarded-For"], Forwarded: r.Header["Forwarded"]}
}

// plain is a header as it may stand in a table, a log and a mail.
func plain(header string) string {
	if len(header) > maxHeader {
		header = header[:maxHeader]
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, strings.ToValidUTF8(header, ""))
}
