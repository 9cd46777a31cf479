package cli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/mail"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"golang.org/x/oauth2"

	"twostep.example/twostep/internal/store/storetest"
)

const (
	tutorialPage = "../../docs/tutorial.md"
	mailUser     = "signin-user"
	mailPassword = "signin-password"
	newPassword  = "correct horse battery"
)

// sudoScript replaces sudo: the test has one user, and the folders of the machine are below a temporary one. Users and
// certificates are the machine's.
const sudoScript = `#!/bin/bash
set -eu
case "$1" in
-u) shift 2; exec "$@" ;;
useradd | apt-get | certbot) exit 0 ;;
install)
	shift
	words=()
	while [ "$#" -gt 0 ]; do
		case "$1" in
		-o | -g) shift 2 ;;
		*) words+=("$1"); shift ;;
		esac
	done
	exec install "${words[@]}" ;;
*) exec "$@" ;;
esac
`

// The page docs/tutorial.md, followed word for word on an empty machine: a server with a certificate, a person who
// signs in with a code from a real mail server, an app, ten invitations. Only the values in the table at its top are
// others.
func TestTutorial(t *testing.T) {
	text, err := os.ReadFile(tutorialPage)
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(t, string(text))
	did := map[string]bool{}
	after := map[string]func(){
		"Create your account": r.signsIn,
		"Connect an app":      r.usesApp,
		"Invite ten people":   r.joins,
	}
	for _, s := range parseSteps(t, r.values.Replace(string(text))) {
		if s.heading != "" {
			if act := after[r.heading]; act != nil {
				act()
			}
			r.heading = s.heading
			did[s.heading] = true
			continue
		}
		r.follow(s)
	}
	for heading := range after {
		if !did[heading] {
			t.Errorf("the page has no heading %q", heading)
		}
	}
}

// A step is a heading, a file to save, or a command with the output that the page promises.
type step struct {
	heading       string
	file, content string
	command       string
	output        []string
}

var (
	fence  = regexp.MustCompile("^```(\\w*)$")
	saveAs = regexp.MustCompile("Save as `([^`]+)`")
)

// parseSteps returns the steps of a page in their order.
func parseSteps(t *testing.T, page string) (all []step) {
	t.Helper()
	var language, before string
	var block []string
	inside := false
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		mark := fence.FindStringSubmatch(line)
		switch {
		case mark != nil && !inside:
			inside, language, block = true, mark[1], nil
		case mark != nil:
			inside = false
			if name := saveAs.FindStringSubmatch(before); name != nil {
				all = append(all, step{file: name[1], content: strings.Join(block, "\n") + "\n"})
			} else if language == "console" {
				all = append(all, parseCommands(t, block)...)
			} else {
				all = append(all, step{content: strings.Join(block, "\n") + "\n"})
			}
			before = ""
		case inside:
			block = append(block, line)
		case strings.HasPrefix(line, "## "):
			all, before = append(all, step{heading: strings.TrimPrefix(line, "## ")}), ""
		case strings.TrimSpace(line) != "":
			before = line
		}
	}
	if inside {
		t.Fatal("the last block does not end")
	}
	return all
}

func parseCommands(t *testing.T, block []string) (all []step) {
	t.Helper()
	for _, line := range block {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, step{command: command})
			continue
		}
		if len(all) == 0 {
			t.Fatalf("a block starts with %q, which is not a command", line)
		}
		last := &all[len(all)-1]
		if first, ok := strings.CutSuffix(last.command, "\\"); ok {
			last.command = first + strings.TrimSpace(line)
			continue
		}
		last.output = append(last.output, line)
	}
	return all
}

