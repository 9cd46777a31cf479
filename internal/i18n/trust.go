package i18n

import "time"

// TranslateTime returns a text with a number of days as Count, or its form with hours (the key and ".hours") if d is no
// number of whole days.
func (w Localizer) TranslateTime(key string, d time.Duration, pairs ...any) string {
	const day = 24 * time.Hour
	count := int(d / day)
	if d%day != 0 {
		key, count = key+".hours", int(d/time.Hour)
	}
	return w.Translate(key, append(pairs, "Count", count)...)
}

// FormatDuration returns a duration in words: "30 days", "23 hours" or "15 minutes".
func (w Localizer) FormatDuration(d time.Duration) string {
	if d%time.Hour != 0 {
		return w.Translate("mail.minutes", "Count", int(d/time.Minute))
	}
	return w.TranslateTime("time.days", d)
}
