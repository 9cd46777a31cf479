package signin

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/limit"
	"twostep.example/twostep/internal/store"
)

// draftLife is how long a new factor that nothing was sent for waits for its proof.
const draftLife = 15 * time.Minute

// Draft is a new factor that is not proven yet, as its owner may see it.
type Draft struct {
	factor.About
	Destination string // as it was typed
	Show        factor.Show
	Challenge   *Challenge // nil: seeing it is all the proof it needs
}

// Enroll draws up a new factor and asks for its proof; the one it is to replace stays
// good until then. ErrStepUp, ErrUnknownMethod, ErrTooMany, *factor.Refusal, *account.WaitError.
func (e *Engine) Enroll(ctx context.Context, who Session, method string, form url.Values, from account.From) error {
	m, ok := e.method(method)
	if !ok || m.About().Path == "" {
		return ErrUnknownMethod
	}
	v, err := e.draftVisit(ctx, who, from)
	if err != nil {
		return err
	}
	if _, err := e.slot(ctx, e.Store, who, m); err != nil {
		return err
	}
	if err := e.Spend(ctx, e.Store, account.PerHour("drafts of account "+who.Account.ID, limit.DraftsPerAccount)); err != nil {
		return err
	}
	v.draft = &enrolled{}
	f, asked, err := m.Enroll(ctx, e.about(v, factor.Factor{}, m, from), form)
	if err != nil {
		return err
	}
	return e.addDraft(ctx, v, enrolled{Factor: f, method: m}, asked, from)
}

// ChangeEmail sends a code to a new address; once that is proven it becomes the
// account's. An address that has an account is answered alike and gets no mail.
// ErrStepUp, account.ErrEmail.
func (e *Engine) ChangeEmail(ctx context.Context, who Session, email string, from account.From) error {
	email, err := account.ParseEmail(email)
	if err != nil {
		return err
	}
	v, err := e.draftVisit(ctx, who, from)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(e.Methods, func(m factor.Method) bool { return m.About().Given })
	if i < 0 {
		return ErrUnknownMethod
	}
	m := e.Methods[i]
	f := factor.Factor{Method: m.About().Method, Destination: email, Masked: account.MaskEmail(email)}
	v.draft = &enrolled{}
	asked, err := m.Challenge(ctx, e.about(v, f, m, from))
	if err != nil {
		return fmt.Errorf("signin: change email: %w", err)
	}
	if err := e.hush(ctx, email, &asked); err != nil {
		return err
	}
	return e.addDraft(ctx, v, enrolled{Factor: f, method: m}, asked, from)
}

// hush sends what was to go to a new address to nobody if somebody has an account
// there. The person who typed it sees no difference.
func (e *Engine) hush(ctx context.Context, email string, asked *factor.Challenge) error {
	_, err := e.Store.AccountByEmail(ctx, email)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("signin: new address: %w", err)
	}
	asked.Message = &delivery.Message{To: email}
	return nil
}

// draftVisit is what the proof of a new factor is asked in. ErrStepUp.
func (e *Engine) draftVisit(ctx context.Context, who Session, from account.From) (visit, error) {
	if !who.Fresh(e.Now()) {
		return visit{}, ErrStepUp
	}
	a, err := e.Store.Account(ctx, who.Account.ID)
	if err != nil {
		return visit{}, fmt.Errorf("signin: enroll: %w", err)
	}
	return visit{SignIn: store.SignIn{Purpose: store.ForFactor, Session: who.ID}, account: a, who: who, from: from}, nil
}