// outputPattern matches the promised output: "…" is any text, and as a whole line any lines.
func outputPattern(lines []string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("^")
	for _, line := range lines {
		if line == "…" {
			b.WriteString(`(?:.*\n)*`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + `\n?`)
	}
	b.WriteString("$")
	return regexp.MustCompile(b.String())
}

// A reader follows the page on a machine of its own: folders, certificate authority, mail server, app.
type reader struct {
	t       *testing.T
	home    string // an empty folder: HOME, and where the reader works
	system  string // the folders of the machine
	env     []string
	values  *strings.Replacer
	url     string // of the server
	app     string // URL of the app
	roots   *x509.CertPool
	mail    *mailServer
	heading string
	appINI  string // the last block that is neither a command nor a file
	printed string // by the last command
}

func newReader(t *testing.T, page string) *reader {
	t.Helper()
	dir := t.TempDir()
	r := &reader{t: t, home: filepath.Join(dir, "home"), system: filepath.Join(dir, "system")}
	bin := filepath.Join(r.system, "usr/local/bin")
	for _, folder := range []string{r.home, bin, filepath.Join(r.system, "etc"), filepath.Join(r.system, "var/lib"),
		filepath.Join(r.system, "tmp")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.write(filepath.Join(bin, "sudo"), sudoScript, 0o755)
	certificate := r.createCertificate(filepath.Join(r.system, "etc"))
	r.mail = startMailServer(t, certificate)
	address := unusedAddress(t)
	_, port, _ := net.SplitHostPort(address)
	r.url = "https://localhost:" + port
	r.app = "https://" + unusedAddress(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	r.env = machineEnvironment(t, r.home, bin, filepath.Join(r.system, "etc/ca.pem"), filepath.Join(r.system, "tmp"))
	r.values = r.replaceValues(page, map[string]string{
		"/usr/src/twostep":   root,
		"/usr/local/bin":     bin,
		"/etc/twostep":       filepath.Join(r.system, "etc/twostep"),
		"/var/lib/twostep":   filepath.Join(r.system, "var/lib/twostep"),
		"signin.example.com": "localhost:" + port,
		"[::]:443":           address,
		"/etc/letsencrypt/live/signin.example.com/fullchain.pem": filepath.Join(r.system, "etc/cert.pem"),
		"/etc/letsencrypt/live/signin.example.com/privkey.pem":   filepath.Join(r.system, "etc/key.pem"),
		"mail.example.com":            "localhost",
		"587":                         r.mail.port,
		mailUser:                      mailUser,
		mailPassword:                  mailPassword,
		"signin@example.com":          "signin@example.com",
		"you@example.com":             "you@example.com",
		"https://grafana.example.com": r.app,
	})
	return r
}

// replaceValues returns a replacer for the values in the table of the page. Each of them has to be in the table, and
// no others.
func (r *reader) replaceValues(page string, own map[string]string) *strings.Replacer {
	r.t.Helper()
	_, table, _ := strings.Cut(page, "\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var listed []string
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		for _, value := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[2], -1) {
			listed = append(listed, value[1])
			if _, ok := own[value[1]]; !ok {
				r.t.Errorf("the table has the value %s, which the test does not replace", value[1])
			}
		}
	}
	if len(listed) != len(own) {
		r.t.Fatalf("the table has the values %q, want %d", listed, len(own))
	}
	slices.SortFunc(listed, func(a, b string) int { return len(b) - len(a) }) // the longest first
	var pairs []string
	for _, value := range listed {
		pairs = append(pairs, value, own[value])
	}
	return strings.NewReplacer(pairs...)
}

// machineEnvironment is that of an empty home: nothing of the person who runs the test but the Go tool chain with its
// caches, since there is no network. Programs trust the certificate authority in a file.
func machineEnvironment(t *testing.T, home, bin, authority, tmp string) []string {
	t.Helper()
	env := []string{"HOME=" + home, "PATH=" + bin + ":" + os.Getenv("PATH"), "TMPDIR=" + tmp, "SSL_CERT_FILE=" + authority,
		"CURL_CA_BUNDLE=" + authority, "GOPROXY=off", "GOSUMDB=off", "GOWORK=off", "LANG=C.UTF-8"}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOFLAGS", "GOTOOLCHAIN"} {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	return env
}

func (r *reader) write(file, text string, mode os.FileMode) {
	r.t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		r.t.Fatal(err)
	}
}

// createCertificate writes ca.pem, and cert.pem with key.pem for localhost, into dir.
func (r *reader) createCertificate(dir string) tls.Certificate {
	r.t.Helper()
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Local CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		r.t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), authorityKey)
	if err != nil {
		r.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		r.t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	ca, certificate := block("CERTIFICATE", authorityDER), block("CERTIFICATE", leafDER)
	private := block("PRIVATE KEY", keyDER)
	r.write(filepath.Join(dir, "ca.pem"), ca, 0o644)
	r.write(filepath.Join(dir, "cert.pem"), certificate, 0o644)
	r.write(filepath.Join(dir, "key.pem"), private, 0o600)
	r.roots = x509.NewCertPool()
	r.roots.AppendCertsFromPEM([]byte(ca))
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(private))
	if err != nil {
		r.t.Fatal(err)
	}
	return pair
}

