package twostep

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/fairqueue"
	"twostep.example/twostep/internal/metrics"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/internal/trust"
)

// measured is a server with metrics, and a browser.
type measured struct {
	*testing.T
	server         *Server
	site, metrics  *httptest.Server
	registry       *prometheus.Registry
	browser        *http.Client
	code, password string
}

const measuredEmail, measuredName = "anna.measured@example.com", "Anna Measured"

func eachMeasured(t *testing.T, f func(m *measured)) {
	seal.LowCost(true)
	t.Cleanup(func() { seal.LowCost(false) })
	storetest.EachDatabase(t, func(t *testing.T, database string) {
		m := &measured{T: t, registry: prometheus.NewPedanticRegistry(), password: "correct horse battery"}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		o := options(t)
		o.Database, o.PublicURL, o.Metrics = database, "http://"+listener.Addr().String(), m.registry
		o.Methods = []factor.Method{overheard{code: &m.code}}
		if m.server, err = New(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		app := m.server.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeText(w, 200, "app") }))
		mux := http.NewServeMux()
		mux.Handle("/", m.server)
		mux.Handle("/reports/{name}", app)
		m.site = &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
		m.site.Start()
		m.metrics = httptest.NewServer(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
		m.forget()
		defer func() {
			m.site.Close()
			m.metrics.Close()
			if err := m.server.Close(); err != nil {
				t.Error(err)
			}
		}()
		err = m.server.CreateAccount(t.Context(), AccountParams{
			Email: measuredEmail, Name: measuredName, Password: m.password,
		})
		if err != nil {
			t.Fatal(err)
		}
		f(m)
	})
}

// forget begins with another browser.
func (m *measured) forget() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		m.Fatal(err)
	}
	m.browser = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

func (m *measured) do(method, path string, form url.Values, want int) {
	m.Helper()
	r, err := http.NewRequestWithContext(m.Context(), method, m.site.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		m.Fatal(err)
	}
	r.Header.Set("User-Agent", "measured-browser/1.0")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := m.browser.Do(r)
	if err != nil {
		m.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != want {
		m.Errorf("%s %s: %s, want %d: %.400s", method, path, resp.Status, want, body)
	}
}

// scrape returns the samples by their name and labels, and the text.
func (m *measured) scrape() (samples map[string]float64, text string) {
	m.Helper()
	resp, err := http.Get(m.metrics.URL)
	if err != nil {
		m.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		m.Fatalf("%s, %v: %s", resp.Status, err, body)
	}
	samples = map[string]float64{}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndex(line, " ")
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
		if err != nil {
			m.Fatal(err)
		}
		samples[line[:at]] = value
	}
	return samples, string(body)
}

// await scrapes until a sample has the value.
func (m *measured) await(sample string, want float64) {
	m.Helper()
	ctx, stop := context.WithTimeout(m.Context(), 20*time.Second)
	defer stop()
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		samples, _ := m.scrape()
		if got, ok := samples[sample]; ok && got == want {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.Fatalf("%s is %v, want %v", sample, samples[sample], want)
		}
	}
}

func (m *measured) signIn() {
	m.Helper()
	m.do("POST", "/signin", url.Values{"email": {measuredEmail}, "password": {m.password}}, 303)
	m.do("POST", "/signin/verify", url.Values{"code": {m.code}}, 303)
}

// wrongCode returns six digits that are not the code.
func (m *measured) wrongCode() string {
	if m.code == "111111" {
		return "222222"
	}
	return "111111"
}

