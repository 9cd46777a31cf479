package origin

import (
	"net/http"
	"net/netip"
	"strings"
	"unicode"

	"twostep.example/twostep/internal/trust"
)

// maxHeaderBytes is the maximum stored length of the headers User-Agent and Sec-CH-UA.
const maxHeaderBytes = 256

// Resolver finds the origin of requests. The zero value trusts no proxy.
type Resolver struct {
	TrustedProxies trust.TrustedProxies // whose forwarding headers are accepted
	PrivateClients bool                 // private addresses are clients, not proxies: local mode or an intranet
}

// Resolve returns the address and the browser that a request comes from. Forwarding headers count only if a
// trusted proxy sent them. The address is zero if it is unknown; Unclear is true if the headers of a trusted
// proxy could not be read. Language and DeviceToken are left empty.
func (v Resolver) Resolve(r *http.Request) Origin {
	address, err := v.TrustedProxies.ClientAddr(forwardingInfo(r))
	from := v.New(address, r.UserAgent(), strings.Join(r.Header["Sec-Ch-Ua"], ", "))
	from.Unclear = err != nil
	return from
}

// New returns the origin of an address and of the headers User-Agent and Sec-CH-UA. A private address counts
// as unknown unless PrivateClients is set.
func (v Resolver) New(address netip.Addr, userAgent, clientHints string) Origin {
	from := Origin{UserAgent: sanitizeHeader(userAgent), ClientHints: sanitizeHeader(clientHints)}
	if v.PrivateClients || !trust.IsPrivateAddr(address) {
		from.Address = address
	}
	return from
}

// IsFromTrustedProxy reports whether a trusted proxy sent the request itself.
func (v Resolver) IsFromTrustedProxy(r *http.Request) bool {
	return v.TrustedProxies.Contains(peerAddr(r.RemoteAddr))
}

// IsDirectFromPrivateNetwork reports whether a request comes from this machine or a private network and has no
// forwarding headers.
func IsDirectFromPrivateNetwork(r *http.Request) bool {
	return trust.IsPrivateAddr(peerAddr(r.RemoteAddr)) && !forwardingInfo(r).HasHeaders()
}

func peerAddr(remote string) netip.Addr {
	// Without trusted proxies ClientAddr returns the peer and no error.
	peer, _ := trust.TrustedProxies(nil).ClientAddr(trust.ForwardingInfo{PeerAddr: remote})
	return peer
}

func forwardingInfo(r *http.Request) trust.ForwardingInfo {
	return trust.ForwardingInfo{
		PeerAddr: r.RemoteAddr, ForwardedFor: r.Header["X-Forwarded-For"], Forwarded: r.Header["Forwarded"],
	}
}

// sanitizeHeader returns a header as one line of valid UTF-8 without control or format characters, safe in a
// table, a log, an email and a terminal.
func sanitizeHeader(header string) string {
	if len(header) > maxHeaderBytes {
		header = header[:maxHeaderBytes]
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, strings.ToValidUTF8(header, ""))
}
