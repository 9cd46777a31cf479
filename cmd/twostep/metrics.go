package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type metricsSettings struct {
	Listen string `toml:"listen" placeholder:"ADDR:PORT" fallback:"no metrics" allowed:"an address and port, or unix: and a path, like unix:/run/twostep/metrics.sock" help:"Serve metrics for Prometheus at /metrics of this address and port, or on this Unix socket" example:"127.0.0.1:9464"`
}

// complete checks the address. listen is that of the server.
func (m *metricsSettings) complete(listen string) error {
	if m.Listen == "" {
		return nil
	}
	if path, ok := m.socketPath(); ok {
		if !filepath.IsAbs(path) || len(path) > maxSocketPath {
			return wrongSetting("metrics-listen", m.Listen, "unix: and an absolute path of at most %d bytes, like "+
				"unix:/run/twostep/metrics.sock", maxSocketPath)
		}
	} else if _, port, err := net.SplitHostPort(m.Listen); err != nil || !isPort(port) {
		return wrongSetting("metrics-listen", m.Listen, "ADDR:PORT, like 127.0.0.1:9464, or unix:PATH")
	}
	if m.Listen == listen && !strings.HasSuffix(listen, ":0") {
		return wrongSetting("metrics-listen", m.Listen, "another address than listen: metrics are not for everybody")
	}
	return nil
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

func (m *metricsSettings) socketPath() (path string, ok bool) {
	return strings.CutPrefix(m.Listen, "unix:")
}

// listen opens the port of the metrics; nil if there are none. Only the owner and the group of the server can use the
// socket.
func (m *metricsSettings) listen() (net.Listener, error) {
	if m.Listen == "" {
		return nil, nil
	}
	if path, ok := m.socketPath(); ok {
		return socketSettings{mode: 0o660}.listen(path)
	}
	return listenTCP("metrics-listen", m.Listen)
}

// newRegistry returns a registry with the metrics of the process and of Go.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// scrapeTimeout is the time limit of a scrape: that of Prometheus is 10 seconds.
const scrapeTimeout = 9 * time.Second

// newMetricsServer serves GET /metrics only, with the limits of the server for people.
func newMetricsServer(registry *prometheus.Registry, log *slog.Logger) *http.Server {
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: 4, Timeout: scrapeTimeout,
	})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", handler)
	return newHTTPServer(mux, log, func(*http.Request) bool { return false })
}

// startMetrics serves the metrics on a listener until stop is called. A fault of the listener is logged: people can sign
// in without metrics.
func startMetrics(listener net.Listener, registry *prometheus.Registry, log *slog.Logger) (stop func()) {
	if isPublic(listener.Addr()) {
		log.Warn("metrics can be read from other networks: set metrics.listen to a loopback or private address, or let a "+
			"firewall allow Prometheus only", "address", listener.Addr().String())
	}
	log.Info("listening for metrics", "address", listener.Addr().String(), "path", "/metrics")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := serveUntil(ctx, listener, newMetricsServer(registry, log), slog.New(slog.DiscardHandler)); err != nil {
			log.Error("metrics are not served any more", "error", err)
		}
	}()
	return func() { cancel(); <-ended }
}

// isPublic reports whether a listener accepts connections on another address than a loopback or private one.
func isPublic(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return false
	}
	addr, ok := netip.AddrFromSlice(tcp.IP)
	addr = addr.Unmap()
	return !ok || !addr.IsLoopback() && !addr.IsPrivate() && !addr.IsLinkLocalUnicast()
}
