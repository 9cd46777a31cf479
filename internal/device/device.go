// Package device stores the devices (browsers) of accounts and uses package trust to decide whether the second step is
// required in one.
//
//	cookie -> FindDevice -> Decide -> UseTrust (the second step is skipped)
//	                              or  both steps -> RegisterDevice -> AddTrustedNetwork (if trust was requested)
//
// The cookie of a device holds a secret that is replaced with every use. The package creates no sessions and sends no
// codes.
package device

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/policy"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Devices is the device service.
type Devices struct {
	Store    *store.DB
	Keys     *seal.KeyRing
	Now      func() time.Time
	Log      *slog.Logger
	Accounts *account.Accounts // for events and notifications
	// Policy is how networks and browsers are compared, and the longest time of trust.
	Policy trust.Policy
	// Rules say how long a person's devices are trusted, and by which methods. nil: as Policy says, by all.
	Rules *policy.Rules
	// Observe is called with the reason of each decision about a sign-in. nil: nothing is.
	Observe func(trust.Reason)
}

// raceWindow is how long the tabs of one browser may race. For this time after a successor was issued, the current
// secret gets the same one, and it is not replaced. For this time after it was replaced, it is still accepted. Browsers
// store cookies on disk with a delay of half a minute and can crash before.
const raceWindow = time.Minute

// longestRace is how long the current secret gets the same successor at most. Otherwise a thief who presents it once a
// minute would keep it valid, and would not be noticed.
const longestRace = 5 * time.Minute

// RequestDevice is the device of a request, as an account knows it.
type RequestDevice struct {
	store.DeviceView                // ID is "" if the device is not known
	RevokeReason     trust.Reason   // "" while its cookie is accepted
	TokenReused      bool           // the cookie was copied, and the account holders have not been notified
	deviceToken      string         // the cookie
	secretHash       []byte         // hash of the secret in the cookie
	records          []trust.Record // one for each of TrustedNetworks
}

// FindDevice finds the device of a request by its cookie, in one statement. It returns the zero RequestDevice if the
// cookie is malformed or belongs to no device.
func (d *Devices) FindDevice(ctx context.Context, a store.AccountRef, from origin.Origin) (RequestDevice, error) {
	series, secret, ok := seal.SplitDeviceToken(from.DeviceToken)
	if !ok {
		return RequestDevice{}, nil
	}
	view, err := d.Store.FindDeviceView(ctx, seal.HashToken(series), a.ID, d.Now())
	if errors.Is(err, store.ErrNotFound) {
		return RequestDevice{}, nil
	}
	if err != nil {
		return RequestDevice{}, fmt.Errorf("device: find: %w", err)
	}
	b := RequestDevice{DeviceView: view, RevokeReason: trust.Reason(view.RevokeReason), deviceToken: from.DeviceToken,
		secretHash: seal.HashToken(secret)}
	if b.RevokeReason == "" && !d.acceptsSecret(b) {
		b.RevokeReason, b.TokenReused = trust.RevokedTokenReuse, true
	}
	if b.RevokeReason != "" {
		return b, nil
	}
	for _, n := range view.TrustedNetworks {
		b.records = append(b.records, d.openRecord(n, a))
	}
	b.TokenReused = trust.IsLikelyCopy(b.records, from.TrustRequest(), d.Policy)
	return b, nil
}

// FindKnownDevice returns the id of the device of a request if the account of this email address knows it, and ""
// otherwise. It runs one statement, whether or not there is such an account.
func (d *Devices) FindKnownDevice(ctx context.Context, email string, from origin.Origin) (string, error) {
	address, err := account.ParseEmail(email)
	if err != nil {
		return "", nil
	}
	return d.findAccepted(from, func(series []byte) (store.Device, error) {
		return d.Store.FindKnownDevice(ctx, series, address, d.Now())
	})
}

// IsKnown reports whether some account has completed both steps in the browser of a request.
func (d *Devices) IsKnown(ctx context.Context, from origin.Origin) (bool, error) {
	id, err := d.findAccepted(from, func(series []byte) (store.Device, error) {
		return d.Store.FindDeviceOfAny(ctx, series, d.Now())
	})
	return id != "", err
}

// findAccepted returns the id of the device that find returns for the series of the cookie, or "" if there is none or
// its secret is not accepted.
func (d *Devices) findAccepted(from origin.Origin, find func(series []byte) (store.Device, error)) (string, error) {
	series, secret, ok := seal.SplitDeviceToken(from.DeviceToken)
	if !ok {
		return "", nil
	}
	row, err := find(seal.HashToken(series))
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("device: find known device: %w", err)
	}
	b := RequestDevice{DeviceView: store.DeviceView{Device: row}, secretHash: seal.HashToken(secret)}
	if row.RevokeReason != "" || !d.acceptsSecret(b) {
		return "", nil
	}
	return row.ID, nil
}

