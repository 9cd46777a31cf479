package population

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// Create fills an empty database, whose keys are in dir, with n accounts that have been used for a year. Nobody can
// sign in to them: what is sealed belongs to the account from which it was copied.
func Create(ctx context.Context, database, dir string, n int) error {
	if err := year(ctx, database, dir); err != nil {
		return err
	}
	c, err := newCopier(ctx, database)
	if err != nil {
		return err
	}
	return errors.Join(c.copyAll(ctx, n), c.db.Close())
}

// sharedTables have rows of the whole site, which are not copied.
var sharedTables = []string{
	"server_state", "clients", "signing_keys", "client_rejections", "registration_tokens", "client_documents", "client_uses",
	"audit_counters", "audit_terms", "audit_browsers", "goose_db_version", "sqlite_sequence",
}

// copier copies rows with SQL. Numbers and texts are the same on both databases.
type copier struct {
	db       *sql.DB
	postgres bool
}

func newCopier(ctx context.Context, database string) (*copier, error) {
	c := &copier{postgres: isPostgres(database)}
	driver, settings := "sqlite", []string{
		`PRAGMA synchronous = OFF`, `PRAGMA cache_size = -4000000`, `PRAGMA foreign_keys = OFF`, `PRAGMA temp_store = MEMORY`,
	}
	if c.postgres {
		driver, settings = "pgx", []string{
			`SET session_replication_role = replica`, `SET maintenance_work_mem = '1GB'`, `SET synchronous_commit = off`,
		}
	}
	var err error
	if c.db, err = sql.Open(driver, database); err != nil {
		return nil, err
	}
	c.db.SetMaxOpenConns(1) // settings are those of a connection
	return c, c.run(ctx, settings...)
}

func (c *copier) run(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := c.db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("population: %w: %.200s", err, statement)
		}
	}
	return nil
}

// texts returns rows of one or two columns of text.
func (c *copier) texts(ctx context.Context, query string) (list [][2]string, err error) {
	rows, err := c.db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var one [2]string
		if err := rows.Scan(&one[0], &one[1]); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, rows.Err()
}

// copyAll makes n accounts of the models. Indexes are created again at the end, which is faster.
func (c *copier) copyAll(ctx context.Context, n int) error {
	tables := `SELECT name, '' FROM sqlite_master WHERE type = 'table' ORDER BY name`
	indexes := `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL`
	if c.postgres {
		tables = `SELECT relname::text, '' FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
			ORDER BY relname`
		indexes = `SELECT indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public'
			AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname)`
	}
	definitions, err := c.texts(ctx, indexes)
	if err != nil {
		return err
	}
	for _, index := range definitions {
		if err := c.run(ctx, `DROP INDEX `+index[0]); err != nil {
			return err
		}
	}
	names, err := c.texts(ctx, tables)
	if err != nil {
		return err
	}
	for _, table := range names {
		if !slices.Contains(sharedTables, table[0]) {
			if err := c.copyTable(ctx, table[0], n/Models); err != nil {
				return err
			}
		}
	}
	for _, index := range definitions {
		if err := c.run(ctx, index[1]); err != nil {
			return err
		}
	}
	if c.postgres {
		return c.run(ctx, `VACUUM ANALYZE`)
	}
	return c.run(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
}

// copyTable copies each row so many times less one. Copy number n differs in its ids, its addresses and its times.
func (c *copier) copyTable(ctx context.Context, table string, times int) error {
	columns := `SELECT name, lower(type) FROM pragma_table_info('` + table + `')`
	numbers := `(WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < %d) SELECT n FROM n)`
	if c.postgres {
		columns = `SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_name = '` + table +
			`' ORDER BY ordinal_position`
		numbers = `generate_series(1, %d)`
	}
	list, err := c.texts(ctx, columns)
	if err != nil {
		return err
	}
	var names, values []string
	for _, column := range list {
		names = append(names, column[0])
		values = append(values, c.value(table, column[0], column[1]))
	}
	from := fmt.Sprintf(numbers, times-1) + ` AS copies`
	if c.postgres {
		from += ` (n)`
	}
	if times < 2 {
		return nil
	}
	end := `ON CONFLICT DO NOTHING`
	if table == "audit_events" {
		end = `ORDER BY 1` // ids are those of the time, and two must not be the same
	}
	return c.run(ctx, fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM %s CROSS JOIN (SELECT * FROM %s) AS t WHERE TRUE %s`,
		table, strings.Join(names, ", "), strings.Join(values, ", "), from, table, end))
}

// keyColumns identify a row or refer to one, beside those that end in _id and _hash.
var keyColumns = []string{"id", "series", "subject", "budget", "account", "hash", "user_code"}

// value returns the SQL expression of a column of copy n.
func (c *copier) value(table, column, kind string) string {
	text := `t.` + column
	isKey := slices.Contains(keyColumns, column) || table == "guess_budgets" && column == "name" ||
		strings.HasSuffix(column, "_id") && column != "client_id" || strings.HasSuffix(column, "token_hash") ||
		column == "code_hash"
	switch {
	case table == "audit_events" && column == "id":
		// The time is in the upper bits. Copies of a row differ in it, by hours and milliseconds, and keep its random bits.
		return text + ` - (CAST(n AS BIGINT) % 240 * 3600000 + n / 240) * 2097152`
	case table == "account_keys" && column == "key": // an address, or words of a name
		if c.postgres {
			return `CASE WHEN position('\x40'::bytea IN ` + text + `) > 0 THEN convert_to(` + c.prefix() + `, 'UTF8') || ` + text +
				` ELSE ` + text + ` END`
		}
		return `CASE WHEN instr(` + text + `, x'40') > 0 THEN unhex(hex(` + c.prefix() + `) || hex(` + text + `)) ELSE ` + text + ` END`
	case column == "email":
		return c.prefix() + ` || ` + text
	case column == "address":
		return `CASE WHEN ` + text + ` = '' THEN '' ELSE '10.' || (n / 65536) % 256 || '.' || (n / 256) % 256 || '.' || n % 256 END`
	case isKey && (kind == "blob" || kind == "bytea"):
		if c.postgres {
			return `convert_to(` + c.prefix() + `, 'UTF8') || substr(` + text + `, 9)`
		}
		return `unhex(hex(` + c.prefix() + `) || hex(substr(` + text + `, 9)))`
	case isKey:
		return `CASE WHEN ` + text + ` = '' THEN '' ELSE ` + c.prefix() + ` || substr(` + text + `, 9) END`
	case strings.HasSuffix(column, "_at") || strings.HasSuffix(column, "_until"):
		return `CASE WHEN ` + text + ` = 0 THEN 0 ELSE ` + text + ` - n % 240 * 3600000 END` // up to 10 days earlier
	}
	return text
}

// prefix returns the SQL expression of 8 hexadecimal digits that differ between copies and look random, as ids do.
func (c *copier) prefix() string {
	if c.postgres {
		return `lpad(to_hex((n::bigint * 2654435761) % 4294967296), 8, '0')`
	}
	return `printf('%08x', n * 2654435761 % 4294967296)`
}
