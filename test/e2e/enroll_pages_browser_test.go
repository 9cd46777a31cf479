package e2e

import (
	"context"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/factor/sms"
	"twostep.example/twostep/test/e2e/live"
)

// withEverything has every method, in the order that an operator gets. One text message is
// all that a day may cost.
func withEverything(texts chan<- delivery.Message) live.Setup {
	return func(o *twostep.Options) {
		given := o.Methods
		o.Methods = nil
		withApp(o)
		o.Methods = append(o.Methods, sms.Method{})
		o.Methods = append(o.Methods, given...)
		withRecoveryCodes(o)
		o.Senders[delivery.SMS] = func(_ context.Context, m delivery.Message) error {
			texts <- m
			return nil
		}
		o.SMSPrice, o.SMSDailyBudget = 1, 1
	}
}

func everything(b *tab) (*live.Server, <-chan delivery.Message) {
	texts := make(chan delivery.Message, 10)
	s := b.on(withEverything(texts))
	b.signIn(s)
	return s, texts
}

func appStory(b *tab, show func(string)) {
	s, _ := everything(b)
	show("settings-recommend")
	b.open("/settings/2step/app")
	if b.look.noScript {
		show("app-first")
		b.click("Set up an app")
	}
	key := b.scan()
	show("app-draft")
	b.enter("code", "123")
	b.click("Verify")
	b.sees("Enter the 6-digit code.")
	b.code(live.Wrong(passcode(b.t, key, s.Now())))
	b.sees(incorrectApp)
	show("app-wrong")
	b.code(passcode(b.t, key, s.Now().Add(4*time.Minute)))
	b.sees("Your phone's clock")
	show("app-clock")
	b.code(passcode(b.t, key, s.Now()))
	b.at("/settings/2step/app/done")
	show("app-done")
	b.open("/settings/2step/app")
	show("app-second")
	b.enter("name", "A name for a telephone that is much too long")
	b.click("Set up an app")
	b.sees("Enter a device name with 40 characters or fewer.")
	show("app-name")
	b.enter("name", "Tablet")
	b.click("Set up an app")
	key = b.scan()
	for range 5 {
		b.code(live.Wrong(passcode(b.t, key, s.Now())))
	}
	b.open("/settings/2step/app")
	b.sees("Too many failed attempts.")
	show("app-tries")
}

func numberStory(b *tab, show func(string)) {
	s, texts := everything(b)
	b.open("/settings/2step/sms")
	show("sms-start")
	b.enter("number", "+49 30 123456")
	b.click("Send Code")
	b.sees("looks like a landline number")
	show("sms-refused")
	b.enter("number", "+49 171 2345678")
	b.click("Send Code")
	b.sees("+49 171 2345678")
	code := textedCode.FindStringSubmatch((<-texts).Text)[1]
	b.comesBy("Sent at ")
	show("sms-draft")
	b.code(live.Wrong(code))
	b.sees(incorrect)
	show("sms-wrong")
	b.code(code)
	b.at("/settings/2step/sms/done")
	show("sms-done")
	b.open("/settings/2step/sms")
	show("sms-second")
	b.open("/settings")
	show("settings-number")
	b.signOut()
	s.Turn(time.Minute)
	b.credentials(live.AnnaEmail, live.AnnaPassword)
	b.at("/signin/method")
	show("method")
	b.click(byText)
	b.sees("isn't available until")
	show("method-wait")
	b.click(byMail)
	b.at("/signin/verify")
	show("verify-other")
}

func recoveryStory(b *tab, show func(string)) {
	s, _ := everything(b)
	b.open("/settings/2step/recovery")
	if b.look.noScript {
		show("recovery-first")
		b.click("Create new codes")
	}
	b.sees("I have saved them")
	show("recovery-draft")
	b.click("I have saved them")
	b.at("/settings/2step/recovery/done")
	show("recovery-done")
	b.open("/settings/2step/recovery")
	show("recovery-second")
	b.open("/settings")
	show("settings-recovery")
	s.Turn(11 * time.Minute)
	b.open("/settings/2step/app")
	b.at("/settings/confirm")
	show("confirm")
	b.enter("password", "not it")
	b.click("Confirm")
	b.sees("isn't correct")
	show("confirm-wrong")
	b.enter("password", live.AnnaPassword)
	b.click("Confirm")
	b.at("/signin/verify")
	show("confirm-verify")
	b.click("Use another method")
	show("confirm-method")
	b.click(byRecoveryCode)
	b.at("/signin/verify")
	show("confirm-recovery")
}

func addressStory(b *tab, show func(string)) {
	s, _ := everything(b)
	b.open("/settings/email")
	show("email-start")
	b.enter("email", "anna")
	b.click("Send Code")
	b.sees("like name@example.com.")
	show("email-wrong")
	n := s.Mail.Len()
	b.enter("email", "anna.anders@example.net")
	b.click("Send Code")
	b.sees("anna.anders@example.net")
	show("email-draft")
	code := s.Code(n)
	b.code(live.Wrong(code))
	b.sees(incorrect)
	show("email-incorrect")
	b.code(code)
	b.at("/settings/email/done")
	show("email-done")
}

// comesBy waits until the page says so: by itself, or because somebody looks again.
func (b *tab) comesBy(text string) {
	b.t.Helper()
	if b.look.noScript {
		b.comes("Check again", text)
	}
	b.sees(text)
}
