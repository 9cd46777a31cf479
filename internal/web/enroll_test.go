package web

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"
	"twostep.example/twostep/internal/challenge"
)

// Enrolling a phone number: form, code, Continue, and back to the app.
func TestEnrollMethodThatSendsCode(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	const page, back = "/settings/2step/call", "?return_to=%2Fdemo%2Fsettings"
	b.wantPage(b.get(page+back), 200, "select#country", "form[action="+page+back+"]")
	b.wantPage(b.post(page, "country", "DE", "number", "171", "return_to", "/demo/settings"), 422,
		"Example cannot call 171.", "input#number[value=171]", "option[value=DE]", "form[action="+page+back+"]")
	b.wantRedirect(b.post(page, "country", "DE", "number", "+49171", "return_to", "/demo/settings"), page+back)
	b.wantPage(b.get(page), 200, "+49171", "Sending…", "a#check")
	if w := b.get(page + "/status"); w.Code != 200 || !strings.Contains(w.Body.String(), `"state":"waiting"`) {
		t.Error(w.Code, w.Body)
	}
	code := h.deliverCode()
	b.wantPage(
		b.post(page+"/code", "code", "", "return_to", "/demo/settings"),
		429,
		"You can request a new code in 30 seconds.",
		"form[action="+page+"/verify"+back+"]",
	)
	b.wantPage(b.post(page+"/verify", "code", ""), 422, "Enter the 6-digit code.")
	b.wantPage(
		b.post(page+"/verify", "code", differentCode(code)),
		422,
		"The verification code you have entered does not match our records.",
	)
	h.now = h.now.Add(31 * time.Second)
	b.wantRedirect(b.post(page+"/code", "return_to", "/demo/settings"), page+back)
	before := b.cookies["__Host-session"]
	b.wantRedirect(b.post(page+"/verify", "code", h.deliverCode(), "return_to", "/demo/settings"), page+"/done"+back)
	if b.cookies["__Host-session"] == before {
		t.Error("the session has its old token")
	}
	b.wantPage(b.get(page+"/done"+back), 200, "Verified", "a[href=/demo/settings]")
	b.wantPage(b.get("/settings"), 200, "+49171", "Not used yet")
	if w := b.get("/settings"); strings.Contains(w.Body.String(), "It is recommended") {
		t.Error("a method is recommended that the account has")
	}
}

// Enrolling an authenticator app: its secret is shown only while the factor is pending.
func TestEnrollAppShowsSecretOnlyWhilePending(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	const page = "/settings/2step/app"
	b.wantPage(b.get(page), 200, "form[data-auto]")
	b.wantRedirect(b.post(page, "name", ""), page)
	b.wantPage(b.get(page), 200, "svg[role=img]", "JBSW Y3DP", "input#code")
	b.wantPage(b.post(page+"/verify", "code", "333333"), 422, "Your clock is 3 min behind.", "svg[role=img]")
	b.wantRedirect(b.post(page+"/verify", "code", appCode), page+"/done")
	for _, target := range []string{page, page + "/done", "/settings", page + "/codes.txt", page + "/status"} {
		w := b.get(target)
		if text := w.Body.String(); strings.Contains(text, "JBSW") || strings.Contains(text, "otpauth") ||
			strings.Contains(text, appCode) {
			t.Errorf("%s shows the secret", target)
		}
	}
	w := b.get(page)
	b.wantPage(w, 200, "form[action=/settings/2step/app/remove]")
	if matches(parseHTML(w), "form[data-auto]") {
		t.Error("a second app is started without a click")
	}
	b.wantRedirect(b.post(page, "name", "Tablet"), page)
	b.wantRedirect(b.post(page+"/cancel"), "/settings")
	b.wantRedirect(b.post(page, "name", "Tablet"), page)
	b.wantRedirect(b.post(page+"/cancel", "again", "1"), page)
	id := attr(findFirst(parseHTML(w), "input[name=id]"), "value")
	b.wantRedirect(b.post(page+"/remove", "id", "other"), page)
	b.wantRedirect(b.post(page+"/remove", "id", id), "/settings")
	b.wantPage(b.get(page), 200, "form[data-auto]")
}

