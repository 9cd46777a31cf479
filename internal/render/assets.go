package render

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"html/template"
	"io"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
)

//go:embed assets
var assetFiles embed.FS

// asset is an embedded file. Its path holds a hash of the content, so clients can cache it forever.
type asset struct {
	path        string // "/assets/style.0123456789abcdef.css"
	contentType string
	policy      string // Content-Security-Policy; "": the one of every response
	data, gzip  []byte // gzip is nil if it would not be smaller
}

// assets are the embedded files by name ("style.css"), prepared on first use. Only they are compressed: pages hold
// secrets next to what a client sent, which compression would reveal (BREACH, CVE-2013-3587).
var assets = sync.OnceValue(func() map[string]asset {
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // embedded
	}
	all := map[string]asset{}
	for _, e := range entries {
		data, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		all[e.Name()] = newAsset(e.Name(), withoutComments(data))
	}
	return all
})

// contentTypes replaces mime.TypeByExtension, whose answers depend on the operating system.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func newAsset(name string, data []byte) asset {
	sum := sha256.Sum256(data)
	ext := path.Ext(name)
	compressed := compress(data)
	if len(compressed) >= len(data) {
		compressed = nil
	}
	return asset{
		path:        "/assets/" + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:8]) + ext,
		contentType: contentTypes[ext],
		data:        data,
		gzip:        compressed,
	}
}

// smallAsset is the size up to which address returns the asset itself, in bytes.
const smallAsset = 512

// address returns the path of the asset, or the asset itself as a data URL (RFC 2397) if it is small.
func (a asset) address() template.URL {
	if len(a.data) > smallAsset {
		return template.URL(a.path)
	}
	return template.URL("data:" + a.contentType + ";base64," + base64.StdEncoding.EncodeToString(a.data))
}

var commentLines = regexp.MustCompile(`(?m)^\s*(//.*|/\*.*\*/)?\n|^[ \t]+`)

// withoutComments removes what only readers of the source need: indentation, empty lines and lines with a comment.
func withoutComments(data []byte) []byte { return commentLines.ReplaceAll(data, nil) }

func compress(data []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // an error means an unknown level
	_, _ = io.Copy(z, bytes.NewReader(data))              // a bytes.Buffer never fails
	_ = z.Close()
	return b.Bytes()
}

func writeAsset(w http.ResponseWriter, r *http.Request, a asset) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	if a.policy != "" {
		h.Set("Content-Security-Policy", a.policy)
	}
	body := a.data
	if a.gzip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.gzip
	}
	_, _ = w.Write(body)
}
