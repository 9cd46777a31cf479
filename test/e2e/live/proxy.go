package live

import (
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// Proxy is a reverse proxy between a server and its public address. It says of every request
// that it comes from one address, which is where the test wants its browser to be.
type Proxy struct{ from atomic.Value }

// From is where browsers come from, from now on.
func (p *Proxy) From(address string) { p.from.Store(address) }

// Proxied puts a proxy in front of the server, before the first request. It connects from
// 127.0.0.1, which the options must name.
func (s *Server) Proxied() *Proxy {
	s.T.Helper()
	behind := httptest.NewServer(s.Server)
	s.T.Cleanup(behind.Close)
	to, err := url.Parse(behind.URL)
	if err != nil {
		s.T.Fatal(err)
	}
	p := &Proxy{}
	p.From("127.0.0.1")
	s.http.Config.Handler = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		r.Out.Header.Set("X-Forwarded-For", p.from.Load().(string))
	}}
	return p
}
