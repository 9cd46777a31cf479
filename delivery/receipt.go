package delivery

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a receipt may say.
const (
	StateSent      = "sent"      // on its way: the network has it
	StateDelivered = "delivered" // the phone has it
	StateFailed    = "failed"    // the phone will not get it
)

// ErrInvalidReceipt says that a request is no receipt of this gateway about a message of ours:
// forged, too old, or not in its form. Nothing may be concluded from it.
var ErrInvalidReceipt = errors.New("not a delivery receipt")

const (
	maxReceiptBytes  = 64 << 10           // bytes
	maxReceiptAge    = 3 * 24 * time.Hour // from sending; networks try for two days at most
	receiptClockSkew = 5 * time.Minute    // between the clocks of our instances
)

// Receipt is what a gateway says later about a message it took. It is for the page that waits
// with the person; it never changes who may come in, however it was signed. Receipts may
// come twice and in any order.
type Receipt struct {
	ID    string    // Message.ID
	State string    // Sent, Delivered or Failed
	At    time.Time // when we heard of it
}

// receiptURL is the address for the receipts of one message: ours, then /gateway/id/mac. The mac
// holds the time and, over gateway, id and time, a keyed hash that only we can make. "" if no
// receipts are wanted.
func (g Gateway) receiptURL(id string) string {
	if g.CallbackURL == "" {
		return ""
	}
	stamp := strconv.FormatInt(g.now().Unix(), 36)
	return strings.TrimSuffix(g.CallbackURL, "/") + "/" + g.Name + "/" + id + "/" + stamp + "." + g.receiptMAC(id, stamp)
}

func (g Gateway) receiptMAC(id, stamp string) string {
	sum := hmacSHA256(g.CallbackKey, "sms receipt\n"+g.Name+"\n"+id+"\n"+stamp)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Receipt reads a request that came to the address of a receipt. The request may come from
// anybody: the last three parts of its path must be ones we made within three days, and a
// gateway that signs must have signed it. Its body is read up to 64 KiB. Errors wrap
// ErrReceipt and quote nothing of the request.
func (g Gateway) Receipt(r *http.Request) (Receipt, error) {
	id, ours, err := g.parseReceiptPath(r.URL.Path)
	if err != nil {
		return Receipt{}, fmt.Errorf("delivery: sms gateway %s: %w: %w", g.Name, ErrInvalidReceipt, err)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxReceiptBytes+1))
	if err != nil || len(body) > maxReceiptBytes {
		return Receipt{}, fmt.Errorf("delivery: sms gateway %s: %w: too much, or broken off", g.Name, ErrInvalidReceipt)
	}
	state, err := g.parseReceiptState(r, ours, body)
	if err != nil {
		return Receipt{}, fmt.Errorf("delivery: sms gateway %s: %w: %w", g.Name, ErrInvalidReceipt, err)
	}
	return Receipt{ID: id, State: state, At: g.now()}, nil
}

// parseReceiptPath checks a path and returns the message's id and the whole address as we made it.
func (g Gateway) parseReceiptPath(path string) (id, receiptURL string, err error) {
	parts := strings.Split(path, "/")
	if len(parts) < 4 || g.CallbackURL == "" || len(g.CallbackKey) < 16 {
		return "", "", errors.New("address")
	}
	name, id, last := parts[len(parts)-3], parts[len(parts)-2], parts[len(parts)-1]
	stamp, mac, _ := strings.Cut(last, ".")
	if name != g.Name || !validMessageID(id) || !hmac.Equal([]byte(mac), []byte(g.receiptMAC(id, stamp))) {
		return "", "", errors.New("address")
	}
	seconds, err := strconv.ParseInt(stamp, 36, 64)
	if err != nil {
		return "", "", errors.New("time")
	}
	if age := g.now().Sub(time.Unix(seconds, 0)); age > maxReceiptAge || age < -receiptClockSkew {
		return "", "", errors.New("time")
	}
	return id, strings.TrimSuffix(g.CallbackURL, "/") + "/" + name + "/" + id + "/" + last, nil
}

func (g Gateway) parseReceiptState(r *http.Request, receiptURL string, body []byte) (string, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	value, found := "", false
	var posted url.Values
	switch kind {
	case "application/json":
		value, found = jsonField(string(body), g.StateField)
	case "application/x-www-form-urlencoded":
		var err error
		if posted, err = url.ParseQuery(string(body)); err != nil {
			return "", errors.New("form")
		}
		value, found = posted.Get(g.StateField), posted.Has(g.StateField)
	}
	if g.TwilioSigned && (posted == nil || !hmac.Equal([]byte(r.Header.Get("X-Twilio-Signature")), []byte(twilioSignature(g.Secret, receiptURL, posted)))) {
		return "", errors.New("signature")
	}
	if !found && !g.TwilioSigned { // Twilio signs what it posts, and nothing else counts
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return "", errors.New("query")
		}
		value, found = query.Get(g.StateField), query.Has(g.StateField)
	}
	if !found {
		return "", errors.New("no state")
	}
	if state, known := g.StateMap[value]; known {
		return state, nil
	}
	return StateSent, nil
}

// twilioSignature is what Twilio sends in X-Twilio-Signature: HMAC-SHA1, by the account's
// token, over the address it was given and the posted fields in order.
func twilioSignature(token, address string, posted url.Values) string {
	var text strings.Builder
	text.WriteString(address)
	var names []string
	for name := range posted {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range posted[name] {
			text.WriteString(name + value)
		}
	}
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(text.String()))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
