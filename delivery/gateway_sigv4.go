package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// awsCredentials signs requests with AWS Signature Version 4.
type awsCredentials struct{ accessKeyID, secretAccessKey, region, service string }

// sign sets X-Amz-Date and Authorization. The signature covers the host, the content type, the time
// and the body.
func (k awsCredentials) sign(r *http.Request, body []byte, now time.Time) {
	stamp := now.UTC().Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", stamp)
	headers := map[string]string{"host": r.URL.Host, "x-amz-date": stamp}
	if kind := r.Header.Get("Content-Type"); kind != "" {
		headers["content-type"] = kind
	}
	var names []string
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	var lines strings.Builder
	for _, name := range names {
		lines.WriteString(name + ":" + strings.TrimSpace(headers[name]) + "\n")
	}
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	query := strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20")
	canonical := strings.Join([]string{
		r.Method, path, query, lines.String(), strings.Join(names, ";"), hexSHA256(body),
	}, "\n")
	scope := strings.Join([]string{stamp[:8], k.region, k.service, "aws4_request"}, "/")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hexSHA256([]byte(canonical))}, "\n")
	signature := hex.EncodeToString(hmacSHA256(k.signingKey(stamp[:8]), text))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+k.accessKeyID+"/"+scope+
		", SignedHeaders="+strings.Join(names, ";")+", Signature="+signature)
}

// signingKey derives the key for one day ("20150830"), region and service.
func (k awsCredentials) signingKey(day string) []byte {
	key := []byte("AWS4" + k.secretAccessKey)
	for _, part := range []string{day, k.region, k.service, "aws4_request"} {
		key = hmacSHA256(key, part)
	}
	return key
}

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
