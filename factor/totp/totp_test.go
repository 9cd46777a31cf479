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

func asking() factor.Ask {
	return factor.Ask{Account: factor.Account{ID: "a", Email: "anna@example.com", Name: "Anna"}, Site: "Example", Host: "id.example.com", Language: "en", Now: noon}
}

func stepOf(now time.Time) int64 { return now.Unix() / period }

// enrolled is a draft and what its page shows.
func enrolled(t *testing.T) (factor.Factor, factor.Show) {
	t.Helper()
	f, c, err := Method{}.Enroll(t.Context(), asking(), url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Message != nil || c.Answer != "" || c.State != nil || c.Seen {
		t.Fatalf("enrolling opened %+v, want nothing that travels and a proof", c)
	}
	return f, Method{}.Show(asking(), f)
}

// app is an enrolled app with the key of the RFCs.
func app(last, drift int64) factor.Factor {
	return factor.Factor{Method: "totp", Secret: secret{Key: rfcKey, Last: last, Drift: drift}.seal()}
}

func verify(t *testing.T, f *factor.Factor, text string, now time.Time) error {
	t.Helper()
	return Method{}.Verify(t.Context(), f, factor.Answer{Text: text, Now: now})
}

// says is which words a refusal says; "" if it is a plain one.
func says(t *testing.T, err error) string {
	t.Helper()
	if !errors.Is(err, factor.ErrIncorrect) {
		t.Fatalf("got %v, want ErrIncorrect", err)
	}
	var r *factor.Refusal
	if !errors.As(err, &r) {
		return ""
	}
	if _, ok := words()["en"].Says[r.Says]; !ok || r.Field != "code" {
		t.Errorf("refusal %+v: no such words or another field", r)
	}
	return strings.Join(append([]string{r.Says}, r.Pairs...), " ")
}

func stateOf(t *testing.T, f factor.Factor) secret {
	t.Helper()
	s, err := unseal(f.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// From the QR code to the first sign-in: the code that set the app up is used.
func TestEnrolThenSignIn(t *testing.T) {
	f, show := enrolled(t)
	if f.Method != "totp" || f.Name != "Authenticator app" || f.Destination != "" || !strings.HasPrefix(show.Link, "otpauth://totp/Example:anna%40example.com?secret=") || show.Codes != nil {
		t.Errorf("drew up %s %q with %+v", f.Method, f.Name, show)
	}
	s := stateOf(t, f)
	if len(s.Key) != 20 || !s.unproven() {
		t.Errorf("a key of %d bytes, last step %d", len(s.Key), s.Last)
	}
	if _, err := (Method{}).Keep(f); err == nil {
		t.Error("an app that was never proven is kept")
	}
	first := code(s.Key, stepOf(noon))
	if err := verify(t, &f, first, noon); err != nil {
		t.Fatal(err)
	}
	kept, err := Method{}.Keep(f)
	if err != nil || string(kept.Secret) != string(f.Secret) {
		t.Errorf("kept %v, want it as it was accepted", err)
	}
	if again := (Method{}).Show(asking(), kept); again.Link != "" || again.Secret != "" {
		t.Error("the key is shown after it was proven")
	}
	for _, after := range []time.Duration{0, time.Second, 29 * time.Second, 31 * time.Second} {
		if got := says(t, verify(t, &kept, first, noon.Add(after))); got != "" {
			t.Errorf("the code that set up the app, after %s: says %q, want nothing special", after, got)
		}
	}
	if err := verify(t, &kept, code(s.Key, stepOf(noon)+1), noon.Add(30*time.Second)); err != nil {
		t.Errorf("the next code: %v", err)
	}
}

func TestEveryKeyIsNew(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		_, show := enrolled(t)
		seen[show.Secret] = true
		if groups := strings.Fields(show.Secret); len(groups) != 8 || len(groups[0]) != 4 {
			t.Errorf("%q is not eight groups of four", show.Secret)
		}
	}
	if len(seen) != 100 {
		t.Errorf("%d different keys of 100", len(seen))
	}
}

func TestName(t *testing.T) {
	for text, want := range map[string]string{
		"": "Authenticator app", "  ": "Authenticator app", " Anna's \t phone ": "Anna's phone", "👩\u200d💻 Telefon": "👩\u200d💻 Telefon",
		strings.Repeat("ü", 40): strings.Repeat("ü", 40),
	} {
		f, _, err := Method{}.Enroll(t.Context(), asking(), url.Values{"name": {text}})
		if err != nil || f.Name != want {
			t.Errorf("%q: got %q, %v, want %q", text, f.Name, err, want)
		}
	}
	for text, want := range map[string]string{
		strings.Repeat("x", 41): "name.long", strings.Repeat("x", 1<<20): "name.long", "a\x00b": "name.text", "\u202eenohp": "name.text", "\xff": "name.text",
	} {
		_, _, err := Method{}.Enroll(t.Context(), asking(), url.Values{"name": {text}})
		var r *factor.Refusal
		if !errors.As(err, &r) || !errors.Is(err, factor.ErrRefused) || r.Field != "name" || r.Says != want {
			t.Errorf("%.10q: got %v, want %s", text, err, want)
		}
	}
}

// Two codes of a million open the door at any moment, whatever was learned, and they are
// those of two steps side by side. No other answer tells of a code that is still to come.
func TestTwoCodesOfAMillion(t *testing.T) {
	million := make([]string, 0, modulo)
	for n := range modulo {
		million = append(million, fmt.Sprintf("%06d", n))
	}
	for _, drift := range []int64{0, -60, -31, -1, 5, 60} {
		unix := noon.Unix() + 7
		s := secret{Key: rfcKey, Last: 1, Drift: drift}
		all := s.around(unix / period)
		guesses := all[:]
		if drift == 0 {
			guesses = million // for the others, those that could match anything
		}
		accepted, told := map[int64]bool{}, map[int64]bool{}
		for _, guess := range guesses {
			taken, stray := s.find(all, guess, unix)
			accepted[taken], told[stray] = true, true
		}
		delete(accepted, 0)
		phone := (unix + drift) / period
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

// On a right clock those are the step of now and the one before, in every second of it.
func TestWindow(t *testing.T) {
	for second := range period {
		now := noon.Add(time.Duration(second) * time.Second)
		for off := int64(-4); off <= 4; off++ {
			f := app(1, 0)
			if err := verify(t, &f, code(rfcKey, stepOf(noon)+off), now); (err == nil) != (off == 0 || off == -1) {
				t.Errorf("step %+d at second %d: %v", off, second, err)
			}
		}
	}
}

// While the person enrols it is five, and the phone's clock is learned: the next code is
// accepted, whenever it comes.
func TestEnrolmentWindow(t *testing.T) {
	for second := range int64(period) {
		for off := int64(-21); off <= 21; off++ {
			f := app(0, 0)
			before := string(f.Secret)
			err := verify(t, &f, code(rfcKey, stepOf(noon)+off), time.Unix(noon.Unix()+second, 0))
			if off < -2 || off > 2 {
				if !errors.Is(err, factor.ErrIncorrect) || string(f.Secret) != before {
					t.Errorf("step %+d: %v, or the factor changed", off, err)
				}
				continue
			}
			s := stateOf(t, f)
			first, last := s.accepted(noon.Unix() + second)
			switch right := off == 0 || off == -1; {
			case err != nil || s.Last != stepOf(noon)+off || right != (s.Drift == 0) || s.Drift < -60 || s.Drift > 60:
				t.Errorf("step %+d at second %d: %v, learned %d, used %+d", off, second, err, s.Drift, s.Last-stepOf(noon))
			case s.Last < first || s.Last > last:
				t.Errorf("step %+d at second %d: learned %d, which accepts %+d and %+d", off, second, s.Drift, first-stepOf(noon), last-stepOf(noon))
			}
		}
	}
}

// What a refusal says, and that it never changes anything.
func TestClockTutor(t *testing.T) {
	now := stepOf(noon)
	for _, row := range []struct {
		last, drift, off int64
		want             string
	}{
		{0, 0, -3, "clock.behind Minutes 1"}, {0, 0, -6, "clock.behind Minutes 3"}, {0, 0, -20, "clock.behind Minutes 10"}, {0, 0, -21, ""},
		{0, 0, 3, "clock.ahead Minutes 2"}, {0, 0, 6, "clock.ahead Minutes 3"}, {0, 0, 20, "clock.ahead Minutes 10"}, {0, 0, 21, ""},
		{1, 0, -2, "clock.late Minutes 1"}, {1, 0, -3, "clock.late Minutes 1"}, {1, 0, -4, "clock.behind Minutes 2"},
		{1, 0, -6, "clock.behind Minutes 3"}, {1, 0, -7, "clock.behind Minutes 3"}, {1, 0, -20, "clock.behind Minutes 10"}, {1, 0, -21, ""},
		{1, 0, 1, ""}, {1, 0, 2, ""}, {1, 0, 6, ""}, {1, 0, 20, ""}, // would be a hint at a code that works later
		{1, -30, 0, "clock.drift"}, {1, -30, 1, "clock.drift"}, {1, -60, 0, "clock.drift"}, {1, -60, -1, "clock.drift"},
		{1, -60, 30, "clock.drift"}, // said of every wrong code, so it is no hint
		{1, 60, 0, "clock.drift"}, {1, 60, -1, "clock.drift"}, {1, 30, -1, "clock.drift"}, {1, 60, 3, "clock.drift"},
		{1, -5, 0, ""}, {1, -14, 0, ""}, {1, -15, 0, "clock.drift"}, {1, 15, 1, "clock.drift"}, {1, 14, 1, ""},
		{1, 30, -2, "clock.late Minutes 1"}, {1, -60, -6, "clock.behind Minutes 3"},
		{now, 0, 0, ""}, {now, 0, -1, ""}, {now, 0, -6, ""}, // used, or older than one that was used
	} {
		f := app(row.last, row.drift)
		before := string(f.Secret)
		if got := says(t, verify(t, &f, code(rfcKey, now+row.off), noon)); got != row.want {
			t.Errorf("last %d, drift %d, step %+d: says %q, want %q", row.last, row.drift, row.off, got, row.want)
		}
		if string(f.Secret) != before {
			t.Errorf("last %d, drift %d, step %+d: a refusal changed the factor", row.last, row.drift, row.off)
		}
	}
}

// Each step once, and none after a newer one.
func TestEachStepOnce(t *testing.T) {
	now := stepOf(noon)
	at := func(off int64) string { return code(rfcKey, now+off) }
	f := app(now-10, 0)
	for i, row := range []struct {
		step    int64
		seconds int
		ok      bool
	}{
		{-1, 0, true}, {-1, 1, false}, {0, 2, true}, {0, 3, false}, {-1, 3, false}, {0, 31, false},
		{2, 60, true}, {1, 60, false}, {1, 61, false}, {2, 89, false},
	} {
		err := verify(t, &f, at(row.step), noon.Add(time.Duration(row.seconds)*time.Second))
		if (err == nil) != row.ok {
			t.Errorf("%d: step %+d after %d s: %v, want accepted %v", i, row.step, row.seconds, err, row.ok)
		}
	}
}

// Steps 910737 and 910738 have the same code. Each takes it once, and where both are open
// both are used up.
func TestSameCodeInTwoSteps(t *testing.T) {
	const text = "911617"
	first, second := time.Unix(910737*period, 0), time.Unix(910738*period, 0)
	f := app(1, 0)
	for i, row := range []struct {
		now time.Time
		ok  bool
	}{{first, true}, {first, false}, {second, true}, {second, false}, {second.Add(period * time.Second), false}} {
		if err := verify(t, &f, text, row.now); (err == nil) != row.ok {
			t.Errorf("%d: %v, want accepted %v", i, err, row.ok)
		}
	}
	f = app(1, 0)
	if err := verify(t, &f, text, second); err != nil {
		t.Fatal(err)
	}
	if err := verify(t, &f, text, second); err == nil {
		t.Error("read over a shoulder and used again")
	}
}

func TestZerosInFront(t *testing.T) {
	now := time.Unix(25193*period, 0)
	for text, ok := range map[string]bool{"39": false, "0039": false, "0000039": false, "": false, "000039": true} {
		f := app(1, 0)
		if err := verify(t, &f, text, now); (err == nil) != ok {
			t.Errorf("%q: %v, want accepted %v", text, err, ok)
		}
	}
}

// A damaged factor is our fault, not a wrong code, and its error quotes nothing.
func TestDamagedSecret(t *testing.T) {
	for _, text := range []string{
		"", "null", "{}", "[]", "{", `{"key":"c2VjcmV0"}`, `{"key":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","last":-1}`,
		`{"key":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","drift":61}`, `{"key":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","last":1e99}`,
		`{"key":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA="} x`, `{"key":` + strings.Repeat("[", 1000),
	} {
		f := factor.Factor{Secret: []byte(text)}
		if err := verify(t, &f, "123456", noon); err == nil || errors.Is(err, factor.ErrIncorrect) || strings.Contains(err.Error(), "MTIz") {
			t.Errorf("%.30s: got %v, want a fault without the secret", text, err)
		}
		if show := (Method{}).Show(asking(), f); show.Link != "" || show.Secret != "" {
			t.Errorf("%.30s: shows %+v", text, show)
		}
		if _, err := (Method{}).Keep(f); err == nil {
			t.Errorf("%.30s: is kept", text)
		}
	}
}

// FUZ-004: what is stored comes back as it was, and nothing that is read goes beyond the bounds.
func FuzzSecret(f *testing.F) {
	f.Add(app(0, 0).Secret)
	f.Add(app(59_000_000, -60).Secret)
	f.Add([]byte(`{"key":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","last":9223372036854775807,"drift":60}`))
	f.Add([]byte(`{"key":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := unseal(text)
		if err != nil {
			return
		}
		if len(s.Key) < 16 || s.Last < 0 || s.Drift < -60 || s.Drift > 60 {
			t.Errorf("read %+v", s)
		}
		again, err := unseal(s.seal())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(s) {
			t.Errorf("read %+v, then %+v, %v", s, again, err)
		}
		got := factor.Factor{Secret: text}
		if err := verify(t, &got, code(s.Key, stepOf(noon)), noon); err == nil && stateOf(t, got).Last <= s.Last {
			t.Errorf("last step %d became %d", s.Last, stateOf(t, got).Last)
		}
	})
}

// The words of all languages have the same keys and the same gaps, and every field a label.
func TestWords(t *testing.T) {
	about := Method{}.About()
	en := about.Words["en"]
	for language, w := range about.Words {
		if w.Title == "" || w.Name == "" || w.Does == "" || w.Lead == "" || w.Button == "" || len(w.Intro) != len(en.Intro) || len(w.Says) != len(en.Says) {
			t.Errorf("%s lacks words", language)
		}
		for key, text := range en.Says {
			if w.Says[key] == "" || strings.Contains(w.Says[key], "{Minutes}") != strings.Contains(text, "{Minutes}") {
				t.Errorf("%s: %s: %q", language, key, w.Says[key])
			}
		}
		for _, field := range about.Fields {
			if w.Says[field.Name] == "" {
				t.Errorf("%s: no label for %s", language, field.Name)
			}
		}
	}
	for _, app := range []string{"Google Authenticator", "Microsoft Authenticator", "any other app works as well"} {
		if !strings.Contains(en.Intro[0], app) {
			t.Errorf("%q is not suggested in %q", app, en.Intro[0])
		}
	}
}
