// Package device stores the browsers of an account, and decides by trust whether one is asked for the
// second step.
//
//	cookie ─▶ Recognise ─▶ Decide ─▶ Use (step two is skipped)
//	                              └▶ … both steps … ─▶ Meet ─▶ Trust, if the person wants it
//
// A browser shows a secret that changes with every use. The package opens no session and
// sends no code.
package device

import (
	"context"
	"crypto/rand"
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
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Devices are the browsers of all accounts.
type Devices struct {
	Store    *store.DB
	Keys     *seal.KeyRing
	Now      func() time.Time
	Log      *slog.Logger
	Accounts *account.Accounts // whose owners are notified
	Policy   trust.Policy
}

// previousSecretTTL is for how long two secrets of a browser are good at once: tabs that sign in at
// the same time show the same one, and an answer may get lost on its way.
const previousSecretTTL = time.Minute

// RequestDevice is the browser of a request, as an account knows it.
type RequestDevice struct {
	store.DeviceView                // ID "": it is not known
	RevokeReason     trust.Reason   // why its cookie counts no more; "": it does
	TokenReused      bool           // there is a copy of the cookie, and nobody has been told
	deviceToken      string         // the cookie
	secretHash       []byte         // hash of the secret in it
	records          []trust.Record // of the account, as the places
}

// FindDevice finds the browser of a request by its cookie. One that is forged, cut short or
// of nobody is none. It is one read.
func (d *Devices) FindDevice(ctx context.Context, a store.AccountRef, from origin.Origin) (RequestDevice, error) {
	series, secret, ok := seal.SplitDeviceToken(from.DeviceToken)
	if !ok {
		return RequestDevice{}, nil
	}
	seen, err := d.Store.FindDeviceView(ctx, seal.HashToken(series), a.ID, d.Now())
	if errors.Is(err, store.ErrNotFound) {
		return RequestDevice{}, nil
	}
	if err != nil {
		return RequestDevice{}, fmt.Errorf("device: device: %w", err)
	}
	b := RequestDevice{DeviceView: seen, RevokeReason: trust.Reason(seen.RevokeReason), deviceToken: from.DeviceToken,
		secretHash: seal.HashToken(secret)}
	if b.RevokeReason == "" && !d.acceptsSecret(b) {
		b.RevokeReason, b.TokenReused = trust.RevokedTokenReuse, true
	}
	if b.RevokeReason != "" {
		return b, nil
	}
	for _, p := range seen.TrustedNetworks {
		b.records = append(b.records, d.openRecord(p, a))
	}
	b.TokenReused = trust.IsLikelyCopy(b.records, from.TrustRequest(), d.Policy)
	return b, nil
}

// FindKnownDevice is the id of the browser of a request if the account of this address knows it; ""
// if not. It is one read, whether or not there is such an account.
func (d *Devices) FindKnownDevice(ctx context.Context, email string, from origin.Origin) (string, error) {
	series, secret, ok := seal.SplitDeviceToken(from.DeviceToken)
	address, err := account.ParseEmail(email)
	if !ok || err != nil {
		return "", nil
	}
	row, err := d.Store.FindKnownDevice(ctx, seal.HashToken(series), address, d.Now())
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("device: known: %w", err)
	}
	if b := (RequestDevice{DeviceView: store.DeviceView{Device: row},
		secretHash: seal.HashToken(secret)}); row.RevokeReason != "" || !d.acceptsSecret(b) {
		return "", nil
	}
	return row.ID, nil
}

// KnownID is the id of the browser if the account has taken both steps in it; "" if not.
func (b RequestDevice) KnownID() string {
	if b.AuthenticatedAt.IsZero() || b.RevokeReason != "" {
		return ""
	}
	return b.ID
}

// acceptsSecret reports whether a browser shows a secret that is good: the one that counts, its
// successor, or for a moment its predecessor.
func (d *Devices) acceptsSecret(b RequestDevice) bool {
	late := b.PreviousReplacedAt.Add(previousSecretTTL)
	return seal.EqualTokenHash(b.secretHash, b.Secret) || seal.EqualTokenHash(b.secretHash,
		b.NextSecret) || seal.EqualTokenHash(b.secretHash, b.PreviousSecret) && !d.Now().After(late)
}