func TestEnrollBackupShowsCodesOnlyWhilePending(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	const page = "/settings/2step/paper"
	b.wantRedirect(b.get(page+"/codes.txt"), "/settings")
	b.wantRedirect(b.post(page), page)
	b.wantPage(b.get(page), 200, append([]string{"I have saved them"}, paperCodes...)...)
	w := b.get(page + "/codes.txt")
	if text := w.Body.String(); !strings.Contains(text, strings.Join(paperCodes, "\n")) ||
		!strings.Contains(text, annaEmail) ||
		w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Error(w.Header(), text)
	}
	b.wantRedirect(b.post(page+"/verify"), page+"/done")
	for _, target := range []string{page, page + "/done", page + "/codes.txt"} {
		if strings.Contains(b.get(target).Body.String(), paperCodes[0]) {
			t.Errorf("%s shows a code", target)
		}
	}
	b.wantPage(b.get("/settings"), 200, "7 codes left", "It is recommended")
	b.wantRedirect(b.post("/settings/later"), "/settings")
	if strings.Contains(b.get("/settings").Body.String(), "It is recommended") {
		t.Error("the recommendation is shown after Not now")
	}
}

// Five wrong codes end a pending factor; a new one can be started.
func TestFiveWrongCodesEndPendingFactor(t *testing.T) {
	b := newTestServer(t).signInAnna()
	const page = "/settings/2step/app"
	b.post(page)
	for range 5 {
		b.post(page+"/verify", "code", "000000")
	}
	b.wantRedirect(b.post(page+"/verify", "code", appCode), page)
	b.wantPage(b.get(page), 429, "Start again", "input[name=again]")
	b.wantRedirect(b.post(page+"/cancel", "again", "1"), page)
	b.wantRedirect(b.post(page+"/verify", "code", appCode), page)
	b.wantPage(b.get(page), 200, "form[data-auto]")
}

// Changing a factor or the address requires a step-up before anything is typed.
func TestFactorAndEmailChangesRequireStepUp(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	h.now = h.now.Add(11 * time.Minute)
	const confirm = "/settings/confirm?return_to=%2Fsettings%2F2step%2Fcall%3Freturn_to%3D%252Fdemo%252Fsettings"
	b.wantRedirect(b.get("/settings/2step/call?return_to=/demo/settings"), confirm)
	b.wantRedirect(
		b.post("/settings/2step/call", "country", "DE", "number", "+49171", "return_to", "/demo/settings"), confirm,
	)
	b.wantRedirect(b.get("/settings/email"), "/settings/confirm?return_to=%2Fsettings%2Femail")
	b.wantRedirect(
		b.post("/settings/email", "email", "new@example.com"), "/settings/confirm?return_to=%2Fsettings%2Femail",
	)
	b.wantPage(
		b.get(confirm),
		200,
		"To change your sign-in settings, enter your password first.",
		"form[action="+confirm+"]",
	)
	const back = "/settings/2step/call?return_to=%2Fdemo%2Fsettings"
	b.wantPage(b.post("/settings/confirm", "password", "", "return_to", back), 422, "Enter your password.")
	b.wantPage(
		b.post("/settings/confirm", "password", "wrong horse battery", "return_to", back),
		422,
		"The password isn't correct.",
		"form[action="+confirm+"]",
	)
	b.wantRedirect(
		b.post("/settings/confirm", "email", annaEmail, "password", annaPassword, "return_to", back),
		"/signin/verify"+strings.TrimPrefix(confirm, "/settings/confirm"),
	)
	b.wantRedirect(b.get("/signin"), "/signin/verify")
	b.wantPage(b.get("/signin/verify"), 200, "Cancel", "a•••@example.com")
	b.wantPage(b.get("/settings"), 200)
	before := b.cookies["__Host-session"]
	verify := "/signin/verify" + strings.TrimPrefix(confirm, "/settings/confirm")
	b.wantRedirect(b.post(verify, "code", h.deliverCode()), back)
	if b.cookies["__Host-session"] == before || b.cookies["__Host-signin"] != "" {
		t.Error("the cookies have not changed")
	}
	b.wantPage(b.get(back), 200, "select#country")
	b.wantRedirect(b.get("/settings/confirm?return_to=/settings/email"), "/settings/email")
	b.wantRedirect(b.get("/signin"), "/settings")
}

// An attempt opens no settings page.
func TestAttemptOpensNoSettings(t *testing.T) {
	h := newTestServer(t)
	b := h.newBrowser()
	b.wantRedirect(b.post("/signin", "email", annaEmail, "password", annaPassword), "/signin/verify")
	for _, route := range h.Routes() {
		method, target, _ := strings.Cut(route.Pattern, " ")
		if !strings.HasPrefix(target, "/settings") {
			continue
		}
		target = strings.NewReplacer("{path}", "app", "{id}", "x").Replace(target)
		if w := b.do(method, target, ""); w.Code != 303 || !strings.HasPrefix(w.Header().Get("Location"), "/signin") {
			t.Errorf("%s: %d %s", route.Pattern, w.Code, w.Header().Get("Location"))
		}
	}
}

