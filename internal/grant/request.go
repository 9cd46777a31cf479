package grant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// Request is what an app asks for a person.
type Request struct {
	App       string
	Redirect  string
	Scope     []string
	State     string
	Nonce     string
	Challenge string // of PKCE, S256
	Mode      string // "query" or "form_post"
	Prompt    []string
	MaxAge    *int64        // seconds
	Level     session.Level // how much must be proven
	LoginHint string
	Locales   string
	Subject   string // whom an id_token_hint names; "" if there was none
	Action    string // "app", "sms", "password": what the person is to do in their settings
	Asked     time.Time
	Chosen    string // the account that the person goes on with, if they were asked

	acted bool
}

// Step is what comes next for a request.
type Step int

// The steps, in their order.
const (
	StepSignIn  Step = iota // nobody is in
	StepChoose              // the person is asked which account
	StepConfirm             // both steps, anew
	StepConsent             // the person is asked whether the app may
	StepAct                 // the person goes to their settings first
	StepAllowed             // a code is due
	StepRefused             // with an error of OpenID Connect
)

// Standing is where a request stands with a person.
type Standing struct {
	Who       *session.Session // nil: nobody is in
	Subject   string           // theirs, for the app
	Reach     session.Level    // the most that they could prove; known if that matters
	Consented bool             // likewise
	App       App
	Now       time.Time
}

// Next is the order of the steps, and the only place that knows it. The error is one of
// OpenID Connect Core 3.1.2.6 or RFC 9470; with prompt=none nobody is asked anything.
func (r Request) Next(s Standing) (Step, string) {
	ask := func(step Step, silent string) (Step, string) {
		if slices.Contains(r.Prompt, "none") {
			return StepRefused, silent
		}
		return step, ""
	}
	switch {
	case s.Who == nil:
		return ask(StepSignIn, "login_required")
	case r.Subject != "" && r.Subject != s.Subject:
		return StepRefused, "login_required"
	case r.choice(*s.Who):
		return StepChoose, "" // prompt has no "none" beside it
	case !s.App.admits(s.Who.Account.Groups):
		return StepRefused, "access_denied"
	case r.short(s) && s.Reach < r.least(s.App):
		// Before anything is asked: nobody proves themselves to hear that it was in vain.
		return StepRefused, "unmet_authentication_requirements"
	case r.short(s):
		return ask(StepConfirm, "login_required")
	case s.App.Foreign && !s.Consented:
		return ask(StepConsent, "consent_required")
	case r.Action != "" && !r.acted:
		return ask(StepAct, "interaction_required")
	}
	return StepAllowed, ""
}

// choice reports whether the person may want to be somebody else (prompt=select_account): they were in before
// they were asked, and have not said that it is them.
func (r Request) choice(who session.Session) bool {
	return slices.Contains(r.Prompt, "select_account") && r.Subject == "" && r.Chosen != who.Account.ID && who.StartedAt.Before(r.Asked.Truncate(time.Millisecond))
}

// least is the level that has to be proven.
func (r Request) least(a App) session.Level { return max(r.Level, a.Least()) }

// short reports whether what the person has proven is too little, or too old.
func (r Request) short(s Standing) bool { return r.stale(s) || s.Who.Level() < r.least(s.App) }

// slack is for how long a proof that was given for a request is good for it, beyond the age
// that it asks for: somebody may read a page of consent in between.
const slack = 10 * time.Minute

// stale reports whether the proof that the person has given is too old for this request, or was
// skipped. One that was given after it was asked for is good for a while, whatever the age.
func (r Request) stale(s Standing) bool {
	proved := s.Who.AuthenticatedAt
	old, asked := s.Now.Sub(proved), !proved.Before(r.Asked.Truncate(time.Millisecond))
	over := func(age time.Duration) bool { return old > age && (!asked || old > age+slack) }
	return slices.Contains(r.Prompt, "login") && (!asked || old > slack) || r.MaxAge != nil && over(time.Duration(*r.MaxAge)*time.Second) || s.App.MaxAge > 0 && over(s.App.Oldest())
}

// full reports whether trust in a browser is not enough for the request.
func (r Request) full(a App) bool {
	return slices.Contains(r.Prompt, "login") || r.MaxAge != nil || a.MaxAge > 0 || r.least(a) > session.LevelPassword
}

var (
	goodVerifier = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
	// goodChallenge is a SHA-256 in base64url.
	goodChallenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
)

// GoodChallenge reports whether a code_challenge can be one of S256.
func GoodChallenge(text string) bool { return goodChallenge.MatchString(text) }

