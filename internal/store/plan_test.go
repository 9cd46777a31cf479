package store_test

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/store/storetest"
)

// fullReads are the statements that may read a whole table, by method and table, and why.
var fullReads = map[string]string{
	"Apps clients":             "the operator's list: there are as many rows as registered clients",
	"SigningKeys signing_keys": "a handful of rows: one more each 90 days",
	"CountAccounts accounts":   "only after strangers have guessed a year's worth of codes",
	"RenewAll accounts":        "once after a restore, for every account",
	"Void accounts":            "once after a restore, for every row",
	"Void devices":             "once after a restore, for every row",
	"Void email_links":         "once after a restore, for every row",
	"Void grants":              "once after a restore, for every row",
	"Void known_devices":       "once after a restore, for every row",
	"Void trusted_networks":    "once after a restore, for every row",
}

// smallIndexes are partial indexes that hold only work to do. A statement may read all of one.
var smallIndexes = []string{
	"grants_logout_pending", "outbox_messages_due", "outbox_messages_unknown", "outbox_messages_waiting_expires",
}

// noTables are the names that SQLite's plans give to rows that come from no table.
var noTables = []string{"CONSTANT", "due", "always", "2-ROW"}

// withoutSQL are the exported methods that run no statement of their own.
var withoutSQL = []string{"AfterCommit", "Alone", "Changed", "Close", "Observe", "Tx", "Version"}

