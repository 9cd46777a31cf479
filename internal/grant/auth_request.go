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
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// AuthRequest is what an app asks for a person.
type AuthRequest struct {
	ClientID          string
	RedirectURI       string
	Scope             []string
	State             string
	Nonce             string
	CodeChallenge     string // of PKCE, S256
	ResponseMode      string // "query" or "form_post"
	Prompt            []string
	MaxAge            *int64        // seconds
	MinLevel          session.Level // how much must be proven
	LoginHint         string
	UILocales         string
	HintedSubject     string // whom an id_token_hint names; "" if there was none
	Action            string // "app", "sms", "password": what the person is to do in their settings
	RequestedAt       time.Time
	SelectedAccountID string // the account that the person goes on with, if they were asked

	actionStarted bool
}

// AuthStep is what comes next for a request.
type AuthStep int

// The steps, in their order.
const (
	StepSignIn         AuthStep = iota // nobody is in
	StepSelectAccount                  // the person is asked which account
	StepReauthenticate                 // both steps, anew
	StepConsent                        // the person is asked whether the app may
	StepAction                         // the person goes to their settings first
	StepIssueCode                      // a code is due
	StepError                          // with an error of OpenID Connect
)

// AuthProgress is where a request stands with a person.
type AuthProgress struct {
	Session        *session.Session // nil: nobody is in
	Subject        string           // theirs, for the app
	ReachableLevel session.Level    // the most that they could prove; known if that matters
	Consented      bool             // likewise
	Client         client.Client
	Now            time.Time
}

// NextStep is the order of the steps, and the only place that knows it. The error is one of
// OpenID Connect Core 3.1.2.6 or RFC 9470; with prompt=none nobody is asked anything.
func (r AuthRequest) NextStep(s AuthProgress) (AuthStep, string) {
	ask := func(step AuthStep, silent string) (AuthStep, string) {
		if slices.Contains(r.Prompt, "none") {
			return StepError, silent
		}
		return step, ""
	}
	switch {
	case s.Session == nil:
		return ask(StepSignIn, "login_required")
	case r.HintedSubject != "" && r.HintedSubject != s.Subject:
		return StepError, "login_required"
	case r.needsAccountSelection(*s.Session):
		return StepSelectAccount, "" // prompt has no "none" beside it
	case !s.Client.AllowsGroups(s.Session.Account.Groups):
		return StepError, "access_denied"
	case r.needsStepUp(s) && s.ReachableLevel < r.requiredLevel(s.Client):
		// Before anything is asked: nobody proves themselves to hear that it was in vain.
		return StepError, "unmet_authentication_requirements"
	case r.needsStepUp(s):
		return ask(StepReauthenticate, "login_required")
	case s.Client.ThirdParty && !s.Consented:
		return ask(StepConsent, "consent_required")
	case r.Action != "" && !r.actionStarted:
		return ask(StepAction, "interaction_required")
	}
	return StepIssueCode, ""
}

// needsAccountSelection reports whether the person may want to be somebody else (prompt=select_account): they were in before
// they were asked, and have not said that it is them.
func (r AuthRequest) needsAccountSelection(who session.Session) bool {
	return slices.Contains(r.Prompt, "select_account") && r.HintedSubject == "" && r.SelectedAccountID != who.Account.ID && who.StartedAt.Before(r.RequestedAt.Truncate(time.Millisecond))
}

// requiredLevel is the level that has to be proven.
func (r AuthRequest) requiredLevel(a client.Client) session.Level {
	return max(r.MinLevel, a.RequiredLevel())
}

// needsStepUp reports whether what the person has proven is too little, or too old.
func (r AuthRequest) needsStepUp(s AuthProgress) bool {
	return r.authTooOld(s) || s.Session.Level() < r.requiredLevel(s.Client)
}

// reauthGrace is for how long a proof that was given for a request is good for it, beyond the age
// that it asks for: somebody may read a page of consent in between.
const reauthGrace = 10 * time.Minute

// authTooOld reports whether the proof that the person has given is too old for this request, or was
// skipped. One that was given after it was asked for is good for a while, whatever the age.
func (r AuthRequest) authTooOld(s AuthProgress) bool {
	proved := s.Session.AuthenticatedAt
	authAge, provedForRequest := s.Now.Sub(proved), !proved.Before(r.RequestedAt.Truncate(time.Millisecond))
	olderThan := func(age time.Duration) bool { return authAge > age && (!provedForRequest || authAge > age+reauthGrace) }
	return slices.Contains(r.Prompt, "login") && (!provedForRequest || authAge > reauthGrace) || r.MaxAge != nil && olderThan(time.Duration(*r.MaxAge)*time.Second) || s.Client.MaxAge > 0 && olderThan(s.Client.MaxAuthAge())
}

// needsFullSignIn reports whether trust in a browser is not enough for the request.
func (r AuthRequest) needsFullSignIn(a client.Client) bool {
	return slices.Contains(r.Prompt, "login") || r.MaxAge != nil || a.MaxAge > 0 || r.requiredLevel(a) > session.LevelPassword
}

