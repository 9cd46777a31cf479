package web

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/trust"
)

type devicesPage struct {
	For       time.Duration // how long trust lasts; 0: trust is off
	Devices   []deviceRow
	Decisions []decisionRow
}

type deviceRow struct {
	ID, Browser string
	Current     bool
	Networks    []networkRow
}

// networkRow is one network on which a device is trusted.
type networkRow struct {
	Name, Addresses    string // Addresses is "" if trust does not depend on the network
	Since, Until, Used time.Time
}

// decisionRow is one decision to ask for the second step.
type decisionRow struct {
	At                       time.Time
	Reason, Browser, Network string
	OldBrowser, OldNetwork   string // of the nearest trust record; "": there was none
	Trace                    string
}

func (s *Handlers) devicesView(groups []string, p devicesPage) render.View {
	p.For = s.Devices.TrustTime(s.Devices.Limits(groups, ""))
	return render.View{Template: "devices", Title: "devices.title", Wide: true, Data: p}
}

func (s *Handlers) showDevices(w http.ResponseWriter, r *http.Request, who signedIn) error {
	localizer := s.Pages.Localizer(r)
	var p devicesPage
	devices, err := s.Devices.ListTrustedDevices(r.Context(), who.Owner())
	if err != nil {
		return err
	}
	for _, d := range devices {
		row := deviceRow{ID: d.ID, Browser: origin.DescribeBrowser(d.Browser, localizer.Tag()), Current: d.Current}
		for _, place := range d.Networks {
			row.Networks = append(row.Networks, newNetworkRow(localizer, place))
		}
		p.Devices = append(p.Devices, row)
	}
	decisions, err := s.Devices.ListSecondStepDecisions(r.Context(), who.Owner())
	if err != nil {
		return err
	}
	for _, q := range decisions {
		p.Decisions = append(p.Decisions, s.newDecisionRow(localizer, q))
	}
	return s.render(w, r, s.devicesView(who.Account.Groups, p))
}

// newDecisionRow returns a decision for the owner of the account, who may see earlier networks.
func (s *Handlers) newDecisionRow(w i18n.Localizer, d device.DecisionRecord) decisionRow {
	row := decisionRow{
		At:      d.At,
		Trace:   d.Trace,
		Browser: origin.DescribeBrowser(d.Request.Browser, w.Tag()),
		Network: networkText(w, trust.NetworkOf(d.Request.Address)),
	}
	why := challenge.StepReason{Reason: d.Reason, At: d.At}
	if old, ok := d.NearestRecord(); ok {
		why.VerifiedAt, why.TTL = old.VerifiedAt, d.Policy.TTLOf(old)
		row.OldBrowser, row.OldNetwork = origin.DescribeBrowser(old.Browser, w.Tag()), networkText(w, old.Network)
	}
	row.Reason = s.reasonText(w, why)
	return row
}

func newNetworkRow(w i18n.Localizer, n device.DeviceNetwork) networkRow {
	row := networkRow{Name: networkName(w, n.ClientNetwork), Since: n.VerifiedAt, Until: n.ExpiresAt}
	row.Addresses = n.ClientNetwork.String()
	if row.Used = n.LastUsedAt; row.Used.Before(n.VerifiedAt) {
		row.Used = n.VerifiedAt
	}
	return row
}

// networkName names a network for people by one address: "Network 203.0.113.5". A record without addresses is trusted
// on every network.
func networkName(w i18n.Localizer, n trust.ClientNetwork) string {
	switch {
	case n.V4.IsValid():
		return w.Translate("devices.network", "Network", n.V4.String())
	case n.V6.IsValid():
		return w.Translate("devices.network", "Network", n.V6.Addr().String())
	}
	return w.Translate("devices.anywhere")
}

// networkText returns all addresses of a network for people, or a text that says they are unknown.
func networkText(w i18n.Localizer, n trust.ClientNetwork) string {
	return origin.DescribeAddress(n.String(), w.Tag())
}

// handleForgetDevice ends the trust of one device. RevokeDevice checks whose it is.
func (s *Handlers) handleForgetDevice(w http.ResponseWriter, r *http.Request, who signedIn) error {
	if _, err := render.ParseForm(w, r); err != nil {
		return err
	}
	if err := s.Devices.RevokeDevice(r.Context(), who.Owner(), r.PathValue("id"), s.Pages.Origin(r)); err != nil {
		return err
	}
	return redirect(w, r, "/settings/devices")
}

func (s *Handlers) handleForgetAllDevices(w http.ResponseWriter, r *http.Request, who signedIn) error {
	if _, err := render.ParseForm(w, r); err != nil {
		return err
	}
	if err := s.Devices.RevokeAllDevices(r.Context(), who.Owner(), s.Pages.Origin(r)); err != nil {
		return err
	}
	return redirect(w, r, "/settings/devices")
}