// follow saves a file or runs a command, and compares what it prints.
func (r *reader) follow(s step) {
	r.t.Helper()
	if s.command == "" {
		if s.file != "" {
			r.write(filepath.Join(r.home, s.file), s.content, 0o644)
		} else {
			r.appINI = s.content
		}
		return
	}
	if unit, ok := strings.CutPrefix(s.command, "sudo systemctl enable --now "); ok {
		r.startUnit(unit)
		return
	}
	cmd := r.program("bash", "-c", s.command)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s\n%s: %v\n%s", r.heading, s.command, err, out)
	}
	if want := outputPattern(s.output); !want.Match(out) {
		promised := strings.Join(s.output, "\n")
		r.t.Fatalf("%s\n%s: the page promises\n%s\nbut it prints\n%s", r.heading, s.command, promised, out)
	}
	r.printed = string(out)
}

func (r *reader) program(name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	r.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = r.home, r.env
	return cmd
}

// startUnit starts the service of a unit file as systemd does, with its credentials and environment, until the test
// ends.
func (r *reader) startUnit(file string) {
	r.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	credentials := r.t.TempDir()
	unit := func(key string) (values []string) {
		for line := range strings.Lines(strings.ReplaceAll(string(text), "%d", credentials)) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
				values = append(values, value)
			}
		}
		return values
	}
	for _, credential := range unit("LoadCredential") {
		name, from, _ := strings.Cut(credential, ":")
		content, err := os.ReadFile(from)
		if err != nil {
			r.t.Fatal(err)
		}
		r.write(filepath.Join(credentials, name), string(content), 0o400)
	}
	start := unit("ExecStart")
	if len(start) != 1 {
		r.t.Fatalf("the unit has ExecStart %q", start)
	}
	words := strings.Fields(start[0])
	cmd := exec.Command(words[0], words[1:]...) //nolint:gosec // from the page
	cmd.Dir, cmd.Env = "/", r.env
	for _, line := range unit("Environment") {
		cmd.Env = append(cmd.Env, strings.Fields(line)...)
	}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			r.t.Errorf("the server has ended before: %v", err)
		}
		if err := cmd.Wait(); err != nil || r.t.Failed() {
			r.t.Errorf("the server: %v\n%s", err, log.Bytes())
		}
	})
}

// A visitor is a browser with its own cookies.
type visitor struct {
	r      *reader
	client *http.Client
}

func (r *reader) visitor() *visitor {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.roots}}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &visitor{r, &http.Client{Jar: jar, Transport: transport, Timeout: 20 * time.Second}}
}

