package e2e

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// What stands here does with a request what Traefik and Envoy do, as far as that has to do with
// us, by their source and documentation, and takes what it needs from the files that we ship. It is
// no proof that those programs read the files as we mean them.

// values are those of a key in a YAML file, without their quotes.
func values(text, key string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^[ -]*`+key+`: ("[^"]*"|[^ #{}\n]+)`).FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Trim(m[1], `"`))
	}
	return all
}

// serve runs a proxy that asks h whether a request may go on to the app.
func (e ends) serve(h func(w http.ResponseWriter, r *http.Request) (allowed bool)) string {
	onward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: e.app})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h(w, r) {
			onward.ServeHTTP(w, r)
		}
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{e.certificate()}}
	s.StartTLS()
	e.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func client() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func peer(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// traefik does as pkg/middlewares/auth/forward.go of Traefik 3.7.13.
func traefik(e ends) string {
	text := e.deploy("traefik.yml", "traefik.yml", "127.0.0.1:8080", e.server, "127.0.0.1:3000", e.app, "trustForwardHeader: false", "trustForwardHeader: false")
	address, ours := values(text, "address")[0], regexp.MustCompile(values(text, "authResponseHeadersRegex")[0])
	return e.serve(func(w http.ResponseWriter, r *http.Request) bool {
		resp, err := client().Do(traefikAsks(r, address))
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return false
		}
		defer resp.Body.Close()
		if resp.StatusCode < 200 || resp.StatusCode >= 300 {
			if to, err := resp.Location(); err == nil {
				resp.Header.Set("Location", to.String()) // in full, from its own point of view
			}
			copied(w, resp)
			return false
		}
		for name := range r.Header {
			if ours.MatchString(name) {
				r.Header.Del(name)
			}
		}
		for name, values := range resp.Header {
			if ours.MatchString(name) {
				r.Header[name] = values
			}
		}
		return true
	})
}

func traefikAsks(r *http.Request, address string) *http.Request {
	ask, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, address, nil)
	ask.Header = r.Header.Clone()
	for _, line := range r.Header["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			ask.Header.Del(textproto.TrimString(name))
		}
	}
	for name := range ask.Header {
		if strings.HasPrefix(name, "X-Forwarded-") || slices.Contains([]string{"Connection", "Keep-Alive", "Te", "Trailers", "Transfer-Encoding", "Upgrade"}, name) {
			ask.Header.Del(name)
		}
	}
	for name, value := range map[string]string{"X-Forwarded-For": peer(r), "X-Forwarded-Method": r.Method, "X-Forwarded-Proto": "https",
		"X-Forwarded-Port": "443", "X-Forwarded-Host": r.Host, "X-Forwarded-Uri": r.URL.RequestURI()} {
		ask.Header.Set(name, value)
	}
	return ask
}

// envoy does as the filter ext_authz with an http_service, whose method, host and path are those of
// the request.
func envoy(e ends) string {
	text := e.deploy("envoy.yaml", "envoy.yaml", "http://127.0.0.1:8080", "http://"+e.server, "failure_mode_allow: false", "failure_mode_allow: false")
	request, response, _ := strings.Cut(text, "authorization_response:")
	prefix, sent, told := values(request, "path_prefix")[0], values(request, "exact"), values(response, "exact")
	return e.serve(func(w http.ResponseWriter, r *http.Request) bool {
		for name := range r.Header {
			if strings.Contains(name, "_") && values(text, "headers_with_underscores_action")[0] == "REJECT_REQUEST" {
				w.WriteHeader(http.StatusBadRequest)
				return false
			}
		}
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("X-Forwarded-For", peer(r))
		ask, _ := http.NewRequestWithContext(r.Context(), r.Method, "http://"+e.server+prefix+r.RequestURI, nil)
		ask.Host = r.Host
		for _, name := range sent {
			for _, value := range r.Header.Values(name) {
				ask.Header.Add(name, value)
			}
		}
		resp, err := client().Do(ask)
		if err != nil || resp.StatusCode >= 500 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return false
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			copied(w, resp)
			return false
		}
		for _, name := range told {
			if values := resp.Header.Values(name); len(values) > 0 {
				r.Header[http.CanonicalHeaderKey(name)] = values
			}
		}
		return true
	})
}
