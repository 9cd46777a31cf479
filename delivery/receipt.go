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

// Delivery states of a text message, in Gateway.StateMap and Receipt.State.
const (
	StateSent      = "sent"      // accepted by the network
	StateDelivered = "delivered" // arrived at the phone
	StateFailed    = "failed"    // will not arrive
)

// ErrInvalidReceipt is returned if a request is not a receipt of this gateway for a message of ours:
// it is forged, expired or malformed.
var ErrInvalidReceipt = errors.New("not a delivery receipt")

const (
	maxReceiptBytes  = 64 << 10
	maxReceiptAge    = 3 * 24 * time.Hour // from sending; mobile networks retry for two days at most
	receiptClockSkew = 5 * time.Minute    // between the clocks of our instances
)

// Receipt is a gateway's later report about a message that it accepted. It changes only what the code
// page shows. Receipts can arrive twice and in any order.
type Receipt struct {
	ID    string    // Message.ID
	State string    // StateSent, StateDelivered or StateFailed
	At    time.Time // time of arrival of the receipt
}

// receiptURL returns the URL for the receipts of one message: CallbackURL followed by
// /gateway/id/stamp.mac. The stamp is a time, the MAC covers gateway, id and stamp. It returns ""
// without a CallbackURL.
func (g Gateway) receiptURL(id string) string {
	if g.CallbackURL == "" {
		return ""
	}
	stamp := strconv.FormatInt(g.now().Unix(), 36)
	base := strings.TrimSuffix(g.CallbackURL, "/")
	return base + "/" + g.Name + "/" + id + "/" + stamp + "." + g.receiptMAC(id, stamp)
}

func (g Gateway) receiptMAC(id, stamp string) string {
	sum := hmacSHA256(g.CallbackKey, "sms receipt\n"+g.Name+"\n"+id+"\n"+stamp)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Receipt parses and checks a request to a receipt URL. The last three segments of its path must be
// those that this Gateway sent to the service, at most 3 days ago. With TwilioSigned the request must
// also carry a valid signature. At most 64 KiB of the body are read. Receipt returns an error that
// wraps ErrInvalidReceipt and quotes nothing of the request.
func (g Gateway) Receipt(r *http.Request) (Receipt, error) {
	id, receiptURL, err := g.parseReceiptPath(r.URL.Path)
	if err != nil {
		return Receipt{}, fmt.Errorf("delivery: sms gateway %s: %w: %w", g.Name, ErrInvalidReceipt, err)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxReceiptBytes+1))
	if err != nil || len(body) > maxReceiptBytes {
		return Receipt{}, fmt.Errorf("delivery: sms gateway %s: %w: body too long or incomplete", g.Name,
			ErrInvalidReceipt)
	}
	state, err := g.parseReceiptState(r, receiptURL, body)
	if err != nil {
		return Receipt{}, fmt.Errorf("delivery: sms gateway %s: %w: %w", g.Name, ErrInvalidReceipt, err)
	}
	return Receipt{ID: id, State: state, At: g.now()}, nil
}

// parseReceiptPath checks a path and returns the message ID and the whole receipt URL.
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
	if g.TwilioSigned {
		signature := twilioSignature(g.Secret, receiptURL, posted)
		if posted == nil || !hmac.Equal([]byte(r.Header.Get("X-Twilio-Signature")), []byte(signature)) {
			return "", errors.New("signature")
		}
	}
	if !found && !g.TwilioSigned { // Twilio signs only what it posts
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

// twilioSignature returns the X-Twilio-Signature of a request: HMAC-SHA1, keyed with the auth
// token, over the URL and the posted fields in order of their names.
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
