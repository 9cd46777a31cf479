package twostep

import (
	"context"
	"path/filepath"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/admin"
)

const (
	// maxWaiting is how long a message may wait before operators are alarmed.
	maxWaiting = 5 * time.Minute
	// certificateWarning is how long before the end of a certificate operators are alarmed.
	certificateWarning = 14 * 24 * time.Hour
	// A disk is nearly full if less than minFree bytes are free, or less than lowFree bytes and a twentieth of it.
	minFree, lowFree = 256 << 20, 5 << 30
)

// nearlyFull reports whether a disk of a size is nearly full, in bytes. size 0: not known.
func nearlyFull(free, size uint64) bool {
	return size > 0 && (free < minFree || free < lowFree && free < size/20)
}

// health returns the state of this server for the operators' pages.
func (s *Server) health(ctx context.Context) admin.Health {
	h := admin.Health{Version: s.options.Version, Database: s.store.Name()}
	check := s.checkDatabase(ctx)
	ends := func(at time.Time, key string) {
		if !at.IsZero() && at.Before(s.now().Add(certificateWarning)) {
			h.Alarms = append(h.Alarms, admin.Alarm{Key: key, Time: at, Ends: true})
		}
	}
	alarm := func(on bool, key string, since time.Time) {
		if on {
			h.Alarms = append(h.Alarms, admin.Alarm{Key: key, Time: since})
		}
	}
	guessing, err := s.services.Budgets.SiteAlarm(ctx)
	hooks, hooksErr := s.webhookAlarms(ctx, check.at)
	alarm(check.err != nil || err != nil || hooksErr != nil, "database", time.Time{})
	alarm(guessing, "guessing", time.Time{})
	clockBehind := check.err == nil && check.latest.Sub(check.at) > maxClockError
	alarm(clockState(s.clock.Load()) != clockRight || clockBehind, "clock", time.Time{})
	for _, channel := range []struct {
		of  delivery.Channel
		key string
	}{{delivery.Email, "mail"}, {delivery.SMS, "sms"}} {
		state := s.outbox.Status(channel.of)
		alarm(state.FailedAt.After(state.SentAt), channel.key, state.FailedAt)
	}
	alarm(check.waiting.Count > 0 && check.at.Sub(check.waiting.Oldest) > maxWaiting, "waiting", check.waiting.Oldest)
	alarm(s.pages.ProxyDetector.Found(), "proxy", time.Time{})
	data := s.options.KeyFile
	if s.store.Exclusive() {
		data = s.options.Database
	}
	alarm(s.diskFull(filepath.Dir(data)), "disk", time.Time{})
	if s.options.CertificateEnds != nil {
		own, mail := s.options.CertificateEnds()
		ends(own, "certificate")
		ends(mail, "mailcertificate")
	}
	for _, l := range append(s.outbox.Latencies.List(), s.gateways.List()...) {
		h.Latencies = append(h.Latencies, admin.Latency{Name: l.ID, Messages: l.Messages, P50: l.P50, P95: l.P95})
	}
	h.Alarms = append(h.Alarms, hooks...)
	for _, j := range s.Jobs() {
		h.Jobs = append(h.Jobs, admin.Job{
			Name: j.Name, Runs: j.Runs, Failures: j.Failures, EndedAt: j.EndedAt, Last: j.Last, Longest: j.Longest,
		})
	}
	return h
}

func adminSettings(settings []Setting) []admin.Setting {
	list := make([]admin.Setting, len(settings))
	for i, one := range settings {
		list[i] = admin.Setting(one)
	}
	return list
}
