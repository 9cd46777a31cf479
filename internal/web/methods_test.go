package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/sentcode"
	"twostep.example/twostep/internal/account"
	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/enroll"
	"twostep.example/twostep/internal/render"
)

// Test methods: an implicit one without texts of its own, one with a phone number, one with a QR code, and one with
// recovery codes.
type (
	post  struct{ sentCodeMethod }
	call  struct{ sentCodeMethod }
	app   struct{ storedSecretMethod }
	paper struct{ storedSecretMethod }
)

// sentCodeMethod is embedded in the methods whose codes are sent.
type sentCodeMethod struct{}

func (sentCodeMethod) Challenge(_ context.Context, ask factor.Request) (factor.Challenge, error) {
	code := sentcode.New(false)
	m := delivery.Message{
		Channel: channel(ask.Factor.Destination), To: ask.Factor.Destination, Subject: "code", Text: code,
	}
	return factor.Challenge{Answer: code, Message: &m}, nil
}

func (sentCodeMethod) ParseResponse(form url.Values, longCode bool) (string, error) {
	return sentcode.Parse(form, longCode)
}

func (sentCodeMethod) Verify(_ context.Context, _ *factor.Factor, a factor.Response) error {
	return sentcode.Verify(a)
}

func (post) Info() factor.Info {
	return factor.Info{
		Method: "post", Implicit: true, CodeTTL: sentcode.CodeTTL, Digits: sentcode.Digits, AMR: []string{"email"},
	}
}

func (post) Enroll(context.Context, factor.Request, url.Values) (factor.Factor, factor.Challenge, error) {
	return factor.Factor{}, factor.Challenge{}, errors.New("not enrolled")
}

func (call) Info() factor.Info {
	countries := func(language string) []factor.Option {
		if language == "de" {
			return []factor.Option{{Value: "DE", Label: "Deutschland (+49)"}, {Value: "FR", Label: "Frankreich (+33)"}}
		}
		return []factor.Option{{Value: "FR", Label: "France (+33)"}, {Value: "DE", Label: "Germany (+49)"}}
	}
	guess := func(accept string) string {
		if strings.HasPrefix(accept, "de") {
			return "DE"
		}
		return ""
	}
	return factor.Info{Digits: 6,
		Method: "call", Path: "call", MaxPerAccount: 1, CodeTTL: sentcode.CodeTTL, AMR: []string{"otp", "tel"},
		Fields: []factor.Field{
			{Name: "country", Kind: "choice", Autocomplete: "tel-country-code", Options: countries, Default: guess},
			{Name: "number", Kind: "tel", Autocomplete: "tel-national"},
		},
		Words: map[string]factor.Words{
			"en": {
				Title:       "2-Step Call Number",
				Name:        "Phone call",
				ChoiceLabel: "Call me at {Masked}",
				Prompt:      "Enter the code that you hear when we call {Masked}.",
				Button:      "Call me",
				Intro:       []string{"We call you and say a verification code."},
				Messages: map[string]string{
					"country": "Country/Region", "number": "Phone number", "bad": "{Site} cannot call {Number}.",
				},
			},
			"de": {
				Title:       "2-Schritt-Anrufnummer",
				Name:        "Anruf",
				ChoiceLabel: "{Masked} anrufen",
				Prompt:      "Geben Sie den Code ein, den Sie beim Anruf von {Masked} hören.",
				Button:      "Anrufen",
				Intro:       []string{"Wir rufen Sie an und sagen Ihnen einen Bestätigungscode."},
				Messages: map[string]string{
					"country": "Land/Region",
					"number":  "Telefonnummer",
					"bad":     "{Site} kann {Number} nicht anrufen.",
				},
			},
		},
	}
}

func (c call) Enroll(
	ctx context.Context,
	ask factor.Request,
	form url.Values,
) (factor.Factor, factor.Challenge, error) {
	number := form.Get("number")
	if !strings.HasPrefix(number, "+") || form.Get("country") == "" {
		return factor.Factor{}, factor.Challenge{}, &factor.UserError{
			Err: factor.ErrCannotEnroll, Field: "number", MessageKey: "bad", MessageArgs: []string{"Number", number},
		}
	}
	ask.Factor = factor.Factor{Destination: number, Masked: "•••• " + number[len(number)-3:]}
	asked, err := c.Challenge(ctx, ask)
	return ask.Factor, asked, err
}

// storedSecretMethod is embedded in the methods that send nothing: the secret is the answer.
type storedSecretMethod struct{}

func (storedSecretMethod) Challenge(context.Context, factor.Request) (factor.Challenge, error) {
	return factor.Challenge{}, nil
}

