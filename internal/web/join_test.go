package web

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
)

const benEmail = "ben@example.com"

// invite invites Ben and returns the token of the link.
func (h *testServer) invite(name string) string {
	h.Helper()
	token, err := h.Accounts.Invite(h.Context(), h.Accounts.OperatorBy(""), account.NewAccount{Email: benEmail, Name: name})
	if err != nil {
		h.Fatal(err)
	}
	return token
}

// The first form shows the address and the name of the invitation and changes nothing, however often it is sent. The
// second creates the account and starts the first sign-in, which needs a code like every other.
func TestJoinInTwoSteps(t *testing.T) {
	h := newTestServer(t)
	b, token := h.newBrowser(), h.invite("Ben-Baker")
	b.wantPage(b.get("/join"), http.StatusOK, "input#token", "form[data-open]")
	for range 3 {
		w := b.post("/join", "token", token)
		b.wantPage(w, http.StatusOK, "input#username[value=ben@example.com]", "input#username[autocomplete=username]",
			"input#name[value=Ben-Baker]", "input#password[autocomplete=new-password]")
		doc := parseHTML(w)
		if !matches(doc, "input[value="+token+"]") || strings.Contains(textOf(doc), token) ||
			matches(doc, "input#token[type=text]") {
			t.Error("the page shows the secret of the link")
		}
	}
	b.wantPage(b.post("/join", "token", token, "name", "", "password", ""), http.StatusUnprocessableEntity,
		"Enter your name.", "Choose a password.", "input#username[value=ben@example.com]")
	b.wantPage(b.post("/join", "token", token, "name", "Ben", "password", "short"), http.StatusUnprocessableEntity,
		"input#name[value=Ben]", "input#username[value=ben@example.com]", "p#password-wrong")
	if _, err := h.Accounts.Find(t.Context(), benEmail); !errors.Is(err, account.ErrUnknown) {
		t.Fatalf("the account exists already: %v", err)
	}
	w := b.post("/join", "token", token, "name", "Ben", "password", annaPassword)
	b.wantRedirect(w, "/signin/verify")
	if b.cookies["__Host-session"] != "" || b.cookies["__Host-email"] != "" {
		t.Errorf("signed in without a code, or the address is kept: %v", b.cookies)
	}
	b.wantRedirect(b.get("/settings"), "/signin?return_to=%2Fsettings")
	if w := b.get("/signin/verify"); w.Code == http.StatusSeeOther {
		b.wantRedirect(b.post("/signin/method", "method", "post"), "/signin/verify")
	}
	b.wantRedirect(b.post("/signin/verify", "code", h.deliverCode()), "/settings")
	b.wantPage(b.get("/settings"), http.StatusOK, "Ben", benEmail)
	for _, form := range [][]string{{"token", token}, {"token", token, "name", "Ben", "password", annaPassword}} {
		w := h.newBrowser().post("/join", form...)
		b.wantPage(w, http.StatusUnprocessableEntity, "p#token-wrong", "input#token",
			"If you already have an account, sign in.")
		if strings.Contains(w.Body.String(), benEmail) {
			t.Error("a used link shows the address")
		}
	}
}

// If the first sign-in cannot start, because somebody has guessed at passwords for the address, the account is there,
// and the sign-in page has the address.
func TestJoinBeyondTheLimitOfGuesses(t *testing.T) {
	h := newTestServer(t)
	b, token := h.newBrowser(), h.invite("")
	for n, limited := 0, false; !limited; n++ {
		w := h.newBrowser().post("/signin", "email", benEmail, "password", "a guess")
		if limited = w.Code == http.StatusTooManyRequests; n > 100 {
			t.Fatal("there is no limit of guesses")
		}
	}
	b.wantRedirect(b.post("/join", "token", token, "name", "Ben", "password", annaPassword), "/join/done")
	b.wantPage(b.get("/signin"), http.StatusOK, "input#email[value=ben@example.com]", "input#password[autofocus]")
	if b.cookies["__Host-signin"] != "" || b.cookies["__Host-session"] != "" {
		t.Errorf("beyond the limit: %v", b.cookies)
	}
	h.now = h.now.Add(2 * time.Hour)
	b.wantRedirect(b.post("/signin", "email", benEmail, "password", annaPassword), "/signin/verify")
	if b.cookies["__Host-email"] != "" {
		t.Error("the address is still kept after the sign-in")
	}
}

var resetToken = regexp.MustCompile(`/reset#(\S+)`)

// The first form of a reset shows the address of the account and changes nothing. The second does not sign in; the
// sign-in page has the address.
func TestResetInTwoSteps(t *testing.T) {
	h := newTestServer(t)
	b := h.newBrowser()
	b.wantRedirect(b.post("/forgot", "email", annaEmail), "/forgot/sent")
	token := resetToken.FindStringSubmatch(h.deliverCode())[1]
	for range 3 {
		b.wantPage(b.post("/reset", "token", token), http.StatusOK, "input#username[value=anna@example.com]",
			"input#password[autocomplete=new-password]")
	}
	b.wantPage(b.post("/reset", "token", token, "password", ""), http.StatusUnprocessableEntity,
		"Choose a password.", "input#username[value=anna@example.com]")
	b.wantPage(b.post("/reset", "token", h.invite("")), http.StatusUnprocessableEntity, "p#token-wrong")
	b.wantRedirect(b.post("/reset", "token", token, "password", "another horse battery"), "/reset/done")
	if b.cookies["__Host-signin"] != "" || b.cookies["__Host-session"] != "" {
		t.Error("the reset began a sign-in")
	}
	b.wantPage(b.get("/signin"), http.StatusOK, "input#email[value=anna@example.com]")
	b.wantPage(b.post("/reset", "token", token), http.StatusUnprocessableEntity, "p#token-wrong", "Request a new one.")
}

