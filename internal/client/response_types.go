package client

import (
	"slices"
	"strings"
)

// Values of response_type (OAuth 2.0 Multiple Response Type Encoding Practices 3 and 5). No other is supported: an
// access token is never sent through the browser (RFC 9700 2.1.2).
const (
	ResponseTypeCode        = "code"
	ResponseTypeIDToken     = "id_token"      // the implicit flow of OpenID Connect Core 3.2, without an access token
	ResponseTypeCodeIDToken = "code id_token" // the hybrid flow of OpenID Connect Core 3.3, without an access token
)

// ParseResponseType returns text with its words in the order of the constants. It returns "" if it is none of them.
func ParseResponseType(text string) string {
	words := strings.Fields(text)
	slices.Sort(words)
	known := []string{ResponseTypeCode, ResponseTypeIDToken, ResponseTypeCodeIDToken}
	if sorted := strings.Join(words, " "); slices.Contains(known, sorted) {
		return sorted
	}
	return ""
}

// AllowsResponseType reports whether the client may use a response type that ParseResponseType has returned. Every
// client may use code.
func (c Client) AllowsResponseType(responseType string) bool {
	return responseType == ResponseTypeCode || slices.ContainsFunc(c.ResponseTypes, func(one string) bool {
		return ParseResponseType(one) == responseType
	})
}

func (c Client) validateResponseTypes() error {
	for _, one := range c.ResponseTypes {
		switch ParseResponseType(one) {
		case "":
			return c.validationError("response_types", "response", "What", quote(one))
		case ResponseTypeCode: // always allowed
		default:
			if c.InsecureHTTP { // OpenID Connect Core 3.2.2.1
				return c.validationError("response_types", "response.http", "What", quote(one))
			}
		}
	}
	return nil
}
