package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The next gateway is tried only if the one before certainly did not accept the message.
func TestFailoverToNextGateway(t *testing.T) {
	busy := errors.New("busy")
	refused, uncertain := fmt.Errorf("a: %w", ErrRejected), fmt.Errorf("b: %w", ErrUncertain)
	for _, c := range []struct {
		answers []error
		asked   int
		want    error // compared as in sameErrorKind
	}{
		{nil, 0, errTemporary},
		{[]error{nil, nil}, 1, nil},
		{[]error{busy, nil, nil}, 2, nil},
		{[]error{refused, nil}, 2, nil},
		{[]error{uncertain, nil}, 1, ErrUncertain},
		{[]error{busy, uncertain, nil}, 2, ErrUncertain},
		{[]error{refused, refused}, 2, ErrRejected},
		{[]error{refused, busy}, 2, errTemporary},
		{[]error{busy, refused}, 2, errTemporary},
		{[]error{busy, busy, busy}, 3, errTemporary},
	} {
		asked := 0
		var all []SendFunc
		for i, answer := range c.answers {
			all = append(all, func(context.Context, Message) error {
				if i != asked {
					t.Errorf("gateway %d tried after %d others", i, asked)
				}
				asked++
				return answer
			})
		}
		err := Failover(all...)(t.Context(), gatewayCodeSMS())
		sameErrorKind(t, fmt.Sprint(c.answers), err, c.want)
		if asked != c.asked {
			t.Errorf("%v: tried %d, want %d", c.answers, asked, c.asked)
		}
	}
}

// The error lists what each gateway answered.
func TestFailoverErrorListsEveryGateway(t *testing.T) {
	say := func(text string) SendFunc { return func(context.Context, Message) error { return errors.New(text) } }
	err := Failover(say("one"), say("two"))(t.Context(), gatewayCodeSMS())
	if err == nil || err.Error() != "two; before: one" {
		t.Errorf("got %v", err)
	}
}

// No other gateway is tried after the context has ended.
func TestFailoverStopsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Failover(
		func(context.Context, Message) error { cancel(); return ErrRejected },
		func(context.Context, Message) error { t.Error("asked"); return nil },
	)(ctx, gatewayCodeSMS())
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrRejected) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// A gateway that timed out comes last for a minute, so that a retry uses another one.
func TestFailoverTriesTimedOutGatewayLast(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	said := ""
	c := &failoverChain{now: func() time.Time { return now }}
	for _, g := range []struct {
		name   string
		answer error
	}{{"a", ErrUncertain}, {"b", nil}} {
		c.gateways = append(c.gateways, func(context.Context, Message) error { said += g.name; return g.answer })
	}
	c.lastTimeout = make([]atomic.Int64, len(c.gateways))
	for _, after := range []time.Duration{0, time.Second, 58 * time.Second, 2 * time.Second} {
		now = now.Add(after)
		c.send(t.Context(), gatewayCodeSMS())
		said += " "
	}
	if said != "a b b a " {
		t.Errorf("tried %q, want a, then b for a minute, then a", said)
	}
}

// Real gateways in a chain: the first does not speak HTTP, the second rejects, the third accepts.
func TestFailoverWithRealGateways(t *testing.T) {
	babbling := rawGateway(t, true, func(c net.Conn) { io.WriteString(c, "hello\r\n"); c.Close() })
	no, _ := fakeGateway(t, 400, `{"code": 21408}`)
	yes, seen := fakeGateway(t, 200, vonageAccepted)
	start := time.Now()
	err := Failover(babbling.Send, presetGateways()["twilio"].withServer(no).Send,
		presetGateways()["vonage"].withServer(yes).Send)(t.Context(), gatewayCodeSMS())
	if err != nil || len(seen) != 1 {
		t.Errorf("got %v, %d messages", err, len(seen))
	}
	if took := time.Since(start); took > 5*time.Second || strings.Contains(fmt.Sprint(err), testSecret) {
		t.Errorf("took %v", took)
	}
}
