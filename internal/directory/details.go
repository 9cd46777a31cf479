package directory

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// Details is an account with what an operator needs to help its owner. It has no secret, hash, code or token.
type Details struct {
	Entry
	GivenName         string    `json:"given_name,omitempty"`
	FamilyName        string    `json:"family_name,omitempty"`
	HasPassword       bool      `json:"has_password"`
	PasswordChangedAt time.Time `json:"password_changed_at,omitzero"`
	// EmailSecondStep is "" as the site has it, or "until-another": the person allows codes by email only until another
	// method is set up.
	EmailSecondStep string     `json:"email_second_step,omitempty"`
	Methods         []Method   `json:"methods"`
	Devices         []Device   `json:"trusted_devices"`
	Sessions        []Session  `json:"sessions"` // the newest 100
	Apps            []App      `json:"apps"`
	Decisions       []Decision `json:"code_requests"` // why a code was needed the last times
	Events          []Event    `json:"events"`        // the newest 20
}

// Method is a verification method that an account has set up.
type Method struct {
	ID          string    `json:"id"` // "" for the email address of the account
	Method      string    `json:"method"`
	Name        string    `json:"name,omitempty"`        // as the person named it
	Destination string    `json:"destination,omitempty"` // address or number; masked in Details
	AddedAt     time.Time `json:"added_at,omitzero"`
	LastUsedAt  time.Time `json:"last_used_at,omitzero"`
	UsesLeft    int       `json:"uses_left,omitempty"` // of recovery codes
}

// Device is a trusted device.
type Device struct {
	ID       string    `json:"id"`
	Browser  string    `json:"browser"`
	Networks []Network `json:"networks"`
}

// Network is one network on which a device is trusted.
type Network struct {
	Network    string    `json:"network"`
	VerifiedAt time.Time `json:"verified_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
}

// Session is a browser that is signed in.
type Session struct {
	ID         string    `json:"id"`
	Browser    string    `json:"browser"`
	Address    string    `json:"address,omitempty"`
	DeviceID   string    `json:"device_id,omitempty"`
	StartedAt  time.Time `json:"started_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	AMR        []string  `json:"amr"` // how the person signed in (RFC 8176)
}

// App is an app that the person has signed in to.
type App struct {
	ID    string    `json:"id"`
	Name  string    `json:"name"`
	Scope []string  `json:"scope"`
	Since time.Time `json:"since,omitzero"`
}

// Decision says why a code was needed at a sign-in.
type Decision struct {
	Trace   string    `json:"trace"`
	At      time.Time `json:"time"`
	Reason  string    `json:"reason"`
	Address string    `json:"address,omitempty"`
	Browser string    `json:"browser"`
}

// Event is a security event of the account.
type Event struct {
	ID      string    `json:"id"`
	At      time.Time `json:"time"`
	Event   string    `json:"event"`
	Result  string    `json:"result"`
	Actor   string    `json:"actor"`
	Reason  string    `json:"reason,omitempty"`
	Target  string    `json:"target,omitempty"`
	Client  string    `json:"client,omitempty"`
	Address string    `json:"address,omitempty"`
	Browser string    `json:"browser,omitempty"` // the header User-Agent
	Trace   string    `json:"trace,omitempty"`
}

const (
	shownSessions = 100
	shownEvents   = 20
	exportedPage  = 1000 // events and sessions that Export reads at once
)

// Describe returns the details of the account of an email address or with an ID. It returns account.ErrUnknown.
func (d *Directory) Describe(ctx context.Context, who string) (Details, error) {
	a, err := d.Accounts.Lookup(ctx, who)
	if err != nil {
		return Details{}, err
	}
	return d.details(ctx, a, false)
}

// details reads all about an account. With whole, addresses and numbers are not masked, and all sessions and events are
// in it.
func (d *Directory) details(ctx context.Context, a store.Account, whole bool) (all Details, err error) {
	all = Details{
		Entry: entryOf(store.AccountSummary{
			ID: a.ID, Email: a.Email, Name: a.Name, Role: a.Role, Groups: a.Groups, CreatedAt: a.CreatedAt,
			DisabledAt: a.DisabledAt, FrozenUntil: a.FrozenUntil,
		}),
		GivenName: a.GivenName, FamilyName: a.FamilyName, HasPassword: len(a.PasswordHash) > 0,
		PasswordChangedAt: a.PasswordChangedAt, EmailSecondStep: a.EmailSecondStep,
	}
	if all.LastSignInAt, err = d.Store.GetLastSignIn(ctx, a.ID); err != nil {
		return all, fmt.Errorf("directory: last sign-in: %w", err)
	}
	if all.Methods, err = d.methods(ctx, a, whole); err != nil {
		return all, err
	}
	for _, m := range all.Methods {
		if m.ID != "" {
			all.OtherMethods++
		}
	}
	person := device.SessionDevice{AccountRef: a.Ref()}
	if all.Devices, err = d.devices(ctx, person); err != nil {
		return all, err
	}
	if all.Sessions, err = d.sessions(ctx, a, whole); err != nil {
		return all, err
	}
	apps, err := d.Grants.ListAuthorizedClients(ctx, session.Session{Account: session.Account{ID: a.ID}})
	if err != nil {
		return all, err
	}
	all.Apps = []App{}
	for _, one := range apps {
		all.Apps = append(all.Apps, App{one.Client.ID, one.Client.DisplayName(), one.Scope, one.AuthorizedAt})
	}
	decisions, err := d.Devices.ListSecondStepDecisions(ctx, person)
	if err != nil {
		return all, err
	}
	all.Decisions = []Decision{}
	for _, one := range decisions {
		r := Decision{Trace: one.Trace, At: one.At, Reason: string(one.Reason), Browser: browser(one.Request.Browser)}
		if one.Request.Address.IsValid() {
			r.Address = one.Request.Address.String()
		}
		all.Decisions = append(all.Decisions, r)
	}
	all.Events, err = d.events(ctx, a.ID, whole)
	return all, err
}