// KnownID returns the id of the device if the account has completed both steps in it, and "" otherwise.
func (b RequestDevice) KnownID() string {
	if b.AuthenticatedAt.IsZero() || b.RevokeReason != "" {
		return ""
	}
	return b.ID
}

// acceptsSecret reports whether the secret in the cookie is accepted: the current one, the next one or, for
// raceWindow, the previous one.
func (d *Devices) acceptsSecret(b RequestDevice) bool {
	late := b.PreviousReplacedAt.Add(raceWindow)
	return seal.EqualTokenHash(b.secretHash, b.Secret) || seal.EqualTokenHash(b.secretHash, b.NextSecret) ||
		seal.EqualTokenHash(b.secretHash, b.PreviousSecret) && !d.Now().After(late)
}

// sealedRecord is the sealed body of a trusted network.
type sealedRecord struct {
	Network                trust.ClientNetwork
	UserAgent, ClientHints string
	TTL                    time.Duration `json:",omitempty"`
	Method                 string        `json:",omitempty"`
}

// openRecord returns a trusted network as input of the trust decision. A record that cannot be decrypted, or has
// another epoch than the account, is returned as revoked.
func (d *Devices) openRecord(n store.TrustedNetwork, a store.AccountRef) trust.Record {
	r := trust.Record{ID: n.ID, VerifiedAt: n.VerifiedAt, RevokeReason: trust.Reason(n.RevokeReason)}
	if r.RevokeReason == "" && n.Epoch != a.Epoch {
		r.RevokeReason = trust.RevokedEpochChanged
	}
	var sealed sealedRecord
	body, err := d.Keys.Open(networkBoundTo(n), n.Body)
	if err == nil {
		err = json.Unmarshal(body, &sealed)
	}
	if err != nil {
		d.Log.Error("trusted network cannot be decrypted", "trusted_network", n.ID, "error", err)
		r.RevokeReason = trust.RevokedEpochChanged
	}
	r.Network, r.Browser = sealed.Network, trust.ParseBrowser(sealed.UserAgent, sealed.ClientHints)
	r.TTL, r.Method = sealed.TTL, sealed.Method
	return r
}

// networkBoundTo returns the context to which the body of a trusted network is bound: it cannot be decrypted for
// another device or account.
func networkBoundTo(n store.TrustedNetwork) string {
	return "place " + n.ID + " " + n.DeviceID + " " + n.AccountID
}

func (d *Devices) sealRecord(r trust.Record, device string, a store.AccountRef) (store.TrustedNetwork, error) {
	n := store.TrustedNetwork{ID: r.ID, DeviceID: device, AccountID: a.ID, Epoch: a.Epoch, VerifiedAt: r.VerifiedAt}
	body, err := json.Marshal(sealedRecord{r.Network, r.Browser.UserAgent, r.Browser.ClientHints, r.TTL, r.Method})
	if err != nil {
		return n, fmt.Errorf("device: trusted network: %w", err)
	}
	n.Body = d.Keys.Seal(networkBoundTo(n), body)
	return n, nil
}

// RegisterDevice makes the device of a request known to the account, in the transaction in which both steps are
// completed. It creates the device if there is none or it was revoked. It returns the id of the device and the new
// cookie, which is "" if the browser keeps the one it has.
func (d *Devices) RegisterDevice(ctx context.Context, tx *store.DB, a store.AccountRef,
	b RequestDevice) (device, token string, err error) {
	now := d.Now()
	err = store.ErrNotFound
	if b.ID != "" && b.RevokeReason == "" {
		device = b.ID
		token, err = d.rotateSecret(ctx, tx, b, now.Add(trust.KnownDeviceTTL))
	}
	if errors.Is(err, store.ErrNotFound) { // not known, or revoked
		device, token = rand.Text(), seal.NewDeviceToken()
		series, secret, _ := seal.SplitDeviceToken(token)
		err = tx.CreateDevice(ctx, store.Device{ID: device, Series: seal.HashToken(series),
			Secret: seal.HashToken(secret), ExpiresAt: now.Add(trust.KnownDeviceTTL)})
	}
	if err != nil {
		return "", "", err
	}
	if err := tx.SaveKnownDevice(ctx, device, a.ID, now); err != nil {
		return "", "", err
	}
	return device, token, tx.PruneKnownDevices(ctx, a.ID, trust.MaxKnownDevices)
}

