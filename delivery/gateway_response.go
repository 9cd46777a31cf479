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
	maxGatewayResponseBytes = 64 << 10        // limit of the body, and again of the headers
	connectTimeout          = 3 * time.Second // TCP and TLS; leaves time for another gateway
)

// gatewayResponse is a gateway's response. body is empty if it exceeded maxGatewayResponseBytes.
type gatewayResponse struct {
	status int
	body   string
}

// httpClient returns a client that makes one connection for one request. Keeping connections would
// save three round trips, but when a kept connection breaks, net/http repeats a GET by itself,
// which would send a second text message.
func (g Gateway) httpClient(scheme string) *http.Client {
	dialer := net.Dialer{Timeout: connectTimeout, Control: g.dialControl(scheme)}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // no Proxy: dialControl would check the proxy's address instead of the gateway's
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: g.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    connectTimeout,
			MaxResponseHeaderBytes: maxGatewayResponseBytes,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
	}
}

// roundTrip sends r. It returns an error that wraps ErrUncertain if the gateway may have read the
// whole request.
func (g Gateway) roundTrip(r *http.Request) (gatewayResponse, error) {
	// connected: the request may have been sent whole. broken: it certainly was not.
	var connected, broken atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { connected.Store(true) },
		WroteRequest: func(w httptrace.WroteRequestInfo) { broken.Store(w.Err != nil) },
	})
	response, err := g.httpClient(r.URL.Scheme).Do(r.WithContext(ctx))
	if err != nil {
		safeErr, uncertain := classifyTransportError(ctx, err)
		if connected.Load() && !broken.Load() && uncertain {
			return gatewayResponse{}, fmt.Errorf("%w: %w", ErrUncertain, safeErr)
		}
		return gatewayResponse{}, safeErr
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxGatewayResponseBytes+1))
	a := gatewayResponse{status: response.StatusCode, body: string(text)}
	if err != nil {
		safeErr, _ := classifyTransportError(ctx, err)
		if a.status/100 == 2 {
			return gatewayResponse{}, fmt.Errorf("%w: answered %d and broke off: %w", ErrUncertain, a.status, safeErr)
		}
		a.body = "" // an error status counts even without a complete body
	}
	if len(a.body) > maxGatewayResponseBytes {
		a.body = ""
	}
	return a, nil
}

// classifyTransportError returns an error that is safe to log in place of one of net/http, which
// quotes the URL with all its fields and sometimes the response. uncertain reports whether the
// gateway may have accepted the request: only a response that is not HTTP at all rules that out.
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
	// Bad version, status or first line; net/http has no type for it.
	case strings.Contains(err.Error(), "malformed HTTP "):
		return errors.New("does not speak HTTP"), false
	}
	return errors.New("incomplete answer"), true
}

// responseError maps a response to the error of Send.
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
		return fmt.Errorf("answered %d: redirects are not followed", a.status)
	case a.status/100 == 2:
		return fmt.Errorf("answered %d, but matches no accept rule%s", a.status, g.errorCode(a, m))
	}
	return fmt.Errorf("answered %d%s", a.status, g.errorCode(a, m))
}

// errorCode returns the gateway's own error code for the log. It returns nothing that could be part
// of the message or of the credentials.
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

// jsonField returns a string, number or boolean from JSON: "messages.0.status" is the field status
// of the first element of messages.
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