func (e *Engine) addDraft(ctx context.Context, v visit, d enrolled, asked factor.Challenge, from account.From) error {
	about := d.method.About()
	e.drawSignIn(&v.SignIn, v.account, from)
	if about.Valid == 0 {
		v.EndsAt = store.Millis(e.Now().Add(draftLife))
	}
	body, err := e.sealFactor(v.ID, d.Factor)
	if err != nil {
		return err
	}
	c := newChallenge(v)
	c.Method = about.Method
	v.draft = &d
	if c.Hard, err = e.Ledgers.Longer(ctx, e.nextGuess(v, c, about, 1)); err != nil {
		return err
	}
	if c.Hard {
		if asked, err = e.drawChallenge(ctx, v, c, d, from); err != nil {
			return err
		}
	}
	q := e.draw(c, d.method, asked)
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		row := store.Draft{SignIn: v.ID, Session: v.Session, Method: about.Method, Seen: asked.Seen, Body: body}
		if err := tx.AddDraft(ctx, v.SignIn, row); err != nil {
			return err
		}
		return e.open(ctx, tx, v, q)
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil // another tab was faster; its draft is shown
	case errors.Is(err, account.ErrWait):
		return err
	case err != nil:
		return fmt.Errorf("signin: draft: %w", err)
	}
	e.Wake()
	return nil
}

// findDraft is the draft of a session. ErrNoDraft.
func (e *Engine) findDraft(ctx context.Context, who Session, method string) (visit, store.Draft, error) {
	m, ok := e.method(method)
	if !ok {
		return visit{}, store.Draft{}, ErrNoDraft
	}
	row, d, err := e.Store.Draft(ctx, who.ID, method, store.Millis(e.Now()))
	if errors.Is(err, store.ErrNotFound) {
		return visit{}, d, ErrNoDraft
	}
	if err != nil {
		return visit{}, d, fmt.Errorf("signin: draft: %w", err)
	}
	a, err := e.Store.Account(ctx, row.Account)
	if err != nil {
		return visit{}, d, fmt.Errorf("signin: draft: %w", err)
	}
	f, err := e.openFactor(store.Factor{ID: row.ID, Method: method, Body: d.Body})
	if err != nil {
		return visit{}, d, err
	}
	return visit{SignIn: row, account: a, who: who, draft: &enrolled{Factor: f, method: m}}, d, nil
}

// Draft is the new factor of a method that waits for its proof. ErrStepUp, ErrNoDraft.
func (e *Engine) Draft(ctx context.Context, who Session, method string, from account.From) (Draft, error) {
	if !who.Fresh(e.Now()) {
		return Draft{}, ErrStepUp // it shows what nobody but the person may see
	}
	v, row, err := e.findDraft(ctx, who, method)
	if err != nil {
		return Draft{}, err
	}
	m := v.draft.method
	d := Draft{About: m.About(), Destination: cmp.Or(v.draft.Shown, v.draft.Destination)}
	if s, ok := m.(factor.Shower); ok {
		d.Show = s.Show(e.about(v, v.draft.Factor, m, from), v.draft.Factor)
	}
	if row.Seen {
		return d, nil
	}
	c, err := e.Store.Challenge(ctx, v.ID)
	if err != nil {
		return Draft{}, fmt.Errorf("signin: draft: %w", err)
	}
	d.Challenge, err = e.describe(ctx, v, c)
	return d, err
}

// ResendDraft sends a new code for the draft of a method. ErrNoDraft, *account.WaitError.
func (e *Engine) ResendDraft(ctx context.Context, who Session, method string, from account.From) error {
	v, _, err := e.findDraft(ctx, who, method)
	if err != nil {
		return err
	}
	return e.resend(ctx, v, from)
}

// DropDraft forgets the draft of a method, if there is one.
func (e *Engine) DropDraft(ctx context.Context, who Session, method string) error {
	if err := e.Store.DropDraft(ctx, who.ID, method); err != nil {
		return fmt.Errorf("signin: drop draft: %w", err)
	}
	return nil
}

