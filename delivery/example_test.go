package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"twostep.example/twostep/delivery"
)

// A gateway without a function of its own is described by its request and its responses. This one
// takes JSON, and rejects numbers for good with the error "unknown_number".
func ExampleGateway() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println(r.Method, r.URL.Path, r.Header.Get("Authorization"))
		fmt.Println(string(body))
		if r.Header.Get("Idempotency-Key") == "message-2" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error": "unknown_number"}`)
			return
		}
		_, _ = io.WriteString(w, `{"status": "queued"}`)
	}))
	defer service.Close()

	pigeon := delivery.Gateway{
		Name:         "pigeon",
		URL:          service.URL + "/v1/messages",
		AllowPrivate: true, // http on this machine: leave this out for a gateway on the internet
		Auth:         delivery.AuthBearer,
		Secret:       "token",
		Encoding:     delivery.EncodingJSON,
		Header:       map[string]string{"Idempotency-Key": "{id}"},
		Fields:       map[string]any{"to": []any{"{to}"}, "from": "{from}", "text": "{text}"},
		From:         "Notes",
		Accept:       []delivery.ResponseRule{{Status: http.StatusOK, Field: "status", Pattern: "^(queued|sent)$"}},
		Reject: []delivery.ResponseRule{{Status: http.StatusBadRequest, Field: "error",
			Pattern: "^unknown_number$"}},
	}
	if err := pigeon.Check(); err != nil {
		log.Fatal(err)
	}
	for _, id := range []string{"message-1", "message-2"} {
		err := pigeon.Send(context.Background(), delivery.Message{
			ID: id, Channel: delivery.SMS, To: "+4915112345678", Text: "123456 is your code for Notes",
		})
		fmt.Println("accepted:", err == nil, "refused for good:", errors.Is(err, delivery.ErrRejected))
	}
	// Output:
	// POST /v1/messages Bearer token
	// {"from":"Notes","text":"123456 is your code for Notes","to":["+4915112345678"]}
	// accepted: true refused for good: false
	// POST /v1/messages Bearer token
	// {"from":"Notes","text":"123456 is your code for Notes","to":["+4915112345678"]}
	// accepted: false refused for good: true
}
