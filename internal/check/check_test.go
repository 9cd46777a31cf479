package check

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// newMuteServer returns a server that accepts the password and sends nothing, and the number of codes it was asked for.
func newMuteServer(t *testing.T) (base string, signIns *atomic.Int64) {
	t.Helper()
	signIns = &atomic.Int64{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {})
	mux.HandleFunc("POST "+AccountPath, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"email":"check@example.com","password":"correct horse battery"}`)
	})
	mux.HandleFunc("POST /signin", func(w http.ResponseWriter, r *http.Request) {
		signIns.Add(1)
		http.Redirect(w, r, "/signin/verify", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /signin/verify", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<p id="delivery" role="status" data-state="failed">The mail server <b>refused</b> the message.</p>`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, signIns
}

// If no message arrives, the check stops after one sign-in and says why, in the words of the code page.
func TestMissingMessageEndsTheCheck(t *testing.T) {
	base, signIns := newMuteServer(t)
	var out bytes.Buffer
	err := run(t.Context(), Target{URL: base}, &out, patience{first: time.Millisecond})
	want := "no message with a 6-digit code has arrived: The mail server refused the message."
	if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want) ||
		!strings.Contains(err.Error(), "check@example.com") {
		t.Errorf("got %v, want %q", err, want)
	}
	if n := signIns.Load(); n != 1 || out.Len() != 0 {
		t.Errorf("%d sign-ins, want 1\n%s", n, &out)
	}
}

// If messages stop arriving later, only the first sentence waits long.
func TestOnlyOneSentenceWaitsLong(t *testing.T) {
	base, _ := newMuteServer(t)
	parsed, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	v := &testUser{ctx: t.Context(), base: parsed, patience: &patience{first: time.Millisecond}}
	if err := v.newBrowser().enterPassword(); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
	if got := v.patience.duration(); got != v.patience.later {
		t.Errorf("the check waits %s for the next message, want %s", got, v.patience.later)
	}
}
