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
	maxAnswer  = 64 << 10        // bytes of an answer's text, and again of its headers
	maxConnect = 3 * time.Second // until TLS stands, so that there is time left for another gateway
)

// answer is what a gateway said. text is empty if it said too much.
type answer struct {
	status int
	text   string
}

// client makes one connection for one request. A kept one would save three round trips, but
// when it breaks, net/http sends a GET a second time on its own: a second text.
func (g Gateway) client(scheme string) *http.Client {
	dialer := net.Dialer{Timeout: maxConnect, Control: g.guard(scheme)}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // without a proxy: behind one, guard would look at the wrong address
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: g.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    maxConnect,
			MaxResponseHeaderBytes: maxAnswer,
			DisableKeepAlives:      true,
			DisableCompression:     true,
		},
	}
}

// exchange sends r. Its error wraps ErrUncertain if the gateway may have read the whole request.
func (g Gateway) exchange(r *http.Request) (answer, error) {
	// On the way are: nothing (no connection yet), perhaps all, certainly not all.
	var connected, broken atomic.Bool
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { connected.Store(true) },
		WroteRequest: func(w httptrace.WroteRequestInfo) { broken.Store(w.Err != nil) },
	})
	response, err := g.client(r.URL.Scheme).Do(r.WithContext(ctx))
	if err != nil {
		quiet, lost := cause(ctx, err)
		if connected.Load() && !broken.Load() && lost {
			return answer{}, fmt.Errorf("%w: %w", ErrUncertain, quiet)
		}
		return answer{}, quiet
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	a := answer{status: response.StatusCode, text: string(text)}
	if err != nil {
		quiet, _ := cause(ctx, err)
		if a.status/100 == 2 {
			return answer{}, fmt.Errorf("%w: answered %d and broke off: %w", ErrUncertain, a.status, quiet)
		}
		a.text = "" // a no is a no, even half of one
	}
	if len(a.text) > maxAnswer {
		a.text = ""
	}
	return a, nil
}

// cause is what may be said of an error of net/http, which quotes the address with all its fields,
// and sometimes the answer. lost says that the other side may have been about to say yes: only
// what does not even begin like HTTP is nobody's yes.
func cause(ctx context.Context, err error) (quiet error, lost bool) {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return ctx.Err(), true
	case errors.Is(err, errInside):
		return errInside, false
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

// judge turns an answer into the error of Send.
func (g Gateway) judge(a answer, m Message) error {
	for _, form := range g.Refused {
		if form.fits(a) {
			return fmt.Errorf("%w: answered %d%s", ErrRefused, a.status, g.code(a, m))
		}
	}
	for _, form := range g.Accepted {
		if form.fits(a) {
			return nil
		}
	}
	switch {
	case len(g.Accepted) == 0 && a.status/100 == 2:
		return nil
	case a.status == http.StatusGatewayTimeout:
		return fmt.Errorf("%w: answered %d", ErrUncertain, a.status)
	case a.status/100 == 3:
		return fmt.Errorf("answered %d: it has moved, and we do not follow", a.status)
	case a.status/100 == 2:
		return fmt.Errorf("answered %d, but not in the form that means accepted%s", a.status, g.code(a, m))
	}
	return fmt.Errorf("answered %d%s", a.status, g.code(a, m))
}

// code is the gateway's own error code, for the log. Nothing that could be of the message passes.
func (g Gateway) code(a answer, m Message) string {
	if g.Code == "" {
		return ""
	}
	found := regexp.MustCompile(g.Code).FindStringSubmatch(a.text)
	if found == nil || !regexp.MustCompile(`^[A-Za-z0-9._-]{1,40}$`).MatchString(found[1]) ||
		strings.Contains(m.Text+m.To+g.User+g.Secret, found[1]) {
		return ""
	}
	return ", code " + found[1]
}

func (f Answer) fits(a answer) bool {
	if f.Status != 0 && f.Status != a.status {
		return false
	}
	text, ok := a.text, true
	if f.Field != "" {
		text, ok = jsonField(a.text, f.Field)
	}
	return ok && regexp.MustCompile(f.Match).MatchString(text)
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