// Confirm takes the proof of a draft and enrolls it. Every other session ends; this
// one goes on under the new token it returns. ErrStepUp, ErrNoDraft, factor.ErrMalformed,
// factor.ErrIncorrect, ErrTooManyTries.
func (e *Engine) Confirm(ctx context.Context, who Session, method string, form url.Values, from account.From) (session string, err error) {
	if !who.Fresh(e.Now()) {
		return "", ErrStepUp
	}
	v, row, err := e.findDraft(ctx, who, method)
	if err != nil {
		return "", err
	}
	proven := proof{by: *v.draft}
	if !row.Seen {
		if proven, err = e.prove(ctx, v, form, from); err != nil {
			return "", err
		}
	}
	now := store.Millis(e.Now())
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := e.use(ctx, tx, proven, now); err != nil {
			return err
		}
		if err := e.settled(ctx, tx, v, proven.challenge, from); err != nil {
			return err
		}
		if err := tx.FinishSignIn(ctx, v.ID, now); err != nil {
			return err
		}
		if err := e.settle(ctx, tx, v, proven.by, from); err != nil {
			return err
		}
		if err := tx.DropDraft(ctx, who.ID, method); err != nil {
			return err // it held what the factor itself no longer does
		}
		session, err = e.rekey(ctx, tx, who, from)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrConflict):
		return "", factor.ErrIncorrect // somebody else was faster
	case errors.Is(err, ErrTooMany), errors.Is(err, ErrNoSession):
		return "", err
	case err != nil:
		return "", fmt.Errorf("signin: confirm: %w", err)
	}
	e.Wake()
	return session, nil
}

// settle makes the proven draft a factor of the account and tells the owner.
func (e *Engine) settle(ctx context.Context, tx *store.DB, v visit, by enrolled, from account.From) error {
	about := by.method.About()
	if about.Given {
		return e.settleEmail(ctx, tx, v, by.Destination, from)
	}
	slot, err := e.slot(ctx, tx, v.who, by.method)
	if err != nil {
		return err
	}
	kept := by.Factor
	if s, ok := by.method.(factor.Shower); ok {
		if kept, err = s.Keep(kept); err != nil {
			return err
		}
	}
	row := store.Factor{ID: rand.Text(), Account: v.account.ID, Method: about.Method, Slot: slot, AddedAt: store.Millis(e.Now())}
	if row.Body, err = e.sealFactor(row.ID, kept); err != nil {
		return err
	}
	if about.Most == 1 {
		if err := e.replace(ctx, tx, v.who, by.method, from); err != nil {
			return err
		}
	}
	if err := tx.AddFactor(ctx, row); err != nil {
		return err
	}
	n := account.Notice{Event: audit.Event{Kind: audit.FactorAdded}, Words: "added", Account: v.account, What: about.In(from.Language).Name}
	if n.Undo, err = e.UndoLink(ctx, tx, v.account, row.ID); err != nil {
		return err
	}
	return e.Tell(ctx, tx, n, from)
}

// slot is the place for one more factor of a method: the first free one, or the only
// one, which is then replaced. ErrTooMany.
func (e *Engine) slot(ctx context.Context, db *store.DB, who Session, m factor.Method) (int64, error) {
	rows, err := db.Factors(ctx, who.Account.ID)
	if err != nil {
		return 0, fmt.Errorf("signin: slot: %w", err)
	}
	about := m.About()
	for slot := range int64(about.Most) {
		taken := slices.ContainsFunc(rows, func(f store.Factor) bool { return f.Method == about.Method && f.Slot == slot })
		if !taken || about.Most == 1 {
			return slot, nil
		}
	}
	return 0, ErrTooMany
}

// replace removes the only factor of a method before another takes its place. The
// place it leaves is told, if messages reach it.
func (e *Engine) replace(ctx context.Context, tx *store.DB, who Session, m factor.Method, from account.From) error {
	rows, err := tx.Factors(ctx, who.Account.ID)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Method != m.About().Method {
			continue
		}
		if err := tx.RemoveFactor(ctx, who.Account.ID, row.ID); err != nil {
			return err
		}
		if err := e.farewell(ctx, tx, row, m, from); err != nil {
			return err
		}
	}
	return nil
}

