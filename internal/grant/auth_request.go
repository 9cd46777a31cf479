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
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/ratelimit"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// AuthRequest is an OAuth 2.0 authorization request (RFC 6749 4.1.1; OpenID Connect Core 3.1.2.1).
type AuthRequest struct {
	ClientID          string
	RedirectURI       string
	Scope             []string
	State             string
	Nonce             string
	CodeChallenge     string // PKCE, method S256 (RFC 7636)
	ResponseType      string // a constant of package client; "" is code
	ResponseMode      string // "query", "fragment" or "form_post"
	Prompt            []string
	MaxAge            *int64        // seconds
	MinLevel          session.Level // the lowest level that satisfies acr_values and claims
	LoginHint         string
	UILocales         string
	HintedSubject     string // the sub of the id_token_hint; "" if there was none
	Action            string // twostep_action: "app", "sms" or "password", a settings page to visit first
	RequestedAt       time.Time
	Browser           []byte // hash of the identifier of the browser that makes the request; nil: not known yet
	SelectedAccountID string // the account chosen on the account selection page; "" if not asked yet
	AllowedBy         string // the account that allowed this request on the consent page; "" if none has
	// DeviceAuthorization is the id of the device authorization (RFC 8628) that the request answers; nil: it answers an
	// app. Such a request has no redirect URI and gets no code.
	DeviceAuthorization []byte `json:",omitempty"`

	actionStarted bool // the person was sent to the settings page of Action
}

// WantsIDToken reports whether the authorization response has an ID token.
func (r AuthRequest) WantsIDToken() bool {
	return strings.Contains(r.ResponseType, client.ResponseTypeIDToken)
}

// WantsCode reports whether the authorization response has a code.
func (r AuthRequest) WantsCode() bool { return r.ResponseType != client.ResponseTypeIDToken }

// AuthStep is the next thing to do for an authorization request.
type AuthStep int

// The steps, in the order in which NextStep takes them.
const (
	StepSignIn         AuthStep = iota // nobody is signed in
	StepSelectAccount                  // ask which account to use
	StepReauthenticate                 // take both steps of the sign-in again
	StepSetUp                          // set up another method
	StepConsent                        // ask for consent
	StepAction                         // visit a settings page first
	StepIssueCode                      // send what the response type asks for
	StepError                          // send an error
)

// AuthProgress is what NextStep needs to know besides the request.
type AuthProgress struct {
	Session        *session.Session // nil if nobody is signed in
	Subject        string           // the subject identifier of the person for the client
	ReachableLevel session.Level    // the highest level their factors allow; set only if a step-up is needed
	Consented      bool             // set only for third-party clients
	Limits         policy.Limits    // for the person in the client
	SetUp          *challenge.SetUp // a method that the person must set up; nil: none
	Client         client.Client
	Now            time.Time
}

// NextStep decides the next step of a request; the order of the steps is defined here only. With StepError it
// also returns an error code of RFC 6749 4.1.2.1, OpenID Connect Core 3.1.2.6 or RFC 9470. With prompt=none no
// page is shown: each step that needs one becomes an error.
func (r AuthRequest) NextStep(p AuthProgress) (AuthStep, string) {
	ask := func(step AuthStep, silent string) (AuthStep, string) {
		if slices.Contains(r.Prompt, "none") {
			return StepError, silent
		}
		return step, ""
	}
	switch {
	case r.WantsIDToken() && !p.Client.AllowsResponseType(r.ResponseType): // the app was changed since
		return StepError, "unauthorized_client"
	case p.Session == nil:
		return ask(StepSignIn, "login_required")
	case r.HintedSubject != "" && r.HintedSubject != p.Subject:
		return StepError, "login_required"
	case r.needsAccountSelection(*p.Session):
		return StepSelectAccount, "" // never combined with prompt=none
	case !p.Client.AllowsGroups(p.Session.Account.Groups):
		return StepError, "access_denied"
	case p.SetUp != nil && p.SetUp.Due && len(p.SetUp.Methods) == 0:
		return StepError, "unmet_authentication_requirements"
	case p.SetUp != nil && p.SetUp.Due:
		return ask(StepSetUp, "interaction_required")
	case r.needsStepUp(p) && p.ReachableLevel < r.requiredLevel(p.Client):
		// Checked before asking for codes that could not be enough.
		return StepError, "unmet_authentication_requirements"
	case r.needsStepUp(p):
		return ask(StepReauthenticate, "login_required")
	case r.IsForDevice() || p.Client.ThirdParty && !p.Consented:
		return ask(StepConsent, "consent_required")
	case r.Action != "" && !r.actionStarted:
		return ask(StepAction, "interaction_required")
	}
	return StepIssueCode, ""
}

