// Package metadata fetches the metadata documents of clients that are named by a URL.
//
// Anybody can name a URL, so a fetch reaches public addresses only, and is limited in time and size.
package metadata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	fetchTimeout = 5 * time.Second // of all of a fetch
	// MaxBytes is the largest document, in bytes. The draft advises 5 KiB.
	MaxBytes       = 10 << 10
	maxHeaderBytes = 16 << 10
)

// A document is cached as long as its Cache-Control header says, within these bounds.
const (
	MinTTL     = 5 * time.Minute
	MaxTTL     = 24 * time.Hour
	defaultTTL = time.Hour // without max-age
)

// Error says why a document cannot be used. It is for operators.
type Error struct{ Reason string }

func (e *Error) Error() string { return "metadata: " + e.Reason }

// Fetcher fetches documents. The zero value is ready for use.
type Fetcher struct {
	// Transport sends the requests. nil: one that uses no proxy and connects to port 443 of public addresses only.
	Transport http.RoundTripper
}

// Fetch returns the document at an https URL, and how long it may be cached. It returns an *Error if there is none that
// can be used (draft-ietf-oauth-client-id-metadata-document, "Client Information Discovery").
func (f Fetcher) Fetch(ctx context.Context, address string) (body []byte, ttl time.Duration, err error) {
	ctx, stop := context.WithTimeout(ctx, fetchTimeout)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, &Error{"the URL is invalid"}
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "Twostep")
	transport := f.Transport
	if transport == nil {
		transport = publicTransport()
	}
	client := http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	if err != nil {
		return nil, 0, &Error{"cannot be fetched: " + err.Error()}
	}
	defer res.Body.Close()
	media, _, mediaErr := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, 0, &Error{fmt.Sprintf("has status %d, want 200; redirects are not followed", res.StatusCode)}
	case mediaErr != nil || media != "application/json" && !strings.HasSuffix(media, "+json"):
		return nil, 0, &Error{fmt.Sprintf("has the content type %q, want application/json", res.Header.Get("Content-Type"))}
	case res.Header.Get("Content-Encoding") != "":
		return nil, 0, &Error{"is compressed, which was not asked for"}
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, MaxBytes+1))
	if err != nil {
		return nil, 0, &Error{"cannot be read: " + err.Error()}
	}
	if len(body) > MaxBytes {
		return nil, 0, &Error{fmt.Sprintf("has more than %d bytes", MaxBytes)}
	}
	return body, cacheTTL(res.Header.Get("Cache-Control")), nil
}

// cacheTTL returns how long a response may be cached (RFC 9111 5.2.2), within the bounds.
func cacheTTL(header string) time.Duration {
	ttl := defaultTTL
	for directive := range strings.SplitSeq(strings.ToLower(header), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache":
			return MinTTL
		case "max-age":
			seconds, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32)
			if err != nil {
				return MinTTL
			}
			ttl = time.Duration(seconds) * time.Second
		}
	}
	return min(max(ttl, MinTTL), MaxTTL)
}

// publicTransport returns a transport for one request to a public address.
func publicTransport() *http.Transport {
	dialer := net.Dialer{Control: refusePrivate}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		DisableKeepAlives:      true,
		DisableCompression:     true, // a small response may decompress to a large one
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

var errNotPublic = errors.New("the address is not public")

// refusePrivate returns an error unless a connection goes to port 443 of a public address. The dialer calls it with the
// address that it connects to, after DNS: a name that resolves to another address the second time gains nothing.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || to.Port() != 443 || !isPublic(to.Addr()) {
		return errNotPublic
	}
	return nil
}

// notPublic are the networks for special purposes (IANA IPv4 and IPv6 Special-Purpose Address Registries) that netip
// does not name. 6to4, Teredo and the other networks of 2001::/23 may lead to private IPv4 addresses.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
}

// publicIPv6 is the network of all public unicast addresses (RFC 4291 2.4). NAT64 and mapped addresses are outside.
var publicIPv6 = netip.MustParsePrefix("2000::/3")

func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	if a.Zone() != "" || !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !publicIPv6.Contains(a) {
		return false
	}
	for _, network := range notPublic {
		if network.Contains(a) {
			return false
		}
	}
	return true
}