// A sign-in with everything that can go wrong on the way moves the counters that it should, by as much as it should.
func TestMetricsOfASignIn(t *testing.T) {
	eachMeasured(t, func(m *measured) {
		before, _ := m.scrape()
		m.do("GET", "/signin", nil, 200)
		m.do("POST", "/signin", url.Values{"email": {"nobody@example.com"}, "password": {"a wrong password"}}, 422)
		m.do("POST", "/signin", url.Values{"email": {measuredEmail}, "password": {"a wrong password"}}, 422)
		m.do("POST", "/signin", url.Values{"email": {measuredEmail}, "password": {m.password}}, 303)
		m.do("POST", "/signin/verify", url.Values{"code": {m.wrongCode()}}, 422)
		m.do("POST", "/signin/verify", url.Values{"code": {m.code}}, 303)
		m.do("GET", "/reports/annas-secret-report", nil, 200)
		m.do("GET", "/annas-secret-page", nil, 404)
		m.do("PROPFIND", "/signin", nil, 405)
		m.await(`twostep_message_attempts_total{channel="email",result="sent"}`, 1)
		after, _ := m.scrape()
		for sample, want := range map[string]float64{
			`twostep_sign_ins_total{method="email"}`:                                         1,
			`twostep_sign_ins_total{method="trusted device"}`:                                0,
			`twostep_passwords_rejected_total{reason="wrong password"}`:                      1,
			`twostep_passwords_rejected_total{reason="unknown account"}`:                     1,
			`twostep_trust_decisions_total{reason="none"}`:                                   1,
			`twostep_trust_decisions_total{reason="trusted"}`:                                0,
			`twostep_codes_total{method="email",result="issued"}`:                            1,
			`twostep_codes_total{method="email",result="rejected"}`:                          1,
			`twostep_codes_total{method="email",result="accepted"}`:                          1,
			`twostep_audit_events_total{kind="session.created",result="success"}`:            1,
			`twostep_audit_events_total{kind="password.rejected",result="failure"}`:          2,
			`twostep_audit_events_total{kind="code.rejected",result="failure"}`:              1,
			`twostep_message_delivery_duration_seconds_count{channel="email"}`:               1,
			`twostep_password_hash_duration_seconds_count`:                                   3,
			`twostep_password_hashes_refused_total`:                                          0,
			`twostep_database_errors_total{operation="write"}`:                               0,
			`twostep_http_requests_total{method="POST",route="/signin",status="3xx"}`:        1,
			`twostep_http_requests_total{method="POST",route="/signin",status="4xx"}`:        2,
			`twostep_http_request_duration_seconds_count{method="POST",route="/signin"}`:     3,
			`twostep_http_requests_total{method="POST",route="/signin/verify",status="3xx"}`: 1,
			`twostep_http_requests_total{method="GET",route="app",status="2xx"}`:             1,
			`twostep_http_requests_total{method="GET",route="none",status="4xx"}`:            1,
			`twostep_http_requests_total{method="other",route="none",status="4xx"}`:          1,
		} {
			if got := after[sample] - before[sample]; got != want {
				t.Errorf("%s: moved by %v, want %v", sample, got, want)
			}
		}
		for _, operation := range []string{"read", "write", "begin", "commit"} {
			sample := fmt.Sprintf(`twostep_database_statement_duration_seconds_count{operation=%q}`, operation)
			if after[sample] <= before[sample] {
				t.Errorf("%s: %v, and %v before", sample, after[sample], before[sample])
			}
		}
	})
}

// After a sign-in, no label has an address, a code or anything else of a person, and every value of a label is one of
// those that are fixed when the server starts.
func TestMetricsNameNobody(t *testing.T) {
	eachMeasured(t, func(m *measured) {
		m.signIn()
		code := m.code
		m.do("GET", "/settings?secret=query-secret", nil, 200)
		m.do("GET", "/reports/annas-secret-report", nil, 200)
		m.do("GET", "/annas-secret-page", nil, 404)
		m.do("GET", "/auth/check", nil, 403)
		m.do("POST", "/sms/receipt/gateway/message/stamp", nil, 404)
		m.do("GET", "/assets/annas-secret.css", nil, 404)
		m.do("GET", "/healthz", nil, 200)
		m.do("SECRETVERB", "/settings", nil, 405)
		site, err := url.Parse(m.site.URL)
		if err != nil {
			m.Fatal(err)
		}
		known := []string{
			measuredEmail, "anna", "Anna", "Measured", m.password, code, "annas-secret", "query-secret", "SECRETVERB", "measured-browser", "127.0.0.1",
			"gateway/message",
		}
		for _, cookie := range m.browser.Jar.Cookies(site) {
			if cookie.Value != "email" { // the method of the last sign-in
				known = append(known, cookie.Value)
			}
		}
		events, err := m.server.AuditEvents(m.Context(), AuditFilter{})
		if err != nil || len(events) == 0 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		for _, e := range events {
			for _, value := range []string{e.ID, e.Account, e.SignIn, e.Trace, e.Target} {
				if value != "" {
					known = append(known, value)
				}
			}
		}
		m.await(`twostep_message_attempts_total{channel="email",result="sent"}`, 1)
		samples, text := m.scrape()
		labels := regexp.MustCompile(`[{,]\w+="([^"]*)"`).FindAllStringSubmatch(text, -1)
		for _, secret := range known {
			for _, label := range labels {
				if strings.Contains(label[1], secret) {
					t.Errorf("the label value %q has %q in it", label[1], secret)
				}
			}
		}
		values := fixedValues()
		values["database"] = []string{m.server.metricsDatabase()}
		checkLabels(t, samples, values)
	})
}

