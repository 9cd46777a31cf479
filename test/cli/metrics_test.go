package cli

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// serving is a server as a program of its own.
type serving struct {
	*testing.T
	address string
	log     *live.Log
	stop    func()
}

// serve starts a server for this machine and waits until it answers.
func serve(t *testing.T, args ...string) *serving {
	t.Helper()
	s := &serving{T: t, address: fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t)), log: &live.Log{}}
	args = append([]string{"serve", "--listen", s.address, "--data", filepath.Join(t.TempDir(), "data")}, args...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	program := exec.CommandContext(ctx, filepath.Join(build(t), "twostep"), args...)
	program.Stdout, program.Stderr = s.log, s.log
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	s.stop = func() {
		if err := program.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := program.Wait(); err != nil {
			t.Errorf("the server ended with %v\n%s", err, s.log)
		}
		cancel()
	}
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		resp, err := http.Get("http://" + s.address + "/signin")
		if err == nil {
			resp.Body.Close()
			return s
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%v\n%s", err, s.log)
		}
	}
}

// get returns the response of a metrics listener.
func get(t *testing.T, client *http.Client, method, url string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// The metrics have a port of their own, which has nothing else. The port for people has no metrics.
func TestMetricsPort(t *testing.T) {
	t.Parallel()
	metrics := fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t))
	s := serve(t, "--metrics-listen", metrics)
	for _, row := range []struct {
		method, url string
		want        int
	}{
		{"GET", metrics + "/metrics", 200}, {"HEAD", metrics + "/metrics", 200}, {"POST", metrics + "/metrics", 405},
		{"GET", metrics + "/", 404}, {"GET", metrics + "/signin", 404}, {"GET", metrics + "/debug/pprof/", 404},
		{"GET", s.address + "/metrics", 404},
	} {
		if got, _ := get(t, http.DefaultClient, row.method, "http://"+row.url); got != row.want {
			t.Errorf("%s %s: status %d, want %d", row.method, row.url, got, row.want)
		}
	}
	_, text := get(t, http.DefaultClient, "GET", "http://"+metrics+"/metrics")
	for _, want := range []string{
		"twostep_build_info{database=\"sqlite\"", "go_goroutines ", "process_resident_memory_bytes ",
		`twostep_http_requests_total{method="GET",route="/signin",status="2xx"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics have no %s", want)
		}
	}
	if strings.Contains(s.log.String(), "other networks") {
		t.Errorf("a warning about a loopback address:\n%s", s.log)
	}
	s.stop()
	if _, err := net.Dial("tcp", metrics); err == nil {
		t.Error("the port is open after the server has stopped")
	}
}

// Without the setting there is no second port, and nothing says that there is one.
func TestNoMetricsPort(t *testing.T) {
	t.Parallel()
	s := serve(t)
	defer s.stop()
	if strings.Contains(s.log.String(), "metrics") {
		t.Errorf("the log speaks of metrics:\n%s", s.log)
	}
	if conn, err := net.Dial("tcp", "127.0.0.1:9464"); err == nil {
		conn.Close()
		t.Error("the port of the example is open")
	}
}

// A socket is for the owner and the group of the server, and is removed at the end.
func TestMetricsSocket(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "m.sock")
	s := serve(t, "--metrics-listen", "unix:"+socket)
	info, err := os.Stat(socket)
	if err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("%v, %v", info, err)
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	if status, text := get(t, client, "GET", "http://metrics/metrics"); status != 200 ||
		!strings.Contains(text, "twostep_build_info{") {
		t.Errorf("status %d: %.200s", status, text)
	}
	client.CloseIdleConnections()
	s.stop()
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// The log warns about a port that other networks may reach.
func TestPublicMetricsPort(t *testing.T) {
	t.Parallel()
	s := serve(t, "--metrics-listen", fmt.Sprintf("0.0.0.0:%d", storetest.FreePort(t)))
	defer s.stop()
	if !strings.Contains(s.log.String(), "metrics can be read from other networks") {
		t.Errorf("no warning:\n%s", s.log)
	}
}

// expression is a query of an alert or a panel.
type expression struct{ where, text string }

// rules returns the queries of deploy/prometheus/alerts.yml.
func rules(t *testing.T) (all []expression) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%s: no severity, summary or description", rule.Alert)
			}
			all = append(all, expression{rule.Alert, rule.Expr})
			for _, used := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(rule.Annotations["summary"], -1) {
				if used[1] != "instance" && !strings.Contains(rule.Expr, "by ("+used[1]+")") {
					t.Errorf("%s: the summary has the label %s, which the query does not keep", rule.Alert, used[1])
				}
			}
		}
	}
	return all
}

// panels returns the queries of deploy/grafana/twostep.json.
func panels(t *testing.T) (all []expression) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/grafana/twostep.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, panel := range file.Panels {
		for _, target := range panel.Targets {
			all = append(all, expression{panel.Title, target.Expr})
			for _, used := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if used[1] != "instance" && !regexp.MustCompile(`by \([^)]*\b`+used[1]+`\b`).MatchString(target.Expr) {
					t.Errorf("%s: the legend has the label %s, which the query does not keep", panel.Title, used[1])
				}
			}
		}
	}
	return all
}

var (
	selector = regexp.MustCompile(`\b((?:twostep|process|go)_\w+|up)(?:{([^}]*)})?`)
	matcher  = regexp.MustCompile(`(\w+)(=~|!~|!=|=)"([^"]*)"`)
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
)

