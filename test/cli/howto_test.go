package cli

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"net/http"
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

// howToPages are the pages whose commands this test runs. The tutorial has its own test.
var howToPages = []string{"../../docs/how-to/*.md", "../../docs/operating.md", "../../docs/apps.md", "../../docs/forward-auth.md"}

// absentPrograms do nothing: they change the users, packages and logs of a machine that the test does not own.
var absentPrograms = []string{"apt-get", "chown", "createuser", "createdb", "fail2ban-client", "journalctl",
	"promtool"}

// endless are the commands that do not end by themselves, with what they print.
var endless = map[string]string{
	"twostep audit --follow": "account.invited",
	"twostep serve --demo":   "demo account: ",
}

// refused are commands that change what nobody on this machine has, with what they print.
var refused = map[string]string{
	"account reset-methods": "has no such method", "account end-freeze": "is not frozen",
	"session end anna@example.com SESSION": "has no such session",
}

// unreachable ends what app doctor prints, since the apps of the pages are on no machine.
const unreachable = ": 1 of the checks of books failed\n"

// Every command of the how-to guides runs in its order, on a machine whose mail server does not answer and whose
// commands do not know the password of the mail server.
func TestHowToCommands(t *testing.T) {
	bin := build(t)
	var run int
	for _, pattern := range howToPages {
		pages, err := filepath.Glob(pattern)
		if err != nil || len(pages) == 0 {
			t.Fatalf("%s: found %q, %v", pattern, pages, err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			steps := consoleSteps(t, string(text))
			run += len(steps)
			if len(steps) > 0 {
				t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) {
					newMachine(t, bin, filepath.Base(page), string(text)).follow(steps)
				})
			}
		}
	}
	if run < 50 {
		t.Errorf("only %d commands were run", run)
	}
}

// consoleSteps returns the commands of a page, and the settings in TOML that stand between them.
func consoleSteps(t *testing.T, page string) (all []step) {
	t.Helper()
	for _, block := range regexp.MustCompile("(?ms)^ *```(console|toml)\n(.*?)^ *```$").FindAllStringSubmatch(page, -1) {
		if block[1] == "toml" {
			all = append(all, step{content: block[2]})
			continue
		}
		var lines []string
		for line := range strings.Lines(block[2]) {
			lines = append(lines, strings.TrimSpace(line))
		}
		all = append(all, parseCommands(t, lines)...)
	}
	if !slices.ContainsFunc(all, func(s step) bool { return s.command != "" }) {
		return nil
	}
	return all
}

// machine is the one of the tutorial, after it: a server that runs, an app, and the people that the page speaks of.
type machine struct {
	t      *testing.T
	page   string
	root   string // its folders
	url    string // of the server
	values *strings.Replacer
	env    []string
	base   map[string]string // the settings: a key outside of tables, or a table
	server *exec.Cmd
	ended  chan error // gets what the server ends with
	log    *live.Log
}