// calls run every exported method of a database in which each table has rows whose ids, texts and hashes are x1, x2
// and so on. Each must succeed: one that stops early does not run all of its statements.
func calls(ctx context.Context) map[string]func(db *store.DB) error {
	type db = store.DB
	x := []byte("x1")
	c := store.Counter{Kind: "x1", Subject: "x1", Window: 1}
	attempt := store.SignIn{ID: "x1", Token: x, Account: "x1", Epoch: 1}
	draft := store.Draft{SignIn: "y", Session: "x1", Method: "x1", Body: x}
	no := func(_ any, err error) error { return err }
	return map[string]func(*db) error{
		"Account":        func(d *db) error { return no(d.Account(ctx, "x1")) },
		"AccountByEmail": func(d *db) error { return no(d.AccountByEmail(ctx, "x1")) },
		"ActRequest":     func(d *db) error { return d.ActRequest(ctx, x) },
		"AddAccount": func(d *db) error {
			return d.AddAccount(ctx, store.Account{ID: "y", Email: "y", Password: x})
		},
		"AddApp": func(d *db) error { return d.AddApp(ctx, store.App{ID: "y"}) },
		"AddChallenge": func(d *db) error {
			return d.AddChallenge(ctx, store.Challenge{ID: "y", SignIn: "x1000", State: x})
		},
		"AddCode": func(d *db) error {
			return d.AddCode(ctx, store.Code{ID: "y", Challenge: "x1", MAC: x})
		},
		"AddDebit": func(d *db) error { return d.AddDebit(ctx, store.Debit{ID: "y"}) },
		"AddDecision": func(d *db) error {
			return d.AddDecision(ctx, store.Decision{ID: "y", Account: "x1", Body: x})
		},
		"AddDevice": func(d *db) error {
			return d.AddDevice(ctx, store.Device{ID: "y", Series: []byte("y"), Secret: x})
		},
		"AddDraft": func(d *db) error {
			s := attempt
			s.ID, s.Token = "y", []byte("y")
			return d.AddDraft(ctx, s, draft)
		},
		"AddFactor": func(d *db) error {
			return d.AddFactor(ctx, store.Factor{ID: "y", Account: "x1", Body: x})
		},
		"AddGrant": func(d *db) error {
			return d.AddGrant(ctx, store.Grant{ID: "y", Code: []byte("y")})
		},
		"AddLink":    func(d *db) error { return d.AddLink(ctx, store.Link{Token: []byte("y")}) },
		"AddMessage": func(d *db) error { return d.AddMessage(ctx, store.Message{ID: "y", Body: x}) },
		"AddPlace": func(d *db) error {
			return d.AddPlace(ctx, store.Place{ID: "y", Device: "x1", Account: "x1", Body: x})
		},
		"AddRequest": func(d *db) error { return d.AddRequest(ctx, store.Request{ID: []byte("y")}) },
		"AddSession": func(d *db) error {
			return d.AddSession(ctx, store.Session{ID: "y", Token: []byte("y"), Account: "x1"})
		},
		"AddSignIn": func(d *db) error {
			s := attempt
			s.ID, s.Token = "y", []byte("y")
			return d.AddSignIn(ctx, s)
		},
		"AddSigningKey": func(d *db) error {
			return d.AddSigningKey(ctx, store.SigningKey{ID: "y", Body: x})
		},
		"AddToken": func(d *db) error {
			return d.AddToken(ctx, store.Token{Token: []byte("y"), Grant: "x1"})
		},
		"AddWrong":    func(d *db) error { return d.AddWrong(ctx, "x1", 1, 2) },
		"App":         func(d *db) error { return no(d.App(ctx, "x1")) },
		"Apps":        func(d *db) error { return no(d.Apps(ctx)) },
		"AuditEvents": func(d *db) error { return no(d.AuditEvents(ctx, store.AuditFilter{Account: "x1", Limit: 5})) },
		"Codes":       func(d *db) error { return no(d.Codes(ctx, "x1")) },
		"CountEach": func(d *db) error {
			return d.CountEach(ctx, []store.CounterWindow{{Counter: c, EndsAt: 1}, {Counter: c, EndsAt: 2}}, 1)
		},
		"CountAudit": func(d *db) error { return no(d.CountAudit(ctx, "x1", 1, 9)) },
		"CreateAuditEvent": func(d *db) error {
			return d.CreateAuditEvent(ctx, store.AuditEvent{ID: "y"})
		},
		"LoadBudget": func(d *db) error { return no(d.LoadBudget(ctx, "x1", 0, "x1")) },
		"LoadBudgetForGuess": func(d *db) error {
			return no(d.LoadBudgetForGuess(ctx, "x1", 0, store.SiteSums{State: "x1", Counter: c}))
		},
		"LoadDraft":  func(d *db) error { _, _, _, _, err := d.LoadDraft(ctx, "x1", "x1", 0); return err },
		"LoadSignIn": func(d *db) error { _, _, _, err := d.LoadSignIn(ctx, x); return err },
		"PruneAudit": func(d *db) error { return no(d.PruneAudit(ctx, 1, 1)) },
		"AskAgain": func(d *db) error {
			return d.AskAgain(ctx, store.Challenge{ID: "x1", State: x, Version: 2})
		},
		"Challenge":      func(d *db) error { return no(d.Challenge(ctx, "x1")) },
		"ChangeApp":      func(d *db) error { return d.ChangeApp(ctx, "x1", "y") },
		"ChangePlace":    func(d *db) error { return d.ChangePlace(ctx, store.Place{ID: "x1", Body: x}) },
		"Consent":        func(d *db) error { return no(d.Consent(ctx, "x1", "x1")) },
		"Consents":       func(d *db) error { return no(d.Consents(ctx, "x1")) },
		"Count":          func(d *db) error { return d.Count(ctx, c, 1, 1) },
		"CountAccounts":  func(d *db) error { return no(d.CountAccounts(ctx)) },
		"Debits":         func(d *db) error { return no(d.Debits(ctx, "x1", 0)) },
		"Decision":       func(d *db) error { return no(d.Decision(ctx, "x1")) },
		"Device":         func(d *db) error { return no(d.Device(ctx, x, "x1", 0)) },
		"Draft":          func(d *db) error { _, _, err := d.Draft(ctx, "x1", "x1", 0); return err },
		"DropDraft":      func(d *db) error { return d.DropDraft(ctx, "x1", "x1") },
		"DropShort":      func(d *db) error { return d.DropShort(ctx, "x1", 1) },
		"EndDevice":      func(d *db) error { return d.EndDevice(ctx, "x1", "y", 1) },
		"EndGrant":       func(d *db) error { return d.EndGrant(ctx, "x1", 1) },
		"EndGrants":      func(d *db) error { return d.EndGrants(ctx, "x1", "x1", 1) },
		"EndMessage":     func(d *db) error { return d.EndMessage(ctx, "x1", store.Sent, 1) },
		"EndOneSession":  func(d *db) error { return d.EndOneSession(ctx, "x1", "x1") },
		"EndPlaces":      func(d *db) error { return d.EndPlaces(ctx, "x1", "", "y", 1) },
		"EndPlacesOf":    func(d *db) error { return d.EndPlacesOf(ctx, "x1", "x1", "y", 1) },
		"EndSession":     func(d *db) error { return d.EndSession(ctx, x) },
		"ExpireMessages": func(d *db) error { return d.ExpireMessages(ctx, 1) },
		"Factors":        func(d *db) error { return no(d.Factors(ctx, "x1")) },
		"FinishSignIn":   func(d *db) error { return d.FinishSignIn(ctx, "x1", 1) },
		"FollowTime":     func(d *db) error { return no(d.FollowTime(ctx, 1, 1)) },
		"ForgetOwner":    func(d *db) error { return d.ForgetOwner(ctx, "x1", "x1") },
		"ForgetOwners":   func(d *db) error { return d.ForgetOwners(ctx, "x1") },
		"Forgive":        func(d *db) error { return d.Forgive(ctx, "x1") },
		"GrantOfCode":    func(d *db) error { return no(d.GrantOfCode(ctx, x)) },
		"GrantsOf":       func(d *db) error { return no(d.GrantsOf(ctx, "x1", 1)) },
		"HoldLedger":     func(d *db) error { return no(d.HoldLedger(ctx, "x1")) },
		"HoldMessage":    func(d *db) error { return no(d.HoldMessage(ctx, 50, 60)) },
		"KeepConsent": func(d *db) error {
			return d.KeepConsent(ctx, store.Consent{Account: "x1", App: "x1"})
		},
		"KeepDecisions": func(d *db) error { return d.KeepDecisions(ctx, "x1", 1) },
		"KeepDevices":   func(d *db) error { return d.KeepDevices(ctx, "x1", 1) },
		"KeepMark":      func(d *db) error { return no(d.KeepMark(ctx, "x1", "y")) },
		"KeepNewest":    func(d *db) error { return d.KeepNewest(ctx, "x1", 1, 1) },
		"KeepOwners":    func(d *db) error { return d.KeepOwners(ctx, "x1", 1) },
		"KeepPlaces":    func(d *db) error { return d.KeepPlaces(ctx, "x1", "x1", 1, 2) },
		"KeepProof":     func(d *db) error { return d.KeepProof(ctx, store.Debit{ID: "y", Ledger: "x1"}) },
		"KeepReceipt":   func(d *db) error { return d.KeepReceipt(ctx, "x1", store.Delivered, 1) },
		"KeepTime":      func(d *db) error { return d.KeepTime(ctx, 1) },
		"KnowDevice":    func(d *db) error { return d.KnowDevice(ctx, "x1", "x1", 1) },
		"KnownDevice":   func(d *db) error { return no(d.KnownDevice(ctx, x, "x1", 1)) },
		"Link":          func(d *db) error { return no(d.Link(ctx, x, 1)) },
		"LiveCodes":     func(d *db) error { return no(d.LiveCodes(ctx, "x1", "x1", 1)) },
		"LiveToken":     func(d *db) error { _, _, err := d.LiveToken(ctx, x, 1); return err },
		"Mark":          func(d *db) error { return no(d.Mark(ctx, "x1")) },
		"MessageState":  func(d *db) error { _, _, err := d.MessageState(ctx, "x1"); return err },
		"NextMessage":   func(d *db) error { return no(d.NextMessage(ctx, 1)) },
		"Owners":        func(d *db) error { return no(d.Owners(ctx, "x1")) },
		"PassChallenge": func(d *db) error { return d.PassChallenge(ctx, "x1", 1) },
		"Ping":          func(d *db) error { return d.Ping(ctx) },
		"Places":        func(d *db) error { return no(d.Places(ctx, "x1")) },
		"PlacesIn":      func(d *db) error { return no(d.PlacesIn(ctx, "x1", "x1")) },
		"ProveSession": func(d *db) error {
			return d.ProveSession(ctx, store.Session{ID: "x1", Token: []byte("y"), Account: "x1", Epoch: 1}, 0, 1)
		},
		"Questions":       func(d *db) error { return no(d.Questions(ctx, "x1", 1)) },
		"RaiseEpoch":      func(d *db) error { return d.RaiseEpoch(ctx, "x1", 1) },
		"Refund":          func(d *db) error { return no(d.Refund(ctx, "x1")) },
		"Rehash":          func(d *db) error { return d.Rehash(ctx, "x1", x, x) },
		"ReleaseMessages": func(d *db) error { return d.ReleaseMessages(ctx, 1) },
		"RemoveApp":       func(d *db) error { return d.RemoveApp(ctx, "x1") },
		"RemoveConsent":   func(d *db) error { return d.RemoveConsent(ctx, "x1", "x1") },
		"RemoveFactor":    func(d *db) error { return d.RemoveFactor(ctx, "x1", "x1") },
		"RemovePlace":     func(d *db) error { return d.RemovePlace(ctx, "x1") },
		"RemoveRequest":   func(d *db) error { return d.RemoveRequest(ctx, x) },
		"RemoveShares":    func(d *db) error { return d.RemoveShares(ctx, "x1") },
		"RemoveToken":     func(d *db) error { return d.RemoveToken(ctx, x) },
		"RemoveWindows":   func(d *db) error { return d.RemoveWindows(ctx, c, 1) },
		"RenewAll":        func(d *db) error { return d.RenewAll(ctx, 1, 2, 1, 1) },
		"RenewDevice":     func(d *db) error { return d.RenewDevice(ctx, "x1", 1) },
		"RenewLedger":     func(d *db) error { return d.RenewLedger(ctx, "x1", 1) },
		"Request":         func(d *db) error { return no(d.Request(ctx, x, 1)) },
		"RetokenSignIn": func(d *db) error {
			s := attempt
			s.Token = []byte("y")
			return d.RetokenSignIn(ctx, x, s, 1)
		},
		"RetryMessage":   func(d *db) error { return d.RetryMessage(ctx, "x1", 1, true) },
		"RewriteRequest": func(d *db) error { return d.RewriteRequest(ctx, x, "y") },
		"SeeSession":     func(d *db) error { return d.SeeSession(ctx, "x1", 99) },
		"SeeSignIn":      func(d *db) error { return d.SeeSignIn(ctx, "x1", "y") },
		"Session":        func(d *db) error { _, _, err := d.Session(ctx, x, 0, 1); return err },
		"SessionOf":      func(d *db) error { _, _, err := d.SessionOf(ctx, "x1", 0, 1); return err },
		"Sessions":       func(d *db) error { return no(d.Sessions(ctx, "x1", 0, 1)) },
		"SetDisabled":    func(d *db) error { return d.SetDisabled(ctx, "x1", 1, 1) },
		"SetEmail":       func(d *db) error { return d.SetEmail(ctx, "x1", 1, "y") },
		"SetGroups":      func(d *db) error { return d.SetGroups(ctx, "x1", "y") },
		"SetMark":        func(d *db) error { return d.SetMark(ctx, "x1", "y") },
		"SetPassword":    func(d *db) error { return d.SetPassword(ctx, "x1", 1, x, 1) },
		"SetTime":        func(d *db) error { return d.SetTime(ctx, 1) },
		"SignIn":         func(d *db) error { return no(d.SignIn(ctx, x)) },
		"SigningKeys":    func(d *db) error { return no(d.SigningKeys(ctx)) },
		"Spend":          func(d *db) error { return d.Spend(ctx, c, 1, 1, 9) },
		"Sweep":          func(d *db) error { return no(d.Sweep(ctx, store.Old{})) },
		"TakeLongerBack": func(d *db) error { return d.TakeLongerBack(ctx, "x1") },
		"TakePushed":     func(d *db) error { return d.TakePushed(ctx, x, "x1", 1) },
		"Tell":           func(d *db) error { return d.Tell(ctx, "x1", "x1", 1, 2) },
		"TellGuessed":    func(d *db) error { return d.TellGuessed(ctx, "x1", 0, 1) },
		"TellLonger":     func(d *db) error { return d.TellLonger(ctx, "x1", 0, 1) },
		"TickSignIn":     func(d *db) error { return d.TickSignIn(ctx, "x1", true) },
		"Token":          func(d *db) error { _, _, err := d.Token(ctx, x); return err },
		"Told":           func(d *db) error { return d.Told(ctx, "x1", "x1", 1) },
		"Try":            func(d *db) error { return d.Try(ctx, store.Challenge{ID: "x1"}, 5, 1) },
		"TurnDevice": func(d *db) error {
			v := store.Device{ID: "x1", Secret: x, Next: x}
			return d.TurnDevice(ctx, v, v)
		},
		"Untold":  func(d *db) error { return no(d.Untold(ctx, 1)) },
		"UseCode": func(d *db) error { return d.UseCode(ctx, "x1", 1) },
		"UseFactor": func(d *db) error {
			return d.UseFactor(ctx, store.Factor{ID: "x1", Account: "x1", Version: 1, Body: x}, 1)
		},
		"UseGrant": func(d *db) error { return no(d.UseGrant(ctx, x, "x1", 1)) },
		"UseLink":  func(d *db) error { return d.UseLink(ctx, x, 1) },
		"UsePlace": func(d *db) error {
			return d.UsePlace(ctx, store.Place{ID: "x1", Epoch: 1, Body: x}, 1)
		},
		"UseToken": func(d *db) error { return d.UseToken(ctx, x, 1) },
		"Void":     func(d *db) error { return d.Void(ctx, "y", 1) },
		"Wait": func(d *db) error {
			_, _, err := d.Wait(ctx, "x1", []store.CounterWindow{{Counter: c, EndsAt: 1}, {Counter: c, EndsAt: 2}})
			return err
		},
		"Windows": func(d *db) error { return no(d.Windows(ctx, c, 1)) },
	}
}

