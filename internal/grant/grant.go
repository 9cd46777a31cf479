// Package grant stores authorization requests, codes, tokens and consents, and signs tokens.
//
//	Request ─▶ Next ─▶ (sign in, confirm, consent, act) ─▶ Issue ─▶ Redeem ─▶ tokens
//
// A grant is one answer to one request. It ends with the session in which it was given, or,
// offline, with the epoch of the account; and at once when its code or a refresh token comes
// a second time.
package grant

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// How long things live.
const (
	CodeLife    = time.Minute         // ASVS 10.4.3, level 3
	AccessLife  = 10 * time.Minute    // of an ID token too
	OfflineLife = 30 * 24 * time.Hour // of a grant with refresh tokens, in any case
	PushedLife  = 90 * time.Second    // RFC 9126 2.2
	waiting     = time.Hour           // a request waits for its person
)

// Grants are all of them.
type Grants struct {
	Store      *store.DB
	Keys       *seal.Keys
	Now        func() time.Time
	Log        *slog.Logger
	Limits     *ratelimit.Limiter
	Accounts   *account.Accounts // for audit events
	Challenges *challenge.Challenges
	Issuer     string // the public URL
	Fixed      []App  // those of the settings

	making sync.Mutex // of a signing key: one is enough
	opened sync.Map   // signing keys, by their ids
}

// ErrInvalid says that a code or a token is not good (any more).
var ErrInvalid = errors.New("grant: code or token is not valid")

// Grant is what an app was allowed.
type Grant struct {
	ID       string
	App      string
	Account  string // the id; "" for the app itself
	Session  string
	Scope    []string
	AMR      []string
	AuthTime time.Time
	Offline  bool
	Ends     time.Time
	asked    asked
	person   *Person // nil: nobody has looked
}

// asked is what a code is bound to.
type asked struct {
	Redirect, Challenge, Nonce string
}

// Nonce is what the app wants to find in its ID token.
func (g Grant) Nonce() string { return g.asked.Nonce }

// Redirect is where its code went, and nowhere else.
func (g Grant) Redirect() string { return g.asked.Redirect }

// ACR is the level at which the grant was given.
func (g Grant) ACR() string { return session.LevelOf(g.AMR).ACR() }

// Has reports whether a scope was allowed.
func (g Grant) Has(scope string) bool { return slices.Contains(g.Scope, scope) }

func read(row store.Grant) (g Grant, err error) {
	g = Grant{
		ID: row.ID, App: row.App, Account: row.Account, Session: row.Session, Scope: strings.Fields(row.Scope), AMR: strings.Fields(row.AMR),
		AuthTime: store.Time(row.ProvedAt), Offline: row.Offline, Ends: store.Time(row.EndsAt),
	}
	if err := json.Unmarshal([]byte(row.Body), &g.asked); err != nil {
		return g, fmt.Errorf("grant: %s: %w", row.ID, err)
	}
	return g, nil
}

// Issue gives a code for what was asked, to the person of the session.
func (g *Grants) Issue(ctx context.Context, r Request, who session.Session, from origin.Origin) (code string, err error) {
	a, err := g.App(ctx, r.App)
	if err != nil {
		return "", err
	}
	if !a.Redirect(r.Redirect) && !a.entrance(r.Redirect) {
		return "", fmt.Errorf("grant: issue: %q is no address of the app %s", r.Redirect, r.App)
	}
	body, err := json.Marshal(asked{r.Redirect, r.Challenge, r.Nonce})
	if err != nil {
		return "", err
	}
	now := g.Now()
	code = seal.Token()
	row := store.Grant{
		ID: rand.Text(), App: r.App, Account: who.Account.ID, Epoch: who.Ref().Epoch, Session: who.ID, SessionEndsAt: store.Millis(who.ExpiresAt),
		Scope: strings.Join(r.Scope, " "), Body: string(body), AMR: strings.Join(who.AMR, " "), ProvedAt: store.Millis(who.AuthTime()),
		Offline: slices.Contains(r.Scope, "offline_access"), Code: seal.Hash(code), CodeEndsAt: store.Millis(now.Add(CodeLife)),
		BeganAt: store.Millis(now), EndsAt: store.Millis(who.ExpiresAt),
	}
	if row.Offline {
		row.EndsAt = store.Millis(now.Add(OfflineLife))
	}
	err = g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.AddGrant(ctx, row); err != nil {
			return err
		}
		return g.Accounts.Event(ctx, tx, grantEvent(audit.GrantCreated, row), from)
	})
	if err != nil {
		return "", fmt.Errorf("grant: issue: %w", err)
	}
	return code, nil
}

