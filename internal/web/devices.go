package web

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/challenge"
	"twostep.example/twostep/internal/device"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/page"
	"twostep.example/twostep/internal/trust"
)

type devicesPage struct {
	Days      int // that trust lasts; 0: it is switched off
	Devices   []deviceRow
	Questions []questionRow
	Now       string // what the next sign-in in this browser would do, and why
}

type deviceRow struct {
	ID, Browser string
	This        bool
	Places      []placeRow
}

type placeRow struct {
	Place        string
	Since, Until time.Time
	Used         time.Time // zero: never
}

// questionRow is one time that the second step was asked for.
type questionRow struct {
	At                   time.Time
	Why, Browser, Place  string
	OldBrowser, OldPlace string // "": there was none
	Trace                string
}

func (s *Site) devicesSheet(w i18n.Words, p devicesPage) page.Sheet {
	p.Days = s.Devices.Days()
	return page.Sheet{Name: "devices", Title: "devices.title", Wide: true, Page: p}
}

func (s *Site) showDevices(w http.ResponseWriter, r *http.Request, who person) error {
	words := s.Pages.Words(r)
	var p devicesPage
	devices, err := s.Devices.Trusted(r.Context(), who.Owner())
	if err != nil {
		return err
	}
	for _, d := range devices {
		row := deviceRow{ID: d.ID, Browser: origin.DescribeBrowser(d.Browser, words.Tag()), This: d.This}
		for _, place := range d.Places {
			row.Places = append(row.Places, placeRow{network(words, place.Place), place.Since, place.Until, place.Used})
		}
		p.Devices = append(p.Devices, row)
	}
	questions, err := s.Devices.Questions(r.Context(), who.Owner())
	if err != nil {
		return err
	}
	for _, q := range questions {
		p.Questions = append(p.Questions, s.question(words, q))
	}
	return s.print(w, r, s.devicesSheet(words, p))
}

// question is a decision for its owner, who may know where they have been.
func (s *Site) question(w i18n.Words, d device.Decision) questionRow {
	row := questionRow{At: d.At, Trace: d.Trace, Browser: origin.DescribeBrowser(d.Request.Browser, w.Tag()), Place: network(w, trust.At(d.Request.Address))}
	why := challenge.StepReason{Reason: d.Reason}
	if old, ok := d.Old(); ok {
		why.VerifiedAt = old.Verified
		row.OldBrowser, row.OldPlace = origin.DescribeBrowser(old.Browser, w.Tag()), network(w, old.Place)
	}
	row.Why = s.why(w, why)
	return row
}

// network is a place for its owner, "unknown" where addresses are not looked at.
func network(w i18n.Words, p trust.Place) string { return origin.DescribeAddress(p.String(), w.Tag()) }

// forgetDevice ends trust in one browser; the engine asks whose it is.
func (s *Site) forgetDevice(w http.ResponseWriter, r *http.Request, who person) error {
	if _, err := page.Form(w, r); err != nil {
		return err
	}
	if err := s.Devices.ForgetDevice(r.Context(), who.Owner(), r.PathValue("id"), s.Pages.From(r)); err != nil {
		return err
	}
	return redirect(w, r, "/settings/devices")
}

func (s *Site) forgetDevices(w http.ResponseWriter, r *http.Request, who person) error {
	if _, err := page.Form(w, r); err != nil {
		return err
	}
	if err := s.Devices.ForgetDevices(r.Context(), who.Owner(), s.Pages.From(r)); err != nil {
		return err
	}
	return redirect(w, r, "/settings/devices")
}
