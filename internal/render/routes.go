package render

import (
	"net/http"
	"slices"
	"strings"
)

// Access is what a person must bring to a page. The room that makes the route enforces
// it by the type its handler takes; here it is declared, so that a test can walk it.
type Access string

// What a page needs.
const (
	AccessPublic  Access = ""        // anybody may come
	AccessAttempt Access = "sign-in" // a pending sign-in
	AccessSession Access = "session" // somebody who is in
)

// Route is one page with one method.
type Route struct {
	Pattern string // "GET /signin"; a GET also answers HEAD
	Access  Access
	Handler Handler
}

// NewMux is a mux with the routes, our own files, and our own pages for addresses and
// methods that do not exist. More handlers may be added to it.
func (p *Renderer) NewMux(routes ...Route) *http.ServeMux {
	mux := http.NewServeMux()
	for _, route := range routes {
		mux.Handle(route.Pattern, p.Handle(route.Handler))
	}
	mux.Handle("GET /assets/{name}", p.Handle(serveAsset))
	mux.Handle("/", p.Handle(func(w http.ResponseWriter, r *http.Request) error {
		return unmatchedRouteError(mux, w, r)
	}))
	return mux
}

// unmatchedRouteError tells a wrong method from a wrong address by asking the mux for the others.
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