// farewell tells the place a factor leaves, in the method's own words.
func (e *Engine) farewell(ctx context.Context, tx *store.DB, row store.Factor, m factor.Method, from account.From) error {
	leaver, ok := m.(factor.Leaver)
	if !ok {
		return nil
	}
	f, err := e.openFactor(row)
	if err != nil {
		return err
	}
	now := e.Now().In(e.Settings.Location)
	message := leaver.Farewell(factor.Ask{Factor: f, Site: e.Settings.Site, Language: from.Language, Now: now})
	message.ID = rand.Text()
	// It is paid for like any other, but never refused: whoever loses a number is told.
	if err := e.Spend(ctx, tx, e.Texts.ration()); err != nil && !errors.Is(err, account.ErrWait) {
		return err
	}
	return e.Put(ctx, tx, message, now.Add(account.NoticeLife))
}

// settleEmail gives the account its new address and tells the old one.
func (e *Engine) settleEmail(ctx context.Context, tx *store.DB, v visit, email string, from account.From) error {
	if err := tx.SetEmail(ctx, v.account.ID, v.account.Epoch, email); err != nil { // ErrConflict: taken
		return err
	}
	undo, err := e.UndoLink(ctx, tx, v.account, "")
	if err != nil {
		return err
	}
	n := account.Notice{Event: audit.Event{Kind: audit.EmailChanged}, Words: "email", Account: v.account, What: account.MaskEmail(email), Undo: undo}
	if err := e.Tell(ctx, tx, n, from); err != nil {
		return err
	}
	n.Words, n.To, n.What, n.Undo = "welcome", email, email, ""
	return e.Mail(ctx, tx, n, from)
}

// RemoveFactor removes a factor. Every other session ends; this one goes on under the
// new token it returns. The mailbox cannot be removed, so there is always a way in.
// ErrStepUp, ErrUnknownMethod.
func (e *Engine) RemoveFactor(ctx context.Context, who Session, id string, from account.From) (session string, err error) {
	v, err := e.draftVisit(ctx, who, from)
	if err != nil {
		return "", err
	}
	all, err := e.factors(ctx, v.account)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(f enrolled) bool { return f.row.ID != "" && f.ID == id })
	if i < 0 {
		return "", ErrUnknownMethod
	}
	what := all[i].method.About().In(from.Language).Name // never a name that somebody typed
	err = e.Store.Tx(ctx, func(tx *store.DB) error {
		if err := tx.RemoveFactor(ctx, who.Account.ID, id); err != nil {
			return err
		}
		if session, err = e.rekey(ctx, tx, who, from); err != nil {
			return err
		}
		return e.Tell(ctx, tx, account.Notice{Event: audit.Event{Kind: audit.FactorRemoved}, Words: "removed", Account: v.account, What: what}, from)
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, ErrNoSession) {
		return "", ErrNoSession
	}
	if err != nil {
		return "", fmt.Errorf("signin: remove factor: %w", err)
	}
	e.Wake()
	return session, nil
}

// Owned is one method of verification with what the person has of it.
type Owned struct {
	factor.About
	Factors []OwnedFactor
}

// OwnedFactor is one factor as its owner sees it.
type OwnedFactor struct {
	ID          string // "" if it cannot be removed
	Name        string
	Destination string
	Added, Used time.Time
	Left        int // how many proofs it has left; -1 if it does not wear out
}

// Factors are all methods with what the person has of them.
func (e *Engine) Factors(ctx context.Context, who Session) ([]Owned, error) {
	a, err := e.Store.Account(ctx, who.Account.ID)
	if err != nil {
		return nil, fmt.Errorf("signin: factors: %w", err)
	}
	all, err := e.factors(ctx, a)
	if err != nil {
		return nil, err
	}
	var list []Owned
	for _, m := range e.Methods {
		o := Owned{About: m.About()}
		for _, f := range all {
			if f.Method != o.Method {
				continue
			}
			own := OwnedFactor{ID: f.row.ID, Name: f.Name, Destination: cmp.Or(f.Shown, f.Destination), Added: store.Time(f.row.AddedAt), Used: store.Time(f.row.UsedAt), Left: f.left()}
			o.Factors = append(o.Factors, own)
		}
		list = append(list, o)
	}
	return list, nil
}
