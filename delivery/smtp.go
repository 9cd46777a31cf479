package delivery

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// Values of SMTP.Security.
const (
	securityStartTLS = "starttls"
	securityTLS      = "tls"
	securityNone     = "none"
)

// SMTP sends email through a mail server. Each Send opens its own connection, so any number may run
// concurrently. Copies are independent.
type SMTP struct {
	Host           string         // host name or IP address, without port; the certificate must match it
	Port           int            // 0 is 587 for starttls, 465 for tls, 25 for none
	User, Password string         // both empty: no authentication
	From           string         // "Example <signin@example.com>" or a bare address
	Security       string         // "starttls" (default), "tls" (implicit TLS), "none" (loopback only)
	RootCAs        *x509.CertPool // nil uses the system's
	Timeout        time.Duration  // for connecting and sending one message; 0 is 15 s
	// Certificate is called with the end of the server's certificate after each TLS handshake. nil: nothing is.
	Certificate func(ends time.Time)
	EHLO        string // name in the EHLO command; "" is this machine's full name, or its address if it has none
}

// String returns "smtp server " and the address, so that printing an SMTP never shows its password.
func (s SMTP) String() string { return "smtp server " + s.address() }

// GoString returns the same as String, for %#v.
func (s SMTP) GoString() string { return s.String() }

// Check validates the fields without using the network. Its error names the setting of cmd/twostep,
// for example smtp.from, and what is allowed.
func (s SMTP) Check() error {
	if err := s.checkServer(); err != nil {
		return fmt.Errorf("delivery: %w", err)
	}
	if s.From == "" {
		return errors.New(`delivery: smtp.from is missing: set the sender, like "Example <signin@example.com>"`)
	}
	if _, err := parseSender(s.From); err != nil {
		return fmt.Errorf("delivery: smtp.from is %q: %w", s.From, err)
	}
	if (s.User == "") != (s.Password == "") {
		return errors.New("delivery: smtp.user and smtp.password: set both or neither")
	}
	if s.security() == securityNone && !isLoopbackHost(s.Host) {
		if s.User != "" {
			return errors.New(`delivery: smtp.security is "none", which would send smtp.password unencrypted over the ` +
				`network: use "starttls" or "tls"`)
		}
		return errors.New(`delivery: smtp.security is "none", which is for a mail server on this machine only: ` +
			`use "starttls" or "tls"`)
	}
	return nil
}

func (s SMTP) checkServer() error {
	switch {
	case s.Host == "":
		return errors.New("smtp.host is missing: set the mail server, like mail.example.com")
	case net.ParseIP(s.Host) == nil && !validHostname(s.Host):
		return fmt.Errorf("smtp.host is %q, want a host name or an IP address; the port goes into smtp.port", s.Host)
	case s.Port < 0 || s.Port > 65535:
		return fmt.Errorf("smtp.port is %d, want 1 to 65535, or 0 for the default", s.Port)
	case s.Timeout < 0:
		return fmt.Errorf("smtp.timeout is %s, want a positive time", s.Timeout)
	case s.EHLO != "" && !validHostname(s.EHLO):
		return fmt.Errorf("smtp.ehlo is %q, want a host name, like signin.example.com", s.EHLO)
	}
	switch s.security() {
	case securityStartTLS, securityTLS, securityNone:
		return nil
	}
	return fmt.Errorf("smtp.security is %q, want starttls, tls or none", s.Security)
}

// Send sends m and returns nil once the server has accepted it.
//
// Send returns an error that wraps ErrRejected if the server answered MAIL, RCPT, DATA or the
// content with a permanent error (5yz), or m is not valid mail. It returns an error that wraps
// ErrUncertain if the whole message was sent and no response came. After any other error, from no
// connection to a bad certificate or password, the message may be sent again. If the server
// answered, the error wraps a *textproto.Error with its code. No error quotes the message or the
// password.
func (s SMTP) Send(ctx context.Context, m Message) error {
	if err := s.Check(); err != nil {
		return err
	}
	mail, err := composeMail(s.From, m, time.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.closeConn()
	err = c.sendMail(mail)
	var answer *textproto.Error
	if err == nil || errors.As(err, &answer) {
		c.quit() // only while the server expects commands: within the content, QUIT would be text
	}
	return err
}

// Probe connects, starts TLS and authenticates, and sends nothing. It returns an error if one of the
// steps fails.
func (s SMTP) Probe(ctx context.Context) error {
	if err := s.Check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.closeConn()
	c.quit()
	return nil
}

func (s SMTP) timeout() time.Duration {
	if s.Timeout == 0 {
		return 15 * time.Second
	}
	return s.Timeout
}

func (s SMTP) security() string {
	if s.Security == "" {
		return securityStartTLS
	}
	return s.Security
}

func (s SMTP) address() string {
	port := s.Port
	if port == 0 {
		port = map[string]int{securityTLS: 465, securityNone: 25}[s.security()]
	}
	if port == 0 {
		port = 587
	}
	return net.JoinHostPort(s.Host, fmt.Sprint(port))
}

// isLoopbackHost accepts the name localhost; handshake checks the address that it resolved to.
func isLoopbackHost(h string) bool {
	ip := net.ParseIP(h)
	return strings.EqualFold(h, "localhost") || ip != nil && ip.IsLoopback()
}
