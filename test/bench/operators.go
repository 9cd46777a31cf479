package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"twostep.example/twostep/test/bench/population"
)

const (
	operatorAccounts = 100_000
	quickAccounts    = 5_000 // with -quick
	eventsPerAccount = 10
	pageRounds       = 21 // so often each page is read
	exportRounds     = 3
)

// operatorList is a list of the operators' pages, and a query that reads the same rows.
type operatorList struct {
	name, path string
	query      string
	args       []any
	rounds     int
	least      int // rows that the query must find, so that nothing else is measured
}

const summary = `SELECT id, email, name, role, group_names, created_at, disabled_at, frozen_until, last_sign_in_at,
	(SELECT COUNT(*) FROM factors WHERE factors.account_id = accounts.id) FROM accounts `

// events are the columns of an event on a page, with the addresses of the person and of the actor.
const events = `SELECT e.*, COALESCE(p.email, ''), COALESCE(a.email, '') FROM (SELECT * FROM audit_log `

const eventPeople = `) AS e LEFT JOIN accounts AS p ON p.id = e.account LEFT JOIN accounts AS a ON a.id = e.actor_id
	ORDER BY e.id DESC`

// operatorLists returns the lists that are measured, in a database with an account of this address.
func operatorLists(email, id string, accounts int) []operatorList {
	from := []byte(strings.ToLower(email))
	name := []byte("anna")
	byText := `id IN (SELECT account_id FROM account_keys WHERE kind = 'text' AND key >= $1 AND key < $2)`
	some := 25
	return []operatorList{
		{"people, first page", "/admin/people", summary + `ORDER BY email LIMIT 25`, nil, pageRounds, some},
		{"people, search that finds one", "/admin/people?q=" + url.QueryEscape(email),
			summary + `WHERE ` + byText + ` ORDER BY email LIMIT 25`, []any{from, append(from[:len(from):len(from)], 0xff)}, pageRounds, 1},
		{"people, search that finds all", "/admin/people?q=anna",
			summary + `WHERE EXISTS (SELECT 1 FROM account_keys WHERE account_id = accounts.id AND kind = 'text' AND key >= $1 AND key < $2)
				ORDER BY email LIMIT 25`, []any{name, append(name[:len(name):len(name)], 0xff)}, pageRounds, some},
		{"events, first page", "/admin/audit", events + `ORDER BY id DESC LIMIT 21` + eventPeople, nil, pageRounds, 21},
		{"events, one kind", "/admin/audit?kind=session.created",
			events + `WHERE id IN (SELECT id FROM audit_events WHERE kind = 18 ORDER BY id DESC LIMIT 21)` + eventPeople, nil, pageRounds, 21},
		{"events, one person", "/admin/audit?person=" + url.QueryEscape(email),
			events + `WHERE id IN (SELECT id FROM audit_events WHERE account <> '' AND account = $1 ORDER BY id DESC LIMIT 21)` + eventPeople, []any{id}, pageRounds, 1},
		{"export of all events as CSV", "/admin/audit.csv", events + eventPeople, nil, exportRounds, accounts * eventsPerAccount * 9 / 10},
		{"export of all people as CSV", "/admin/people.csv", summary + `ORDER BY email`, nil, exportRounds, accounts},
	}
}

// operators measures the lists of the operators' pages beside the same queries in plain SQL, on the database that
// newDatabase makes.
func operators(
	ctx context.Context, name, dir string, accounts int, newDatabase func() (string, func(), error),
) (items []item, err error) {
	dir = filepath.Join(dir, "operators "+name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	database, drop, err := newDatabase()
	if err != nil {
		return nil, err
	}
	defer drop()
	if database == "" {
		database = filepath.Join(dir, "twostep.db")
	}
	if err := population.Create(ctx, database, dir, accounts); err != nil {
		return nil, err
	}
	if err := population.AddEvents(ctx, database, accounts*eventsPerAccount, time.Now()); err != nil {
		return nil, err
	}
	s, err := population.Open(ctx, database, dir, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := s.WaitForDeletion(); err != nil {
		return nil, err
	}
	boss, err := s.NewOperator(ctx, "boss@example.com", "198.51.100.7")
	if err != nil {
		return nil, err
	}
	r, err := population.NewReader(database)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	email, err := r.Text(ctx, `SELECT email FROM accounts ORDER BY email LIMIT 1 OFFSET 1000`)
	if err != nil {
		return nil, err
	}
	id, err := r.Text(ctx, `SELECT id FROM accounts WHERE email = $1`, email)
	if err != nil {
		return nil, err
	}
	of := fmt.Sprintf(", %d accounts, %d events, %s", accounts, accounts*eventsPerAccount, name)
	for _, list := range operatorLists(email, id, accounts) {
		page, plain, err := list.measure(ctx, boss, r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", list.name, err)
		}
		items = append(items,
			item{list.name + of, page, "ms", plain, measured},
			item{list.name + ", as a multiple of plain SQL" + of, page / plain, "", 1, measured})
	}
	return items, nil
}

// measure returns the median times of the page and of the query, in milliseconds. They take turns, after one round of
// both that is not measured.
func (l operatorList) measure(ctx context.Context, boss *population.Person, r *population.Reader) (page, plain float64, err error) {
	var pages, queries []time.Duration
	for round := range l.rounds + 1 {
		began := time.Now()
		if _, err := boss.Read(l.path); err != nil {
			return 0, 0, err
		}
		read := time.Since(began)
		began = time.Now()
		n, err := r.Rows(ctx, l.query, l.args...)
		if err != nil {
			return 0, 0, err
		}
		if n < l.least {
			return 0, 0, fmt.Errorf("the query finds %d rows, want at least %d", n, l.least)
		}
		if round > 0 {
			pages, queries = append(pages, read), append(queries, time.Since(began))
		}
	}
	return median(pages), median(queries), nil
}

// measureOperators measures the lists on both databases.
func measureOperators(ctx context.Context, accounts int) error {
	dir, err := os.MkdirTemp("", "twostep-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := func() (string, func(), error) { return "", func() {}, nil }
	for _, one := range []struct {
		name        string
		newDatabase func() (string, func(), error)
	}{{"SQLite", file}, {"PostgreSQL", postgres}} {
		items, err := operators(ctx, one.name, dir, accounts, one.newDatabase)
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		if err := show(items); err != nil {
			return err
		}
	}
	return nil
}
