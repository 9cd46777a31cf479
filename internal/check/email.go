package check

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// passwordIsNotEnough checks that the password alone opens no page of the account.
func passwordIsNotEnough(v *testUser) error {
	if err := v.enterPassword(); err != nil {
		return err
	}
	for _, path := range []string{"/settings", "/settings/password", "/settings/sessions"} {
		a, err := v.get(path)
		if err != nil {
			return err
		}
		if a.status != 303 || !strings.HasPrefix(a.location, "/signin") {
			return fmt.Errorf("%s answers %d after the password alone", path, a.status)
		}
	}
	return nil
}

// emailIsTheDefault checks that an account without other factors is asked for an emailed code.
func emailIsTheDefault(v *testUser) error {
	if err := v.enterPassword(); err != nil {
		return err
	}
	a, err := v.get("/signin/verify")
	if err != nil {
		return err
	}
	_, domain, _ := strings.Cut(v.email, "@")
	if !strings.Contains(a.body, v.email[:1]+"•••@"+domain) {
		return errors.New("the code page does not show the email address")
	}
	return nil
}

// codeIsSent checks that a sign-in sends exactly one code, to the address of the account and without a click, and that
// opening the page again sends no other.
func codeIsSent(v *testUser) error {
	before, err := v.inboxIDs()
	if err != nil {
		return err
	}
	if err := v.enterPassword(); err != nil {
		return err
	}
	if v.codeSentTo != v.email {
		return fmt.Errorf("the mail went to %s, not to %s", v.codeSentTo, v.email)
	}
	if _, err := v.get("/signin/verify"); err != nil {
		return err
	}
	after, err := v.inboxIDs()
	if err != nil {
		return err
	}
	n := 0
	for _, id := range after {
		if slices.Contains(before, id) {
			continue
		}
		coded, err := v.readCode(id)
		if err != nil {
			return err
		}
		if coded {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("%d codes for one sign-in", n)
	}
	return nil
}

// codeIsValid checks that the code is accepted after 14 minutes.
func codeIsValid(v *testUser) error {
	a, err := v.enterCodeAfter(14)
	if err != nil {
		return err
	}
	if a.status != 303 {
		return fmt.Errorf("a code of 14 minutes is answered with %d", a.status)
	}
	if a, err = v.get("/settings"); err != nil {
		return err
	}
	if a.status != 200 {
		return fmt.Errorf("/settings answers %d after the code", a.status)
	}
	return nil
}

// codeExpires checks that a code of 15 minutes is answered like a wrong one.
func codeExpires(v *testUser) error {
	expired, err := v.enterCodeAfter(15)
	if err != nil {
		return err
	}
	wrong, err := v.post("/signin/verify", url.Values{"code": {differentCode(v.code)}})
	if err != nil {
		return err
	}
	if expired.status != wrong.status || expired.status < 400 {
		return fmt.Errorf("an expired code is answered with %d, a wrong one with %d", expired.status, wrong.status)
	}
	for name, a := range map[string]response{"an expired": expired, "a wrong": wrong} {
		if !strings.Contains(a.body, wrongCodeText) {
			return fmt.Errorf("%s code is not answered with %q", name, wrongCodeText)
		}
	}
	return nil
}

// differentCode returns a code that differs from code.
func differentCode(code string) string {
	if strings.HasPrefix(code, "9") {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}