// fixedValues are the values that the labels of a server with codes by email may have after these requests.
func fixedValues() map[string][]string {
	var reasons []string
	for _, reason := range trust.Reasons() {
		reasons = append(reasons, string(reason))
	}
	return map[string][]string{
		"kind":    AuditKinds(),
		"channel": {"email", "sms"},
		"limit": {"authorization requests", "client secrets", "codes of devices", "device authorizations", "links",
			"metadata documents", "new factors", "password", "second step", "send code", "sign-ins", "undo", "verify code"},
		"method": {"email", "trusted device", "GET", "POST", "other"},
		"name":   {"expired", "undo", "desk_codes", "logout", "last_seen", "sign_ins", "app_uses", "clock"},
		"reason": append(reasons, "disabled account", "signed in", "undo", "unknown account", "wrong password"),
		"result": {"success", "failure", "issued", "accepted", "rejected", "expired", "sent", "refused", "failed"},
		"route": {"/signin", "/signin/verify", "/settings", "/assets/{name}", "/healthz", "/sms/receipt/", "app",
			"forward-auth check", "none"},
		"operation": {"read", "write", "begin", "commit"},
		"status":    {"2xx", "3xx", "4xx"},
	}
}

func checkLabels(t *testing.T, samples map[string]float64, values map[string][]string) {
	t.Helper()
	for sample := range samples {
		for _, label := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(sample, -1) {
			switch _, err := strconv.ParseFloat(label[2], 64); {
			case label[1] == "le" && err == nil, label[1] == "goversion", label[1] == "version":
			case !slices.Contains(values[label[1]], label[2]):
				t.Errorf("%s: the value of %s is not in its list", sample, label[1])
			}
		}
	}
}

// A database that fails is counted, and does not keep the other metrics from Prometheus.
func TestMetricsWhileTheDatabaseFails(t *testing.T) {
	eachMeasured(t, func(m *measured) {
		before, _ := m.scrape()
		if _, ok := before["twostep_messages_waiting"]; !ok {
			t.Error("the queue is not measured")
		}
		stop := storetest.Fail(m.server.store, 0)
		m.do("POST", "/signin", url.Values{"email": {measuredEmail}, "password": {m.password}}, 503)
		after, _ := m.scrape()
		stop()
		if _, ok := after["twostep_messages_waiting"]; ok {
			t.Error("the queue has a number that nobody has read")
		}
		const failed = `twostep_database_errors_total{operation="read"}`
		if after[failed] <= before[failed] {
			t.Errorf("%s: %v, and %v before", failed, after[failed], before[failed])
		}
		const refused = `twostep_http_requests_total{method="POST",route="/signin",status="5xx"}`
		if after[refused] != 1 {
			t.Errorf("%s is %v, want 1", refused, after[refused])
		}
	})
}

