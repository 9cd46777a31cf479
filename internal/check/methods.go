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
	appLink    = regexp.MustCompile(`otpauth://totp/[^"]+`)
	factorID   = regexp.MustCompile(`name="id" value="([^"]+)"`)
	disabled   = regexp.MustCompile(`<button[^>]* disabled[^>]*>Continue</button>`)
	enabled    = regexp.MustCompile(`<a class="button" href="([^"]+)"[^>]*>Continue</a>`)
	newWindow  = regexp.MustCompile(`<a href="([^"]+)" target="_blank"[^>]*>([^<]+)</a>`)
	smsNumbers = []string{"0171 2345678", "0171 2345679"}
)

// code is what an authenticator app shows at a moment (RFC 6238: SHA-1, 6 digits, 30 s).
func code(key []byte, at time.Time) string {
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, at.Unix()/30) // a hash takes everything
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1000000)
}

// want fails unless a page was answered and holds all of the texts.
func (v *visitor) want(path string, texts ...string) error {
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

// inside runs f for somebody who has taken both steps, and afterwards removes what is
// enrolled at the given pages.
func (v *visitor) inside(f func() error, paths ...string) error {
	if err := v.enter(); err != nil {
		return err
	}
	err := f()
	for _, path := range paths {
		err = errors.Join(err, v.clear(path))
	}
	return err
}

// clear forgets the draft and the factors of one page.
func (v *visitor) clear(path string) error {
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
		if a, err = v.post(path+"/remove", url.Values{"id": {id[1]}}); err != nil || a.status != 303 || strings.Contains(a.location, "confirm") {
			return fmt.Errorf("%s cannot be removed: %d %s %w", path, a.status, a.location, err)
		}
	}
}

// draw posts an enrolment form and returns the page of the draft.
func (v *visitor) draw(path string, form url.Values) (answer, error) {
	a, err := v.post(path, form)
	if err != nil {
		return a, err
	}
	if a.status != 303 {
		return a, fmt.Errorf("%s answers %d to its form", path, a.status)
	}
	return v.get(path)
}

