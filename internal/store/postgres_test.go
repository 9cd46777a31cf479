package store

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TextOf returns the only column of the only row of a query, for tests of other packages.
func TextOf(ctx context.Context, db *DB, query string) (text string, err error) {
	err = db.write.QueryRowContext(ctx, query).Scan(&text)
	return text, err
}

// A URL with several hosts leads to the one that accepts writes, and each host has 2 seconds to answer, unless the URL
// says otherwise.
func TestURLWithSeveralHosts(t *testing.T) {
	for address, want := range map[string]struct {
		timeout   time.Duration
		validated bool
	}{
		"postgres://ann@a/people":                                             {2 * time.Second, false},
		"postgres://ann@a/people?sslmode=prefer":                              {2 * time.Second, false},
		"postgres://ann@a,b/people":                                           {2 * time.Second, true},
		"postgres://ann@a:5432,b:5433,c/people?sslmode=disable":               {2 * time.Second, true},
		"postgres://ann@a:5432,a:5433/people":                                 {2 * time.Second, true},
		"postgres:///people?host=a,b&user=ann":                                {2 * time.Second, true},
		"postgres://ann@a,b/people?connect_timeout=7":                         {7 * time.Second, true},
		"postgres://ann@a,b/people?target_session_attrs=any&sslmode=disable":  {2 * time.Second, false},
		"postgres://ann@a,b/people?target_session_attrs=primary":              {2 * time.Second, true},
		"postgres://ann@a/people?target_session_attrs=read-write":             {2 * time.Second, true},
		"postgres://ann@%2Frun%2Fpostgresql/people":                           {2 * time.Second, false},
		"postgres://ann@a/people?connect_timeout=1&target_session_attrs=any":  {time.Second, false},
		"postgres://ann@a,b/people?default_query_exec_mode=exec":              {2 * time.Second, true},
		"postgres://ann@a,b/people?application_name=mine&connect_timeout=300": {5 * time.Minute, true},
	} {
		p, err := newPostgres(Config{URL: address})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		for _, c := range []*pgx.ConnConfig{p.direct, p.pooled} {
			if c.ConnectTimeout != want.timeout || (c.ValidateConnect != nil) != want.validated {
				t.Errorf("%s: %s, validated %v, want %v", address, c.ConnectTimeout, c.ValidateConnect != nil, want)
			}
		}
	}
}

// The name of the connections is that of the settings, else of the URL, else twostep. No other parameter is sent at the
// start of a session: poolers refuse those that they do not know.
func TestStartupParameters(t *testing.T) {
	for _, c := range []struct{ address, setting, want string }{
		{"postgres://ann@a/people", "", "twostep"},
		{"postgres://ann@a/people?application_name=mine", "", "mine"},
		{"postgres://ann@a/people?application_name=mine", "set", "set"},
	} {
		p, err := newPostgres(Config{URL: c.address, ApplicationName: c.setting, StatementTimeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, config := range []*pgx.ConnConfig{p.direct, p.pooled} {
			if got := config.RuntimeParams; len(got) != 1 || got["application_name"] != c.want {
				t.Errorf("%+v: %v", c, got)
			}
		}
	}
}
