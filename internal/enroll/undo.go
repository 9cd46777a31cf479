package enroll

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/trust"
)

const (
	// FreezeTime is how long an account is frozen before a requested undo takes effect.
	FreezeTime = 72 * time.Hour
	// undoTTL is how long a change can be undone with the link in its notification.
	undoTTL = store.FormerPasswordTTL
	// dueUndos is how many undos ApplyDueUndos reads at once.
	dueUndos = 100
)

// UndoRequest is what somebody who has opened the link of a notification enters.
type UndoRequest struct {
	Token    string
	Password string
	Session  *session.Session // of the browser; nil: not signed in
}

// Undo undoes a change with the link in its notification. The link shows access to the mailbox. Beside it the request
// proves what a sign-in has needed before the change: the password of that time, or a factor that is older than the
// change, in a session that was authenticated with it recently. A factor that was used since, or is older than the
// present password, is removed at once with an older factor only. Otherwise Undo freezes the account, and ApplyDueUndos
// removes the factor after FreezeTime unless somebody who is signed in objects (see Object). frozenUntil is that time;
// zero if the change was undone.
//
// Undo returns account.ErrLink if the link is not valid, the account is disabled or the address has another account
// now, account.ErrCredentials if the password is wrong or empty, an error that wraps ratelimit.ErrLimited after too
// many wrong passwords, and fairqueue.ErrFull if the server cannot hash the password now.
func (e *Enrollments) Undo(ctx context.Context, r UndoRequest, from origin.Origin) (frozenUntil time.Time, err error) {
	l, err := e.Accounts.FindUndo(ctx, r.Token)
	if err != nil {
		return time.Time{}, err
	}
	a, err := e.Store.GetAccount(ctx, l.AccountID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !a.DisabledAt.IsZero() {
		return time.Time{}, account.ErrLink
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("enroll: undo: %w", err)
	}
	factors, err := e.Store.ListFactors(ctx, a.ID)
	if err != nil {
		return time.Time{}, fmt.Errorf("enroll: undo: %w", err)
	}
	removed, err := removedBy(l, factors)
	if err != nil {
		return time.Time{}, err
	}
	atOnce := e.provenByOlderFactor(r.Session, l, factors, removed)
	if !atOnce && !l.DueAt.IsZero() {
		return l.DueAt, nil // requested before: no password is compared, so that none can be guessed here
	}
	if !atOnce && r.Password == "" {
		return time.Time{}, account.ErrCredentials
	}
	if !atOnce {
		present, err := e.Accounts.VerifyFormerPassword(ctx, a, l.CreatedAt, r.Password, from)
		if err != nil {
			return time.Time{}, err
		}
		used := slices.ContainsFunc(removed, func(f store.Factor) bool { return !f.LastUsedAt.IsZero() })
		atOnce = undoesAddress(l) || present && !used
	}
	l.Language = from.Language
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if atOnce {
			return e.undoChange(ctx, tx, l, audit.Actor{}, from)
		}
		l.DueAt = e.Now().Add(FreezeTime)
		frozenUntil = l.DueAt
		return e.freeze(ctx, tx, l, from)
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return time.Time{}, account.ErrLink
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("enroll: undo: %w", err)
	}
	e.Accounts.NotifyOutbox()
	return frozenUntil, nil
}

// undoesAddress reports whether the link restores the address of the account.
func undoesAddress(l store.EmailLink) bool { return l.FactorID == "" && len(l.Replaced) == 0 }

// provenByOlderFactor reports whether the session belongs to the account, and was authenticated recently with a factor
// that the account had before the change.
func (e *Enrollments) provenByOlderFactor(
	who *session.Session, l store.EmailLink, factors, removed []store.Factor,
) bool {
	return who != nil && who.Account.ID == l.AccountID && who.RecentlyAuthenticated(e.Now()) &&
		slices.ContainsFunc(factors, func(f store.Factor) bool {
			return f.ID == who.FactorID && f.CreatedAt.Before(l.CreatedAt) && !hasFactor(removed, f.ID)
		})
}

func hasFactor(list []store.Factor, id string) bool {
	return slices.ContainsFunc(list, func(f store.Factor) bool { return f.ID == id })
}

// replacedFactor returns the factor that a link restores; nil if it restores none. Its ID is "" if there was none, and
// the new factor is the only one of its method: the undo leaves that place empty.
func replacedFactor(l store.EmailLink) (*store.Factor, error) {
	if len(l.Replaced) == 0 {
		return nil, nil
	}
	f := &store.Factor{}
	if err := json.Unmarshal(l.Replaced, f); err != nil {
		return nil, fmt.Errorf("enroll: replaced factor: %w", err)
	}
	return f, nil
}