// Continue leads to a path of this site or to the settings, whatever return_to is.
func TestContinueLeadsToLocalPathsOnly(t *testing.T) {
	b := newTestServer(t).signInAnna()
	const page = "/settings/2step/paper"
	b.post(page)
	b.wantRedirect(b.post(page+"/verify", "return_to", "//evil.example"), page+"/done")
	for back, want := range map[string]string{
		"/demo/settings": "/demo/settings", "/demo/?a=b": "/demo/?a=b", "": "/settings",
		"https://evil.example": "/settings", "//evil.example": "/settings", `/\evil.example`: "/settings",
		"/%2f/evil.example":   "/settings",
		"javascript:alert(1)": "/settings", "data:text/html,x": "/settings", "\thttps://evil.example": "/settings",
		"/.//evil.example":       "/settings",
		"/a\r\nLocation: //evil": "/settings", "https:evil.example": "/settings",
		"example.com@evil.example": "/settings", "/" + strings.Repeat("a", 2000): "/settings",
	} {
		w := b.get(page + "/done?return_to=" + escaped(back))
		if got := attr(findFirst(parseHTML(w), "a[autofocus]"), "href"); got != want {
			t.Errorf("%.40q: Continue leads to %q, want %q", back, got, want)
		}
	}
}

// A new address is verified by a code.
func TestChangeEmailIsConfirmedByCode(t *testing.T) {
	h := newTestServer(t)
	h.addAccount("bob@example.com")
	b := h.signInAnna()
	const page = "/settings/email"
	b.wantPage(b.get(page), 200, "input#email", annaEmail)
	b.wantPage(b.post(page, "email", "nonsense"), 422, "p#email-wrong", "input#email[value=nonsense]")
	b.wantRedirect(b.post(page, "email", "bob@example.com"), page)
	taken := textOf(parseHTML(b.get(page)))
	b.wantRedirect(b.post(page+"/cancel"), page)
	b.wantRedirect(b.post(page, "email", "New@example.com"), page)
	free := textOf(parseHTML(b.get(page)))
	if strings.ReplaceAll(taken, "bob@", "new@") != free {
		t.Errorf("the page reveals that an address has an account:\n%s\n%s", taken, free)
	}
	b.wantRedirect(b.post(page+"/verify", "code", h.deliverCode()), page+"/done")
	b.wantPage(b.get(page+"/done"), 200, "Your email address is now new@example.com.", "a[href=/settings]")
}

// The last used method comes first, recovery methods last.
func TestLastUsedMethodIsOfferedFirst(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	b.post("/settings/2step/app")
	b.post("/settings/2step/app/verify", "code", appCode)
	b.post("/settings/2step/paper")
	b.post("/settings/2step/paper/verify")
	order := func(b *testBrowser) string {
		b.wantRedirect(b.post("/signin", "email", annaEmail, "password", annaPassword), "/signin/verify")
		b.wantRedirect(b.get("/signin/verify"), "/signin/method")
		var list []string
		choice := regexp.MustCompile(`name="method" value="([a-z]+)"( class="last")?`)
		for _, m := range choice.FindAllStringSubmatch(b.get("/signin/method").Body.String(), -1) {
			list = append(list, m[1]+strings.TrimSuffix(m[2], `class="last"`))
		}
		return strings.Join(list, ",")
	}
	fresh := h.newBrowser()
	if got := order(fresh); got != "post,app,paper" {
		t.Errorf("a new browser: %s", got)
	}
	b.wantRedirect(fresh.post("/signin/method", "method", "app"), "/signin/verify")
	b.wantPage(
		fresh.get("/signin/verify"),
		200,
		"Enter the code from your app for Example",
		"button[formaction=/signin/other]",
	)
	b.wantPage(fresh.post("/signin/verify", "code", "333333"), 422, "Your clock is 3 min behind.")
	w := fresh.post("/signin/verify", "code", appCode)
	if set := w.Header()["Set-Cookie"]; !slices.Contains(
		set,
		"__Host-method=app; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax",
	) {
		t.Errorf("cookies %q", set)
	}
	fresh.post("/signout")
	if got := order(fresh); got != "app ,post,paper" {
		t.Errorf("the next sign-in: %q", got)
	}
	fresh.post("/signin/method", "method", "paper")
	fresh.post("/signin/verify", "code", paperCodes[0])
	if fresh.cookies["__Host-method"] != "app" {
		t.Errorf("after a recovery code: %q", fresh.cookies["__Host-method"])
	}
}

