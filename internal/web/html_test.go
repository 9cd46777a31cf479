package web

import (
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

// selector is "tag", "tag#id", "tag[attribute]" or "tag#id[attribute=value]"; two of them with a space between mean a
// descendant.
var selector = regexp.MustCompile(
	`^(html|h1|title|input|select|option|button|a|p|form|main|article|dd|small|svg|code|ol)(#[\w-]+)?(\[[\w-]+(=[^\]]*)?\])?( \w+)?$`,
)

func matches(doc *html.Node, want string) bool { return findFirst(doc, want) != nil }

func findFirst(doc *html.Node, want string) *html.Node {
	outer, inner, nested := strings.Cut(want, " ")
	m := selector.FindStringSubmatch(outer)
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != m[1] || m[2] != "" && attr(n, "id") != m[2][1:] {
			continue
		}
		if name, value, given := strings.Cut(strings.Trim(m[3], "[]"), "="); name != "" &&
			(!hasAttr(n, name) || given && attr(n, name) != value) {
			continue
		}
		if !nested {
			return n
		}
		for c := range n.Descendants() {
			if c.Type == html.ElementNode && c.Data == inner {
				return c
			}
		}
	}
	return nil
}

func hasAttr(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// textOf returns the text of a page with single spaces.
func textOf(n *html.Node) string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
