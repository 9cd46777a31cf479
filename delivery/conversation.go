package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

const (
	// maxAnswers is how many bytes a server may say in one conversation, TLS included. An honest one
	// needs less than ten thousand; the library would keep an endless line in memory.
	maxAnswers = 1 << 20
	// maxQuit bounds the farewell: the person is waiting for "accepted", which is already known.
	maxQuit = time.Second
)

// conversation is one connection to a mail server.
//
//	greeting ─▶ EHLO ─▶ STARTTLS ─▶ EHLO ─▶ AUTH ─▶ MAIL ─▶ RCPT ─▶ DATA ─▶ text ─▶ QUIT
//	└────────────────── open ─────────────────────┘└──────── deliver ────────────┘└ quit
type conversation struct {
	*smtp.Client
	ctx  context.Context // ends the conversation by closing raw
	raw  net.Conn        // beneath TLS: closing it never waits for the other side
	stop func() bool
}

// cappedConn reads at most left bytes.
type cappedConn struct {
	net.Conn
	left int
}

// Read reads like the connection it wraps, until the other side has said too much.
func (c *cappedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("server says too much")
	}
	n, err := c.Conn.Read(p)
	c.left -= n
	return n, err
}

// open connects and goes as far as AUTH. The end of ctx ends the conversation at any point. Its errors
// are temporary: none of them is about a message.
func (s SMTP) open(ctx context.Context) (*conversation, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", s.address())
	if err != nil {
		return nil, fmt.Errorf("delivery: smtp: connect: %w", err)
	}
	c := &conversation{ctx: ctx, raw: &cappedConn{raw, maxAnswers}}
	c.stop = context.AfterFunc(ctx, func() { raw.Close() })
	if step, err := c.prepare(s); err != nil {
		c.cut()
		return nil, c.fault(step, err)
	}
	return c, nil
}

// prepare returns the step that failed together with its error.
func (c *conversation) prepare(s SMTP) (string, error) {
	config := &tls.Config{ServerName: s.Host, RootCAs: s.RootCAs, MinVersion: tls.VersionTLS12}
	conn := c.raw
	switch s.security() {
	case securityTLS:
		secured := tls.Client(c.raw, config)
		if err := secured.HandshakeContext(c.ctx); err != nil {
			return "tls", err
		}
		conn = secured
	case securityNone: // localhost is only a name: what matters is where it led
		if a, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
			return "connect", errors.New("smtp.security = none, but the server is not on this machine")
		}
	}
	var err error
	if c.Client, err = smtp.NewClient(conn, s.Host); err != nil {
		return "greeting", err
	}
	c.SkipSMTPUTF8(true) // our addresses are ASCII; asking would limit where mail may travel
	if err := c.Hello(s.greeting(c.raw.LocalAddr())); err != nil {
		return "ehlo", err
	}
	if s.security() == securityStartTLS {
		// Never without: somebody on the way may have removed the offer (STD-063).
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return "starttls", errors.New("server does not offer it")
		}
		if err := c.StartTLS(config); err != nil {
			return "starttls", err
		}
	}
	if s.User == "" {
		return "", nil
	}
	return "auth", c.signIn(s)
}

// greeting is a full host name or an address literal; RFC 5321 section 4.1.4 wants one of the two.
func (s SMTP) greeting(local net.Addr) string {
	if s.HELO != "" {
		return s.HELO
	}
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") && validHost(name) {
		return name
	}
	a, ok := local.(*net.TCPAddr)
	switch {
	case !ok:
		return "localhost"
	case a.IP.To4() != nil:
		return "[" + a.IP.String() + "]"
	default:
		return "[IPv6:" + a.IP.String() + "]"
	}
}

// signIn authenticates. What goes wrong here never carries the server's words, which may
// repeat what we said.
func (c *conversation) signIn(s SMTP) error {
	_, offered := c.Extension("AUTH")
	auth := s.mechanism(strings.Fields(strings.ToUpper(offered)))
	if auth == nil {
		return errors.New("server offers no way of signing in that we know")
	}
	err := c.Auth(auth)
	var answer *textproto.Error
	var broken net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer):
		return &textproto.Error{Code: answer.Code, Msg: enhanced(answer.Msg)}
	case errors.As(err, &broken), errors.Is(err, io.EOF):
		return err
	default:
		return errors.New("unexpected answer")
	}
}

