package metrics

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"twostep.example/twostep/internal/fairqueue"
)

// Sources are what a server counts anyway.
type Sources struct {
	Jobs     func() []Job
	Queue    func() fairqueue.Stats // of password hashes
	Expired  func() int64           // messages that were given up
	Waiting  func(context.Context) (Waiting, error)
	Webhooks func(context.Context) (map[string]Backlog, error) // by name
	Now      func() time.Time
	Database string // "sqlite" or "postgresql"
}

// Job is what a background job has done since the start of the server.
type Job struct {
	Name                 string
	Runs, Failures, Rows int64
	Total                time.Duration
	EndedAt              time.Time // zero: no run has ended
}

// Waiting are the messages of the queue.
type Waiting struct {
	Count  int
	Oldest time.Time // when the oldest was enqueued; zero if Count is 0
}

// Backlog are the events that wait for a webhook.
type Backlog struct {
	Count int64
	Age   time.Duration // of the oldest; 0: there is none
}

// SetSources sets what Collect reads. Call it once, before Collect.
func (m *Metrics) SetSources(s Sources) { m.sources = s }

// waitingTimeout is how long Collect waits for the database. Without an answer the scrape has no sample of the queue.
const waitingTimeout = 2 * time.Second

func description(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// descriptions are the metrics that Collect makes from Sources. The label of a job is not "job", which is that of the
// target in Prometheus.
type descriptions struct {
	jobRuns, jobFailures, jobRows, jobSeconds, jobEnded *prometheus.Desc
	hashesWaiting, hashesWorking, hashesRefused         *prometheus.Desc
	waiting, oldest, expired, build                     *prometheus.Desc
	hookWaiting, hookAge                                *prometheus.Desc
}

func describe() descriptions {
	return descriptions{
		jobRuns:     description("twostep_job_runs_total", "Runs of a background job that have ended.", "name"),
		jobFailures: description("twostep_job_failures_total", "Runs of a background job that ended with an error.", "name"),
		jobRows: description("twostep_job_rows_total", "Rows that a background job deleted or changed, or messages it sent.",
			"name"),
		jobSeconds: description("twostep_job_seconds_total", "Time that the runs of a background job took.", "name"),
		jobEnded: description("twostep_job_last_end_timestamp_seconds",
			"When the last run of a background job ended, in Unix time.", "name"),
		hashesWaiting: description("twostep_password_hashes_waiting", "Requests that wait to compute a password hash."),
		hashesWorking: description("twostep_password_hashes_running", "Requests that may compute a password hash now."),
		hashesRefused: description("twostep_password_hashes_refused_total",
			"Requests that could not compute a password hash, because too many waited or they waited too long."),
		waiting: description("twostep_messages_waiting", "Messages in the database that are not sent yet."),
		oldest: description("twostep_messages_oldest_age_seconds",
			"How long the oldest of these messages has waited; 0 if there is none."),
		expired: description("twostep_messages_expired_total",
			"Messages that this server gave up: they expired, or it is unknown twice whether they were sent."),
		hookWaiting: description("twostep_webhook_events_waiting", "Events in the database that wait for a webhook.",
			"webhook"),
		hookAge: description("twostep_webhook_oldest_age_seconds",
			"How long the oldest of these events has waited; 0 if there is none.", "webhook"),
		build: description("twostep_build_info", "1, with the version of the program and its database.", "version",
			"goversion", "database"),
	}
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.events, m.signIns, m.passwords, m.limits, m.decisions, m.codes, m.attempts, m.deliverySeconds, m.requests,
		m.requestSeconds, m.statementErrors, m.statementSeconds, m.hashSeconds, m.webhooks,
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(to)
	}
	d := describe()
	for _, one := range []*prometheus.Desc{
		d.jobRuns, d.jobFailures, d.jobRows, d.jobSeconds, d.jobEnded, d.hashesWaiting, d.hashesWorking, d.hashesRefused,
		d.waiting, d.oldest, d.expired, d.build, d.hookWaiting, d.hookAge,
	} {
		to <- one
	}
}

// Collect implements prometheus.Collector. It reads the queue of messages from the database.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(to)
	}
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	d, s := describe(), m.sources
	for _, j := range s.Jobs() {
		send(d.jobRuns, counter, float64(j.Runs), j.Name)
		send(d.jobFailures, counter, float64(j.Failures), j.Name)
		send(d.jobRows, counter, float64(j.Rows), j.Name)
		send(d.jobSeconds, counter, j.Total.Seconds(), j.Name)
		if !j.EndedAt.IsZero() {
			send(d.jobEnded, gauge, float64(j.EndedAt.UnixMilli())/1000, j.Name)
		}
	}
	queue := s.Queue()
	send(d.hashesWaiting, gauge, float64(queue.Waiting))
	send(d.hashesWorking, gauge, float64(queue.Working))
	send(d.hashesRefused, counter, float64(queue.Refused))
	send(d.expired, counter, float64(s.Expired()))
	ctx, stop := context.WithTimeout(context.Background(), waitingTimeout)
	defer stop()
	if w, err := s.Waiting(ctx); err == nil { // the error is counted as that of a statement
		age := time.Duration(0)
		if w.Count > 0 {
			age = max(s.Now().Sub(w.Oldest), 0)
		}
		send(d.waiting, gauge, float64(w.Count))
		send(d.oldest, gauge, age.Seconds())
	}
	if list, err := s.Webhooks(ctx); err == nil {
		for name, one := range list {
			send(d.hookWaiting, gauge, float64(one.Count), name)
			send(d.hookAge, gauge, one.Age.Seconds(), name)
		}
	}
	send(d.build, gauge, 1, version(), runtime.Version(), s.Database)
}

// version returns the version of this module in the program.
func version() string {
	const module = "twostep.example/twostep"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if info.Main.Path == module {
		return info.Main.Version
	}
	for _, d := range info.Deps {
		if d.Path == module {
			return d.Version
		}
	}
	return ""
}
