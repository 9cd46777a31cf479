package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// failoverCooldown is how long a gateway that did not answer is tried last.
const failoverCooldown = time.Minute

// Failover sends by the first of the gateways that takes the message, in their order. The next
// one is tried only if the one before certainly did not take it: it was not there, said no, or
// answered nonsense. After ErrUncertain the chain stops and returns it, because a second text
// costs money and confuses; but for a minute that gateway comes last, so that whoever tries
// again gets another way.
//
// The error wraps ErrRefused only if every gateway refused. The time is bounded by ctx alone.
func Failover(gateways ...SendFunc) SendFunc {
	c := &failoverChain{gateways: gateways, now: time.Now, lastTimeout: make([]atomic.Int64, len(gateways))}
	return c.send
}

type failoverChain struct {
	gateways    []SendFunc
	now         func() time.Time
	lastTimeout []atomic.Int64 // when each last gave no answer, Unix milliseconds
}

func (c *failoverChain) send(ctx context.Context, m Message) error {
	var refusal, fault error
	earlierErrors := "" // what those before have said, for whoever reads the log
	for _, i := range c.gatewayOrder() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("delivery: sms: %w%s", err, earlierErrors)
		}
		err := c.gateways[i](ctx, m)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrUncertain):
			c.lastTimeout[i].Store(c.now().UnixMilli())
			return err
		case errors.Is(err, ErrRejected):
			refusal = fmt.Errorf("%w%s", err, earlierErrors)
		default:
			fault = fmt.Errorf("%w%s", err, earlierErrors)
		}
		earlierErrors = "; before: " + err.Error() + earlierErrors
	}
	switch {
	case fault != nil:
		return fault
	case refusal != nil:
		return refusal
	}
	return errors.New("delivery: sms: no gateway is set up")
}

// gatewayOrder is the order of the gateways, with those that were silent lately at the end.
func (c *failoverChain) gatewayOrder() []int {
	since := c.now().Add(-failoverCooldown).UnixMilli()
	var healthy, unresponsive []int
	for i := range c.gateways {
		if c.lastTimeout[i].Load() > since {
			unresponsive = append(unresponsive, i)
		} else {
			healthy = append(healthy, i)
		}
	}
	return append(healthy, unresponsive...)
}
