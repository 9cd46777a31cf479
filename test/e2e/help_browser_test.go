package e2e

import "testing"

// A link to the section of a browser opens it and scrolls to it, with and without JavaScript.
func TestBrowserHelpSectionByLink(t *testing.T) {
	t.Parallel()
	url, _ := startLocal(t)
	for _, l := range []look{light, phone, plain} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			b := browse(t, url, l)
			b.open("/help#safari")
			b.until(`document.getElementById("safari").closest("details").open`)
			b.until(`(r => r.top >= 0 && r.bottom <= innerHeight)(
				document.getElementById("safari").closest("details").querySelector("summary").getBoundingClientRect())`)
			if open := value[int](b, `document.querySelectorAll("details[open]").length`); open != 2 {
				t.Errorf("%d sections are open, want the one of the link and the one of this browser", open)
			}
			b.fits()
		})
	}
}
