package totp

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"twostep.example/twostep/factor"
)

// noon is the first second of a step.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func testRequest() factor.Request {
	return factor.Request{Account: factor.Account{ID: "a", Email: "anna@example.com", Name: "Anna"}, Site: "Example",
		Host: "id.example.com", Language: "en", Now: noon}
}

func stepAt(now time.Time) int64 { return now.Unix() / stepSeconds }

// enrollApp returns a draft and what its page shows.
func enrollApp(t *testing.T) (factor.Factor, factor.Provisioning) {
	t.Helper()
	f, c, err := Method{}.Enroll(t.Context(), testRequest(), url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Message != nil || c.Answer != "" || c.State != nil || c.AcknowledgeOnly {
		t.Fatalf("enrolling opened %+v, want nothing that travels and a proof", c)
	}
	return f, Method{}.Provision(testRequest(), f)
}

// storedApp returns an enrolled app with the key of the RFCs.
func storedApp(last, drift int64) factor.Factor {
	return factor.Factor{Method: "totp", Secret: secret{Key: rfcKey, LastUsedStep: last, DriftSeconds: drift}.marshal()}
}

func verifyCode(t *testing.T, f *factor.Factor, text string, now time.Time) error {
	t.Helper()
	return Method{}.Verify(t.Context(), f, factor.Response{Text: text, Now: now})
}

// messageKey returns the message key and arguments of a *factor.UserError; "" for a plain error.
func messageKey(t *testing.T, err error) string {
	t.Helper()
	if !errors.Is(err, factor.ErrIncorrect) {
		t.Fatalf("got %v, want ErrIncorrect", err)
	}
	var r *factor.UserError
	if !errors.As(err, &r) {
		return ""
	}
	if _, ok := localizedWords()["en"].Messages[r.MessageKey]; !ok || r.Field != "code" {
		t.Errorf("refusal %+v: no such words or another field", r)
	}
	return strings.Join(append([]string{r.MessageKey}, r.MessageArgs...), " ")
}

func secretOf(t *testing.T, f factor.Factor) secret {
	t.Helper()
	s, err := unmarshalSecret(f.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// From the QR code to the first sign-in; the code of the enrolment is used up.
func TestEnrollThenSignIn(t *testing.T) {
	f, show := enrollApp(t)
	if f.Method != "totp" || f.Name != "Authenticator app" || f.Destination != "" ||
		!strings.HasPrefix(show.URI, "otpauth://totp/Example:anna%40example.com?secret=") || show.Codes != nil {
		t.Errorf("drew up %s %q with %+v", f.Method, f.Name, show)
	}
	s := secretOf(t, f)
	if len(s.Key) != 20 || !s.enrolling() {
		t.Errorf("a key of %d bytes, last step %d", len(s.Key), s.LastUsedStep)
	}
	if _, err := (Method{}).Finalize(f); err == nil {
		t.Error("an app that was never proven is kept")
	}
	first := hotpCode(s.Key, stepAt(noon))
	if err := verifyCode(t, &f, first, noon); err != nil {
		t.Fatal(err)
	}
	kept, err := Method{}.Finalize(f)
	if err != nil || string(kept.Secret) != string(f.Secret) {
		t.Errorf("kept %v, want it as it was accepted", err)
	}
	if again := (Method{}).Provision(testRequest(), kept); again.URI != "" || again.Secret != "" {
		t.Error("the key is shown after it was proven")
	}
	for _, after := range []time.Duration{0, time.Second, 29 * time.Second, 31 * time.Second} {
		if got := messageKey(t, verifyCode(t, &kept, first, noon.Add(after))); got != "" {
			t.Errorf("the code that set up the app, after %s: says %q, want nothing special", after, got)
		}
	}
	if err := verifyCode(t, &kept, hotpCode(s.Key, stepAt(noon)+1), noon.Add(30*time.Second)); err != nil {
		t.Errorf("the next code: %v", err)
	}
}

func TestEnrollDrawsNewKey(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		_, show := enrollApp(t)
		seen[show.Secret] = true
		if groups := strings.Fields(show.Secret); len(groups) != 8 || len(groups[0]) != 4 {
			t.Errorf("%q is not eight groups of four", show.Secret)
		}
	}
	if len(seen) != 100 {
		t.Errorf("%d different keys of 100", len(seen))
	}
}

func TestDeviceName(t *testing.T) {
	for text, want := range map[string]string{
		"": "Authenticator app", "  ": "Authenticator app", " Anna's \t phone ": "Anna's phone",
		"👩\u200d💻 Telefon":      "👩\u200d💻 Telefon",
		strings.Repeat("ü", 40): strings.Repeat("ü", 40),
	} {
		f, _, err := Method{}.Enroll(t.Context(), testRequest(), url.Values{"name": {text}})
		if err != nil || f.Name != want {
			t.Errorf("%q: got %q, %v, want %q", text, f.Name, err, want)
		}
	}
	for text, want := range map[string]string{
		strings.Repeat("x", 41): "name.long", strings.Repeat("x", 1<<20): "name.long", "a\x00b": "name.text",
		"\u202eenohp": "name.text", "\xff": "name.text",
	} {
		_, _, err := Method{}.Enroll(t.Context(), testRequest(), url.Values{"name": {text}})
		var r *factor.UserError
		if !errors.As(err, &r) || !errors.Is(err, factor.ErrCannotEnroll) || r.Field != "name" || r.MessageKey != want {
			t.Errorf("%.10q: got %v, want %s", text, err, want)
		}
	}
}

// Two of a million codes are accepted at any time, whatever drift was learned, and they belong to
// two consecutive steps. No other response discloses a code of the future.
func TestTwoCodesAcceptedAtATime(t *testing.T) {
	million := make([]string, 0, codeModulus)
	for n := range codeModulus {
		million = append(million, fmt.Sprintf("%06d", n))
	}
	for _, drift := range []int64{0, -60, -31, -1, 5, 60} {
		unix := noon.Unix() + 7
		s := secret{Key: rfcKey, LastUsedStep: 1, DriftSeconds: drift}
		all := s.codesAround(unix / stepSeconds)
		guesses := all[:]
		if drift == 0 {
			guesses = million // for the others, any code that could match
		}
		accepted, told := map[int64]bool{}, map[int64]bool{}
		for _, guess := range guesses {
			taken, stray := s.findStep(all, guess, unix)
			accepted[taken], told[stray] = true, true
		}
		delete(accepted, 0)
		phone := (unix + drift) / stepSeconds
		if len(accepted) != 2 || !accepted[phone] || !accepted[phone-1] {
			t.Errorf("drift %d: steps %v are accepted, want %d and the one before", drift, accepted, phone)
		}
		for step := range told {
			if step > phone {
				t.Errorf("drift %d: tells about step %d, which is %d to come", drift, step, step-phone)
			}
		}
	}
}

// With a correct clock the accepted steps are the current one and the one before, in every second
// of it.
func TestAcceptedWindow(t *testing.T) {
	for second := range stepSeconds {
		now := noon.Add(time.Duration(second) * time.Second)
		for off := int64(-4); off <= 4; off++ {
			f := storedApp(1, 0)
			if err := verifyCode(t, &f, hotpCode(rfcKey, stepAt(noon)+off), now); (err == nil) != (off == 0 ||
				off == -1) {
				t.Errorf("step %+d at second %d: %v", off, second, err)
			}
		}
	}
}

// During enrolment five steps are accepted, and the phone's clock is learned: the next code is
// accepted whenever it comes.
func TestEnrollmentWindow(t *testing.T) {
	for second := range int64(stepSeconds) {
		for off := int64(-21); off <= 21; off++ {
			f := storedApp(0, 0)
			before := string(f.Secret)
			err := verifyCode(t, &f, hotpCode(rfcKey, stepAt(noon)+off), time.Unix(noon.Unix()+second, 0))
			if off < -2 || off > 2 {
				if !errors.Is(err, factor.ErrIncorrect) || string(f.Secret) != before {
					t.Errorf("step %+d: %v, or the factor changed", off, err)
				}
				continue
			}
			s := secretOf(t, f)
			first, last := s.acceptedWindow(noon.Unix() + second)
			switch right := off == 0 || off == -1; {
			case err != nil || s.LastUsedStep != stepAt(noon)+off || right != (s.DriftSeconds == 0) ||
				s.DriftSeconds < -60 || s.DriftSeconds > 60:
				t.Errorf("step %+d at second %d: %v, learned %d, used %+d", off, second, err, s.DriftSeconds,
					s.LastUsedStep-stepAt(noon))
			case s.LastUsedStep < first || s.LastUsedStep > last:
				t.Errorf("step %+d at second %d: learned %d, which accepts %+d and %+d", off, second, s.DriftSeconds,
					first-stepAt(noon), last-stepAt(noon))
			}
		}
	}
}

// What a rejection says, and that it never changes the secret.
func TestClockErrorMessages(t *testing.T) {
	now := stepAt(noon)
	for _, row := range []struct {
		last, drift, off int64
		want             string
	}{
		{0, 0, -3, "clock.behind.one"}, {0, 0, -6, "clock.behind Minutes 3"},
		{0, 0, -20, "clock.behind Minutes 10"}, {0, 0, -21, ""},
		{0, 0, 3, "clock.ahead Minutes 2"}, {0, 0, 6, "clock.ahead Minutes 3"}, {0, 0, 20, "clock.ahead Minutes 10"},
		{0, 0, 21, ""},
		{1, 0, -2, "clock.late"}, {1, 0, -3, "clock.late"}, {1, 0, -4, "clock.behind Minutes 2"},
		{1, 0, -6, "clock.behind Minutes 3"}, {1, 0, -7, "clock.behind Minutes 3"},
		{1, 0, -20, "clock.behind Minutes 10"}, {1, 0, -21, ""},
		{1, 0, 1, ""}, {1, 0, 2, ""}, {1, 0, 6, ""}, {1, 0, 20, ""}, // would disclose a future code
		{1, -30, 0, "clock.drift"}, {1, -30, 1, "clock.drift"}, {1, -60, 0, "clock.drift"}, {1, -60, -1, "clock.drift"},
		{1, -60, 30, "clock.drift"}, // for every wrong code, so it discloses nothing
		{1, 60, 0, "clock.drift"}, {1, 60, -1, "clock.drift"}, {1, 30, -1, "clock.drift"}, {1, 60, 3, "clock.drift"},
		{1, -5, 0, ""}, {1, -14, 0, ""}, {1, -15, 0, "clock.drift"}, {1, 15, 1, "clock.drift"}, {1, 14, 1, ""},
		{1, 30, -2, "clock.late"}, {1, -60, -6, "clock.behind Minutes 3"},
		{now, 0, 0, ""}, {now, 0, -1, ""}, {now, 0, -6, ""}, // used, or older than a used one
	} {
		f := storedApp(row.last, row.drift)
		before := string(f.Secret)
		if got := messageKey(t, verifyCode(t, &f, hotpCode(rfcKey, now+row.off), noon)); got != row.want {
			t.Errorf("last %d, drift %d, step %+d: says %q, want %q", row.last, row.drift, row.off, got, row.want)
		}
		if string(f.Secret) != before {
			t.Errorf("last %d, drift %d, step %+d: a refusal changed the factor", row.last, row.drift, row.off)
		}
	}
}

// Each step is accepted once, and none after a newer one (RFC 6238 5.2).
func TestReplayedStepIsRefused(t *testing.T) {
	now := stepAt(noon)
	at := func(off int64) string { return hotpCode(rfcKey, now+off) }
	f := storedApp(now-10, 0)
	for i, row := range []struct {
		step    int64
		seconds int
		ok      bool
	}{
		{-1, 0, true}, {-1, 1, false}, {0, 2, true}, {0, 3, false}, {-1, 3, false}, {0, 31, false},
		{2, 60, true}, {1, 60, false}, {1, 61, false}, {2, 89, false},
	} {
		err := verifyCode(t, &f, at(row.step), noon.Add(time.Duration(row.seconds)*time.Second))
		if (err == nil) != row.ok {
			t.Errorf("%d: step %+d after %d s: %v, want accepted %v", i, row.step, row.seconds, err, row.ok)
		}
	}
}

// Steps 910737 and 910738 have the same code. Each accepts it once, and while both are in the
// window both are used up.
func TestSameCodeInNeighboringSteps(t *testing.T) {
	const text = "911617"
	first, second := time.Unix(910737*stepSeconds, 0), time.Unix(910738*stepSeconds, 0)
	f := storedApp(1, 0)
	for i, row := range []struct {
		now time.Time
		ok  bool
	}{{first, true}, {first, false}, {second, true}, {second, false}, {second.Add(stepSeconds * time.Second), false}} {
		if err := verifyCode(t, &f, text, row.now); (err == nil) != row.ok {
			t.Errorf("%d: %v, want accepted %v", i, err, row.ok)
		}
	}
	f = storedApp(1, 0)
	if err := verifyCode(t, &f, text, second); err != nil {
		t.Fatal(err)
	}
	if err := verifyCode(t, &f, text, second); err == nil {
		t.Error("read over a shoulder and used again")
	}
}

func TestVerifyWithLeadingZeros(t *testing.T) {
	now := time.Unix(25193*stepSeconds, 0)
	for text, ok := range map[string]bool{"39": false, "0039": false, "0000039": false, "": false, "000039": true} {
		f := storedApp(1, 0)
		if err := verifyCode(t, &f, text, now); (err == nil) != ok {
			t.Errorf("%q: %v, want accepted %v", text, err, ok)
		}
	}
}

// A damaged secret is an internal error, not a wrong code, and the error quotes nothing.
func TestDamagedSecret(t *testing.T) {
	for _, text := range []string{
		"", "null", "{}", "[]", "{", `{"key":"c2VjcmV0"}`, `{"key":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","last":-1}`,
		`{"key":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","drift":61}`, `{"key":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","last":1e99}`,
		`{"key":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA="} x`, `{"key":` + strings.Repeat("[", 1000),
	} {
		f := factor.Factor{Secret: []byte(text)}
		if err := verifyCode(t, &f, "123456", noon); err == nil || errors.Is(err, factor.ErrIncorrect) ||
			strings.Contains(err.Error(), "MTIz") {
			t.Errorf("%.30s: got %v, want a fault without the secret", text, err)
		}
		if show := (Method{}).Provision(testRequest(), f); show.URI != "" || show.Secret != "" {
			t.Errorf("%.30s: shows %+v", text, show)
		}
		if _, err := (Method{}).Finalize(f); err == nil {
			t.Errorf("%.30s: is kept", text)
		}
	}
}

// A stored secret is read back unchanged, and nothing outside of the bounds is read.
func FuzzUnmarshalSecret(f *testing.F) {
	f.Add(storedApp(0, 0).Secret)
	f.Add(storedApp(59_000_000, -60).Secret)
	f.Add([]byte(`{"key":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","last":9223372036854775807,"drift":60}`))
	f.Add([]byte(`{"key":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := unmarshalSecret(text)
		if err != nil {
			return
		}
		if len(s.Key) < 16 || s.LastUsedStep < 0 || s.DriftSeconds < -60 || s.DriftSeconds > 60 {
			t.Errorf("read %+v", s)
		}
		again, err := unmarshalSecret(s.marshal())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(s) {
			t.Errorf("read %+v, then %+v, %v", s, again, err)
		}
		got := factor.Factor{Secret: text}
		if err := verifyCode(t, &got, hotpCode(s.Key, stepAt(noon)), noon); err == nil &&
			secretOf(t, got).LastUsedStep <= s.LastUsedStep {
			t.Errorf("last step %d became %d", s.LastUsedStep, secretOf(t, got).LastUsedStep)
		}
	})
}

// The texts of all languages have the same keys and placeholders, and every field has a label.
func TestWordsOfAllLanguages(t *testing.T) {
	about := Method{}.Info()
	en := about.Words["en"]
	for language, w := range about.Words {
		if w.Title == "" || w.Name == "" || w.ChoiceLabel == "" || w.Prompt == "" || w.Button == "" ||
			len(w.Intro) != len(en.Intro) || len(w.Messages) != len(en.Messages) {
			t.Errorf("%s lacks words", language)
		}
		for key, text := range en.Messages {
			if w.Messages[key] == "" || strings.Contains(w.Messages[key], "{Minutes}") != strings.Contains(text,
				"{Minutes}") {
				t.Errorf("%s: %s: %q", language, key, w.Messages[key])
			}
		}
		for _, field := range about.Fields {
			if w.Messages[field.Name] == "" {
				t.Errorf("%s: no label for %s", language, field.Name)
			}
		}
	}
	for _, app := range []string{"Google Authenticator", "Microsoft Authenticator", "any authenticator app works"} {
		if !strings.Contains(en.Intro[0], app) {
			t.Errorf("%q is not suggested in %q", app, en.Intro[0])
		}
	}
}
