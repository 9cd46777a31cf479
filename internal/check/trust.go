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

// What the sentences on trust are tried with: real headers of browsers, and addresses of
// this machine in the place of home and office.
const (
	firefoxOnWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
	firefoxOnMac     = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0"
	chromeOnWindows  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	edgeOnWindows    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"
	safariOnMac      = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15"
)

var (
	home   = net.IPv4(127, 0, 0, 1)
	office = net.IPv4(127, 0, 0, 2)
	client = net.IPv4(127, 0, 0, 3)
)

// moved is the same browser on another network.
func (v *visitor) moved(to net.IP) *visitor {
	m := *v
	jar := v.browser.Jar
	m.at = to
	m = *m.fresh()
	m.browser.Jar = jar
	return &m
}

// tick takes both steps with the box ticked.
func (v *visitor) tick() error {
	if _, err := v.post("/signin/cancel", nil); err != nil {
		return err
	}
	if err := v.signIn(); err != nil {
		return err
	}
	a, err := v.post("/signin/verify", url.Values{"code": {v.code}, "trust": {"1"}})
	if err == nil && a.status != http.StatusSeeOther {
		err = fmt.Errorf("the right code is answered with %d", a.status)
	}
	return err
}

// asked signs in again in this browser and says whether a code is wanted.
func (v *visitor) asked() (bool, error) {
	for _, end := range []string{"/signout", "/signin/cancel"} {
		if _, err := v.post(end, nil); err != nil {
			return false, err
		}
	}
	before, err := v.mails()
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
	return true, v.await(before) // so that nobody takes its mail for another
}

// want fails unless a code is wanted, or is not.
func (v *visitor) wantAsked(want bool, when string) error {
	asked, err := v.asked()
	if err == nil && asked != want {
		err = fmt.Errorf("%s: a code is wanted: %v", when, asked)
	}
	return err
}

// trusting runs f in a browser that was trusted at home, and forgets it afterwards.
func (v *visitor) trusting(f func() error) error {
	if v.base.Hostname() != home.String() {
		return errors.New("places can be tried on a server at " + home.String() + " only, from other addresses of this machine")
	}
	if err := v.tick(); err != nil {
		return err
	}
	err := f()
	in := v.fresh()
	return errors.Join(err, in.enter(), forget(in))
}

func forget(v *visitor) error {
	a, err := v.post("/settings/devices/forget", nil)
	if err == nil && a.status != http.StatusSeeOther {
		err = fmt.Errorf("/settings/devices/forget answers %d", a.status)
	}
	return err
}

// turn moves the clock of a demo server forward.
func (v *visitor) turn(d time.Duration) error {
	a, err := v.post("/inbox/clock", url.Values{"minutes": {strconv.Itoa(int(d / time.Minute))}})
	if err == nil && a.status != http.StatusSeeOther {
		err = errors.New("the clock of this server cannot be turned: start it with serve --demo")
	}
	return err
}

// trustSkips: for 30 days less some minutes no code is wanted, and after them one is.
func trustSkips(v *visitor) error {
	return v.trusting(func() error {
		if err := v.wantAsked(false, "at once"); err != nil {
			return err
		}
		if err := v.turn(manual.Days*24*time.Hour - 10*time.Minute); err != nil {
			return err
		}
		if err := v.wantAsked(false, "after nearly 30 days"); err != nil {
			return err
		}
		if err := v.turn(11 * time.Minute); err != nil {
			return err
		}
		return v.wantAsked(true, "after 30 days")
	})
}

// boxIsOffered: the box is there, with its label, and not ticked.
func boxIsOffered(v *visitor) error {
	if err := v.signIn(); err != nil {
		return err
	}
	a, err := v.get("/signin/verify")
	if err != nil {
		return err
	}
	_, box, _ := strings.Cut(a.body, `<input type="checkbox"`)
	input, label, _ := strings.Cut(box, ">")
	if !strings.Contains(input, `name="trust"`) || strings.Contains(input, " checked") || strings.Contains(input, " disabled") ||
		!strings.Contains(label, ">Trust this device for 30 days<") {
		return errors.New(`the code page has no box "Trust this device for 30 days" that can be ticked and is not`)
	}
	return nil
}

