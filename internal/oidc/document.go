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

// document is a JSON document that is the same for everybody, such as the key set. Every client fetches it, and it
// changes rarely.
type document struct{ last atomic.Pointer[documentBody] }

type documentBody struct {
	basis grant.Basis
	body  []byte
	etag  string
}

// serve writes the document. It is made again from the result of load if a client was changed here, and after the time in
// which another server may have changed something.
func (d *document) serve(w http.ResponseWriter, r *http.Request, g *grant.Grants, load func() (any, error)) error {
	last := d.last.Load()
	if last == nil || !g.Valid(r.Context(), last.basis) {
		fresh := documentBody{basis: g.Basis().OfClients()} // before reading
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