// IsForDevice reports whether a person answers a device (RFC 8628). Consent to such a request is asked for each time:
// anybody may have sent the code.
func (r AuthRequest) IsForDevice() bool { return r.DeviceAuthorization != nil }

// needsAccountSelection reports whether prompt=select_account still has to be satisfied: the person was signed
// in before the request and has not chosen their current account yet.
func (r AuthRequest) needsAccountSelection(who session.Session) bool {
	return slices.Contains(r.Prompt, "select_account") &&
		r.HintedSubject == "" && r.SelectedAccountID != who.Account.ID &&
		who.StartedAt.Before(r.RequestedAt.Truncate(time.Millisecond))
}

// requiredLevel returns the higher of the levels that the request and the client's registration require.
func (r AuthRequest) requiredLevel(cl client.Client) session.Level {
	return max(r.MinLevel, cl.RequiredLevel())
}

// needsStepUp reports whether the session's level is too low, its authentication too old, or the session not one that
// the limits allow.
func (r AuthRequest) needsStepUp(p AuthProgress) bool {
	return r.authTooOld(p) || p.Session.Level() < r.requiredLevel(p.Client) || !r.fits(p)
}

// fits reports whether the session is one that the limits allow in the client. An authentication that was made for the
// request may be older, by reauthGrace.
func (r AuthRequest) fits(p AuthProgress) bool {
	at := p.Session.AuthenticatedAt
	forRequest := !at.Before(r.RequestedAt.Truncate(time.Millisecond)) && p.Now.Sub(at) <= reauthGrace
	return p.Session.Allows(p.Limits) && (forRequest || p.Session.Fits(p.Limits, p.Now))
}

// reauthGrace is how long an authentication that was made for a request stays valid for it beyond the allowed
// age: reading the consent page takes time.
const reauthGrace = 10 * time.Minute

// authTooOld reports whether the authentication of the session is older than prompt=login, max_age or the
// client's registration allows. One made after the request arrived is valid for reauthGrace longer.
func (r AuthRequest) authTooOld(p AuthProgress) bool {
	authenticatedAt := p.Session.AuthenticatedAt
	authAge, forRequest := p.Now.Sub(authenticatedAt), !authenticatedAt.Before(r.RequestedAt.Truncate(time.Millisecond))
	olderThan := func(age time.Duration) bool { return authAge > age && (!forRequest || authAge > age+reauthGrace) }
	return slices.Contains(r.Prompt, "login") && (!forRequest || authAge > reauthGrace) ||
		r.MaxAge != nil && olderThan(time.Duration(*r.MaxAge)*time.Second) ||
		p.Client.MaxAge > 0 && olderThan(p.Client.MaxAuthAge())
}

// needsFullSignIn reports whether the request requires both steps, even in a trusted browser.
func (r AuthRequest) needsFullSignIn(cl client.Client) bool {
	return slices.Contains(r.Prompt,
		"login") || r.MaxAge != nil || cl.MaxAge > 0 || r.requiredLevel(cl) > session.LevelPassword
}

var (
	// codeVerifierPattern is the syntax of RFC 7636 4.1.
	codeVerifierPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
	// codeChallengePattern is a SHA-256 in base64url.
	codeChallengePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
)

// ValidS256Challenge reports whether text has the form of a code_challenge with method S256: a SHA-256 hash in
// base64url (RFC 7636 4.2).
func ValidS256Challenge(text string) bool { return codeChallengePattern.MatchString(text) }

// ContinuePath is the page that resumes a stored authorization request.
const ContinuePath = "/oauth2/continue"

// ContinueURL returns the path and query that resume the request with this token.
func ContinueURL(token string) string {
	return ContinuePath + "?" + url.Values{"request": {token}}.Encode()
}

// Creating an authorization request needs no authentication and uses space in the database, so the requests of a
// network and of everybody are limited, and their bytes.
const (
	authRequestsPerNetworkHour     = 3000
	authRequestBytesPerNetworkHour = 4 << 20
)

var (
	authRequestBudget     = ratelimit.Shared{Kind: "authorization_requests", Window: time.Hour, Limit: 200_000}
	authRequestByteBudget = ratelimit.Shared{Kind: "authorization_request_bytes", Window: time.Hour, Limit: 128 << 20}
)