func newMachine(t *testing.T, bin, page, text string) *machine {
	t.Helper()
	root, address := t.TempDir(), unusedAddress(t)
	m := &machine{t: t, page: page, root: root, url: "http://" + address}
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"bin", "home", "root", "run/twostep", "etc/twostep", "etc/fail2ban/filter.d",
		"etc/fail2ban/jail.d", "etc/prometheus", "var/lib/twostep", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.write("bin/sudo", sudoScript)
	for _, name := range absentPrograms {
		m.write("bin/"+name, "#!/bin/sh\n")
	}
	// So that a page can install another one.
	if err := os.Link(filepath.Join(bin, "twostep"), filepath.Join(root, "bin/twostep")); err != nil {
		m.tool("cp", filepath.Join(bin, "twostep"), filepath.Join(root, "bin/twostep"))
	}
	m.env = append(machineEnvironment(t, filepath.Join(root, "home"), filepath.Join(root, "bin"), "/dev/null",
		filepath.Join(root, "tmp")), "USER=root")
	m.values = strings.NewReplacer("/usr/src/twostep", source, "/usr/local/bin", root+"/bin", "/etc/", root+"/etc/",
		"/var/lib/twostep", root+"/var/lib/twostep", "/root/", root+"/root/", "/run/twostep", root+"/run/twostep",
		"http://127.0.0.1:8080", m.url, "127.0.0.1:9464", unusedAddress(t))
	if page == "webhooks.md" {
		m.env = append(m.env, "TWOSTEP_WEBHOOK_CRM_SECRET_FILE="+filepath.Join(root, "etc/twostep/webhook-crm"))
		m.values = strings.NewReplacer("/etc/", root+"/etc/", `"https://crm.example.com/hooks/twostep"`,
			fmt.Sprintf("%q\nallow_private = true", newReceiver(t, filepath.Join(root, "etc/twostep/webhook-crm")).URL))
	}
	m.base = map[string]string{
		"listen": fmt.Sprintf("%q", address), "public_url": fmt.Sprintf("%q", m.url),
		"data":   fmt.Sprintf("%q", filepath.Join(root, "var/lib/twostep")),
		"[smtp]": fmt.Sprintf("host = \"127.0.0.1\"\nport = %d\nuser = \"signin-user\"\nfrom = \"signin@example.com\"\n", storetest.FreePort(t)),
	}
	m.configure()
	m.start()
	t.Cleanup(m.stop)
	const at = " --config /etc/twostep/twostep.toml"
	for _, app := range []string{"argocd", "grafana", "wiki"} {
		if !strings.Contains(text, " app add "+app+" ") { // which the page itself does
			m.run("sudo -u twostep twostep app add " + app + " --redirect https://" + app + ".example.com/callback" + at)
		}
	}
	if page != "invite-people.md" { // which the page itself does
		m.run("sudo -u twostep twostep account add anna@example.com" + at)
	}
	return m
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.root, name), []byte(text), 0o700); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) tool(name string, args ...string) {
	m.t.Helper()
	if out, err := exec.CommandContext(m.t.Context(), name, args...).CombinedOutput(); err != nil {
		m.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// configure writes the configuration file.
func (m *machine) configure() {
	m.t.Helper()
	var keys, tables []string
	for name, text := range m.base {
		if strings.HasPrefix(name, "[") {
			tables = append(tables, name+"\n"+text)
		} else {
			keys = append(keys, name+" = "+text+"\n")
		}
	}
	m.write("etc/twostep/twostep.toml", strings.Join(append(keys, tables...), ""))
}

// add puts the settings of a block into the configuration, in the place of those that are there.
func (m *machine) add(block string) {
	m.t.Helper()
	table := ""
	for line := range strings.Lines(block) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, " = ")
		switch {
		case strings.HasPrefix(line, "["):
			table = line
			m.base[table] = ""
		case table != "":
			m.base[table] += line + "\n"
		case ok:
			m.base[key] = value
		}
	}
	m.configure()
}

// start starts the server as systemd does.
func (m *machine) start() {
	m.t.Helper()
	m.log = &live.Log{}
	m.server = exec.Command(filepath.Join(m.root, "bin/twostep"), "serve", //nolint:gosec // the program of this test
		"--config", filepath.Join(m.root, "etc/twostep/twostep.toml"))
	m.server.Dir, m.server.Stdout, m.server.Stderr = "/", m.log, m.log
	m.server.Env = append(slices.Clone(m.env), "TWOSTEP_SMTP_PASSWORD=secret") // as systemd gives it: commands don't have it
	if err := m.server.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.ended = make(chan error, 1)
	go func(server *exec.Cmd) { m.ended <- server.Wait() }(m.server)
	m.wait("the server answers", func() bool { return strings.Contains(m.log.String(), "listening") })
}

func (m *machine) stop() {
	if m.server == nil {
		return
	}
	_ = m.server.Process.Signal(syscall.SIGTERM)
	if err := <-m.ended; err != nil || m.t.Failed() {
		m.t.Errorf("the server: %v\n%s", err, m.log)
	}
	m.server = nil
}

func (m *machine) wait(what string, is func() bool) {
	m.t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	enough := time.After(time.Minute)
	for !is() {
		select {
		case <-look.C:
		case err := <-m.ended:
			m.server = nil
			m.t.Fatalf("the server has ended: %v\n%s", err, m.log)
		case <-enough:
			m.t.Fatalf("%s: never\n%s", what, m.log)
		}
	}
}

