package render

import (
	"net/http"
	"slices"
	"strings"
)

// Access is what a route requires. The package that defines the route enforces it by the type its handler takes; it is
// declared here so that a test can check every route.
type Access string

// The access levels.
const (
	AccessPublic  Access = ""        // nothing
	AccessAttempt Access = "sign-in" // an attempt
	AccessSession Access = "session" // a session
)

// Route is one path with one method.
type Route struct {
	Pattern string // "GET /signin"; a GET also answers HEAD
	Access  Access
	Handler Handler
}

// AssetsPattern is the pattern of the assets.
const AssetsPattern = "GET /assets/{name}"

// NewMux returns a mux with the routes, the assets, and error pages for unknown paths and methods. The caller may add
// handlers.
func (p *Renderer) NewMux(routes ...Route) *http.ServeMux {
	mux := http.NewServeMux()
	for _, route := range routes {
		mux.Handle(route.Pattern, p.Handle(route.Handler))
	}
	mux.Handle(AssetsPattern, p.Handle(p.serveAsset))
	mux.Handle("/", p.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return unmatchedRouteError(mux, w, r)
	}))
	return mux
}

// unmatchedRouteError returns ErrMethodNotAllowed if the path exists for another method, and sets Allow; otherwise it
// returns ErrNotFound.
func unmatchedRouteError(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		other := *r
		other.Method = method
		if _, pattern := mux.Handler(&other); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 || slices.Contains(allowed, r.Method) {
		return ErrNotFound
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return ErrMethodNotAllowed
}