// A second server cannot use the names of the first, and can when that is closed. With a label each, both can.
func TestMetricsOfTwoServers(t *testing.T) {
	registry := prometheus.NewRegistry()
	start := func(to prometheus.Registerer) (*Server, error) {
		o := options(t)
		o.Metrics, o.NoBackgroundWork = to, true
		return New(t.Context(), o)
	}
	first, err := start(registry)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := start(registry); err == nil || !strings.Contains(err.Error(), "twostep: Metrics: ") {
		t.Errorf("got %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if found, err := registry.Gather(); len(found) != 0 || err != nil {
		t.Errorf("a closed server has %d metrics, %v", len(found), err)
	}
	again, err := start(registry)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	registry = prometheus.NewRegistry() // the labels of a name never change in a registry
	for _, label := range []string{"one", "two"} {
		s, err := start(prometheus.WrapRegistererWith(prometheus.Labels{"site": label}, registry))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
	}
	found, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range found {
		if family.GetName() == "twostep_build_info" && len(family.GetMetric()) != 2 {
			t.Errorf("%d servers in the registry, want 2", len(family.GetMetric()))
		}
	}
}

// Nothing is measured in a server without metrics.
func TestNoMetrics(t *testing.T) {
	o := options(t)
	o.NoBackgroundWork = true
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.metrics != nil || s.events.Observe != nil || s.outbox.Observe != nil || s.pages.Observe != nil ||
		s.services.Devices.Observe != nil || s.services.Challenges.Observe != nil ||
		s.services.Accounts.Passwords.Observe != nil || s.options.newMetrics() != nil {
		t.Error("a part of the server is measured")
	}
}

// A message without a sender and one that was refused count as refused; one that is tried again as failed.
func TestMetricsOfFailedMessages(t *testing.T) {
	registry := prometheus.NewRegistry()
	o := options(t)
	o.Metrics, o.NoBackgroundWork = registry, true
	results := []error{delivery.ErrRejected, context.DeadlineExceeded, nil}
	o.Senders[delivery.Email] = func(context.Context, delivery.Message) error {
		result := results[0]
		results = results[1:]
		return result
	}
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	o.Now = func() time.Time { return now }
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m := &measured{T: t, metrics: httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))}
	defer m.metrics.Close()
	enqueue := func(id string, channel delivery.Channel) {
		t.Helper()
		message := delivery.Message{ID: id, Channel: channel, To: measuredEmail}
		if err := s.outbox.Enqueue(t.Context(), s.store, message, now.Add(30*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	deliver := func() {
		t.Helper()
		if _, err := s.outbox.DeliverNext(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	enqueue("refused", delivery.Email)
	deliver()
	enqueue("fax", "fax")
	deliver()
	enqueue("late", delivery.Email)
	deliver()
	now = now.Add(5 * time.Minute)
	if got, _ := m.scrape(); got["twostep_messages_waiting"] != 1 || got["twostep_messages_oldest_age_seconds"] != 300 {
		t.Errorf("%v messages wait, the oldest for %v s", got["twostep_messages_waiting"], got["twostep_messages_oldest_age_seconds"])
	}
	deliver()
	enqueue("expired", delivery.Email)
	now = now.Add(time.Hour)
	deliver()
	got, _ := m.scrape()
	for sample, want := range map[string]float64{
		`twostep_message_attempts_total{channel="email",result="refused"}`: 1,
		`twostep_message_attempts_total{channel="other",result="refused"}`: 1,
		`twostep_message_attempts_total{channel="email",result="failed"}`:  1,
		`twostep_message_attempts_total{channel="email",result="sent"}`:    1,
		`twostep_message_delivery_duration_seconds_sum{channel="email"}`:   300,
		`twostep_messages_expired_total`:                                   1,
		`twostep_messages_waiting`:                                         0,
	} {
		if got[sample] != want {
			t.Errorf("%s is %v, want %v", sample, got[sample], want)
		}
	}
}

// A code that is entered too late counts as expired, and not as wrong.
func TestMetricsOfAnExpiredCode(t *testing.T) {
	eachFaultyServer(t, func(h *faultyServer) {
		var events []string
		h.services.Challenges.Observe = func(method string, e challenge.CodeEvent) {
			events = append(events, method+" "+string(e))
		}
		h.want("password", h.post("/signin", annaForm), http.StatusSeeOther)
		h.now = h.now.Add(15*time.Minute + time.Second)
		h.want("late code", h.post("/signin/verify", "code="+h.code), http.StatusUnprocessableEntity)
		if want := []string{"email issued", "email expired"}; !slices.Equal(events, want) {
			t.Errorf("got %q, want %q", events, want)
		}
	})
}

// The checks of a proxy that the cache answers count as well as the others.
func TestMetricsOfCachedChecks(t *testing.T) {
	eachFaultyServer(t, func(h *faultyServer) {
		h.options.Metrics = prometheus.NewRegistry()
		h.metrics = metrics.New(metrics.Labels{})
		h.metrics.AddRoutes(checkRoute)
		h.pages.Observe = h.metrics.Request
		h.openHost()
		for range 3 {
			h.want("check", h.check("/"), http.StatusOK)
		}
		h.metrics.SetSources(metrics.Sources{
			Jobs: func() []metrics.Job { return nil }, Queue: func() (s fairqueue.Stats) { return s },
			Expired: func() int64 { return 0 }, Now: h.Server.now,
			Waiting:  func(context.Context) (w metrics.Waiting, err error) { return w, err },
			Webhooks: func(context.Context) (list map[string]metrics.Backlog, err error) { return list, err },
		})
		registry := prometheus.NewRegistry()
		registry.MustRegister(h.metrics)
		m := &measured{T: h.T, metrics: httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))}
		defer m.metrics.Close()
		got, _ := m.scrape()
		const allowed = `twostep_http_requests_total{method="GET",route="forward-auth check",status="2xx"}`
		if got[allowed] != 4 { // also the page after the sign-in
			h.Errorf("%v checks were allowed, want 4", got[allowed])
		}
	})
}
