package twostep

import (
	"path/filepath"
	"testing"
	"time"

	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/store"
)

// The state of a server for operators names each job in every language, and has an alarm for a clock that is behind and
// for messages that wait too long.
func TestHealth(t *testing.T) {
	w := newWalk(t)
	w.diskFull = func(string) bool { return false }
	h := w.health(t.Context())
	if h.Database != "SQLite" || len(h.Alarms) != 0 || len(h.Jobs) != len(w.Jobs()) || len(h.Jobs) == 0 {
		t.Errorf("%+v", h)
	}
	for _, lang := range i18n.Languages() {
		for _, j := range h.Jobs {
			if key := "admin.job." + j.Name; i18n.ForTag(lang).Translate(key) == key {
				t.Errorf("%s: no text for the job %s", lang, j.Name)
			}
		}
	}
	o := options(t)
	o.Database, o.NoBackgroundWork = filepath.Join(t.TempDir(), "twostep.db"), true
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	o.Now = func() time.Time { return now }
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.diskFull = func(string) bool { return false }
	if err := s.services.SignIns.Store.AdvanceLatestTime(t.Context(), now.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateAccount(t.Context(), AccountParams{Email: annaEmail, Name: "Anna", Password: annaWord}); err != nil {
		t.Fatal(err)
	}
	if err := s.services.Accounts.RequestPasswordReset(t.Context(), annaEmail, "", here); err != nil {
		t.Fatal(err)
	}
	keys := func() (list []string) {
		for _, a := range s.health(t.Context()).Alarms {
			list = append(list, a.Key)
		}
		return list
	}
	if got := keys(); len(got) != 1 || got[0] != "clock" {
		t.Errorf("the clock is behind: %q", got)
	}
	now = now.Add(6 * time.Minute)
	if got := keys(); len(got) != 1 || got[0] != "waiting" {
		t.Errorf("a message waits: %q", got)
	}
}

// An operator is alarmed 14 days before a certificate ends, and while the disk with the data is nearly full.
func TestHealthOfFiles(t *testing.T) {
	o := options(t)
	o.NoBackgroundWork = true
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	o.Now = func() time.Time { return now }
	var own, mail time.Time
	o.CertificateEnds = func() (time.Time, time.Time) { return own, mail }
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	full := false
	s.diskFull = func(folder string) bool { return full && folder == filepath.Dir(o.Database) }
	for what, c := range map[string]struct {
		own, mail time.Duration // from now; 0: not known
		full      bool
		want      string
	}{
		"nothing":     {},
		"in time":     {own: 14 * 24 * time.Hour, mail: 400 * 24 * time.Hour},
		"own":         {own: 14*24*time.Hour - 1, want: "certificate"},
		"mail server": {mail: -time.Hour, want: "mailcertificate"},
		"disk":        {full: true, want: "disk"},
	} {
		own, mail, full = time.Time{}, time.Time{}, c.full
		if c.own != 0 {
			own = now.Add(c.own)
		}
		if c.mail != 0 {
			mail = now.Add(c.mail)
		}
		alarms := s.health(t.Context()).Alarms
		if c.want == "" && len(alarms) != 0 || c.want != "" && (len(alarms) != 1 || alarms[0].Key != c.want) {
			t.Errorf("%s: %+v, want %q", what, alarms, c.want)
		}
	}
	for _, c := range []struct {
		free, size uint64
		want       bool
	}{{0, 0, false}, {255 << 20, 10 << 30, true}, {400 << 20, 10 << 30, true}, {600 << 20, 10 << 30, false}, {6 << 30, 1 << 40, false}} {
		if got := nearlyFull(c.free, c.size); got != c.want {
			t.Errorf("%d of %d bytes are free: %v", c.free, c.size, got)
		}
	}
}

// What text messages cost is counted by day and month, with and without a daily budget.
func TestTextCosts(t *testing.T) {
	for _, budget := range []int64{0, 1000} {
		o := options(t)
		o.NoBackgroundWork, o.SMSPrice, o.SMSDailyBudget = true, 80, budget
		now := time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)
		o.Now = func() time.Time { return now }
		s, err := New(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, days := range []int{-40, -1, 0, 0} {
			now = time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC).AddDate(0, 0, days)
			err := s.store.Tx(t.Context(), func(tx *store.DB) error {
				return s.services.Challenges.SpendText(t.Context(), tx, "A")
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.deleteExpired(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		if today, month, err := s.services.Challenges.TextCosts(t.Context()); today != 160 || month != 240 || err != nil {
			t.Errorf("budget %d: today %d, this month %d, %v", budget, today, month, err)
		}
	}
}