// targetLabels are those that Prometheus adds, and up is a metric that it makes.
var targetLabels = []string{"job", "instance"}

// unknownIn says which metrics and labels of a query the samples do not have.
func unknownIn(query string, samples []string) (unknown []string) {
	var labels []string // of all metrics of the query
	found := selector.FindAllStringSubmatch(query, -1)
	if len(found) == 0 {
		unknown = append(unknown, "no metric")
	}
	for _, one := range found {
		name, matchers := one[1], matcher.FindAllStringSubmatch(one[2], -1)
		if name == "up" {
			continue
		}
		fits := func(sample string) bool {
			if sample != name && !strings.HasPrefix(sample, name+"{") {
				return false
			}
			for _, m := range matchers {
				value := m[1] + `="`
				if m[2] == "=" && m[1] != "status" { // no request needs to have failed
					value += m[3] + `"`
				}
				if !slices.Contains(targetLabels, m[1]) && !strings.Contains(sample, value) {
					return false
				}
			}
			return true
		}
		i := slices.IndexFunc(samples, fits)
		if i < 0 {
			unknown = append(unknown, one[0])
			continue
		}
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(samples[i], -1) {
			labels = append(labels, label[1])
		}
	}
	for _, group := range grouping.FindAllStringSubmatch(query, -1) {
		for label := range strings.SplitSeq(group[1], ",") {
			if label = strings.TrimSpace(label); !slices.Contains(append(labels, targetLabels...), label) {
				unknown = append(unknown, "by ("+label+")")
			}
		}
	}
	return unknown
}

// Every metric and label in the alerts and the dashboard is one of a server.
func TestAlertsAndDashboardFitTheMetrics(t *testing.T) {
	t.Parallel()
	metrics := fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t))
	// The metrics of a webhook have its name.
	config := filepath.Join(t.TempDir(), "twostep.toml")
	table := "[webhook.crm]\nurl = \"https://crm.example.com/hooks\"\nevents = [\"session.*\"]\n" +
		"secret = \"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\"\n"
	if err := os.WriteFile(config, []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, "--metrics-listen", metrics, "--config", config)
	defer s.stop()
	_, text := get(t, http.DefaultClient, "GET", "http://"+metrics+"/metrics")
	var samples []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			samples = append(samples, line[:strings.LastIndex(line, " ")])
		}
	}
	queries := slices.Concat(rules(t), panels(t))
	if len(queries) < 25 {
		t.Errorf("only %d queries", len(queries))
	}
	for _, query := range queries {
		for _, unknown := range unknownIn(query.text, samples) {
			t.Errorf("%s: a server has no %s", query.where, unknown)
		}
	}
}

// The check of a query can say no.
func TestUnknownIn(t *testing.T) {
	samples := []string{`twostep_x_total{channel="email",result="sent"}`, "twostep_y", `twostep_z_total{status="2xx"}`}
	for query, want := range map[string]string{
		`sum by (channel) (rate(twostep_x_total{result="sent"}[5m])) > 0`: "",
		`up{job="twostep"} == 0 and max(twostep_y) > 3`:                   "",
		`rate(twostep_z_total{status="5xx"}[5m])`:                         "",
		`sum by (instance) (twostep_y)`:                                   "",
		`rate(twostep_x_seconds[5m])`:                                     "twostep_x_seconds",
		`twostep_x`:                                                       "twostep_x",
		`twostep_x_total{result="lost"}`:                                  `twostep_x_total{result="lost"}`,
		`twostep_x_total{kind!="sent"}`:                                   `twostep_x_total{kind!="sent"}`,
		`sum by (kind) (twostep_x_total)`:                                 "by (kind)",
		`vector(1)`:                                                       "no metric",
	} {
		if got := strings.Join(unknownIn(query, samples), ", "); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}