// removedBy returns the factors that an undo removes: the new one, and any that has taken the place of the old one
// since.
func removedBy(l store.EmailLink, factors []store.Factor) (removed []store.Factor, err error) {
	old, err := replacedFactor(l)
	for _, f := range factors {
		if f.ID == l.FactorID || old != nil && samePlace(f, *old) && !f.CreatedAt.Before(l.CreatedAt) {
			removed = append(removed, f)
		}
	}
	return removed, err
}

// samePlace reports whether an account can have only one of two factors.
func samePlace(a, b store.Factor) bool { return a.Method == b.Method && a.Slot == b.Slot }

// createUndoLink creates the link that undoes a change made at the time now: it removes the factor added and restores
// the factor replaced (see replacedFactor), each if there is one; if there is neither, it restores the present address
// of the account. Send it to the present address. It returns the token of the link.
func (e *Enrollments) createUndoLink(
	ctx context.Context, tx *store.DB, a store.Account, added string, replaced *store.Factor, now time.Time,
) (token string, err error) {
	l := store.EmailLink{
		Purpose: store.LinkUndo, Email: a.Email, AccountID: a.ID, FactorID: added,
		CreatedAt: now, ExpiresAt: now.Add(undoTTL),
	}
	if replaced != nil {
		if l.Replaced, err = json.Marshal(replaced); err != nil {
			return "", fmt.Errorf("enroll: undo link: %w", err)
		}
	}
	token = seal.NewLinkToken()
	l.TokenHash = seal.HashToken(token)
	return token, tx.CreateEmailLink(ctx, l)
}

// freeze records that the undo of a link takes effect at l.DueAt.
func (e *Enrollments) freeze(ctx context.Context, tx *store.DB, l store.EmailLink, from origin.Origin) error {
	if err := tx.RequestUndo(ctx, l, e.Now()); err != nil {
		return err
	}
	a, err := tx.GetAccount(ctx, l.AccountID)
	if err != nil {
		return err
	}
	everywhere, err := e.contactsOf(ctx, tx, a)
	if err != nil {
		return err
	}
	n := account.Notification{
		Event: audit.Event{Kind: audit.AccountFrozen, Target: undoTarget(l)}, Template: "frozen", Account: a, Until: l.DueAt,
	}
	return e.notify(ctx, tx, n, factor.NoticeFrozen, everywhere, from)
}

// undoTarget returns how events name what a link undoes.
func undoTarget(l store.EmailLink) string {
	old, err := replacedFactor(l)
	switch {
	case l.FactorID != "":
		return audit.Target("factor", l.FactorID)
	case old != nil && err == nil:
		return audit.Target("factor", old.ID)
	}
	return "email"
}

// Object keeps the changes whose undo was requested: their links stop working, and the freeze ends. Every live session
// may object: it was opened before the freeze, or with another method than email since. It does nothing if no undo is
// waiting.
func (e *Enrollments) Object(ctx context.Context, who session.Session, from origin.Origin) error {
	n := account.Notification{Event: audit.Event{Kind: audit.UndoRejected}, Template: "kept"}
	err := e.keepChanges(ctx, who.Account.ID, n, from, nil)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("enroll: object: %w", err)
	}
	e.Accounts.NotifyOutbox()
	return nil
}

// ApplyDueUndos lets the undos take effect whose FreezeTime has passed. Call it often: until it has run, the accounts
// stay frozen. Servers that share a database may call it at the same time.
func (e *Enrollments) ApplyDueUndos(ctx context.Context) (applied int64, err error) {
	due, err := e.Store.ListDueUndos(ctx, e.Now(), dueUndos)
	if err != nil {
		return 0, fmt.Errorf("enroll: due undos: %w", err)
	}
	var failed error
	for _, l := range due {
		from := origin.Origin{Language: l.Language}
		err := e.Store.Tx(ctx, func(tx *store.DB) error { return e.undoChange(ctx, tx, l, audit.System(), from) })
		switch {
		case err == nil:
			applied++
		case !errors.Is(err, store.ErrNotFound): // not found: another server has applied it
			failed = errors.Join(failed, fmt.Errorf("enroll: undo of account %s: %w", l.AccountID, err))
		}
	}
	if len(due) > 0 {
		e.Accounts.NotifyOutbox()
	}
	return applied, failed
}

// UndoSince undoes the changes of an account since a time, the last one first, in the transaction tx. Their links stop
// working.
func (e *Enrollments) UndoSince(ctx context.Context, tx *store.DB, id string, since time.Time, from origin.Origin) error {
	links, err := tx.ListUndoLinks(ctx, id, since)
	if err != nil {
		return err
	}
	for _, l := range slices.Backward(links) {
		l.Language = from.Language
		if err := e.undoChange(ctx, tx, l, audit.Actor{}, from); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		} // not found: it was undone already
	}
	return nil
}