// grantEvent is something that happened to a grant.
func grantEvent(kind audit.Kind, row store.Grant) audit.Event {
	return audit.Event{Kind: kind, Account: row.Account, Target: audit.Target("grant", row.ID), Client: row.App}
}

// Redemption is what an app brings for a code.
type Redemption struct {
	From     origin.Origin
	App      App
	Code     string
	Redirect string
	Verifier string // of PKCE
}

// Redeem uses a code up. One that comes a second time ends all that came of it (RFC 9700
// 2.1.1). ErrInvalid.
func (g *Grants) Redeem(ctx context.Context, r Redemption) (Grant, error) {
	return g.redeem(ctx, r, func(*store.DB, Grant) error { return nil })
}

// Exchange is Redeem, and tokens for it: both, or neither.
func (g *Grants) Exchange(ctx context.Context, r Redemption) (of Grant, t Tokens, err error) {
	of, err = g.redeem(ctx, r, func(tx *store.DB, of Grant) (err error) {
		t, err = g.give(ctx, tx, of)
		return err
	})
	return of, t, err
}

func (g *Grants) redeem(ctx context.Context, r Redemption, then func(*store.DB, Grant) error) (of Grant, err error) {
	good := false
	err = g.Store.Tx(ctx, func(tx *store.DB) (err error) {
		if of, good, err = g.use(ctx, tx, r); err == nil && good {
			err = then(tx, of)
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Grant{}, cmp.Or(g.cameTwice(ctx, r), ErrInvalid)
	case err != nil:
		return Grant{}, fmt.Errorf("grant: redeem: %w", err)
	case !good:
		return Grant{}, ErrInvalid
	}
	return of, nil
}

// use uses a code up, and reports whether it is good for what was brought with it. If not, the
// grant ends. store.ErrNotFound: it is another app's, was used, or is too old.
func (g *Grants) use(ctx context.Context, tx *store.DB, r Redemption) (of Grant, good bool, err error) {
	now := store.Millis(g.Now())
	row, err := tx.UseGrant(ctx, seal.Hash(r.Code), r.App.ID, now)
	if err == nil {
		of, err = read(row)
	}
	if err != nil {
		return of, false, err
	}
	if of.asked.Redirect == r.Redirect && proves(r.Verifier, of.asked.Challenge) {
		if of.person, err = g.still(ctx, tx, r.App, of); !errors.Is(err, store.ErrNotFound) {
			return of, err == nil, err
		}
	}
	return of, false, tx.EndGrant(ctx, of.ID, now)
}

// cameTwice ends what came of a code of the app that gave nothing, if it was used, be it this very
// moment. One of another app stays as it is.
func (g *Grants) cameTwice(ctx context.Context, r Redemption) error {
	row, err := g.Store.GrantOfCode(ctx, seal.Hash(r.Code))
	if errors.Is(err, store.ErrNotFound) || err == nil && (row.App != r.App.ID || row.CodeUsedAt == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("grant: redeem: %w", err)
	}
	return g.stolen(ctx, audit.CodeReused, row, r.From)
}

// stolen ends a grant of which a code or a token was used twice, and records that, whether or not
// the app waits for the answer.
func (g *Grants) stolen(ctx context.Context, kind audit.Kind, row store.Grant, from origin.Origin) error {
	if row.EndedAt != 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	err := g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.EndGrant(ctx, row.ID, store.Millis(g.Now())); err != nil {
			return err
		}
		e := grantEvent(kind, row)
		e.Actor, e.Result = audit.Client(row.App), audit.Failure
		return g.Accounts.Event(ctx, tx, e, from)
	})
	if err != nil {
		return fmt.Errorf("grant: stolen: %w", err)
	}
	return nil
}

// proves reports whether a verifier belongs to a challenge (RFC 7636, S256). Where there was
// none, none may come: somebody would have taken the challenge out of the request.
func proves(verifier, challenge string) bool {
	if challenge == "" {
		return verifier == ""
	}
	return goodVerifier.MatchString(verifier) && Challenge(verifier) == challenge
}

