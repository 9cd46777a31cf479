package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/demo"
)

// shutdownTimeout is how long requests in progress may take to finish after the signal to stop.
const shutdownTimeout = 15 * time.Second

type serveCommand struct {
	Settings settings `embed:"" group:"settings"`
	Demo     bool     `help:"Add a demo account, a sample app, and a clock that the inbox page moves forward; for this machine only"`
}

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, to console, from *settingSources) (err error) {
	// If the reader of the output ends, lines are lost and the server goes on. Otherwise the next line would end it.
	signal.Ignore(syscall.SIGPIPE)
	s := &c.Settings
	if c.Demo && !s.isLocal() {
		return usageError{errors.New("--demo and public_url exclude each other: the demo prints a password and shows all " +
			"emails to everybody who reaches it. Remove public_url (--public-url, TWOSTEP_PUBLIC_URL), or run without --demo")}
	}
	if err := s.completeForServe(from); err != nil {
		return usageError{err}
	}
	look, err := s.Brand.load()
	if err != nil {
		return err
	}
	log := s.Log.newLogger(to.err)
	certificate, err := s.TLS.loadCertificate()
	if err != nil {
		return usageError{err}
	}
	listener, err := s.listen()
	if err != nil {
		return err
	}
	defer listener.Close() // for returns before Serve, which closes it too
	metrics, err := s.Metrics.listen()
	if err != nil {
		return err
	}
	var registry *prometheus.Registry
	if metrics != nil {
		defer metrics.Close()
		registry = newRegistry()
	}
	options, err := s.options(listener.Addr().String(), log)
	if err != nil {
		return err
	}
	options.Brand, options.Settings, options.Version = look, s.valuesFor(from, options.PublicURL), programVersion()
	if registry != nil {
		options.Metrics = registry
	}
	var app *demo.App
	if c.Demo {
		if err := useDemoClock(&options, s.Data); err != nil {
			return err
		}
		app = addDemoApp(&options)
	}
	server, err := twostep.New(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if metrics != nil {
		defer startMetrics(metrics, registry, log)()
	}
	public := options.PublicURL
	if c.Demo {
		account, err := addDemoAccount(ctx, server, options.Local.Inbox, s.Data, public)
		if err != nil {
			return err
		}
		fmt.Fprintf(to.out, "demo account: %s %s\n", account.Email, account.Password)
	}
	fmt.Fprintf(to.out, "Twostep is listening on %s\n", public)
	if s.isLocal() {
		s.printNextSteps(to.out, server, c.Demo)
	}
	if s.lacksTrustedProxies() {
		log.Warn("public_url is https and tls.cert is not set, so set trusted_proxies to the address of the reverse " +
			"proxy, or proxy_secret, or let it connect to a Unix socket: without it client addresses are " +
			"unknown and no device can be trusted")
	}
	if !s.isLocal() {
		go probeMailServer(ctx, s.smtpServer(), log)
	}
	log.Info("listening", "address", listener.Addr().String(), "url", public)
	var handler http.Handler = server
	if c.Demo {
		key, err := options.Local.Inbox.Key()
		if err != nil {
			return err
		}
		handler = mountDemoApp(app, server, key)
	}
	web := newHTTPServer(handler, log, server.IsFromTrustedProxy)
	web.MaxHeaderBytes = s.maxHeaderBytes()
	web.TLSConfig = certificate
	return serveUntil(ctx, listener, web, log)
}

// probeMailServer logs one line if the mail server cannot be used. The server starts without it: messages wait in the
// queue.
func probeMailServer(ctx context.Context, server delivery.SMTP, log *slog.Logger) {
	err := server.Probe(ctx)
	if err == nil || ctx.Err() != nil {
		return
	}
	log.Warn("the mail server cannot be used, so emails wait", "server", server.String(), "error", err,
		"remedy", mailServerRemedy(err))
}

// mailServerRemedy says what to do about an error of delivery.SMTP.Probe, by the step that failed.
func mailServerRemedy(err error) string {
	step, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "delivery: smtp "), ":")
	switch step {
	case "auth":
		return "set smtp.user and smtp.password to those of an account that may send from smtp.from"
	case "tls", "starttls":
		return "set smtp.security to tls if the server expects TLS at once (port 465), or to starttls (port 587), " +
			"and smtp.host to the name in its certificate"
	case "ehlo":
		return "set smtp.ehlo to the name that the DNS has for the address of this machine"
	}
	return "check smtp.host and smtp.port, and that this machine may connect to them"
}

