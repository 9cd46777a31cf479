package twostep

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/metrics"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/store"
	"twostep.example/twostep/internal/webhook"
)

// Routes of requests that no pattern of the mux serves, for metrics.
const (
	checkRoute   = "forward-auth check"
	receiptRoute = receiptPath
	appRoute     = "app" // a handler behind Require
)

// newMetrics returns the metrics of a server with these options, nil if they are off.
func (o Options) newMetrics() *metrics.Metrics {
	if o.Metrics == nil {
		return nil
	}
	l := metrics.Labels{Channels: []string{string(delivery.Email), string(delivery.SMS)}, Database: store.Operations()}
	for _, method := range o.Methods {
		l.Methods = append(l.Methods, method.Info().Method)
	}
	for _, channel := range slices.Sorted(maps.Keys(o.Senders)) {
		if !slices.Contains(l.Channels, string(channel)) {
			l.Channels = append(l.Channels, string(channel))
		}
	}
	for _, w := range o.Webhooks {
		l.Webhooks = append(l.Webhooks, w.Name)
	}
	for _, result := range webhook.Results() {
		l.WebhookResults = append(l.WebhookResults, string(result))
	}
	return metrics.New(l)
}

// registerMetrics lets the registry of the options read the metrics, once the server is complete.
func (s *Server) registerMetrics() error {
	if s.metrics == nil {
		return nil
	}
	s.metrics.SetSources(metrics.Sources{
		Jobs: s.measuredJobs, Queue: s.services.Accounts.Passwords.Queue, Expired: s.outbox.Expired, Now: s.now,
		Waiting: func(ctx context.Context) (metrics.Waiting, error) {
			w, err := s.store.CountWaitingMessages(ctx)
			return metrics.Waiting(w), err
		},
		Webhooks: s.webhookBacklogs, Database: s.metricsDatabase(),
	})
	if err := s.options.Metrics.Register(s.metrics); err != nil {
		return fmt.Errorf("twostep: Metrics: %w", err)
	}
	return nil
}

// metricsDatabase returns the value of the label database.
func (s *Server) metricsDatabase() string {
	if strings.HasPrefix(s.options.Database, "postgres") {
		return "postgresql"
	}
	return "sqlite"
}

func (s *Server) measuredJobs() []metrics.Job {
	var list []metrics.Job
	for _, j := range s.Jobs() {
		list = append(list, metrics.Job{
			Name: j.Name, Runs: j.Runs, Failures: j.Failures, Rows: j.Rows, Total: j.Total, EndedAt: j.EndedAt,
		})
	}
	return list
}

// observe lets the parts of the server report to the metrics. Call it before they are used.
func (s *Server) observe() {
	m := s.metrics
	if m == nil {
		return
	}
	s.events.Observe, s.outbox.Observe, s.pages.Observe = m.Event, m.Attempt, m.Request
	s.services.Devices.Observe, s.services.Challenges.Observe = m.Decision, m.Code
	s.services.Accounts.Passwords.Observe = m.Hash
	s.webhooks.Observe = func(name string, result webhook.Result, events int64) { m.Webhook(name, string(result), events) }
}

// observeRoutes tells the metrics which routes there are.
func (s *Server) observeRoutes(routes []render.Route) {
	if s.metrics == nil {
		return
	}
	s.metrics.AddRoutes(checkRoute, receiptRoute, appRoute, render.AssetsPattern, healthPattern, readyPattern)
	for _, route := range routes {
		s.metrics.AddRoutes(route.Pattern)
	}
}

// serveFromCache is forwardauth.Authorizer.ServeFromCache, measured: no middleware sees these requests.
func (s *Server) serveFromCache(w http.ResponseWriter, r *http.Request) bool {
	if s.metrics == nil {
		return s.hosts.ServeFromCache(w, r)
	}
	began := time.Now()
	served := s.hosts.ServeFromCache(w, r)
	if served {
		s.metrics.Request(checkRoute, r.Method, http.StatusOK, time.Since(began))
	}
	return served
}
