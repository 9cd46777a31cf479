package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Invitation is a link of the purpose LinkInvite, used or not.
type Invitation struct {
	EmailLink
	UsedAt time.Time // when the invited person created the account; zero: not yet
}

// InvitationCursor is the position of an invitation in the list: the next page begins after it. The zero value is the
// position before the first.
type InvitationCursor struct {
	At    time.Time
	Email string
}

// String formats the cursor for ParseInvitationCursor.
func (c InvitationCursor) String() string {
	return strconv.FormatInt(c.At.UnixMilli(), 10) + "-" + c.Email
}

// ParseInvitationCursor parses the result of InvitationCursor.String. It reports false if text is not valid.
func ParseInvitationCursor(text string) (c InvitationCursor, ok bool) {
	millis, email, _ := strings.Cut(text, "-")
	at, err := strconv.ParseInt(millis, 10, 64)
	if err != nil || at <= 0 || email == "" || strings.ContainsRune(email, 0) || !utf8.ValidString(email) {
		return InvitationCursor{}, false
	}
	return InvitationCursor{time.UnixMilli(at), email}, true
}

const invitationColumns = linkColumns + `, used_at`

func scanInvitation(s scanner) (i Invitation, err error) {
	l := &i.EmailLink
	err = s.Scan(&l.TokenHash, &l.Purpose, &l.Email, &l.AccountID, &l.FactorID, &l.Replaced, &l.Name, &l.GivenName,
		&l.FamilyName, &l.Role, &l.Groups, &l.Epoch, (*Time)(&l.CreatedAt), (*Time)(&l.ExpiresAt), (*Time)(&l.DueAt),
		&l.Language, (*Time)(&i.UsedAt))
	return i, found(err)
}

// ListInvitations lists up to limit invitations after a position, newest first. Those that were used or have expired
// are in it until they are deleted, a day after they expire.
func (db *DB) ListInvitations(ctx context.Context, after InvitationCursor, limit int) ([]Invitation, error) {
	if after.At.IsZero() {
		after.At = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	rows, err := db.read.QueryContext(ctx, `SELECT `+invitationColumns+` FROM email_links
		WHERE purpose = 'invite' AND (created_at, email) < ($1, $2) ORDER BY created_at DESC, email DESC LIMIT $3`,
		after.At, after.Email, limit)
	return all(rows, err, scanInvitation)
}

// FindInvitation returns the newest invitation of an address that was not used, also if it has expired. It returns
// ErrNotFound if there is none.
func (db *DB) FindInvitation(ctx context.Context, email string) (Invitation, error) {
	return scanInvitation(db.read.QueryRowContext(ctx, `SELECT `+invitationColumns+` FROM email_links
		WHERE email = $1 AND purpose = 'invite' AND used_at = 0 ORDER BY created_at DESC LIMIT 1`, email))
}

// DeleteInvitations deletes the invitations of an address that were not used, and returns their number.
func (db *DB) DeleteInvitations(ctx context.Context, email string) (int64, error) {
	return db.change(ctx, `DELETE FROM email_links WHERE email = $1 AND purpose = 'invite' AND used_at = 0`, email)
}

// ListInvited lists invitations that were not used, of addresses without an account: those that f selects by Text, Group,
// Sort and Limit; its other fields do not count. f.After has the address and, unless the order is by address, the time of
// the last invitation. If next is not nil there may be more after it, also if the page has fewer than f.Limit: for one
// page not more than accountSpan invitations are read.
func (db *DB) ListInvited(ctx context.Context, f AccountFilter) (list []Invitation, next *AccountCursor, err error) {
	size := f.Limit
	if f.Text != "" || f.Group != "" {
		size = accountSpan
	}
	var read []Invitation
	if f.Sort == SortEmail {
		rows, failed := db.read.QueryContext(ctx, `SELECT `+invitationColumns+` FROM email_links
			WHERE purpose = 'invite' AND used_at = 0 AND email > $1
				AND NOT EXISTS (SELECT 1 FROM accounts WHERE accounts.email = email_links.email)
			ORDER BY email LIMIT $2`, f.After.Email, size)
		read, err = all(rows, failed, scanInvitation)
	} else {
		if f.After.At.IsZero() {
			f.After.At = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		// The index by address would need a sort of all invitations: the sum keeps it out.
		rows, failed := db.read.QueryContext(ctx, `SELECT `+invitationColumns+` FROM email_links
			WHERE purpose = 'invite' AND (created_at, email) < ($1, $2) AND used_at + 0 = 0
				AND NOT EXISTS (SELECT 1 FROM accounts WHERE accounts.email = email_links.email)
			ORDER BY created_at DESC, email DESC LIMIT $3`, f.After.At, f.After.Email, size)
		read, err = all(rows, failed, scanInvitation)
	}
	if err != nil {
		return nil, nil, err
	}
	for i, one := range read {
		if one.selectedBy(f) {
			list = append(list, one)
		}
		if len(list) == f.Limit || i == size-1 {
			return list, &AccountCursor{At: one.CreatedAt, Email: one.Email}, nil
		}
	}
	return list, nil, nil
}

// selectedBy reports whether the text and the group of f select the account that the invitation would create.
func (i Invitation) selectedBy(f AccountFilter) bool {
	keys := textKeys(Account{Email: i.Email, Name: i.Name, GivenName: i.GivenName, FamilyName: i.FamilyName})
	begins := func(key string) bool { return strings.HasPrefix(key, strings.ToLower(f.Text)) }
	return slices.ContainsFunc(keys, begins) && (f.Group == "" || slices.Contains(strings.Split(i.Groups, ","), f.Group))
}
