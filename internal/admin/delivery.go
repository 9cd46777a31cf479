package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/webhook"
)

// maxEntries is how many messages a list shows.
const maxEntries = 20

type deliveryPage struct {
	frame
	Waiting   []messageRow
	Count     int // of all that wait
	Oldest    time.Time
	Failed    []messageRow
	Channels  []channelRow
	Webhooks  []webhook.State
	Email     string // to which a test goes
	Number    string // to which a test text message goes
	Texts     bool   // the site sends text messages
	MayTest   bool
	TestState string // text key: what became of the test
	Reload    string // the URL that shows the state again; "": it is final
}

// channelRow is how the attempts of this server on a channel have ended.
type channelRow struct {
	Key              string // text key of its name
	Failing          bool
	SentAt, FailedAt time.Time
}

// messageRow is a message of the queue.
type messageRow struct {
	State    string // text key
	Channel  string // text key; "": not known
	To       string
	At       time.Time
	DueAt    time.Time
	Attempts int
	Failure  string
}

func newMessageRow(e outbox.Entry) messageRow {
	row := messageRow{
		State: "admin.state." + e.State, To: e.To, At: e.At, DueAt: e.DueAt, Attempts: int(e.Attempts), Failure: e.Failure,
	}
	switch e.Channel {
	case delivery.Email:
		row.Channel = "admin.channel.email"
	case delivery.SMS:
		row.Channel, row.To = "admin.channel.sms", maskNumber(e.To)
	}
	return row
}

// maskNumber returns the last digits of a phone number.
func maskNumber(number string) string {
	const shown = 3
	if len(number) <= shown {
		return "••••"
	}
	return "•••• " + number[len(number)-shown:]
}

func (s *Handlers) deliveryView(r *http.Request, who operator) (render.View, error) {
	p := deliveryPage{frame: who.frame(r, "delivery"), Email: who.Account.Email, MayTest: who.may(operatorsOnly)}
	p.Texts = s.Outbox.Senders[delivery.SMS] != nil
	waiting, err := s.Outbox.Waiting(r.Context(), maxEntries)
	if err != nil {
		return render.View{}, err
	}
	for _, e := range waiting {
		p.Waiting = append(p.Waiting, newMessageRow(e))
	}
	if p.Count, p.Oldest, err = s.Outbox.CountWaiting(r.Context()); err != nil {
		return render.View{}, err
	}
	failed, err := s.Outbox.Failed(r.Context(), maxEntries)
	if err != nil {
		return render.View{}, err
	}
	for _, e := range failed {
		p.Failed = append(p.Failed, newMessageRow(e))
	}
	for _, channel := range []delivery.Channel{delivery.Email, delivery.SMS} {
		if s.Outbox.Senders[channel] != nil {
			state := s.Outbox.Status(channel)
			p.Channels = append(p.Channels, channelRow{
				"admin.channel." + strings.ToLower(string(channel)), state.FailedAt.After(state.SentAt), state.SentAt, state.FailedAt,
			})
		}
	}
	if p.Webhooks, err = s.Webhooks.States(r.Context()); err != nil {
		return render.View{}, err
	}
	if id := r.URL.Query().Get("message"); id != "" && p.MayTest {
		state, _, err := s.Outbox.State(r.Context(), id)
		if err == nil {
			p.TestState = "admin.test." + state
			if state == "waiting" {
				p.Reload = "/admin/delivery?" + url.Values{"message": {id}}.Encode()
			}
		}
	}
	return newView("delivery", "admin.delivery.title", p), nil
}

// showDelivery shows the queue of messages and why messages failed.
func (s *Handlers) showDelivery(w http.ResponseWriter, r *http.Request, who operator) error {
	view, err := s.deliveryView(r, who)
	if err != nil {
		return err
	}
	return s.Pages.Render(w, r, view)
}

// handleSendTest sends a test email or, if the form has a number, a test text message.
func (s *Handlers) handleSendTest(w http.ResponseWriter, r *http.Request, who operator) error {
	form, err := render.ParseForm(w, r, "email", "number")
	if err != nil {
		return err
	}
	number, isText := form["number"]
	if isText && s.Outbox.Senders[delivery.SMS] == nil {
		return render.ErrInvalidForm
	}
	var id string
	if isText {
		pay := s.Challenges.TextPayment(r.Context(), who.Account.ID)
		id, err = s.Accounts.SendTestText(r.Context(), number, who.actor(), s.Pages.Origin(r), pay)
	} else {
		id, err = s.Accounts.SendTest(r.Context(), form["email"], who.actor(), s.Pages.Origin(r))
	}
	var problem render.Problem
	switch {
	case err == nil:
		return redirect(w, r, "/admin/delivery?"+url.Values{"message": {id}}.Encode())
	case errors.Is(err, account.ErrEmail):
		problem = render.Problem{Field: "email", Key: "problem.email"}
	case errors.Is(err, account.ErrNumber):
		problem = render.Problem{Field: "number", Key: "admin.test.notnumber"}
	default:
		return err
	}
	view, err := s.deliveryView(r, who)
	if err != nil {
		return err
	}
	p := view.Data.(deliveryPage)
	if p.Number = number; !isText {
		p.Email = form["email"]
	}
	view.Data, view.Status, view.Problems = p, http.StatusUnprocessableEntity, []render.Problem{problem}
	return s.Pages.Render(w, r, view)
}
