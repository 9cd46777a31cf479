package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"twostep.example/twostep"
	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/brand"
	"twostep.example/twostep/internal/i18n"
	"twostep.example/twostep/internal/mail"
)

// uglyColors are hard to read on white and on black.
var uglyColors = []string{"#fff2a0", "#0a1a4a"}

func logoFile(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 64, 64))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mailKeys are the text keys of all mails.
func mailKeys(t *testing.T) (keys []string) {
	t.Helper()
	data, err := os.ReadFile("../../internal/i18n/words/en.json")
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]any
	if err := json.Unmarshal(data, &texts); err != nil {
		t.Fatal(err)
	}
	for key := range texts {
		if strings.HasPrefix(key, "mail.") && strings.HasSuffix(key, ".text") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// mailPage returns the HTML part of a mail with its images in it.
func mailPage(lang, key string, b brand.Brand) string {
	m := mail.Layout{Site: "Example & Söhne", PublicURL: "https://signin.example.com", Brand: b}.Apply(delivery.Message{
		Channel: delivery.Email, Language: lang, Subject: "012345 is your code",
		Text: i18n.ForTag(lang).Translate(key, "Code", "012345", "Link", "https://signin.example.com/signin/verify#A",
			"Site", "Example & Söhne", "URL", "https://signin.example.com", "Token", "4WQPHJ7QXMKDDPTVFZ2B",
			"Query", "?return_to=%2Foauth2%2Fcontinue%3Frequest%3DU7hWc2Kq0vYdM3nX9sLr5tBz8aQe1gJf",
			"What", "Authenticator App", "Count", 7, "Valid", "15 minutes", "Until", "10:17 UTC", "When", "5 Nov 2026",
			"Browser", "Firefox on Windows", "Address", "203.0.113.5"),
	})
	for _, f := range m.Inline {
		m.HTML = strings.ReplaceAll(m.HTML, "cid:"+f.ID, "data:"+f.ContentType+";base64,"+base64.StdEncoding.EncodeToString(f.Data))
	}
	return m.HTML
}

// The HTML part of every mail passes axe-core's rules in every language, in the light and in the dark, on a desktop and
// on a phone, also with colors that are hard to read. With TWOSTEP_SHOTS=DIR, the pictures are in DIR.
func TestBrowserMails(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(filepath.Join("..", "..", "build", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal("there is no axe-core: run make test, it installs what the tests need")
	}
	brands := map[string]brand.Brand{"": {}}
	for _, c := range uglyColors {
		b, err := brand.New(brand.Config{Logo: logoFile(t), Color: c, Support: "help@example.com", Footer: "Example Ltd\nLondon"})
		if err != nil {
			t.Fatal(err)
		}
		brands[c[1:]] = b
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, mailPage(q.Get("lang"), q.Get("key"), brands[q.Get("brand")]))
	}))
	t.Cleanup(web.Close)
	b := browse(t, web.URL, light)
	for name := range brands {
		for _, lang := range i18n.Languages() {
			for _, key := range mailKeys(t) {
				if name != "" && key != "mail.code.long.text" && key != "mail.email.text" {
					continue // those two have every part that has a color
				}
				b.open("/?lang=" + lang + "&key=" + key + "&brand=" + name)
				for _, l := range []look{dark, phone, light} {
					b.do(l.put())
					b.fits()
					// A mail is part of the page of a mail program, which has the landmarks.
					b.axeBut(string(rules), lang+" "+key+" "+name+", "+l.name, "region", "landmark-one-main")
					b.shoot("mail "+lang+" "+key+" "+name, l)
				}
			}
		}
	}
}

// Pages in colors that are hard to read pass axe-core's rules: sign-in, an error, a wide page, and a page with a list.
func TestBrowserBrand(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(filepath.Join("..", "..", "build", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal("there is no axe-core: run make test, it installs what the tests need")
	}
	for _, c := range uglyColors {
		t.Run(c, func(t *testing.T) {
			t.Parallel()
			url, inboxPath := startBranded(t, twostep.Brand{Logo: logoFile(t), Color: c, Support: "help@example.com"})
			b := browse(t, url, light)
			b.open(inboxPath)
			show := func(situation string) {
				for _, l := range []look{dark, phone, light} {
					b.do(l.put())
					b.fits()
					b.axe(string(rules), situation+" "+c+", "+l.name)
					b.shoot("brand "+situation+" "+c[1:], l)
				}
			}
			for _, path := range []string{"/signin", "/help", "/help/trust", "/inbox"} {
				b.open(path)
				show(strings.ReplaceAll(path[1:], "/", "-"))
			}
			b.open("/no-such-page")
			show("error")
		})
	}
}
