package clients

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// patience is how long a program may take to start, and an app to do what it does by itself.
const patience = 2 * time.Minute

// site is a server, the address of one app, and what the guide of the app says.
type site struct {
	*live.Server
	t      *testing.T
	app    string // where people reach it, https://localhost:PORT
	listen string // where it must listen, 127.0.0.1:PORT
	dir    string // for its files
	id     string // its client ID
	secret string // its client secret
	random string // 32 characters, for its own secret

	guide guide
	row   *row
	swaps map[string]string // what of the guide becomes what
}

// newSite starts a server and the address of the app, whose program is not started yet.
func newSite(t *testing.T, r *row) *site {
	t.Helper()
	s := &site{Server: live.Start(t, ""), t: t, row: r, guide: readGuide(t, r.name), random: rand.Text() + rand.Text()[:6]}
	// The program of the app must find its files, and Node its packages, in a folder above.
	parent := filepath.Join("../../build/clients", r.folder)
	err := os.MkdirAll(parent, 0o755)
	if err == nil {
		if s.dir, err = os.MkdirTemp(parent, "run-"); err == nil {
			s.dir, err = filepath.Abs(s.dir)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	s.listen = fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t))
	s.app = openFront(t, s.listen)
	host, front := r.name+".example.com", strings.TrimPrefix(s.app, "https://")
	s.swaps = map[string]string{
		"https://signin.example.com": s.URL, "signin.example.com": strings.TrimPrefix(s.URL, "https://"),
		"https://" + host: s.app, host: front,
	}
	return s
}

// openFront opens a reverse proxy with TLS in front of an app, as an owner has one, and returns its address.
func openFront(t *testing.T, listen string) string {
	t.Helper()
	to := &url.URL{Scheme: "http", Host: listen}
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	front.TLS = &tls.Config{Certificates: []tls.Certificate{common.front}}
	front.StartTLS()
	t.Cleanup(front.Close)
	return strings.Replace(front.URL, "127.0.0.1", "localhost", 1)
}

// swap puts the addresses and secrets of the test in the place of those of the guide.
func (s *site) swap(text string) string {
	longest := slices.SortedFunc(maps.Keys(s.swaps), func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(longest))
	for _, from := range longest {
		pairs = append(pairs, from, s.swaps[from], url.QueryEscape(from), url.QueryEscape(s.swaps[from]))
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	return placeholder.ReplaceAllStringFunc(text, func(name string) string {
		return map[string]string{"CLIENT_SECRET": s.secret, "RANDOM_SECRET": s.random}[name]
	})
}

// placeholder is a secret in a guide. It is a word of its own: OIDC_CLIENT_SECRET is the name of a setting.
var placeholder = regexp.MustCompile(`\b(?:CLIENT|RANDOM)_SECRET\b`)

// also lets one more text of the guide become another, for example the port on which the app listens.
func (s *site) also(from, to string) {
	s.t.Helper()
	if !strings.Contains(strings.Join(slices.Collect(maps.Values(s.guide.files)), "\n"), from) {
		s.t.Fatalf("no block of the guide has %q", from)
	}
	s.swaps[from] = to
}

// register runs the line `twostep app add` of the guide.
func (s *site) register() {
	s.t.Helper()
	config := filepath.Join(s.dir, "twostep.toml")
	data := filepath.Dir(s.Database)
	const settings = "public_url = %q\ndata = %q\n[smtp]\nhost = \"127.0.0.1\"\nfrom = \"signin@example.com\"\n"
	text := fmt.Sprintf(settings, s.URL, data)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	var words []string
	for _, word := range s.guide.add {
		words = append(words, strings.ReplaceAll(s.swap(word), "/etc/twostep/twostep.toml", config))
	}
	out := s.command(words...)
	for line := range strings.Lines(out) {
		if id, ok := strings.CutPrefix(line, "client id"); ok {
			s.id = strings.TrimSpace(id)
		}
		if secret, ok := strings.CutPrefix(line, "client secret"); ok {
			s.secret = strings.TrimSpace(secret)
		}
	}
	if s.id == "" {
		s.t.Fatalf("app add printed no client id\n%s", out)
	}
}

// command runs the program with these words, and returns what it prints.
func (s *site) command(words ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, common.twostep, words...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("twostep %s: %v\n%s", strings.Join(words, " "), err, out)
	}
	return string(out)
}

// set changes the app with flags of `twostep app set`, as an owner does while the server runs.
func (s *site) set(flags ...string) {
	s.t.Helper()
	words := append([]string{"app", "set", s.id}, flags...)
	s.command(append(words, "--config", filepath.Join(s.dir, "twostep.toml"))...)
	s.Turn(time.Second) // for so long, a server remembers its apps
}

// text is a block of the guide, as it stands in the test.
func (s *site) text(name string) string {
	s.t.Helper()
	text, ok := s.guide.files[name]
	if !ok {
		s.t.Fatalf("the guide has no block for a file %s", name)
	}
	return strings.TrimRight(s.swap(text), "\n")
}

