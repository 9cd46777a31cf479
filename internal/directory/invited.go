package directory

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/store"
)

// listInvited lists the people who were invited and have not joined yet.
func (d *Directory) listInvited(ctx context.Context, q Query, f store.AccountFilter) (Page, error) {
	page := Page{Entries: []Entry{}}
	if f.ID != "" || q.Methods == MethodsOther || !q.SignedInSince.IsZero() {
		return page, nil // there is no account yet
	}
	rows, next, err := d.Store.ListInvited(ctx, f)
	if err != nil {
		return page, fmt.Errorf("directory: list invited: %w", err)
	}
	for _, row := range rows {
		page.Entries = append(page.Entries, Entry{
			Email: row.Email, Name: row.Name, State: StateInvited, Role: row.Role,
			Groups: append([]string{}, account.SplitGroups(row.Groups)...), CreatedAt: row.CreatedAt,
		})
	}
	if next != nil {
		page.Next = formatInvitedCursor(f.Sort, *next)
	}
	return page, nil
}

// invitedCursor is the first word of a position in a list of invited people.
const invitedCursor = "invited-"

// formatInvitedCursor is formatCursor for a list of invited people.
func formatInvitedCursor(sort Sort, c store.AccountCursor) string {
	text := invitedCursor + string(sort) + " " + strconv.FormatInt(c.At.UnixMilli(), 10) + " " + c.Email
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// parseInvitedCursor parses the result of formatInvitedCursor for the same order.
func parseInvitedCursor(sort Sort, text string) (c store.AccountCursor, err error) {
	wrong := fmt.Errorf("%w: the position is not one of this list", ErrQuery)
	plain, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return c, wrong
	}
	name, rest, _ := strings.Cut(string(plain), " ")
	number, email, _ := strings.Cut(rest, " ")
	millis, err := strconv.ParseInt(number, 10, 64)
	if err != nil || millis <= 0 || name != invitedCursor+string(sort) {
		return c, wrong
	}
	c.At = time.UnixMilli(millis)
	if c.Email, err = account.ParseEmail(email); err != nil {
		return c, wrong
	}
	return c, nil
}
