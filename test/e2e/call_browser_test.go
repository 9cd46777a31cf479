package e2e

import (
	"context"
	"testing"
	"time"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/spoken"
	"twostep.example/twostep/test/e2e/live"
)

// withCalls adds the made-up method: a line in the list, and a way for what it says.
func withCalls(said chan<- delivery.Message) live.Setup {
	return func(o *twostep.Options) {
		o.Methods = append(o.Methods, spoken.Method{})
		o.Senders[spoken.CallChannel] = func(_ context.Context, m delivery.Message) error {
			said <- m
			return nil
		}
	}
}

// A method that no page and no engine has ever heard of has its page, its code and its place
// in the sign-in, in every look.
func TestEnrollCall(t *testing.T) {
	t.Parallel()
	for _, l := range looks {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			said := make(chan delivery.Message, 10)
			s := live.Start(t, "", withCalls(said))
			b := browse(t, s.URL, l)
			b.signIn(s)
			b.sees("Phone call")
			b.open("/settings/2step/call")
			b.sees("A machine calls you and says the code.")
			b.enter("number", "0171")
			b.click("Call me")
			b.sees("Begin with + and the country's code.")
			b.enter("number", "+4917112345")
			b.click("Call me")
			b.sees("+4917112345")
			b.fits()
			b.code(heard(t, said))
			b.at("/settings/2step/call/done")
			b.click("Continue")
			b.at("/settings")
			b.signOut()
			s.Turn(time.Minute)
			b.credentials(live.AnnaEmail, live.AnnaPassword)
			const byCall = "Phone call\nCall •••• 345 and say a code"
			b.offers(byMail, byCall)
			b.click(byCall)
			b.sees("We are calling •••• 345.")
			b.fits()
			b.code(heard(t, said))
			b.at("/settings")
			b.sees("Last used")
		})
	}
}

// heard is the code that the next call says.
func heard(t *testing.T, said <-chan delivery.Message) (code string) {
	t.Helper()
	select {
	case m := <-said:
		return m.Text
	case <-time.After(patience):
		t.Fatal("nobody called")
		return ""
	}
}