var (
	codeVerifierPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
	// codeChallengePattern is a SHA-256 in base64url.
	codeChallengePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
)

// ValidS256Challenge reports whether a code_challenge can be one of S256.
func ValidS256Challenge(text string) bool { return codeChallengePattern.MatchString(text) }

// ContinuePath is the page on which a request goes on once its person is back.
const ContinuePath = "/oauth2/continue"

// ContinueURL is the path on which the request with this token goes on.
func ContinueURL(token string) string {
	return ContinuePath + "?" + url.Values{"request": {token}}.Encode()
}

// authRequestsPerHour are the requests of one network that may be kept in an hour: nobody has to
// prove anything to make one, and each takes room.
const authRequestsPerHour = 3000

func (g *Grants) chargeAuthRequest(ctx context.Context, app string, from origin.Origin) error {
	err := g.Limits.Spend(ctx, g.Store, ratelimit.PerNetwork("authorization_requests_network", from.Network(), authRequestsPerHour))
	if errors.Is(err, ratelimit.ErrLimited) {
		return g.Accounts.Refused(ctx, err, audit.Event{Client: app, Reason: "authorization requests"}, from)
	}
	return err
}

// SaveAuthRequest keeps a request of a network until the person is back. *account.WaitError.
func (g *Grants) SaveAuthRequest(ctx context.Context, r AuthRequest, from origin.Origin) (token string, err error) {
	if err := g.chargeAuthRequest(ctx, r.ClientID, from); err != nil {
		return "", err
	}
	return g.insertAuthRequest(ctx, r, false, authRequestTTL)
}

// PushAuthRequest keeps a request that the app itself has sent, and returns its name. An app without a
// proof may be anybody. *account.WaitError.
func (g *Grants) PushAuthRequest(ctx context.Context, a client.Client, r AuthRequest, from origin.Origin) (requestURI string, err error) {
	if a.IsPublic() {
		if err := g.chargeAuthRequest(ctx, a.ID, from); err != nil {
			return "", err
		}
	}
	token, err := g.insertAuthRequest(ctx, r, true, PushedRequestTTL)
	return requestURIPrefix + token, err
}

const requestURIPrefix = "urn:ietf:params:oauth:request_uri:"

// IsPushedRequestURI reports whether a request_uri is the name of a pushed request, and no address.
func IsPushedRequestURI(requestURI string) bool {
	return strings.HasPrefix(requestURI, requestURIPrefix)
}

// ConsumePushedRequest is the request of this name, once. ErrInvalid.
func (g *Grants) ConsumePushedRequest(ctx context.Context, app, requestURI string) (AuthRequest, error) {
	token, ok := strings.CutPrefix(requestURI, requestURIPrefix)
	if !ok {
		return AuthRequest{}, ErrInvalid
	}
	r, err := g.loadAuthRequest(ctx, token, true)
	if err != nil {
		return AuthRequest{}, err
	}
	err = g.Store.UsePushedRequest(ctx, seal.HashToken(token), app, g.Now())
	if errors.Is(err, store.ErrNotFound) {
		return AuthRequest{}, ErrInvalid
	}
	return r, err
}

func (g *Grants) insertAuthRequest(ctx context.Context, r AuthRequest, pushed bool, life time.Duration) (token string, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	now := g.Now()
	token = seal.NewToken()
	row := store.AuthorizationRequest{ID: seal.HashToken(token), ClientID: r.ClientID, Parameters: string(body), Pushed: pushed, CreatedAt: now, ExpiresAt: now.Add(life)}
	if err := g.Store.CreateAuthorizationRequest(ctx, row); err != nil {
		return "", fmt.Errorf("grant: keep request: %w", err)
	}
	return token, nil
}

// GetAuthRequest is the request with this token. ErrInvalid.
func (g *Grants) GetAuthRequest(ctx context.Context, token string) (AuthRequest, error) {
	return g.loadAuthRequest(ctx, token, false)
}

func (g *Grants) loadAuthRequest(ctx context.Context, token string, pushed bool) (r AuthRequest, err error) {
	row, err := g.Store.GetAuthorizationRequest(ctx, seal.HashToken(token), g.Now())
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Pushed != pushed {
		return r, ErrInvalid
	}
	if err == nil {
		err = json.Unmarshal([]byte(row.Parameters), &r)
	}
	if err != nil {
		return r, fmt.Errorf("grant: waiting: %w", err)
	}
	r.actionStarted = row.SettingsShown
	return r, nil
}

// MarkActionStarted notes that the person of a waiting request was asked, or sent to do something, once.
func (g *Grants) MarkActionStarted(ctx context.Context, token string) error {
	if err := g.Store.SetSettingsShown(ctx, seal.HashToken(token)); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("grant: act: %w", err)
	}
	return nil
}

