// Package metrics counts and times what a server does, for Prometheus.
//
// Other packages know nothing of it: they have a function field Observe, which is nil in a server without metrics. What
// they count anyway is read when Prometheus asks.
//
// The values of a label are from a list that is fixed when the server starts. A value that is not in its list is counted
// as Other, so that no address, account, name, id or secret becomes a label.
package metrics

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/trust"
)

const (
	// Other is the value of a label for what is not in its list.
	Other = "other"
	// NoRoute is the route of requests that have none: for an unknown path or another host, or from another site.
	NoRoute = "none"
)

// Buckets of the histograms, in seconds.
var (
	statementBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}
	hashBuckets      = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5}
	requestBuckets   = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	deliveryBuckets  = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}
)

// Metrics is a prometheus.Collector. Its methods are safe for concurrent use.
type Metrics struct {
	sources Sources

	events, signIns, passwords, limits, decisions, codes *prometheus.CounterVec
	attempts, requests, statementErrors, webhooks        *prometheus.CounterVec
	deliverySeconds, requestSeconds, statementSeconds    *prometheus.HistogramVec
	hashSeconds                                          prometheus.Histogram
	kinds, reasons, methods, channels, routes            []string
	hooks, hookResults                                   []string
}

// Labels are the values of labels that depend on the server.
type Labels struct {
	Methods  []string // of verification
	Channels []string
	Database []string // operations
	Webhooks []string // names
	// WebhookResults are the results of attempts to deliver an event to a webhook.
	WebhookResults []string
}

// limitNames are the reasons of limit.reached.
var limitNames = []string{
	"authorization requests", "client secrets", "codes of devices", "device authorizations", "links",
	"metadata documents", "new factors", "password", "second step", "send code", "sign-ins", "undo", "verify code",
}

// passwordReasons are the reasons of password.rejected.
var passwordReasons = []string{"disabled account", "signed in", "undo", "unknown account", "wrong password"}

var requestMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

const (
	sent    = "sent"    // accepted by the mail server or gateway
	refused = "refused" // permanently
	failed  = "failed"  // is tried again
)

// New returns metrics whose labels have the values of l. Call AddRoutes and SetSources before the first use.
func New(l Labels) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		events: counter("twostep_audit_events_total", "Security events, also those that events.omitted counts.", "kind",
			"result"),
		signIns: counter("twostep_sign_ins_total",
			"Sessions created, by the method of the second step, or \"trusted device\" if it was skipped.", "method"),
		passwords: counter("twostep_passwords_rejected_total", "Passwords that were refused.", "reason"),
		limits:    counter("twostep_limits_reached_total", "Requests that were refused because of a rate limit.", "limit"),
		decisions: counter("twostep_trust_decisions_total",
			"Decisions after a right password. Reason \"trusted\" skips the second step; each other one asks for it.", "reason"),
		codes: counter("twostep_codes_total", "Verification codes: issued (a message with it was enqueued), accepted, "+
			"rejected, or expired (entered when none that was sent was valid any more).", "method", "result"),
		attempts: counter("twostep_message_attempts_total",
			"Attempts to send a message: sent, refused for good, or failed, which is tried again.", "channel", "result"),
		deliverySeconds: histogram("twostep_message_delivery_duration_seconds",
			"Time from enqueuing a message until the mail server or gateway accepted it.", deliveryBuckets, "channel"),
		requests: counter("twostep_http_requests_total", "HTTP requests, by the pattern of their route.", "route", "method",
			"status"),
		requestSeconds: histogram("twostep_http_request_duration_seconds", "Time to answer an HTTP request.",
			requestBuckets, "route", "method"),
		statementErrors: counter("twostep_database_errors_total", "Statements that failed. Conflicts do not count.",
			"operation"),
		statementSeconds: histogram("twostep_database_statement_duration_seconds",
			"Time of a statement until its first row, and of the begin and commit of transactions.", statementBuckets,
			"operation"),
		hashSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "twostep_password_hash_duration_seconds", Help: "Time to compute a password hash, without waiting for it.",
			Buckets: hashBuckets,
		}),
		webhooks: counter("twostep_webhook_events_total", "Attempts to send an event to a webhook: delivered, or failed, "+
			"which is tried again; and events that were given up.", "webhook", "result"),
		methods: l.Methods, channels: l.Channels, hooks: l.Webhooks, hookResults: l.WebhookResults,
	}
	for _, d := range audit.Describe() {
		m.kinds = append(m.kinds, string(d.Kind))
	}
	for _, reason := range trust.Reasons() {
		m.reasons = append(m.reasons, string(reason))
	}
	m.begin(l.Database)
	return m
}

