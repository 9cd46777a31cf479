package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/store"
)

// Entry is a message of the queue, for operators. It has nothing of its text, which may be a code.
type Entry struct {
	ID       string
	State    string // see package store
	At       time.Time
	DueAt    time.Time // of the next attempt, if it waits
	Attempts int64
	Channel  delivery.Channel // "": not known any more
	To       string           // "": not known any more
	Failure  string           // why the last attempt failed, in the words of the server; "": none has
}

// failure is why an attempt failed, and what Entry needs once the body is deleted.
type failure struct {
	Channel delivery.Channel `json:"channel"`
	To      string           `json:"to"`
	Text    string           `json:"text"`
}

// maxFailure is how much of the words of a server is kept, in bytes.
const maxFailure = 300

// recordFailure records why an attempt failed. An error is logged: it must not change what happens to the message.
func (o *Outbox) recordFailure(ctx context.Context, row store.OutboxMessage, result error) {
	var f failure
	if m, err := o.open(row); err == nil {
		f.Channel, f.To = m.Channel, m.To
	}
	f.Text = strings.ToValidUTF8(strings.Join(strings.Fields(result.Error()), " "), "?")
	for len(f.Text) > maxFailure {
		_, size := utf8.DecodeLastRuneInString(f.Text)
		f.Text = f.Text[:len(f.Text)-size]
	}
	body, err := json.Marshal(f)
	if err == nil {
		limited, stop := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer stop()
		err = o.Store.SetMessageFailure(limited, row.ID, o.Keys.Seal(failureOf(row.ID), body))
	}
	if err != nil {
		o.failures.Failed(err)
	}
}

func failureOf(id string) string { return "failure of message " + id }

// open returns the message of a row whose body is not deleted.
func (o *Outbox) open(row store.OutboxMessage) (m delivery.Message, err error) {
	body, err := o.Keys.Open(boundTo(row.ID), row.Body)
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	return m, err
}

// Waiting returns up to limit messages that wait to be sent, the one that is due first comes first.
func (o *Outbox) Waiting(ctx context.Context, limit int) ([]Entry, error) {
	rows, err := o.Store.ListWaitingMessages(ctx, limit)
	return o.entries(rows, err)
}

// Failed returns up to limit messages that were not sent or not delivered, the last one first. They are kept for a day.
func (o *Outbox) Failed(ctx context.Context, limit int) ([]Entry, error) {
	rows, err := o.Store.ListFailedMessages(ctx, limit)
	return o.entries(rows, err)
}

func (o *Outbox) entries(rows []store.OutboxMessage, err error) ([]Entry, error) {
	if err != nil {
		return nil, fmt.Errorf("outbox: list: %w", err)
	}
	list := make([]Entry, len(rows))
	for i, row := range rows {
		e := Entry{ID: row.ID, State: row.State, At: row.StateAt, DueAt: row.DueAt, Attempts: row.SendAttempts}
		var f failure
		if m, err := o.open(row); err == nil {
			f.Channel, f.To = m.Channel, m.To
		}
		if body, err := o.Keys.Open(failureOf(row.ID), row.Failure); err == nil {
			_ = json.Unmarshal(body, &f) // this package has written it
		}
		e.Channel, e.To, e.Failure = f.Channel, f.To, f.Text
		list[i] = e
	}
	return list, nil
}

// CountWaiting returns how many messages wait, and since when the oldest does; zero if none waits.
func (o *Outbox) CountWaiting(ctx context.Context) (n int, oldest time.Time, err error) {
	w, err := o.Store.CountWaitingMessages(ctx)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("outbox: count: %w", err)
	}
	return w.Count, w.Oldest, nil
}

// State returns the state of a message and when it was set. It returns store.ErrNotFound if there is none.
func (o *Outbox) State(ctx context.Context, id string) (state string, at time.Time, err error) {
	state, at, err = o.Store.GetMessageState(ctx, id)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("outbox: state: %w", err)
	}
	return state, at, nil
}
