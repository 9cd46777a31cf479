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
	// maxSMTPResponseBytes limits what a server may send in one session, TLS included. A usual
	// session needs less than 10 kB; the library would buffer an endless line.
	maxSMTPResponseBytes = 1 << 20
	// quitTimeout limits QUIT: the message is already accepted, and the person is waiting.
	quitTimeout = time.Second
)

// smtpConn is one SMTP session.
//
//	greeting ─▶ EHLO ─▶ STARTTLS ─▶ EHLO ─▶ AUTH ─▶ MAIL ─▶ RCPT ─▶ DATA ─▶ content ─▶ QUIT
//	└────────────────── dial ─────────────────────┘└──────── sendMail ──────────────┘└ quit
type smtpConn struct {
	*smtp.Client
	ctx           context.Context // its end closes netConn
	netConn       net.Conn        // below TLS: closing it never waits for the other side
	stopAfterFunc func() bool
}

// limitedConn reads at most remaining bytes.
type limitedConn struct {
	net.Conn
	remaining int
}

// Read reads from the connection and returns an error once the limit is reached.
func (c *limitedConn) Read(p []byte) (int, error) {
	if c.remaining <= 0 {
		return 0, errors.New("server sent too much")
	}
	n, err := c.Conn.Read(p)
	c.remaining -= n
	return n, err
}

// dial connects and proceeds up to AUTH. The end of ctx closes the connection at any point. Its
// errors are temporary: none of them is about a message.
func (s SMTP) dial(ctx context.Context) (*smtpConn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", s.address())
	if err != nil {
		return nil, fmt.Errorf("delivery: smtp: connect: %w", err)
	}
	c := &smtpConn{ctx: ctx, netConn: &limitedConn{raw, maxSMTPResponseBytes}}
	c.stopAfterFunc = context.AfterFunc(ctx, func() { raw.Close() })
	if step, err := c.handshake(s); err != nil {
		c.closeConn()
		return nil, c.temporaryError(step, err)
	}
	return c, nil
}

// handshake returns the step that failed together with its error.
func (c *smtpConn) handshake(s SMTP) (string, error) {
	config := &tls.Config{ServerName: s.Host, RootCAs: s.RootCAs, MinVersion: tls.VersionTLS12}
	conn := c.netConn
	switch s.security() {
	case securityTLS:
		secured := tls.Client(c.netConn, config)
		if err := secured.HandshakeContext(c.ctx); err != nil {
			return "tls", err
		}
		s.reportCertificate(secured.ConnectionState())
		conn = secured
	case securityNone: // a name like localhost may resolve to anything
		if a, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
			return "connect", errors.New("smtp.security = none, but the server is not on this machine")
		}
	}
	var err error
	if c.Client, err = smtp.NewClient(conn, s.Host); err != nil {
		return "greeting", err
	}
	c.SkipSMTPUTF8(true) // it would restrict which relays may take the mail; sendMail turns it on if an address needs it
	if err := c.Hello(s.ehloName(c.netConn.LocalAddr())); err != nil {
		return "ehlo", err
	}
	if s.security() == securityStartTLS {
		// Never continue without it: an attacker may have removed it from the response (RFC 3207
		// 6).
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return "starttls", errors.New("server does not offer it")
		}
		if err := c.StartTLS(config); err != nil {
			return "starttls", err
		}
		if state, ok := c.TLSConnectionState(); ok {
			s.reportCertificate(state)
		}
	}
	if s.User == "" {
		return "", nil
	}
	return "auth", c.authenticate(s)
}

// reportCertificate calls s.Certificate with the end of the certificate of a connection.
func (s SMTP) reportCertificate(state tls.ConnectionState) {
	if s.Certificate != nil && len(state.PeerCertificates) > 0 {
		s.Certificate(state.PeerCertificates[0].NotAfter)
	}
}

// ehloName returns a fully qualified host name or an address literal, as RFC 5321 4.1.4 requires.
func (s SMTP) ehloName(local net.Addr) string {
	if s.EHLO != "" {
		return s.EHLO
	}
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") && validHostname(name) {
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

// authenticate runs AUTH. Its errors never contain the server's text, which may repeat the
// credentials.
func (c *smtpConn) authenticate(s SMTP) error {
	_, offered := c.Extension("AUTH")
	auth := s.chooseAuth(strings.Fields(strings.ToUpper(offered)))
	if auth == nil {
		return errors.New("server offers no supported AUTH mechanism")
	}
	err := c.Auth(auth)
	var answer *textproto.Error
	var broken net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer):
		return &textproto.Error{Code: answer.Code, Msg: enhancedStatusCode(answer.Msg)}
	case errors.As(err, &broken), errors.Is(err, io.EOF):
		return err
	default:
		return errors.New("unexpected answer")
	}
}

