package twostep_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The app of docs/embedding.md, built and run from outside the module: an invited person
// chooses a password, signs in with both steps, and is known by the app.
func TestEmbedding(t *testing.T) {
	dir, address := t.TempDir(), free(t)
	said := outside(t, dir, address)
	link := await(t, said, `http://\S+/join#\S+`)
	listens(t, address)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &embedder{t, "http://" + address, &http.Client{Jar: jar, Timeout: 10 * time.Second}}
	_, token, _ := strings.Cut(link, "#")
	p.post("/join", url.Values{"token": {token}, "name": {"You"}, "password": {"correct horse battery"}})
	if page := p.get("/notes"); !strings.Contains(page, `action="/signin"`) {
		t.Fatalf("nobody is in, and /notes shows\n%s", page)
	}
	p.post("/signin", url.Values{"email": {"you@example.com"}, "password": {"correct horse battery"}, "return_to": {"/notes"}})
	await(t, said, "message handed over")
	code := regexp.MustCompile(`\b\d{6}\b`).FindString(p.mails(dir))
	if page := p.post("/signin/verify", url.Values{"code": {code}}); !strings.Contains(page, "Notes of you@example.com") {
		t.Fatalf("after both steps the app shows\n%s", page)
	}
	p.post("/signout", nil)
	if page := p.get("/notes"); strings.Contains(page, "Notes of") {
		t.Error("signed out, and the app still knows who it is")
	}
}

// outside builds the program of the document in a module of its own, and starts it.
func outside(t *testing.T, dir, address string) *bufio.Scanner {
	t.Helper()
	text, err := os.ReadFile("docs/embedding.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(text), "```go\n")
	program, _, ok := strings.Cut(program, "```")
	if !ok {
		t.Fatal("docs/embedding.md has no program")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"main.go": strings.ReplaceAll(program, "127.0.0.1:8080", address), "go.mod": elsewhere(t, here)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := os.ReadFile("go.sum")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600)
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "data"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", "notes", ".")
	build.Dir = dir
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return run(t, dir)
}

// elsewhere is the go.mod of another module that uses this one, with the same versions.
func elsewhere(t *testing.T, here string) string {
	t.Helper()
	ours, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(ours), "\n")
	return "module example.com/notes\n" + rest + "\nrequire twostep v0.0.0\nreplace twostep => " + here + "\n"
}

// run starts the program; what it says comes line by line.
func run(t *testing.T, dir string) *bufio.Scanner {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "notes"))
	cmd.Dir = dir
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
	for said.Scan() {
		if found := wanted.FindString(said.Text()); found != "" {
			return found
		}
	}
	t.Fatalf("it ended, or a minute was over, and it has not said %q", pattern)
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
func (p *embedder) mails(dir string) string {
	p.t.Helper()
	var all bytes.Buffer
	files, err := filepath.Glob(filepath.Join(dir, "data", "inbox", "*"))
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

// free is an address of this machine at which nobody listens.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
