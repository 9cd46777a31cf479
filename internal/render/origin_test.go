package render

import (
	"net/http/httptest"
	"testing"
)

func TestOriginHasLanguageAndDeviceToken(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept-Language", "de")
	r.Header.Set("Cookie", "device=abc")
	got := (&Renderer{}).Origin(r)
	if got.Language != "de" || got.DeviceToken != "abc" {
		t.Errorf("language %q, device token %q, want de, abc", got.Language, got.DeviceToken)
	}
}

func TestUILocalesComeBeforeAcceptLanguage(t *testing.T) {
	p := &Renderer{}
	for _, row := range []struct{ header, locales, want string }{
		{"en", "", "en"}, {"en", "de", "de"}, {"de", "en", "en"}, {"de", "fr", "de"}, {"", "se de en", "de"},
		{"en", "de;q=1", "en"}, {"en", "de,en", "en"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", row.header)
		preferred := WithUILocales(r, row.locales)
		if got := p.Localizer(preferred).Tag(); got != row.want {
			t.Errorf("Accept-Language %q, ui_locales %q: got %s, want %s", row.header, row.locales, got, row.want)
		}
		if got := r.Header.Get("Accept-Language"); got != row.header {
			t.Errorf("ui_locales %q changed the header of the request to %q", row.locales, got)
		}
	}
}