// rotateSecret issues a random successor of the secret of a device and returns the new cookie, "" if the browser keeps
// the one it has. The current secret stays valid until the browser sends the successor, so that a lost response does no
// harm. Only the newest successor is accepted: if two browsers have the current secret, each gets a successor of its
// own, and only one of them can go on. The other one shows that the cookie was copied, and so does a replaced secret.
// It returns store.ErrNotFound if the device was revoked.
func (d *Devices) rotateSecret(ctx context.Context, tx *store.DB, b RequestDevice,
	ends time.Time) (token string, err error) {
	now := d.Now()
	rotated := b.Device
	rotated.ExpiresAt = ends
	racing := now.Sub(rotated.NextIssuedAt) <= raceWindow
	salt := newSalt(now)
	switch {
	case seal.EqualTokenHash(b.secretHash, rotated.Secret):
		_, hash := d.successor(b, rotated.NextSalt)
		fresh := now.Sub(drawnAt(rotated.NextSalt)) <= longestRace
		if racing && fresh && seal.EqualTokenHash(hash, rotated.NextSecret) {
			salt = rotated.NextSalt
		}
	case seal.EqualTokenHash(b.secretHash, rotated.NextSecret) && !racing:
		rotated.PreviousSecret, rotated.PreviousReplacedAt, rotated.Secret = rotated.Secret, now, rotated.NextSecret
	default:
		return "", tx.ExtendDevice(ctx, b.ID, rotated.ExpiresAt)
	}
	rotated.NextSalt, rotated.NextIssuedAt = salt, now
	token, rotated.NextSecret = d.successor(b, salt)
	err = tx.RotateDeviceSecrets(ctx, b.Device, rotated)
	if errors.Is(err, store.ErrNotFound) { // another tab was faster, or it was revoked
		return "", tx.ExtendDevice(ctx, b.ID, rotated.ExpiresAt)
	}
	return token, err
}

// successor returns the next cookie of a browser for a salt, and the hash of its secret.
func (d *Devices) successor(b RequestDevice, salt []byte) (token string, hash []byte) {
	token = d.Keys.NextDeviceToken(b.deviceToken, salt)
	_, secret, _ := seal.SplitDeviceToken(token)
	return token, seal.HashToken(secret)
}

// newSalt returns a random salt that is drawn now.
func newSalt(now time.Time) []byte {
	return binary.BigEndian.AppendUint64([]byte(rand.Text()), uint64(now.UnixMilli()))
}

// drawnAt returns when a salt was drawn; the zero time if there is none.
func drawnAt(salt []byte) time.Time {
	if len(salt) < 8 {
		return time.Time{}
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(salt[len(salt)-8:])))
}

// VerifiedSignIn is a sign-in in which both steps were completed.
type VerifiedSignIn struct {
	Account store.Account
	SignIn  string // id of the attempt
	Device  string // id
	// NewDevice says that RegisterDevice has just created the device, so that it has no networks yet.
	NewDevice bool
	Network   trust.ClientNetwork // its addresses of both families (IPv4 and IPv6)
	Method    string              // by which the second step was completed
	TTL       time.Duration       // how long the person was told that the device is trusted
}

// AddTrustedNetwork makes the device trusted on the network of a sign-in. Call it after RegisterDevice in the same
// transaction. It notifies the account holder if the device was not trusted on this network before.
func (d *Devices) AddTrustedNetwork(ctx context.Context, tx *store.DB, signIn VerifiedSignIn,
	from origin.Origin) error {
	fresh := trust.Record{
		ID: rand.Text(), Browser: from.TrustRequest().Browser, VerifiedAt: d.Now(), TTL: signIn.TTL, Method: signIn.Method,
	}
	if d.Policy.Network != trust.NetworkIgnored {
		fresh.Network = signIn.Network
	}
	var before []trust.Record
	if !signIn.NewDevice {
		rows, err := tx.ListDeviceNetworks(ctx, signIn.Device, signIn.Account.ID)
		if err != nil {
			return err
		}
		for _, n := range rows {
			before = append(before, d.openRecord(n, signIn.Account.Ref()))
		}
	}
	if err := d.replaceRecords(ctx, tx, signIn, before, trust.AddRecord(before, fresh)); err != nil {
		return err
	}
	if err := tx.PruneTrustedDevices(ctx, signIn.Account.ID, trust.MaxTrustedDevices); err != nil {
		return err
	}
	sameNetwork := func(r trust.Record) bool {
		return r.RevokeReason == "" &&
			(d.Policy.Network == trust.NetworkIgnored || r.Network.Contains(from.Address, d.Policy.Network))
	}
	if slices.ContainsFunc(before, sameNetwork) {
		e := audit.Event{Kind: audit.DeviceTrusted, Account: signIn.Account.ID, SignIn: signIn.SignIn,
			Target: audit.Target("device", signIn.Device), Reason: "again"}
		return d.Accounts.Event(ctx, tx, e, from)
	}
	label := i18n.ForTag(from.Language).TranslateTime("trust.label", signIn.TTL)
	e := audit.Event{Kind: audit.DeviceTrusted, SignIn: signIn.SignIn, Target: audit.Target("device", signIn.Device)}
	n := account.Notification{Event: e, Template: "trusted", Account: signIn.Account, Detail: label}
	return d.Accounts.NotifyOwner(ctx, tx, n, from)
}