// begin creates the counters at 0: the increase of one that Prometheus first sees at 1 is 0, so the first event would
// raise no alert. Requests are left out, because most routes are not used with most methods.
func (m *Metrics) begin(operations []string) {
	for _, kind := range m.kinds {
		m.events.WithLabelValues(kind, string(audit.Success))
		m.events.WithLabelValues(kind, string(audit.Failure))
	}
	for _, method := range m.methods {
		m.signIns.WithLabelValues(method)
		for _, e := range challenge.CodeEvents() {
			m.codes.WithLabelValues(method, string(e))
		}
	}
	m.signIns.WithLabelValues(audit.TrustedDevice)
	for _, reason := range passwordReasons {
		m.passwords.WithLabelValues(reason)
	}
	for _, limit := range limitNames {
		m.limits.WithLabelValues(limit)
	}
	for _, reason := range m.reasons {
		m.decisions.WithLabelValues(reason)
	}
	for _, channel := range m.channels {
		for _, result := range []string{sent, refused, failed} {
			m.attempts.WithLabelValues(channel, result)
		}
		m.deliverySeconds.WithLabelValues(channel)
	}
	for _, hook := range m.hooks {
		for _, result := range m.hookResults {
			m.webhooks.WithLabelValues(hook, result)
		}
	}
	for _, operation := range operations {
		m.statementErrors.WithLabelValues(operation)
		m.statementSeconds.WithLabelValues(operation)
	}
}

// AddRoutes adds values of the label route: patterns of http.ServeMux, or other names. Call it before the first request.
func (m *Metrics) AddRoutes(patterns ...string) {
	for _, pattern := range patterns {
		m.routes = append(m.routes, withoutMethod(pattern))
	}
}

// withoutMethod removes the method from a pattern of http.ServeMux.
func withoutMethod(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok && slices.Contains(requestMethods, pattern[:len(pattern)-len(path)-1]) {
		return path
	}
	return pattern
}

// known returns value if it is in the list, otherwise Other.
func known(value string, list []string) string {
	if slices.Contains(list, value) {
		return value
	}
	return Other
}

// Event counts a security event.
func (m *Metrics) Event(e audit.Event) {
	result := e.Result
	if result != audit.Failure {
		result = audit.Success
	}
	m.events.WithLabelValues(known(string(e.Kind), m.kinds), string(result)).Inc()
	switch e.Kind {
	case audit.SessionCreated:
		method := e.Reason
		if method != audit.TrustedDevice {
			method = known(method, m.methods)
		}
		m.signIns.WithLabelValues(method).Inc()
	case audit.PasswordRejected:
		m.passwords.WithLabelValues(known(e.Reason, passwordReasons)).Inc()
	case audit.LimitReached:
		m.limits.WithLabelValues(known(e.Reason, limitNames)).Inc()
	}
}

// Decision counts a trust decision.
func (m *Metrics) Decision(reason trust.Reason) {
	m.decisions.WithLabelValues(known(string(reason), m.reasons)).Inc()
}

// Code counts what happened to a verification code.
func (m *Metrics) Code(method string, e challenge.CodeEvent) {
	m.codes.WithLabelValues(known(method, m.methods), string(e)).Inc()
}

// Attempt counts an attempt to send a message. waited is the time since the message was enqueued.
func (m *Metrics) Attempt(channel delivery.Channel, result error, waited time.Duration) {
	name := known(string(channel), m.channels)
	switch {
	case result == nil:
		m.attempts.WithLabelValues(name, sent).Inc()
		m.deliverySeconds.WithLabelValues(name).Observe(waited.Seconds())
	case errors.Is(result, delivery.ErrRejected):
		m.attempts.WithLabelValues(name, refused).Inc()
	default:
		m.attempts.WithLabelValues(name, failed).Inc()
	}
}

// Webhook counts an attempt to send an event to a webhook, or events that are given up.
func (m *Metrics) Webhook(name, result string, events int64) {
	m.webhooks.WithLabelValues(known(name, m.hooks), known(result, m.hookResults)).Add(float64(events))
}

// Hash measures the computation of a password hash.
func (m *Metrics) Hash(took time.Duration) { m.hashSeconds.Observe(took.Seconds()) }

// Statement measures a database statement.
func (m *Metrics) Statement(operation string, took time.Duration, failed bool) {
	m.statementSeconds.WithLabelValues(operation).Observe(took.Seconds())
	if failed {
		m.statementErrors.WithLabelValues(operation).Inc()
	}
}

// Request measures an HTTP request. "" is the route of a request that was refused before it had one, and "/" that of an
// unknown path.
func (m *Metrics) Request(route, method string, status int, took time.Duration) {
	route = withoutMethod(route)
	if route == "" || route == "/" {
		route = NoRoute
	} else {
		route = known(route, m.routes)
	}
	method = known(method, requestMethods)
	class := Other
	if status >= 100 && status < 600 {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.requests.WithLabelValues(route, method, class).Inc()
	m.requestSeconds.WithLabelValues(route, method).Observe(took.Seconds())
}
