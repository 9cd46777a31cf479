package i18n

import (
	"testing"
	"time"
)

// Dates are in the words of the language, in the zone of the time.
func TestDatesByLanguage(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	winter := time.Date(2026, 11, 28, 15, 4, 59, 0, berlin)
	summer := time.Date(2026, 5, 3, 0, 7, 0, 0, berlin)
	march := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	tokyo := time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", 9*3600))
	for _, c := range []struct {
		tag  string
		at   time.Time
		full string
		date string
		hour string
	}{
		{"en", winter, "28 Nov 2026, 15:04 CET", "28 Nov 2026", "15:04 CET"},
		{"en", summer, "3 May 2026, 00:07 CEST", "3 May 2026", "00:07 CEST"},
		{"en", march, "1 Mar 2026, 09:00 UTC", "1 Mar 2026", "09:00 UTC"},
		{"de", winter, "28. November 2026, 15:04 Uhr (MEZ)", "28. November 2026", "15:04 Uhr (MEZ)"},
		{"de", summer, "3. Mai 2026, 00:07 Uhr (MESZ)", "3. Mai 2026", "00:07 Uhr (MESZ)"},
		{"de", march, "1. März 2026, 09:00 Uhr (UTC)", "1. März 2026", "09:00 Uhr (UTC)"},
		{"de", tokyo, "1. Januar 2026, 00:00 Uhr (+0900)", "1. Januar 2026", "00:00 Uhr (+0900)"},
	} {
		w := ForTag(c.tag)
		for got, want := range map[string]string{
			w.FormatTime(c.at): c.full, w.FormatDate(c.at): c.date, w.FormatHour(c.at): c.hour,
		} {
			if got != want {
				t.Errorf("%s: %q, want %q", c.tag, got, want)
			}
		}
	}
}

// Every month has a name in every language, and no name is read as part of a layout.
func TestMonthsByLanguage(t *testing.T) {
	for _, tag := range languages {
		seen := map[string]bool{}
		for m := time.January; m <= time.December; m++ {
			got := ForTag(tag).FormatDate(time.Date(2026, m, 2, 3, 4, 5, 0, time.UTC))
			seen[got] = true
		}
		if len(seen) != 12 {
			t.Errorf("%s: %d months: %v", tag, len(seen), seen)
		}
	}
}