// A link to reset the password of a disabled account, or from before a change of the password, shows no address.
func TestResetLinkOfAChangedAccount(t *testing.T) {
	h := newTestServer(t)
	b := h.newBrowser()
	b.wantRedirect(b.post("/forgot", "email", annaEmail), "/forgot/sent")
	token := resetToken.FindStringSubmatch(h.deliverCode())[1]
	by := h.Accounts.OperatorBy("")
	for _, change := range []func() error{
		func() error { return h.Accounts.Disable(t.Context(), by, annaEmail, false) },
		func() error { return h.Accounts.Enable(t.Context(), by, annaEmail) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		w := b.post("/reset", "token", token)
		b.wantPage(w, http.StatusUnprocessableEntity, "p#token-wrong")
		if strings.Contains(w.Body.String(), annaEmail) {
			t.Error("the page shows the address")
		}
	}
}

// The cookie that fills in the address is read as an address or not at all.
func TestRememberedEmail(t *testing.T) {
	h := newTestServer(t)
	for cookie, want := range map[string]string{
		"YW5uYUBleGFtcGxlLmNvbQ": "anna@example.com",
		"PHNjcmlwdD4":            "", // <script>
		"_":                      "",
		"":                       "",
	} {
		b := h.newBrowser()
		b.cookies["__Host-email"] = cookie
		w := b.get("/signin")
		if got := matches(parseHTML(w), "input#email[value=anna@example.com]"); got != (want != "") {
			t.Errorf("%q: filled in: %v", cookie, got)
		}
	}
}

// A person changes their own name. It is trimmed, and recorded.
func TestChangeName(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	b.wantPage(b.get("/settings/name"), http.StatusOK, "input#name[value=Anna]", "input#name[autocomplete=name]")
	for _, name := range []string{"", strings.Repeat("x", 65), "a\u202eb"} {
		b.wantPage(b.post("/settings/name", "name", name), http.StatusUnprocessableEntity, "p#name-wrong")
	}
	b.wantRedirect(b.post("/settings/name", "name", "  Änne   Müller "), "/settings")
	b.wantPage(b.get("/settings"), http.StatusOK, "Änne Müller", "a[href=/settings/name]")
	b.wantPage(b.get("/settings/history"), http.StatusOK, "Your name was changed")
	a, err := h.Accounts.Find(t.Context(), annaEmail)
	if err != nil || a.Name != "Änne Müller" {
		t.Errorf("the name is %q, %v", a.Name, err)
	}
	filter := audit.Filter{Account: a.ID, Kinds: []audit.Kind{audit.NameChanged}}
	list, err := h.Accounts.Audit().List(t.Context(), filter)
	if err != nil || len(list) != 1 || list[0].Actor != audit.Person(a.ID) {
		t.Errorf("events: %+v, %v", list, err)
	}
	b.wantRedirect(h.newBrowser().post("/settings/name", "name", "Eve"), "/signin")
}

// A person gives the parts of their name, which are never guessed, and takes them back.
func TestChangePartsOfTheName(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	token, err := h.Accounts.Invite(t.Context(), h.Accounts.OperatorBy(""), account.NewAccount{Email: benEmail, Name: "Ben", FamilyName: "  Le  Roux "})
	if err != nil {
		t.Fatal(err)
	}
	h.newBrowser().post("/join", "token", token, "name", "Ben", "password", annaPassword)
	if a, err := h.Accounts.Find(t.Context(), benEmail); err != nil || a.GivenName != "" || a.FamilyName != "Le Roux" || !a.ProfileChangedAt.Equal(a.CreatedAt) {
		t.Errorf("invited: %+v, %v", a, err)
	}
	b.wantPage(b.get("/settings/name"), http.StatusOK, "input#given_name[autocomplete=given-name]", "input#family_name[autocomplete=family-name]")
	for field, form := range map[string][]string{
		"name": {"name", ""}, "given_name": {"name", "Anna", "given_name", "a\u202eb"},
		"family_name": {"name", "Anna", "family_name", strings.Repeat("x", 65)},
	} {
		b.wantPage(b.post("/settings/name", form...), http.StatusUnprocessableEntity, "p#"+field+"-wrong")
	}
	for _, want := range [][2]string{{"Anna", "Le Roux"}, {"", "Roux"}, {"", ""}} {
		h.now = h.now.Add(time.Second)
		b.wantRedirect(b.post("/settings/name", "name", "Dr. A.", "given_name", " "+want[0], "family_name", want[1]+"  "), "/settings")
		a, err := h.Accounts.Find(t.Context(), annaEmail)
		if err != nil || a.Name != "Dr. A." || a.GivenName != want[0] || a.FamilyName != want[1] || !a.ProfileChangedAt.After(a.CreatedAt) {
			t.Errorf("got %+v, %v", a, err)
		}
	}
}
