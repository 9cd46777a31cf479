package twostep

import (
	"context"
	"maps"
	"net/http"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/outbox"
	"twostep.example/twostep/internal/seal"
)

// receiptPath is the path of delivery receipts: /sms/receipt/GATEWAY/ID/STAMP.MAC.
const receiptPath = "/sms/receipt/"

// addGateways makes the gateways send the text messages, and sets the URL and the MAC key of their receipts.
func (o *Options) addGateways(keys *seal.KeyRing, latencies *outbox.Latencies) {
	if len(o.SMSGateways) == 0 {
		return
	}
	gateways := make([]delivery.Gateway, len(o.SMSGateways))
	var sends []delivery.SendFunc
	for i, g := range o.SMSGateways {
		g.CallbackURL, g.CallbackKey, g.Now = o.PublicURL+receiptPath, keys.MAC("receipt", g.Name), o.Now
		gateways[i] = g
		sends = append(sends, timed(g, latencies))
	}
	o.SMSGateways = gateways
	o.Senders = maps.Clone(o.Senders)
	o.Senders[delivery.SMS] = delivery.Failover(sends...)
}

// timed returns the Send method of a gateway, which records how long the gateway takes to accept a message.
func timed(g delivery.Gateway, latencies *outbox.Latencies) delivery.SendFunc {
	return func(ctx context.Context, m delivery.Message) error {
		began := time.Now() // not the clock of the options: durations need the monotonic clock
		err := g.Send(ctx, m)
		if err == nil {
			latencies.Add(g.Name, time.Since(began))
		}
		return err
	}
}

// receipts returns the handler of delivery receipts. A receipt changes only what the code page says about a message.
func (o *Options) receipts(s *Server) http.Handler {
	gateways := o.SMSGateways
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, g := range gateways {
			receipt, err := g.Receipt(r)
			if err != nil {
				continue // it is of another gateway, or forged
			}
			if err := s.store.RecordDeliveryReceipt(r.Context(), receipt.ID, receipt.State, receipt.At); err != nil {
				s.log.Error("recording a delivery receipt failed", "error", err)
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
}
