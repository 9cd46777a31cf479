package web

import (
	"net/http"
	"net/netip"
	"strings"
	"unicode"

	"twostep/internal/account"
)

// maxUserAgent is how much of a browser's name is looked at and stored.
const maxUserAgent = 256

// from is where the request came from. Forwarding headers are not believed: anybody
// can write them, and nobody has said yet which proxies may.
func (s *Site) from(r *http.Request) account.From {
	return account.From{
		Address:   s.address(r.RemoteAddr),
		UserAgent: agent(r.UserAgent()),
		Language:  s.Pages.Words(r).Tag(),
	}
}

// address is the zero Addr when nobody knows it: a connection has none, as on a Unix
// socket, or it is a proxy's.
func (s *Site) address(remote string) netip.Addr {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	addr := a.Addr().Unmap().WithZone("")
	if s.Behind && (addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast()) {
		return netip.Addr{}
	}
	return addr
}

func agent(header string) string {
	if len(header) > maxUserAgent {
		header = header[:maxUserAgent]
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, strings.ToValidUTF8(header, ""))
}