// Continue is the page on which a request goes on once its person is back.
const Continue = "/oauth2/continue"

// Continuing is the path on which the request with this token goes on.
func Continuing(token string) string {
	return Continue + "?" + url.Values{"request": {token}}.Encode()
}

// waitingPerHour are the requests of one network that may be kept in an hour: nobody has to
// prove anything to make one, and each takes room.
const waitingPerHour = 3000

func (g *Grants) spendRequest(ctx context.Context, app string, from origin.Origin) error {
	err := g.Limits.Spend(ctx, g.Store, ratelimit.PerNetwork("authorization_requests_network", from.Network(), waitingPerHour))
	if errors.Is(err, ratelimit.ErrLimited) {
		return g.Accounts.Refused(ctx, err, audit.Event{Client: app, Reason: "authorization requests"}, from)
	}
	return err
}

// Wait keeps a request of a network until the person is back. *account.WaitError.
func (g *Grants) Wait(ctx context.Context, r Request, from origin.Origin) (token string, err error) {
	if err := g.spendRequest(ctx, r.App, from); err != nil {
		return "", err
	}
	return g.keep(ctx, r, false, waiting)
}

// Push keeps a request that the app itself has sent, and returns its name. An app without a
// proof may be anybody. *account.WaitError.
func (g *Grants) Push(ctx context.Context, a App, r Request, from origin.Origin) (name string, err error) {
	if a.Public() {
		if err := g.spendRequest(ctx, a.ID, from); err != nil {
			return "", err
		}
	}
	token, err := g.keep(ctx, r, true, PushedLife)
	return pushedName + token, err
}

const pushedName = "urn:ietf:params:oauth:request_uri:"

// IsPushed reports whether a request_uri is the name of a pushed request, and no address.
func IsPushed(name string) bool { return strings.HasPrefix(name, pushedName) }

// Pushed is the request of this name, once. ErrInvalid.
func (g *Grants) Pushed(ctx context.Context, app, name string) (Request, error) {
	token, ok := strings.CutPrefix(name, pushedName)
	if !ok {
		return Request{}, ErrInvalid
	}
	r, err := g.read(ctx, token, true)
	if err != nil {
		return Request{}, err
	}
	err = g.Store.TakePushed(ctx, seal.Hash(token), app, store.Millis(g.Now()))
	if errors.Is(err, store.ErrNotFound) {
		return Request{}, ErrInvalid
	}
	return r, err
}

func (g *Grants) keep(ctx context.Context, r Request, pushed bool, life time.Duration) (token string, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	now := g.Now()
	token = seal.Token()
	row := store.Request{ID: seal.Hash(token), App: r.App, Body: string(body), Pushed: pushed, MadeAt: store.Millis(now), EndsAt: store.Millis(now.Add(life))}
	if err := g.Store.AddRequest(ctx, row); err != nil {
		return "", fmt.Errorf("grant: keep request: %w", err)
	}
	return token, nil
}

// Waiting is the request with this token. ErrInvalid.
func (g *Grants) Waiting(ctx context.Context, token string) (Request, error) {
	return g.read(ctx, token, false)
}

func (g *Grants) read(ctx context.Context, token string, pushed bool) (r Request, err error) {
	row, err := g.Store.Request(ctx, seal.Hash(token), store.Millis(g.Now()))
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Pushed != pushed {
		return r, ErrInvalid
	}
	if err == nil {
		err = json.Unmarshal([]byte(row.Body), &r)
	}
	if err != nil {
		return r, fmt.Errorf("grant: waiting: %w", err)
	}
	r.acted = row.Acted
	return r, nil
}

// Act notes that the person of a waiting request was asked, or sent to do something, once.
func (g *Grants) Act(ctx context.Context, token string) error {
	if err := g.Store.ActRequest(ctx, seal.Hash(token)); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("grant: act: %w", err)
	}
	return nil
}

// Choose notes with which account the person of a waiting request goes on; "": with another than
// the app has hinted at.
func (g *Grants) Choose(ctx context.Context, token, account string) error {
	r, err := g.Waiting(ctx, token)
	if errors.Is(err, ErrInvalid) { // it was answered, which ends it
		return nil
	}
	if err != nil {
		return err
	}
	r.Chosen = account
	if account == "" {
		r.LoginHint = ""
	}
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("grant: choose: %w", err)
	}
	err = g.Store.RewriteRequest(ctx, seal.Hash(token), string(body))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Answered ends a waiting request, once. ErrInvalid: somebody else was faster.
