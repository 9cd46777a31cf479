package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"twostep.example/twostep/internal/egress"
)

const (
	// sendTimeout limits one attempt, from the name resolution to the status of the response (Standard Webhooks 1.0.0,
	// Request timeouts).
	sendTimeout    = 15 * time.Second
	connectTimeout = 5 * time.Second // TCP, and again TLS
	maxHeaderBytes = 16 << 10        // of a response
)

// newClient returns a client for the URLs of one webhook. Each connection is checked when it is made. It uses no proxy:
// the check would see the address of the proxy.
func newClient(scheme string, allowPrivate bool, roots *x509.CertPool) *http.Client {
	dialer := net.Dialer{Timeout: connectTimeout, Control: egress.Control(scheme, allowPrivate)}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    connectTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			MaxIdleConns:           1,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
	}
}

// failure is an attempt that did not succeed. Its text has nothing of the URL or the response.
type failure struct {
	text  string
	gone  bool          // the receiver wants no more
	after time.Duration // the receiver asks to wait this long; 0: it does not say
}

func (f *failure) Error() string { return f.text }

// Is makes each failure an ErrNotTaken.
func (f *failure) Is(target error) bool { return target == ErrNotTaken }

// ErrNotTaken means that the receiver did not take an event. The text of an error that is one says why.
var ErrNotTaken = errors.New("the receiver did not take the event")

// send makes one attempt. It returns a *failure unless the receiver has answered with a status of 200 to 299. The body
// of the response is not read.
func (h *hook) send(ctx context.Context, m message, now time.Time) error {
	// An attempt that has begun ends even if the server is stopping.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), h.timeout)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(m.body))
	if err != nil {
		return &failure{text: "the URL is not valid"}
	}
	m.setHeaders(r.Header, h.keys, now)
	res, err := h.client.Do(r)
	if err != nil {
		return &failure{text: describe(ctx, err)}
	}
	defer res.Body.Close()
	switch status := res.StatusCode; {
	case status/100 == 2:
		return nil
	case status == http.StatusGone:
		return &failure{text: "answered 410: it wants no more events", gone: true}
	case status/100 == 3:
		return &failure{text: fmt.Sprintf("answered %d: redirects are not followed", status)}
	default:
		return &failure{text: fmt.Sprintf("answered %d", status), after: retryAfter(res.Header.Get("Retry-After"), now)}
	}
}

// retryAfter parses the header Retry-After (RFC 9110 10.2.3). It returns 0 without a valid one.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(header, 10, 32); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// describe says why there is no response, in constant words: an error of net/http quotes the URL.
func describe(ctx context.Context, err error) string {
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	var network *net.OpError
	switch {
	case errors.Is(err, egress.ErrNotAllowed):
		return "its address is private or reserved: set allow_private if the receiver is in your own network"
	case ctx.Err() != nil:
		return "did not answer in time"
	case errors.As(err, &certificate):
		return "its certificate is not valid"
	case errors.As(err, &name):
		return "its name cannot be resolved"
	case errors.As(err, &network) && network.Op == "dial":
		return "cannot be connected to"
	}
	return "the connection broke"
}

// refusal says why a webhook may not have this address in its URL; "": it may.
func refusal(a netip.Addr, scheme string, allowPrivate bool) string {
	private, allowed := egress.Classify(a)
	switch {
	case !allowed:
		return "has a reserved address, which is never allowed"
	case private && !allowPrivate:
		return "has a private address: set allow_private = true if the receiver is in your own network"
	case !private && scheme == "http":
		return "is http with a public address, want https"
	}
	return ""
}