// Every statement finds its rows by an index, on both databases: none reads a whole table that grows. The log names
// the index that each uses.
func TestPlans(t *testing.T) {
	used := map[string]bool{} // of fullReads
	storetest.Each(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		raw := connect(t, url)
		fill(t, raw, url)
		explain, indexes := explainSQLite, `SELECT name || ' ' || tbl_name || ' ' || COALESCE(sql, '')
				FROM sqlite_master WHERE type = 'index'`
		if strings.HasPrefix(url, "postgres") {
			explain, indexes = explainPostgres, `SELECT indexname || ' ' || tablename || ' ' || indexdef
					FROM pg_indexes`
		}
		tables := map[string]string{} // by the name of an index
		for _, row := range texts(t, raw, indexes) {
			name, rest, _ := strings.Cut(row, " ")
			table, definition, _ := strings.Cut(rest, " ")
			if tables[name] = table; slices.Contains(smallIndexes, name) && !strings.Contains(definition, " WHERE ") {
				t.Errorf("%s is not partial", name)
			}
		}
		run, recorder, undo := calls(t.Context()), storetest.Record(t, db), errors.New("undo")
		methods := reflect.TypeFor[*store.DB]()
		for i := range methods.NumMethod() {
			name := methods.Method(i).Name
			if slices.Contains(withoutSQL, name) {
				continue
			}
			call := run[name]
			if call == nil {
				t.Errorf("%s is not run by this test: add it to calls", name)
				continue
			}
			recorder.Reset()
			err := db.Tx(t.Context(), func(tx *store.DB) error { return errors.Join(call(tx), undo) })
			if err.Error() != undo.Error() {
				t.Errorf("%s: %v", name, err)
			}
			statements := recorder.Statements()
			if len(statements) == 0 {
				t.Errorf("%s ran no statement: list it in withoutSQL", name)
			}
			for _, s := range statements {
				var by []string
				for _, step := range explain(t, raw, s) {
					step.table = cmp.Or(tables[step.index], step.table)
					by = append(by, step.String())
					if step.full && !slices.Contains(smallIndexes, step.index) {
						if fullReads[name+" "+step.table] == "" {
							t.Errorf("%s reads all of %s: %s", name, step.table, s.Query)
						}
						used[name+" "+step.table] = true
					}
				}
				t.Logf("%-16s %-60.60s %s", name, strings.Join(strings.Fields(s.Query), " "), strings.Join(by, ", "))
			}
		}
	})
	for name := range fullReads {
		if !used[name] {
			t.Errorf("%s reads nothing whole: remove it from fullReads", name)
		}
	}
}

