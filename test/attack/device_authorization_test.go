package attack

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/test/e2e/live"
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// withDevices runs f on both databases, with apps for devices and with Anna signed in.
func withDevices(t *testing.T, f func(h *server, a *apps, anna *live.Browser)) {
	a := &apps{}
	eachDatabase(t, func(h *server) { f(h, a, h.annaSignedIn()) }, a.set, a.addDevices)
}

func (a *apps) addDevices(o *twostep.Options) {
	secret, hash := twostep.NewAppSecret()
	a.hub = secret
	o.Apps = append(o.Apps,
		twostep.App{ID: "tv", Name: "Television", DeviceGrant: true},
		twostep.App{ID: "hub", DeviceGrant: true, SecretHashes: []string{hash}},
		twostep.App{ID: "guest", DeviceGrant: true, ThirdParty: true},
		twostep.App{ID: "club", DeviceGrant: true, RequiredGroups: []string{"members"}},
		twostep.App{ID: "bank", DeviceGrant: true, MaxAge: 60},
		twostep.App{ID: "vault", DeviceGrant: true, RequiredACR: "urn:twostep:acr:2"},
	)
}

// startDevice begins a device authorization and checks its response.
func (h *server) startDevice(app string, pairs ...string) appAnswer {
	h.T.Helper()
	s := h.call(h.Browser(), "/oauth2/device_authorization", append([]string{"client_id", app}, pairs...)...)
	if s.status != http.StatusOK || !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(s.text("user_code")) ||
		s.text("verification_uri") != h.URL+"/device" || s.text("verification_uri_complete") != h.URL+"/device?user_code="+s.text("user_code") ||
		s.body["interval"] != 5.0 || s.body["expires_in"] != 600.0 || len(s.text("device_code")) < 40 {
		h.T.Fatalf("device authorization: %d %v", s.status, s.body)
	}
	return s
}

// poll asks for the tokens of a device.
func (h *server) poll(app, deviceCode string, pairs ...string) appAnswer {
	h.T.Helper()
	return h.call(h.Browser(), "/oauth2/token", append([]string{"grant_type", deviceGrant, "client_id", app, "device_code", deviceCode}, pairs...)...)
}

// pollLater polls after the interval.
func (h *server) pollLater(app, deviceCode string, pairs ...string) appAnswer {
	h.T.Helper()
	h.Turn(6 * time.Second)
	return h.poll(app, deviceCode, pairs...)
}

// enter enters a user code and returns the page that asks for consent.
func (h *server) enter(b *live.Browser, code string) live.Answer {
	h.T.Helper()
	return h.followContinue(b, b.Post("/device", "user_code", code))
}

func (h *server) wantDeviceError(what string, s appAnswer, code string) {
	h.T.Helper()
	if s.status != http.StatusBadRequest || s.text("error") != code || s.text("access_token") != "" {
		h.T.Errorf("%s: %d %v, want %s", what, s.status, s.body, code)
	}
}