// follow runs the commands of a page.
func (m *machine) follow(steps []step) {
	m.t.Helper()
	for _, s := range steps {
		if s.command != "" {
			m.step(s)
		} else if slices.Contains([]string{"branding.md", "monitor.md", "text-messages.md", "webhooks.md"}, m.page) {
			m.add(m.values.Replace(s.content))
		}
	}
}

var serviceCommand = regexp.MustCompile(`^sudo systemctl (daemon-reload$|start|stop|restart|enable --now) ?`)

func (m *machine) step(s step) {
	m.t.Helper()
	switch {
	case serviceCommand.MatchString(s.command):
		if !strings.Contains(s.command, " start ") && !strings.Contains(s.command, "daemon-reload") {
			m.stop()
		}
		if !strings.Contains(s.command, " stop ") && !strings.Contains(s.command, "daemon-reload") {
			m.start()
		}
		return
	case strings.Contains(s.command, "logo.svg"):
		m.writeLogos()
	case strings.Contains(s.command, "TRACE"):
		m.post("/signin", url.Values{"email": {"anna@example.com"}, "password": {newPassword}})
		trace := regexp.MustCompile(`msg="trust decided".* trace=(\w+)`)
		m.wait("the log has a decision", func() bool { return trace.MatchString(m.log.String()) })
		s.command = strings.ReplaceAll(s.command, "TRACE", trace.FindStringSubmatch(m.log.String())[1])
	case strings.Contains(s.command, "--unix-socket"):
		m.stop()
		m.add(m.values.Replace("listen = \"unix:/run/twostep/twostep.sock\""))
		m.start()
	}
	for command, prints := range endless {
		name, flag, _ := cutLast(command, " ")
		if strings.Contains(s.command, name+" ") && strings.Contains(s.command, " "+flag) {
			m.runUntil(s.command, prints)
			return
		}
	}
	out := m.run(s.command)
	if len(s.output) > 0 {
		// What the page shows is an example: only the words before a colon are the same.
		for _, line := range s.output {
			word, _, _ := strings.Cut(line, ":")
			if !strings.Contains(out, word) {
				m.t.Errorf("%s: the page shows %q, but it prints\n%s", s.command, line, out)
			}
		}
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// shell returns a command that runs a line of the page in the home folder.
func (m *machine) shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-euc", "exec 2>&1; "+m.values.Replace(line))
	cmd.Dir, cmd.Env = filepath.Join(m.root, "home"), m.env
	return cmd
}

// run runs a command. If it prints a link for a new account, the person opens it and chooses a password.
func (m *machine) run(line string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	out, err := m.shell(ctx, line).Output()
	why := unreachable
	for command, prints := range refused {
		if strings.Contains(line, " "+command+" ") {
			why = prints
		}
	}
	expected := why != unreachable || strings.Contains(line, " app doctor ")
	if err != nil && !(expected && bytes.Contains(out, []byte(why))) {
		m.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	if link := regexp.MustCompile(`/join#(\S+)`).FindSubmatch(out); link != nil {
		m.post("/join", url.Values{"token": {string(link[1])}, "name": {"Anna Adams"}, "password": {newPassword}})
	}
	return string(out)
}

// runUntil runs a command that does not end until it has printed a text.
func (m *machine) runUntil(line, text string) {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.t.Context())
	var out live.Log
	cmd := m.shell(ctx, strings.Replace(line, "sudo -u twostep ", "exec ", 1))
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // it has been stopped
	}()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	enough := time.After(time.Minute)
	for !strings.Contains(out.String(), text) {
		select {
		case <-look.C:
		case <-enough:
			m.t.Fatalf("%s: has not printed %q\n%s", line, text, out.String())
		}
	}
}

func (m *machine) post(path string, form url.Values) {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, m.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther && resp.StatusCode != http.StatusOK {
		m.t.Fatalf("%s: %s", path, resp.Status)
	}
}

// writeLogos writes the logos of the page into the home folder.
func (m *machine) writeLogos() {
	m.t.Helper()
	m.write("home/logo.svg", `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8"/></svg>`)
	var logo bytes.Buffer
	if err := png.Encode(&logo, image.NewGray(image.Rect(0, 0, 64, 64))); err != nil {
		m.t.Fatal(err)
	}
	m.write("home/logo.png", logo.String())
}