// chargeAuthRequest counts a request of this size. It returns an error that is ratelimit.ErrLimited if the network or
// everybody has stored too many.
func (g *Grants) chargeAuthRequest(ctx context.Context, clientID string, size int, from origin.Origin) error {
	quotas := ratelimit.PerNetwork("authorization_requests_network", from.Networks(), time.Hour, authRequestsPerNetworkHour)
	for _, q := range ratelimit.PerNetwork(
		"authorization_request_bytes_network", from.Networks(), time.Hour, authRequestBytesPerNetworkHour,
	) {
		q.Amount = int64(size)
		quotas = append(quotas, q)
	}
	who, err := g.standing(ctx, from)
	if err != nil {
		return err
	}
	err = g.Limits.Spend(ctx, g.Store, slices.Concat(quotas,
		authRequestBudget.For(who, "", 1), authRequestByteBudget.For(who, "", int64(size)))...)
	if errors.Is(err, ratelimit.ErrLimited) {
		return g.Accounts.Refused(ctx, err, audit.Event{Client: clientID, Reason: "authorization requests"}, from)
	}
	return err
}

// standing returns how much of a shared budget the browser of a request may use.
func (g *Grants) standing(ctx context.Context, from origin.Origin) (ratelimit.Standing, error) {
	known, err := g.Challenges.Devices.IsKnown(ctx, from)
	if known {
		return ratelimit.Proven, err
	}
	return ratelimit.Stranger, err
}

// SaveAuthRequest stores a request for authRequestTTL and returns the token that finds it again. It returns an
// error that is ratelimit.ErrLimited if the network of from, or everybody, has stored too many.
func (g *Grants) SaveAuthRequest(ctx context.Context, r AuthRequest, from origin.Origin) (token string, err error) {
	body, err := r.encode()
	if err != nil {
		return "", err
	}
	if err := g.chargeAuthRequest(ctx, r.ClientID, len(body), from); err != nil {
		return "", err
	}
	return g.insertAuthRequest(ctx, r.ClientID, body, false, authRequestTTL)
}

// encode returns the request as JSON. It escapes as little as JSON allows: a state of 2,000 characters stays about as
// long.
func (r AuthRequest) encode() (string, error) {
	var body strings.Builder
	to := json.NewEncoder(&body)
	to.SetEscapeHTML(false)
	err := to.Encode(r)
	return body.String(), err
}

// PushAuthRequest stores a pushed authorization request (RFC 9126) for PushedRequestTTL and returns its
// request_uri. Requests of public clients count against the limit of the network, because a public client is
// not authenticated. It returns an error that is ratelimit.ErrLimited if that limit is reached.
func (g *Grants) PushAuthRequest(
	ctx context.Context, cl client.Client, r AuthRequest, from origin.Origin,
) (requestURI string, err error) {
	body, err := r.encode()
	if err != nil {
		return "", err
	}
	if cl.IsPublic() {
		if err := g.chargeAuthRequest(ctx, cl.ID, len(body), from); err != nil {
			return "", err
		}
	}
	token, err := g.insertAuthRequest(ctx, cl.ID, body, true, PushedRequestTTL)
	return requestURIPrefix + token, err
}

// requestURIPrefix begins every request_uri of a pushed request (RFC 9126 2.2).
const requestURIPrefix = "urn:ietf:params:oauth:request_uri:"

// IsPushedRequestURI reports whether a request_uri refers to a pushed request, not to a URL (RFC 9101).
func IsPushedRequestURI(requestURI string) bool {
	return strings.HasPrefix(requestURI, requestURIPrefix)
}

// ConsumePushedRequest returns the pushed request of a client and makes its request_uri unusable. It returns
// ErrInvalid if the request_uri is unknown, expired, already used, or of another client.
func (g *Grants) ConsumePushedRequest(ctx context.Context, clientID, requestURI string) (AuthRequest, error) {
	token, ok := strings.CutPrefix(requestURI, requestURIPrefix)
	if !ok {
		return AuthRequest{}, ErrInvalid
	}
	r, err := g.loadAuthRequest(ctx, token, true)
	if err != nil {
		return AuthRequest{}, err
	}
	err = g.Store.UsePushedRequest(ctx, seal.HashToken(token), clientID, g.Now())
	if errors.Is(err, store.ErrNotFound) {
		return AuthRequest{}, ErrInvalid
	}
	return r, err
}

func (g *Grants) insertAuthRequest(
	ctx context.Context, clientID, body string, pushed bool, ttl time.Duration,
) (token string, err error) {
	now := g.Now()
	token = seal.NewToken()
	row := store.AuthorizationRequest{
		ID:         seal.HashToken(token),
		ClientID:   clientID,
		Parameters: body,
		Pushed:     pushed,
		CreatedAt:  now,
		ExpiresAt:  now.Add(ttl),
	}
	if err := g.Store.CreateAuthorizationRequest(ctx, row); err != nil {
		return "", fmt.Errorf("grant: save authorization request: %w", err)
	}
	return token, nil
}

