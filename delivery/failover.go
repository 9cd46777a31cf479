package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// failoverCooldown is how long a gateway is tried last after it did not answer.
const failoverCooldown = time.Minute

// Failover returns a SendFunc that tries the gateways in order until one accepts the message. It
// tries the next gateway only if the one before certainly did not accept it: no connection, a
// rejection, or an unknown response.
//
// It stops at the first error that wraps ErrUncertain and returns it, because a second text message
// costs money and confuses people. That gateway then comes last for one minute, so that a retry uses
// another one.
//
// The returned error wraps ErrRejected only if every gateway rejected the message. Failover has no
// timeout of its own; ctx limits the time.
func Failover(gateways ...SendFunc) SendFunc {
	c := &failoverChain{gateways: gateways, now: time.Now, lastTimeout: make([]atomic.Int64, len(gateways))}
	return c.send
}

type failoverChain struct {
	gateways    []SendFunc
	now         func() time.Time
	lastTimeout []atomic.Int64 // when each gateway last timed out, Unix milliseconds
}

func (c *failoverChain) send(ctx context.Context, m Message) error {
	var refusal, fault error
	earlierErrors := "" // for the log
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

// gatewayOrder returns the indexes of the gateways, those that timed out lately last.
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
