// Package directory lists accounts for operators, shows what is stored about one, and exports it.
package directory

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
)

// Directory reads all accounts.
type Directory struct {
	Store      *store.DB
	Now        func() time.Time
	Accounts   *account.Accounts
	Sessions   *session.Sessions
	Devices    *device.Devices
	Challenges *challenge.Challenges
	Grants     *grant.Grants
	Events     *audit.Log
}

// ErrQuery means that a field of a Query has a value that it cannot have. The error that wraps it says which.
var ErrQuery = errors.New("not a query")

// State is the state of an account.
type State string

// States of an account. A disabled account that is also frozen is StateDisabled. StateInvited is that of a person who was
// invited and has not joined yet. There is no account, so only Query.State finds them.
const (
	StateActive   State = "active"
	StateDisabled State = "disabled"
	StateFrozen   State = "frozen"
	StateInvited  State = "invited"
)

// Methods restricts a list by what accounts have set up.
type Methods string

// Values of Query.Methods.
const (
	MethodsEmail Methods = "email" // nothing beside email
	MethodsOther Methods = "other" // something beside email
)

// Sort is the order of a list.
type Sort = store.AccountSort

// Values of Query.Sort.
const (
	SortEmail      = store.SortEmail      // by address
	SortCreated    = store.SortCreated    // newest first
	SortLastSignIn = store.SortLastSignIn // latest first; accounts that have never signed in come last
)

// Query selects accounts. A field that is not set does not restrict.
type Query struct {
	// Search is the ID of an account, or the beginning of an address or of a word of a name, in any case. A word may be
	// followed by the words after it: "anna", "adams" and "anna ad" find Anna Adams. The middle of a word is not found,
	// and letters with accents only as they are written.
	Search         string
	Group          string
	State          State
	Methods        Methods
	SignedInSince  time.Time
	SignedInBefore time.Time // or never
	Sort           Sort      // "": SortEmail
	After          string    // Page.Next of the page before
	Limit          int       // 0: 50; at most 1000
}

// Entry is an account in a list.
type Entry struct {
	ID           string    `json:"id"` // "" with StateInvited
	Email        string    `json:"email"`
	Name         string    `json:"name"`
	State        State     `json:"state"`
	FrozenUntil  time.Time `json:"frozen_until,omitzero"`
	DisabledAt   time.Time `json:"disabled_at,omitzero"`
	Role         string    `json:"role"` // on the operators' pages; "": none
	Groups       []string  `json:"groups"`
	OtherMethods int64     `json:"other_methods"`            // factors beside email
	CreatedAt    time.Time `json:"created_at"`               // with StateInvited: when the person was invited
	LastSignInAt time.Time `json:"last_sign_in_at,omitzero"` // in a list up to a minute behind; zero: never, or before the oldest event
}

// Page is a part of a list. It may have fewer entries than Query.Limit, or none, also if more follow: a page reads a
// limited number of accounts.
type Page struct {
	Entries []Entry
	Next    string // for Query.After; "": this is the last page
}

const (
	defaultLimit = 50
	maxLimit     = 1000
)

// accountID matches the ID of an account.
var accountID = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// List lists the accounts that q selects. It returns an error that wraps ErrQuery if a field has a value that it cannot
// have.
func (d *Directory) List(ctx context.Context, q Query) (Page, error) {
	f, err := q.filter()
	if err != nil {
		return Page{}, err
	}
	if q.State == StateInvited {
		return d.listInvited(ctx, q, f)
	}
	rows, next, err := d.Store.ListAccounts(ctx, f)
	if err != nil {
		return Page{}, fmt.Errorf("directory: list: %w", err)
	}
	page := Page{Entries: make([]Entry, len(rows))}
	for i, row := range rows {
		page.Entries[i] = entryOf(row)
	}
	if next != nil {
		page.Next = formatCursor(f.Sort, *next)
	}
	return page, nil
}