// Somebody sends a person the link to the code of a device that they hold: opening it, or a form from another site, must
// allow nothing. The page names the app, the address, the time and the code, and warns.
func TestLinkToADeviceCodeAllowsNothing(t *testing.T) {
	t.Parallel()
	withDevices(t, func(h *server, _ *apps, anna *live.Browser) {
		s := h.startDevice("tv", "scope", "openid email offline_access")
		code, link := s.text("user_code"), strings.TrimPrefix(s.text("verification_uri_complete"), h.URL)
		if to := h.location(h.Browser().Get(link)); to.Path != "/signin" || to.Query().Get("return_to") != link {
			h.T.Errorf("a stranger is sent to %s", to)
		}
		shown := h.wantStatus(anna.Get(link), http.StatusOK)
		if !strings.Contains(shown.Body, `value="`+code+`"`) || strings.Contains(shown.Body, "Television") {
			h.T.Errorf("the page of the link: %s", shown.Body)
		}
		crossSite := anna.Do(h.request(http.MethodPost, "/device", "user_code="+code, form, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"))
		h.wantStatus(crossSite, http.StatusForbidden)
		// Small letters, spaces and other dashes are the same code.
		asked := h.wantStatus(h.enter(anna, " "+strings.ToLower(code[:4])+"–"+code[5:]+" "), http.StatusOK)
		for _, text := range []string{"Television", live.AnnaEmail, code, "Allow this only if you started it yourself on a device in front of you.", "Requested from", "<dd>127.", "your email address"} {
			if !strings.Contains(asked.Body, text) {
				h.T.Errorf("the page lacks %q", text)
			}
		}
		h.wantDeviceError("before the answer", h.poll("tv", s.text("device_code")), "authorization_pending")
		if n := h.count("grants"); n != 0 {
			h.T.Errorf("%d grants before the answer", n)
		}
		for range 2 { // reloading the page answers nothing
			h.wantStatus(anna.Get(asked.Request.URL.RequestURI()), http.StatusOK)
		}
		for what, pairs := range map[string][]string{"another session": {"session", "nobody"}, "another request": {"request", "nothing"}} {
			h.allow(anna, asked, pairs...)
			if n := h.count("grants"); n != 0 {
				h.T.Errorf("%s: %d grants", what, n)
			}
		}
		h.wantRedirect(h.allow(anna, asked), "/device/allowed")
		got := h.pollLater("tv", s.text("device_code"))
		if got.status != http.StatusOK || h.userinfo(got.text("access_token")).text("email") != live.AnnaEmail || h.claims(got.text("id_token"))["aud"] != "tv" {
			h.T.Errorf("after the answer: %d %v", got.status, got.body)
		}
		// The app has a grant now, and the next device is asked about all the same.
		again := h.startDevice("tv", "scope", "openid email offline_access")
		h.wantStatus(h.enter(anna, again.text("user_code")), http.StatusOK)
		h.wantDeviceError("the next device", h.poll("tv", again.text("device_code")), "authorization_pending")
		if kinds := h.column("SELECT kind FROM audit_log WHERE client = 'tv' ORDER BY time"); !slices.Contains(kinds, "grant.created") {
			h.T.Errorf("events: %q", kinds)
		}
		if page := anna.Get("/settings/apps"); !strings.Contains(page.Body, "Television") {
			h.T.Error("the app is not in the list of the person")
		}
		if page := anna.Get("/settings/history"); !strings.Contains(page.Body, "You signed in a device") {
			h.T.Error("the history does not name the device")
		}
	})
}

// Codes of devices are guessed, in turn and at once: by one account, from one network, and by everybody.
func TestUserCodesAreLimited(t *testing.T) {
	t.Parallel()
	withDevices(t, func(h *server, _ *apps, anna *live.Browser) {
		s := h.startDevice("tv")
		for _, text := range []string{"", "BCDF", "AEIO-AEIO", "BCDF-GHJ1", strings.Repeat("B", 1000)} {
			h.wantStatus(anna.Post("/device", "user_code", text), http.StatusUnprocessableEntity)
		}
		var answers status
		wrong := "BBBB-BBBB"
		if s.text("user_code") == wrong {
			wrong = "CCCC-CCCC"
		}
		atOnce(40, func(int) { answers.add(anna.Post("/device", "user_code", wrong).StatusCode) })
		if answers.n[http.StatusUnprocessableEntity] != 20 || answers.n[http.StatusTooManyRequests] != 20 {
			h.T.Errorf("40 guesses at once: %v", answers.n)
		}
		h.wantLimited("the right code after them", anna.Post("/device", "user_code", s.text("user_code")))
		if n := h.value("SELECT COUNT(*) FROM audit_log WHERE kind = 'user_code.rejected'"); n == "0" {
			h.T.Error("no event of a wrong code")
		}
		for _, kind := range []string{"user_codes_network", "user_codes"} {
			h.exec("DELETE FROM rate_limit_counters WHERE kind = 'user_codes_account'")
			h.exec("UPDATE rate_limit_counters SET used = used + 1000000 WHERE kind = '" + kind + "'")
			h.wantLimited(kind, anna.Post("/device", "user_code", s.text("user_code")))
			h.exec("UPDATE rate_limit_counters SET used = 0 WHERE kind = '" + kind + "'")
		}
		h.wantStatus(h.enter(anna, s.text("user_code")), http.StatusOK)
		// Somebody who is not signed in compares no code.
		if to := h.location(h.Browser().Post("/device", "user_code", s.text("user_code"))); to.Path != "/signin" {
			h.T.Errorf("a stranger is sent to %s", to)
		}
	})
}

// Strangers use up what all devices share, or the codes that people may enter.
func TestDeviceAuthorizationsAreBounded(t *testing.T) {
	t.Parallel()
	withDevices(t, func(h *server, a *apps, anna *live.Browser) {
		b := h.Browser()
		ask := func() int { return h.call(b, "/oauth2/device_authorization", "client_id", "tv").status }
		if got := ask(); got != http.StatusOK {
			h.T.Errorf("the first request: %d", got)
		}
		for _, kind := range []string{"device_authorizations_network", "device_authorizations_strangers"} {
			h.exec("UPDATE rate_limit_counters SET used = used + 1000000 WHERE kind = '" + kind + "'")
			if got := ask(); got != http.StatusTooManyRequests {
				h.T.Errorf("%s: %d", kind, got)
			}
			h.startDevice("hub", "client_secret", a.hub)
			h.exec("UPDATE rate_limit_counters SET used = 0")
		}
		s := h.startDevice("tv")
		stranger := h.withCookies("session", h.cookie(anna, "session"))
		stranger.Post("/device", "user_code", "BBBB-BBBB")
		h.exec("UPDATE rate_limit_counters SET used = used + 1000000 WHERE kind = 'user_codes_strangers'")
		h.wantLimited("an unknown browser", stranger.Post("/device", "user_code", s.text("user_code")))
		h.wantStatus(h.enter(anna, s.text("user_code")), http.StatusOK)
	})
}

// A device polls without a pause.
func TestDevicePollsTooFast(t *testing.T) {
	t.Parallel()
	withDevices(t, func(h *server, _ *apps, anna *live.Browser) {
		s := h.startDevice("tv")
		code := s.text("device_code")
		h.wantDeviceError("the first poll", h.poll("tv", code), "authorization_pending")
		h.wantDeviceError("at once", h.poll("tv", code), "slow_down") // 10 seconds now
		h.Turn(6 * time.Second)
		h.wantDeviceError("after 6 seconds", h.poll("tv", code), "slow_down") // 15
		h.Turn(12 * time.Second)
		h.wantDeviceError("after 12 seconds", h.poll("tv", code), "slow_down") // 20
		h.Turn(20 * time.Second)
		h.wantDeviceError("after 20 seconds", h.poll("tv", code), "authorization_pending")
		h.wantRedirect(h.allow(anna, h.enter(anna, s.text("user_code"))), "/device/allowed")
		h.wantDeviceError("allowed, but early", h.poll("tv", code), "slow_down") // 25
		h.Turn(25 * time.Second)
		if got := h.poll("tv", code); got.status != http.StatusOK {
			h.T.Errorf("after the interval: %d %v", got.status, got.body)
		}
		if strings.Contains(h.Log.String(), "request of an app rejected") {
			h.T.Error("each poll is a warning")
		}
	})
}

// A device code is polled by another app, without its secret, or as an authorization code.
func TestDeviceCodeOfAnotherApp(t *testing.T) {
	t.Parallel()
	withDevices(t, func(h *server, a *apps, anna *live.Browser) {
		s := h.startDevice("hub", "client_secret", a.hub)
		code := s.text("device_code")
		h.wantRedirect(h.allow(anna, h.enter(anna, s.text("user_code"))), "/device/allowed")
		h.wantDeviceError("another app", h.poll("tv", code), "invalid_grant")
		if got := h.poll("hub", code); got.status != http.StatusUnauthorized {
			h.T.Errorf("without the secret: %d", got.status)
		}
		for _, text := range []string{"", "nothing", strings.Repeat("A", 43), s.text("user_code")} {
			if got := h.poll("hub", text, "client_secret", a.hub); got.status != http.StatusBadRequest {
				h.T.Errorf("the code %q: %d", text, got.status)
			}
		}
		for _, back := range []string{"", deviceGrant} {
			for _, text := range []string{code, s.text("user_code")} {
				got := h.call(h.Browser(), "/oauth2/token", "grant_type", "authorization_code", "code", text, "client_id", "hub", "client_secret", a.hub, "redirect_uri", back)
				h.wantDeviceError("as an authorization code", got, "invalid_grant")
			}
		}
		if got := h.pollLater("hub", code, "client_secret", a.hub); got.status != http.StatusOK {
			h.T.Errorf("the app itself: %d %v", got.status, got.body)
		}
		h.wantDeviceError("a second time", h.pollLater("hub", code, "client_secret", a.hub), "invalid_grant")
	})
}

// What a person allowed a device is exchanged as an authorization code, which a device can compute: without a poll, and
// after the operator has turned the device grant off.
func TestDeviceGrantIsForPollsOnly(t *testing.T) {
	t.Parallel()
	withDevices(t, func(h *server, _ *apps, anna *live.Browser) {
		s := h.startDevice("tv")
		h.wantRedirect(h.allow(anna, h.enter(anna, s.text("user_code"))), "/device/allowed")
		code := "device " + hex.EncodeToString(seal.HashToken(s.text("device_code")))
		got := h.call(h.Browser(), "/oauth2/token", "grant_type", "authorization_code", "client_id", "tv", "code", code, "redirect_uri", deviceGrant)
		h.wantDeviceError("without a poll", got, "invalid_grant")
		if got := h.pollLater("tv", s.text("device_code")); got.status != http.StatusOK {
			h.T.Errorf("the poll: %d %v", got.status, got.body)
		}
	})
}

// A code that was answered or has expired is answered again.
func TestAnsweredDeviceCodeStaysAnswered(t *testing.T) {
	t.Parallel()
	withDevices(t, func(h *server, _ *apps, anna *live.Browser) {
		over := func(what string, a live.Answer) {
			h.T.Helper()
			if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.Body, "The code has expired or has already been used.") {
				h.T.Errorf("%s: %d %s", what, a.StatusCode, a.Body)
			}
		}
		denied := h.startDevice("tv")
		asked := h.enter(anna, denied.text("user_code"))
		h.wantRedirect(h.allow(anna, asked, "answer", "deny"), "/device/denied")
		over("denied, then allowed", h.allow(anna, asked))
		over("denied, then opened", anna.Get(asked.Request.URL.RequestURI()))
		h.wantStatus(anna.Post("/device", "user_code", denied.text("user_code")), http.StatusUnprocessableEntity)
		h.wantDeviceError("denied", h.poll("tv", denied.text("device_code")), "access_denied")

		allowed := h.startDevice("tv")
		asked = h.enter(anna, allowed.text("user_code"))
		h.wantRedirect(h.allow(anna, asked), "/device/allowed")
		over("allowed, then denied", h.allow(anna, asked, "answer", "deny"))
		over("allowed twice", h.allow(anna, asked))
		if n := h.count("grants"); n != 1 {
			h.T.Errorf("%d grants", n)
		}

		late := h.startDevice("tv")
		asked = h.enter(anna, late.text("user_code"))
		h.Turn(10*time.Minute + time.Second)
		over("expired", h.allow(anna, asked))
		h.wantStatus(anna.Post("/device", "user_code", late.text("user_code")), http.StatusUnprocessableEntity)
		h.wantDeviceError("expired", h.poll("tv", late.text("device_code")), "expired_token")
		h.wantDeviceError("allowed, but not polled in time", h.poll("tv", allowed.text("device_code")), "expired_token")
	})
}

// Two people answer at once, and two requests poll at once, also at two servers.
func TestDeviceCodeGivesOneSetOfTokens(t *testing.T) {
	t.Parallel()
	withDevices(t, func(h *server, a *apps, anna *live.Browser) {
		servers := []*server{h, h}
		if strings.HasPrefix(h.Database, "postgres") {
			servers[1] = start(h.T, h.Database, a.set, a.addDevices, func(o *twostep.Options) { o.KeyFile, o.Now = h.KeyFile, h.Now })
		}
		s := h.startDevice("tv")
		asked := h.enter(anna, s.text("user_code"))
		session := h.cookie(anna, "session")
		var answers status
		atOnce(16, func(i int) {
			b := h.asSameBrowser(servers[i%2].withCookies("session", session), anna)
			answer := "allow"
			if i%4 > 1 {
				answer = "deny"
			}
			var pairs []string
			for _, m := range hidden.FindAllStringSubmatch(asked.Body, -1) {
				if len(pairs) < 4 {
					pairs = append(pairs, m[1], m[2])
				}
			}
			answers.add(b.Post("/oauth2/consent", append(pairs, "answer", answer)...).StatusCode)
		})
		if answers.n[http.StatusSeeOther] != 1 || answers.n[http.StatusBadRequest] != 15 {
			h.T.Errorf("16 answers at once: %v", answers.n)
		}

		h.exec("DELETE FROM grants")
		s = h.startDevice("tv", "scope", "openid offline_access")
		h.wantRedirect(h.allow(anna, h.enter(anna, s.text("user_code"))), "/device/allowed")
		var polls status
		atOnce(16, func(i int) { polls.add(servers[i%2].poll("tv", s.text("device_code")).status) })
		if polls.n[http.StatusOK] != 1 || polls.n[http.StatusBadRequest] != 15 {
			h.T.Errorf("16 polls at once: %v", polls.n)
		}
		if grants, tokens := h.count("grants"), h.count("tokens"); grants != 1 || tokens != 2 {
			h.T.Errorf("%d grants, %d tokens", grants, tokens)
		}
		// With the interval out of the way, the use of the grant alone decides.
		s = h.startDevice("tv")
		h.wantRedirect(h.allow(anna, h.enter(anna, s.text("user_code"))), "/device/allowed")
		h.exec("UPDATE device_authorizations SET interval_ms = -1000000")
		polls = status{}
		atOnce(16, func(i int) { polls.add(servers[i%2].poll("tv", s.text("device_code")).status) })
		if polls.n[http.StatusOK] != 1 || h.count("tokens") != 3 {
			h.T.Errorf("16 polls without an interval: %v, %d tokens", polls.n, h.count("tokens"))
		}
	})
}

// An app uses the device grant without the operator's word.
func TestDeviceGrantIsOffUnlessAllowed(t *testing.T) {
	t.Parallel()
	withDevices(t, func(h *server, a *apps, anna *live.Browser) {
		for app, secret := range map[string]string{"books": a.books, "phone": "", "api": a.api} {
			h.wantDeviceError(app, h.call(h.Browser(), "/oauth2/device_authorization", "client_id", app, "client_secret", secret), "unauthorized_client")
			h.wantDeviceError(app, h.poll(app, "x", "client_secret", secret), "unauthorized_client")
			if line := fmt.Sprintf("run `twostep app set %s --device-grant`", app); !strings.Contains(h.Log.String(), line) {
				h.T.Errorf("the log lacks %q", line)
			}
		}
		if n := h.count("device_authorizations"); n != 0 {
			h.T.Errorf("%d requests of devices", n)
		}
		if got := h.call(h.Browser(), "/oauth2/device_authorization", "client_id", "hub"); got.status != http.StatusUnauthorized {
			h.T.Errorf("without its secret: %d", got.status)
		}
		// Nothing leads from the code of a device to an app with a redirect URI, or the other way.
		if to := h.authorize(anna, asking("tv", "https://tv.example/cb")); to.String() != "" {
			h.T.Errorf("an app for devices is answered at %s", to)
		}
	})
}

// The device of somebody who may not use the app, or whose proof is too old or too weak, is signed in.
func TestDeviceNeedsWhatTheAppRequires(t *testing.T) {
	t.Parallel()
	withDevices(t, func(h *server, _ *apps, anna *live.Browser) {
		for app, text := range map[string]string{"club": "may not use this app", "vault": "needs a stronger verification method"} {
			s := h.startDevice(app)
			refused := h.enter(anna, s.text("user_code"))
			if refused.StatusCode != http.StatusForbidden || !strings.Contains(refused.Body, text) {
				h.T.Errorf("%s: %d %s", app, refused.StatusCode, refused.Body)
			}
			h.wantDeviceError(app, h.poll(app, s.text("device_code")), "access_denied")
		}
		s := h.startDevice("bank")
		asked := h.enter(anna, s.text("user_code"))
		h.wantStatus(asked, http.StatusOK)
		h.exec("UPDATE sessions SET authenticated_at = authenticated_at - 3600000")
		h.Turn(2 * time.Minute)
		to := h.location(h.allow(anna, asked))
		if to.Path != "/settings/confirm" {
			h.T.Errorf("an old proof leads to %s", to)
		}
		h.wantDeviceError("an old proof", h.poll("bank", s.text("device_code")), "authorization_pending")
		// The page that asks for the proof again has a button to refuse, without the session of another page.
		h.wantRedirect(h.allow(anna, asked, "answer", "deny", "session", ""), "/device/denied")
		h.wantDeviceError("refused before the proof", h.pollLater("bank", s.text("device_code")), "access_denied")

		// The group is taken away between the answer and the poll.
		if err := h.SetGroups(h.T.Context(), twostep.By{}, live.AnnaEmail, []string{"members"}); err != nil {
			h.T.Fatal(err)
		}
		s = h.startDevice("club")
		h.wantRedirect(h.allow(anna, h.enter(anna, s.text("user_code"))), "/device/allowed")
		if err := h.SetGroups(h.T.Context(), twostep.By{}, live.AnnaEmail, nil); err != nil {
			h.T.Fatal(err)
		}
		h.wantDeviceError("no longer a member", h.poll("club", s.text("device_code")), "invalid_grant")
	})
}

// What a person has allowed a device outlives the sign-out, the removal of the app's access, or a new password.
func TestDeviceGrantEndsWithItsSession(t *testing.T) {
	t.Parallel()
	withDevices(t, func(h *server, _ *apps, anna *live.Browser) {
		tokensOf := func(app, scope string) (s, got appAnswer) {
			h.T.Helper()
			s = h.startDevice(app, "scope", scope)
			h.wantRedirect(h.allow(anna, h.enter(anna, s.text("user_code"))), "/device/allowed")
			return s, h.pollLater(app, s.text("device_code"))
		}
		_, removed := tokensOf("guest", "openid offline_access")
		if got := h.refresh(removed.text("refresh_token"), "guest", ""); got.status != http.StatusOK {
			h.T.Errorf("refresh: %d %v", got.status, got.body)
		} else {
			removed = got
		}
		h.wantRedirect(anna.Post("/settings/apps/guest/remove"), "/settings/apps")
		h.wantDeviceError("after the removal", h.refresh(removed.text("refresh_token"), "guest", ""), "invalid_grant")

		_, kept := tokensOf("tv", "openid offline_access")
		_, plain := tokensOf("tv", "openid")
		waiting := h.startDevice("tv", "scope", "openid")
		h.wantRedirect(h.allow(anna, h.enter(anna, waiting.text("user_code"))), "/device/allowed")
		h.wantRedirect(anna.Post("/signout"), "/signin")
		if got := h.userinfo(plain.text("access_token")); got.status != http.StatusUnauthorized {
			h.T.Errorf("without offline_access, after the sign-out: %d", got.status)
		}
		h.wantDeviceError("allowed, then signed out", h.pollLater("tv", waiting.text("device_code")), "invalid_grant")
		got := h.refresh(kept.text("refresh_token"), "tv", "")
		if got.status != http.StatusOK {
			h.T.Errorf("with offline_access, after the sign-out: %d %v", got.status, got.body)
		}
		anna = h.annaSignedIn()
		h.wantRedirect(anna.Post("/settings/sessions/end"), "/signin")
		h.wantDeviceError("signed out everywhere", h.refresh(got.text("refresh_token"), "tv", ""), "invalid_grant")
	})
}