func (storedSecretMethod) ParseResponse(form url.Values, _ bool) (string, error) {
	if form.Get("code") == "" {
		return "", factor.ErrMalformed
	}
	return form.Get("code"), nil
}

func (storedSecretMethod) Finalize(f factor.Factor) (factor.Factor, error) { return f, nil }

var clockBehind = &factor.UserError{
	Err: factor.ErrIncorrect, Field: "code", MessageKey: "slow", MessageArgs: []string{"Minutes", "3"},
}

func (storedSecretMethod) Verify(_ context.Context, f *factor.Factor, a factor.Response) error {
	switch {
	case a.Text == "333333":
		return clockBehind
	case a.Text != string(f.Secret):
		return factor.ErrIncorrect
	}
	return nil
}

const (
	appLinkText = "otpauth://totp/Example:anna%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Example&algorithm=SHA1&digits=6&period=30"
	appSecret   = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	appCode     = "123456"
)

func (app) Info() factor.Info {
	return factor.Info{Digits: 6,
		Method: "app", Path: "app", MaxPerAccount: 2, AMR: []string{"otp", "mfa"},
		Fields: []factor.Field{{Name: "name", Kind: "text", Autocomplete: "off", Optional: true}},
		Words: map[string]factor.Words{
			"en": {
				Title:       "2-Step Auth App",
				Name:        "Authenticator App",
				ChoiceLabel: "Enter a code from your app",
				Prompt:      "Enter the code from your app for {Site}",
				Button:      "Set up an app",
				Intro: []string{
					"Download an authenticator app. We suggest Google Authenticator or Microsoft Authenticator.",
					"Scan QR Code to sync app with {Site}.",
					"Enter passcode provided in the Authenticator App.",
				},
				Messages: map[string]string{
					"name": "Name of the device", "slow": "Your clock is {Minutes} min behind.",
				},
			},
			"de": {
				Title:       "2-Schritt-App",
				Name:        "Authenticator-App",
				ChoiceLabel: "Einen Code aus Ihrer App eingeben",
				Prompt:      "Geben Sie den Code aus Ihrer App für {Site} ein",
				Button:      "App einrichten",
				Intro: []string{
					"Laden Sie eine Authenticator-App. Wir empfehlen Google Authenticator oder Microsoft Authenticator.",
					"Scannen Sie den QR-Code, um die App mit {Site} zu verbinden.",
					"Geben Sie den Code ein, den die Authenticator-App anzeigt.",
				},
				Messages: map[string]string{"name": "Name des Geräts", "slow": "Ihre Uhr geht {Minutes} min nach."},
			},
		},
	}
}

func (app) Enroll(_ context.Context, _ factor.Request, form url.Values) (factor.Factor, factor.Challenge, error) {
	return factor.Factor{Name: form.Get("name"), Secret: []byte(appCode)}, factor.Challenge{}, nil
}

func (app) Provision(factor.Request, factor.Factor) factor.Provisioning {
	return factor.Provisioning{URI: appLinkText, Secret: appSecret}
}

var paperCodes = []string{
	"4F7Q2-9XKD-31MW",
	"8HNA0-5TCV-77PZ",
	"6JRB3-1QEG-20YS",
	"KD2M8-4WXN-95FT",
	"0CPV7-6ZHA-13RJ",
	"2YSE5-8GQB-46NK",
	"WT9X1-3DMF-80CP",
	"5NKJ4-7RVH-62ZA",
	"QB6G0-2ESY-94TW",
	"1FXD8-5MPC-37VN",
}

func (paper) Info() factor.Info {
	return factor.Info{
		Method: "paper", Path: "paper", Backup: true, MaxPerAccount: 1, AMR: []string{"otp"},
		Words: map[string]factor.Words{
			"en": {
				Title:       "Codes on paper",
				Name:        "Code on paper",
				ChoiceLabel: "Use one of your codes",
				Prompt:      "Enter one of your codes",
				Button:      "Make new codes",
				Intro:       []string{"Each code works once."},
			},
			"de": {
				Title:       "Codes auf Papier",
				Name:        "Code auf Papier",
				ChoiceLabel: "Einen Ihrer Codes verwenden",
				Prompt:      "Geben Sie einen Ihrer Codes ein",
				Button:      "Neue Codes erstellen",
				Intro:       []string{"Jeder Code gilt einmal."},
			},
		},
	}
}

func (paper) Enroll(context.Context, factor.Request, url.Values) (factor.Factor, factor.Challenge, error) {
	return factor.Factor{Secret: []byte(paperCodes[0])}, factor.Challenge{AcknowledgeOnly: true}, nil
}