// chooseAuth picks from the mechanisms that the server offers. PLAIN comes first: the connection
// uses TLS or loopback here, and PLAIN takes one round trip instead of three.
func (s SMTP) chooseAuth(offered []string) smtp.Auth {
	const secured = true // Check and handshake have verified it; the library's check of loopback is narrower
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

// sendMail runs MAIL, RCPT and DATA for one recipient.
func (c *smtpConn) sendMail(l composedMail) error {
	if !isASCII(l.to) {
		if ok, _ := c.Extension("SMTPUTF8"); !ok {
			return fmt.Errorf("delivery: smtp mail: %w: the address has characters outside ASCII, and the mail server does not "+
				"offer SMTPUTF8 (RFC 6531)", ErrRejected)
		}
		c.SkipSMTPUTF8(false)
	}
	if err := c.Mail("<" + quoteLocalPart(l.from) + ">"); err != nil {
		return c.responseError("mail", err)
	}
	if err := c.Rcpt("<" + quoteLocalPart(l.to) + ">"); err != nil {
		return c.responseError("rcpt", err)
	}
	w, err := c.Data()
	if err != nil {
		return c.responseError("data", err)
	}
	// The library's own Close drops the error of writing the final dot, which separates "cannot
	// have arrived" from "may have arrived".
	dot := w.(*smtp.DataCloser).WriteCloser
	if _, err := dot.Write(l.raw); err != nil {
		return c.temporaryError("text", err)
	}
	if err := dot.Close(); err != nil {
		return c.temporaryError("text", err) // the final dot was not sent
	}
	_, _, err = c.Text.ReadResponse(250)
	var answer *textproto.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer) && answer.Code >= 400 && answer.Code <= 599:
		// The server has read the message now and may quote it.
		return c.responseError("text", &textproto.Error{Code: answer.Code, Msg: enhancedStatusCode(answer.Msg)})
	case errors.As(err, &answer), c.ctx.Err() == nil && isProtocolError(err):
		return fmt.Errorf("delivery: smtp text: %w: unexpected answer", ErrUncertain)
	default:
		return fmt.Errorf("delivery: smtp text: %w: %w", ErrUncertain, c.contextCause(err))
	}
}

// responseError maps a response to MAIL, RCPT, DATA or the content to the error of Send.
func (c *smtpConn) responseError(step string, err error) error {
	var answer *textproto.Error
	if !errors.As(err, &answer) || answer.Code < 500 || answer.Code > 599 {
		return c.temporaryError(step, err)
	}
	switch answer.Code {
	case 530, 534, 535, 538: // RFC 4954 6: about our authentication, not about this message
		return c.temporaryError(step, err)
	}
	return fmt.Errorf("delivery: smtp %s: %w: server says %w", step, ErrRejected, sanitizeResponse(answer))
}

// temporaryError returns an error after which the message may be sent again.
func (c *smtpConn) temporaryError(step string, err error) error {
	var answer *textproto.Error
	switch {
	case errors.As(err, &answer):
		return fmt.Errorf("delivery: smtp %s: server says %w", step, sanitizeResponse(answer))
	case c.ctx.Err() == nil && isProtocolError(err):
		return fmt.Errorf("delivery: smtp %s: server does not speak SMTP", step)
	}
	return fmt.Errorf("delivery: smtp %s: %w", step, c.contextCause(err))
}

// contextCause prefers the reason why we closed the connection to the error that closing caused.
func (c *smtpConn) contextCause(err error) error {
	if ctxErr := c.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	return err
}

// quit sends QUIT and waits up to quitTimeout for the response (RFC 5321 4.1.1.10).
func (c *smtpConn) quit() {
	c.netConn.SetDeadline(time.Now().Add(quitTimeout))
	c.Quit() // the result does not matter
}

// closeConn closes the connection at once. It may be called after quit.
func (c *smtpConn) closeConn() {
	c.stopAfterFunc()
	c.netConn.Close()
}

// sanitizeResponse removes what could forge another line of a log from a response.
func sanitizeResponse(e *textproto.Error) *textproto.Error {
	const enough = 200 // bytes
	text := strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, e.Msg[:min(len(e.Msg), enough)])
	return &textproto.Error{Code: e.Code, Msg: strings.TrimSpace(text)}
}

// enhancedStatusCode returns only the enhanced status code (RFC 3463) of a response, like 5.7.1.
func enhancedStatusCode(msg string) string {
	return regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`).FindString(msg)
}

func isProtocolError(err error) bool {
	var p textproto.ProtocolError
	return errors.As(err, &p)
}
