package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"twostep.example/twostep/internal/audit"
)

// payload is the body of a request. docs/how-to/webhooks.md describes it. It has no address, browser, email address or
// name of a person.
type payload struct {
	Type      string    `json:"type"`      // the kind of the event
	Timestamp time.Time `json:"timestamp"` // when it happened
	Data      data      `json:"data"`
}

// data are the fields of an event. Those that do not apply are "".
type data struct {
	ID        string `json:"id"` // of the event, as in the log
	Result    string `json:"result"`
	Reason    string `json:"reason"`
	Account   string `json:"account"` // id
	ActorType string `json:"actor_type"`
	ActorID   string `json:"actor_id"`
	Target    string `json:"target"`
	Client    string `json:"client"`
	SignIn    string `json:"sign_in"`
	Count     int64  `json:"count"`
}

// message is one request without its time.
type message struct {
	id   string // the same in each attempt; has no full stop
	body []byte
}

// newMessage returns the message of an event.
func newMessage(e audit.Event) (message, error) {
	body, err := json.Marshal(payload{
		Type: string(e.Kind), Timestamp: e.At.UTC(),
		Data: data{
			ID: e.ID.String(), Result: string(e.Result), Reason: e.Reason, Account: e.Account,
			ActorType: e.Actor.Type, ActorID: e.Actor.ID, Target: e.Target, Client: e.Client, SignIn: e.SignIn,
			Count: e.Occurrences,
		},
	})
	return message{id: "evt_" + e.ID.String(), body: body}, err
}

// Lengths of a key in bytes (Standard Webhooks 1.0.0, Signature scheme).
const minKey, maxKey = 24, 64

const secretPrefix = "whsec_"

// parseSecret returns the key of a secret: whsec_ and the key in base64. Its error quotes nothing of it.
func parseSecret(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok {
		return nil, errors.New("does not begin with whsec_: use whsec_ and the output of openssl rand -base64 32")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, errors.New("has no base64 behind whsec_: use the output of openssl rand -base64 32")
	}
	if len(key) < minKey || len(key) > maxKey {
		return nil, errors.New("has a key of less than 24 or more than 64 bytes: use the output of openssl rand -base64 32")
	}
	return key, nil
}

// setHeaders sets the headers of an attempt (Standard Webhooks 1.0.0, Webhook headers): one signature for each key.
func (m message) setHeaders(h http.Header, keys [][]byte, now time.Time) {
	seconds := strconv.FormatInt(now.Unix(), 10)
	var signatures []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(m.id + "." + seconds + "."))
		mac.Write(m.body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Twostep")
	h.Set("Webhook-Id", m.id)
	h.Set("Webhook-Timestamp", seconds)
	h.Set("Webhook-Signature", strings.Join(signatures, " "))
}