func (paper) Provision(factor.Request, factor.Factor) factor.Provisioning {
	return factor.Provisioning{Codes: paperCodes}
}

func (paper) Remaining(factor.Factor) int { return 7 }

func offerOf(m factor.Method, masked string) challenge.Offer {
	about := m.Info()
	return challenge.Offer{Method: about.Method, Masked: masked, Backup: about.Backup, About: about}
}

// The factors of the account.
var (
	phone = enroll.EnrolledFactor{
		ID: "f1", Name: "My phone", AddedAt: now.Add(-96 * time.Hour), LastUsedAt: now, UsesLeft: -1,
	}
	number        = enroll.EnrolledFactor{ID: "f2", Destination: "+49 171 2345678", AddedAt: now, UsesLeft: -1}
	recoveryCodes = enroll.EnrolledFactor{ID: "f3", AddedAt: now, UsesLeft: 7}
)

// ownedBy returns the enrolled methods of the account.
func ownedBy(factors ...enroll.EnrolledFactor) []enroll.Enrolled {
	all := []enroll.Enrolled{
		{Info: post{}.Info(), Factors: []enroll.EnrolledFactor{{Destination: "jane@example.com", UsesLeft: -1}}},
		{Info: app{}.Info()}, {Info: call{}.Info()}, {Info: paper{}.Info()},
	}
	for _, f := range factors {
		i := map[string]int{"f1": 1, "f2": 2, "f3": 3}[f.ID]
		all[i].Factors = append(all[i].Factors, f)
	}
	return all
}

func requestInLanguage(lang string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Language", lang)
	return r
}

func withProblem(view render.View, p render.Problem) render.View {
	view.Status, view.Problems = http.StatusUnprocessableEntity, []render.Problem{p}
	return view
}

