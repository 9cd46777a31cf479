package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

// shop is an app of somebody else, on an origin of its own, with coreos/go-oidc. What its sign-in
// asks for beside the usual is the query of /signin.
type shop struct {
	twostep.App
	URL string
	Out chan string // the sid of each sign-out that it was told of

	t       *testing.T
	ctx     context.Context // its client believes the server
	oauth   oauth2.Config
	ids     *oidc.IDTokenVerifier
	signOut string
	mu      sync.Mutex
	flows   map[string]journey
	visits  []visit
}

type journey struct{ nonce, verifier string }

// visit is what the shop knows of one who came in.
type visit struct {
	*oauth2.Token
	ID   *oidc.IDToken
	Raw  string
	Said claims
	Mode string // GET or POST: how the answer came
}

// claims are those of an ID token that the tests look at.
type claims struct {
	Subject string   `json:"sub"`
	Email   string   `json:"email"`
	Name    string   `json:"name"`
	ACR     string   `json:"acr"`
	AMR     []string `json:"amr"`
	At      int64    `json:"auth_time"`
	SID     string   `json:"sid"`
	Nonce   string   `json:"nonce"`
	Hash    string   `json:"at_hash"`
}

// openShop opens a shop at localhost, which is another site than the server's 127.0.0.1.
func openShop(t *testing.T) *shop {
	t.Helper()
	x := &shop{t: t, Out: make(chan string, 10), flows: map[string]journey{}}
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	x.URL = strings.Replace(web.URL, "127.0.0.1", "localhost", 1)
	mux.HandleFunc("GET /signin", x.begin)
	mux.HandleFunc("/callback", x.callback)
	mux.HandleFunc("GET /signout", x.leave)
	mux.HandleFunc("POST /backchannel", x.told)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { shopPage(w, "The shop", "Nobody is in.") })
	secret, hash := twostep.NewAppSecret()
	x.oauth.ClientSecret = secret
	x.App = twostep.App{ID: "shop", Name: "Corner Shop", SecretHashes: []string{hash}, RedirectURIs: []string{x.URL + "/callback"}, PostLogoutRedirectURIs: []string{x.URL + "/"}, BackChannelLogoutURI: x.URL + "/backchannel"}
	return x
}

// at registers the shop with a server.
func (x *shop) at(o *twostep.Options) { o.Apps = append(o.Apps, x.App) }

// connect lets the shop find out about the server.
func (x *shop) connect(s *live.Server) *shop {
	x.t.Helper()
	x.ctx = oidc.ClientContext(context.Background(), s.Client())
	p, err := oidc.NewProvider(x.ctx, s.URL)
	if err != nil {
		x.t.Fatal(err)
	}
	var more struct {
		SignOut string `json:"end_session_endpoint"`
	}
	if err := p.Claims(&more); err != nil {
		x.t.Fatal(err)
	}
	x.signOut = more.SignOut
	x.oauth.ClientID, x.oauth.Endpoint, x.oauth.RedirectURL = x.ID, p.Endpoint(), x.URL+"/callback"
	x.oauth.Scopes = []string{"openid", "email", "profile"}
	x.ids = p.Verifier(&oidc.Config{ClientID: x.ID, Now: s.Now})
	return x
}

func shopPage(w http.ResponseWriter, title, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>%[1]s</title><h1>%[1]s</h1><p>%[2]s</p><a href="/signout">Leave the shop</a>`, html.EscapeString(title), html.EscapeString(text))
}

func (x *shop) begin(w http.ResponseWriter, r *http.Request) {
	f := journey{oauth2.GenerateVerifier(), oauth2.GenerateVerifier()}
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.nonce), oauth2.S256ChallengeOption(f.verifier)}
	for name, values := range r.URL.Query() {
		options = append(options, oauth2.SetAuthURLParam(name, values[0]))
	}
	state := oauth2.GenerateVerifier()
	x.mu.Lock()
	x.flows[state] = f
	x.mu.Unlock()
	http.Redirect(w, r, x.oauth.AuthCodeURL(state, options...), http.StatusSeeOther)
}

func (x *shop) callback(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f, ok := x.flows[r.FormValue("state")]
	delete(x.flows, r.FormValue("state"))
	switch {
	case !ok:
		shopPage(w, "Refused", "unknown state")
	case r.FormValue("error") != "":
		shopPage(w, "Refused", r.FormValue("error"))
	default:
		v, err := x.redeem(f, r.FormValue("code"))
		if err != nil {
			shopPage(w, "Refused", err.Error())
			return
		}
		v.Mode = r.Method
		x.visits = append(x.visits, v)
		shopPage(w, "Welcome", v.Said.Email+" "+v.Said.ACR+" "+strings.Join(v.Said.AMR, " "))
	}
}

func (x *shop) redeem(f journey, code string) (v visit, err error) {
	if v.Token, err = x.oauth.Exchange(x.ctx, code, oauth2.VerifierOption(f.verifier)); err != nil {
		return v, err
	}
	v.Raw, _ = v.Extra("id_token").(string)
	if v.ID, err = x.ids.Verify(x.ctx, v.Raw); err != nil {
		return v, err
	}
	if v.ID.Nonce != f.nonce {
		return v, fmt.Errorf("the nonce is %q, not %q", v.ID.Nonce, f.nonce)
	}
	if err := v.ID.VerifyAccessToken(v.AccessToken); err != nil {
		return v, err
	}
	return v, v.ID.Claims(&v.Said)
}

// last is the one who came in last.
func (x *shop) last() visit {
	x.t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.visits) == 0 {
		x.t.Fatal("nobody came in")
	}
	return x.visits[len(x.visits)-1]
}

func (x *shop) leave(w http.ResponseWriter, r *http.Request) {
	ask := url.Values{"post_logout_redirect_uri": {x.URL + "/"}, "id_token_hint": {x.last().Raw}, "state": {"bye"}}
	http.Redirect(w, r, x.signOut+"?"+ask.Encode(), http.StatusSeeOther)
}

func (x *shop) told(w http.ResponseWriter, r *http.Request) {
	token, err := x.ids.VerifyLogout(x.ctx, r.FormValue("logout_token"))
	if err != nil {
		x.t.Errorf("a sign-out that the client library refuses: %v", err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	x.Out <- token.SessionID
}

// userinfo is what the server says of the holder of an access token.
func (x *shop) userinfo(s *live.Server, token string) (said claims) {
	x.t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.URL+"/oauth2/userinfo", nil)
	if err != nil {
		x.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := s.Client().Do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&said); err != nil {
		x.t.Fatal(err)
	}
	return said
}
