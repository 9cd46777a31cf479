package twostep_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cookiejar"
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
)

// The page docs/embedding.md, followed word for word outside of this module: an invited person chooses a password,
// enters the code, and is known by the app.
func TestEmbedding(t *testing.T) {
	dir, address := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", storetest.FreePort(t))
	notes, start := follow(t, dir, address)
	t.Run("module graph", func(t *testing.T) { checkGraph(t, notes) })
	t.Run("linked packages", func(t *testing.T) { checkLinked(t, notes) })
	said := start()
	link := await(t, said, `http://\S+/join#\S+`)
	listens(t, address)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &embedder{t, "http://" + address, &http.Client{Jar: jar, Timeout: 10 * time.Second}}
	_, token, _ := strings.Cut(link, "#")
	p.post("/join", url.Values{"token": {token}, "name": {"You"}, "password": {"correct horse battery"}})
	if page := p.get("/notes"); !strings.Contains(page, `action="/signin/verify?return_to=%2Fnotes"`) {
		t.Fatalf("the code was not entered, and /notes shows\n%s", page)
	}
	await(t, said, "message sent")
	code := regexp.MustCompile(`\b\d{6}\b`).FindString(p.mails(notes))
	p.post("/signin/verify", url.Values{"code": {code}})
	if page := p.get("/notes"); !strings.Contains(page, "Notes of you@example.com") {
		t.Fatalf("after both steps the app shows\n%s", page)
	}
	p.post("/signout", nil)
	if page := p.get("/notes"); strings.Contains(page, "Notes of") {
		t.Error("signed out, and the app still knows who it is")
	}
}

// blocks returns the code blocks of docs/embedding.md in this language.
func blocks(t *testing.T, language string) (found []string) {
	t.Helper()
	text, err := os.ReadFile("docs/embedding.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		found = append(found, block[1])
	}
	return found
}

// follow does in dir what the page says up to its last command, which start does. Only the port and the path of the
// checkout are others. It returns the folder of the app.
func follow(t *testing.T, dir, address string) (notes string, start func() *bufio.Scanner) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	programs, commands := blocks(t, "go"), blocks(t, "sh")
	if len(programs) != 1 || len(commands) != 3 || !strings.HasSuffix(commands[1], "\ngo run .\n") {
		t.Fatalf("the page has %d programs and %d blocks of commands", len(programs), len(commands))
	}
	notes = filepath.Join(dir, "notes")
	shell(t, dir, strings.ReplaceAll(commands[0], "/path/to/twostep", here))
	program := strings.ReplaceAll(programs[0], "127.0.0.1:8080", address)
	if err := os.WriteFile(filepath.Join(notes, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	shell(t, notes, strings.TrimSuffix(commands[1], "go run .\n"))
	return notes, func() *bufio.Scanner { return run(t, notes, "go run .") }
}

// offline is an environment in which the go command takes modules from its cache only.
func offline() []string { return append(os.Environ(), "GOPROXY=off", "GOSUMDB=off", "GOWORK=off") }

// shell runs commands and returns what they print.
func shell(t *testing.T, dir, commands string) string {
	t.Helper()
	var out, fault bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", commands)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, offline(), &out, &fault
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", commands, err, out.Bytes(), fault.Bytes())
	}
	return out.String()
}