// A row that is deleted finds the rows that go with it by an index.
func TestCascadesHaveIndexes(t *testing.T) {
	url := filepath.Join(t.TempDir(), "twostep.db")
	storetest.Open(t, url)
	raw := connect(t, url)
	rows := texts(t, raw, `SELECT t.name || '.' || f."from" FROM sqlite_master t, pragma_foreign_key_list(t.name) f
		WHERE t.type = 'table' AND NOT EXISTS (SELECT 1 FROM pragma_index_list(t.name) i, pragma_index_info(i.name) c
			WHERE c.seqno = 0 AND c.name = f."from" AND i.partial = 0)`)
	if len(rows) != 0 {
		t.Errorf("no index begins with %q", rows)
	}
}

// step is one table that a statement reads.
type step struct {
	table, index string
	full         bool // all rows of the table or the index
}

func (s step) String() string {
	text := cmp.Or(s.index, s.table)
	if s.full {
		text += " (all rows)"
	}
	return text
}

func connect(t *testing.T, url string) *sql.DB {
	t.Helper()
	driver := "sqlite"
	if strings.HasPrefix(url, "postgres") {
		driver = "pgx"
	}
	raw, err := sql.Open(driver, url)
	if err != nil {
		t.Fatal(err)
	}
	raw.SetMaxOpenConns(1) // settings are those of a connection
	t.Cleanup(func() { _ = raw.Close() })
	return raw
}