// sealedRecord is what the sealed body of a place holds.
type sealedRecord struct {
	Network                trust.ClientNetwork
	UserAgent, ClientHints string
}

// openRecord is a place as the trust decision looks at it. One that does not open is as good
// as none, and one of another epoch has ended whether or not anybody wrote it down.
func (d *Devices) openRecord(p store.TrustedNetwork, a store.AccountRef) trust.Record {
	r := trust.Record{ID: p.ID, VerifiedAt: p.VerifiedAt, RevokeReason: trust.Reason(p.RevokeReason)}
	if r.RevokeReason == "" && p.Epoch != a.Epoch {
		r.RevokeReason = trust.RevokedEpochChanged
	}
	var k sealedRecord
	body, err := d.Keys.Open(networkBoundTo(p), p.Body)
	if err == nil {
		err = json.Unmarshal(body, &k)
	}
	if err != nil {
		d.Log.Error("place does not open", "place", p.ID, "error", err)
		r.RevokeReason = trust.RevokedEpochChanged
	}
	r.Network, r.Browser = k.Network, trust.ParseBrowser(k.UserAgent, k.ClientHints)
	return r
}

// networkBoundTo is where the body of a place is sealed for: it opens for no other browser and
// account.
func networkBoundTo(p store.TrustedNetwork) string {
	return "place " + p.ID + " " + p.DeviceID + " " + p.AccountID
}

func (d *Devices) sealRecord(r trust.Record, device string, a store.AccountRef) (store.TrustedNetwork, error) {
	p := store.TrustedNetwork{ID: r.ID, DeviceID: device, AccountID: a.ID, Epoch: a.Epoch, VerifiedAt: r.VerifiedAt}
	body, err := json.Marshal(sealedRecord{r.Network, r.Browser.UserAgent, r.Browser.ClientHints})
	if err != nil {
		return p, fmt.Errorf("device: place: %w", err)
	}
	p.Body = d.Keys.Seal(networkBoundTo(p), body)
	return p, nil
}

