package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/trust"
)

// labels returns the labels of the samples of a collector that are above 0.
func labels(t *testing.T, c prometheus.Collector) (all []string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, sample := range family.GetMetric() {
			if sample.GetCounter().GetValue() == 0 && sample.GetHistogram().GetSampleCount() == 0 {
				continue
			}
			text := ""
			for _, label := range sample.GetLabel() {
				text += label.GetName() + "=" + label.GetValue() + " "
			}
			all = append(all, text+fmt.Sprint(max(sample.GetCounter().GetValue(), float64(sample.GetHistogram().GetSampleCount()))))
		}
	}
	return all
}

// What is in no list is Other, also if it comes from a request.
func TestUnknownValuesAreOther(t *testing.T) {
	m := New(Labels{Methods: []string{"email"}, Channels: []string{"email"}, Database: []string{"read"}})
	m.AddRoutes("GET /settings/2step/{method}")
	const secret = "anna@example.com"
	m.Event(audit.Event{Kind: secret, Result: secret})
	m.Event(audit.Event{Kind: audit.SessionCreated, Reason: secret})
	m.Event(audit.Event{Kind: audit.PasswordRejected, Reason: secret, Result: audit.Failure})
	m.Event(audit.Event{Kind: audit.LimitReached, Reason: secret, Result: audit.Failure})
	m.Decision(secret)
	m.Code(secret, challenge.CodeIssued)
	m.Attempt(secret, nil, time.Second)
	m.Request("/settings/"+secret, secret, 1000, time.Second)
	for _, row := range []struct {
		name string
		of   prometheus.Collector
		want []string
	}{
		{"events", m.events, []string{
			"kind=limit.reached result=failure 1", "kind=other result=success 1", "kind=password.rejected result=failure 1",
			"kind=session.created result=success 1"}},
		{"sign-ins", m.signIns, []string{"method=other 1"}},
		{"passwords", m.passwords, []string{"reason=other 1"}},
		{"limits", m.limits, []string{"limit=other 1"}},
		{"decisions", m.decisions, []string{"reason=other 1"}},
		{"codes", m.codes, []string{"method=other result=issued 1"}},
		{"attempts", m.attempts, []string{"channel=other result=sent 1"}},
		{"delivery", m.deliverySeconds, []string{"channel=other 1"}},
		{"requests", m.requests, []string{"method=other route=other status=other 1"}},
		{"request times", m.requestSeconds, []string{"method=other route=other 1"}},
	} {
		if got := labels(t, row.of); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

// Known values keep their name, and a route loses its method.
func TestKnownValues(t *testing.T) {
	m := New(Labels{Methods: []string{"email"}, Channels: []string{"email"}, Database: []string{"read"}})
	m.AddRoutes("GET /settings/2step/{method}", "app")
	m.Event(audit.Event{Kind: audit.SessionCreated, Reason: "email"})
	m.Event(audit.Event{Kind: audit.SessionCreated, Reason: audit.TrustedDevice})
	m.Decision(trust.Trusted)
	m.Attempt(delivery.Email, fmt.Errorf("refused: %w", delivery.ErrRejected), time.Second)
	m.Attempt(delivery.Email, errors.New("timeout"), time.Second)
	m.Request("GET /settings/2step/{method}", "HEAD", 304, time.Second)
	m.Request("app", "GET", 200, time.Second)
	m.Request("", "GET", 421, time.Second)
	m.Request("/", "GET", 404, time.Second)
	m.Statement("read", time.Second, false)
	m.Statement("read", time.Second, true)
	for _, row := range []struct {
		name string
		of   prometheus.Collector
		want []string
	}{
		{"sign-ins", m.signIns, []string{"method=email 1", "method=trusted device 1"}},
		{"decisions", m.decisions, []string{"reason=trusted 1"}},
		{"attempts", m.attempts, []string{"channel=email result=failed 1", "channel=email result=refused 1"}},
		{"delivery", m.deliverySeconds, nil},
		{"requests", m.requests, []string{"method=GET route=app status=2xx 1", "method=GET route=none status=4xx 2",
			"method=HEAD route=/settings/2step/{method} status=3xx 1"}},
		{"statements", m.statementSeconds, []string{"operation=read 2"}},
		{"errors", m.statementErrors, []string{"operation=read 1"}},
	} {
		if got := labels(t, row.of); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

// Every limit whose name stands where it is refused has a label of its own.
func TestLimitsAreListed(t *testing.T) {
	limits := regexp.MustCompile(`\.limited\(ctx, "([^"]+)"|Refused\(ctx, err, audit\.Event\{[^}]*Reason: "([^"]+)"|` +
		`Kind: audit\.LimitReached,[^}]*Reason: "([^"]+)"`)
	found := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range limits.FindAllStringSubmatch(string(text), -1) {
			name := m[1] + m[2] + m[3]
			if found[name] = true; !slices.Contains(limitNames, name) {
				t.Errorf("%s: the limit %q is not in limitNames", path, name)
			}
		}
		return nil
	})
	if err != nil || len(found) < 8 {
		t.Errorf("%d limits were found: %v", len(found), err)
	}
}
