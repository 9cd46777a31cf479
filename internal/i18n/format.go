package i18n

import (
	"strings"
	"time"
)

// FormatTime formats a date and time in the zone of t: "5 Nov 2026, 15:04 CET".
func (w Localizer) FormatTime(t time.Time) string { return w.format("format.time", t) }

// FormatDate formats the date of t: "5 Nov 2026".
func (w Localizer) FormatDate(t time.Time) string { return w.format("format.date", t) }

// FormatSeconds formats the date and the time of day with seconds.
func (w Localizer) FormatSeconds(t time.Time) string { return w.format("format.seconds", t) }

// FormatDay formats the day and the month, short.
func (w Localizer) FormatDay(t time.Time) string { return w.format("format.day", t) }

// FormatHour formats the time of day of t, with its zone: "15:04 CET".
func (w Localizer) FormatHour(t time.Time) string { return w.format("format.hour", t) }

// Stand-ins for the two parts of a layout that package time writes in English only. Layouts have no such characters.
const monthMark, zoneMark = "\x01", "\x02"

// format formats t with the layout of a key, in which "January" is the month in the language, and "MST" the zone.
func (w Localizer) format(key string, t time.Time) string {
	layout := strings.NewReplacer("January", monthMark, "MST", zoneMark).Replace(w.Translate(key))
	months := strings.Fields(w.Translate("format.months"))
	return strings.NewReplacer(monthMark, months[t.Month()-1], zoneMark, w.zone(t)).Replace(t.Format(layout))
}

// zone returns the abbreviation of the zone of t. The key format.zones has those that differ from English: "CET=MEZ".
func (w Localizer) zone(t time.Time) string {
	name := t.Format("MST")
	for _, pair := range strings.Fields(w.Translate("format.zones")) {
		if english, translated, _ := strings.Cut(pair, "="); english == name {
			return translated
		}
	}
	return name
}
