package twostep

import (
	"path/filepath"
	"testing"
	"time"

	"twostep.example/twostep/internal/i18n"
)

// The state of a server for operators names each job in every language, and has an alarm for a clock that is behind and
// for messages that wait too long.
func TestHealth(t *testing.T) {
	w := newWalk(t)
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
