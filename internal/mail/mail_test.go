package mail

import (
	"bytes"
	"image"
	"image/png"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"twostep.example/twostep/delivery"
	"twostep.example/twostep/internal/brand"
)

func testBrand(t *testing.T, width, height int) brand.Brand {
	t.Helper()
	var logo bytes.Buffer
	if err := png.Encode(&logo, image.NewNRGBA(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	b, err := brand.New(brand.Config{
		Logo: logo.Bytes(), Color: "#fff2a0", Support: "https://example.com/help", Footer: "Example Ltd\nLondon",
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func testMessage() delivery.Message {
	return delivery.Message{
		ID: "M1", Channel: delivery.Email, To: "ann@example.org", Language: "de", Subject: "012345 ist Ihr <Code>",
		Text: "Ihr Code für <Example>:\n\n012345\n\nGilt bis 15:04.\n\nÖffnen:\nhttps://signin.example.com/a#b\n\nEins\nZwei\n",
	}
}

func layoutOf(b brand.Brand) Layout {
	return Layout{Site: "Example <b> & Söhne", PublicURL: "https://signin.example.com", Brand: b}
}

// texts returns the texts of the elements with a name.
func texts(t *testing.T, page, element string) (all []string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != element {
			continue
		}
		var text strings.Builder
		for c := range n.Descendants() {
			if c.Type == html.TextNode {
				text.WriteString(c.Data)
			}
		}
		all = append(all, strings.TrimSpace(text.String()))
	}
	return all
}

// The HTML part says what the text says, in its language, and nothing is loaded when it is read.
func TestApply(t *testing.T) {
	m := layoutOf(testBrand(t, 64, 64)).Apply(testMessage())
	for name, want := range map[string]string{
		"title": "012345 ist Ihr <Code>", "h1": "Ihr Code für <Example>", "span": "012345",
	} {
		if got := texts(t, m.HTML, name); len(got) != 1 || got[0] != want {
			t.Errorf("<%s> has %q, want %q", name, got, want)
		}
	}
	if got := strings.Join(texts(t, m.HTML, "p"), "|"); got != "Gilt bis 15:04.|Eins\nZwei" {
		t.Errorf("paragraphs %q", got)
	}
	if got := strings.Join(texts(t, m.HTML, "a"), "|"); got != "Öffnen|example.com/help" {
		t.Errorf("links %q", got)
	}
	for _, want := range []string{
		`<html lang="de"`, `<meta name="color-scheme" content="light dark">`, "prefers-color-scheme: dark",
		`href="https://signin.example.com/a#b"`, `href="https://example.com/help"`, "<!--[if mso]><table", `width="600"`,
		`src="cid:logo.`, `>Gilt bis 15:04. Eins Zwei</div>`, "Example Ltd<br>\nLondon", "#fff2a0", `bgcolor="#ffffff"`,
		"Example &lt;b&gt; &amp; Söhne", "Brauchen Sie Hilfe? Wenden Sie sich an",
	} {
		if !strings.Contains(m.HTML, want) {
			t.Errorf("no %s in\n%s", want, m.HTML)
		}
	}
	if not := regexp.MustCompile(`src="[^c]|url\(|<script|<link|<b>|<Code>|<Example>|flex|grid`).FindString(m.HTML); not != "" {
		t.Errorf("has %q", not)
	}
	want := testMessage().Text + "\nBrauchen Sie Hilfe? Wenden Sie sich an https://example.com/help\n\n-- \nExample Ltd\nLondon\n"
	if m.Text != want {
		t.Errorf("text\n%s\nwant\n%s", m.Text, want)
	}
	if len(m.Inline) != 1 || m.Inline[0].ContentType != "image/png" ||
		!strings.Contains(m.HTML, `src="cid:`+m.Inline[0].ID+`"`) {
		t.Errorf("inline %+v", m.Inline)
	}
}

// Without a brand the text stays as it is, and the name stands where the logo would be.
func TestApplyWithoutBrand(t *testing.T) {
	m := layoutOf(brand.Brand{}).Apply(testMessage())
	if m.Text != testMessage().Text || len(m.Inline) != 0 || strings.Contains(m.HTML, "<img") ||
		!strings.Contains(m.HTML, "Example &lt;b&gt; &amp; Söhne") {
		t.Errorf("%+v", m)
	}
}

// A logo that has the name is not beside it, and its alternative text is the name.
func TestWideLogoReplacesTheName(t *testing.T) {
	m := layoutOf(testBrand(t, 300, 50)).Apply(testMessage())
	if !strings.Contains(m.HTML, `width="240" height="40" alt="Example &lt;b&gt; &amp; Söhne"`) ||
		strings.Count(m.HTML, "Example &lt;b&gt;") != 1 {
		t.Error(m.HTML)
	}
}

// Text messages, and mails whose method wrote its own HTML, stay as they are.
func TestApplyLeavesOthersAlone(t *testing.T) {
	sms, own := testMessage(), testMessage()
	sms.Channel, own.HTML = delivery.SMS, "<p>mine"
	for _, m := range []delivery.Message{sms, own} {
		if got := layoutOf(testBrand(t, 64, 64)).Apply(m); got.HTML != m.HTML || got.Text != m.Text || got.Inline != nil {
			t.Errorf("%+v", got)
		}
	}
}

// Only links of the site become buttons, so that a value in a text cannot lead people elsewhere.
func TestOnlyOwnLinksAreButtons(t *testing.T) {
	for _, url := range []string{
		"https://evil.example/", "https://signin.example.com.evil.example/", "https://signin.example.com",
		"http://signin.example.com/", "javascript:alert(1)", "https://signin.example.com/ x",
	} {
		m := testMessage()
		m.Text = "Hello\n\nOpen:\n" + url + "\n"
		if got := texts(t, layoutOf(brand.Brand{}).Apply(m).HTML, "a"); len(got) != 0 {
			t.Errorf("%s is a link: %q", url, got)
		}
	}
}

// Only colors, the logo and the comments for Outlook are not escaped by the template engine.
func TestOnlyOwnValuesAreNotEscaped(t *testing.T) {
	unescaped := regexp.MustCompile(`\{\{[^{}]*\b(css|cid|mso)\b[^{}]*\}\}`)
	own := regexp.MustCompile(`^\{\{(\$?\.(Light|Dark)\.\w+ \| css|\. \| cid|mso "\w+")\}\}$`)
	all := unescaped.FindAllString(layoutText, -1)
	for _, action := range all {
		if !own.MatchString(action) {
			t.Errorf("%s is not escaped", action)
		}
	}
	if len(all) < 10 || strings.Count(layoutText, "with .LogoURL") != 1 {
		t.Errorf("only %d actions found", len(all))
	}
}

// A language that there are no texts in becomes English.
func TestApplyWithUnknownLanguage(t *testing.T) {
	m := testMessage()
	m.Language = "xx"
	if got := layoutOf(brand.Brand{}).Apply(m); got.Language != "en" || !strings.Contains(got.HTML, `lang="en"`) {
		t.Errorf("%s\n%s", got.Language, got.HTML)
	}
}
