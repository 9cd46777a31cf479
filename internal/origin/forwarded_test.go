package origin

import (
	"net/http/httptest"
	"testing"
)

// Requests of browsers and of curl are not taken for forwarded ones. Those of proxies, load balancers, CDNs and tunnels
// are.
func TestForwardedBy(t *testing.T) {
	direct := []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Connection", "Content-Length",
		"Content-Type", "Cookie", "Dnt", "Dpr", "Downlink", "Ect", "Host", "If-Modified-Since", "If-None-Match", "Keep-Alive",
		"Origin", "Pragma", "Priority", "Purpose", "Range", "Referer", "Rtt", "Save-Data", "Sec-Ch-Prefers-Color-Scheme",
		"Sec-Ch-Ua", "Sec-Ch-Ua-Arch", "Sec-Ch-Ua-Full-Version-List", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform",
		"Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User", "Sec-Gpc", "Sec-Purpose",
		"Sec-Websocket-Key", "Te", "Upgrade-Insecure-Requests", "User-Agent", "Viewport-Width", "X-Requested-With",
	}
	forwarded := []string{
		"Ali-Cdn-Real-Ip", "Akamai-Origin-Hop", "Cdn-Loop",
		"Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Cf-Ipcountry", "Cf-Ray",
		"Cf-Visitor", "Client-Ip", "Do-Connecting-Ip", "Fastly-Client-Ip", "Fastly-Ff", "Fly-Client-Ip", "Forwarded",
		"Forwarded-For", "Front-End-Https", "Incap-Client-Ip", "Ngrok-Skip-Browser-Warning", "Proxy-Authorization",
		"Proxy-Client-Ip", "Proxy-Connection", "Remote-Addr", "Tailscale-User-Login", "True-Client-Ip", "Via",
		"Wl-Proxy-Client-Ip", "X-Amz-Cf-Id", "X-Amzn-Trace-Id", "X-Appengine-User-Ip", "X-Arr-Ssl", "X-Azure-Clientip",
		"X-Azure-Ref", "X-Client-Ip", "X-Cloud-Trace-Context", "X-Cluster-Client-Ip", "X-Envoy-External-Address",
		"X-Envoy-Peer-Metadata", "X-Forward-For", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port",
		"X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Uri", "X-Host",
		"X-Nf-Client-Connection-Ip", "X-Original-Forwarded-For", "X-Original-Host", "X-Original-Url", "X-Originating-Ip",
		"X-Proxyuser-Ip", "X-Real-Ip", "X-Real-Port", "X-Remote-Addr", "X-Remote-Ip", "X-Request-Start", "X-Scheme",
		"X-Sucuri-Clientip", "X-True-Client-Ip", "X-Varnish", "X-Vercel-Id",
	}
	by := func(name string) string {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(name, "x")
		return ForwardedBy(r)
	}
	for _, name := range direct {
		if got := by(name); got != "" {
			t.Errorf("a request with %s counts as forwarded by %q", name, got)
		}
	}
	for _, name := range forwarded {
		if got := by(name); got != name {
			t.Errorf("a request with %s counts as forwarded by %q, want %q", name, got, name)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	if r.Proto, r.ProtoMinor = "HTTP/1.0", 0; ForwardedBy(r) != "HTTP/1.0" {
		t.Error("HTTP/1.0 does not count as forwarded")
	}
}
