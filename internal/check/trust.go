package check

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"twostep.example/twostep/manual"
)

// The checks of trusted devices use User-Agent headers of real browsers, and loopback addresses for the networks of a
// home and of two offices.
const (
	firefoxOnWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	firefoxOnMac     = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0"
	chromeOnWindows  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	edgeOnWindows    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"
	safariOnMac      = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15"
)

var (
	homeIP         = net.IPv4(127, 0, 0, 1)
	officeIP       = net.IPv4(127, 0, 0, 2)
	clientOfficeIP = net.IPv4(127, 0, 0, 3)
)

// withLocalIP returns the same browser on another network.
func (v *testUser) withLocalIP(to net.IP) *testUser {
	m := *v
	jar := v.httpClient.Jar
	m.localIP = to
	m = *m.newBrowser()
	m.httpClient.Jar = jar
	return &m
}

// signInAndTrust signs in with both steps and the checkbox ticked.
func (v *testUser) signInAndTrust() error {
	if _, err := v.post("/signin/cancel", nil); err != nil {
		return err
	}
	if err := v.enterPassword(); err != nil {
		return err
	}
	a, err := v.post("/signin/verify", url.Values{"code": {v.code}, "trust": {"1"}})
	if err == nil && a.status != http.StatusSeeOther {
		err = fmt.Errorf("the right code is answered with %d", a.status)
	}
	return err
}

// challenged signs in again in this browser and reports whether a code is asked for.
func (v *testUser) challenged() (bool, error) {
	for _, end := range []string{"/signout", "/signin/cancel"} {
		if _, err := v.post(end, nil); err != nil {
			return false, err
		}
	}
	before, err := v.inboxIDs()
	if err != nil {
		return false, err
	}
	a, err := v.post("/signin", url.Values{"email": {v.email}, "password": {v.password}})
	if err != nil {
		return false, err
	}
	if a.status != http.StatusSeeOther {
		return false, fmt.Errorf("the right password is answered with %d", a.status)
	}
	if !strings.HasPrefix(a.location, "/signin/") {
		return false, nil
	}
	return true, v.waitForCode(before, "/signin/verify") // so that later checks do not read its code
}

// wantChallenged returns an error unless a code is asked for, or not, as want says.
func (v *testUser) wantChallenged(want bool, when string) error {
	asked, err := v.challenged()
	if err == nil && asked != want {
		err = fmt.Errorf("%s: a code is asked for: %v, want %v", when, asked, want)
	}
	return err
}

// whileTrusted runs f in a browser that is trusted at homeIP, and then forgets all devices.
func (v *testUser) whileTrusted(f func() error) error {
	if v.base.Hostname() != homeIP.String() {
		return errors.New(
			"networks can only be checked on a server at " + homeIP.String() +
				", from other addresses of this machine",
		)
	}
	if err := v.signInAndTrust(); err != nil {
		return err
	}
	err := f()
	in := v.newBrowser()
	return errors.Join(err, in.signInWithCode(), forgetDevices(in))
}

func forgetDevices(v *testUser) error {
	a, err := v.post("/settings/devices/forget", nil)
	if err == nil && a.status != http.StatusSeeOther {
		err = fmt.Errorf("/settings/devices/forget answers %d", a.status)
	}
	return err
}

// advanceClock moves the clock of a demo server forward.
func (v *testUser) advanceClock(d time.Duration) error {
	a, err := v.post("/inbox/clock", url.Values{"minutes": {strconv.Itoa(int(d / time.Minute))}})
	if err == nil && a.status != http.StatusSeeOther {
		err = errors.New("the clock of this server cannot be moved: start it with serve --demo")
	}
	return err
}

// trustSkipsChallenge checks that no code is asked for until shortly before 30 days, and one is after them.
func trustSkipsChallenge(v *testUser) error {
	return v.whileTrusted(func() error {
		if err := v.wantChallenged(false, "at once"); err != nil {
			return err
		}
		if err := v.advanceClock(manual.Days*24*time.Hour - 10*time.Minute); err != nil {
			return err
		}
		if err := v.wantChallenged(false, "after nearly 30 days"); err != nil {
			return err
		}
		if err := v.advanceClock(11 * time.Minute); err != nil {
			return err
		}
		return v.wantChallenged(true, "after 30 days")
	})
}

// trustCheckboxIsOffered checks that the checkbox is there, with its label, and not ticked.
func trustCheckboxIsOffered(v *testUser) error {
	if err := v.enterPassword(); err != nil {
		return err
	}
	a, err := v.get("/signin/verify")
	if err != nil {
		return err
	}
	_, box, _ := strings.Cut(a.body, `<input type="checkbox"`)
	input, label, _ := strings.Cut(box, ">")
	if !strings.Contains(input, `name="trust"`) || strings.Contains(input, " checked") ||
		strings.Contains(input, " disabled") ||
		!strings.Contains(label, ">Trust this device for 30 days<") {
		return errors.New(`the code page has no box "Trust this device for 30 days" that can be ticked and is not`)
	}
	return nil
}

