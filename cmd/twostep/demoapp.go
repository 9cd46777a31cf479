package main

import (
	"fmt"
	"html"
	"net/http"

	"twostep"
)

// demoApp is an app as an owner of Twostep may have one: it lets signed-in people in, and its
// Settings → Billing & Admin leads to 2-Step verification, in a new window, and back by Continue.
func demoApp(server *twostep.Server) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /demo/{$}", func(w http.ResponseWriter, r *http.Request) { demoPage(w, r, "Invoices", demoHome) })
	mux.HandleFunc("GET /demo/settings", func(w http.ResponseWriter, r *http.Request) {
		demoPage(w, r, "Settings › Billing &amp; Admin", demoSettings)
	})
	mux.HandleFunc("GET /demo/style.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write([]byte(demoStyle))
	})
	return server.Require(mux)
}

// withDemoApp puts the demo app beside the server, on the same listener.
func withDemoApp(server *twostep.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/demo/", demoApp(server))
	mux.Handle("/", server)
	return mux
}

func demoPage(w http.ResponseWriter, r *http.Request, title, main string) {
	who, _ := twostep.AccountFrom(r.Context()) // Require has let nobody else through
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, demoFrame, title, html.EscapeString(who.Email), title, main)
}

const demoFrame = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>%s – Demo Books</title>
<link rel="stylesheet" href="/demo/style.css">
<header><strong>Demo Books</strong><nav><a href="/demo/">Invoices</a> <a href="/demo/settings">Settings</a></nav><span>%s</span></header>
<main><h1>%s</h1>
%s</main>
</html>
`

const demoHome = `<table><thead><tr><th>Customer<th>Due<th>Amount</thead>
<tbody><tr><td>Bakery Brown<td>1 December<td>1,240.00<tr><td>Garden Green<td>8 December<td>310.50<tr><td>Mill &amp; White<td>15 December<td>2,075.00</tbody></table>
<p>A small app that knows you because you signed in with Twostep. Its <a href="/demo/settings">settings</a> lead to your 2-Step verification.</p>
`

const demoSettings = `<ul>
<li><a href="/settings/2step/app?return_to=/demo/settings" target="_blank" rel="noopener">2-Step Auth App</a></li>
<li><a href="/settings/2step/sms?return_to=/demo/settings" target="_blank" rel="noopener">2-Step SMS Number</a></li>
</ul>
`

const demoStyle = `:root { color-scheme: light dark; --line: #d9ded5; --ground: #f6f8f4; --text: #1c241c; --green: #2f6b3a; }
@media (prefers-color-scheme: dark) { :root { --line: #303a30; --ground: #101510; --text: #e8eee7; --green: #8fd19b; } }
* { box-sizing: border-box; }
body { margin: 0; font: 100%/1.6 system-ui, sans-serif; background: var(--ground); color: var(--text); }
header { display: flex; flex-wrap: wrap; gap: .25rem 2rem; align-items: center; padding: .75rem 1.5rem; border-bottom: 1px solid var(--line); }
header strong, a { color: var(--green); }
header nav { flex: 1 0 auto; }
nav a { display: inline-block; padding: .6rem .75rem .6rem 0; }
main { max-width: 44rem; margin: 0 auto; padding: 2rem 1.5rem; }
h1 { font-size: 1.5rem; }
table { width: 100%; border-collapse: collapse; margin-bottom: 1.5rem; }
th, td { padding: .6rem .5rem .6rem 0; border-bottom: 1px solid var(--line); text-align: left; }
ul { padding: 0; list-style: none; border: 1px solid var(--line); border-radius: .75rem; }
li + li { border-top: 1px solid var(--line); }
li a { display: block; padding: .9rem 1.1rem; text-decoration: none; font-weight: 600; }
li a:hover { text-decoration: underline; }
`