func enrollStories(t *testing.T, lang string) []story {
	s, r := newTestHandlers(), requestInLanguage(lang)
	at := func(m factor.Method, back returnTo) enrollment {
		_, e, err := s.newEnrollment(httptest.NewRecorder(), r, signedIn{jane}, m.Info())
		if err != nil {
			t.Fatal(err)
		}
		e.path, e.target.returnTo = "/settings/2step/"+m.Info().Path, back
		return e
	}
	draft := func(e enrollment, d enroll.PendingFactor) render.View {
		p, err := s.newPendingFactorPage(r, e, d)
		if err != nil {
			t.Fatal(err)
		}
		return pendingFactorView(p)
	}
	sent := &challenge.Challenge{Offer: offerOf(call{}, "•••• 678"), CodeTTL: 15 * time.Minute, GuessesLeft: 5,
		Delivery: challenge.Delivery{State: "sent", At: now}, ResendAt: now.Add(24 * time.Second)}
	quiet := &challenge.Challenge{Offer: offerOf(app{}, ""), GuessesLeft: 5}
	toCall := enroll.PendingFactor{Destination: "+49 171 2345678", Challenge: sent}
	toScan := enroll.PendingFactor{Show: factor.Provisioning{URI: appLinkText, Secret: appSecret}, Challenge: quiet}
	_, address, err := s.newEmailChange(httptest.NewRecorder(), r, signedIn{jane}, post{}.Info())
	if err != nil {
		t.Fatal(err)
	}
	typed := url.Values{"country": {"FR"}, "number": {"12<b>"}}
	no := &factor.UserError{
		Err: factor.ErrCannotEnroll, Field: "number", MessageKey: "bad", MessageArgs: []string{"Number", "12<b>"},
	}
	said, _ := s.userErrorProblem(at(call{}, "").words, no)
	return []story{
		{"enroll-call", s.buildEnrollView(r, at(call{}, "/demo/settings"), nil, nil), 200,
			[]string{
				"select#country[autocomplete=tel-country-code]",
				"input#number[type=tel]",
				"Country/Region",
				"Phone number",
				"Call me",
				"form[action=/settings/2step/call?return_to=%2Fdemo%2Fsettings]",
				"Choose…",
				"2-Step Call Number",
			},
			[]string{"form[data-auto]"}},
		{"enroll-call-wrong", withProblem(s.buildEnrollView(r, at(call{}, ""), typed, nil), said), 422,
			[]string{
				"Example & Söhne cannot call 12<b>.",
				"p#number-wrong[role=alert]",
				"input#number[value=12<b>]",
				"option[selected]",
				"input#number[autofocus]",
				"form[action=/settings/2step/call]",
			}, nil},
		{"enroll-call-edit", s.buildEnrollView(r, at(call{}, ""), nil, []enroll.EnrolledFactor{number}), 200,
			[]string{
				"+49 171 2345678",
				"form[action=/settings/2step/call/remove]",
				"What you have now keeps working until you confirm the change.",
			}, nil},
		{
			"enroll-app",
			s.buildEnrollView(r, at(app{}, ""), nil, nil),
			200,
			[]string{"form[data-auto]", "input#name", "optional", "Set up an app"},
			[]string{"input#name[required]"},
		},
		{
			"enroll-app-more",
			s.buildEnrollView(r, at(app{}, ""), nil, []enroll.EnrolledFactor{phone}),
			200,
			[]string{"My phone", "Remove", "form[action=/settings/2step/app]"},
			[]string{"form[data-auto]", "Scan QR Code"},
		},
		{
			"enroll-app-full",
			s.buildEnrollView(r, at(app{}, ""), nil, []enroll.EnrolledFactor{phone, phone}),
			200,
			[]string{"You've reached the limit."},
			[]string{"form[action=/settings/2step/app]"},
		},
		{"draft-app", draft(at(app{}, "/demo/settings"), toScan), 200,
			[]string{
				"svg[role=img]",
				"a[href=" + appLinkText + "]",
				"JBSW Y3DP EHPK 3PXP",
				"input#code[inputmode=numeric]",
				"button#verify",
				"ol",
				"Scan QR Code",
				"button[data-copy=secret]",
				"form[action=/settings/2step/app/verify?return_to=%2Fdemo%2Fsettings]",
			},
			[]string{"button[formaction]", "p#delivery", "svg[style]", "button[disabled]", "Continue", "input#code[autofocus]"}},
		{
			"draft-app-wrong",
			withProblem(
				draft(at(app{}, ""), toScan),
				s.codeProblem(r, challenge.Challenge{Offer: challenge.Offer{About: app{}.Info()}}, clockBehind),
			),
			422,
			[]string{"Your clock is 3 min behind.", "svg[role=img]", "input#code[autofocus]"},
			nil,
		},
		{
			"draft-app-ended",
			draft(
				at(app{}, ""),
				enroll.PendingFactor{Show: toScan.Show, Challenge: &challenge.Challenge{Offer: quiet.Offer}},
			),
			429,
			[]string{"input[name=again]", "Start again"},
			[]string{"svg[role=img]", "code", "JBSW"},
		},
		{"draft-call", draft(at(call{}, ""), toCall), 200,
			[]string{
				"+49 171 2345678",
				"Change",
				"button[formaction=/settings/2step/call/code]",
				"p#delivery[data-url=/settings/2step/call/status]",
				"input#code",
				"Verification code",
				"The code works for 15 minutes.",
			},
			[]string{"svg[role=img]", "We call you", "button[disabled]", "Continue"}},
		{"draft-paper", draft(at(paper{}, ""), enroll.PendingFactor{Show: factor.Provisioning{Codes: paperCodes}}), 200,
			[]string{
				"ol#codes",
				paperCodes[9],
				"a[href=/settings/2step/paper/codes.txt]",
				"I have saved them",
				"button[data-print]",
				"button[data-copy=codes]",
			}, []string{"input#code"}},
		{
			"enrolled",
			s.enrolledView(at(app{}, "/demo/settings"), enroll.EmailSecondStep{}),
			200,
			[]string{"Verified", "a[href=/demo/settings]", "Continue", "Authenticator App"},
			[]string{"svg[role=img]"},
		},
		{
			"enrolled-home", s.enrolledView(at(app{}, ""), enroll.EmailSecondStep{UntilAnother: true}), 200,
			[]string{"a[href=/settings]", "From now on, codes by email don't work"}, nil,
		},
		{
			"email",
			s.buildEnrollView(r, address, nil, nil),
			200,
			[]string{"input#email[autofocus]", "New email address", "Send Code", "form[action=/settings/email]"},
			nil,
		},
		{
			"email-wrong",
			mustWithFieldError(
				t, s.buildEnrollView(r, address, url.Values{"email": {"nonsense"}}, nil), "email", account.ErrEmail,
			),
			422,
			[]string{"p#email-wrong", "input#email[value=nonsense]"},
			nil,
		},
		{
			"email-draft",
			draft(address, enroll.PendingFactor{Destination: "new@example.com", Challenge: sent}),
			200,
			[]string{"new@example.com", "form[action=/settings/email/verify]"},
			nil,
		},
		{
			"email-done", s.enrolledView(address, enroll.EmailSecondStep{}), 200,
			[]string{"Your email address is now jane@example.com."}, []string{"24 hours"},
		},
	}
}

func channel(to string) delivery.Channel {
	if strings.Contains(to, "@") {
		return delivery.Email
	}
	return delivery.SMS
}
