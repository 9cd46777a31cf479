package render

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxBodyBytes is the largest request body, in bytes. The longest form is a password of 1,024 characters, each sent as
// up to 12 bytes.
const MaxBodyBytes = 64 << 10

// maxFormFields bounds the fields of a form before it is parsed.
const maxFormFields = 64

// FormValues are the fields of a form, each at most once. A field that was not sent is "".
type FormValues map[string]string

// ParseForm reads the named fields from the body of a POST. It returns ErrInvalidForm for any other field, a repeated
// field, a NUL and text that is not UTF-8, ErrContentType for a body that is not a form, and ErrBodyTooLarge. It never
// reads the query, so secrets cannot arrive in a URL.
func ParseForm(w http.ResponseWriter, r *http.Request, fields ...string) (FormValues, error) {
	if err := checkFormContentType(r); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBodyBytes))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, ErrBodyTooLarge
		}
		return nil, fmt.Errorf("%w: %v", ErrInvalidForm, err)
	}
	if strings.Count(string(body), "&") >= maxFormFields {
		return nil, ErrInvalidForm
	}
	sent, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, ErrInvalidForm // without the cause, which quotes the form
	}
	return checkFormFields(sent, fields)
}

func checkFormFields(sent url.Values, fields []string) (FormValues, error) {
	v := FormValues{}
	for name, texts := range sent {
		if !slices.Contains(fields, name) || len(texts) != 1 {
			return nil, ErrInvalidForm
		}
		if !utf8.ValidString(texts[0]) || strings.ContainsRune(texts[0], 0) {
			return nil, ErrInvalidForm
		}
		v[name] = texts[0]
	}
	return v, nil
}

// checkFormContentType returns ErrContentType unless the body is a form in UTF-8. A POST with neither body nor type is
// a form without fields.
func checkFormContentType(r *http.Request) error {
	kind := r.Header.Get("Content-Type")
	if kind == "" && r.ContentLength == 0 {
		return nil
	}
	media, params, err := mime.ParseMediaType(kind)
	if err != nil || media != "application/x-www-form-urlencoded" {
		return ErrContentType
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return ErrContentType
	}
	return nil
}
