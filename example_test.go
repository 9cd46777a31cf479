package twostep_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/recovery"
	"twostep.example/twostep/factor/sms"
	"twostep.example/twostep/factor/totp"
)

// A server for production: mail by an SMTP server, text messages by two gateways with a budget, and a reverse proxy in
// front.
func ExampleOptions() {
	data, err := os.MkdirTemp("", "notes")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(data)
	proxies, err := twostep.ParseProxies("10.0.0.0/24")
	if err != nil {
		log.Fatal(err)
	}
	mail := delivery.SMTP{
		Host: "mail.example.com", From: "Notes <notes@example.com>", User: "notes", Password: os.Getenv("SMTP_PASSWORD"),
	}
	ts, err := twostep.New(context.Background(), twostep.Options{
		Database:  filepath.Join(data, "twostep.db"),
		KeyFile:   filepath.Join(data, "keys"),
		PublicURL: "https://notes.example.com",
		Site:      "Notes",
		Methods:   []factor.Method{totp.Method{}, sms.Method{AllowedCountries: []string{"DE"}}, email.Method{}, recovery.New()},
		Senders:   map[delivery.Channel]delivery.SendFunc{delivery.Email: mail.Send},
		SMSGateways: []delivery.Gateway{
			delivery.Twilio("AC0123", os.Getenv("TWILIO_TOKEN"), "Notes"),
			delivery.Vonage("0123", os.Getenv("VONAGE_SECRET"), "Notes"),
		},
		SMSPrice:       80,     // 0.08 of any unit of money
		SMSDailyBudget: 20_000, // 20.00 a day
		Policy: twostep.Policy{
			All:    twostep.PolicyRule{Trust: 14 * 24 * time.Hour, Idle: 30 * time.Minute},
			Groups: map[string]twostep.PolicyRule{"finance": {Trust: 23 * time.Hour}},
		},
		TrustedProxies: proxies,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer ts.Close()
	fmt.Println(ts.Issuer())
	// Output: https://notes.example.com
}

// The chance of somebody who knows a password, for a server with these options.
func ExampleOptions_ComputeOdds() {
	inbox := delivery.Inbox{Dir: "inbox"}
	odds, err := twostep.Options{
		Database: "twostep.db", KeyFile: "keys", PublicURL: "https://notes.example.com",
		Methods:        []factor.Method{email.Method{}},
		Senders:        map[delivery.Channel]delivery.SendFunc{delivery.Email: inbox.Send},
		GuessOddsOneIn: 100_000,
	}.ComputeOdds()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("1 in %.0f a year\n", 1/odds.PerYear)
	fmt.Printf("%s: %d guesses are compared\n", odds.Methods[0].Method, odds.Methods[0].GuessesPerYear)
	// Output:
	// 1 in 100000 a year
	// email: 10 guesses are compared
}

// exampleServer returns a server with an inbox instead of mail.
func exampleServer() (ts *twostep.Server, remove func()) {
	data, err := os.MkdirTemp("", "notes")
	if err != nil {
		log.Fatal(err)
	}
	inbox := delivery.Inbox{Dir: filepath.Join(data, "inbox")}
	ts, err = twostep.New(context.Background(), twostep.Options{
		Database:  filepath.Join(data, "twostep.db"),
		KeyFile:   filepath.Join(data, "keys"),
		PublicURL: "https://notes.example.com",
		Methods:   []factor.Method{email.Method{}},
		Senders:   map[delivery.Channel]delivery.SendFunc{delivery.Email: inbox.Send},
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	return ts, func() {
		ts.Close()
		os.RemoveAll(data)
	}
}

// Whoever is not signed in is sent to sign in, and comes back. What another site made the browser send is refused.
func ExampleServer_Require() {
	ts, remove := exampleServer()
	defer remove()

	reports := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := twostep.AccountFrom(r.Context())
		fmt.Fprintf(w, "Reports of %s", who.Email)
	})
	mux := http.NewServeMux()
	mux.Handle("/", ts) // /signin, /settings, …
	mux.Handle("/reports", ts.Require(reports))

	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest("GET", "https://notes.example.com/reports?year=2026", nil))
	fmt.Println(answer.Code, answer.Header().Get("Location"))

	forged := httptest.NewRequest("POST", "https://notes.example.com/reports", nil)
	forged.Header.Set("Origin", "https://evil.example")
	answer = httptest.NewRecorder()
	mux.ServeHTTP(answer, forged)
	fmt.Println(answer.Code)
	// Output:
	// 303 /signin?return_to=%2Freports%3Fyear%3D2026
	// 403
}

// Events for as long as the page is open.
func ExampleServer_RequireStreaming() {
	ts, remove := exampleServer()
	defer remove()

	http.Handle("/events", ts.RequireStreaming(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-r.Context().Done():
				tick.Stop()
				return
			case now := <-tick.C:
				fmt.Fprintf(w, "data: %s\n\n", now.Format(time.TimeOnly))
				if err := http.NewResponseController(w).Flush(); err != nil {
					return
				}
			}
		}
	})))
}
