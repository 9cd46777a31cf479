package forwardauth

import (
	"mime"
	"strings"
	"testing"

	"twostep.example/twostep/internal/client"
)

// Only requests that proxies and apps read alike are public.
func TestIsPublic(t *testing.T) {
	app := client.Client{Hosts: []string{"wiki.example", "files.example"}, PublicPaths: []string{
		"/hooks/*", "GET /status", "POST files.example/upload/*", "/",
	}}
	for _, row := range []struct {
		request string // method, host, and URI
		lines   []string
		want    bool
	}{
		{"GET wiki.example /hooks/", nil, true},
		{"POST wiki.example /hooks/github", nil, true},
		{"PROPFIND files.example /hooks/a/b_c.~d-e@f:g=h/", nil, true},
		{"POST wiki.example /hooks/x?to=../admin&x=%2F", nil, true},
		{"POST wiki.example /hooks/x?_method=DELETE", []string{"X-HTTP-Method-Override: DELETE"}, true}, // all methods are public
		{"GET wiki.example /", nil, true},
		{"GET wiki.example /?x", nil, true},
		{"GET wiki.example /status", nil, true},
		{"HEAD wiki.example /status", nil, true},
		{"POST files.example /upload/a", nil, true},

		{"POST wiki.example /upload/a", nil, false},
		{"GET files.example /upload/a", nil, false},
		{"POST wiki.example /status", nil, false},
		{"get wiki.example /status", nil, false},
		{"GET wiki.example /status/", nil, false},
		{"GET wiki.example /status/x", nil, false},
		{"GET wiki.example /statusx", nil, false},
		{"GET wiki.example /hooks", nil, false},
		{"GET wiki.example /hooksx/", nil, false},
		{"GET wiki.example /x/hooks/", nil, false},
		{"GET wiki.example /Hooks/x", nil, false},
		{"GET wiki.example /x?/hooks/", nil, false},
		{"GET wiki.example *", nil, false},
		{"GET wiki.example https://wiki.example/hooks/x", nil, false},
		{"GET wiki.example /status", []string{"X-HTTP-Method-Override: DELETE"}, false},
		{"GET wiki.example /status", []string{"X_Http_Method: DELETE"}, false},
		{"GET wiki.example /status", []string{"X-Method-Override: DELETE"}, false},
		{"GET wiki.example /status?a=b&_method=DELETE", nil, false},
		{"GET wiki.example /status?%5fMETHOD=DELETE", nil, false},
		{"GET wiki.example /status?%zz", nil, false},
		{"GET wiki.example /hooks/x", []string{"X-Rewrite-URL: /admin"}, false},
		{"GET wiki.example /hooks/x", []string{"X_REWRITE_URL: /admin"}, false},
		{"GET wiki.example /hooks/x", []string{"X-Override-URL: /admin"}, false},
		{"OPTIONS wiki.example /api", []string{"Origin: https://a.example", "Access-Control-Request-Method: PUT"}, false},
	} {
		part := strings.SplitN(row.request, " ", 3)
		r := newProxyRequest("GET", CheckPath, trustedPeer, row.lines...)
		if got := isPublic(app, r, proxiedRequest{method: part[0], host: part[1], uri: part[2]}); got != row.want {
			t.Errorf("%s %q: got %v, want %v", row.request, row.lines, got, row.want)
		}
	}
	for _, path := range []string{
		"/hooks/../admin", "/hooks/..", "/hooks/.", "/hooks/./x", "/hooks/.../x", "/hooks//x", "//hooks/x", "/hooks//", "/hooks/%2e%2e/admin",
		"/hooks/%2E%2E%2Fadmin", "/hooks/..%2fadmin", "/hooks/..%5cadmin", `/hooks/..\admin`, `/hooks\x`, "/hooks/..;/admin", "/hooks/;x", "/hooks/x;y",
		"/hooks/%00", "/hooks/x\x00", "/hooks/%252e%252e/admin", "/hooks/%c0%ae%c0%ae/admin", "/hooks/x%20y", "/hooks/x y", "/hooks/x#/../admin", "/hooks/ü",
		"/hooks/．．/admin", "/hooks/x*", "/hooks/x+y", "/hooks/x,y", "/hooks/x|y", "/%68ooks/x", "/hooks%2fx", "/hooks/x\t", "hooks/x", "",
	} {
		r := newProxyRequest("GET", CheckPath, trustedPeer)
		if isPublic(app, r, proxiedRequest{method: "GET", host: "wiki.example", uri: path}) {
			t.Errorf("%q is public", path)
		}
	}
}

// A preflight is OPTIONS with both headers; no other request is public because of it.
func TestPreflightIsPublic(t *testing.T) {
	app := client.Client{Hosts: []string{"wiki.example"}, PublicPreflight: true}
	const origin, asks = "Origin: https://a.example", "Access-Control-Request-Method: PUT"
	for _, row := range []struct {
		method string
		lines  []string
		want   bool
	}{
		{"OPTIONS", []string{origin, asks}, true},
		{"OPTIONS", []string{origin}, false},
		{"OPTIONS", []string{asks}, false},
		{"OPTIONS", []string{origin, asks, "X-HTTP-Method-Override: DELETE"}, false},
		{"OPTIONS", []string{origin, asks, "X_HTTP_Method_Override: DELETE"}, false},
		{"OPTIONS", []string{origin, asks, "X-Rewrite-Url: /admin"}, false},
		{"options", []string{origin, asks}, false},
		{"GET", []string{origin, asks}, false},
	} {
		r := newProxyRequest("GET", CheckPath, trustedPeer, row.lines...)
		if got := isPublic(app, r, proxiedRequest{method: row.method, host: "wiki.example", uri: "/api/%2F;x"}); got != row.want {
			t.Errorf("%s %q: got %v, want %v", row.method, row.lines, got, row.want)
		}
	}
}

// The encodings of the identity headers are ASCII, and a name that looks encoded is not decoded to another one.
func TestEncodeHeader(t *testing.T) {
	const long = "Ägidius Öztürk von und zu Über-Änderungsstraße, 東京都千代田区丸の内"
	for _, row := range []struct{ encoding, text, want string }{
		{"", "Änne\r\nRemote-Groups: admins", "ÄnneRemote-Groups: admins"},
		{"utf-8", "Änne", "Änne"},
		{"percent", "Änne Lee", "%C3%84nne Lee"},
		{"percent", "100%41", "100%2541"},
		{"percent", "a\xffb", "ab"},
		{"rfc2047", "Anna Lee", "Anna Lee"},
		{"rfc2047", "Änne", "=?UTF-8?B?w4RubmU=?="},
		{"rfc2047", "=?utf-8?q?=61dmin?=", "=?UTF-8?B?PT91dGYtOD9xPz02MWRtaW4/PQ==?="},
		{"rfc2047", "", ""},
	} {
		if got := encodeHeader(row.encoding, row.text); got != row.want {
			t.Errorf("%s %q: got %q, want %q", row.encoding, row.text, got, row.want)
		}
	}
	encoded := encodeHeader("rfc2047", long)
	if decoded, err := new(mime.WordDecoder).DecodeHeader(encoded); err != nil || decoded != long {
		t.Errorf("%q is read as %q, %v", encoded, decoded, err)
	}
	for word := range strings.FieldsSeq(encoded) {
		if len(word) > 75 {
			t.Errorf("%s has %d characters", word, len(word))
		}
	}
}
