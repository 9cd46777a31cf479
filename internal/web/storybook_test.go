package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/audit"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/fairqueue"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/seal"
	"twostep.example/twostep/internal/session"
	"twostep.example/twostep/internal/trust"
)

var now = time.Date(2026, 11, 5, 10, 2, 11, 0, time.UTC)

func newTestHandlers() *Handlers {
	return &Handlers{
		Accounts: &account.Accounts{}, Devices: &device.Devices{Policy: trust.Policy{TTL: trust.MaxTTL}},
		Challenges: &challenge.Challenges{
			Keys:    storyKeys(),
			Methods: []factor.Method{post{}, call{}, app{}, paper{}},
			Email:   challenge.EmailPolicy{PauseAfterReset: challenge.EmailPauseAfterReset},
		},
		Pages: &render.Renderer{Site: "Example & Söhne", Now: func() time.Time { return now }},
	}
}

var storyKeys = sync.OnceValue(func() *seal.KeyRing {
	keys, err := seal.ParseKeyRing(seal.NewKeyLine())
	if err != nil {
		panic(err)
	}
	return keys
})

func exampleAttempt(change func(*challenge.State)) attempt {
	p := challenge.State{
		Email:  "j•••@example.com",
		Offers: []challenge.Offer{offerOf(post{}, "j•••@example.com")},
		Challenge: &challenge.Challenge{
			Offer:    offerOf(post{}, "j•••@example.com"),
			Delivery: challenge.Delivery{State: "sent", At: now},
			ResendAt: now.Add(23500 * time.Millisecond),
			CodeTTL:  15 * time.Minute,
		},
	}
	change(&p)
	return attempt{Attempt: &challenge.Attempt{State: p}}
}

var jane = session.Session{
	ID:      "s1",
	Account: session.Account{ID: "a1", Email: "jane@example.com", Name: "Jane <b>Doe</b>"},
	StartedAt: now.Add(
		-50 * time.Minute,
	), LastSeenAt: now, Address: "2001:db8::1",
	Browser: trust.ParseBrowser("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", ""),
}

// story is one page in one situation.
type story struct {
	name   string
	view   render.View
	status int
	has    []string // "tag#id[attribute=value]" or a text in English
	hasNot []string
}