// Challenge is the code_challenge of a verifier.
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// end ends a grant for its app, and with it all of its tokens.
func (g *Grants) end(ctx context.Context, row store.Grant, from origin.Origin) error {
	if row.EndedAt != 0 {
		return nil
	}
	err := g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.EndGrant(ctx, row.ID, store.Millis(g.Now())); err != nil {
			return err
		}
		e := grantEvent(audit.GrantEnded, row)
		e.Actor = audit.Client(row.App)
		return g.Accounts.Event(ctx, tx, e, from)
	})
	if err != nil {
		return fmt.Errorf("grant: end: %w", err)
	}
	return nil
}

// Allowed is what an app may know of a person, for the list in their settings.
type Allowed struct {
	App   App
	Scope []string
	Since time.Time
}

// Given are the apps that the person uses, or has allowed something, once each, with all that
// each may know.
func (g *Grants) Given(ctx context.Context, who session.Session) (list []Allowed, err error) {
	rows, err := g.Store.GrantsOf(ctx, who.Account.ID, store.Millis(g.Now()))
	if err != nil {
		return nil, fmt.Errorf("grant: given: %w", err)
	}
	consents, err := g.Store.Consents(ctx, who.Account.ID)
	if err != nil {
		return nil, fmt.Errorf("grant: given: %w", err)
	}
	for _, c := range consents {
		rows = append(rows, store.Grant{App: c.App, Scope: c.Scope, BeganAt: c.At})
	}
	for _, row := range rows {
		scope := strings.Fields(row.Scope)
		if i := slices.IndexFunc(list, func(a Allowed) bool { return a.App.ID == row.App }); i >= 0 {
			list[i].Scope = append(list[i].Scope, scope...)
			continue
		}
		a, err := g.App(ctx, row.App)
		if errors.Is(err, ErrNoApp) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, Allowed{a, scope, store.Time(row.BeganAt)})
	}
	return list, nil
}

// Withdraw takes from an app all that the person has allowed it.
func (g *Grants) Withdraw(ctx context.Context, who session.Session, app string, from origin.Origin) error {
	return g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RemoveConsent(ctx, who.Account.ID, app); err != nil {
			return err
		}
		if err := tx.EndGrants(ctx, who.Account.ID, app, store.Millis(g.Now())); err != nil {
			return err
		}
		return g.Accounts.Event(ctx, tx, clientEvent(audit.ConsentWithdrawn, who, app), from)
	})
}

// clientEvent is something that happened between a person and an app.
func clientEvent(kind audit.Kind, who session.Session, app string) audit.Event {
	return audit.Event{Kind: kind, Account: who.Account.ID, Target: audit.Target("client", app), Client: app}
}

// Subject is the name of an account for an app: its id, or one that only this app has
// (OpenID Connect Core 8.1).
func (g *Grants) Subject(ctx context.Context, a App, id string) (string, error) {
	if !a.Pairwise || id == "" {
		return id, nil
	}
	salt, err := g.Store.KeepMark(ctx, "subjects", seal.Token())
	if err != nil {
		return "", fmt.Errorf("grant: subject: %w", err)
	}
	sum := sha256.Sum256([]byte(salt + " " + a.ID + " " + id))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// Person is what an app may know of somebody, by scope.
type Person struct {
	Email  string
	Name   string
	Groups []string
}

// Person is whom a grant is about.
func (g *Grants) Person(ctx context.Context, of Grant) (Person, error) {
	if of.person != nil { // it was looked at this moment
		return *of.person, nil
	}
	a, err := g.Store.Account(ctx, of.Account)
	if err != nil {
		return Person{}, fmt.Errorf("grant: person: %w", err)
	}
	return personOf(a), nil
}

func personOf(a store.Account) Person { return Person{a.Email, a.Name, strings.Fields(a.Groups)} }

// Standing is where a request stands with the person of a session; nil: nobody is in.
func (g *Grants) Standing(ctx context.Context, r Request, who *session.Session) (s Standing, err error) {
	s.Now, s.Who = g.Now(), who
	if s.App, err = g.App(ctx, r.App); err != nil || who == nil {
		return s, err
	}
	if s.Subject, err = g.Subject(ctx, s.App, who.Account.ID); err != nil {
		return s, err
	}
	if r.short(s) {
		if s.Reach, err = g.Challenges.HighestLevel(ctx, *who); err != nil {
			return s, err
		}
	}
	if s.App.Foreign {
		s.Consented, err = g.Consents(ctx, *who, r)
	}
	return s, err
}

// SID is the name of a session for an app: another one for each, so that no two of them can
// tell by it whom they share.
func (g *Grants) SID(session, app string) string {
	sum := sha256.Sum256([]byte("sid " + app + " " + session))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