func texts(t *testing.T, raw *sql.DB, query string, args ...any) (list []string) {
	t.Helper()
	rows, err := raw.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// explainSQLite returns what SQLite reads for a statement. It has no statistics, as in production.
func explainSQLite(t *testing.T, raw *sql.DB, s storetest.Statement) (steps []step) {
	t.Helper()
	rows, err := raw.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+s.Query, s.Args...)
	if err != nil {
		t.Fatalf("%s: %v", s.Query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		// SCAN table, SEARCH table USING COVERING INDEX name (column=?) and the like; others name no table
		words := strings.Fields(detail)
		if len(words) < 2 || words[0] != "SCAN" && words[0] != "SEARCH" || slices.Contains(noTables, words[1]) || words[1][0] == '(' {
			continue
		}
		one := step{table: words[1], full: words[0] == "SCAN"}
		if i := slices.Index(words, "INDEX"); i > 0 && i+1 < len(words) {
			one.index = words[i+1]
		}
		steps = append(steps, one)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

// explainPostgres returns what PostgreSQL reads for a statement if it can avoid to read tables as a whole. An index
// that is read without a condition is read as a whole too.
func explainPostgres(t *testing.T, raw *sql.DB, s storetest.Statement) (steps []step) {
	t.Helper()
	plan := texts(t, raw, "EXPLAIN (FORMAT JSON) "+s.Query, s.Args...)
	var top []struct{ Plan map[string]any }
	if err := json.Unmarshal([]byte(strings.Join(plan, "\n")), &top); err != nil {
		t.Fatal(err)
	}
	var walk func(node map[string]any)
	walk = func(node map[string]any) {
		text := func(key string) string { s, _ := node[key].(string); return s }
		switch text("Node Type") {
		case "Seq Scan":
			steps = append(steps, step{table: text("Relation Name"), full: true})
		case "Index Scan", "Index Only Scan", "Bitmap Index Scan":
			steps = append(steps, step{text("Relation Name"), text("Index Name"), text("Index Cond") == ""})
		}
		children, _ := node["Plans"].([]any)
		for _, child := range children {
			walk(child.(map[string]any))
		}
	}
	for _, one := range top {
		walk(one.Plan)
	}
	return steps
}

// fill gives every table a thousand rows. In row n every text and hash is "x" and n; numbers are n, or what makes the
// row a live one.
func fill(t *testing.T, raw *sql.DB, url string) {
	t.Helper()
	postgres := strings.HasPrefix(url, "postgres")
	tables := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'
			AND name NOT LIKE 'goose%' ORDER BY rowid`
	columns := `SELECT name || ' ' || type FROM pragma_table_info($1)`
	numbers, blob := `WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)`,
		`CAST('x' || n AS BLOB)`
	if postgres {
		tables = `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
				AND relname NOT LIKE 'goose%' ORDER BY oid`
		columns = `SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE table_name = $1
				ORDER BY ordinal_position`
		numbers, blob = `WITH n (n) AS (SELECT generate_series(1, 1000))`, `convert_to('x' || n, 'UTF8')`
	}
	special := map[string]string{
		"epoch": "1", "version": "1", "guesses": "0", "open_attempts": "0", "send_attempts": "0", "used_at": "0",
		"finished_at": "0",
		"passed_at":   "0", "revoked_at": "0", "disabled_at": "0", "code_used_at": "0", "logout_due_at": "0",
		"logout_sent_at":    "0",
		"guess_notified_at": "0", "spent_notified_at": "0", "expires_at": "100000 + n",
		"session_expires_at": "100000 + n",
		"code_expires_at":    "100000 + n", "revoke_reason": "''", "state": "'waiting'", "pushed": "TRUE",
		"logout_pending": "n < 5",
		"operator":       "FALSE", "needs_long_code": "FALSE", "trust_requested": "FALSE", "shown_only": "FALSE",
		"settings_shown":            "FALSE",
		"offline":                   "FALSE",
		"guess_budget_entries.kind": "CASE n % 3 WHEN 0 THEN 'send' WHEN 1 THEN 'guess' ELSE 'proof' END",
	}
	for _, table := range texts(t, raw, tables) {
		var names, values []string
		for _, column := range texts(t, raw, columns, table) {
			name, kind, _ := strings.Cut(column, " ")
			value := cmp.Or(special[table+"."+name], special[name], "n")
			switch strings.ToLower(kind) {
			case "text":
				value = cmp.Or(special[table+"."+name], special[name], "'x' || n")
			case "blob", "bytea":
				value = blob
			}
			names, values = append(names, name), append(values, value)
		}
		if _, err := raw.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO %s (%s) %s SELECT %s FROM n`,
			table, strings.Join(names, ", "), numbers, strings.Join(values, ", "))); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
	settings := []string{`DELETE FROM challenges WHERE id = 'x1000'`} // an attempt that has none
	if postgres {
		settings = append(settings, `ANALYZE`, `SET enable_seqscan = off`)
	}
	for _, statement := range settings {
		if _, err := raw.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}
