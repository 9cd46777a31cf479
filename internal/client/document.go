package client

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"twostep.example/twostep/internal/seal"
)

// maxDocumentID bounds the URL of a metadata document, in bytes.
const maxDocumentID = 255

// IsDocumentID reports whether a client_id is the URL of a metadata document: such a client is not registered, and says
// there itself what it is (draft-ietf-oauth-client-id-metadata-document). The ID of a registered client has no colon.
func IsDocumentID(id string) bool { return strings.HasPrefix(id, "https://") }

// IsDocument reports whether the client is not registered, but has a metadata document.
func (c Client) IsDocument() bool { return IsDocumentID(c.ID) }

// documentHost returns the host of the URL of a metadata document, which nobody else can have.
func (c Client) documentHost() string {
	u, err := url.Parse(c.ID)
	if err != nil {
		return c.ID
	}
	return u.Host
}

// PathID returns the id for the path of a URL: of a metadata document a hash.
func (c Client) PathID() string {
	if !c.IsDocument() {
		return c.ID
	}
	return base64.RawURLEncoding.EncodeToString(seal.HashToken(c.ID))
}

// ValidateDocumentID checks the URL of a metadata document (the draft, "Client Identifier URL"). It is compared as a
// string, so each document has one URL. The error says what is wrong.
func ValidateDocumentID(id string) error {
	u, err := url.Parse(id)
	switch {
	case len(id) > maxDocumentID:
		return fmt.Errorf("the URL has more than %d characters", maxDocumentID)
	case err != nil || !IsDocumentID(id) || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("the URL is invalid")
	case u.User != nil || strings.ContainsAny(id, `#?\`):
		return errors.New("the URL has a user name, a query, a fragment or a backslash")
	case !hostnamePattern.MatchString(u.Host) || u.Host != strings.ToLower(u.Host) || !strings.Contains(u.Host, "."):
		return errors.New("the URL has a port, capital letters in the host, or no host name")
	case u.Path == "" || u.Path == "/" || u.EscapedPath() != u.Path || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/"):
		return errors.New("the URL has no path, or one that can be written in several ways")
	}
	return nil
}

// ParseDocument returns the public client of a metadata document. Redirect URIs that the host of the document does not
// control are left out: the others have its origin, or are at the device of the person. The error says what is wrong.
func ParseDocument(id string, body []byte) (Client, error) {
	var document struct {
		ClientID     string   `json:"client_id"`
		Name         string   `json:"client_name"`
		RedirectURIs []string `json:"redirect_uris"`
		AuthMethod   string   `json:"token_endpoint_auth_method"`
		GrantTypes   []string `json:"grant_types"`
		Secret       any      `json:"client_secret"`
	}
	if err := ValidateDocumentID(id); err != nil {
		return Client{}, err
	}
	err := json.Unmarshal(body, &document)
	switch {
	case err != nil:
		return Client{}, errors.New("is not a JSON object of client metadata")
	case document.ClientID != id:
		return Client{}, errors.New("has another client_id than its URL")
	case document.Secret != nil || document.AuthMethod != "" && document.AuthMethod != "none":
		return Client{}, errors.New(`has a client_secret, or another token_endpoint_auth_method than "none"`)
	case len(document.GrantTypes) > 0 && !slices.Contains(document.GrantTypes, "authorization_code"):
		return Client{}, errors.New("has grant_types without authorization_code")
	case !isPrintable(document.Name, 64):
		return Client{}, errors.New("has a client_name with more than 64 characters, or with some that are not printable")
	}
	c := Client{ID: id, Name: document.Name, ThirdParty: true, PKCE: PKCERequired}
	for _, address := range document.RedirectURIs {
		u, err := url.Parse(address)
		if err != nil || ValidateRedirectURI(address) != nil || len(c.RedirectURIs) == 20 {
			continue
		}
		if CSPOrigin(address) == "https://"+c.documentHost() || u.Scheme == "http" && isLoopback(u.Hostname()) {
			c.RedirectURIs = append(c.RedirectURIs, address)
		}
	}
	if len(c.RedirectURIs) == 0 {
		return Client{}, errors.New("has no redirect_uris with its own origin, or with http://127.0.0.1 or http://localhost")
	}
	return c, nil
}