// browser names a browser in English.
func browser(b trust.Browser) string { return origin.DescribeBrowser(b, "en") }

func (d *Directory) methods(ctx context.Context, a store.Account, whole bool) (list []Method, err error) {
	factors, err := d.Challenges.Factors(ctx, a)
	if err != nil {
		return nil, err
	}
	for _, f := range factors {
		m := Method{
			ID: f.Row.ID, Method: f.Factor.Method, Name: f.Name, Destination: f.Masked, AddedAt: f.Row.CreatedAt,
			LastUsedAt: f.Row.LastUsedAt, UsesLeft: max(f.UsesLeft(), 0),
		}
		if whole {
			m.Destination = cmp.Or(f.Display, f.Destination)
		}
		list = append(list, m)
	}
	return list, nil
}

func (d *Directory) devices(ctx context.Context, person device.SessionDevice) ([]Device, error) {
	trusted, err := d.Devices.ListTrustedDevices(ctx, person)
	if err != nil {
		return nil, err
	}
	list := []Device{}
	for _, one := range trusted {
		r := Device{ID: one.ID, Browser: browser(one.Browser)}
		for _, n := range one.Networks {
			r.Networks = append(r.Networks, Network{n.ClientNetwork.String(), n.VerifiedAt, n.ExpiresAt, n.LastUsedAt})
		}
		list = append(list, r)
	}
	return list, nil
}

func (d *Directory) sessions(ctx context.Context, a store.Account, whole bool) ([]Session, error) {
	list, limit := []Session{}, shownSessions
	if whole {
		limit = exportedPage
	}
	for before := (session.Cursor{}); ; {
		page, err := d.Sessions.ListOf(ctx, a, before, limit)
		if err != nil {
			return nil, err
		}
		for _, s := range page {
			list = append(list, Session{
				s.ID, browser(s.Browser), s.Address, s.DeviceID(), s.StartedAt, s.LastSeenAt, s.ExpiresAt, s.AMR,
			})
			before = s.Cursor()
		}
		if !whole || len(page) < limit {
			return list, nil
		}
	}
}

func (d *Directory) events(ctx context.Context, id string, whole bool) ([]Event, error) {
	list, f := []Event{}, audit.Filter{Account: id, Limit: shownEvents}
	if whole {
		f.Limit = exportedPage
	}
	for {
		page, err := d.Events.List(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			list = append(list, Event{
				e.ID.String(), e.At, string(e.Kind), string(e.Result), e.Actor.String(), e.Reason, e.Target, e.Client, e.Address,
				e.Browser, e.Trace,
			})
			f.Before = e.ID
		}
		if !whole || len(page) < f.Limit {
			return list, nil
		}
	}
}

// Export is all that is stored about a person and can be read: everything of Details without masks, with all sessions
// and events.
type Export struct {
	ExportedAt time.Time `json:"exported_at"`
	Details
}

// Export returns all data of the account of an email address or with an ID, and records that it was exported. It returns
// account.ErrUnknown.
func (d *Directory) Export(ctx context.Context, by account.By, who string) (Export, error) {
	a, err := d.Accounts.Lookup(ctx, who)
	if err != nil {
		return Export{}, err
	}
	err = d.Store.Tx(ctx, func(tx *store.DB) error {
		e := audit.Event{Kind: audit.AccountExported, Account: a.ID, Actor: by.Actor}
		return d.Accounts.Event(ctx, tx, e, by.From)
	})
	if err != nil {
		return Export{}, fmt.Errorf("directory: export: %w", err)
	}
	all, err := d.details(ctx, a, true)
	return Export{d.Now(), all}, err
}

// RecordExport records that a list was exported: its kind, how many rows it had, and which filters were set. A filter is
// a name, or a name and a value that nobody entered, like state=disabled.
func (d *Directory) RecordExport(ctx context.Context, by account.By, kind audit.Kind, rows int, filters []string) error {
	e := audit.Event{Kind: kind, Actor: by.Actor, Reason: fmt.Sprintf("%d rows", rows)}
	if len(filters) > 0 {
		e.Reason += "; " + strings.Join(filters, ", ")
	}
	err := d.Store.Tx(ctx, func(tx *store.DB) error { return d.Accounts.Event(ctx, tx, e, by.From) })
	if err != nil {
		return fmt.Errorf("directory: record export: %w", err)
	}
	return nil
}