// file writes a block of the guide to a file of this name, and returns its path.
func (s *site) file(name string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(s.text(name)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// env is a block of the guide with lines of the form NAME=value.
func (s *site) env(name string) (all []string) {
	s.t.Helper()
	for line := range strings.Lines(s.text(name)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// program is one that runs.
type program struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	said  live.Log
}

// stop ends it.
func (p *program) stop() {
	p.cmd.Process.Kill()
	<-p.ended
}

// installed is the path of a program below build/clients.
func (s *site) installed(path string) string {
	s.t.Helper()
	full, err := filepath.Abs(filepath.Join("../../build/clients", path))
	if err == nil {
		_, err = os.Stat(full)
	}
	if err != nil {
		s.t.Fatalf("%v: run make clients, it installs what these tests need", err)
	}
	return full
}

// launch starts a program in the folder of the site until the test ends, and prints what it said if the test fails.
func (s *site) launch(env []string, name string, args ...string) *program {
	s.t.Helper()
	p := &program{cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = s.dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.ended) }()
	s.t.Cleanup(func() {
		p.stop()
		if s.t.Failed() {
			s.t.Logf("%s says:\n%s", filepath.Base(name), p.said.String())
		}
	})
	return p
}

// start launches the program of the app and waits until it listens.
func (s *site) start(env []string, name string, args ...string) *program {
	s.t.Helper()
	p := s.launch(env, name, args...)
	s.until("the app listens", func() error {
		select {
		case <-p.ended:
			s.t.Fatal("the program of the app has ended")
		default:
		}
		c, err := net.Dial("tcp", s.listen)
		if err == nil {
			c.Close()
		}
		return err
	})
	return p
}

// until tries something until it succeeds: what an app does by itself has no other sign.
func (s *site) until(what string, try func() error) {
	s.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			s.t.Fatalf("%s: never, lastly: %v\n%s", what, err, s.warnings())
		}
	}
}

// warnings are the lines of the log of the server at level WARN or above.
func (s *site) warnings() string {
	var b strings.Builder
	for line := range strings.Lines(s.Log.String()) {
		if !strings.Contains(line, `"level":"INFO"`) && !strings.Contains(line, `"level":"DEBUG"`) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// rejected wants the log, since it had this length, to say one thing about requests of apps that were rejected, even if
// the app tries again. It must name the app and contain the texts: what the app sent, and the remedy.
func (s *site) rejected(since int, texts ...string) {
	s.t.Helper()
	type rejection struct{ App, Reason, Sent, Remedy string }
	var all []rejection
	for line := range strings.Lines(s.Log.String()[since:]) {
		var said struct {
			Level, Msg string
			rejection
		}
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			s.t.Fatal(err)
		}
		if said.Level == "WARN" && said.Msg == "request of an app rejected" && !slices.Contains(all, said.rejection) {
			all = append(all, said.rejection)
		}
	}
	if len(all) != 1 {
		s.t.Fatalf("want one line of the log about a rejected request, got %d:\n%s", len(all), s.Log.String()[since:])
	}
	text := fmt.Sprintf("%+v", all[0])
	for _, want := range texts {
		if !strings.Contains(text, want) {
			s.t.Errorf("the log does not say %q: %s", want, text)
		}
	}
	if all[0].App != s.id || all[0].Remedy == "" {
		s.t.Errorf("the log names another app, or no remedy: %s", text)
	}
	reason, _, _ := strings.Cut(all[0].Reason, ":")
	s.row.lines = append(s.row.lines, reason)
	s.saw(misconfiguration)
}

// misconfigure changes the secret of the app if it has one, and then the redirect URL, lets somebody open the app with
// each, and wants the log to say what is wrong.
func (s *site) misconfigure(open func(*person)) {
	s.t.Helper()
	if s.secret != "" {
		s.command("app", "rotate", s.id, "--config", filepath.Join(s.dir, "twostep.toml"))
		s.Turn(time.Second)
		since := len(s.Log.String())
		open(s.person())
		s.rejected(since, "wrong client secret", "`twostep app rotate "+s.id+"`")
	}
	s.wrongRedirect(func() { open(s.person()) })
}

// wrongRedirect registers another redirect URL than the app sends, lets somebody open the app, and wants the line of
// the log that says so.
func (s *site) wrongRedirect(open func()) {
	s.t.Helper()
	const elsewhere = "https://elsewhere.example.com/callback"
	s.set("--redirect", elsewhere)
	since := len(s.Log.String())
	open()
	s.rejected(since, "redirect_uri="+s.app, elsewhere, "`twostep app set "+s.id+" --redirect URL`")
}

// withoutPKCE runs an app that sends neither PKCE nor a nonce. It wants it to be refused with one line of the log that
// has the remedy, and then does what the line says and wants the sign-in to lead to a page with the text.
func (s *site) withoutPKCE(open func(*person) page, text string) {
	s.t.Helper()
	since := len(s.Log.String())
	open(s.person())
	s.rejected(since, "code_challenge is missing", "`twostep app set "+s.id+" --pkce off`")
	s.set("--pkce", "off")
	anna := s.person()
	anna.says(open(anna), text)
	s.set("--pkce", "auto")
}

// port is the port on which the app must listen.
func (s *site) port() string { return s.listen[strings.LastIndex(s.listen, ":")+1:] }

// userinfo asks the server about the holder of an access token.
func (s *site) userinfo(token string) (map[string]any, error) {
	r, err := http.NewRequest(http.MethodGet, s.URL+"/oauth2/userinfo", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := s.Client().Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var said map[string]any
	err = json.NewDecoder(res.Body).Decode(&said)
	if res.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("userinfo: %s", res.Status))
	}
	return said, err
}

// requests counts the requests to a path that the server has answered with this status.
func (s *site) requests(path string, status int) (n int) {
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, fmt.Sprintf(`"path":%q,"status":%d,`, path, status)) {
			n++
		}
	}
	return n
}
