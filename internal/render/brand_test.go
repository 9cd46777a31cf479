package render

import (
	"bytes"
	"encoding/base64"
	"html"
	"image"
	"image/png"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"twostep.example/twostep/internal/brand"
)

const testSVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M0 0h24v24z"/></svg>`

func testPNG(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func brandedRenderer(t *testing.T, c brand.Config) *Renderer {
	t.Helper()
	b, err := brand.New(c)
	if err != nil {
		t.Fatal(err)
	}
	p := newTestRenderer(&bytes.Buffer{})
	p.Brand = NewBrand(b)
	return p
}

func get(p *Renderer, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	newTestServer(p).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// The logo is a static file with a policy of its own, and the page shows it by <img>.
func TestLogoIsAStaticFile(t *testing.T) {
	for kind, file := range map[string][]byte{
		"image/svg+xml; charset=utf-8": []byte(testSVG), "image/png": testPNG(t, 64, 64),
	} {
		p := brandedRenderer(t, brand.Config{Logo: file})
		page := get(p, "/fine").Body.String()
		m := regexp.MustCompile(`<header><img src="(/assets/logo\.[0-9a-f]{16}\.(?:svg|png))" width="40" height="40" alt="">Example</header>`).
			FindStringSubmatch(page)
		if m == nil {
			t.Fatalf("no logo in\n%s", page)
		}
		if strings.Contains(page, "<svg") {
			t.Error("the built-in mark is there too")
		}
		w := get(p, m[1])
		h := w.Header()
		if w.Code != 200 || h.Get("Content-Type") != kind || w.Body.String() != string(file) ||
			h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Cache-Control"), "immutable") ||
			h.Get("Content-Security-Policy") != "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'" {
			t.Errorf("%d %v", w.Code, h)
		}
		if w := get(newTestRenderer(&bytes.Buffer{}), m[1]); w.Code != 404 {
			t.Errorf("another site has the logo too: %d", w.Code)
		}
	}
}

// A wide logo is taken to hold the name.
func TestWideLogoHasTheName(t *testing.T) {
	page := get(brandedRenderer(t, brand.Config{Logo: testPNG(t, 300, 60)}), "/fine").Body.String()
	if !regexp.MustCompile(`<header><img src="[^"]+" width="200" height="40" alt="Example"></header>`).MatchString(page) {
		t.Error(page)
	}
}

// The color is in a style sheet with a name of its own, after the rules of every site.
func TestColorIsInTheStyleSheet(t *testing.T) {
	plain := newTestRenderer(&bytes.Buffer{})
	p := brandedRenderer(t, brand.Config{Color: "#fff2a0"})
	path := p.asset("style.css").path
	if path == plain.asset("style.css").path {
		t.Error("two style sheets with one name")
	}
	sheet := get(p, path).Body.String()
	rest, ok := strings.CutPrefix(sheet, string(assets()["style.css"].data))
	if !ok || !strings.Contains(rest, "--button: #fff2a0;") || !strings.Contains(rest, "--on-accent: #000000;") ||
		strings.Contains(rest, "<") || strings.Count(rest, "{") != strings.Count(rest, "}") {
		t.Error(rest)
	}
	if page := get(p, "/fine").Body.String(); !strings.Contains(page, `href="`+path+`"`) || strings.Contains(page, "style=") {
		t.Error(page)
	}
	icon := string(p.asset("icon.svg").data)
	page := html.UnescapeString(get(p, "/fine").Body.String())
	encoded := "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(icon))
	if !strings.Contains(page, `<link rel="icon" href="`+encoded+`">`) {
		t.Error("the icon is not in the page:", page)
	}
	if !strings.Contains(icon, `fill="#fff2a0"`) ||
		!strings.Contains(icon, `stroke="#000000"`) {
		t.Error(icon)
	}
}

// The support contact is at the foot of every page, of errors too.
func TestSupportIsOnEveryPage(t *testing.T) {
	p := brandedRenderer(t, brand.Config{Support: "help@example.com"})
	want := `<footer class="foot">Need help? Contact <a href="mailto:help@example.com">help@example.com</a></footer>`
	for _, path := range []string{"/fine", "/broken", "/no-such-page"} {
		if page := get(p, path).Body.String(); !strings.Contains(page, want) {
			t.Errorf("%s:\n%s", path, page)
		}
	}
	p = brandedRenderer(t, brand.Config{Support: "https://example.com/help?a=1&b=2"})
	if page := get(p, "/fine").Body.String(); !strings.Contains(page, `<a href="https://example.com/help?a=1&amp;b=2">`) {
		t.Error(page)
	}
}

// Without settings, pages and assets are those of a site without a brand.
func TestNoBrandChangesNothing(t *testing.T) {
	plain, empty := newTestRenderer(&bytes.Buffer{}), brandedRenderer(t, brand.Config{})
	if a, b := get(plain, "/fine").Body.String(), get(empty, "/fine").Body.String(); a != b || strings.Contains(a, "footer") ||
		strings.Contains(a, "<img") {
		t.Errorf("%s\n%s", a, b)
	}
	if plain.asset("style.css").path != empty.asset("style.css").path {
		t.Error("another style sheet")
	}
}