// post sends a form and returns the page that follows, and its path.
func (v *visitor) post(path string, form url.Values) (page, at string) {
	v.r.t.Helper()
	body := strings.NewReader(form.Encode())
	req, err := http.NewRequestWithContext(v.r.t.Context(), http.MethodPost, v.r.url+path, body)
	if err != nil {
		v.r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return v.do(req)
}

func (v *visitor) get(link string) (page, at string) {
	v.r.t.Helper()
	req, err := http.NewRequestWithContext(v.r.t.Context(), http.MethodGet, link, nil)
	if err != nil {
		v.r.t.Fatal(err)
	}
	return v.do(req)
}

func (v *visitor) do(req *http.Request) (page, at string) {
	v.r.t.Helper()
	resp, err := v.client.Do(req)
	if err != nil {
		v.r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusInternalServerError {
		v.r.t.Fatalf("%s: %d, %v\n%.400s", req.URL.Path, resp.StatusCode, err, body)
	}
	return string(body), resp.Request.URL.Path
}

// signIn enters address and password, and the code from the email.
func (v *visitor) signIn(email, query string) (page, at string) {
	v.r.t.Helper()
	seen := v.r.mail.count(email)
	page, at = v.post("/signin"+query, url.Values{"email": {email}, "password": {newPassword}})
	if at != "/signin/verify" {
		v.r.t.Fatalf("after the password: %s\n%s", at, page)
	}
	return v.verify(email, seen, query)
}

var joinLink = regexp.MustCompile(`(https://\S+/join)#(\S+)`)

// join opens the link in the first email to an address, and chooses a password.
func (v *visitor) join(email, name string) {
	v.r.t.Helper()
	m := v.r.mail.next(email, 0)
	link := joinLink.FindStringSubmatch(m.text)
	if link == nil || link[1] != v.r.url+"/join" || !strings.Contains(m.text, "Hello "+name+",") || m.from == "" {
		v.r.t.Fatalf("the invitation from %q:\n%s", m.from, m.text)
	}
	v.get(link[1])
	form := url.Values{"token": {link[2]}, "name": {name}, "password": {newPassword}}
	if page, at := v.post("/join", form); at == "/signin/verify" {
		if page, at = v.verify(email, 1, ""); at != "/settings" {
			v.r.t.Fatalf("after the code: %s\n%s", at, page)
		}
	} else if at != "/join/done" {
		v.r.t.Fatalf("after the invitation: %s\n%s", at, page)
	}
}

// verify enters the code in the n-th email to an address.
func (v *visitor) verify(email string, n int, query string) (page, at string) {
	v.r.t.Helper()
	code := regexp.MustCompile(`\b\d{6}\b`).FindString(v.r.mail.next(email, n).subject)
	return v.post("/signin/verify"+query, url.Values{"code": {code}})
}

// signsIn joins by the emailed link and signs in with the emailed code.
func (r *reader) signsIn() {
	r.t.Helper()
	r.visitor().join("you@example.com", "Your Name")
	v := r.visitor()
	page, at := v.signIn("you@example.com", "")
	if at != "/settings" || !strings.Contains(page, "you@example.com") {
		r.t.Fatalf("after both steps: %s\n%s", at, page)
	}
}

// usesApp signs in to an app that is configured as the page says, with what the command has printed.
func (r *reader) usesApp() {
	r.t.Helper()
	value := func(key string) string {
		found := regexp.MustCompile(`(?m)^` + key + ` = (.+)$`).FindStringSubmatch(r.appINI)
		if found == nil {
			r.t.Fatalf("the configuration of the app has no %s:\n%s", key, r.appINI)
		}
		return found[1]
	}
	id := regexp.MustCompile(`(?mi)^client id\s+(\S+)$`).FindStringSubmatch(r.printed)
	secret := regexp.MustCompile(`(?mi)^client secret\s+(\S+)$`).FindStringSubmatch(r.printed)
	if id == nil || secret == nil {
		r.t.Fatalf("no client ID and secret in\n%s", r.printed)
	}
	config := oauth2.Config{
		ClientID: id[1], ClientSecret: secret[1], Scopes: strings.Fields(value("scopes")),
		RedirectURL: r.app + "/login/generic_oauth",
		Endpoint:    oauth2.Endpoint{AuthURL: value("auth_url"), TokenURL: value("token_url")},
	}
	v, proof := r.visitor(), oauth2.GenerateVerifier()
	var code string
	v.client.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), r.app) {
			code = req.URL.Query().Get("code")
			return http.ErrUseLastResponse
		}
		return nil
	}
	page, at := v.get(config.AuthCodeURL("state", oauth2.S256ChallengeOption(proof)))
	query := regexp.MustCompile(`action="/signin(\?return_to=[^"&]+)"`).FindStringSubmatch(page)
	if query == nil {
		r.t.Fatalf("the app leads to %s\n%s", at, page)
	}
	v.signIn("you@example.com", query[1])
	ctx := context.WithValue(r.t.Context(), oauth2.HTTPClient, v.client)
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(proof))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := config.Client(ctx, token).Get(value("api_url"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var who struct{ Email, Name string }
	err = json.NewDecoder(resp.Body).Decode(&who)
	if err != nil || who.Email != "you@example.com" || who.Name != "Your Name" {
		r.t.Fatalf("the app learns %+v, %v", who, err)
	}
}

// joins: each of the ten people has a link of their own, and the last one signs in.
func (r *reader) joins() {
	r.t.Helper()
	tokens := map[string]bool{}
	text, err := os.ReadFile(filepath.Join(r.home, "people.csv"))
	if err != nil {
		r.t.Fatal(err)
	}
	var email, name string
	for line := range strings.Lines(string(text)) {
		email, name, _ = strings.Cut(strings.TrimSpace(line), ",")
		if link := joinLink.FindStringSubmatch(r.mail.next(email, 0).text); link != nil {
			tokens[link[2]] = true
		}
	}
	if len(tokens) != 10 {
		r.t.Fatalf("%d people got an invitation, want 10", len(tokens))
	}
	r.visitor().join(email, name)
	if page, at := r.visitor().signIn(email, ""); at != "/settings" || !strings.Contains(page, email) {
		r.t.Fatalf("after both steps: %s\n%s", at, page)
	}
}

func unusedAddress(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t))
}

