package metadata

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestIsPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "93.184.215.14": true, "2606:4700:4700::1111": true, "::ffff:1.1.1.1": true,
		"127.0.0.1": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "192.0.0.8": false, "198.18.0.1": false, "224.0.0.1": false,
		"255.255.255.255": false, "240.0.0.1": false, "203.0.113.1": false, "::1": false, "::": false, "::ffff:127.0.0.1": false,
		"::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false,
		"64:ff9b:1::1": false, "fe80::1": false, "fe80::1%eth0": false, "2606:4700::1%eth0": false, "fc00::1": false, "fd00::1": false,
		"fec0::1": false, "ff02::1": false, "2002:7f00:1::": false, "2001::1": false, "2001:db8::1": false, "100::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is public: %v, want %v", address, got, want)
		}
	}
	for address, want := range map[string]bool{
		"1.1.1.1:443": true, "1.1.1.1:80": false, "1.1.1.1:8443": false, "[::1]:443": false, "127.0.0.1:443": false, "x": false,
	} {
		if err := refusePrivate("tcp", address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A document at this machine, by its address or a name that resolves to it, is never fetched.
func TestFetchReachesNoPrivateAddress(t *testing.T) {
	asked := false
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1", "[::1]"} {
		for _, port := range []string{port, ""} {
			_, _, err := Fetcher{}.Fetch(t.Context(), "https://"+host+port+"/app.json")
			if err == nil || asked {
				t.Errorf("%s%s: %v, asked: %v", host, port, err, asked)
			}
			if host == "localhost" && !strings.Contains(err.Error(), errNotPublic.Error()) {
				t.Errorf("a name of this machine: %v", err)
			}
		}
	}
}

func TestFetch(t *testing.T) {
	var answer http.HandlerFunc
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		answer(w, r)
	}))
	defer server.Close()
	f := Fetcher{Transport: server.Client().Transport}
	says := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	header := func(name, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(name, value) }
	}
	for what, c := range map[string]struct {
		answer http.HandlerFunc
		want   string // of the error
	}{
		"a document":     {says("{}"), ""},
		"another type":   {header("Content-Type", "text/html"), "content type"},
		"a type of JSON": {header("Content-Type", "application/cimd+json"), ""},
		"compressed":     {header("Content-Encoding", "gzip"), "compressed"},
		"large":          {says(strings.Repeat(" ", MaxBytes+1)), "more than 10240 bytes"},
		"redirect":       {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) }, "status 302"},
		"missing":        {http.NotFound, "status 404"},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		}, "more than 10240 bytes"},
	} {
		answer = c.answer
		_, _, err := f.Fetch(t.Context(), server.URL+"/app.json")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", what, err, c.want)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, _, err := f.Fetch(stopped, server.URL); err == nil {
		t.Error("a request that has ended is served")
	}
}

func TestCacheTTL(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": time.Hour, "max-age=600": 10 * time.Minute, "public, max-age=7200, must-revalidate": 2 * time.Hour,
		"max-age=1": MinTTL, "max-age=99999999": MaxTTL, "max-age=99999999999999999": MinTTL, "max-age=-1": MinTTL,
		"no-store": MinTTL, "max-age=600, no-cache": MinTTL, "MAX-AGE=\"600\"": 10 * time.Minute, "private": time.Hour,
	} {
		if got := cacheTTL(header); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}