// GetAuthRequest returns the stored request with this token, for a browser with these identifiers. It returns
// ErrInvalid if there is none, if it has expired, or if another browser has made it: its response belongs into that
// one, where the app keeps the state (RFC 6749 10.12).
func (g *Grants) GetAuthRequest(ctx context.Context, token string, browsers []string) (AuthRequest, error) {
	r, err := g.loadAuthRequest(ctx, token, false)
	isMine := func(id string) bool { return seal.EqualTokenHash(seal.HashToken(id), r.Browser) }
	if err == nil && r.Browser != nil && !slices.ContainsFunc(browsers, isMine) {
		return AuthRequest{}, ErrInvalid
	}
	return r, err
}

// BindAuthRequest binds a stored request to the browser with this identifier. It does nothing if the request was
// answered in the meantime.
func (g *Grants) BindAuthRequest(ctx context.Context, token string, r AuthRequest, browser string) error {
	r.Browser = seal.HashToken(browser)
	return g.updateAuthRequest(ctx, token, r)
}

func (g *Grants) updateAuthRequest(ctx context.Context, token string, r AuthRequest) error {
	body, err := r.encode()
	if err != nil {
		return fmt.Errorf("grant: update authorization request: %w", err)
	}
	err = g.Store.UpdateAuthorizationRequest(ctx, seal.HashToken(token), body)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
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
		return r, fmt.Errorf("grant: load authorization request: %w", err)
	}
	r.actionStarted = row.SettingsShown
	return r, nil
}

// MarkActionStarted records that the person was sent to the settings page of the request's action.
func (g *Grants) MarkActionStarted(ctx context.Context, token string) error {
	if err := g.Store.SetSettingsShown(ctx, seal.HashToken(token)); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("grant: mark action started: %w", err)
	}
	return nil
}

// SelectAccount records the account that the person chose for a stored request. With account "" they want to
// use another one, and the request's login_hint is dropped. It does nothing if the request was answered in the
// meantime, or if it belongs to another browser, see GetAuthRequest.
func (g *Grants) SelectAccount(ctx context.Context, token, account string, browsers []string) error {
	r, err := g.GetAuthRequest(ctx, token, browsers)
	if errors.Is(err, ErrInvalid) {
		return nil
	}
	if err != nil {
		return err
	}
	r.SelectedAccountID = account
	if account == "" {
		r.LoginHint = ""
	}
	return g.updateAuthRequest(ctx, token, r)
}

// ConsumeAuthRequest deletes a stored request, so that it is answered once. It returns ErrInvalid if another
// call has deleted it.
func (g *Grants) ConsumeAuthRequest(ctx context.Context, token string) error {
	err := g.Store.DeleteAuthorizationRequest(ctx, seal.HashToken(token))
	if errors.Is(err, store.ErrNotFound) {
		return ErrInvalid
	}
	return err
}

// HasConsent reports whether the person has allowed the client the whole scope of the request. With
// prompt=consent, and for clients that are not registered, only consent to this request counts.
func (g *Grants) HasConsent(ctx context.Context, who session.Session, r AuthRequest) (bool, error) {
	c, err := g.Store.GetConsent(ctx, who.Account.ID, r.ClientID)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	// An app that is not registered may run on the device of anybody (RFC 8252 8.6).
	if (slices.Contains(r.Prompt, "consent") || client.IsDocumentID(r.ClientID)) && r.AllowedBy != who.Account.ID {
		return false, nil
	}
	return consentCovers(c, r.Scope), err
}

// consentCovers reports whether a consent includes every value of scope.
func consentCovers(c store.Consent, scope []string) bool {
	allowed := strings.Fields(c.Scope)
	return !slices.ContainsFunc(scope, func(one string) bool { return !slices.Contains(allowed, one) })
}

// SaveConsent adds the scope of the stored request with this token to what the person has allowed the client, and
// records that they have allowed this request. It does nothing if the request was answered in the meantime.
func (g *Grants) SaveConsent(
	ctx context.Context, token string, who session.Session, r AuthRequest, from origin.Origin,
) error {
	r.AllowedBy = who.Account.ID
	body, err := r.encode()
	if err == nil {
		err = g.Store.Tx(ctx, func(tx *store.DB) error {
			if err := tx.UpdateAuthorizationRequest(ctx, seal.HashToken(token), body); err != nil {
				return err
			}
			return g.saveConsent(ctx, tx, who, r, from)
		})
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("grant: save consent: %w", err)
	}
	return nil
}

