package forwardauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"twostep.example/twostep/internal/client"
)

// isPublic reports whether the owner allows a request without a sign-in: by a public path, or as a CORS preflight.
// Requests that the app may read in another way than their path and method say are not public.
func isPublic(cl client.Client, r *http.Request, req proxiedRequest) bool {
	if hasHeader(r, pathOverrides) {
		return false
	}
	public, byMethod := cl.IsPublicPath(req.method, req.host, req.path())
	if cl.PublicPreflight && req.isPreflight(r) && !public {
		public, byMethod = true, true
	}
	return public && !(byMethod && (hasHeader(r, methodOverrides) || namesMethod(req.query())))
}

// isPreflight reports whether the request is a CORS preflight (Fetch Standard 3.3.2). Browsers send it without cookies.
func (p proxiedRequest) isPreflight(r *http.Request) bool {
	return p.method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}

// Headers from which frameworks take the path or the method of a request instead of the request line.
var (
	pathOverrides   = []string{"x-rewrite-url", "x-override-url"}
	methodOverrides = []string{"x-http-method-override", "x-http-method", "x-method-override"}
)

// hasHeader reports whether the request has one of the headers, also with underscores, which many frameworks read as
// dashes. names are in lower case.
func hasHeader(r *http.Request, names []string) bool {
	for name := range r.Header {
		if slices.Contains(names, strings.ReplaceAll(strings.ToLower(name), "_", "-")) {
			return true
		}
	}
	return false
}

// namesMethod reports whether a query may have the parameter _method, from which frameworks take the method.
func namesMethod(query string) bool {
	text, err := url.QueryUnescape(query)
	return err != nil || strings.Contains(strings.ToLower(text), "_method")
}