// recordIsKept: the browser keeps a record for longer than it is trusted, and one without it
// is asked in the same place.
func recordIsKept(v *visitor) error {
	return v.trusting(func() error {
		kept := false
		for _, c := range v.browser.Jar.Cookies(v.base) {
			kept = kept || strings.HasSuffix(c.Name, "device")
		}
		if !kept {
			return errors.New("the browser was given no record")
		}
		return v.fresh().wantAsked(true, "without the record")
	})
}

// detailsAreKept: the settings show the address, the browser and the time.
func detailsAreKept(v *visitor) error {
	return v.trusting(func() error {
		return v.want("/settings/devices", home.String(), "Firefox on Windows", v.now().UTC().Format("2006"))
	})
}

// placesAreApart: home, office and a client's office are validated one by one, and stay so.
func placesAreApart(v *visitor) error {
	return v.trusting(func() error {
		for _, place := range []net.IP{office, client} {
			there := v.moved(place)
			if err := there.wantAsked(true, "in a new place"); err != nil {
				return err
			}
			if err := there.tick(); err != nil {
				return err
			}
			if err := there.wantAsked(false, "in a place that was validated"); err != nil {
				return err
			}
		}
		if err := v.wantAsked(false, "back at home"); err != nil {
			return err
		}
		return v.moved(office).wantAsked(false, "back in the office")
	})
}

// addressChanges: a new address is validated like a new place.
func addressChanges(v *visitor) error {
	return v.trusting(func() error {
		return v.moved(office).wantAsked(true, "after the address has changed")
	})
}

// asksWith: the record does not help another browser, not even one that has a copy of it.
func asksWith(agent string) func(*visitor) error {
	return func(v *visitor) error {
		return v.trusting(func() error {
			other := v.fresh()
			other.agent = agent
			if err := other.wantAsked(true, "in another browser"); err != nil {
				return err
			}
			copied := v.moved(home)
			copied.agent = agent
			return copied.wantAsked(true, "in another browser with a copy of the record")
		})
	}
}

// nothingChanges: as long as all stays the same no code is wanted, and the code page says
// what has not.
func nothingChanges(v *visitor) error {
	return v.trusting(func() error {
		for range 3 {
			if err := v.wantAsked(false, "with all the same"); err != nil {
				return err
			}
		}
		there := v.moved(office)
		if err := there.wantAsked(true, "in a new place"); err != nil {
			return err
		}
		return there.want("/signin/verify", "Why was I asked?", "Your network has changed.")
	})
}

// forgetful is a browser that keeps no cookies.
func (v *visitor) forgetful() *visitor {
	f := v.fresh()
	f.browser.Jar = nil
	return f
}

// blockedIsTold: a browser that stores nothing is told so, with the domain to allow.
func blockedIsTold(v *visitor) error {
	a, err := v.forgetful().follow("/help/trust")
	if err != nil {
		return err
	}
	if !strings.Contains(a.body, "has not stored anything") {
		return errors.New("the check-up does not see that nothing is stored")
	}
	return v.want("/help", "allow the browser to save data for the sign in domain "+v.base.Scheme+"://"+v.base.Host)
}

// deletedIsTold: a browser that has lost what it had stored is told that from one that never
// stored it.
func deletedIsTold(v *visitor) error {
	a, err := v.follow("/help/trust")
	if err != nil {
		return err
	}
	if !strings.Contains(a.body, "has stored what it was given") {
		return errors.New("the check-up does not see that the record was stored")
	}
	a, err = v.forgetful().get(a.path)
	if err == nil && !strings.Contains(a.body, "deletes its data when it closes") {
		err = errors.New("the check-up does not see that the record was deleted")
	}
	return err
}

// browserHelp: the help has the sentence in the section of the browser, which is opened for
// whoever comes with it.
func browserHelp(section, sentence, agent string) func(*visitor) error {
	return func(v *visitor) error {
		v.agent = agent
		a, err := v.get("/help")
		if err != nil {
			return err
		}
		_, from, found := strings.Cut(a.body, `<details id="`+section+`" open>`)
		text, _, _ := strings.Cut(from, "</details>")
		if !found || !strings.Contains(strings.ReplaceAll(text, "→", "->"), sentence) {
			return fmt.Errorf("/help does not say %q below the browser %s, or does not open it for this browser", sentence, section)
		}
		return nil
	}
}