// RegisterDevice makes the browser of a request known as the account's, in the transaction of a
// proof of both steps, and gives it the next secret. The token is "" if it keeps the one
// it has.
func (d *Devices) RegisterDevice(ctx context.Context, tx *store.DB, a store.AccountRef,
	b RequestDevice) (device, token string, err error) {
	now := d.Now()
	err = store.ErrNotFound
	if b.ID != "" && b.RevokeReason == "" {
		device = b.ID
		token, err = d.rotateSecret(ctx, tx, b, now.Add(trust.KnownDeviceTTL))
	}
	if errors.Is(err, store.ErrNotFound) { // it is not known, or has ended
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

// rotateSecret gives the browser the next secret. The one it has stays good until it shows the new
// one, so that an answer that gets lost does no harm; whoever shows it after that has a
// copy. A browser writes its cookies down a while after it gets them: a new secret takes
// over once that has passed. store.ErrNotFound: the device has ended.
func (d *Devices) rotateSecret(ctx context.Context, tx *store.DB, b RequestDevice,
	ends time.Time) (token string, err error) {
	now := d.Now()
	rotated := b.Device
	rotated.ExpiresAt = ends
	switch {
	case seal.EqualTokenHash(b.secretHash, rotated.Secret):
	case seal.EqualTokenHash(b.secretHash, rotated.NextSecret) && now.Sub(rotated.NextIssuedAt) > previousSecretTTL:
		rotated.PreviousSecret, rotated.PreviousReplacedAt, rotated.Secret = rotated.Secret, now, rotated.NextSecret
	default:
		return "", tx.ExtendDevice(ctx, b.ID, rotated.ExpiresAt)
	}
	token = d.Keys.NextDeviceToken(b.deviceToken)
	_, secret, _ := seal.SplitDeviceToken(token)
	rotated.NextSecret, rotated.NextIssuedAt = seal.HashToken(secret), now
	err = tx.RotateDeviceSecrets(ctx, b.Device, rotated)
	if errors.Is(err, store.ErrNotFound) { // another tab was faster, or it has ended
		return "", tx.ExtendDevice(ctx, b.ID, rotated.ExpiresAt)
	}
	return token, err
}

// VerifiedSignIn is a sign-in in which both steps were taken.
type VerifiedSignIn struct {
	Account store.Account
	SignIn  string
	Device  string
	// NewDevice says that Meet has just created the device, so that it has no networks yet.
	NewDevice bool
	Network   trust.ClientNetwork // where it was seen, by either family of addresses
}

// AddTrustedNetwork adds the place of a sign-in to those from which the browser is trusted, after
// Meet in its transaction, and tells the owner if it is a new one.
func (d *Devices) AddTrustedNetwork(ctx context.Context, tx *store.DB, v VerifiedSignIn, from origin.Origin) error {
	fresh := trust.Record{ID: rand.Text(), Browser: from.TrustRequest().Browser, VerifiedAt: d.Now()}
	if d.Policy.Network != trust.NetworkIgnored {
		fresh.Network = v.Network
	}
	var before []trust.Record
	if !v.NewDevice {
		rows, err := tx.ListDeviceNetworks(ctx, v.Device, v.Account.ID)
		if err != nil {
			return err
		}
		for _, p := range rows {
			before = append(before, d.openRecord(p, v.Account.Ref()))
		}
	}
	if err := d.replaceRecords(ctx, tx, v, before, trust.AddRecord(before, fresh)); err != nil {
		return err
	}
	if err := tx.PruneTrustedDevices(ctx, v.Account.ID, trust.MaxTrustedDevices); err != nil {
		return err
	}
	again := func(r trust.Record) bool {
		return r.RevokeReason == "" && (d.Policy.Network == trust.NetworkIgnored || r.Network.Contains(from.Address,
			d.Policy.Network))
	}
	if slices.ContainsFunc(before, again) {
		e := audit.Event{Kind: audit.DeviceTrusted, Account: v.Account.ID, SignIn: v.SignIn,
			Target: audit.Target("device", v.Device), Reason: "again"}
		return d.Accounts.Event(ctx, tx, e, from)
	}
	label := i18n.ForTag(from.Language).Translate("trust.label", "Count", d.TrustDays())
	return d.Accounts.NotifyOwner(ctx, tx, account.Notification{Event: audit.Event{Kind: audit.DeviceTrusted,
		SignIn: v.SignIn, Target: audit.Target("device", v.Device)}, Template: "trusted", Account: v.Account,
		Detail: label}, from)
}

// replaceRecords replaces records by others. It writes none back: one that has ended meanwhile
// stays ended.
func (d *Devices) replaceRecords(ctx context.Context, tx *store.DB, v VerifiedSignIn,
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
		row, err := d.sealRecord(r, v.Device, v.Account.Ref())
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

// UseTrust notes that trust in a browser skipped step two, and gives it its next secret, in the
// transaction of the session. store.ErrNotFound: it ended this very moment.
func (d *Devices) UseTrust(ctx context.Context, tx *store.DB, a store.AccountRef, b RequestDevice,
	by DecisionRecord) (token string, err error) {
	old, _ := by.NearestRecord()
	old.Browser = by.Request.Browser // newer, or the same: the version may not fall again
	row, err := d.sealRecord(old, b.ID, a)
	if err != nil {
		return "", err
	}
	if err := tx.UseTrustedNetwork(ctx, row, by.At); err != nil {
		return "", err
	}
	if token, err = d.rotateSecret(ctx, tx, b, b.ExpiresAt); err != nil {
		return "", err
	}
	return token, d.RecordDecision(ctx, tx, a, by)
}

// RevokeCopiedDevice ends a browser of whose cookie there is a copy, for all accounts and with the
// sessions that began in it, and tells their owners: once.
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
			if err := d.Accounts.NotifyOwner(ctx, tx,
				account.Notification{Event: audit.Event{Kind: audit.DeviceSecretReused, Result: audit.Failure,
					Actor: audit.Anonymous(), Target: audit.Target("device", b.ID)}, Template: "stolen", Account: a},
				from); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil // somebody else noticed it at the same moment
	}
	if err != nil {
		return fmt.Errorf("device: stolen device: %w", err)
	}
	d.Accounts.NotifyOutbox()
	return nil
}

// TrustDays is for how many days a browser is trusted; 0: it is not.
func (d *Devices) TrustDays() int { return int(d.Policy.TTL / (24 * time.Hour)) }