// SelectAccount notes with which account the person of a waiting request goes on; "": with another than
// the app has hinted at.
func (g *Grants) SelectAccount(ctx context.Context, token, account string) error {
	r, err := g.GetAuthRequest(ctx, token)
	if errors.Is(err, ErrInvalid) { // it was answered, which ends it
		return nil
	}
	if err != nil {
		return err
	}
	r.SelectedAccountID = account
	if account == "" {
		r.LoginHint = ""
	}
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("grant: choose: %w", err)
	}
	err = g.Store.UpdateAuthorizationRequest(ctx, seal.HashToken(token), string(body))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// ConsumeAuthRequest ends a waiting request, once. ErrInvalid: somebody else was faster.
func (g *Grants) ConsumeAuthRequest(ctx context.Context, token string) error {
	err := g.Store.DeleteAuthorizationRequest(ctx, seal.HashToken(token))
	if errors.Is(err, store.ErrNotFound) {
		return ErrInvalid
	}
	return err
}

// HasConsent reports whether the person has allowed the app all of it: since it was asked for,
// if the app wants them to be asked again.
func (g *Grants) HasConsent(ctx context.Context, who session.Session, r AuthRequest) (bool, error) {
	c, err := g.Store.GetConsent(ctx, who.Account.ID, r.ClientID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if slices.Contains(r.Prompt, "consent") && c.GrantedAt.Before(r.RequestedAt.Truncate(time.Millisecond)) {
		return false, err
	}
	return consentCovers(c, r.Scope), err
}

// consentCovers reports whether all of a scope was allowed.
func consentCovers(c store.Consent, scope []string) bool {
	allowed := strings.Fields(c.Scope)
	return !slices.ContainsFunc(scope, func(one string) bool { return !slices.Contains(allowed, one) })
}

// SaveConsent keeps that the person allows the app what it asks for, beside what they have allowed
// it before.
func (g *Grants) SaveConsent(ctx context.Context, who session.Session, r AuthRequest, from origin.Origin) error {
	err := g.Store.Tx(ctx, func(tx *store.DB) error {
		c, err := tx.GetConsent(ctx, who.Account.ID, r.ClientID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		scope := slices.Concat(strings.Fields(c.Scope), r.Scope)
		slices.Sort(scope)
		all := store.Consent{AccountID: who.Account.ID, ClientID: r.ClientID, Scope: strings.Join(slices.Compact(scope), " "), GrantedAt: g.Now()}
		if err := tx.SaveConsent(ctx, all); err != nil {
			return err
		}
		e := clientEvent(audit.ConsentGiven, who, r.ClientID)
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

// ReturnTarget is what the pages know of where somebody is going to who is on the way in.
type ReturnTarget struct {
	ClientName      string // its name
	Origin          string // what the way leads to in the end; "" if it stays here
	NeedsFullSignIn bool   // both steps are wanted, whatever is trusted
	MinLevel        session.Level
	LoginHint       string // the address to sign in with
	UILocales       string
	RequestToken    string // under which a request waits; "" if none does
	SubjectFixed    bool   // the app says whom it means: nobody else gets there
}

// ResolveReturnTarget reads an address to come back to: of a request that waits, or of an app. It is
// empty for any other.
func (g *Grants) ResolveReturnTarget(ctx context.Context, back string) (ReturnTarget, error) {
	query, ok := strings.CutPrefix(back, ContinuePath+"?")
	if !ok {
		return g.returnTargetByOrigin(ctx, back)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return ReturnTarget{}, nil
	}
	r, err := g.GetAuthRequest(ctx, values.Get("request"))
	if errors.Is(err, ErrInvalid) {
		return ReturnTarget{}, nil
	}
	if err != nil {
		return ReturnTarget{}, err
	}
	a, err := g.Clients.Get(ctx, r.ClientID)
	if errors.Is(err, client.ErrNotFound) {
		return ReturnTarget{}, nil
	}
	return ReturnTarget{ClientName: a.DisplayName(), Origin: client.CSPOrigin(r.RedirectURI), NeedsFullSignIn: r.needsFullSignIn(a), MinLevel: r.requiredLevel(a), LoginHint: r.LoginHint, UILocales: r.UILocales, RequestToken: values.Get("request"), SubjectFixed: r.HintedSubject != ""}, err
}

// returnTargetByOrigin is the app whose origin an address has.
func (g *Grants) returnTargetByOrigin(ctx context.Context, address string) (ReturnTarget, error) {
	if client.ValidateRedirectURI(address) != nil || !strings.HasPrefix(address, "http") {
		return ReturnTarget{}, nil
	}
	origin := client.CSPOrigin(address)
	apps, err := g.Clients.List(ctx)
	for _, a := range apps {
		hosts := func(host string) bool { return origin == "https://"+host || origin == "http://"+host }
		if slices.ContainsFunc(a.RedirectURIs, func(r string) bool { return client.CSPOrigin(r) == origin }) || slices.ContainsFunc(a.Hosts, hosts) {
			return ReturnTarget{ClientName: a.DisplayName(), Origin: origin}, nil
		}
	}
	return ReturnTarget{}, err
}
