package check

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// What the sentences on the Authenticator App and on SMS are tried with. Each signs in
// with a new browser and removes what it has enrolled.

var (
	otpauthURL       = regexp.MustCompile(`otpauth://totp/[^"]+`)
	factorID         = regexp.MustCompile(`name="id" value="([^"]+)"`)
	disabledContinue = regexp.MustCompile(`<button[^>]* disabled[^>]*>Continue</button>`)
	enabledContinue  = regexp.MustCompile(`<a class="button" href="([^"]+)"[^>]*>Continue</a>`)
	newWindow        = regexp.MustCompile(`<a href="([^"]+)" target="_blank"[^>]*>([^<]+)</a>`)
	smsNumbers       = []string{"0171 2345678", "0171 2345679"}
)

// totpCode is what an authenticator app shows at a moment (RFC 6238: SHA-1, 6 digits, 30 s).
func totpCode(key []byte, at time.Time) string {
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, at.Unix()/30) // a hash takes everything
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1000000)
}

// wantPage fails unless a page was answered and holds all of the texts.
func (v *testUser) wantPage(path string, texts ...string) error {
	a, err := v.get(path)
	if err != nil {
		return err
	}
	if a.status != 200 {
		return fmt.Errorf("%s answers %d", path, a.status)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			return fmt.Errorf("%s does not say %q", path, text)
		}
	}
	return nil
}

// whileSignedIn runs f for somebody who has taken both steps, and afterwards removes what is
// enrolled at the given pages.
func (v *testUser) whileSignedIn(f func() error, paths ...string) error {
	if err := v.signInWithCode(); err != nil {
		return err
	}
	err := f()
	for _, path := range paths {
		err = errors.Join(err, v.removeFactors(path))
	}
	return err
}

// removeFactors forgets the draft and the factors of one page.
func (v *testUser) removeFactors(path string) error {
	if _, err := v.post(path+"/cancel", nil); err != nil {
		return err
	}
	for {
		a, err := v.get(path)
		if err != nil {
			return err
		}
		id := factorID.FindStringSubmatch(a.body)
		if id == nil {
			return nil
		}
		if a, err = v.post(path+"/remove", url.Values{"id": {id[1]}}); err != nil || a.status != 303 ||
			strings.Contains(a.location, "confirm") {
			return fmt.Errorf("%s cannot be removed: %d %s %w", path, a.status, a.location, err)
		}
	}
}

// startEnrollment posts an enrolment form and returns the page of the draft.
func (v *testUser) startEnrollment(path string, form url.Values) (response, error) {
	a, err := v.post(path, form)
	if err != nil {
		return a, err
	}
	if a.status != 303 {
		return a, fmt.Errorf("%s answers %d to its form", path, a.status)
	}
	return v.get(path)
}