// A method over its send limit says until when it is unavailable, and the others are offered.
func TestMethodOverSendLimitIsUnavailable(t *testing.T) {
	h := newTestServer(t)
	b := h.signInAnna()
	b.post("/settings/2step/call", "country", "DE", "number", "+491711234567")
	b.wantRedirect(b.post("/settings/2step/call/verify", "code", h.deliverCode()), "/settings/2step/call/done")
	h.Challenges.Texts = challenge.TextBudget{PricePerMessage: 60, PerDay: 100}
	b.post("/signout")
	b.post("/signin", "email", annaEmail, "password", annaPassword)
	b.wantRedirect(b.post("/signin/method", "method", "call"), "/signin/verify")
	other := h.newBrowser()
	other.post("/signin", "email", annaEmail, "password", annaPassword)
	w := other.post("/signin/method", "method", "call")
	other.wantPage(w, 429, "Phone call isn't available until 6 Nov 2026, 00:00 UTC.", "button[value=post]")
	if w.Header().Get("Retry-After") == "" || matches(parseHTML(w), "button[value=call]") {
		t.Error("the unavailable method is offered, or Retry-After is missing")
	}
	h.now = h.now.Add(31 * time.Second)
	w = b.post("/signin/code")
	b.wantPage(w, 429, "You can't get more codes until 6 Nov 2026, 00:00 UTC.", "button[formaction=/signin/other]")
}

// Only sessions of the same account can be ended.
func TestEndSessionOnlyOfSameAccount(t *testing.T) {
	h := newTestServer(t)
	mine, other := h.signInAnna(), h.signInAnna()
	w := mine.get("/settings/sessions")
	target := regexp.MustCompile(`/settings/sessions/[^/"]+/end`).FindString(w.Body.String())
	h.addAccount("bob@example.com")
	bob := h.newBrowser()
	bob.post("/signin", "email", "bob@example.com", "password", annaPassword)
	bob.post("/signin/verify", "code", h.deliverCode())
	bob.wantRedirect(bob.post(target), "/settings/sessions")
	other.wantPage(other.get("/settings"), 200)
	mine.wantRedirect(mine.post(target), "/settings/sessions")
	other.wantRedirect(other.get("/settings"), "/signin?return_to=%2Fsettings")
}

// The SVG path has exactly the dark modules of the code.
func TestQRPathHasExactlyTheModules(t *testing.T) {
	drawn, err := drawQR(appLinkText)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(appLinkText, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	if drawn.Size != code.Size+8 {
		t.Fatalf("size %d with the quiet zone, want %d", drawn.Size, code.Size+8)
	}
	dark := map[[2]int]bool{}
	runs := regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(drawn.Path, -1)
	whole := ""
	for _, m := range runs {
		whole += m[0]
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		n, _ := strconv.Atoi(m[3])
		for i := range n {
			dark[[2]int{x + i, y}] = true
		}
	}
	if whole != drawn.Path {
		t.Error("the path has more than rectangles")
	}
	for y := range drawn.Size {
		for x := range drawn.Size {
			if dark[[2]int{x, y}] != code.Black(x-4, y-4) {
				t.Fatalf("module %d, %d is wrong", x, y)
			}
		}
	}
}

// otpauthURL refuses every other scheme.
func TestOTPAuthURLRejectsOtherSchemes(t *testing.T) {
	for link, want := range map[string]string{
		appLinkText: appLinkText, "": "", "javascript:alert(1)": "", "https://evil.example": "", " otpauth://x": "",
		"otpauth:x": "", "OTPAUTH://x": "",
	} {
		if got := string(otpauthURL(link)); got != want {
			t.Errorf("otpauthURL(%q) = %q", link, got)
		}
	}
}

func TestFillPlaceholdersAndGroupByFour(t *testing.T) {
	if got := fillPlaceholders("{A} and {B}, {C}", "A", "{B}", "B", "b"); got != "{B} and b, {C}" {
		t.Error(got)
	}
	if got := groupByFour(" JBSW y3dp 12"); got != "JBSW y3dp 12" {
		t.Error(got)
	}
}

func differentCode(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}
