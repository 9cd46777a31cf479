package admin

import (
	"context"
	"net/http"
	"time"

	"twostep.example/twostep/internal/ratelimit"
)

const (
	// exportTimeout is how long an export may take.
	exportTimeout = 10 * time.Minute
	// maxExports is how many exports a server writes at the same time, so that they do not keep others waiting.
	maxExports = 2
	// exportRetry is when to try again if there are as many already.
	exportRetry = 10 * time.Second
	// exportPage is how many rows an export reads at once; it needs no more memory than these.
	exportPage = 1000
	// recordTimeout is how long the event of an export may take.
	recordTimeout = 5 * time.Second
)

// beginExport counts an export until end is called. It returns a *ratelimit.LimitedError if too many are being written.
func (s *Handlers) beginExport() (end func(), err error) {
	if s.exports.Add(1) > maxExports {
		s.exports.Add(-1)
		return nil, &ratelimit.LimitedError{RetryAt: s.Pages.CurrentTime().Add(exportRetry)}
	}
	return func() { s.exports.Add(-1) }, nil
}

// stream sends a file that is read page by page: next reads a page and returns what writes it, and whether more follow. An
// error after the first page aborts the response, so that nobody takes a part for the whole. Whatever was sent, record is
// called at the end; its error aborts the response too.
func (s *Handlers) stream(
	w http.ResponseWriter, r *http.Request, kind, file string,
	next func(ctx context.Context, first bool) (write func() error, more bool, err error),
	record func(ctx context.Context) error,
) error {
	end, err := s.beginExport()
	if err != nil {
		return err
	}
	defer end()
	// A request may take 10 seconds. A client that has gone ends this with the next page.
	ctx, stop := context.WithTimeout(context.WithoutCancel(r.Context()), exportTimeout)
	defer stop()
	// The limit of the server is for pages. A writer that has no limit returns an error.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exportTimeout))
	for first := true; ; first = false {
		write, more, err := next(ctx, first)
		if first && err != nil {
			return err
		}
		if first {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Content-Disposition", `attachment; filename="`+file+`"`)
			if r.Method == http.MethodHead {
				return nil
			}
		}
		if err == nil {
			err = write()
		}
		if err == nil && more {
			continue
		}
		recording, stopRecording := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer stopRecording()
		if failed := record(recording); err != nil || failed != nil {
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}