func (g *Grants) Answered(ctx context.Context, token string) error {
	err := g.Store.RemoveRequest(ctx, seal.Hash(token))
	if errors.Is(err, store.ErrNotFound) {
		return ErrInvalid
	}
	return err
}

// Consents reports whether the person has allowed the app all of it: since it was asked for,
// if the app wants them to be asked again.
func (g *Grants) Consents(ctx context.Context, who session.Session, r Request) (bool, error) {
	c, err := g.Store.Consent(ctx, who.Account.ID, r.App)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if slices.Contains(r.Prompt, "consent") && c.At < store.Millis(r.Asked) {
		return false, err
	}
	return covers(c, r.Scope), err
}

// covers reports whether all of a scope was allowed.
func covers(c store.Consent, scope []string) bool {
	allowed := strings.Fields(c.Scope)
	return !slices.ContainsFunc(scope, func(one string) bool { return !slices.Contains(allowed, one) })
}

// Consent keeps that the person allows the app what it asks for, beside what they have allowed
// it before.
func (g *Grants) Consent(ctx context.Context, who session.Session, r Request, from origin.Origin) error {
	err := g.Store.Tx(ctx, func(tx *store.DB) error {
		c, err := tx.Consent(ctx, who.Account.ID, r.App)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		scope := slices.Concat(strings.Fields(c.Scope), r.Scope)
		slices.Sort(scope)
		all := store.Consent{Account: who.Account.ID, App: r.App, Scope: strings.Join(slices.Compact(scope), " "), At: store.Millis(g.Now())}
		if err := tx.KeepConsent(ctx, all); err != nil {
			return err
		}
		e := clientEvent(audit.ConsentGiven, who, r.App)
		e.Reason = all.Scope
		return g.Accounts.Event(ctx, tx, e, from)
	})
	if err != nil {
		return fmt.Errorf("grant: consent: %w", err)
	}
	return nil
}

// Decline records that the person does not allow the app what it asks for.
func (g *Grants) Decline(ctx context.Context, who session.Session, app string, from origin.Origin) error {
	return g.Accounts.Failure(ctx, clientEvent(audit.ConsentDenied, who, app), from)
}

// Deny records that the person may not use the app. The reason is an error of OpenID Connect.
func (g *Grants) Deny(ctx context.Context, who session.Session, app, reason string, from origin.Origin) error {
	e := clientEvent(audit.AccessDenied, who, app)
	e.Reason = reason
	return g.Accounts.Failure(ctx, e, from)
}

// Errand is what the pages know of where somebody is going to who is on the way in.
type Errand struct {
	App     string // its name
	Origin  string // what the way leads to in the end; "" if it stays here
	Full    bool   // both steps are wanted, whatever is trusted
	Level   session.Level
	Hint    string // the address to sign in with
	Locales string
	Token   string // under which a request waits; "" if none does
	Meant   bool   // the app says whom it means: nobody else gets there
}

// Errand reads an address to come back to: of a request that waits, or of an app. It is
// empty for any other.
func (g *Grants) Errand(ctx context.Context, back string) (Errand, error) {
	query, ok := strings.CutPrefix(back, Continue+"?")
	if !ok {
		return g.appOf(ctx, back)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return Errand{}, nil
	}
	r, err := g.Waiting(ctx, values.Get("request"))
	if errors.Is(err, ErrInvalid) {
		return Errand{}, nil
	}
	if err != nil {
		return Errand{}, err
	}
	a, err := g.App(ctx, r.App)
	if errors.Is(err, ErrNoApp) {
		return Errand{}, nil
	}
	return Errand{App: a.Title(), Origin: Origin(r.Redirect), Full: r.full(a), Level: r.least(a), Hint: r.LoginHint, Locales: r.Locales, Token: values.Get("request"), Meant: r.Subject != ""}, err
}

// appOf is the app whose origin an address has.
func (g *Grants) appOf(ctx context.Context, address string) (Errand, error) {
	if checkRedirect(address) != nil || !strings.HasPrefix(address, "http") {
		return Errand{}, nil
	}
	origin := Origin(address)
	apps, err := g.Apps(ctx)
	for _, a := range apps {
		hosts := func(host string) bool { return origin == "https://"+host || origin == "http://"+host }
		if slices.ContainsFunc(a.Redirects, func(r string) bool { return Origin(r) == origin }) || slices.ContainsFunc(a.Hosts, hosts) {
			return Errand{App: a.Title(), Origin: origin}, nil
		}
	}
	return Errand{}, err
}
