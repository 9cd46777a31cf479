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
	Days      int // how long trust lasts; 0: trust is off
	Devices   []deviceRow
	Decisions []decisionRow
}

type deviceRow struct {
	ID, Browser string
	Current     bool
	Networks    []networkRow
}

type networkRow struct {
	Network      string
	Since, Until time.Time
	Used         time.Time // zero: never
}

// decisionRow is one decision to ask for the second step.
type decisionRow struct {
	At                       time.Time
	Reason, Browser, Network string
	OldBrowser, OldNetwork   string // of the nearest trust record; "": there was none
	Trace                    string
}

func (s *Handlers) devicesView(p devicesPage) render.View {
	p.Days = s.Devices.TrustDays()
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
			row.Networks = append(
				row.Networks,
				networkRow{
					networkText(localizer, place.ClientNetwork), place.VerifiedAt, place.ExpiresAt, place.LastUsedAt,
				},
			)
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
	return s.render(w, r, s.devicesView(p))
}

// newDecisionRow returns a decision for the owner of the account, who may see earlier networks.
func (s *Handlers) newDecisionRow(w i18n.Localizer, d device.DecisionRecord) decisionRow {
	row := decisionRow{
		At:      d.At,
		Trace:   d.Trace,
		Browser: origin.DescribeBrowser(d.Request.Browser, w.Tag()),
		Network: networkText(w, trust.NetworkOf(d.Request.Address)),
	}
	why := challenge.StepReason{Reason: d.Reason}
	if old, ok := d.NearestRecord(); ok {
		why.VerifiedAt = old.VerifiedAt
		row.OldBrowser, row.OldNetwork = origin.DescribeBrowser(old.Browser, w.Tag()), networkText(w, old.Network)
	}
	row.Reason = s.reasonText(w, why)
	return row
}

// networkText returns a network for people, or a text that says it is unknown.
func networkText(w i18n.Localizer, p trust.ClientNetwork) string {
	return origin.DescribeAddress(p.String(), w.Tag())
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
