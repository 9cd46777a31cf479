package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"modernc.org/sqlite"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/test/e2e/live"
)

// crashEnv makes the test binary a server that can be killed; see TestCrashChild.
const crashEnv = "TWOSTEP_CRASH"

// order is what such a server is told.
type order struct {
	Folder string
	Mail   int           // the port of the mail server
	Add    bool          // make Anna's account
	Ahead  time.Duration // of its clock
	Kill   int64         // die at the Kill-th point from the start; 0: live
	Only   string        // count only the points with this name; "": all
}

// TestCrashChild is no test but the server of the crash tests, in a process of its own.
func TestCrashChild(t *testing.T) {
	text := os.Getenv(crashEnv)
	if text == "" {
		return // go test runs it like any other
	}
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	f := &crashPoints{only: o.Only}
	f.left.Store(o.Kill)
	sqlite.RegisterConnectionHook(f.hook)
	c := &child{points: f}
	c.ahead.Store(int64(o.Ahead))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := twostep.New(context.Background(), c.options(o, "http://"+listener.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	if o.Add {
		anna := twostep.AccountParams{Email: live.AnnaEmail, Name: "Anna", Password: live.AnnaPassword}
		if err := server.CreateAccount(context.Background(), anna); err != nil && !errors.Is(err, twostep.ErrAccountExists) {
			t.Fatal(err)
		}
	}
	fmt.Printf("ready %s\n", listener.Addr())
	web := &http.Server{Handler: c.handler(server)}
	go web.Serve(listener)
	// The parent closes the pipe to end us, and its own death closes it too.
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := errors.Join(web.Close(), server.Close()); err != nil {
		t.Fatal(err)
	}
}

// child is a server that dies at one of its crash points, and whose clock its parent advances.
type child struct {
	points *crashPoints
	ahead  atomic.Int64
}

func (c *child) options(o order, public string) twostep.Options {
	smtp := delivery.SMTP{Host: "127.0.0.1", Port: o.Mail, From: "Example <signin@example.com>", Security: "none"}
	return twostep.Options{
		Database: filepath.Join(o.Folder, "twostep.db"), KeyFile: filepath.Join(o.Folder, "keys"),
		PublicURL: public, Site: "Example", SignUp: "open", Methods: []factor.Method{email.Method{}},
		Now:    func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) },
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Senders: map[delivery.Channel]delivery.SendFunc{
			delivery.Email: func(ctx context.Context, m delivery.Message) error {
				c.points.reach(beforeSend)
				err := smtp.Send(ctx, m)
				if err == nil {
					c.points.reach(accepted)
				}
				return err
			},
		},
	}
}

// handler adds what only the parent uses.
func (c *child) handler(pages http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /crash/arm", func(_ http.ResponseWriter, r *http.Request) {
		n, _ := strconv.ParseInt(r.FormValue("n"), 10, 64)
		c.points.left.Store(n)
	})
	mux.HandleFunc("POST /crash/turn", func(_ http.ResponseWriter, r *http.Request) {
		by, _ := time.ParseDuration(r.FormValue("by"))
		c.ahead.Add(int64(by))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w = &crashingWriter{ResponseWriter: w, before: func() { c.points.reach("answer to " + r.URL.Path) }}
		}
		pages.ServeHTTP(w, r)
	})
	return mux
}

// crashingWriter calls before when the answer to a request is about to leave: whatever the
// request did is committed, and the browser does not know yet.
type crashingWriter struct {
	http.ResponseWriter
	once   sync.Once
	before func()
}

func (w *crashingWriter) WriteHeader(status int) {
	w.once.Do(w.before)
	w.ResponseWriter.WriteHeader(status)
}

func (w *crashingWriter) Write(b []byte) (int, error) {
	w.once.Do(w.before)
	return w.ResponseWriter.Write(b)
}

func (w *crashingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// The points around a mail.
const (
	beforeSend = "before a mail is sent"
	accepted   = "mail accepted, not written down"
)

// crashPoints counts the points at which a process may die, and kills it at one of them.
type crashPoints struct {
	only string
	left atomic.Int64 // points to live for; nothing happens unless it comes to be 0
}

func (f *crashPoints) reach(point string) {
	if f.only != "" && f.only != point || f.left.Add(-1) != 0 {
		return
	}
	fmt.Printf("died %s\n", point) // in the pipe at once: os.Stdout has no buffer
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {} // not one step further
}

// hook makes every row that is written, every statement of a migration, the moment
// before a commit and the next statement after it crash points. A connection is
// used by one goroutine at a time, so what is known of it needs no lock.
func (f *crashPoints) hook(conn sqlite.ExecQuerierContext, _ string) error {
	hooks, ok := conn.(sqlite.HookRegisterer)
	guard, also := conn.(sqlite.AuthorizerRegisterer)
	if !ok || !also {
		return errors.New("the driver has lost its hooks")
	}
	var wrote, committed bool
	hooks.RegisterPreUpdateHook(func(d sqlite.SQLitePreUpdateData) {
		f.reach(operations[d.Op] + " " + d.TableName)
		wrote = true
	})
	hooks.RegisterCommitHook(func() int32 {
		if wrote {
			f.reach("before a commit")
		}
		committed, wrote = wrote, false
		return 0
	})
	hooks.RegisterRollbackHook(func() { wrote = false })
	return guard.RegisterAuthorizer(func(action sqlite.AuthorizerActionCode, name, _, _, _ string) sqlite.AuthorizerReturnCode {
		if committed {
			committed = false
			f.reach("after a commit")
		}
		if action == sqlite.AuthCreateTable || action == sqlite.AuthCreateIndex {
			f.reach("create " + name)
			wrote = true
		}
		return sqlite.AuthorizerOK
	})
}

var operations = map[int32]string{
	int32(sqlite.AuthInsert): "insert", int32(sqlite.AuthUpdate): "update", int32(sqlite.AuthDelete): "delete",
}
