package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"twostep.example/twostep"
	"twostep.example/twostep/test/e2e/live"
)

// withTelevision adds an app without a browser.
func withTelevision(o *twostep.Options) {
	o.Apps = append(o.Apps, twostep.App{ID: "tv", Name: "Television", DeviceGrant: true})
}

// With golang.org/x/oauth2 (DeviceAuth): the endpoint comes from the discovery document, the person enters the code in a
// browser with and without the script, and the library gets its tokens and refreshes them.
func TestClientDevice(t *testing.T) {
	t.Parallel()
	for _, l := range []look{light, dark, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := live.Start(t, "", withTelevision)
			ctx := context.WithValue(t.Context(), oauth2.HTTPClient, s.Client())
			issuer, err := oidc.NewProvider(ctx, s.URL)
			if err != nil {
				t.Fatal(err)
			}
			app := oauth2.Config{ClientID: "tv", Endpoint: issuer.Endpoint(), Scopes: []string{"openid", "email", "offline_access"}}
			asked, err := app.DeviceAuth(ctx)
			if err != nil {
				t.Fatal(err)
			}
			b := browse(t, s.URL, l)
			b.open(asked.VerificationURIComplete[len(s.URL):])
			b.steps(s)
			b.at("/device")
			b.sees("Your device shows a code. Continue only if it is the same as this one.")
			b.click("Continue")
			b.sees("Sign in to Television on a device?")
			b.sees(asked.UserCode)
			b.sees("Allow this only if you started it yourself on a device in front of you.")
			b.click("Allow")
			b.at("/device/allowed")
			b.sees("Your device is signed in")

			asked.Interval = 1 // the first poll needs no pause
			token, err := app.DeviceAccessToken(ctx, asked)
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := token.Extra("id_token").(string)
			id, err := issuer.Verifier(&oidc.Config{ClientID: "tv", Now: s.Now}).Verify(ctx, raw)
			if err != nil {
				t.Fatal(err)
			}
			var said struct{ Email string }
			if err := id.Claims(&said); err != nil || said.Email != live.AnnaEmail {
				t.Errorf("the ID token names %q: %v", said.Email, err)
			}
			fresh, err := app.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
			if err != nil || fresh.AccessToken == token.AccessToken {
				t.Errorf("refresh: %v", err)
			}
			if a := s.Browser().Get("/.well-known/oauth-authorization-server"); a.StatusCode != http.StatusOK {
				t.Errorf("RFC 8414: %d", a.StatusCode)
			}
		})
	}
}

// roundTrip answers requests without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// documentStory shows the consent to an app that is not registered.
func documentStory(b *tab, show func(string)) {
	const id, back = "https://editor.example/oauth/client.json", "http://127.0.0.1:7000/callback"
	s := live.Start(b.t, "", func(o *twostep.Options) {
		o.ClientMetadata = &twostep.ClientMetadata{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			body := fmt.Sprintf(`{"client_id": %q, "client_name": "Example Editor", "redirect_uris": [%q]}`, id, back)
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})}
	})
	b.base = s.URL
	b.signIn(s)
	b.open("/oauth2/authorize?" + url.Values{
		"client_id": {id}, "redirect_uri": {back}, "response_type": {"code"}, "scope": {"openid email"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())}, "code_challenge_method": {"S256"},
	}.Encode())
	b.sees("This app isn't registered with Example.")
	show("consent to an app that is not registered")
	b.open("/oauth2/authorize?client_id=" + url.QueryEscape("https://editor.example/"))
	show("document refused")
}

// deviceStory shows the pages on which a person signs in a device.
func deviceStory(b *tab, show func(string)) {
	s := live.Start(b.t, "", withTelevision, func(o *twostep.Options) {
		o.Apps = append(o.Apps, twostep.App{ID: "club", Name: "Club", DeviceGrant: true, RequiredGroups: []string{"members"}})
	})
	b.base = s.URL
	ask := func(app string) *oauth2.DeviceAuthResponse {
		b.t.Helper()
		ctx := context.WithValue(b.t.Context(), oauth2.HTTPClient, s.Client())
		config := oauth2.Config{ClientID: app, Scopes: []string{"openid", "email", "profile", "offline_access"},
			Endpoint: oauth2.Endpoint{DeviceAuthURL: s.URL + "/oauth2/device_authorization"}}
		asked, err := config.DeviceAuth(ctx)
		if err != nil {
			b.t.Fatal(err)
		}
		return asked
	}
	asked := ask("tv")
	b.signIn(s)
	b.open("/device")
	show("device code")
	b.enter("user_code", "wrong")
	b.click("Continue")
	b.sees("No device is waiting with this code.")
	show("device code, wrong")
	b.open(asked.VerificationURIComplete[len(s.URL):])
	show("device code, from a link")
	b.click("Continue")
	b.sees(asked.UserCode)
	show("device consent")
	b.click("Allow")
	b.sees("Your device is signed in")
	show("device allowed")
	b.back()
	b.reload()
	b.sees("The code has expired or has already been used.")
	show("device over")
	b.open(ask("tv").VerificationURIComplete[len(s.URL):])
	b.click("Continue")
	b.sees("Sign in to Television on a device?")
	b.click("Don't allow")
	b.sees("Your device isn't signed in")
	show("device denied")
	b.open(ask("club").VerificationURIComplete[len(s.URL):])
	b.click("Continue")
	b.sees("Your account may not use this app.")
	show("device refused")
}
