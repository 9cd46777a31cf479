package kannel_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/test/e2e/kannel"
)

// A text goes through a real Kannel to the network, comes out as it went in, and the network's
// reports come back to us.
func TestKannel(t *testing.T) {
	k := kannel.Start(t)
	g := delivery.Kannel(k.URL, k.User, k.Password, "Example")
	g.CallbackKey = make([]byte, 32)
	rand.Read(g.CallbackKey)
	receipts := make(chan delivery.Receipt, 10)
	errs := make(chan error, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if receipt, err := g.Receipt(r); err != nil {
			errs <- err
		} else {
			receipts <- receipt
		}
	}))
	defer server.Close()
	// The handler runs only once something was sent, and so after this.
	g.CallbackURL = server.URL + "/sms/receipt"

	m := delivery.Message{ID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Channel: delivery.SMS, To: "+491712345678"}
	m.Text = "747723 is your Exämple & Söhne \"A+B\" verification code. Don't share it.\n\n@login.example.com #747723"
	if err := g.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := k.Next(0); got.Text != m.Text || got.To != m.To || got.From != "Example" {
		t.Errorf("got %+v, want %q to %s", got, m.Text, m.To)
	}
	late := time.After(20 * time.Second)
	for state := ""; state != delivery.StateDelivered; {
		select {
		case r := <-receipts:
			if state = r.State; r.ID != m.ID {
				t.Errorf("receipt for %s, want %s", r.ID, m.ID)
			}
		case err := <-errs:
			t.Fatal(err)
		case <-late:
			t.Fatalf("no receipt says delivered, the last said %q", state)
		}
	}

	g.Secret = "wrong"
	err := g.Send(t.Context(), m)
	if err == nil || errors.Is(err, delivery.ErrRejected) || errors.Is(err, delivery.ErrUncertain) {
		t.Errorf("got %v, want a temporary error", err)
	}
	for _, secret := range []string{"747723", "1712345678", "wrong"} {
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("error %q contains %s", err, secret)
		}
	}
}
