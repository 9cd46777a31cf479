package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

// EndTrust ends trust in all browsers of an account, except in the device keep if it is not "". With keep, call it in
// the transaction that raises the epoch of the account by one: the trust in keep moves to the new epoch.
func (a *Accounts) EndTrust(ctx context.Context, tx *store.DB, account store.AccountRef, why trust.Reason,
	keep string) error {
	if err := tx.RevokeTrust(ctx, account.ID, keep, string(why), a.Now()); err != nil {
		return err
	}
	if keep == "" {
		return nil
	}
	return tx.UpdateTrustEpoch(ctx, account.ID, keep, account.Epoch, account.Epoch+1)
}

// ValidateGroup returns an i18n.Sentence that says what is wrong with the name of a group. Other programs define these names, so
// any printable text is allowed, like "Domain Users" or "system:masters". Apps compare names exactly, and forward-auth
// lists them separated by commas.
func ValidateGroup(name string) error {
	switch {
	case name == "" || utf8.RuneCountInString(name) > maxGroupLength:
		return i18n.NewSentence("problem.group.length", "What", strconv.Quote(name), "Limit", maxGroupLength)
	case strings.Contains(name, ","):
		return i18n.NewSentence("problem.group.comma", "What", strconv.Quote(name))
	case strings.TrimSpace(name) != name:
		return i18n.NewSentence("problem.group.space", "What", strconv.Quote(name))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return i18n.NewSentence("problem.group.print", "What", strconv.Quote(name))
	}
	return nil
}

const maxGroupLength = 128 // characters

// SplitGroups returns the names in store.Account.Groups.
func SplitGroups(names string) []string {
	if names == "" {
		return nil
	}
	return strings.Split(names, ",")
}

// joinGroups returns names as store.Account.Groups holds them: sorted, and each once. It returns the error of
// ValidateGroup.
func joinGroups(names []string) (string, error) {
	for _, name := range names {
		if err := ValidateGroup(name); err != nil {
			return "", fmt.Errorf("account: %w", err)
		}
	}
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), ","), nil
}

// Find returns the account of an address, for operators. It returns ErrEmail or ErrUnknown.
func (a *Accounts) Find(ctx context.Context, email string) (store.Account, error) {
	address, err := ParseEmail(email)
	if err != nil {
		return store.Account{}, err
	}
	account, err := a.Store.FindAccountByEmail(ctx, address)
	if errors.Is(err, store.ErrNotFound) {
		return account, ErrUnknown
	}
	if err != nil {
		return account, fmt.Errorf("account: find: %w", err)
	}
	return account, nil
}