// listen opens the port before anything else, so that a second server fails before it touches the
// data of the first.
func (s *settings) listen() (net.Listener, error) {
	if path, ok := s.socketPath(); ok {
		return s.Socket.listen(path)
	}
	listener, err := listenTCP("listen", s.Listen)
	if err != nil {
		return nil, err
	}
	// The machine's hosts file decides what localhost resolves to.
	if at, ok := listener.Addr().(*net.TCPAddr); s.isLocal() && (!ok || !at.IP.IsLoopback()) {
		listener.Close()
		return nil, usageError{fmt.Errorf("listen is %q, which other machines can reach: use 127.0.0.1, or %s", s.Listen,
			howToSet("public-url"))}
	}
	return listener, nil
}

// listenTCP listens on the address of the setting with this flag. Its error says what to do.
func listenTCP(flag, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("another program listens on %s: stop it, or use another port, like --%s %s", address, flag,
			nextPort(address))
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("no permission to listen on %s: use a port above 1023, like --%s 127.0.0.1:8080, or "+
			"AmbientCapabilities=CAP_NET_BIND_SERVICE in systemd", address, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, usageError{fmt.Errorf("%s is %q, which is not an address of this machine", settingKey(flag), address)}
	}
	return nil, fmt.Errorf("%s: %w", settingKey(flag), err)
}

// nextPort returns the address with the next port, as an example.
func nextPort(address string) string {
	host, port, err := net.SplitHostPort(address)
	n, wrong := strconv.Atoi(port)
	if err != nil || wrong != nil || n >= 65535 {
		return "127.0.0.1:8081"
	}
	return net.JoinHostPort(host, strconv.Itoa(n+1))
}

// printNextSteps prints the pages of a local server that has just started.
func (s *settings) printNextSteps(out io.Writer, server *twostep.Server, demo bool) {
	public := server.Issuer()
	if demo {
		fmt.Fprintf(out, "\n  %-36s sign in with the demo account\n", public+"/signin")
		fmt.Fprintf(out, "  %-36s a sample app\n", public+"/demo/")
	} else {
		fmt.Fprintf(out, "\n  %-36s sign in; create an account: twostep account add EMAIL\n", public+"/signin")
	}
	fmt.Fprintf(out, "  %-36s codes and links arrive here; the key is for you only\n", server.InboxURL())
	fmt.Fprintf(out, "  %-36s the data; delete this folder to start over\n\n", s.Data)
}

// newHTTPServer limits the time and memory of each connection, and how many requests its client may cancel, unless it
// is a trusted proxy.
func newHTTPServer(handler http.Handler, log *slog.Logger, isProxy func(*http.Request) bool) *http.Server {
	limiter := &resetLimiter{next: handler, log: log, isProxy: isProxy}
	return &http.Server{
		Handler:   limiter,
		ConnState: limiter.connState,
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		// net/http would answer OPTIONS * without the handler, so without its headers and its log.
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  15 * time.Second,
		WriteTimeout:                 30 * time.Second,
		IdleTimeout:                  60 * time.Second,
		MaxHeaderBytes:               maxHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// Maximum sizes of the headers of a request, in bytes.
const (
	maxHeaderBytes = 64 << 10 // no page accepts more
	// maxProxyHeaderBytes is for a server with a reverse proxy. Its checks have the headers of requests to other apps,
	// and Caddy and Traefik accept this many from their clients.
	maxProxyHeaderBytes = 1 << 20
)

// maxHeaderBytes returns the maximum size of the headers of a request.
func (s *settings) maxHeaderBytes() int {
	if _, unix := s.socketPath(); unix || len(s.proxies) > 0 || s.ProxySecret != "" {
		return maxProxyHeaderBytes
	}
	return maxHeaderBytes
}

// serveUntil serves until ctx ends, and then lets the requests in progress finish.
func serveUntil(ctx context.Context, listener net.Listener, server *http.Server, log *slog.Logger) error {
	failed := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			failed <- server.ServeTLS(listener, "", "") // TLSConfig has the certificate
			return
		}
		failed <- server.Serve(listener)
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		return errors.Join(fmt.Errorf("some requests were still running after %s and were aborted: %w", shutdownTimeout, err),
			server.Close())
	}
	return nil
}
