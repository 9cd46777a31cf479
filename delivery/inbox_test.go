package delivery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func inboxCodeSMS() Message {
	return Message{ID: "SMS1", Channel: SMS, To: "+15550100", Text: "747723 is your code\n\n@example.com #747723"}
}

// The inbox shows a mail as it would arrive, and a text message as composed.
func TestInboxStoresMessages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "inbox")
	now := noon
	in := Inbox{Dir: dir, From: "Example <signin@example.com>", Now: func() time.Time { return now }}
	if all, err := in.List(); err != nil || len(all) != 0 {
		t.Errorf("got %v, %v before the first message, want none", all, err)
	}
	if err := in.Send(t.Context(), testCodeMail()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if err := in.Send(t.Context(), inboxCodeSMS()); err != nil {
		t.Fatal(err)
	}
	all, err := in.List()
	if err != nil || len(all) != 2 {
		t.Fatalf("got %d messages, %v, want 2", len(all), err)
	}
	if want := (InboxMessage{At: now, Message: inboxCodeSMS()}); !reflect.DeepEqual(all[0], want) {
		t.Errorf("got %+v first, want %+v", all[0], want)
	}
	if !reflect.DeepEqual(all[1].Message, testCodeMail()) || !all[1].At.Equal(noon) {
		t.Errorf("got %+v, want %+v", all[1].Message, testCodeMail())
	}
	if o := parseMail(t, []byte(all[1].Raw)); o.subject != testCodeMail().Subject ||
		o.text != normalizeLineEndings(testCodeMail().Text) {
		t.Errorf("got subject %q and text %q", o.subject, o.text)
	}
	one, err := in.Message(testCodeMail().ID)
	if err != nil || !reflect.DeepEqual(one, all[1]) {
		t.Errorf("got %+v, %v, want %+v", one, err, all[1])
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "SMS1.json"): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("got mode %v, %v, want %v", info.Mode().Perm(), err, want)
		}
	}
}

// The mail in the inbox is byte for byte the mail that SMTP sends, except the random boundary.
func TestInboxMailEqualsSMTPMail(t *testing.T) {
	m := testCodeMail()
	m.HTML = ""
	server := startMailServer(t, nil, false)
	s := smtpFor(server, nil)
	s.Security = "none"
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	sent := server.acceptedMails()[0].raw
	in := Inbox{Dir: t.TempDir(), From: s.From, Now: func() time.Time {
		_, rest, _ := strings.Cut(sent, "\r\nDate: ")
		date, _, _ := strings.Cut(rest, "\r\n")
		at, err := time.Parse(time.RFC1123Z, date)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}}
	if err := in.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	// Both show the same instant; only the zone may differ.
	zone := func(raw string) string {
		before, rest, _ := strings.Cut(raw, "\r\nDate: ")
		_, after, _ := strings.Cut(rest, "\r\n")
		return before + after
	}
	a, err := in.Message(m.ID)
	if err != nil || zone(a.Raw) != zone(sent) {
		t.Errorf("got %q, %v, want %q", a.Raw, err, sent)
	}
}

// A second attempt at the same message replaces the first.
func TestInboxReplacesSameID(t *testing.T) {
	in := Inbox{Dir: t.TempDir()}
	for range 2 {
		if err := in.Send(t.Context(), testCodeMail()); err != nil {
			t.Fatal(err)
		}
	}
	all, err := in.List()
	if err != nil || len(all) != 1 {
		t.Fatalf("got %d messages, %v, want 1", len(all), err)
	}
	if age := time.Since(all[0].At); age < 0 || age > time.Minute {
		t.Errorf("got a message %v old, want a new one", age)
	}
}

// The inbox keeps the newest hundred and the very first, and removes the rest.
func TestInboxPrunes(t *testing.T) {
	now := noon
	in := Inbox{Dir: t.TempDir(), Now: func() time.Time { now = now.Add(time.Millisecond); return now }}
	for n := range 105 {
		m := inboxCodeSMS()
		m.ID = fmt.Sprint("id", n)
		if err := in.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	all, err := in.List()
	if err != nil || len(all) != 101 || all[0].ID != "id104" || all[99].ID != "id5" || all[100].ID != "id0" {
		t.Errorf("got %d messages, %v, want id104 to id5, and id0", len(all), err)
	}
	if entries, _ := os.ReadDir(in.Dir); len(entries) != 101 {
		t.Errorf("got %d files, want 101", len(entries))
	}
}

// No ID reads a file outside of the folder, or one within it that is not a message.
func TestInboxPathTraversal(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"secret.json", "inbox/.new-1.json"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(`{"Text":"secret"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := Inbox{Dir: filepath.Join(dir, "inbox")}
	for _, id := range []string{
		"../secret", "..%2fsecret", `..\secret`, "./../secret", filepath.Join(dir, "secret"), ".new-1", "", ".", "..",
		"secret\x00", "a/b", "secret.json", "nothing",
	} {
		if a, err := in.Message(id); !errors.Is(err, ErrMessageNotFound) {
			t.Errorf("%q: got %v, %v, want ErrMessageNotFound", id, a, err)
		}
		if id == "nothing" {
			continue
		}
		m := inboxCodeSMS()
		m.ID = id
		if err := in.Send(t.Context(), m); !errors.Is(err, ErrRejected) {
			t.Errorf("%q: got %v, want ErrRejected", id, err)
		}
	}
	if all, err := in.List(); err != nil || len(all) != 0 {
		t.Errorf("got %v, %v, want none", all, err)
	}
}

func TestInboxRejectsInvalidMessages(t *testing.T) {
	in := Inbox{Dir: t.TempDir()}
	for name, change := range map[string]func(*Message){
		"number":  func(m *Message) { m.To = "5550100" },
		"mailbox": func(m *Message) { m.To = "ann@example.org" },
		"newline": func(m *Message) { m.To = "+15550100\n" },
		"empty":   func(m *Message) { m.Text = "" },
		"channel": func(m *Message) { m.Channel = "fax" },
		"as mail": func(m *Message) { m.Channel = Email },
	} {
		m := inboxCodeSMS()
		change(&m)
		err := in.Send(t.Context(), m)
		if !errors.Is(err, ErrRejected) {
			t.Errorf("%s: got %v, want ErrRejected", name, err)
		}
		wantNoSecrets(t, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := in.Send(ctx, inboxCodeSMS()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// Sending, listing and pruning run concurrently, as with several instances on one folder.
func TestInboxConcurrentUse(t *testing.T) {
	in := Inbox{Dir: t.TempDir()}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 50 {
				m := inboxCodeSMS()
				m.ID = fmt.Sprintf("%d-%d", w, n)
				if err := in.Send(context.Background(), m); err != nil {
					t.Error(err)
				}
				if n%10 == 0 {
					if _, err := in.List(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	all, err := in.List()
	if err != nil || len(all) != 101 {
		t.Errorf("got %d messages, %v, want 101", len(all), err)
	}
}
