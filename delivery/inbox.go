package delivery

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxInboxMessages is how many messages an inbox keeps, besides the very first, which has the
// sign-in credentials in demo mode.
const maxInboxMessages = 100

// ErrMessageNotFound is returned if the inbox has no message with this ID, or the ID is not valid.
var ErrMessageNotFound = errors.New("no such message")

// Inbox stores messages in a folder instead of sending them, for demos and development. Everybody who
// can read the folder can read the codes. Several processes can share one folder.
type Inbox struct {
	Dir  string           // created if it does not exist, with mode 0700
	From string           // sender of emails; "" is signin@localhost
	Now  func() time.Time // nil is time.Now
}

// InboxMessage is a stored message.
type InboxMessage struct {
	At time.Time // time of arrival, UTC
	Message
	Raw string // email: the whole mail (RFC 5322, CRLF line ends); sms: ""
}

// Send stores m. A message with the same ID is replaced. Send returns an error that wraps ErrRejected
// if m is invalid, by the same checks as SMTP and Gateway.
func (i Inbox) Send(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delivery: inbox: %w", err)
	}
	a := InboxMessage{At: time.Now().UTC(), Message: m}
	if i.Now != nil {
		a.At = i.Now().UTC()
	}
	switch m.Channel {
	case Email:
		mail, err := composeMail(cmp.Or(i.From, "signin@localhost"), m, a.At)
		if err != nil {
			return err
		}
		a.Raw = string(mail.raw)
	case SMS:
		if err := checkSMS(m); err != nil {
			return fmt.Errorf("delivery: inbox: %w: %w", ErrRejected, err)
		}
	default:
		return fmt.Errorf("delivery: inbox: %w: unknown channel", ErrRejected)
	}
	if err := i.write(a); err != nil {
		return fmt.Errorf("delivery: inbox: write: %w", err)
	}
	if err := i.prune(); err != nil {
		return fmt.Errorf("delivery: inbox: remove old messages: %w", err)
	}
	return nil
}

// keyLength is the length of rand.Text.
const keyLength = 26

// Key returns the secret that opens the page of the inbox: 26 letters and digits, 130 random bits. It is stored in the
// folder, and created if there is none.
func (i Inbox) Key() (string, error) {
	path := filepath.Join(i.Dir, "key")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := i.createKey(path); err != nil {
			return "", fmt.Errorf("delivery: inbox: create key: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return "", fmt.Errorf("delivery: inbox: read key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if len(key) != keyLength {
		return "", fmt.Errorf("delivery: inbox: %s holds no key: delete it, and a new one is created at the next start", path)
	}
	return key, nil
}

// createKey links a temporary file to path, so that other processes read the whole key or none, and the first one
// stays.
func (i Inbox) createKey(path string) error {
	if err := os.MkdirAll(i.Dir, 0o700); err != nil {
		return err
	}
	temporary := path + "." + rand.Text()
	defer os.Remove(temporary)
	if err := os.WriteFile(temporary, []byte(rand.Text()+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.Link(temporary, path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func checkSMS(m Message) error {
	switch {
	case !validMessageID(m.ID):
		return errors.New("id: want letters, digits, - and _")
	case !regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`).MatchString(m.To):
		return errors.New("to: not an E.164 number")
	case m.Text == "":
		return errors.New("text: empty")
	}
	return nil
}

// List returns the newest 100 messages and the very first one, newest first. The list is empty if
// nothing was sent yet.
func (i Inbox) List() ([]InboxMessage, error) {
	files, err := i.listFiles()
	if err != nil {
		return nil, fmt.Errorf("delivery: list inbox: %w", err)
	}
	var all []InboxMessage
	for _, f := range files {
		a, err := i.Message(f.id)
		if errors.Is(err, ErrMessageNotFound) {
			continue // another process has just removed it
		}
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b InboxMessage) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(a.ID, b.ID))
	})
	return newestAndFirst(all), nil
}

// Message returns one message. It returns an error that wraps ErrMessageNotFound if there is none.
// The ID may be untrusted input.
func (i Inbox) Message(id string) (InboxMessage, error) {
	if !validMessageID(id) { // no dot and no separator, so it cannot leave the folder
		return InboxMessage{}, fmt.Errorf("delivery: read inbox: %w", ErrMessageNotFound)
	}
	data, err := os.ReadFile(i.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return InboxMessage{}, fmt.Errorf("delivery: read inbox: %w", ErrMessageNotFound)
	}
	if err != nil {
		return InboxMessage{}, fmt.Errorf("delivery: read inbox: %w", err)
	}
	var a InboxMessage
	if err := json.Unmarshal(data, &a); err != nil {
		return InboxMessage{}, fmt.Errorf("delivery: read inbox: message %s: %w", id, err)
	}
	return a, nil
}

func (i Inbox) path(id string) string { return filepath.Join(i.Dir, id+".json") }

// write renames a temporary file, so that readers see the whole message or none. It does not sync
// to disk: after a power failure nobody needs these messages.
func (i Inbox) write(a InboxMessage) error {
	if err := os.MkdirAll(i.Dir, 0o700); err != nil {
		return err
	}
	data, err := json.MarshalIndent(a, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(i.Dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	// prune orders files by this time, so that it need not open them.
	if err := os.Chtimes(f.Name(), a.At, a.At); err != nil {
		return err
	}
	return os.Rename(f.Name(), i.path(a.ID))
}

// inboxFile is what a directory listing says about a message.
type inboxFile struct {
	id      string
	modTime time.Time
}

// listFiles returns the message files, newest first.
func (i Inbox) listFiles() ([]inboxFile, error) {
	entries, err := os.ReadDir(i.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []inboxFile
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !validMessageID(id) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, inboxFile{id, info.ModTime()})
	}
	slices.SortFunc(files, func(a, b inboxFile) int {
		return cmp.Or(b.modTime.Compare(a.modTime), strings.Compare(a.id, b.id))
	})
	return files, nil
}

// newestAndFirst returns the newest maxInboxMessages elements of all, which is sorted newest first,
// and the oldest.
func newestAndFirst[T any](all []T) []T {
	if len(all) <= maxInboxMessages+1 {
		return all
	}
	return append(slices.Clone(all[:maxInboxMessages]), all[len(all)-1])
}

func (i Inbox) prune() error {
	files, err := i.listFiles()
	if err != nil {
		return err
	}
	stay := newestAndFirst(files)
	for _, f := range files {
		if slices.Contains(stay, f) {
			continue
		}
		if err := os.Remove(i.path(f.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