// checkGraph compares the modules that an embedder's go command knows with what only tests use. The sums are those of
// this module: nothing else was downloaded.
func checkGraph(t *testing.T, notes string) {
	graph := shell(t, notes, "go mod graph")
	if !strings.Contains(graph, "twostep.example/twostep@v0.0.0") {
		t.Fatalf("not a graph:\n%s", graph)
	}
	for _, module := range []string{
		"github.com/chromedp/", "github.com/zitadel/", "pgregory.net/rapid", "github.com/rogpeppe/go-internal",
	} {
		if strings.Contains(graph, module) {
			t.Errorf("%s is in the module graph of the app", module)
		}
	}
	ours, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(filepath.Join(notes, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(theirs)) {
		if !bytes.Contains(ours, []byte(line)) {
			t.Errorf("go.sum of the app has %s", line)
		}
	}
}

// checkLinked compares the packages that an embedder builds with those that are for the program twostep only. A table
// of cmd/twostep that moves into a package of the server would still show by its text.
func checkLinked(t *testing.T, notes string) {
	linked := strings.Fields(shell(t, notes, "go list -deps ."))
	if !slices.Contains(linked, "twostep.example/twostep/internal/signin") {
		t.Fatalf("not the packages of the app: %q", linked)
	}
	for _, path := range linked {
		for _, not := range []string{
			"twostep.example/twostep/internal/check", "twostep.example/twostep/internal/demo", "twostep.example/twostep/cmd",
			"github.com/alecthomas/kong", "github.com/pelletier/go-toml", "github.com/coreos/go-oidc", "golang.org/x/oauth2",
			"testing",
		} {
			if path == not || strings.HasPrefix(path, not+"/") {
				t.Errorf("the app links %s", path)
			}
		}
	}
	shell(t, notes, "go build -o program .")
	program, err := os.ReadFile(filepath.Join(notes, "program"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(program, []byte("Trust this device")) {
		t.Error("the program has no texts in it: what follows would say nothing")
	}
	for _, product := range []string{"Authelia", "Vaultwarden", "privacyIDEA"} { // of the table in docs/odds.md
		if bytes.Contains(program, []byte(product)) {
			t.Errorf("the program has %s in it", product)
		}
	}
}

// The command that changes the module path leaves nothing of the old one, and every import is still found.
func TestModulePathChanges(t *testing.T) {
	commands := blocks(t, "sh")
	command := commands[len(commands)-1]
	dir := t.TempDir()
	copyTree(t, dir)
	shell(t, dir, command)
	if left := shell(t, dir, "grep -rlIF --exclude-dir=build twostep.example/twostep . || true"); left != "" {
		t.Errorf("the old path is left in\n%s", left)
	}
	for _, in := range []string{"", "cd test; "} {
		modules := shell(t, dir, in+"go list -m && go list -test -deps ./... >/dev/null")
		if !strings.HasPrefix(modules, "github.com/you/twostep") {
			t.Errorf("the module is %s", modules)
		}
	}
}

// copyTree copies the files of this repository.
func copyTree(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == ".git" || path == "build" || path == "twostep-data":
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, path), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, path), content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The packages of this module that the program links, and an app cannot import: its own comment names them.
func TestProgramUsesPublicPackages(t *testing.T) {
	var internal []string
	for _, path := range strings.Fields(shell(t, ".", `go list -f '{{join .Imports "\n"}}' ./cmd/twostep`)) {
		if name, ok := strings.CutPrefix(path, "twostep.example/twostep/internal/"); ok {
			internal = append(internal, name)
		}
	}
	if want := []string{"check", "demo"}; !slices.Equal(internal, want) {
		t.Errorf("cmd/twostep imports internal %q, and its package comment says %q", internal, want)
	}
}

// run starts a command; what it says comes line by line. It ends with the test, and so does what it has started.
func run(t *testing.T, dir, command string) *bufio.Scanner {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, offline(), &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
	})
	return bufio.NewScanner(said)
}

// await reads what the program says until it has said it, and returns that.
func await(t *testing.T, said *bufio.Scanner, pattern string) string {
	t.Helper()
	wanted := regexp.MustCompile(pattern)
	var before strings.Builder
	for said.Scan() {
		if found := wanted.FindString(said.Text()); found != "" {
			return found
		}
		before.WriteString(said.Text() + "\n")
	}
	t.Fatalf("it ended, or five minutes were over, and it has not said %q, but\n%s", pattern, before.String())
	return ""
}

// embedder is somebody with a browser.
type embedder struct {
	t    *testing.T
	home string
	*http.Client
}

func (p *embedder) get(path string) string { return p.read(p.Get(p.home + path)) }

func (p *embedder) post(path string, form url.Values) string {
	return p.read(p.PostForm(p.home+path, form))
}

func (p *embedder) read(a *http.Response, err error) string {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode >= 400 {
		p.t.Fatalf("%s: %d %v\n%s", a.Request.URL.Path, a.StatusCode, err, body)
	}
	return string(body)
}

// mails are all that lies in the inbox.
func (p *embedder) mails(notes string) string {
	p.t.Helper()
	var all bytes.Buffer
	files, err := filepath.Glob(filepath.Join(notes, "data", "inbox", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// listens waits until somebody does: the program prints its link before.
func listens(t *testing.T, address string) {
	t.Helper()
	late := time.After(time.Minute)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("it never listens")
		}
	}
}