// undoChange undoes the change of a link. The change was made by somebody with the password, so undoChange also removes
// the password, and ends every session, attempt and trust. The account holder then chooses a new password with
// account.Accounts.RequestPasswordReset. It returns store.ErrNotFound if the link was used meanwhile, and
// store.ErrConflict if the old address has another account now.
func (e *Enrollments) undoChange(
	ctx context.Context, tx *store.DB, l store.EmailLink, by audit.Actor, from origin.Origin,
) error {
	now := e.Now()
	if err := tx.FinishUndo(ctx, l, now); err != nil {
		return err
	}
	a, err := tx.GetAccount(ctx, l.AccountID)
	if err != nil {
		return err
	}
	everywhere, err := e.contactsOf(ctx, tx, a)
	if err != nil {
		return err
	}
	if undoesAddress(l) {
		if err := tx.SetEmail(ctx, a.ID, a.Epoch, l.Email, now); err != nil {
			return err
		}
	} else if err := e.restoreFactor(ctx, tx, l); err != nil {
		return err
	}
	if err := tx.SetPassword(ctx, a.ID, a.Epoch, []byte{}, a.PasswordSetByMailAt, now); err != nil {
		return err
	}
	if err := e.Accounts.EndTrust(ctx, tx, a.Ref(), trust.RevokedPasswordChanged, ""); err != nil {
		return err
	}
	n := account.Notification{
		Event: audit.Event{Kind: audit.ChangeUndone, Target: undoTarget(l), Actor: by}, Template: "undone", Account: a,
	}
	if err := e.notify(ctx, tx, n, factor.NoticeUndone, everywhere, from); err != nil {
		return err
	}
	if undoesAddress(l) {
		return e.resendUndoLinks(ctx, tx, a, l, from)
	}
	return nil
}

// restoreFactor removes the factor of a link, and those that have replaced it, and restores the one before.
func (e *Enrollments) restoreFactor(ctx context.Context, tx *store.DB, l store.EmailLink) error {
	factors, err := tx.ListFactors(ctx, l.AccountID)
	if err != nil {
		return err
	}
	removed, err := removedBy(l, factors)
	if err != nil {
		return err
	}
	for _, f := range removed {
		if err := tx.DeleteFactor(ctx, l.AccountID, f.ID); err != nil {
			return err
		}
	}
	if err := e.endLaterLinks(ctx, tx, l, removed); err != nil {
		return err
	}
	old, err := replacedFactor(l)
	if old == nil || old.ID == "" || err != nil {
		return err
	}
	taken := slices.ContainsFunc(factors, func(f store.Factor) bool {
		return samePlace(f, *old) && !hasFactor(removed, f.ID)
	})
	if taken { // an earlier change was undone, which has restored what was before both
		return nil
	}
	return tx.CreateFactor(ctx, *old)
}