// trustRecordIsStored checks that the browser stores a device token, and that a browser without it is asked for a code
// on the same network.
func trustRecordIsStored(v *testUser) error {
	return v.whileTrusted(func() error {
		kept := false
		for _, c := range v.httpClient.Jar.Cookies(v.base) {
			kept = kept || strings.HasSuffix(c.Name, "device")
		}
		if !kept {
			return errors.New("the server gave the browser no record")
		}
		return v.newBrowser().wantChallenged(true, "without the record")
	})
}

// trustDetailsAreShown checks that the settings show the address, the browser and the time.
func trustDetailsAreShown(v *testUser) error {
	return v.whileTrusted(func() error {
		return v.wantPage("/settings/devices", homeIP.String(), "Firefox on Windows", v.now().UTC().Format("2006"))
	})
}

// networksAreSeparate checks that three networks are verified one by one, and stay trusted.
func networksAreSeparate(v *testUser) error {
	return v.whileTrusted(func() error {
		for _, place := range []net.IP{officeIP, clientOfficeIP} {
			there := v.withLocalIP(place)
			if err := there.wantChallenged(true, "in a new place"); err != nil {
				return err
			}
			if err := there.signInAndTrust(); err != nil {
				return err
			}
			if err := there.wantChallenged(false, "in a place that was verified"); err != nil {
				return err
			}
		}
		if err := v.wantChallenged(false, "back at home"); err != nil {
			return err
		}
		return v.withLocalIP(officeIP).wantChallenged(false, "back in the office")
	})
}

// newAddressIsChallenged checks that a new address is asked for a code.
func newAddressIsChallenged(v *testUser) error {
	return v.whileTrusted(func() error {
		return v.withLocalIP(officeIP).wantChallenged(true, "after the address has changed")
	})
}

// otherBrowserIsChallenged checks that another browser is asked for a code, even with a copy of the device token.
func otherBrowserIsChallenged(agent string) func(*testUser) error {
	return func(v *testUser) error {
		return v.whileTrusted(func() error {
			other := v.newBrowser()
			other.userAgent = agent
			if err := other.wantChallenged(true, "in another browser"); err != nil {
				return err
			}
			copied := v.withLocalIP(homeIP)
			copied.userAgent = agent
			return copied.wantChallenged(true, "in another browser with a copy of the record")
		})
	}
}

// unchangedIsNotChallenged checks that no code is asked for while nothing changes, and that the code page says what has
// changed.
func unchangedIsNotChallenged(v *testUser) error {
	return v.whileTrusted(func() error {
		for range 3 {
			if err := v.wantChallenged(false, "with nothing changed"); err != nil {
				return err
			}
		}
		there := v.withLocalIP(officeIP)
		if err := there.wantChallenged(true, "in a new place"); err != nil {
			return err
		}
		return there.wantPage("/signin/verify", "Why am I being asked for a code?", "on a different network")
	})
}

// withoutCookies returns a browser that stores no cookies.
func (v *testUser) withoutCookies() *testUser {
	f := v.newBrowser()
	f.httpClient.Jar = nil
	return f
}

// blockedCookiesAreReported checks that the check-up detects a browser that stores nothing, and that the help names the
// domain to allow.
func blockedCookiesAreReported(v *testUser) error {
	a, err := v.withoutCookies().follow("/help/trust")
	if err != nil {
		return err
	}
	if !strings.Contains(a.body, "isn't saving data") {
		return errors.New("the check-up does not see that nothing is stored")
	}
	return v.wantPage("/help", "allow the browser to save data for the sign in domain "+v.base.Scheme+"://"+v.base.Host)
}

// deletedCookiesAreReported checks that the check-up distinguishes deleted cookies from cookies that were never stored.
func deletedCookiesAreReported(v *testUser) error {
	a, err := v.follow("/help/trust")
	if err != nil {
		return err
	}
	if !strings.Contains(a.body, "saves data for this site") {
		return errors.New("the check-up does not see that the record was stored")
	}
	a, err = v.withoutCookies().get(a.path)
	if err == nil && !strings.Contains(a.body, "deletes its data when you close it") {
		err = errors.New("the check-up does not see that the record was deleted")
	}
	return err
}

// helpHasBrowserSection checks that the help has the sentence in the section of the browser, and opens that section in
// this browser.
func helpHasBrowserSection(section, sentence, agent string) func(*testUser) error {
	return func(v *testUser) error {
		v.userAgent = agent
		a, err := v.get("/help")
		if err != nil {
			return err
		}
		before, from, found := strings.Cut(a.body, `<div id="`+section+`">`)
		text, _, _ := strings.Cut(from, "</details>")
		folded := before[max(strings.LastIndex(before, "<details"), 0):]
		if !found || !strings.HasPrefix(folded, "<details open>") || !strings.Contains(strings.ReplaceAll(text, "→", "->"), sentence) {
			return fmt.Errorf(
				"/help does not say %q below the browser %s, or does not open it for this browser", sentence, section,
			)
		}
		return nil
	}
}
