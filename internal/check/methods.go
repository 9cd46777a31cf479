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

// The checks of the Authenticator App and SMS. Each signs in with a new browser and removes the factors it has
// enrolled.

var (
	otpauthURL      = regexp.MustCompile(`otpauth://totp/[^"]+`)
	factorID        = regexp.MustCompile(`name="id" value="([^"]+)"`)
	enabledContinue = regexp.MustCompile(`<a class="button" href="([^"]+)"[^>]*>Continue</a>`)
	newWindow       = regexp.MustCompile(`<a href="([^"]+)" target="_blank"[^>]*>([^<]+)</a>`)
	smsNumbers      = []string{"0171 2345678", "0171 2345679"}
)

// totpCode returns the code of an authenticator app (RFC 6238: SHA-1, 6 digits, 30 s).
func totpCode(key []byte, at time.Time) string {
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, at.Unix()/30) // a hash never fails
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1000000)
}

// wantPage returns an error unless the path answers 200 and the page has all the texts.
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

// whileSignedIn signs in with both steps, runs f, and then removes the factors of the given pages.
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

// removeFactors removes the pending factor and the factors of one page.
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

// startEnrollment posts an enrollment form and returns the page of the pending factor.
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

// startAppEnrollment starts to enroll an app and returns the key in its link.
func (v *testUser) startAppEnrollment() (key []byte, err error) {
	a, err := v.startEnrollment("/settings/2step/app", url.Values{"name": {""}})
	if err != nil {
		return nil, err
	}
	link, err := url.Parse(otpauthURL.FindString(a.body))
	if err != nil || !strings.Contains(a.body, "<svg") || strings.Contains(a.body, ">Continue<") {
		return nil, errors.New("the page has no QR code or no link, or has Continue before the code is verified")
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(link.Query().Get("secret"))
}

// confirmEnrollment enters a code for the pending factor and checks that Continue leads back.
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

// wantMethodsOffered checks that the next sign-in offers these methods and sends nothing before the choice.
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

// openAppMenu opens the page of the sample app that leads to 2-Step verification; only a demo server has it. The app
// signs the person in through this server.
func (v *testUser) openAppMenu() (response, error) {
	a, err := v.follow("/demo/settings")
	if err != nil {
		return a, err
	}
	path := strings.Split(v.menu, "->")
	entry := strings.TrimSpace(path[len(path)-1])
	switch {
	case a.status == 404:
		err = fmt.Errorf("the menu %s is in your app: only the sample app of serve --demo can be checked", v.menu)
	case a.status != 200 || a.path != "/demo/settings" || !strings.Contains(a.body, entry):
		err = fmt.Errorf("%s answers %d, and is not the menu %s", a.path, a.status, v.menu)
	}
	return a, err
}

func menuIsThere(v *testUser) error {
	return v.whileSignedIn(func() error { _, err := v.openAppMenu(); return err })
}

// opensWindow checks that the menu entry opens the page of the method in a new window.
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

// settingsLead checks that the settings have a link with this text to the page of a method.
func settingsLead(path, text string) func(*testUser) error {
	return func(v *testUser) error {
		return v.whileSignedIn(func() error { return v.wantPage("/settings", `<a href="`+path+`"><span>`+text) })
	}
}

func appScans(v *testUser) error {
	return v.whileSignedIn(func() error { _, err := v.startAppEnrollment(); return err }, appPage)
}

// appEnrollsByCode checks that a wrong passcode enrolls nothing, and that the right one does and leads back.
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

// verifiesItself checks that the page says that the 6th digit submits the code, and that it loads the script. A browser
// test checks the script.
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

// smsNeedsSession checks that the page needs a session: neither no cookie nor an attempt opens it.
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
				return fmt.Errorf("%s answers %d without a session", smsPage, a.status)
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

// smsNeedsMobile checks that the person is asked about a landline number, and nothing is sent.
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

// enrollSMS enrolls a number with the code it receives.
func (v *testUser) enrollSMS(i int) error {
	before, err := v.inboxIDs()
	if err != nil {
		return err
	}
	if _, err := v.startEnrollment(smsPage, smsForm(i)); err != nil {
		return err
	}
	if err := v.waitForCode(before, smsPage); err != nil {
		return err
	}
	if err := verifiesItself(v, smsPage); err != nil {
		return err
	}
	return v.confirmEnrollment(smsPage, v.code)
}

// smsEnrollsByCode checks that the code arrives as a text message and enrolls the number, that the next sign-in offers
// it, that Continue leads back, and that a second number replaces the first. It is one check because text messages are
// limited.
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

// threeMethods checks that the settings list all three methods, and that the password alone opens nothing.
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