// startAppEnrollment draws up an app and reads its key, as a phone would.
func (v *testUser) startAppEnrollment() (key []byte, err error) {
	a, err := v.startEnrollment("/settings/2step/app", url.Values{"name": {""}})
	if err != nil {
		return nil, err
	}
	link, err := url.Parse(otpauthURL.FindString(a.body))
	if err != nil || !strings.Contains(a.body, "<svg") || !disabledContinue.MatchString(a.body) {
		return nil, errors.New("the page has no QR code, no link or no disabled Continue")
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(link.Query().Get("secret"))
}

// confirmEnrollment enters a code on the page of a draft and expects to be through.
func (v *testUser) confirmEnrollment(path, code string) error {
	a, err := v.post(path+"/verify", url.Values{"code": {code}, "return_to": {"/demo/settings"}})
	if err != nil {
		return err
	}
	if a.status != 303 || !strings.HasPrefix(a.location, path+"/done") {
		return fmt.Errorf("the right code is answered with %d %s", a.status, a.location)
	}
	if a, err = v.get(a.location); err != nil {
		return err
	}
	if m := enabledContinue.FindStringSubmatch(a.body); m == nil || m[1] != "/demo/settings" {
		return errors.New("the button Continue does not lead back")
	}
	return nil
}

// wantMethodsOffered checks which methods the next sign-in offers.
func (v *testUser) wantMethodsOffered(names ...string) error {
	f := v.newBrowser()
	before, err := f.inboxIDs()
	if err != nil {
		return err
	}
	if _, err := f.post("/signin", url.Values{"email": {f.email}, "password": {f.password}}); err != nil {
		return err
	}
	if err := f.wantPage("/signin/method", names...); err != nil {
		return err
	}
	sent, err := f.readNewCode(before)
	if sent {
		err = errors.New("a code was sent before the choice")
	}
	return err
}

const (
	appPage = "/settings/2step/app"
	smsPage = "/settings/2step/sms"
)

func appIsOptional(v *testUser) error {
	return v.whileSignedIn(func() error { return v.wantPage("/settings", "Authenticator App") })
}

func appIsSuggested(v *testUser) error {
	return v.whileSignedIn(
		func() error { return v.wantPage(appPage, "Google Authenticator", "Microsoft Authenticator") },
	)
}

// openAppMenu is the page of the app behind the server that leads to 2-Step verification; a server
// without the demo app has none. The app signs people in here, so it lets them in by itself.
func (v *testUser) openAppMenu() (response, error) {
	a, err := v.follow("/demo/settings")
	if err == nil && (a.status != 200 || a.path != "/demo/settings" || !strings.Contains(a.body, "Billing & Admin")) {
		err = fmt.Errorf("%s answers %d, and is no menu of an app", a.path, a.status)
	}
	return a, err
}

func menuIsThere(v *testUser) error {
	return v.whileSignedIn(func() error { _, err := v.openAppMenu(); return err })
}

// opensWindow: the entry of the menu opens in a new window, and there is the page.
func opensWindow(entry, path string) func(*testUser) error {
	return func(v *testUser) error {
		return v.whileSignedIn(func() error {
			a, err := v.openAppMenu()
			if err != nil {
				return err
			}
			for _, m := range newWindow.FindAllStringSubmatch(a.body, -1) {
				if m[2] != entry {
					continue
				}
				if a, err = v.follow(m[1]); err == nil &&
					(a.status != 200 || !strings.HasPrefix(a.path, path+"?return_to=")) {
					err = fmt.Errorf("the entry leads to %s, which answers %d", a.path, a.status)
				}
				return err
			}
			return fmt.Errorf("no entry %s that opens in a new window", entry)
		})
	}
}

func appScans(v *testUser) error {
	return v.whileSignedIn(func() error { _, err := v.startAppEnrollment(); return err }, appPage)
}

// appProves: a wrong passcode enrolls nothing, the right one does and leads back.
func appEnrollsByCode(v *testUser) error {
	return v.whileSignedIn(func() error {
		key, err := v.startAppEnrollment()
		if err != nil {
			return err
		}
		right := totpCode(key, v.now())
		a, err := v.post(appPage+"/verify", url.Values{"code": {differentCode(right)}})
		if err != nil {
			return err
		}
		if a.status < 400 {
			return fmt.Errorf("a wrong passcode is answered with %d", a.status)
		}
		return v.confirmEnrollment(appPage, right)
	}, appPage)
}

// verifiesItself: the page of a draft says that it does, and loads the script for it; a
// browser test watches it happen.
func verifiesItself(v *testUser, path string) error {
	return v.wantPage(path, "as soon as you enter the 6th digit", "<script src=")
}

func appVerifiesItself(v *testUser) error {
	return v.whileSignedIn(func() error {
		if _, err := v.startAppEnrollment(); err != nil {
			return err
		}
		return verifiesItself(v, appPage)
	}, appPage)
}

func appIsOffered(v *testUser) error {
	return v.whileSignedIn(func() error {
		key, err := v.startAppEnrollment()
		if err != nil {
			return err
		}
		if err := v.confirmEnrollment(appPage, totpCode(key, v.now())); err != nil {
			return err
		}
		return v.wantMethodsOffered("Authenticator App", "•••")
	}, appPage)
}

func smsIsOptional(v *testUser) error {
	return v.whileSignedIn(func() error { return v.wantPage("/settings", "SMS") })
}

// smsNeedsSession: nobody and nobody half signed in reaches the page.
func smsNeedsSession(v *testUser) error {
	for _, begin := range []func() error{func() error { return nil }, v.enterPassword} {
		if err := begin(); err != nil {
			return err
		}
		for _, ask := range []func() (response, error){
			func() (response, error) { return v.get(smsPage) },
			func() (response, error) { return v.post(smsPage, smsForm(0)) },
		} {
			a, err := ask()
			if err != nil {
				return err
			}
			if a.status != 303 || !strings.HasPrefix(a.location, "/signin") {
				return fmt.Errorf("%s answers %d to somebody who is not signed in", smsPage, a.status)
			}
		}
	}
	return nil
}

func smsForm(i int) url.Values {
	return url.Values{"country": {"DE"}, "number": {smsNumbers[i]}}
}

func smsFields(v *testUser) error {
	return v.whileSignedIn(func() error {
		return v.wantPage(smsPage, "Country/Region", "<select", "Phone number", "Germany", "Send Code")
	})
}

// smsNeedsMobile: a landline is refused before anything is sent.
func smsNeedsMobile(v *testUser) error {
	return v.whileSignedIn(func() error {
		a, err := v.post(smsPage, url.Values{"country": {"DE"}, "number": {"030 123456"}})
		if err != nil {
			return err
		}
		if a.status != 422 || !strings.Contains(a.body, "landline") {
			return fmt.Errorf("a landline is answered with %d", a.status)
		}
		return nil
	})
}

// enrollSMS enrolls a number by the message it gets.
func (v *testUser) enrollSMS(i int) error {
	before, err := v.inboxIDs()
	if err != nil {
		return err
	}
	if _, err := v.startEnrollment(smsPage, smsForm(i)); err != nil {
		return err
	}
	if err := v.waitForCode(before); err != nil {
		return err
	}
	if err := verifiesItself(v, smsPage); err != nil {
		return err
	}
	return v.confirmEnrollment(smsPage, v.code)
}

// smsArrives: the code arrives as a text, is entered, is the one of several ways at the
// next sign-in, Continue leads back, and a second number takes the place of the first.
// Texts are rationed, so that all of this is one walk.
func smsEnrollsByCode(v *testUser) error {
	return v.whileSignedIn(func() error {
		for i := range smsNumbers {
			if err := v.enrollSMS(i); err != nil {
				return err
			}
		}
		a, err := v.get(smsPage)
		if err != nil {
			return err
		}
		if n := len(factorID.FindAllString(a.body, -1)); n != 1 || !strings.Contains(a.body, "5679") {
			return fmt.Errorf("%d numbers are linked, not the last one alone", n)
		}
		return v.wantMethodsOffered("text message", "•••")
	}, smsPage)
}

// threeMethods: all three stand in the settings, and the password alone opens nothing.
func threeMethods(v *testUser) error {
	if err := passwordIsNotEnough(v); err != nil {
		return err
	}
	in := v.newBrowser()
	return in.whileSignedIn(func() error { return in.wantPage("/settings", "Email", "SMS", "Authenticator App") })
}

func anotherIsRecommended(v *testUser) error {
	return v.whileSignedIn(func() error {
		return v.wantPage("/settings", "It is recommended that you set up an additional option besides Email.")
	})
}
