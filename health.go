package twostep

import (
	"context"
	"time"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/admin"
)

// maxWaiting is how long a message may wait before operators are alarmed.
const maxWaiting = 5 * time.Minute

// health returns the state of this server for the operators' pages.
func (s *Server) health(ctx context.Context) admin.Health {
	h := admin.Health{Version: s.options.Version, Database: s.store.Name()}
	check := s.checkDatabase(ctx)
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
