package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// newRequest builds the request that sends m.
func (g Gateway) newRequest(ctx context.Context, m Message) (*http.Request, error) {
	fields := make(map[string]any, len(g.Fields)+len(g.CallbackFields))
	values := g.placeholderReplacer(m)
	expandFields(fields, g.Fields, values)
	if g.CallbackURL != "" {
		expandFields(fields, g.CallbackFields, values)
	}
	u, err := url.Parse(g.URL)
	if err != nil {
		return nil, errors.New("url: cannot be read")
	}
	var body []byte
	kind := ""
	switch g.Encoding {
	case EncodingJSON:
		kind = "application/json"
		if body, err = json.Marshal(fields); err != nil {
			return nil, errors.New("fields: cannot be JSON")
		}
	case EncodingQuery:
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+formValues(fields).Encode(), "&")
	default:
		kind = "application/x-www-form-urlencoded"
		body = []byte(formValues(fields).Encode())
	}
	method := g.Method
	if method == "" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("method or url: cannot be used")
	}
	r.Header.Set("User-Agent", "Twostep")
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for name, value := range g.Header {
		value = values.Replace(value)
		if strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("header %s: a value has several lines", name)
		}
		r.Header.Set(name, value)
	}
	g.setAuthorization(r, body)
	return r, nil
}

func (g Gateway) setAuthorization(r *http.Request, body []byte) {
	switch g.Auth {
	case AuthBasic:
		r.SetBasicAuth(g.User, g.Secret)
	case AuthBearer:
		r.Header.Set("Authorization", "Bearer "+g.Secret)
	case AuthSigV4:
		awsCredentials{g.User, g.Secret, g.Region, g.Service}.sign(r, body, g.now())
	}
}

// placeholderReplacer returns a Replacer that replaces each placeholder once: placeholders within
// values stay as they are.
func (g Gateway) placeholderReplacer(m Message) *strings.Replacer {
	return strings.NewReplacer(
		"{to}", m.To, "{digits}", strings.TrimPrefix(m.To, "+"), "{text}", m.Text, "{id}", m.ID,
		"{from}", g.From, "{user}", g.User, "{secret}", g.Secret, "{callback}", g.receiptURL(m.ID))
}

func expandFields(to, from map[string]any, values *strings.Replacer) {
	for name, value := range from {
		if filled := expandPlaceholders(value, values); filled != nil {
			to[name] = filled
		}
	}
}

// expandPlaceholders returns value with its placeholders replaced, or nil if value is one
// placeholder whose value is empty.
func expandPlaceholders(value any, values *strings.Replacer) any {
	switch v := value.(type) {
	case string:
		text := values.Replace(v)
		if text == "" && regexp.MustCompile(`^\{[a-z]+\}$`).MatchString(v) {
			return nil
		}
		return text
	case []any:
		all := make([]any, 0, len(v))
		for _, one := range v {
			if one = expandPlaceholders(one, values); one != nil {
				all = append(all, one)
			}
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(v))
		expandFields(all, v, values)
		return all
	}
	return value
}

func formValues(fields map[string]any) url.Values {
	all := make(url.Values, len(fields))
	for name, value := range fields {
		all.Set(name, fmt.Sprint(value))
	}
	return all
}
