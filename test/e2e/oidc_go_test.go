package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

// With coreos/go-oidc: in by query and by form, with each algorithm, refreshed while the
// session goes on and after it, and out.
func TestClientGoOIDC(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			x := openShop(t)
			x.IDTokenAlg = algorithm
			s := live.Start(t, "", x.at)
			x.connect(s).oauth.Scopes = []string{"openid", "email", "profile", "offline_access"}
			w := newWalker(t, s)
			began := time.Now().Add(-time.Second)
			w.says(w.to(x.URL+"/signin?response_mode=form_post"), x.URL, "Welcome", "anna@example.com urn:twostep:acr:email pwd email")
			v := x.last()
			if at := time.Unix(v.Said.At, 0); v.Mode != "POST" || v.Said.Hash == "" || v.Said.SID == "" || at.Before(began.Truncate(time.Second)) || at.After(time.Now()) {
				t.Errorf("%+v", v)
			}
			if said := x.userinfo(s, v.AccessToken); said.Subject != v.Said.Subject || said.Email != live.AnnaEmail || said.Name != "Anna" {
				t.Errorf("userinfo: %+v", said)
			}
			x.refreshes(s, v)
			w.says(w.to(x.URL+"/signout"), x.URL, "Nobody is in.")
			x.hears(v.Said.SID)
			if a := w.Get("/settings"); a.StatusCode != http.StatusSeeOther {
				t.Errorf("after signing out in the app the settings answer %d", a.StatusCode)
			}
			x.refreshes(s, x.last()) // what was given offline goes on
		})
	}
}

// refreshes gets new tokens for those of a visit: for the same person, and not fresher. It keeps
// the new ones.
func (x *shop) refreshes(s *live.Server, v visit) {
	x.t.Helper()
	s.Turn(time.Minute)
	fresh, err := x.oauth.TokenSource(x.ctx, &oauth2.Token{RefreshToken: v.RefreshToken}).Token()
	if err != nil {
		x.t.Fatal(err)
	}
	raw, _ := fresh.Extra("id_token").(string)
	id, err := x.ids.Verify(x.ctx, raw)
	if err != nil {
		x.t.Fatal(err)
	}
	var said claims
	if err := id.Claims(&said); err != nil {
		x.t.Fatal(err)
	}
	if said.Subject != v.Said.Subject || said.At != v.Said.At || said.ACR != v.Said.ACR || said.SID != v.Said.SID || fresh.RefreshToken == v.RefreshToken || fresh.AccessToken == v.AccessToken {
		x.t.Errorf("refreshed: %+v\nbefore: %+v", said, v.Said)
	}
	if err := id.VerifyAccessToken(fresh.AccessToken); err != nil {
		x.t.Error(err)
	}
	v.Token, v.Raw, v.Said = fresh, raw, said
	x.mu.Lock()
	x.visits = append(x.visits, v)
	x.mu.Unlock()
}

// keyPair is a key with which an app proves itself: its own half as PEM, ours as a JWK set.
func keyPair(t *testing.T) (private []byte, public json.RawMessage) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: body}), public
}

// With zitadel/oidc's relying party: it proves itself by private_key_jwt, and keeps state and PKCE
// in its own cookies. It takes RS256 and nothing else unless told so.
func TestClientZitadel(t *testing.T) {
	t.Parallel()
	private, public := keyPair(t)
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	app := twostep.App{ID: "zitadel", JWKSet: public, IDTokenAlg: "RS256", RedirectURIs: []string{web.URL + "/callback"}, PostLogoutRedirectURIs: []string{web.URL + "/"}}
	s := live.Start(t, "", func(o *twostep.Options) { o.Apps = []twostep.App{app} })
	secret := []byte("0123456789abcdef0123456789abcdef")
	cookies := httphelper.NewCookieHandler(secret, secret, httphelper.WithUnsecure())
	var nonce atomic.Value
	nonce.Store("n-0S6_WzA2Mj")
	party, err := rp.NewRelyingPartyOIDC(t.Context(), s.URL, app.ID, "", web.URL+"/callback", []string{"openid", "email", "profile", "offline_access"},
		rp.WithCookieHandler(cookies), rp.WithPKCE(cookies), rp.WithHTTPClient(s.Client()),
		rp.WithJWTProfile(rp.SignerFromKeyAndKeyID(private, "1")),
		rp.WithVerifierOpts(rp.WithNonce(func(context.Context) string { return nonce.Load().(string) })))
	if err != nil {
		t.Fatal(err)
	}
	var got *oidc.Tokens[*oidc.IDTokenClaims]
	mux.HandleFunc("/signin", rp.AuthURLHandler(oauth2.GenerateVerifier, party, rp.WithURLParam("nonce", "n-0S6_WzA2Mj")))
	mux.HandleFunc("/callback", rp.CodeExchangeHandler(func(w http.ResponseWriter, _ *http.Request, tokens *oidc.Tokens[*oidc.IDTokenClaims], _ string, _ rp.RelyingParty) {
		got = tokens
		fmt.Fprintln(w, "Welcome", tokens.IDTokenClaims.Email)
	}, party))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Nobody is in.") })
	w := newWalker(t, s)
	w.says(w.to(web.URL+"/signin"), web.URL, "Welcome anna@example.com")
	said := got.IDTokenClaims
	if said.AuthenticationContextClassReference != "urn:twostep:acr:email" || !slices.Equal(said.AuthenticationMethodsReferences, []string{"pwd", "email"}) ||
		said.AccessTokenHash == "" || said.SessionID == "" || time.Since(said.AuthTime.AsTime()) > time.Minute {
		t.Errorf("%+v", said)
	}
	info, err := rp.Userinfo[*oidc.UserInfo](t.Context(), got.AccessToken, "Bearer", said.Subject, party)
	if err != nil || info.Email != live.AnnaEmail {
		t.Fatalf("userinfo: %+v %v", info, err)
	}
	nonce.Store("") // an ID token of a refresh has none (OpenID Connect Core 12.2)
	fresh, err := rp.RefreshTokens[*oidc.IDTokenClaims](t.Context(), party, got.RefreshToken, "", "")
	if err != nil || fresh.IDTokenClaims.Subject != said.Subject || fresh.IDTokenClaims.AuthTime != said.AuthTime {
		t.Fatalf("refresh: %+v %v", fresh, err)
	}
	if err := rp.RevokeToken(t.Context(), party, fresh.RefreshToken, "refresh_token"); err != nil {
		t.Error(err)
	}
	if _, err := rp.RefreshTokens[*oidc.IDTokenClaims](t.Context(), party, fresh.RefreshToken, "", ""); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("refreshed after it was revoked: %v", err)
	}
	// Its EndSession asks the server itself, where nobody is in; the person goes by the address.
	w.says(w.to(party.GetEndSessionEndpoint()+"?post_logout_redirect_uri="+web.URL+"/&id_token_hint="+got.IDToken), web.URL, "Nobody is in.")
	if a := w.Get("/settings"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("after signing out in the app the settings answer %d", a.StatusCode)
	}
}
