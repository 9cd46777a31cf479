package web

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/trust"
)

// historyEvents is how many events a page of the security history shows.
const historyEvents = 50

// unshown are the kinds that the history of an account leaves out.
var unshown = []audit.Kind{
	// An email explains it, or it is between an app and this server.
	audit.GuessBudgetExhausted, audit.CodeReused, audit.TokenReused, audit.GrantEnded,
	// They are about no account.
	audit.AccountInvited, audit.ClientCreated, audit.ClientUpdated, audit.ClientSecretRotated, audit.ClientDeleted,
	audit.ClientRejected, audit.RegistrationTokenCreated, audit.RegistrationTokensEnded, audit.SiteAlarmRaised,
	audit.SiteAlarmCleared, audit.SigningKeyCreated, audit.DeliveryTested, audit.PeopleExported, audit.EventsExported,
	audit.BackupRestored,
	audit.WebhookTested, audit.WebhookReplayed, audit.WebhookFailed,
}

// shown returns the kinds that the history shows. The text key of each is "history." and the kind.
func shown() (kinds []audit.Kind) {
	for _, d := range audit.Describe() {
		if !slices.Contains(unshown, d.Kind) {
			kinds = append(kinds, d.Kind)
		}
	}
	return kinds
}

type historyPage struct {
	Events []historyRow
	Older  string // the URL of the next page; "": there is none
	First  bool   // the page has the newest events
}

// historyRow is one event, described for the owner of the account.
type historyRow struct {
	At         time.Time
	What       string
	Reason     string // "": What is enough
	ClientName string // "": no app
	Browser    string // "": not from a browser
	Address    string
	Failed     bool
	Operator   bool // an administrator did it
	NotMe      bool // the row has a link "This wasn't me"
}

func historyView(p historyPage) render.View {
	return render.View{Template: "history", Title: "history.title", Wide: true, Data: p}
}

// showHistory shows what happened to the account: sign-ins, failures and changes, newest first.
func (s *Handlers) showHistory(w http.ResponseWriter, r *http.Request, who signedIn) error {
	filter := audit.Filter{Account: who.Account.ID, Kinds: shown(), Limit: historyEvents + 1}
	filter.Before, _ = audit.ParseEventID(r.URL.Query().Get("before")) // an invalid one starts at the newest event
	events, err := s.Accounts.Audit().List(r.Context(), filter)
	if err != nil {
		return err
	}
	p := historyPage{First: filter.Before == 0}
	if len(events) > historyEvents {
		events = events[:historyEvents]
		p.Older = "/settings/history?before=" + events[historyEvents-1].ID.String()
	}
	words := s.Pages.Localizer(r)
	for _, e := range events {
		if finished(e, events) {
			continue
		}
		row := s.historyRow(words, e)
		if row.ClientName, err = s.clientName(r, e.Client); err != nil {
			return err
		}
		p.Events = append(p.Events, row)
	}
	return s.render(w, r, historyView(p))
}

// finished reports whether e is the password of a sign-in that was completed: the history shows that as one row.
func finished(e audit.Event, all []audit.Event) bool {
	return e.Kind == audit.PasswordAccepted && e.SignIn != "" && slices.ContainsFunc(all, func(other audit.Event) bool {
		return other.Kind == audit.SessionCreated && other.SignIn == e.SignIn
	})
}

func (s *Handlers) historyRow(w i18n.Localizer, e audit.Event) historyRow {
	row := historyRow{
		At:       e.At,
		What:     w.Translate("history."+string(e.Kind), "Count", int(e.Occurrences)),
		Failed:   e.Result == audit.Failure && e.Kind != audit.TrustDenied, // asking for a code is no failure
		Operator: e.Actor.Type == audit.TypeOperator || e.Actor.Type == audit.TypeProgram,
	}
	switch {
	case e.Kind == audit.TrustDenied && trust.Reason(e.Reason) != trust.Expired: // that text needs a date
		row.Reason = s.reasonText(w, challenge.StepReason{Reason: trust.Reason(e.Reason)})
	case e.Kind == audit.SessionCreated && e.Reason == audit.TrustedDevice:
		row.What = w.Translate("history.session.trusted")
	case e.Kind == audit.GrantCreated && e.Reason == audit.OtherDevice:
		row.What = w.Translate("history.grant.device")
	case e.Kind == audit.ConsentDenied && e.Reason == audit.OtherDevice:
		row.What = w.Translate("history.consent.device")
	}
	if e.Address != "" || e.Browser != "" {
		row.Browser = origin.DescribeBrowser(trust.ParseBrowser(e.Browser, ""), w.Tag())
		row.Address = origin.DescribeAddress(e.Address, w.Tag())
	}
	row.NotMe = !row.Operator && e.Actor.Type != audit.TypeSystem
	return row
}

// clientName returns the name of an app; its id if it was removed, "" if id is "".
func (s *Handlers) clientName(r *http.Request, id string) (string, error) {
	if id == "" || s.Grants == nil {
		return id, nil
	}
	a, err := s.Grants.Clients.Get(r.Context(), id)
	if errors.Is(err, client.ErrNotFound) {
		return id, nil
	}
	return a.DisplayName(), err
}

// showNotMe says what to do about an event that was not the owner's.
func (s *Handlers) showNotMe(w http.ResponseWriter, r *http.Request, _ signedIn) error {
	return s.render(w, r, render.View{Template: "notme", Title: "notme.title"})
}
