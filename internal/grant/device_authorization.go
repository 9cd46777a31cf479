package grant

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
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

// The device authorization grant (RFC 8628): a device shows a user code, and a person enters it in a browser. That
// begins an authorization request, which has the steps of any other and always ends with consent.
//
//	StartDeviceAuthorization ─▶ EnterUserCode ─▶ NextStep ─▶ AllowDevice ─▶ PollDevice ─▶ Tokens

// Lifetimes and intervals of the device authorization grant.
const (
	DeviceCodeTTL      = 10 * time.Minute
	DevicePollInterval = 5 * time.Second // between two polls (RFC 8628 3.2)
	devicePollSlowDown = 5 * time.Second // added to the interval by each early poll (RFC 8628 3.5)
	// devicePollTolerance is how early a poll may be: the times on the network differ.
	devicePollTolerance = time.Second
)

// DeviceGrantType is the grant_type of a poll (RFC 8628 3.4).
const DeviceGrantType = "urn:ietf:params:oauth:grant-type:device_code"

// Errors of a poll (RFC 8628 3.5).
var (
	ErrAuthorizationPending = errors.New("grant: the person has not answered yet")
	ErrPollsEarly           = errors.New("grant: the device polls too early")
	ErrDeviceDenied         = errors.New("grant: the person has refused the device")
	ErrDeviceExpired        = errors.New("grant: the device code has expired")
)

// A request of a public client needs no authentication and uses space in the database, and each makes a guess at the
// user codes more likely to be right. So the requests of a network and of everybody are limited.
const deviceAuthorizationsPerNetworkHour = 300

// deviceAuthorizationBudget keeps a part for clients that have authenticated.
var deviceAuthorizationBudget = ratelimit.Shared{Kind: "device_authorizations", Window: time.Hour, Limit: 20_000}

// Each user code that a person enters counts, before it is compared. With all limits used up, one of 1,000 waiting
// codes is guessed with a probability of 1 in 2,560 an hour, by 500 accounts together (RFC 8628 5.1).
const (
	userCodesPerAccountHour = 20
	userCodesPerNetworkHour = 200
)

var userCodeBudget = ratelimit.Shared{Kind: "user_codes", Window: time.Hour, Limit: 10_000}

const (
	// userCodeAlphabet has no vowels, so that no code is a word (RFC 8628 6.1).
	userCodeAlphabet = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength   = 8 // 34.5 bits
)

// newUserCode returns a random user code without a dash.
func newUserCode() string {
	var code []byte
	for len(code) < userCodeLength {
		var b [1]byte
		rand.Read(b[:])       // never fails: it ends the program instead
		if b[0] < 256/20*20 { // so that each letter is equally likely
			code = append(code, userCodeAlphabet[b[0]%20])
		}
	}
	return string(code)
}

// FormatUserCode returns a user code as people read it: XXXX-XXXX.
func FormatUserCode(code string) string {
	return code[:userCodeLength/2] + "-" + code[userCodeLength/2:]
}

// parseUserCode returns the letters of a code that a person has entered. Case, and everything that is no letter, is
// ignored. It returns false if that cannot be a user code.
func parseUserCode(text string) (string, bool) {
	code := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		if 'A' <= r && r <= 'Z' {
			return r
		}
		return -1
	}, text)
	return code, len(code) == userCodeLength && strings.Trim(code, userCodeAlphabet) == ""
}

// DeviceCodes is what a device gets for its request.
type DeviceCodes struct {
	DeviceCode string // secret of the device
	UserCode   string // for the person: XXXX-XXXX
}