func (g *Grants) saveConsent(
	ctx context.Context, tx *store.DB, who session.Session, r AuthRequest, from origin.Origin,
) error {
	c, err := tx.GetConsent(ctx, who.Account.ID, r.ClientID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	scope := slices.Concat(strings.Fields(c.Scope), r.Scope)
	slices.Sort(scope)
	all := store.Consent{
		AccountID: who.Account.ID,
		ClientID:  r.ClientID,
		Scope:     strings.Join(slices.Compact(scope), " "),
		GrantedAt: g.Now(),
	}
	if err := tx.SaveConsent(ctx, all); err != nil {
		return err
	}
	e := clientEvent(audit.ConsentGiven, who, r.ClientID)
	e.Reason = all.Scope
	return g.Accounts.Event(ctx, tx, e, from)
}

// Decline records that the person refused consent.
func (g *Grants) Decline(ctx context.Context, who session.Session, clientID string, from origin.Origin) error {
	return g.Accounts.Failure(ctx, clientEvent(audit.ConsentDenied, who, clientID), from)
}

// Deny records that the person may not use the client. The reason is the error code sent to the client.
func (g *Grants) Deny(ctx context.Context, who session.Session, clientID, reason string, from origin.Origin) error {
	e := clientEvent(audit.AccessDenied, who, clientID)
	e.Reason = reason
	return g.Accounts.Failure(ctx, e, from)
}

// ReturnTarget tells the sign-in pages what a return_to address leads to.
type ReturnTarget struct {
	ClientID        string // of the app; "": none
	ClientName      string // for display
	Origin          string // of the final redirect, as CSPOrigin returns it; "" if it stays on this server
	NeedsFullSignIn bool   // require both steps, even in a trusted browser
	MinLevel        session.Level
	LoginHint       string // the email address to suggest
	UILocales       string
	RequestToken    string // of the stored authorization request; "" if there is none
	SubjectFixed    bool   // id_token_hint names the person: no other account is accepted
}

// ResolveReturnTarget describes a return_to address: one that resumes a stored request, or one with the origin
// of a client. It returns a zero ReturnTarget for every other address, and for the request of a browser that has none
// of the identifiers.
func (g *Grants) ResolveReturnTarget(ctx context.Context, returnTo string, browsers []string) (ReturnTarget, error) {
	query, ok := strings.CutPrefix(returnTo, ContinuePath+"?")
	if !ok {
		return g.returnTargetByOrigin(ctx, returnTo)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return ReturnTarget{}, nil
	}
	r, err := g.GetAuthRequest(ctx, values.Get("request"), browsers)
	if errors.Is(err, ErrInvalid) {
		return ReturnTarget{}, nil
	}
	if err != nil {
		return ReturnTarget{}, err
	}
	cl, err := g.Clients.Get(ctx, r.ClientID)
	if errors.Is(err, client.ErrNotFound) {
		return ReturnTarget{}, nil
	}
	return ReturnTarget{
		ClientID:        cl.ID,
		ClientName:      cl.DisplayName(),
		Origin:          client.CSPOrigin(r.RedirectURI),
		NeedsFullSignIn: r.needsFullSignIn(cl),
		MinLevel:        r.requiredLevel(cl),
		LoginHint:       r.LoginHint,
		UILocales:       r.UILocales,
		RequestToken:    values.Get("request"),
		SubjectFixed:    r.HintedSubject != "",
	}, err
}

// returnTargetByOrigin finds the client that has a redirect URI or a host with the origin of the address. An app of
// somebody else gets people only by its requests, which ask for consent.
func (g *Grants) returnTargetByOrigin(ctx context.Context, address string) (ReturnTarget, error) {
	if client.ValidateRedirectURI(address) != nil || !strings.HasPrefix(address, "http") {
		return ReturnTarget{}, nil
	}
	origin := client.CSPOrigin(address)
	clients, err := g.Clients.List(ctx)
	isRedirect := func(uri string) bool { return client.CSPOrigin(uri) == origin }
	isHost := func(host string) bool { return origin == "https://"+host || origin == "http://"+host }
	for _, cl := range clients {
		if cl.ThirdParty {
			continue
		}
		if slices.ContainsFunc(cl.RedirectURIs, isRedirect) || slices.ContainsFunc(cl.Hosts, isHost) {
			return ReturnTarget{ClientID: cl.ID, ClientName: cl.DisplayName(), Origin: origin}, nil
		}
	}
	return ReturnTarget{}, err
}