// endLaterLinks ends the links of later changes of what a link undoes. One of them could bring back a factor that the
// undo was to remove: somebody has added it, and replaced or removed it since.
func (e *Enrollments) endLaterLinks(
	ctx context.Context, tx *store.DB, undone store.EmailLink, removed []store.Factor,
) error {
	place, err := replacedFactor(undone)
	if err != nil {
		return err
	}
	links, err := tx.ListUndoLinks(ctx, undone.AccountID, undone.CreatedAt)
	if err != nil {
		return err
	}
	for _, l := range links {
		old, err := replacedFactor(l)
		if err != nil {
			return err
		}
		later := hasFactor(removed, l.FactorID) ||
			old != nil && (old.ID != "" && old.ID == undone.FactorID || place != nil && samePlace(*old, *place))
		if !later {
			continue
		}
		if err := tx.FinishUndo(ctx, l, e.Now()); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// resendUndoLinks ends the links of the changes that were made after the address was changed, because they were sent to
// the address that is no longer the account's, and the freezes that were requested with them. The restored address gets
// the notifications about factors with new links. Of several changes of one factor it gets the first, which restores
// what was before all of them.
func (e *Enrollments) resendUndoLinks(
	ctx context.Context, tx *store.DB, a store.Account, undone store.EmailLink, from origin.Origin,
) error {
	now := e.Now()
	links, err := tx.ListUndoLinks(ctx, a.ID, undone.CreatedAt)
	if err != nil {
		return err
	}
	factors, err := tx.ListFactors(ctx, a.ID)
	if err != nil {
		return err
	}
	a.Email = undone.Email
	covered := map[string]bool{} // factors that a link removes or restores
	for _, l := range links {
		err := tx.FinishUndo(ctx, l, now)
		if errors.Is(err, store.ErrNotFound) {
			continue // used before
		}
		if err != nil {
			return err
		}
		removed, err := removedBy(l, factors)
		if err != nil {
			return err
		}
		template, about := "added", append(removed, store.Factor{})[0]
		if old, err := replacedFactor(l); err != nil {
			return err
		} else if old != nil && l.FactorID == "" && len(removed) == 0 {
			template, about = "removed", *old
		}
		if about.ID == "" || covered[about.ID] {
			continue
		}
		covered[about.ID] = true
		token := seal.NewLinkToken()
		l.TokenHash, l.Email, l.ExpiresAt = seal.HashToken(token), a.Email, now.Add(undoTTL)
		l.DueAt, l.Language = time.Time{}, ""
		if err := tx.CreateEmailLink(ctx, l); err != nil {
			return err
		}
		n := account.Notification{
			Template: template, Account: a, Detail: e.methodName(about.Method, from.Language), UndoToken: token,
		}
		if err := e.Accounts.SendNotification(ctx, tx, n, from); err != nil {
			return err
		}
	}
	return nil
}

// methodName returns how texts name a method.
func (e *Enrollments) methodName(method, language string) string {
	m, ok := e.Challenges.Method(method)
	if !ok {
		return method
	}
	return m.Info().WordsIn(language).Name
}

// contacts are the addresses and numbers that an account has, and those that it had before a change that can be undone.
type contacts struct {
	addresses []string
	factors   []challenge.Enrolled // their methods are factor.Notifier
}

func (e *Enrollments) contactsOf(ctx context.Context, tx *store.DB, a store.Account) (c contacts, err error) {
	rows, err := tx.ListFactors(ctx, a.ID)
	if err != nil {
		return c, err
	}
	links, err := tx.ListUndoLinks(ctx, a.ID, e.Now().Add(-undoTTL))
	if err != nil {
		return c, err
	}
	c.addresses = []string{a.Email}
	for _, l := range links {
		if !slices.Contains(c.addresses, l.Email) {
			c.addresses = append(c.addresses, l.Email)
		}
		old, err := replacedFactor(l)
		if err != nil {
			return c, err
		}
		if old != nil && old.ID != "" {
			rows = append(rows, *old)
		}
	}
	for _, row := range rows {
		m, ok := e.Challenges.Method(row.Method)
		if _, notifies := m.(factor.Notifier); !ok || !notifies {
			continue
		}
		f, err := e.Challenges.OpenFactor(row)
		if err != nil {
			return c, err
		}
		if !slices.ContainsFunc(c.factors, func(o challenge.Enrolled) bool { return o.Destination == f.Destination }) {
			c.factors = append(c.factors, challenge.Enrolled{Factor: f, Method: m, Row: row})
		}
	}
	return c, nil
}

// notify records the event of n and sends it to all contacts.
func (e *Enrollments) notify(
	ctx context.Context, tx *store.DB, n account.Notification, text factor.Notice, to contacts, from origin.Origin,
) error {
	n.Event.Account = n.Account.ID
	if err := e.Accounts.Event(ctx, tx, n.Event, from); err != nil {
		return err
	}
	for _, n.To = range to.addresses {
		if err := e.Accounts.SendNotification(ctx, tx, n, from); err != nil {
			return err
		}
	}
	cancel := ""
	if text == factor.NoticeDeskCode {
		cancel = e.Accounts.Settings.PublicURL + "/desk#" + n.UndoToken
	}
	for _, f := range to.factors {
		if err := e.notifyFactor(ctx, tx, n.Account.ID, f, text, cancel, from); err != nil {
			return err
		}
	}
	return nil
}

// notifyFactor sends a text to the destination of a factor of the account owner, if its method can. cancel is the URL
// on which the owner cancels what it is about; "" if there is none.
func (e *Enrollments) notifyFactor(
	ctx context.Context, tx *store.DB, owner string, f challenge.Enrolled, text factor.Notice, cancel string,
	from origin.Origin,
) error {
	notifier, ok := f.Method.(factor.Notifier)
	if !ok {
		return nil
	}
	settings := e.Accounts.Settings
	now := e.Now().In(settings.Location)
	message := notifier.NoticeMessage(text, factor.Request{
		Factor: f.Factor, Site: settings.Site, Language: from.Language, Now: now, CancelURL: cancel,
	})
	message.ID = rand.Text()
	if err := e.Challenges.SpendText(ctx, tx, owner); err != nil {
		return err
	}
	return e.Accounts.Enqueue(ctx, tx, message, now.Add(account.NotificationTTL))
}