// StartDeviceAuthorization stores a request of a device for DeviceCodeTTL. It returns an error that is
// ratelimit.ErrLimited if the network of from, or everybody, has stored too many.
func (g *Grants) StartDeviceAuthorization(
	ctx context.Context, cl client.Client, scope []string, from origin.Origin,
) (codes DeviceCodes, err error) {
	var quotas []ratelimit.Quota
	who := ratelimit.Proven
	if cl.IsPublic() {
		who = ratelimit.Stranger
		quotas = ratelimit.PerNetwork("device_authorizations_network", from.Networks(), time.Hour,
			deviceAuthorizationsPerNetworkHour)
	}
	err = g.Limits.Spend(ctx, g.Store, append(quotas, deviceAuthorizationBudget.For(who, "", 1)...)...)
	if errors.Is(err, ratelimit.ErrLimited) {
		return codes, g.Accounts.Refused(ctx, err, audit.Event{Client: cl.ID, Reason: "device authorizations"}, from)
	}
	if err != nil {
		return codes, err
	}
	now := g.Now()
	for range 3 { // another request may have the user code
		codes = DeviceCodes{DeviceCode: seal.NewToken(), UserCode: newUserCode()}
		err = g.Store.CreateDeviceAuthorization(ctx, store.DeviceAuthorization{
			ID:        seal.HashToken(codes.DeviceCode),
			UserCode:  codes.UserCode,
			ClientID:  cl.ID,
			Scope:     strings.Join(scope, " "),
			Address:   from.AddressString(),
			State:     store.DevicePending,
			Interval:  DevicePollInterval,
			CreatedAt: now,
			ExpiresAt: now.Add(DeviceCodeTTL),
		})
		if !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	if err != nil {
		return DeviceCodes{}, fmt.Errorf("grant: start device authorization: %w", err)
	}
	codes.UserCode = FormatUserCode(codes.UserCode)
	return codes, nil
}

// EnterUserCode stores an authorization request for the device that shows this user code and returns the token that
// finds it. Only a signed-in person may enter one. It returns ErrInvalid if no waiting request has the code, and an
// error that is ratelimit.ErrLimited if the account, its network or everybody has entered too many.
func (g *Grants) EnterUserCode(
	ctx context.Context, who session.Session, text string, from origin.Origin,
) (token string, err error) {
	code, ok := parseUserCode(text)
	if !ok {
		return "", ErrInvalid
	}
	if err := g.chargeUserCode(ctx, who, from); err != nil {
		return "", err
	}
	row, err := g.Store.FindDeviceAuthorization(ctx, code, g.Now())
	if errors.Is(err, store.ErrNotFound) {
		e := audit.Event{Kind: audit.UserCodeRejected, Account: who.Account.ID}
		if err := g.Accounts.Failure(ctx, e, from); err != nil {
			return "", err
		}
		return "", ErrInvalid
	}
	if err != nil {
		return "", fmt.Errorf("grant: enter user code: %w", err)
	}
	return g.SaveAuthRequest(ctx, AuthRequest{
		ClientID:            row.ClientID,
		Scope:               strings.Fields(row.Scope),
		RequestedAt:         g.Now(),
		DeviceAuthorization: row.ID,
	}, from)
}

// chargeUserCode counts a user code before it is compared.
func (g *Grants) chargeUserCode(ctx context.Context, who session.Session, from origin.Origin) error {
	by, err := g.standing(ctx, from)
	if err != nil {
		return err
	}
	err = g.Limits.Spend(ctx, g.Store, slices.Concat(
		[]ratelimit.Quota{ratelimit.PerHour("user_codes_account", who.Account.ID, userCodesPerAccountHour)},
		ratelimit.PerNetwork("user_codes_network", from.Networks(), time.Hour, userCodesPerNetworkHour),
		userCodeBudget.For(by, "", 1))...)
	if errors.Is(err, ratelimit.ErrLimited) {
		return g.Accounts.Refused(ctx, err, audit.Event{Account: who.Account.ID, Reason: "codes of devices"}, from)
	}
	return err
}

// WaitingDevice is a device whose request waits for an answer.
type WaitingDevice struct {
	UserCode string // as the device shows it
	Address  string // of the device; "": unknown
	AskedAt  time.Time
}

// GetWaitingDevice returns the device of a request. It returns ErrInvalid if the request is not one of a device, has
// expired or was answered.
func (g *Grants) GetWaitingDevice(ctx context.Context, r AuthRequest) (WaitingDevice, error) {
	row, err := g.Store.GetDeviceAuthorization(ctx, r.DeviceAuthorization, g.Now())
	if errors.Is(err, store.ErrNotFound) {
		return WaitingDevice{}, ErrInvalid
	}
	if err != nil {
		return WaitingDevice{}, fmt.Errorf("grant: get waiting device: %w", err)
	}
	return WaitingDevice{FormatUserCode(row.UserCode), row.Address, row.CreatedAt}, nil
}

// AllowDevice creates a grant of the person of the session for the device of a request; the next poll of the device
// gets its tokens. Call it only if NextStep returns StepConsent. It returns ErrInvalid if the request has expired or
// was answered, and client.ErrNotFound if the client was removed.
func (g *Grants) AllowDevice(ctx context.Context, r AuthRequest, who session.Session, from origin.Origin) error {
	cl, err := g.Clients.Get(ctx, r.ClientID)
	if err != nil {
		return err
	}
	row, err := g.newGrantRow(r, cl, who, codeBinding{RedirectURI: DeviceGrantType})
	if err != nil {
		return err
	}
	row.CodeHash = seal.HashToken(deviceGrantCode(r.DeviceAuthorization))
	row.CodeExpiresAt = row.CreatedAt.Add(DeviceCodeTTL) // the device authorization expires before
	return g.answerDevice(ctx, r, store.DeviceAllowed, func(tx *store.DB) error {
		if cl.ThirdParty {
			if err := g.saveConsent(ctx, tx, who, r, from); err != nil {
				return err
			}
		}
		if err := tx.CreateGrant(ctx, row); err != nil {
			return err
		}
		e := grantEvent(audit.GrantCreated, row)
		e.Reason = audit.OtherDevice
		return g.Accounts.Event(ctx, tx, e, from)
	})
}

// DenyDevice refuses the device of a request. It returns ErrInvalid if the request has expired or was answered.
func (g *Grants) DenyDevice(ctx context.Context, r AuthRequest, who session.Session, from origin.Origin) error {
	return g.answerDevice(ctx, r, store.DeviceDenied, func(tx *store.DB) error {
		e := clientEvent(audit.ConsentDenied, who, r.ClientID)
		e.Result, e.Reason = audit.Failure, audit.OtherDevice
		return g.Accounts.Event(ctx, tx, e, from)
	})
}

// answerDevice records an answer, once, and calls then in the same transaction.
func (g *Grants) answerDevice(ctx context.Context, r AuthRequest, state string, then func(*store.DB) error) error {
	err := g.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.AnswerDeviceAuthorization(ctx, r.DeviceAuthorization, state, g.Now()); err != nil {
			return err
		}
		return then(tx)
	})
	if errors.Is(err, store.ErrNotFound) {
		return ErrInvalid
	}
	if err != nil {
		return fmt.Errorf("grant: answer device: %w", err)
	}
	return nil
}