func mustWithFieldError(t *testing.T, view render.View, field string, err error) render.View {
	t.Helper()
	view, err = withFieldError(view, field, err)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

func withProblems(view render.View, problems ...render.Problem) render.View {
	view.Status, view.Problems = http.StatusUnprocessableEntity, problems
	return view
}

func stories(t *testing.T, lang string) []story {
	var all []story
	all = append(all, signInStories(t, lang)...)
	all = append(all, verifyStories(t, lang)...)
	all = append(all, mailedStories(t)...)
	all = append(all, settingsStories(t, lang)...)
	all = append(all, deviceStories()...)
	all = append(all, historyStories(lang)...)
	all = append(all, enrollStories(t, lang)...)
	return append(all, inboxStories()...)
}

func signInStories(t *testing.T, lang string) []story {
	typed := signInView(signInPage{Email: `"><script>alert(1)</script>`, ReturnTo: "/settings/sessions"})
	s, r := newTestHandlers(), requestInLanguage(lang)
	four := exampleAttempt(func(p *challenge.State) {
		p.Offers = []challenge.Offer{
			p.Offers[0], offerOf(app{}, ""), offerOf(call{}, "•••• 123"), offerOf(paper{}, ""),
		}
		p.Challenge = nil
	})
	again := requestInLanguage(lang)
	again.Header.Set("Cookie", "method=app")
	closed := s.methodView(r, four, "call")
	closed.Status, closed.Problems = 429, []render.Problem{
		{Key: "method.closed", Args: []any{"Name", "Phone call", "Time", "5 Nov 2026, 11:00 UTC"}},
	}
	return []story{
		{"signin", signInView(signInPage{SignUp: true}), 200,
			[]string{
				"input#email[autocomplete=username]",
				"input#email[autofocus]",
				"input#email[name=email]",
				"input#password[autocomplete=current-password]",
				"form[action=/signin]",
				"a[href=/forgot]",
				"a[href=/signup]",
				"button[aria-controls=password]",
				"Sign in",
			},
			[]string{"input#password[value]", "input[maxlength]", "p[role=alert]"}},
		{"signin-wrong", mustWithFieldError(t, typed, "", account.ErrCredentials), 422,
			[]string{
				"p#problem[role=alert]",
				"The email or password isn't correct.",
				"input#password[autofocus]",
				"form[action=/signin?return_to=%2Fsettings%2Fsessions]",
				"a[href=/forgot?return_to=%2Fsettings%2Fsessions]",
				"Error: Sign in",
			},
			[]string{"input#password[value]", "a[href=/signup]", "main script"}},
		{
			"signin-app",
			signInView(
				signInPage{ClientName: "Books", Email: "jane@example.com", ReturnTo: "/oauth2/continue?request=x"},
			),
			200,
			[]string{
				"Sign in to Example & Söhne to continue to Books.",
				"input#email[value=jane@example.com]",
				"input#password[autofocus]",
			},
			nil,
		},
		{"signin-stay", signInView(signInPage{OffersStay: true, Stay: true}), 200,
			[]string{"input#stay[name=stay]", "input#stay[type=checkbox]", "input#stay[checked]", "Stay signed in"}, nil},
		{"signin-blocked", signInView(signInPage{CookiesBlocked: true, Domain: "https://login.example.com"}), 200,
			[]string{
				"p[role=alert]", "Allow cookies for https://login.example.com", "a[href=/help/trust]",
			}, nil},
		{
			"signin-empty",
			withProblems(
				signInView(signInPage{}),
				render.Problem{Field: "email", Key: "problem.email.empty"},
				render.Problem{Field: "password", Key: "problem.password.empty"},
			),
			422,
			[]string{
				"input#email[aria-describedby=email-wrong]",
				"p#email-wrong[role=alert]",
				"Enter your password.",
				"input#email[autofocus]",
			},
			nil,
		},
		{"method", s.methodView(r, four, ""), 200,
			[]string{
				"button[name=method]",
				"button[value=call]",
				"Authenticator App",
				"Call me at •••• 123",
				"Send a verification code to j•••@example.com",
				"If you can't use your other methods:",
			},
			[]string{"button[class=last]"}},
		{"method-last", s.methodView(again, four, ""), 200, []string{"button[class=last]"}, nil},
		{
			"method-wrong",
			mustWithFieldError(t, s.methodView(r, four, ""), "", challenge.ErrUnknownMethod),
			422,
			[]string{"p#problem"},
			nil,
		},
		{
			"method-closed",
			closed,
			429,
			[]string{"Phone call isn't available until 5 Nov 2026, 11:00 UTC.", "button[value=app]"},
			[]string{"button[value=call]"},
		},
		{
			"method-none",
			s.methodView(r, exampleAttempt(func(p *challenge.State) { p.Offers, p.Challenge = nil, nil }), ""),
			200,
			[]string{"form[action=/signin/cancel]"},
			nil,
		},
	}
}

// probe is the cookie of a browser that stores cookies.
const probe = "probe=1700000000"

func verifyStories(t *testing.T, lang string) []story {
	s, r := newTestHandlers(), requestInLanguage(lang)
	pageOf := func(p attempt) verifyPage {
		v, err := s.newVerifyPage(r, p)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	page := func(change func(*challenge.State)) verifyPage { return pageOf(exampleAttempt(change)) }
	fromApp := exampleAttempt(func(*challenge.State) {})
	fromApp.target = returnTarget{"/oauth2/continue?request=x", grant.ReturnTarget{ClientName: "Books"}}
	stepUp := exampleAttempt(func(p *challenge.State) { p.StepUp = true })
	stepUp.target.returnTo = "/settings/email"
	view := func(change func(*challenge.State)) render.View { return verifyView(page(change)) }
	same := func(*challenge.State) {}
	blind := func(change func(*challenge.State)) render.View {
		r.Header.Del("Cookie")
		defer r.Header.Set("Cookie", probe)
		return view(change)
	}
	r.Header.Set("Cookie", probe)
	early := func(view render.View, seconds int) render.View {
		v := view.Data.(verifyPage)
		v.deliveryStatus = v.withResendWait(seconds)
		view.Data, view.Status, view.Problems = v, 429, []render.Problem{
			s.resendWaitProblem(i18n.ForTag(lang), now.Add(time.Duration(seconds)*time.Second)),
		}
		return view
	}
	slowly := func(view render.View, field string, seconds int) render.View {
		view.Status, view.Problems = 429, []render.Problem{
			s.backoffProblem(i18n.ForTag(lang), field, now.Add(time.Duration(seconds)*time.Second)),
		}
		return view
	}
	wrongCodeText := "The verification code you have entered does not match our records. " +
		"Please try again, or request a new code."
	return []story{
		{"verify", view(same), 200,
			[]string{
				"input#code[autocomplete=one-time-code]",
				"input#code[inputmode=numeric]",
				"input#code[autofocus]",
				"input#code[type=text]",
				"button#verify",
				"button[formaction=/signin/code]",
				"p#delivery[role=status]",
				"Enter the 6-digit code sent to j•••@example.com. It works for 15 minutes.",
				"Sent at 10:02. Check your spam folder too.",
				"You can request a new code in 24 seconds.",
				"form[action=/signin/cancel]",
				"Start again",
			},
			[]string{"input[maxlength]", "button[formaction=/signin/other]", "a#check", "p[role=alert]"}},
		{"verify-trust", view(func(p *challenge.State) {
			p.Trust, p.Why = challenge.TrustOffer{Days: 30}, challenge.StepReason{Reason: trust.OtherNetwork}
		}), 200,
			[]string{
				"input#trust[type=checkbox]",
				"input#trust[name=trust]",
				"Trust this device for 30 days",
				"Don't use this on a shared computer.",
				"Why am I being asked for a code?",
				"You're on a different network than last time.",
				"a[href=/help/trust]",
			},
			[]string{"input#trust[checked]", "input#trust[disabled]"}},
		{"verify-trust-ticked", view(func(p *challenge.State) {
			p.Trust, p.Why = challenge.TrustOffer{Days: 1, Requested: true}, challenge.StepReason{
				Reason: trust.Expired, VerifiedAt: now.Add(-24 * 31 * time.Hour),
			}
		}), 200,
			[]string{
				"input#trust[checked]",
				"Trust this device for 1 day",
				"You last entered a code here on 5 Oct 2026, more than 30 days ago.",
			}, nil},
		{
			"verify-trust-lost",
			view(func(p *challenge.State) { p.Trust = challenge.TrustOffer{Days: 30, NetworkUnknown: true} }),
			200,
			[]string{
				"input#trust[disabled]", "Not available: we can't tell which network you're on.",
			},
			[]string{"Why am I being asked for a code?"},
		},
		{"verify-trust-blocked", blind(func(p *challenge.State) { p.Trust = challenge.TrustOffer{Days: 30} }), 200,
			[]string{
				"input#trust[disabled]",
				"Not available: your browser isn't saving cookies for this site.",
				"a[href=/help/trust]",
			}, nil},
		{
			"verify-waiting",
			view(func(p *challenge.State) {
				p.Challenge.Delivery = challenge.Delivery{State: "waiting", RequestedAt: now.Add(-9 * time.Second)}
			}),
			200,
			[]string{"Sending…", "a#check"},
			[]string{"longer than usual"},
		},
		{
			"verify-waiting-slow",
			view(func(p *challenge.State) {
				p.Challenge.Delivery = challenge.Delivery{State: "waiting", RequestedAt: now.Add(-10 * time.Second)}
			}),
			200,
			[]string{"Sending is taking longer than usual. We'll keep trying.", "a#check"},
			[]string{"another method"},
		},
		{
			"verify-waiting-slow-other",
			view(func(p *challenge.State) {
				p.Offers, p.Challenge.HasAlternative = append(p.Offers, offerOf(app{}, "")), true
				p.Challenge.Delivery = challenge.Delivery{State: "waiting", RequestedAt: now.Add(-10 * time.Second)}
			}),
			200,
			[]string{"or you can use another method.", "button[formaction=/signin/other]"},
			nil,
		},
		{"verify-refused", view(func(p *challenge.State) {
			p.Challenge.Delivery.State = "refused"
			p.Offers = append(p.Offers, offerOf(app{}, ""))
			p.Challenge.ResendAt = now.Add(-time.Second)
		}), 200,
			[]string{
				"button[formaction=/signin/other]", "The mail server refused the message.",
			}, []string{"You can request a new code in"}},
		{"verify-call", view(func(p *challenge.State) { p.Challenge.Offer = offerOf(call{}, "•••• 123") }), 200,
			[]string{
				"Enter the code that you hear when we call •••• 123.", "Sent at 10:02.",
			}, []string{"spam"}},
		{"verify-app", view(func(p *challenge.State) {
			*p.Challenge = challenge.Challenge{Offer: offerOf(app{}, ""), GuessesLeft: 5}
		}), 200,
			[]string{
				"Enter the code from your app for Example & Söhne",
			}, []string{"button[formaction]", "p#delivery", "It works for"}},
		{"verify-app-clock", withProblem(
			view(func(p *challenge.State) {
				*p.Challenge = challenge.Challenge{Offer: offerOf(app{}, ""), GuessesLeft: 5}
			}),
			s.codeProblem(r, challenge.Challenge{Offer: challenge.Offer{About: app{}.Info()}}, clockBehind),
		), 422, []string{"Your clock is 3 min behind.", "p#code-wrong", "input#code[autofocus]"},
			[]string{wrongCodeText}},
		{"verify-paper", view(func(p *challenge.State) {
			*p.Challenge = challenge.Challenge{Offer: offerOf(paper{}, ""), GuessesLeft: 5}
		}), 200,
			[]string{"input#code[autocomplete=off]"}, []string{"input#code[inputmode]", "p#code-hint", "6-digit"}},
		{
			"verify-long",
			view(func(p *challenge.State) { p.Challenge.LongCode, p.Challenge.About.Implicit = true, true }),
			200,
			[]string{
				"input#code[autocomplete=off]",
				"input#code[data-link]",
				"Enter the longer code we've sent you.",
				"need a longer code",
				"capital or small letters",
				"Once you're in, change your password.",
			},
			[]string{"input#code[inputmode]", "6-digit", "p#code-hint[hidden]"},
		},
		{"verify-long-app", view(func(p *challenge.State) {
			*p.Challenge = challenge.Challenge{Offer: offerOf(app{}, ""), GuessesLeft: 5, LongCode: true}
			p.Challenge.About.ValidAnswers = 2
		}), 200, []string{"Enter two 6-digit codes, one after the other.", "need a longer code"},
			[]string{"input#code[data-link]", "p#code-hint[hidden]"}},
		{
			"verify-longer",
			mustWithFieldError(
				t,
				view(func(p *challenge.State) { p.Challenge.LongCode = true }),
				"code",
				challenge.ErrLongCodeNeeded,
			),
			422,
			[]string{"p#code-wrong[role=alert]", "so this code no longer works."},
			[]string{wrongCodeText},
		},
		{
			"verify-slow",
			slowly(view(same), "code", 15),
			429,
			[]string{
				"p#code-wrong[role=alert]",
				"Too many failed attempts. Please wait 15 seconds and try again.",
				"input#code[autofocus]",
			},
			[]string{wrongCodeText},
		},
		{"verify-app", verifyView(pageOf(fromApp)), 200,
			[]string{"You'll continue to Books.",
				"form[action=/signin/verify?return_to=%2Foauth2%2Fcontinue%3Frequest%3Dx]",
				"form[action=/signin/cancel?return_to=%2Foauth2%2Fcontinue%3Frequest%3Dx]"}, nil},
		{
			"verify-stepup",
			view(func(p *challenge.State) { p.StepUp = true }),
			200,
			[]string{"Cancel"},
			[]string{"Start again"},
		},
		{
			"verify-stepup-ended",
			attemptsExhaustedView(pageOf(stepUp)),
			429,
			[]string{"a[href=/settings/confirm?return_to=%2Fsettings%2Femail]"},
			[]string{"form"},
		},
		{"verify-nomore", view(func(p *challenge.State) { p.Challenge.ResendAt = time.Time{} }), 200,
			[]string{"button[formaction=/signin/code]", "You'll need to enter your password again."},
			[]string{"p#again", "button#again-button"}},
		{"verify-wrong", mustWithFieldError(t, view(same), "code", factor.ErrIncorrect), 422,
			[]string{
				wrongCodeText,
				"input#code[aria-invalid=true]",
				"p#code-wrong[role=alert]",
				"input#code[autofocus]",
				"It works for 15 minutes.",
				"button[formaction=/signin/code]",
			},
			[]string{"input#code[value]"}},
		{"verify-wrong-app", withProblem(
			view(func(p *challenge.State) {
				*p.Challenge = challenge.Challenge{Offer: offerOf(app{}, ""), GuessesLeft: 5}
			}),
			s.codeProblem(r, challenge.Challenge{Offer: challenge.Offer{About: app{}.Info()}}, factor.ErrIncorrect),
		), 422, []string{"does not match our records. Enter the code that your app shows now."},
			[]string{"new code"}},
		{"verify-wrong-paper", withProblem(
			view(func(p *challenge.State) {
				*p.Challenge = challenge.Challenge{Offer: offerOf(paper{}, ""), GuessesLeft: 5}
			}),
			s.codeProblem(r, challenge.Challenge{Offer: challenge.Offer{About: paper{}.Info()}}, factor.ErrIncorrect),
		), 422, []string{"does not match our records. Check it and try again."}, []string{"new code", "clock"}},
		{
			"verify-malformed",
			mustWithFieldError(t, view(same), "code", factor.ErrMalformed),
			422,
			[]string{"p#code-wrong", "Enter the 6-digit code."},
			[]string{wrongCodeText},
		},
		{
			"verify-early",
			early(view(same), 24),
			429,
			[]string{"You can request a new code in 24 seconds.", "p#problem[role=alert]", "p#again[hidden]"},
			nil,
		},
		{"verify-early-second", early(view(same), 1), 429, []string{"You can request a new code in 1 second."}, nil},
		{"verify-slow-second", slowly(view(same), "code", 1), 429, []string{"Please wait 1 second and try again."}, nil},
		{
			"verify-early-long",
			early(view(same), 3600),
			429,
			[]string{"You can't get more codes until 5 Nov 2026, 11:02 UTC. Use another method, or try again then."},
			nil,
		},
		{"verify-ended", attemptsExhaustedView(page(same)), 429,
			[]string{
				"Too many failed attempts. Start again.", "form[action=/signin/cancel]", "input[name=again]",
			}, []string{"input#code"}},
	}
}

func mailedStories(t *testing.T) []story {
	reset := resetView(resetPage{"", "TOKEN", "jane@example.com"})
	join := joinView(joinPage{"", "TOKEN", "jane@example.com", "Jane"})
	signUp := signUpView(signUpPage{"", "jane@", "Jane"})
	all := []story{
		{"forgot", forgotView(forgotPage{}), 200, []string{"input#email[autofocus]"}, nil},
		{
			"forgot-wrong",
			mustWithFieldError(t, forgotView(forgotPage{"", "nonsense"}), "email", account.ErrEmail),
			422,
			[]string{"p#email-wrong", "input#email[value=nonsense]"},
			nil,
		},
		{
			"forgot-sent",
			noticeView(forgotSent, ""),
			200,
			[]string{"If there's an account", "a[href=/signin]"},
			[]string{"example.com"},
		},
		{
			"undo", undoView(resetPage{}), 200,
			[]string{"input#token[autofocus]", "input#password", "form[action=/undo]", "a[href=/forgot]"}, nil,
		},
		{"undo-requested", noticeView(undoRequested, ""), 200, []string{"72 hours", "a[href=/signin]"}, nil},
		{"signout-done", noticeView(signOutDone, ""), 200, []string{"You're signed out", "a[href=/signin]"}, nil},
		{"undo-done", noticeView(undoDone, ""), 200, []string{"a[href=/forgot]"}, nil},
		{
			"reset",
			resetView(resetPage{}),
			200,
			[]string{"input#token[autofocus]", "form[data-open]", "a[href=/forgot]"},
			[]string{"input#password"},
		},
		{
			"reset-choose",
			reset,
			200,
			[]string{
				"input#password[autofocus]",
				"input#password[autocomplete=new-password]",
				"input#password[aria-describedby=password-hint]",
				"input#username[value=jane@example.com]",
				"input#username[autocomplete=username]",
				"input#username[readonly]",
				"input[type=hidden]",
			},
			[]string{"input#username[name]", "input#token[type=text]"},
		},
		{
			"reset-link",
			mustWithFieldError(t, resetView(resetPage{Token: "TOKEN"}), "token", account.ErrLink),
			422,
			[]string{"p#token-wrong", "a[href=/forgot]", "input#token[value=TOKEN]"},
			nil,
		},
		{"reset-done", noticeView(resetDone, ""), 200, []string{"Your password has been changed", "a[href=/signin]"}, nil},
		{
			"join",
			joinView(joinPage{}),
			200,
			[]string{"input#token[autofocus]", "form[action=/join]", "form[data-open]"},
			[]string{"input#password", "input#name"},
		},
		{
			"join-choose",
			join,
			200,
			[]string{
				"input#username[value=jane@example.com]", "input#username[autocomplete=username]",
				"input#username[readonly]", "input#name[value=Jane]", "input#name[autocomplete=name]",
				"input#password[autocomplete=new-password]", "input#password[autofocus]",
			},
			[]string{"input#username[name]", "input#token[type=text]"},
		},
		{
			"join-nameless",
			joinView(joinPage{Token: "TOKEN", Email: "jane@example.com"}),
			200,
			[]string{"input#name[autofocus]"},
			nil,
		},
		{
			"join-name",
			mustWithFieldError(t, join, mailedLinkErrorField(account.ErrName), account.ErrName),
			422,
			[]string{"p#name-wrong", "input#name[value=Jane]", "input[value=TOKEN]"},
			nil,
		},
		{"join-done", noticeView(joinDone, ""), 200, nil, nil},
		{
			"address", addressView(addressPage{}), 200,
			[]string{"input#token[autofocus]", "form[action=/address]", "form[data-open]"}, []string{"input[name=confirm]"},
		},
		{
			"address-confirm", addressView(addressPage{"", "TOKEN", "jane@example.net"}), 200,
			[]string{"jane@example.net", "input[name=confirm]", "input[value=TOKEN]"}, []string{"input#token[type=text]"},
		},
		{
			"address-link", mustWithFieldError(t, addressView(addressPage{Token: "TOKEN"}), "token", account.ErrLink), 422,
			[]string{"p#token-wrong", "Ask the administrator", "input#token[value=TOKEN]"}, nil,
		},
		{"address-done", noticeView(addressDone, ""), 200, []string{"Your email address has been changed"}, nil},
		{"signup", signUpView(signUpPage{}), 200, []string{"form[action=/signup]"}, nil},
		{
			"signup-wrong",
			mustWithFieldError(t, signUp, mailedLinkErrorField(account.ErrEmail), account.ErrEmail),
			422,
			[]string{"p#email-wrong"},
			nil,
		},
		{"signup-sent", noticeView(signUpSent, ""), 200, nil, nil},
	}
	for i, err := range []error{seal.ErrPasswordTooShort, seal.ErrPasswordTooLong, seal.ErrPasswordCommon,
		seal.ErrPasswordContextSpecific, seal.ErrPasswordNotText} {
		all = append(
			all,
			story{fmt.Sprint("reset-password-", i), mustWithFieldError(t, reset, mailedLinkErrorField(err), err), 422,
				[]string{
					"p#password-wrong[role=alert]", "input#password[autofocus]", "input[value=TOKEN]",
				}, []string{"input#password[value]"}},
		)
	}
	return all
}

func settingsStories(t *testing.T, lang string) []story {
	other := jane
	other.ID, other.Browser, other.Address = "s2", trust.Browser{}, "192.0.2.7"
	s, r, put := newTestHandlers(), requestInLanguage(lang), requestInLanguage(lang)
	put.Header.Set("Cookie", "later=1")
	return []story{
		{"settings", s.settingsView(r, settingsPage{Account: jane.Account}, ownedBy()), 200,
			[]string{
				"a[href=/settings/password]",
				"a[href=/settings/name]",
				"a[href=/help]",
				"a[href=/settings/sessions]",
				"a[href=/settings/history]",
				"a[href=/settings/email]",
				"a[href=/settings/2step/app]",
				"form[action=/signout]",
				"Jane <b>Doe</b>",
				"jane@example.com",
				"default",
				"It is recommended that you set up an additional option besides Email.",
				"form[action=/settings/later]",
				"Not set up",
			}, []string{"small b"}},
		{
			"settings-later",
			s.settingsView(put, settingsPage{Account: jane.Account}, ownedBy()),
			200,
			nil,
			[]string{"It is recommended", "form[action=/settings/later]"},
		},
		{
			"settings-frozen",
			s.settingsView(r, settingsPage{
				Account: jane.Account, FrozenUntil: now.Add(72 * time.Hour), EmailUntilAnother: true,
			}, ownedBy(number)),
			200, []string{"form[action=/settings/keep]", "Keep the change", "Off when you have another method"}, nil,
		},
		{
			"second-step", s.secondStepView(enroll.EmailSecondStep{}), 200,
			[]string{"form[action=/settings/second-step]", "button[value=until-another]", "24 hours"}, nil,
		},
		{
			"second-step-off", s.secondStepView(enroll.EmailSecondStep{UntilAnother: true}), 200,
			[]string{"button[value=always]"}, nil,
		},
		{
			"second-step-site", s.secondStepView(enroll.EmailSecondStep{UntilAnother: true, BySite: true}), 200,
			[]string{"Example & Söhne requires this."}, []string{"form[action=/settings/second-step]"},
		},
		{"settings-all", s.settingsView(r, settingsPage{Account: jane.Account}, ownedBy(phone, number, recoveryCodes)), 200,
			[]string{
				"My phone · Added 1 Nov 2026 · Last used 5 Nov 2026", "+49 171 2345678", "7 codes left",
			}, []string{"It is recommended"}},
		{
			"apps",
			appsView(
				[]grant.AuthorizedClient{
					{
						Client:       client.Client{ID: "books", Name: "Books"},
						Scope:        []string{"openid", "email", "offline_access"},
						AuthorizedAt: now,
					},
				},
			),
			200,
			[]string{
				"Books", "your email address, also when you're not using the app", "form[action=/settings/apps/books/remove]",
			},
			nil,
		},
		{"apps-none", appsView(nil), 200, []string{"No apps are connected at the moment."}, []string{"form"}},
		{
			"stepup-app",
			stepUpView(
				jane,
				returnTarget{
					returnTo:     "/oauth2/continue?request=x",
					ReturnTarget: grant.ReturnTarget{ClientName: "Books", RequestToken: "x"},
				},
			),
			200,
			[]string{
				"Books needs to know it's really you.",
				"form[action=/settings/confirm?return_to=%2Foauth2%2Fcontinue%3Frequest%3Dx]",
				"form[action=/oauth2/consent]",
				"input[value=x]",
				"button[value=deny]",
			},
			[]string{"a[href=/settings]"},
		},
		{"stepup", stepUpView(jane, returnTarget{returnTo: "/settings/email"}), 200,
			[]string{
				"To change your sign-in settings, enter your password first.",
				"input#password[autofocus]",
				"form[action=/settings/confirm?return_to=%2Fsettings%2Femail]",
				"input[autocomplete=username]",
			}, nil},
		{
			"stepup-wrong",
			withProblem(
				stepUpView(jane, returnTarget{}), render.Problem{Field: "password", Key: "problem.password.wrong"},
			),
			422,
			[]string{"p#password-wrong", "form[action=/settings/confirm]"},
			nil,
		},
		{"password", passwordView(jane, returnTarget{}), 200,
			[]string{
				"input[autocomplete=username]",
				"input#current[autocomplete=current-password]",
				"input#password[autocomplete=new-password]",
				"input#current[autofocus]",
			}, nil},
		{
			"password-common",
			mustWithFieldError(t, passwordView(jane, returnTarget{}), "password", seal.ErrPasswordCommon),
			422,
			[]string{"p#password-wrong", "input#password[autofocus]"},
			nil,
		},
		{
			"password-current",
			withProblems(
				passwordView(jane, returnTarget{}), render.Problem{Field: "current", Key: "problem.password.current"},
			),
			422,
			[]string{"p#current-wrong"},
			nil,
		},
		{"replaced", replacedView(returnTarget{returnTo: "/books"}), 409, []string{"a[href=/signin?return_to=%2Fbooks]"}, nil},
		{"password-done", noticeView(passwordDone, ""), 200, []string{"a[href=/settings]"}, nil},
		{"name", nameView(account.Names{Name: "Jane <b>Doe</b>", GivenName: "Jane", FamilyName: "Doe"}), 200,
			[]string{"input#name[autocomplete=name]", "form[action=/settings/name]", "a[href=/settings]"}, nil},
		{
			"name-wrong",
			mustWithFieldError(t, nameView(account.Names{Name: strings.Repeat("x", 65)}), "name", account.ErrName),
			422,
			[]string{"p#name-wrong", "input#name[autofocus]"},
			nil,
		},
		{"sessions-older", sessionsView(lang, jane, nil, false), 200,
			[]string{
				"There are no older sessions.",
				"a[href=/settings/sessions]",
				"form[action=/settings/sessions/end]",
			}, []string{"ul", "a[rel=next]"}},
		{"sessions", sessionsView(lang, jane, []session.Session{other}, true), 200,
			[]string{
				"This browser",
				"Firefox on Windows",
				"Unknown browser",
				"form[action=/settings/sessions/s2/end]",
				"2001:db8::1",
				"form[action=/settings/sessions/end]",
				"5 Nov 2026, 10:02 UTC",
			}, []string{"a[href=/settings/sessions]", "a[rel=next]"}},
	}
}

func deviceStories() []story {
	s := newTestHandlers()
	places := []networkRow{
		{
			"Network 203.0.113.5", "203.0.113.5, 2001:db8::/64",
			now.Add(-time.Hour), now.Add(29 * 24 * time.Hour), now.Add(24 * time.Hour),
		},
		{"Any network", "", now, now.Add(30 * 24 * time.Hour), now},
	}
	full := devicesPage{
		Devices: []deviceRow{
			{"d1", "Firefox on Windows", true, places}, {"d2", "Unknown browser", false, places[:1]},
		},
		Decisions: []decisionRow{
			{
				now,
				"You're on a different network than last time.",
				"Firefox on Windows",
				"198.51.100.7",
				"Firefox on Windows",
				"203.0.113.5",
				"ABCDEFGHIJKLMNOP",
			},
			{
				At:      now,
				Reason:  "You haven't trusted this device yet, or your browser has deleted its cookies.",
				Browser: "Safari on iOS",
				Network: "192.0.2.9",
				Trace:   "QRSTUVWXYZ234567",
			},
		},
	}
	off := newTestHandlers()
	off.Devices.Policy.TTL = 0
	return []story{
		{"devices", s.devicesView(full), 200,
			[]string{
				"This browser",
				"Firefox on Windows",
				"Network 203.0.113.5 · Last used 6 Nov 2026",
				"Any network · Last used 5 Nov 2026",
				"203.0.113.5, 2001:db8::/64",
				"form[action=/settings/devices/d2/forget]",
				"form[action=/settings/devices/forget]",
				"5 Nov 2026, 10:02 UTC · You're on a different network than last time.",
				"ABCDEFGHIJKLMNOP",
				"a[href=/help/trust]",
			}, nil},
		{
			"devices-none",
			s.devicesView(devicesPage{}),
			200,
			[]string{"You have no trusted devices.", "No verification codes have been requested yet."},
			[]string{"form"},
		},
		{
			"devices-off",
			off.devicesView(devicesPage{}),
			200,
			[]string{"Trusted devices are switched off"},
			[]string{"a[href=/help/trust]"},
		},
	}
}

func inboxStories() []story {
	mails := []delivery.InboxMessage{
		{
			At: now.Add(-time.Hour),
			Message: delivery.Message{
				ID:      "one",
				Channel: delivery.SMS,
				To:      "+49 171 2345678",
				Text:    "747723 is your Example verification code. Don't share it.\n\n@login.example.com #747723",
			},
		},
		{
			At: now,
			Message: delivery.Message{
				ID:      "two",
				To:      "jane@example.com",
				Subject: "012345 is your Example verification code",
				HTML:    "<p>x",
				Text: i18n.ForTag("en").Translate(
					"mail.code.text",
					"Code",
					"012345",
					"Site",
					"Example",
					"Valid",
					"15 minutes",
					"Until",
					"10:17",
					"When",
					"5 Nov 2026, 10:02",
					"Browser",
					"Firefox on Windows",
					"Address",
					"192.0.2.1",
				),
			},
		},
	}
	wrong := inboxView(newInboxPage(mails, now, true, 0))
	wrong.Status, wrong.Problems = 422, []render.Problem{{Field: "minutes", Key: "inbox.clock.problem"}}
	return []story{
		{
			"inbox",
			inboxView(newInboxPage(mails, now, true, 0)),
			200,
			[]string{
				"article#m-two",
				"a[href=/inbox/two]",
				"a[href=/inbox/one/text]",
				"form[action=/inbox/clock]",
				"012345",
			},
			[]string{"a[href=/inbox/one]", "a[href=/inbox?all]"},
		},
		{
			"inbox-older", inboxView(newInboxPage(mails, now, true, 1)), 200,
			[]string{"article#m-two", "a[href=/inbox?all]"}, []string{"article#m-one"},
		},
		{"inbox-wrong", wrong, 422, []string{"p#minutes-wrong"}, nil},
		{"inbox-empty", inboxView(newInboxPage(nil, now, false, 0)), 200, []string{"No messages yet."}, []string{"form"}},
	}
}

// Every page in every situation and language. With TWOSTEP_PAGES=folder the pages are written there.
func TestStorybook(t *testing.T) {
	s := newTestHandlers()
	for _, lang := range []string{"en", "de"} {
		for _, st := range stories(t, lang) {
			t.Run(lang+"/"+st.name, func(t *testing.T) {
				w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
				r.Header.Set("Accept-Language", lang)
				if err := s.render(w, r, st.view); err != nil {
					t.Fatal(err)
				}
				saveStory(t, lang+"-"+st.name+".html", w.Body.String())
				checkStory(t, st, lang, w)
			})
		}
	}
}

func saveStory(t *testing.T, name, text string) {
	if folder := os.Getenv("TWOSTEP_PAGES"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func checkStory(t *testing.T, st story, lang string, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != st.status {
		t.Errorf("status %d, want %d", w.Code, st.status)
	}
	doc, err := html.Parse(strings.NewReader(w.Body.String()))
	if err != nil {
		t.Fatal(err)
	}
	text := textOf(doc)
	for _, want := range st.has {
		if selector.MatchString(want) {
			if !matches(doc, want) {
				t.Errorf("no %s", want)
			}
		} else if lang == "en" && !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	for _, not := range st.hasNot {
		if selector.MatchString(not) && matches(doc, not) || !selector.MatchString(not) && strings.Contains(text, not) {
			t.Errorf("has %s", not)
		}
	}
	checkMarkup(t, doc, lang, len(st.view.Problems) > 0)
}

// A text key in a page means that a template has a typo.
var textKey = regexp.MustCompile(
	`\b(field|enroll|enrolled|draft|codes|confirm|signin|method|verify|forgot|reset|join|signup|settings|password|sessions|history|notme|devices|questions|why|trust|help|checkup|inbox|problem|fault|delivery)\.[a-z0-9.]+\b`,
)

// checkMarkup checks what holds for every page.
func checkMarkup(t *testing.T, doc *html.Node, lang string, problem bool) {
	t.Helper()
	ids, described, labels := map[string]int{}, []string{}, map[string]bool{}
	focus := 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attr(n, "id"); id != "" {
			ids[id]++
		}
		described = append(described, strings.Fields(attr(n, "aria-describedby"))...)
		labels[attr(n, "for")] = true
		if hasAttr(n, "autofocus") {
			focus++
		}
		if hasAttr(n, "style") || n.Data == "style" || n.Data == "script" && !hasAttr(n, "src") ||
			slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return strings.HasPrefix(a.Key, "on") }) {
			t.Errorf("inline style or script in %s", n.Data)
		}
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("id %s %d times", id, n)
		}
	}
	for _, id := range described {
		if ids[id] == 0 {
			t.Errorf("describedby %s: no such id", id)
		}
	}
	for n := range doc.Descendants() {
		if (n.Data == "input" || n.Data == "select") && attr(n, "type") != "hidden" && !hasAttr(n, "hidden") &&
			!labels[attr(n, "id")] {
			t.Errorf("input %s without label", attr(n, "id"))
		}
	}
	if focus > 1 {
		t.Errorf("%d elements have the focus", focus)
	}
	if !matches(doc, "html[lang="+lang+"]") || !matches(doc, "h1") || !matches(doc, "title") {
		t.Error("no lang, h1 or title")
	}
	text := textOf(doc)
	if found := textKey.FindString(text); found != "" || strings.Contains(text, "<no value>") ||
		strings.Contains(text, "%!") {
		t.Errorf("text key %q on the page", found)
	}
	if title := textOf(findFirst(doc, "title")); problem != (strings.HasPrefix(title, "Error: ") ||
		strings.HasPrefix(title, "Fehler: ")) {
		t.Errorf("title %q", title)
	}
}

// No page prints input of a person as markup.
func TestUserInputIsEscapedOnEveryPage(t *testing.T) {
	for _, st := range stories(t, "en") {
		w := httptest.NewRecorder()
		if err := newTestHandlers().render(w, httptest.NewRequest("GET", "/", nil), st.view); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(w.Body.String(), "<b>") || strings.Contains(w.Body.String(), "<script>") {
			t.Errorf("%s prints markup", st.name)
		}
	}
}

// Internal errors and a full queue are never shown next to a field.
func TestInternalErrorsAreNoFieldErrors(t *testing.T) {
	if _, err := withFieldError(render.View{}, "", errors.New("disk full")); err == nil {
		t.Error("an internal error is shown next to a field")
	}
	if _, err := withFieldError(render.View{}, "", fairqueue.ErrFull); !errors.Is(err, fairqueue.ErrFull) {
		t.Error("a full queue is shown next to a field")
	}
}

func historyStories(lang string) []story {
	s, w := newTestHandlers(), i18n.ForTag(lang)
	event := func(change func(*audit.Event)) historyRow {
		e := audit.Event{
			At: now, Kind: audit.SessionCreated, Actor: audit.Person("a1"), Account: "a1", Result: audit.Success,
			Address: "203.0.113.5",
			Browser: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", Occurrences: 1,
		}
		change(&e)
		return s.historyRow(w, e)
	}
	app := event(func(e *audit.Event) { e.Kind = audit.GrantCreated })
	app.ClientName = "Books <b>&</b>"
	full := historyPage{Older: "/settings/history?before=1-A", First: true, Events: []historyRow{
		event(func(*audit.Event) {}),
		event(func(e *audit.Event) { e.Reason = audit.TrustedDevice }),
		event(func(e *audit.Event) {
			e.Kind, e.Result, e.Actor, e.Browser = audit.PasswordRejected, audit.Failure, audit.Anonymous(), "<script>alert(1)</script>"
		}),
		event(func(e *audit.Event) {
			e.Kind, e.Result, e.Reason = audit.TrustDenied, audit.Failure, string(trust.OtherNetwork)
		}),
		event(func(e *audit.Event) {
			e.Kind, e.Result, e.Actor, e.Occurrences, e.Browser = audit.EventsOmitted, audit.Failure, audit.System(), 12, ""
		}),
		event(func(e *audit.Event) {
			e.Kind, e.Actor, e.Address, e.Browser = audit.AccountEnabled, audit.Actor{
				Type: audit.TypeOperator, ID: "root",
			}, "", ""
		}),
		app,
	}}
	return []story{
		{"history", historyView(full), 200,
			[]string{
				"Signed in",
				"Signed in without a code, on a trusted device",
				"A wrong password was entered",
				"Failed",
				"Firefox on Windows",
				"Unknown browser",
				"203.0.113.5",
				"You're on a different network than last time.",
				"12 more failed attempts in this hour",
				"Your account was enabled",
				"By an administrator",
				"Books <b>&</b>",
				"5 Nov 2026, 10:02 UTC",
				"This wasn't me",
				"a[href=/settings/history/not-me]",
				"a[href=/settings/history?before=1-A]",
				"a[rel=next]",
				"a[href=/settings]",
			},
			[]string{"root", "a[href=/settings/history]"}},
		{
			"history-older",
			historyView(historyPage{Events: full.Events[:1]}),
			200,
			[]string{"a[href=/settings/history]"},
			[]string{"a[rel=next]"},
		},
		{
			"history-none",
			historyView(historyPage{First: true}),
			200,
			[]string{"There are no events yet."},
			[]string{"ul", "a[rel=next]"},
		},
		{"notme", render.View{Template: "notme", Title: "notme.title"}, 200,
			[]string{
				"a[href=/settings/password]",
				"form[action=/settings/devices/forget]",
				"form[action=/settings/sessions/end]",
				"a[href=/settings/history]",
			}, []string{"script"}},
	}
}