func entryOf(row store.AccountSummary) Entry {
	e := Entry{
		ID: row.ID, Email: row.Email, Name: row.Name, State: StateActive, FrozenUntil: row.FrozenUntil,
		DisabledAt: row.DisabledAt, Role: row.Role, Groups: append([]string{}, account.SplitGroups(row.Groups)...),
		OtherMethods: row.Factors, CreatedAt: row.CreatedAt, LastSignInAt: row.LastSignInAt,
	}
	switch {
	case !row.DisabledAt.IsZero():
		e.State = StateDisabled
	case !row.FrozenUntil.IsZero():
		e.State = StateFrozen
	}
	return e
}

func (q Query) filter() (f store.AccountFilter, err error) {
	f = store.AccountFilter{
		Group: q.Group, SignedInSince: q.SignedInSince, SignedInBefore: q.SignedInBefore, Sort: q.Sort, Limit: q.Limit,
	}
	search := strings.Join(strings.Fields(q.Search), " ")
	switch {
	case accountID.MatchString(search):
		f.ID = search
	case !strings.ContainsRune(search, 0):
		f.Text = strings.ToValidUTF8(search, "")
	default:
		return f, fmt.Errorf("%w: the text to search for has a NUL", ErrQuery)
	}
	switch q.State {
	case "":
	case StateActive:
		f.Active = true
	case StateDisabled:
		f.Disabled = true
	case StateFrozen:
		f.Frozen = true
	case StateInvited:
	default:
		return f, fmt.Errorf("%w: the state is %q, want active, disabled, frozen or invited", ErrQuery, q.State)
	}
	switch q.Methods {
	case "":
	case MethodsEmail:
		f.OnlyEmail = true
	case MethodsOther:
		f.OtherMethod = true
	default:
		return f, fmt.Errorf("%w: the methods are %q, want email or other", ErrQuery, q.Methods)
	}
	switch q.Sort {
	case "":
		f.Sort = SortEmail
	case SortEmail, SortCreated, SortLastSignIn:
	default:
		return f, fmt.Errorf("%w: the order is %q, want email, created or last-sign-in", ErrQuery, q.Sort)
	}
	switch {
	case q.Limit == 0:
		f.Limit = defaultLimit
	case q.Limit < 0 || q.Limit > maxLimit:
		return f, fmt.Errorf("%w: the limit is %d, want 1 to %d", ErrQuery, q.Limit, maxLimit)
	}
	if q.After != "" {
		parse := parseCursor
		if q.State == StateInvited {
			parse = parseInvitedCursor
		}
		if f.After, err = parse(f.Sort, q.After); err != nil {
			return f, err
		}
	}
	return f, nil
}

// formatCursor returns a position in a list as text, which has no characters that URLs escape.
func formatCursor(sort Sort, c store.AccountCursor) string {
	text := string(sort) + " " + c.Email
	if sort != SortEmail {
		millis := int64(0)
		if !c.At.IsZero() {
			millis = c.At.UnixMilli()
		}
		text = string(sort) + " " + strconv.FormatInt(millis, 10) + " " + c.ID
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// parseCursor parses the result of formatCursor for the same order.
func parseCursor(sort Sort, text string) (c store.AccountCursor, err error) {
	wrong := fmt.Errorf("%w: the position is not one of this list", ErrQuery)
	plain, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return c, wrong
	}
	name, rest, _ := strings.Cut(string(plain), " ")
	if name != string(sort) {
		return c, wrong
	}
	if sort == SortEmail {
		if c.Email, err = account.ParseEmail(rest); err != nil {
			return c, wrong
		}
		return c, nil
	}
	number, id, _ := strings.Cut(rest, " ")
	millis, err := strconv.ParseInt(number, 10, 64)
	if err != nil || millis < 0 || !accountID.MatchString(id) {
		return c, wrong
	}
	if c.ID = id; millis > 0 {
		c.At = time.UnixMilli(millis)
	}
	return c, nil
}
