package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/seal"
)

const (
	wiki  = "wiki.example"                // a host behind a proxy
	books = "http://127.0.0.1:7000/books" // where an app wants its codes
)

// behind are the apps, and the proxy in front of one of them.
func behind(o *twostep.Options, hash string) {
	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	o.Apps = []twostep.App{{ID: "wiki", Hosts: []string{wiki}}}
	for _, algorithm := range algorithms {
		o.Apps = append(o.Apps, twostep.App{
			ID: appWith(algorithm), RedirectURIs: []string{books}, SecretHashes: []string{hash}, IDTokenAlg: algorithm,
		})
	}
}

// algorithms are the signatures of ID tokens, the cheapest to compare with first.
var algorithms = []string{"ES256", "EdDSA", "RS256"}

// appWith is the ID of the app whose ID tokens have this signature.
func appWith(algorithm string) string { return "books-" + strings.ToLower(algorithm) }

// asked is the question of a proxy about a page at the host.
func asked(address, uri string, cookies ...*http.Cookie) (*http.Request, error) {
	r, err := get(address+"/auth/check", cookies)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"Method": "GET", "Proto": "http", "Host": wiki, "Uri": uri} {
		r.Header.Set("X-Forwarded-"+name, value)
	}
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	return r, nil
}

// hosts measures the question of a proxy about somebody who is in, beside a bare server.
func (s *site) hosts(context.Context, hashes) ([]item, error) {
	b, err := s.in()
	if err != nil {
		return nil, err
	}
	cookie, err := s.atHost(s.cookies(b))
	if err != nil {
		return nil, err
	}
	const questions = 20_000
	cost, err := spent(questions, func(int) error {
		r, err := asked(s.url, "/page?a=b", cookie)
		if err == nil {
			_, err = s.serve(r, http.StatusOK)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	bare := bareServer(cookie)
	defer bare.Close()
	most, err := rate(func() (*http.Request, error) { return asked(bare.URL, "/page?a=b", cookie) })
	if err != nil {
		return nil, err
	}
	ours, err := rate(func() (*http.Request, error) { return asked(s.url, "/page?a=b", cookie) })
	return []item{
		{"processor for a forward-auth check", millis(cost), "ms", 0.02, atMost},
		{"forward-auth checks", ours, "/s", most, measured},
		{"forward-auth checks, part of a bare server's", ours / most, "", 0.7, atLeast},
	}, err
}

// atHost is the cookie that a browser gets at the host, on the whole way over the sign-in server.
func (s *site) atHost(session []*http.Cookie) (*http.Cookie, error) {
	r, err := asked(s.url, "/")
	if err != nil {
		return nil, err
	}
	w, err := s.serve(r, http.StatusFound)
	if err != nil {
		return nil, err
	}
	kept, to := w.Result().Cookies(), w.Header().Get("Location")
	for strings.HasPrefix(to, "/") || strings.HasPrefix(to, s.url) {
		r, err := get(s.url+strings.TrimPrefix(to, s.url), session)
		if err != nil {
			return nil, err
		}
		if w, err = s.serve(r, http.StatusSeeOther); err != nil {
			return nil, err
		}
		session = append(session, w.Result().Cookies()...) // they bind the request to the browser
		to = w.Header().Get("Location")
	}
	if r, err = asked(s.url, strings.TrimPrefix(to, "http://"+wiki), kept...); err != nil {
		return nil, err
	}
	if w, err = s.serve(r, http.StatusFound); err != nil {
		return nil, err
	}
	for _, c := range w.Result().Cookies() {
		if c.MaxAge >= 0 {
			return c, nil
		}
	}
	return nil, errors.New("no cookie at the host")
}

// codes measures how much processor a code for an app and its exchange for tokens take, with each signature.
func (s *site) codes(context.Context, hashes) ([]item, error) {
	b, err := s.in()
	if err != nil {
		return nil, err
	}
	session, verifier := s.cookies(b), seal.NewToken()
	// Whatever else the machine does can only add to it, so the quietest of ten times counts.
	least := map[string]time.Duration{}
	for round := range 11 {
		for _, algorithm := range algorithms {
			cost, err := spent(100, func(int) error { return s.code(appWith(algorithm), session, verifier) })
			if err != nil {
				return nil, err
			}
			if quietest, measured := least[algorithm]; round > 0 && (!measured || cost < quietest) { // the first makes the key
				least[algorithm] = cost
			}
		}
	}
	const what = "processor for an authorization code and its tokens: quietest of ten, "
	items := []item{{what + algorithms[0], millis(least[algorithms[0]]), "ms", 1, atMost}}
	for _, algorithm := range algorithms[1:] {
		items = append(items,
			item{what + algorithm, millis(least[algorithm]), "ms", millis(least[algorithms[0]]), measured})
	}
	return items, nil
}

// code gets a code for an app and exchanges it.
func (s *site) code(app string, session []*http.Cookie, verifier string) error {
	r, err := get(s.url+"/oauth2/authorize?"+url.Values{
		"client_id": {app}, "response_type": {"code"}, "redirect_uri": {books}, "scope": {"openid email"}, "nonce": {"n"},
		"code_challenge": {grant.S256Challenge(verifier)}, "code_challenge_method": {"S256"},
	}.Encode(), session)
	if err != nil {
		return err
	}
	w, err := s.serve(r, http.StatusSeeOther)
	if err != nil {
		return err
	}
	to, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		return err
	}
	return s.exchange(app, to.Query().Get("code"), verifier)
}

func (s *site) exchange(app, code, verifier string) error {
	r, err := request(s.url+"/oauth2/token", "grant_type", "authorization_code", "code", code, "redirect_uri", books, "code_verifier", verifier)
	if err != nil {
		return err
	}
	r.SetBasicAuth(app, s.secret)
	w, err := s.serve(r, http.StatusOK)
	if err != nil {
		return err
	}
	var given struct {
		ID string `json:"id_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &given); err != nil || given.ID == "" {
		return fmt.Errorf("no ID token in %s", w.Body)
	}
	return nil
}
