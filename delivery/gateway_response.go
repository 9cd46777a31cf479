package delivery

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxGatewayResponseBytes = 64 << 10        // bytes of an answer's text, and again of its headers
	connectTimeout          = 3 * time.Second // until TLS stands, so that there is time left for another gateway
)

// gatewayResponse is what a gateway said. text is empty if it said too much.
type gatewayResponse struct {
	status int
	body   string
}

// httpClient makes one connection for one request. A kept one would save three round trips, but
// when it breaks, net/http sends a GET a second time on its own: a second text.
func (g Gateway) httpClient(scheme string) *http.Client {
	dialer := net.Dialer{Timeout: connectTimeout, Control: g.dialControl(scheme)}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // without a proxy: behind one, guard would look at the wrong address
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: g.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    connectTimeout,
			MaxResponseHeaderBytes: maxGatewayResponseBytes,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
	}
}

// roundTrip sends r. Its error wraps ErrUncertain if the gateway may have read the whole request.
func (g Gateway) roundTrip(r *http.Request) (gatewayResponse, error) {
	// On the way are: nothing (no connection yet), perhaps all, certainly not all.
	var connected, broken atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { connected.Store(true) },
		WroteRequest: func(w httptrace.WroteRequestInfo) { broken.Store(w.Err != nil) },
	})
	response, err := g.httpClient(r.URL.Scheme).Do(r.WithContext(ctx))
	if err != nil {
		quiet, lost := classifyTransportError(ctx, err)
		if connected.Load() && !broken.Load() && lost {
			return gatewayResponse{}, fmt.Errorf("%w: %w", ErrUncertain, quiet)
		}
		return gatewayResponse{}, quiet
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxGatewayResponseBytes+1))
	a := gatewayResponse{status: response.StatusCode, body: string(text)}
	if err != nil {
		quiet, _ := classifyTransportError(ctx, err)
		if a.status/100 == 2 {
			return gatewayResponse{}, fmt.Errorf("%w: answered %d and broke off: %w", ErrUncertain, a.status, quiet)
		}
		a.body = "" // a no is a no, even half of one
	}
	if len(a.body) > maxGatewayResponseBytes {
		a.body = ""
	}
	return a, nil
}

// classifyTransportError is what may be said of an error of net/http, which quotes the address with all its fields,
// and sometimes the answer. lost says that the other side may have been about to say yes: only
// what does not even begin like HTTP is nobody's yes.
func classifyTransportError(ctx context.Context, err error) (safeErr error, uncertain bool) {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return ctx.Err(), true
	case errors.Is(err, errAddressNotAllowed):
		return errAddressNotAllowed, false
	case errors.As(err, &certificate):
		return certificate, false
	case errors.As(err, &network):
		return network, true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF, true
	case strings.Contains(err.Error(), "malformed HTTP "): // version, status or first line; net/http has no other sign
		return errors.New("does not speak HTTP"), false
	}
	return errors.New("answer broken"), true
}

// responseError turns an answer into the error of Send.
func (g Gateway) responseError(a gatewayResponse, m Message) error {
	for _, form := range g.Reject {
		if form.matches(a) {
			return fmt.Errorf("%w: answered %d%s", ErrRejected, a.status, g.errorCode(a, m))
		}
	}
	for _, form := range g.Accept {
		if form.matches(a) {
			return nil
		}
	}
	switch {
	case len(g.Accept) == 0 && a.status/100 == 2:
		return nil
	case a.status == http.StatusGatewayTimeout:
		return fmt.Errorf("%w: answered %d", ErrUncertain, a.status)
	case a.status/100 == 3:
		return fmt.Errorf("answered %d: it has moved, and we do not follow", a.status)
	case a.status/100 == 2:
		return fmt.Errorf("answered %d, but not in the form that means accepted%s", a.status, g.errorCode(a, m))
	}
	return fmt.Errorf("answered %d%s", a.status, g.errorCode(a, m))
}

// errorCode is the gateway's own error code, for the log. Nothing that could be of the message passes.
func (g Gateway) errorCode(a gatewayResponse, m Message) string {
	if g.ErrorCodePattern == "" {
		return ""
	}
	found := regexp.MustCompile(g.ErrorCodePattern).FindStringSubmatch(a.body)
	if found == nil || !regexp.MustCompile(`^[A-Za-z0-9._-]{1,40}$`).MatchString(found[1]) ||
		strings.Contains(m.Text+m.To+g.User+g.Secret, found[1]) {
		return ""
	}
	return ", code " + found[1]
}

func (f ResponseRule) matches(a gatewayResponse) bool {
	if f.Status != 0 && f.Status != a.status {
		return false
	}
	text, ok := a.body, true
	if f.Field != "" {
		text, ok = jsonField(a.body, f.Field)
	}
	return ok && regexp.MustCompile(f.Pattern).MatchString(text)
}

// jsonField is a text, number or truth value in JSON: "messages.0.status" is the field status
// of the first of messages.
func jsonField(text, path string) (string, bool) {
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return "", false
	}
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(v) {
				return "", false
			}
			value = v[i]
		default:
			return "", false
		}
	}
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number, bool:
		return fmt.Sprint(v), true
	}
	return "", false
}
