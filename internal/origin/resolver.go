package origin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"unicode"

	"twostep.example/twostep/internal/trust"
)

// maxHeaderBytes is the maximum stored length of the headers User-Agent and Sec-CH-UA.
const maxHeaderBytes = 256

// ProxySecretHeader is the header in which a proxy sends the secret that it shares with this server.
const ProxySecretHeader = "Twostep-Proxy-Secret"

// Resolver finds the origin of requests. The zero value trusts only proxies that connect to a Unix socket.
type Resolver struct {
	TrustedProxies trust.TrustedProxies // whose forwarding headers are accepted
	PrivateClients bool                 // private addresses are clients, not proxies: local mode or an intranet
	secret         []byte               // hash; empty: proxies are known by their address
}

// NewResolver returns a Resolver. If secret is not empty, only a proxy that sends it is trusted, from any address.
func NewResolver(proxies trust.TrustedProxies, secret string, privateClients bool) Resolver {
	v := Resolver{TrustedProxies: proxies, PrivateClients: privateClients}
	if secret != "" {
		v.secret = hashSecret(secret)
	}
	return v
}

func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// Resolve returns the address and the browser that a request comes from. Forwarding headers count only if a
// trusted proxy sent them. The address is zero if it is unknown; Unclear is true if the headers of a trusted
// proxy could not be read. Language and DeviceToken are left empty.
func (v Resolver) Resolve(r *http.Request) Origin {
	address, err := v.clientAddr(r)
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

// clientAddr returns the address of the client, see trust.TrustedProxies.ClientAddr.
func (v Resolver) clientAddr(r *http.Request) (netip.Addr, error) {
	if !v.IsFromTrustedProxy(r) {
		return peerAddr(r.RemoteAddr), nil
	}
	h := forwardingInfo(r)
	h.FromProxy = true
	return v.TrustedProxies.ClientAddr(h)
}

// IsFromTrustedProxy reports whether a trusted proxy sent the request itself: with the secret if there is one, and
// otherwise from a trusted address or over a Unix socket. File permissions decide who connects to a socket.
func (v Resolver) IsFromTrustedProxy(r *http.Request) bool {
	if len(v.secret) > 0 {
		sent := r.Header[ProxySecretHeader]
		return len(sent) == 1 && subtle.ConstantTimeCompare(hashSecret(sent[0]), v.secret) == 1
	}
	return isFromUnixSocket(r) || v.TrustedProxies.Contains(peerAddr(r.RemoteAddr))
}

// isFromUnixSocket reports whether the server accepted the request on a Unix socket.
func isFromUnixSocket(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && local.Network() == "unix"
}

// IsDirectFromPrivateNetwork reports whether a request comes from this machine or a private network and has no
// forwarding headers.
func IsDirectFromPrivateNetwork(r *http.Request) bool {
	return (isFromUnixSocket(r) || trust.IsPrivateAddr(peerAddr(r.RemoteAddr))) && !forwardingInfo(r).HasHeaders()
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