// mechanism picks from what the server offers. PLAIN comes first: the line is secured by now, or
// does not leave the machine, and PLAIN takes one round trip instead of three.
func (s SMTP) mechanism(offered []string) smtp.Auth {
	const secured = true // Check and prepare have seen to it; the library's idea of loopback is narrower
	switch {
	case slices.Contains(offered, "PLAIN"):
		return smtp.PlainAuth("", s.User, s.Password, s.Host, secured)
	case slices.Contains(offered, "LOGIN"):
		return smtp.LoginAuth(s.User, s.Password, s.Host, secured)
	case slices.Contains(offered, "SCRAM-SHA-256"):
		return smtp.ScramSHA256Auth(s.User, s.Password)
	case slices.Contains(offered, "SCRAM-SHA-1"):
		return smtp.ScramSHA1Auth(s.User, s.Password)
	case slices.Contains(offered, "CRAM-MD5"):
		return smtp.CRAMMD5Auth(s.User, s.Password)
	}
	return nil
}

// deliver sends one mail to one address.
func (c *conversation) deliver(l letter) error {
	if err := c.Mail("<" + l.from + ">"); err != nil {
		return c.verdict("mail", err)
	}
	if err := c.Rcpt("<" + l.to + ">"); err != nil {
		return c.verdict("rcpt", err)
	}
	w, err := c.Data()
	if err != nil {
		return c.verdict("data", err)
	}
	// The library's own Close drops the error of writing the final dot, and with it the difference
	// between "cannot have arrived" and "may have arrived".
	dot := w.(*smtp.DataCloser).WriteCloser
	if _, err := dot.Write(l.raw); err != nil {
		return c.fault("text", err)
	}
	if err := dot.Close(); err != nil {
		return c.fault("text", err) // the final dot did not leave this machine
	}
	_, _, err = c.Text.ReadResponse(250)
	var answer *textproto.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer) && answer.Code >= 400 && answer.Code <= 599:
		// The server has read the message now and may quote it.
		return c.verdict("text", &textproto.Error{Code: answer.Code, Msg: enhanced(answer.Msg)})
	case errors.As(err, &answer), c.ctx.Err() == nil && isProtocol(err):
		return fmt.Errorf("delivery: smtp text: %w: strange answer", ErrUncertain)
	default:
		return fmt.Errorf("delivery: smtp text: %w: %w", ErrUncertain, c.cause(err))
	}
}

// verdict turns the answer to a message's command into the error of Send.
func (c *conversation) verdict(step string, err error) error {
	var answer *textproto.Error
	if !errors.As(err, &answer) || answer.Code < 500 || answer.Code > 599 {
		return c.fault(step, err)
	}
	switch answer.Code {
	case 530, 534, 535, 538: // RFC 4954 section 6: about our sign-in, not about this message
		return c.fault(step, err)
	}
	return fmt.Errorf("delivery: smtp %s: %w: server says %w", step, ErrRefused, words(answer))
}

// fault is a temporary error.
func (c *conversation) fault(step string, err error) error {
	var answer *textproto.Error
	switch {
	case errors.As(err, &answer):
		return fmt.Errorf("delivery: smtp %s: server says %w", step, words(answer))
	case c.ctx.Err() == nil && isProtocol(err):
		return fmt.Errorf("delivery: smtp %s: server does not speak SMTP", step)
	}
	return fmt.Errorf("delivery: smtp %s: %w", step, c.cause(err))
}

// cause prefers the reason why we closed the connection to the noise that closing made.
func (c *conversation) cause(err error) error {
	if ctxErr := c.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	return err
}

// quit says goodbye and waits a moment for the answer, as RFC 5321 section 4.1.1.10 asks.
func (c *conversation) quit() {
	c.raw.SetDeadline(time.Now().Add(maxQuit))
	c.Quit() // nothing depends on it
}

// cut closes the connection at once. It may be called after quit.
func (c *conversation) cut() {
	c.stop()
	c.raw.Close()
}

// words is an answer without anything that could forge another line of a log.
func words(e *textproto.Error) *textproto.Error {
	const enough = 200 // bytes
	text := strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, e.Msg[:min(len(e.Msg), enough)])
	return &textproto.Error{Code: e.Code, Msg: strings.TrimSpace(text)}
}

// enhanced keeps of an answer only its enhanced status code (RFC 3463), like 5.7.1.
func enhanced(msg string) string {
	return regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`).FindString(msg)
}

func isProtocol(err error) bool {
	var p textproto.ProtocolError
	return errors.As(err, &p)
}
