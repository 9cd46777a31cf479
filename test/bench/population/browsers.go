package population

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store"
)

// Browsers signs the people in at the host in n browsers, and returns the cookies of the host. It copies the rows of
// the browser in which each has visited the host.
func Browsers(ctx context.Context, database string, people []*Person, n int) (cookies []*http.Cookie, err error) {
	db, err := store.Open(ctx, database)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	for i, p := range people {
		cookie, err := p.VisitHost()
		if err != nil {
			return nil, err
		}
		copies := n/len(people) + min(1, max(0, n%len(people)-i))
		err = db.Tx(ctx, func(tx *store.DB) error {
			token, g, err := tx.FindToken(ctx, seal.HashToken(cookie.Value))
			if err != nil {
				return err
			}
			s, _, err := tx.GetSession(ctx, g.SessionID, time.Time{}, p.Site.now())
			if err != nil {
				return err
			}
			for range copies {
				one := *cookie
				one.Value = seal.NewToken()
				cookies = append(cookies, &one)
				s.ID, s.TokenHash = rand.Text(), seal.HashToken(rand.Text())
				g.ID, g.SessionID, g.CodeHash = rand.Text(), s.ID, seal.HashToken(rand.Text())
				token.Hash, token.GrantID = seal.HashToken(one.Value), g.ID
				if err := tx.CreateSession(ctx, s); err != nil {
					return err
				}
				if err := tx.CreateGrant(ctx, g); err != nil {
					return err
				}
				if err := tx.CreateToken(ctx, token); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return cookies, nil
}

// Size returns how many bytes a database takes.
func Size(ctx context.Context, database string) (bytes int64, err error) {
	c, err := newCopier(ctx, database)
	if err != nil {
		return 0, err
	}
	defer c.db.Close()
	query := `SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)`
	if c.postgres {
		query = `SELECT pg_database_size(current_database())`
	}
	return bytes, c.db.QueryRowContext(ctx, query).Scan(&bytes)
}

func isPostgres(database string) bool { return strings.HasPrefix(database, "postgres") }
