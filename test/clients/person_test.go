package clients

import (
	"cmp"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"twostep.example/twostep/test/e2e/live"
)

// person is Anna with a browser without JavaScript: it follows redirects and sends forms.
type person struct {
	*http.Client
	s     *site
	t     *testing.T
	asked int // how often for a password
}

// person opens a browser that has no cookies.
func (s *site) person() *person {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	// IPv4: the apps of the tests are at 127.0.0.1.
	dial := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	return &person{
		Client: &http.Client{
			Jar: jar, Timeout: patience,
			Transport: &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: common.roots}, DialContext: dial.DialContext, ForceAttemptHTTP2: true,
			},
		}, s: s, t: s.t,
	}
}

// page is what a browser shows.
type page struct {
	url    *url.URL
	status int
	text   string // as it was sent
}

// has says whether the page contains the text.
func (p page) has(text string) bool { return strings.Contains(p.text, text) }

// form is one of a page.
type form struct {
	method string
	action *url.URL
	values url.Values
	auto   bool // sends itself where there is JavaScript
}

// forms are those of the page, with what is in their fields.
func (p page) forms() (all []*form) {
	root, err := html.Parse(strings.NewReader(p.text))
	if err != nil {
		return nil
	}
	var walk func(*html.Node, *form)
	walk = func(n *html.Node, in *form) {
		attr := func(name string) (string, bool) {
			for _, a := range n.Attr {
				if a.Key == name {
					return a.Val, true
				}
			}
			return "", false
		}
		if n.Type == html.ElementNode {
			switch n.Data {
			case "form":
				action, _ := attr("action")
				method, _ := attr("method")
				if to, err := p.url.Parse(action); err == nil {
					in = &form{method: strings.ToUpper(cmp.Or(method, "GET")), action: to, values: url.Values{}}
					_, in.auto = attr("data-go")
					all = append(all, in)
				}
			case "input":
				name, named := attr("name")
				kind, _ := attr("type")
				_, checked := attr("checked")
				value, _ := attr("value")
				if in != nil && named && kind != "submit" && (kind != "checkbox" && kind != "radio" || checked) {
					in.values.Add(name, value)
				}
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, in)
		}
	}
	walk(root, nil)
	return all
}

// send sends a request and follows the redirects.
func (b *person) send(method, address string, values url.Values) page {
	b.t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(values.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{res.Request.URL, res.StatusCode, string(text)}
}

// submit sends a form with these names and values in its fields.
func (b *person) submit(f *form, pairs ...string) page {
	b.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		f.values.Set(pairs[i], pairs[i+1])
	}
	if f.method == http.MethodGet {
		f.action.RawQuery = f.values.Encode()
		return b.send(f.method, f.action.String(), nil)
	}
	return b.send(f.method, f.action.String(), f.values)
}

// open goes to an address. Where the server asks for the password and the code, it enters them. It returns the page to
// which all of this leads.
func (b *person) open(address string) page {
	b.t.Helper()
	return b.on(b.send(http.MethodGet, address, nil))
}

// on goes on from a page as open does.
func (b *person) on(p page) page {
	b.t.Helper()
	n := 0
	for range 10 {
		next := func() bool {
			if !strings.HasPrefix(p.url.String(), b.s.URL) {
				return false
			}
			for _, f := range p.forms() {
				switch {
				case f.auto:
					p = b.submit(f)
				case f.values.Has("password") && p.status == http.StatusOK:
					b.asked++
					n = b.s.Mail.Len()
					p = b.submit(f, "email", live.AnnaEmail, "password", live.AnnaPassword)
				case f.values.Has("code") && p.status == http.StatusOK:
					p = b.submit(f, "code", b.s.Code(n))
				default:
					continue
				}
				return true
			}
			return false
		}
		if !next() {
			return p
		}
	}
	b.t.Fatalf("the pages lead nowhere, lastly to %s", p.url)
	return p
}

// says wants a page of the app that contains the texts.
func (b *person) says(p page, texts ...string) {
	b.t.Helper()
	if !strings.HasPrefix(p.url.String(), b.s.app) {
		b.t.Fatalf("%s answers (%d), not the app\n%s\n%s", p.url, p.status, p.text, b.s.warnings())
	}
	for _, text := range texts {
		if !p.has(text) {
			b.t.Fatalf("%s (%d) does not say %q\n%s\n%s", p.url, p.status, text, p.text, b.s.warnings())
		}
	}
}

// form is the first one of a page that has this field ("": any).
func (b *person) form(p page, field string) *form {
	b.t.Helper()
	for _, f := range p.forms() {
		if field == "" || f.values.Has(field) {
			return f
		}
	}
	b.t.Fatalf("%s (%d) has no form with %q\n%s", p.url, p.status, field, p.text)
	return nil
}

// signedIn says whether the browser has a session at the server.
func (b *person) signedIn() bool {
	b.t.Helper()
	return b.send(http.MethodGet, b.s.URL+"/settings", nil).url.Path == "/settings"
}

// signOut signs out at the server, as the button in the settings does.
func (b *person) signOut() {
	b.t.Helper()
	if b.send(http.MethodPost, b.s.URL+"/signout", nil); b.signedIn() {
		b.t.Fatal("the sign-out does not end the session")
	}
}