// replaceRecords stores the changes from before to after. It does not write unchanged records, so that one that was
// revoked meanwhile stays revoked.
func (d *Devices) replaceRecords(ctx context.Context, tx *store.DB, signIn VerifiedSignIn,
	before, after []trust.Record) error {
	same := func(r trust.Record) func(trust.Record) bool {
		return func(other trust.Record) bool { return other.ID == r.ID }
	}
	for _, r := range before {
		if slices.ContainsFunc(after, same(r)) {
			continue
		}
		if err := tx.DeleteTrustedNetwork(ctx, r.ID); err != nil {
			return err
		}
	}
	for _, r := range after {
		row, err := d.sealRecord(r, signIn.Device, signIn.Account.Ref())
		if err != nil {
			return err
		}
		save := tx.CreateTrustedNetwork
		if i := slices.IndexFunc(before, same(r)); i >= 0 {
			if before[i].Network == r.Network {
				continue
			}
			save = tx.UpdateTrustedNetwork
		}
		if err := save(ctx, row); err != nil {
			return err
		}
	}
	return nil
}

// UseTrust records that trust in a device skipped the second step, and issues the next secret of the device, in the
// transaction that creates the session. It returns store.ErrNotFound if the trust was revoked meanwhile.
func (d *Devices) UseTrust(ctx context.Context, tx *store.DB, a store.AccountRef, b RequestDevice,
	decision DecisionRecord) (token string, err error) {
	old, _ := decision.NearestRecord()
	old.Browser = decision.Request.Browser // the same or a newer version: an older one is not accepted any more
	row, err := d.sealRecord(old, b.ID, a)
	if err != nil {
		return "", err
	}
	if err := tx.UseTrustedNetwork(ctx, row, decision.At); err != nil {
		return "", err
	}
	if token, err = d.rotateSecret(ctx, tx, b, b.ExpiresAt); err != nil {
		return "", err
	}
	return token, d.RecordDecision(ctx, tx, a, decision)
}

// RevokeCopiedDevice revokes a device whose cookie was copied, for all accounts, ends the sessions that began in it,
// and notifies the account holders once.
func (d *Devices) RevokeCopiedDevice(ctx context.Context, b RequestDevice, from origin.Origin) error {
	err := d.Store.Tx(ctx, func(tx *store.DB) error {
		owners, err := tx.ListDeviceAccounts(ctx, b.ID)
		if err != nil {
			return err
		}
		if err := tx.RevokeDevice(ctx, b.ID, string(trust.RevokedTokenReuse), d.Now()); err != nil {
			return err
		}
		for _, a := range owners {
			e := audit.Event{
				Kind: audit.DeviceSecretReused, Result: audit.Failure, Actor: audit.Anonymous(),
				Target: audit.Target("device", b.ID),
			}
			n := account.Notification{Event: e, Template: "stolen", Account: a}
			if err := d.Accounts.NotifyOwner(ctx, tx, n, from); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil // another request has revoked it
	}
	if err != nil {
		return fmt.Errorf("device: revoke copied device: %w", err)
	}
	d.Accounts.NotifyOutbox()
	return nil
}

// Limits returns what holds for a person with these groups in an app; "": in no app.
func (d *Devices) Limits(groups []string, app string) policy.Limits { return d.Rules.For(groups, app) }

// TrustTime returns how long devices are trusted under these limits; 0: they are not.
func (d *Devices) TrustTime(l policy.Limits) time.Duration { return d.policy(l).TTL }

// policy returns the trust settings of a sign-in under these limits.
func (d *Devices) policy(l policy.Limits) trust.Policy {
	p := d.Policy
	p.TTL, p.Methods = min(p.TTL, l.TrustTime()), l.Methods.Names
	return p
}
