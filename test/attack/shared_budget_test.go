package attack

import (
	"fmt"
	"go/ast"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/internal/store/storetest"
	"twostep.example/twostep/test/e2e/live"
)

// The owner of some new accounts has text messages sent to number after number. Part of the money of the day is kept
// for other people, and part of that for known browsers.
func TestTextBudgetKeepsAPart(t *testing.T) {
	t.Parallel()
	var p phone
	storetest.EachDatabase(t, func(t *testing.T, url string) {
		c := clockAtMidnight()
		h := start(t, url, allMethods(&p), c.set, func(o *twostep.Options) { o.SMSPrice, o.SMSDailyBudget = 100, 1000 })
		known := h.annaSignedIn()
		h.addNumber(known, &p, annaNumber)
		h.wantRedirect(known.Post("/signout"), "/signin")
		c.advance(8 * 24 * time.Hour)
		sent := map[bool]int{}
		for n := range 3 {
			email := fmt.Sprintf("mallory%d@example.com", n)
			a := twostep.AccountParams{Email: email, Name: "M", Password: benPassword}
			if err := h.CreateAccount(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			b := h.signIn(h.Browser(), email, benPassword)
			for i := range 4 {
				number := "+49160" + strconv.Itoa(1000000+(n*10+i)*10000)
				sent[b.Post("/settings/2step/sms", "country", "DE", "number", number).StatusCode == http.StatusSeeOther]++
			}
		}
		if sent[true] != 5 {
			t.Errorf("new accounts had %d messages sent, want half of ten", sent[true])
		}
		texts := len(p.all())
		unknown := func() live.Answer {
			b := h.Browser()
			h.wantStatus(b.Post("/signin", "email", live.AnnaEmail, "password", live.AnnaPassword), http.StatusSeeOther)
			return b.Post("/signin/method", "method", "sms")
		}
		h.wantStatus(unknown(), http.StatusSeeOther)
		h.wantStatus(unknown(), http.StatusSeeOther)
		h.wantLimited("unknown browsers use up the money that is kept for known ones", unknown())
		h.choose(known, live.AnnaEmail, live.AnnaPassword, "sms")
		if h.WaitForOutbox(); len(p.all()) != texts+3 {
			t.Errorf("Anna got %d messages, want 3", len(p.all())-texts)
		}
	})
}

// Somebody who has a whole IPv6 /48 guesses passwords from one /64 after the other. The /48 has a limit too, and its
// neighbour is not affected.
func TestNetworksOfOneCustomerShareALimit(t *testing.T) {
	t.Parallel()
	c := newClock()
	now := c.Now()
	c.advance(now.Truncate(time.Hour).Add(time.Hour).Sub(now)) // the limits are of whole hours
	eachDatabase(t, func(h *server) {
		try := func(n int, network string) int {
			r := h.request("POST", "/signin", "email=name"+strconv.Itoa(n)+"@example.com&password=x", form,
				"Origin: "+h.URL, "X-Forwarded-For: "+network)
			return h.Browser().Do(r).StatusCode
		}
		limit := 16 * 30 // of a minute
		for n := range limit + 20 {
			want := http.StatusUnprocessableEntity
			if n >= limit {
				want = http.StatusTooManyRequests
			}
			if got := try(n, fmt.Sprintf("2001:db8:1:%x::1", n*100)); got != want {
				h.T.Fatalf("try %d: %d, want %d", n, got, want)
			}
		}
		if got := try(0, "2001:db8:2:1::1"); got != http.StatusUnprocessableEntity {
			h.T.Errorf("another customer: %d", got)
		}
	}, c.set, func(o *twostep.Options) {
		var err error
		if o.TrustedProxies, err = twostep.ParseProxies("127.0.0.0/8"); err != nil {
			t.Fatal(err)
		}
	})
}

// Anonymous authorization requests are small, limited for each network and for all strangers together, and a browser in
// which somebody has completed both steps has a part that strangers cannot use up.
func TestAnonymousAuthorizationRequestsAreBounded(t *testing.T) {
	t.Parallel()
	withApps(t, func(h *server, _ *apps, anna *live.Browser) {
		h.wantRedirect(anna.Post("/signout"), "/signin")
		stranger := h.Browser()
		ask := func(b *live.Browser) int {
			return b.Get("/oauth2/authorize?" + asking("books", booksBack, "state", strings.Repeat("<", 2048)).Encode()).StatusCode
		}
		h.wantStatus(live.Answer{Response: &http.Response{StatusCode: ask(stranger)}}, http.StatusSeeOther)
		if size := h.value("SELECT MAX(LENGTH(parameters)) FROM authorization_requests"); len(size) > 4 || size > "3000" {
			h.T.Errorf("a request takes %s bytes", size)
		}
		for _, kind := range []string{"authorization_request_bytes_network", "authorization_request_bytes_strangers"} {
			if used := h.value("SELECT MAX(used) FROM rate_limit_counters WHERE kind = '" + kind + "'"); len(used) != 4 {
				h.T.Errorf("%s counts %s bytes", kind, used)
			}
		}
		for _, kind := range []string{"authorization_requests_strangers", "authorization_request_bytes_strangers"} {
			h.exec("UPDATE rate_limit_counters SET used = used + 1000000000 WHERE kind = '" + kind + "'")
			if got := ask(stranger); got != http.StatusTooManyRequests {
				h.T.Errorf("%s: %d", kind, got)
			}
			if got := ask(anna); got != http.StatusSeeOther {
				h.T.Errorf("%s: a known browser: %d", kind, got)
			}
			h.exec("UPDATE rate_limit_counters SET used = 0")
		}
		for _, kind := range []string{"authorization_requests_network", "authorization_request_bytes_network"} {
			h.exec("UPDATE rate_limit_counters SET used = used + 1000000000 WHERE kind = '" + kind + "'")
			if got := ask(stranger); got != http.StatusTooManyRequests {
				h.T.Errorf("%s: %d", kind, got)
			}
			h.exec("UPDATE rate_limit_counters SET used = 0")
		}
	})
}

// unshared are the counters of the whole site that limit nobody else, with the reason.
var unshared = map[string]string{
	"wrong_passwords": "limits networks that try passwords; known browsers are not counted",
	"text_budget":     "read for the operators; the budget is Shared",
	"site_guesses":    "the alarm asks unknown browsers for a longer code, and new accounts have their own",
}

// A budget of the whole site is added without a part that strangers cannot use up, or nobody documents who may take how
// much.
func TestSharedBudgetsAreListed(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/reference/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## Shared budgets\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var kinds []string
	for path, file := range programFiles(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			switch name := typeName(literal.Type); {
			case name == "Shared":
				kinds = append(kinds, textOf(literal, "Kind"))
			case name == "Quota" && path != "internal/ratelimit/shared.go" && path != "internal/ratelimit/network.go" &&
				path != "internal/ratelimit/quota.go":
				t.Errorf("%s makes a Quota: use PerHour, PerDay, PerNetwork or Shared", path)
			case name == "Counter" && textOf(literal, "Subject") == "" && !hasField(literal, "Subject") && unshared[textOf(literal, "Kind")] == "":
				t.Errorf("%s makes a counter of the whole site", path)
			}
			return true
		})
		for _, call := range callsOf(file, "PerHour", "PerDay", "counter") {
			if len(call.Args) > 1 && isText(call.Args[1], "") {
				t.Errorf("%s limits the whole site: use Shared", path)
			}
		}
	}
	slices.Sort(kinds)
	if want := []string{"authorization_request_bytes", "authorization_requests", "client_documents", "device_authorizations", "text_budget", "user_codes"}; !slices.Equal(kinds, want) {
		t.Errorf("the shared budgets are %q, want %q: add a row to docs/reference/limits.md, and a test that strangers cannot use it up", kinds, want)
	}
	for _, kind := range append(kinds, "wrong_passwords", "site_guesses") {
		if !strings.Contains(table, "`"+kind+"`") {
			t.Errorf("docs/reference/limits.md has no row for %s", kind)
		}
	}
}

func typeName(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.Ident:
		return x.Name
	}
	return ""
}

func field(literal *ast.CompositeLit, name string) ast.Expr {
	for _, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok && typeName(pair.Key) == name {
			return pair.Value
		}
	}
	return nil
}

func hasField(literal *ast.CompositeLit, name string) bool { return field(literal, name) != nil }

// textOf returns the text of a field of a literal; "" if it has none.
func textOf(literal *ast.CompositeLit, name string) string {
	if basic, ok := field(literal, name).(*ast.BasicLit); ok {
		text, _ := strconv.Unquote(basic.Value) // "" if it is not a text
		return text
	}
	return ""
}

func isText(x ast.Expr, want string) bool {
	basic, ok := x.(*ast.BasicLit)
	return ok && basic.Value == strconv.Quote(want)
}

func callsOf(file *ast.File, names ...string) (calls []*ast.CallExpr) {
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && slices.Contains(names, typeName(call.Fun)) {
			calls = append(calls, call)
		}
		return true
	})
	return calls
}
