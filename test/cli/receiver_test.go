package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// newReceiver returns a server that takes requests of webhooks whose signature is valid with the first secret in a
// file. It verifies them with the library of Standard Webhooks, and appends a line about each to the file NAME.log: the type of
// the event and how many signatures it has.
func newReceiver(t *testing.T, secretFile string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secrets, err := os.ReadFile(secretFile)
		if err != nil {
			t.Error(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		verifier, err := standardwebhooks.NewWebhook(strings.Fields(string(secrets) + " whsec_")[0])
		if err != nil {
			t.Error(err)
			return
		}
		if err := verifier.Verify(body, r.Header); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		var event struct{ Type string }
		if err := json.Unmarshal(body, &event); err != nil {
			t.Error(err)
		}
		log, err := os.OpenFile(secretFile+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		defer log.Close()
		fmt.Fprintf(log, "%s %d\n", event.Type, len(strings.Fields(r.Header.Get("Webhook-Signature"))))
	}))
	t.Cleanup(server.Close)
	return server
}

// startReceiver puts the URL of newReceiver into a variable.
func startReceiver(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: receiver VARIABLE secretfile")
		}
		ts.Setenv(args[0], newReceiver(t, ts.MkAbs(args[1])).URL)
	}
}
