package twostep

import (
	"maps"
	"net/http"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/seal"
)

// receiptPath is where gateways call back: /sms/receipt/GATEWAY/ID/MAC.
const receiptPath = "/sms/receipt/"

// connect makes the gateways the way of text messages, and gives them the address and
// the key of their receipts.
func (o *Options) connect(keys *seal.Keys) {
	if len(o.Gateways) == 0 {
		return
	}
	gateways := make([]delivery.Gateway, len(o.Gateways))
	var sends []delivery.Send
	for i, g := range o.Gateways {
		g.Callback, g.CallbackKey, g.Now = o.PublicURL+receiptPath, keys.MAC("receipt", g.Name), o.Now
		gateways[i] = g
		sends = append(sends, g.Send)
	}
	o.Gateways = gateways
	o.Send = maps.Clone(o.Send)
	o.Send[delivery.SMS] = delivery.Chain(sends...)
}

// receipts takes what gateways call back about messages of ours. Whatever it says
// changes what a page tells, and never who may come in.
func (o *Options) receipts(s *Server) http.Handler {
	gateways := o.Gateways
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, g := range gateways {
			receipt, err := g.Receipt(r)
			if err != nil {
				continue // of another gateway, or of nobody
			}
			if err := s.store.KeepReceipt(r.Context(), receipt.ID, receipt.State, receipt.At.UnixMilli()); err != nil {
				s.log.Error("receipt", "error", err)
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
}
