package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// restAfterSilence is how long a gateway that did not answer is tried last.
const restAfterSilence = time.Minute

// Chain sends by the first of the gateways that takes the message, in their order. The next
// one is tried only if the one before certainly did not take it: it was not there, said no, or
// answered nonsense. After ErrUncertain the chain stops and returns it, because a second text
// costs money and confuses; but for a minute that gateway comes last, so that whoever tries
// again gets another way.
//
// The error wraps ErrRefused only if every gateway refused. The time is bounded by ctx alone.
func Chain(gateways ...Send) Send {
	c := &chain{gateways: gateways, now: time.Now, silent: make([]atomic.Int64, len(gateways))}
	return c.send
}

type chain struct {
	gateways []Send
	now      func() time.Time
	silent   []atomic.Int64 // when each last gave no answer, Unix milliseconds
}

func (c *chain) send(ctx context.Context, m Message) error {
	var refusal, fault error
	before := "" // what those before have said, for whoever reads the log
	for _, i := range c.order() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("delivery: sms: %w%s", err, before)
		}
		err := c.gateways[i](ctx, m)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrUncertain):
			c.silent[i].Store(c.now().UnixMilli())
			return err
		case errors.Is(err, ErrRefused):
			refusal = fmt.Errorf("%w%s", err, before)
		default:
			fault = fmt.Errorf("%w%s", err, before)
		}
		before = "; before: " + err.Error() + before
	}
	switch {
	case fault != nil:
		return fault
	case refusal != nil:
		return refusal
	}
	return errors.New("delivery: sms: no gateway is set up")
}

// order is the order of the gateways, with those that were silent lately at the end.
func (c *chain) order() []int {
	since := c.now().Add(-restAfterSilence).UnixMilli()
	var well, silent []int
	for i := range c.gateways {
		if c.silent[i].Load() > since {
			silent = append(silent, i)
		} else {
			well = append(well, i)
		}
	}
	return append(well, silent...)
}