// deviceGrantCode is what the grant of a device authorization has as its authorization code.
func deviceGrantCode(id []byte) string { return "device " + hex.EncodeToString(id) }

// PollDevice exchanges a device code for tokens, once (RFC 8628 3.4). It returns ErrAuthorizationPending,
// ErrPollsEarly, ErrDeviceDenied or ErrDeviceExpired, and ErrInvalid if the code is unknown, used or of another client,
// or what the person allowed has ended.
func (g *Grants) PollDevice(
	ctx context.Context, cl client.Client, code string, from origin.Origin,
) (grant Grant, t Tokens, err error) {
	id, now := seal.HashToken(code), g.Now()
	row, err := g.Store.PollDeviceAuthorization(ctx, id, cl.ID, now, devicePollTolerance, devicePollSlowDown)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return grant, t, ErrInvalid
	case err != nil:
		return grant, t, fmt.Errorf("grant: poll device: %w", err)
	case row.ExpiresAt.Before(now):
		return grant, t, ErrDeviceExpired
	case row.PollsEarly:
		return grant, t, ErrPollsEarly
	case row.State == store.DevicePending:
		return grant, t, ErrAuthorizationPending
	case row.State == store.DeviceDenied:
		return grant, t, ErrDeviceDenied
	}
	exchange := CodeExchange{From: from, Client: cl, Code: deviceGrantCode(id), RedirectURI: DeviceGrantType}
	grant, err = g.consumeCodeInTx(ctx, exchange, func(tx *store.DB, grant Grant) (err error) {
		if t, err = g.issueTokens(ctx, tx, cl, grant); err != nil {
			return err
		}
		return tx.DeleteDeviceAuthorization(ctx, id)
	})
	return grant, t, err
}
