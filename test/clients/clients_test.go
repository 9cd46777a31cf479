package clients

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// step is a column of the table.
type step string

const (
	signIn           step = "sign-in"
	refresh          step = "refresh"
	userinfo         step = "userinfo"
	signOut          step = "sign-out"
	backChannel      step = "back-channel"
	misconfiguration step = "misconfiguration"
)

var steps = []step{signIn, refresh, userinfo, signOut, backChannel, misconfiguration}

// row is a client, and a row of the table.
type row struct {
	name    string // of the guide: docs/guides/apps/NAME.md
	version string // as in tools/clients.sh
	quick   bool   // runs in make test, too
	folder  string // below build/clients, in which its files are; "": the folder itself
	run     func(*testing.T, *row)
	without map[step]string // why the client does not do a step

	seen  map[step]bool
	lines []string // of the log, for the misconfigurations
	ran   bool
}

// saw records that a step was checked.
func (s *site) saw(what step) { s.row.seen[what] = true }

var list = []*row{
	angularAuth,
	authJS,
	authlibFlask,
	expressOpenIDConnect,
	hashicorpCap,
	kubelogin,
	miniflux,
	mozillaDjangoOIDC,
	msalBrowser,
	msalNode,
	msalPython,
	oauth2Proxy,
	oidcClientTS,
	passportOpenIDConnect,
	socialDjango,
	springSecurity,
}

// TestClients signs in to each client. Without -all, to those that cost seconds.
func TestClients(t *testing.T) {
	for _, r := range list {
		if !*all && !r.quick {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.seen, r.ran = map[step]bool{}, true
			r.run(t, r)
			for _, what := range steps {
				if reason := r.without[what]; r.seen[what] == (reason != "") && !t.Failed() {
					t.Errorf("%s: checked %t, but the list has the reason %q", what, r.seen[what], reason)
				}
			}
		})
	}
}

// printTable prints what was seen, as a table in Markdown.
func printTable(w io.Writer) {
	fmt.Fprint(w, "| client | version |")
	for _, what := range steps {
		fmt.Fprintf(w, " %s |", what)
	}
	fmt.Fprintf(w, "\n|%s\n", strings.Repeat("---|", len(steps)+2))
	for _, r := range list {
		if !r.ran {
			continue
		}
		fmt.Fprintf(w, "| %s | %s |", r.name, r.version)
		for _, what := range steps {
			cell := "FAILED"
			switch {
			case r.without[what] != "":
				cell = r.without[what]
			case what == misconfiguration && len(r.lines) > 0:
				cell = strings.Join(r.lines, "; ")
			case r.seen[what]:
				cell = "yes"
			}
			fmt.Fprintf(w, " %s |", cell)
		}
		fmt.Fprintln(w)
	}
}
