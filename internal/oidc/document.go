package oidc

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
)

// documentTTL is how long a document is served from memory. Changes by this server take effect at once, changes by
// others when it expires.
const documentTTL = time.Second

// document is a JSON document that is the same for everybody, such as the key set. Every client fetches it, and it
// changes rarely.
type document struct{ last atomic.Pointer[documentBody] }

type documentBody struct {
	at    time.Time
	basis grant.Basis
	body  []byte
	etag  string
}

// serve writes the document. It is made again from the result of load if it has expired, or if a client was changed.
func (d *document) serve(w http.ResponseWriter, r *http.Request, g *grant.Grants, load func() (any, error)) error {
	now, last := g.Now(), d.last.Load()
	if last == nil || now.Sub(last.at) < 0 || now.Sub(last.at) >= documentTTL || !g.Valid(r.Context(), last.basis) {
		fresh := documentBody{at: now, basis: g.Basis().OfClients()} // before reading
		fields, err := load()
		if err != nil {
			return err
		}
		if fresh.body, err = json.Marshal(fields); err != nil {
			return err
		}
		fresh.body = append(fresh.body, '\n')
		sum := sha256.Sum256(fresh.body)
		fresh.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		last = &fresh
		d.last.Store(last)
	}
	render.AllowCORS(w)
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Del("Vary")
	h.Set("Content-Type", "application/json")
	h.Set("ETag", last.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(last.body)) // 304 for a client that has it
	return nil
}