type email struct{ from, subject, text string }

// A mailServer accepts mail over STARTTLS from one user, and keeps it by recipient.
type mailServer struct {
	port string

	t       *testing.T
	mu      sync.Mutex
	mails   map[string][]email
	arrived chan struct{} // closed and replaced at each arrival
}

func startMailServer(t *testing.T, certificate tls.Certificate) *mailServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mailServer{t: t, mails: map[string][]email{}, arrived: make(chan struct{})}
	_, m.port, _ = net.SplitHostPort(listener.Addr().String())
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &mailSession{server: m}, nil
	}))
	server.Domain, server.TLSConfig = "localhost", &tls.Config{Certificates: []tls.Certificate{certificate}}
	ended := make(chan struct{})
	go func() { server.Serve(listener); close(ended) }()
	t.Cleanup(func() { server.Close(); listener.Close(); <-ended })
	return m
}

func (m *mailServer) count(to string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.mails[to])
}

// next waits for the n-th email to an address, counted from 0.
func (m *mailServer) next(to string, n int) email {
	m.t.Helper()
	late := time.After(20 * time.Second)
	for {
		m.mu.Lock()
		arrived, found := m.arrived, m.mails[to]
		m.mu.Unlock()
		if n < len(found) {
			return found[n]
		}
		select {
		case <-arrived:
		case <-late:
			m.t.Fatalf("email %d to %s has not arrived", n, to)
		}
	}
}

type mailSession struct {
	server   *mailServer
	signedIn bool
	from, to string
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != mailUser || password != mailPassword {
			return errors.New("wrong password")
		}
		s.signedIn = true
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.signedIn {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *mailSession) Data(body io.Reader) error {
	m, err := mail.ReadMessage(body)
	if err != nil {
		return fmt.Errorf("not an email: %w", err)
	}
	text, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails[s.to] = append(s.server.mails[s.to], email{s.from, m.Header.Get("Subject"), string(text)})
	close(s.server.arrived)
	s.server.arrived = make(chan struct{})
	return nil
}

func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }
