package population

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"twostep.example/twostep"
)

// Reader reads a database with plain SQL.
type Reader struct{ db *sql.DB }

// NewReader opens a database, while a server may have it open.
func NewReader(database string) (*Reader, error) {
	driver := "sqlite"
	if isPostgres(database) {
		driver = "pgx"
	}
	db, err := sql.Open(driver, database)
	return &Reader{db}, err
}

// Close closes the connections.
func (r *Reader) Close() error { return r.db.Close() }

// Rows reads all rows of a query and returns their number.
func (r *Reader) Rows(ctx context.Context, query string, args ...any) (n int, err error) {
	rows, err := r.db.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("population: %w: %.200s", err, query)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	cells := make([]any, len(columns))
	for i := range cells {
		cells[i] = new(sql.RawBytes)
	}
	for rows.Next() {
		if err := rows.Scan(cells...); err != nil {
			return n, err
		}
		n++
	}
	return n, rows.Err()
}

// Text returns the only cell of a query.
func (r *Reader) Text(ctx context.Context, query string, args ...any) (text string, err error) {
	return text, r.db.QueryRowContext(ctx, query, args...).Scan(&text)
}

// AddEvents copies security events until there are n, within the last 300 days before now.
func AddEvents(ctx context.Context, database string, n int, now time.Time) error {
	c, err := newCopier(ctx, database)
	if err != nil {
		return err
	}
	defer c.db.Close()
	var have int
	if err := c.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM audit_events`).Scan(&have); err != nil {
		return err
	}
	if have >= n {
		return nil
	}
	missing := n - have
	const columns = `kind, actor_type, actor_id, account, target, failed, reason, client, sign_in, address, browser, trace, occurrences`
	step := (300 * day).Milliseconds() / int64(missing)
	err = c.run(ctx, fmt.Sprintf(`INSERT INTO audit_events (id, `+columns+`)
		SELECT ((%d - ROW_NUMBER() OVER () * %d) << 21) + 77, `+columns+` FROM audit_events
			CROSS JOIN (WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < %d) SELECT n FROM n) AS copies
		WHERE TRUE LIMIT %d ON CONFLICT DO NOTHING`, now.UnixMilli(), step, missing/have+1, missing))
	if err != nil {
		return err
	}
	return c.run(ctx, `ANALYZE`)
}

// NewOperator creates an account with the role operator, with an authenticator app, and signs in.
func (s *Site) NewOperator(ctx context.Context, email, address string) (*Person, error) {
	p, err := s.NewPerson(ctx, email, address)
	if err == nil {
		err = s.SetRole(ctx, twostep.By{}, email, twostep.RoleOperator)
	}
	if err != nil {
		return nil, err
	}
	s.Advance(time.Minute)          // for the next code
	p.cookies = map[string]string{} // trust would skip the second step
	_, err = p.SignIn(false)
	return p, err
}

// Read reads a page or a file of the site as the person and drops it. It returns how many bytes it has.
func (p *Person) Read(path string) (bytes int64, err error) {
	r := httptest.NewRequest(http.MethodGet, PublicURL+path, nil)
	r.RemoteAddr, r.RequestURI = "127.0.0.1:1", r.URL.RequestURI()
	r.Header.Set("X-Forwarded-For", p.Address)
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("User-Agent", userAgent)
	for name, value := range p.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := &counter{header: http.Header{}}
	p.Site.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		return 0, fmt.Errorf("population: %s: %d to %s", path, w.status, w.header.Get("Location"))
	}
	return w.bytes, nil
}

// counter counts what is written.
type counter struct {
	header http.Header
	status int
	bytes  int64
}

func (c *counter) Header() http.Header { return c.header }

func (c *counter) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
}

func (c *counter) Write(data []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	c.bytes += int64(len(data))
	return len(data), nil
}