// scan draws up an app and reads its key, as a phone would.
func (v *visitor) scan() (key []byte, err error) {
	a, err := v.draw("/settings/2step/app", url.Values{"name": {""}})
	if err != nil {
		return nil, err
	}
	link, err := url.Parse(appLink.FindString(a.body))
	if err != nil || !strings.Contains(a.body, "<svg") || !disabled.MatchString(a.body) {
		return nil, errors.New("the page has no QR code, no link or no disabled Continue")
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(link.Query().Get("secret"))
}

// prove enters a code on the page of a draft and expects to be through.
func (v *visitor) prove(path, code string) error {
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
	if m := enabled.FindStringSubmatch(a.body); m == nil || m[1] != "/demo/settings" {
		return errors.New("the button Continue does not lead back")
	}
	return nil
}

// offered checks which methods the next sign-in offers.
func (v *visitor) offered(names ...string) error {
	f := v.fresh()
	before, err := f.mails()
	if err != nil {
		return err
	}
	if _, err := f.post("/signin", url.Values{"email": {f.email}, "password": {f.password}}); err != nil {
		return err
	}
	if err := f.want("/signin/method", names...); err != nil {
		return err
	}
	sent, err := f.arrived(before)
	if sent {
		err = errors.New("a code was sent before the choice")
	}
	return err
}

const (
	appPage = "/settings/2step/app"
	smsPage = "/settings/2step/sms"
)

func appIsOptional(v *visitor) error {
	return v.inside(func() error { return v.want("/settings", "Authenticator App") })
}

func appIsSuggested(v *visitor) error {
	return v.inside(func() error { return v.want(appPage, "Google Authenticator", "Microsoft Authenticator") })
}

// menu is the page of the app behind the server that leads to 2-Step verification; a server
// without the demo app has none. The app signs people in here, so it lets them in by itself.
func (v *visitor) menu() (answer, error) {
	a, err := v.follow("/demo/settings")
	if err == nil && (a.status != 200 || a.path != "/demo/settings" || !strings.Contains(a.body, "Billing & Admin")) {
		err = fmt.Errorf("%s answers %d, and is no menu of an app", a.path, a.status)
	}
	return a, err
}

func menuLeads(v *visitor) error {
	return v.inside(func() error { _, err := v.menu(); return err })
}

// opensWindow: the entry of the menu opens in a new window, and there is the page.
func opensWindow(entry, path string) func(*visitor) error {
	return func(v *visitor) error {
		return v.inside(func() error {
			a, err := v.menu()
			if err != nil {
				return err
			}
			for _, m := range newWindow.FindAllStringSubmatch(a.body, -1) {
				if m[2] != entry {
					continue
				}
				if a, err = v.follow(m[1]); err == nil && (a.status != 200 || !strings.HasPrefix(a.path, path+"?return_to=")) {
					err = fmt.Errorf("the entry leads to %s, which answers %d", a.path, a.status)
				}
				return err
			}
			return fmt.Errorf("no entry %s that opens in a new window", entry)
		})
	}
}

func appScans(v *visitor) error {
	return v.inside(func() error { _, err := v.scan(); return err }, appPage)
}

// appProves: a wrong passcode enrolls nothing, the right one does and leads back.
func appProves(v *visitor) error {
	return v.inside(func() error {
		key, err := v.scan()
		if err != nil {
			return err
		}
		right := code(key, v.now())
		a, err := v.post(appPage+"/verify", url.Values{"code": {other(right)}})
		if err != nil {
			return err
		}
		if a.status < 400 {
			return fmt.Errorf("a wrong passcode is answered with %d", a.status)
		}
		return v.prove(appPage, right)
	}, appPage)
}

// verifiesItself: the page of a draft says that it does, and loads the script for it; a
// browser test watches it happen.
func verifiesItself(v *visitor, path string) error {
	return v.want(path, "as soon as you enter the 6th digit", "<script src=")
}

func appVerifiesItself(v *visitor) error {
	return v.inside(func() error {
		if _, err := v.scan(); err != nil {
			return err
		}
		return verifiesItself(v, appPage)
	}, appPage)
}

func appIsOffered(v *visitor) error {
	return v.inside(func() error {
		key, err := v.scan()
		if err != nil {
			return err
		}
		if err := v.prove(appPage, code(key, v.now())); err != nil {
			return err
		}
		return v.offered("Authenticator App", "•••")
	}, appPage)
}

func smsIsOptional(v *visitor) error {
	return v.inside(func() error { return v.want("/settings", "SMS") })
}

// smsNeedsSession: nobody and nobody half signed in reaches the page.
func smsNeedsSession(v *visitor) error {
	for _, begin := range []func() error{func() error { return nil }, v.signIn} {
		if err := begin(); err != nil {
			return err
		}
		for _, ask := range []func() (answer, error){
			func() (answer, error) { return v.get(smsPage) },
			func() (answer, error) { return v.post(smsPage, number(0)) },
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

func number(i int) url.Values {
	return url.Values{"country": {"DE"}, "number": {smsNumbers[i]}}
}

func smsFields(v *visitor) error {
	return v.inside(func() error {
		return v.want(smsPage, "Country/Region", "<select", "Phone number", "Germany", "Send Code")
	})
}

// smsNeedsMobile: a landline is refused before anything is sent.
func smsNeedsMobile(v *visitor) error {
	return v.inside(func() error {
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

// text enrolls a number by the message it gets.
func (v *visitor) text(i int) error {
	before, err := v.mails()
	if err != nil {
		return err
	}
	if _, err := v.draw(smsPage, number(i)); err != nil {
		return err
	}
	if err := v.await(before); err != nil {
		return err
	}
	if err := verifiesItself(v, smsPage); err != nil {
		return err
	}
	return v.prove(smsPage, v.code)
}

// smsArrives: the code arrives as a text, is entered, is the one of several ways at the
// next sign-in, Continue leads back, and a second number takes the place of the first.
// Texts are rationed, so that all of this is one walk.
func smsArrives(v *visitor) error {
	return v.inside(func() error {
		for i := range smsNumbers {
			if err := v.text(i); err != nil {
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
		return v.offered("text message", "•••")
	}, smsPage)
}

// threeMethods: all three stand in the settings, and the password alone opens nothing.
func threeMethods(v *visitor) error {
	if err := passwordIsNotEnough(v); err != nil {
		return err
	}
	in := v.fresh()
	return in.inside(func() error { return in.want("/settings", "Email", "SMS", "Authenticator App") })
}

func anotherIsRecommended(v *visitor) error {
	return v.inside(func() error {
		return v.want("/settings", "It is recommended that you set up an additional option besides Email.")
	})
}
