package forwardauth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// authDecision is the result of grant.AuthRequest.NextStep for a request to a host.
type authDecision struct {
	grant.AuthProgress
	grant     string // id of the grant of the host's cookie
	step      grant.AuthStep
	errorCode string
}

// hostScopes returns the scope that a host gets; it is shown on the consent page.
func hostScopes() []string { return []string{"email", "profile", "groups"} }

// respond decides about a request and answers the proxy.
func (a *Authorizer) respond(
	w http.ResponseWriter, r *http.Request, cl client.Client, req proxiedRequest, basis grant.Basis,
) error {
	d, err := a.decide(r, cl, req)
	switch {
	case err != nil:
		return err
	case d.step == grant.StepIssueCode:
		headers := newIdentityHeaders(d.AuthProgress, cl.HeaderEncoding)
		basis = a.Grants.OfSession(basis, d.AuthProgress, d.grant, a.Sessions.UseInterval())
		a.cache.put(a.cacheKeyFor(r, req), &cacheEntry{basis, headers}, a.Grants.Now())
		a.Grants.Clients.RecordUse(cl.ID) // what the cache answers is not noted: an entry is valid for a minute at most
		headers.write(w)
		return nil
	case isPublic(cl, r, req):
		new(identityHeaders).write(w) // also if somebody is signed in and may not use the app
		return nil
	case d.step == grant.StepError:
		if d.Session != nil && req.isNavigation(r) { // one event per page, not one for each image
			if err := a.Grants.Deny(r.Context(), *d.Session, cl.ID, d.errorCode, a.Pages.Origin(r)); err != nil {
				return err
			}
		}
		return a.writeDenied(w, r, cl, d.errorCode)
	case !req.noRedirect && req.isForm(r):
		return a.writeEnded(w, r, req)
	case req.noRedirect || !req.isNavigation(r):
		return a.writeText(w, r, http.StatusUnauthorized, "forward.signin")
	}
	return a.redirectToSignIn(w, r, req)
}

// decide returns the next step until the browser may use the host.
func (a *Authorizer) decide(r *http.Request, cl client.Client, req proxiedRequest) (d authDecision, err error) {
	who, id, err := a.hostSession(r, cl, req)
	if err != nil {
		return d, err
	}
	d.grant = id
	request := grant.AuthRequest{
		ClientID:    cl.ID,
		RedirectURI: req.redirectURI(),
		Scope:       hostScopes(),
		RequestedAt: a.Grants.Now(),
	}
	if d.AuthProgress, err = a.Grants.LoadAuthProgress(r.Context(), request, who); err != nil {
		return d, err
	}
	d.step, d.errorCode = request.NextStep(d.AuthProgress)
	return d, nil
}

// hostSession returns the session behind the host's cookie and the id of the cookie's grant, or nil if there is
// no live session.
func (a *Authorizer) hostSession(
	r *http.Request, cl client.Client, req proxiedRequest,
) (who *session.Session, id string, err error) {
	token := a.Pages.Cookie(r, render.ForwardAuthSessionCookie)
	if token == "" {
		return nil, "", nil
	}
	g, found, err := a.Grants.FindHostSession(r.Context(), a.Sessions, token)
	if errors.Is(err, grant.ErrInvalid) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	if g.ClientID != cl.ID || g.RedirectURI() != req.redirectURI() {
		return nil, "", nil // the cookie belongs to another host
	}
	return &found, g.ID, nil
}

// identityHeaders are the values of the response headers with the person's data. All of them are always present, if
// necessary empty, so that a proxy that copies them replaces forged ones of the client.
type identityHeaders [len(identityHeaderNames)]string

var identityHeaderNames = [...]string{
	"Remote-User", "Remote-Email", "Remote-Name", "Remote-Groups", "Remote-Amr", "Remote-Acr",
}

func newIdentityHeaders(p grant.AuthProgress, encoding string) identityHeaders {
	who := p.Session.Account
	groups := make([]string, len(who.Groups))
	for i, group := range who.Groups {
		groups[i] = encodeHeader(encoding, group)
	}
	return identityHeaders{
		stripControl(p.Subject), encodeHeader(encoding, who.Email), encodeHeader(encoding, who.Name),
		strings.Join(groups, ","), strings.Join(p.Session.AMR, " "), p.Session.Level().ACR(),
	}
}

func (h *identityHeaders) write(w http.ResponseWriter) {
	header := w.Header()
	for i, name := range identityHeaderNames {
		header[name] = h[i : i+1 : i+1] // shared by all requests, so nobody may change or extend it
	}
	w.WriteHeader(http.StatusOK)
}

// encodeHeader encodes a value of an identity header, as Client.HeaderEncoding says.
func encodeHeader(encoding, text string) string {
	text = stripControl(strings.ToValidUTF8(text, ""))
	switch encoding {
	case client.HeaderPercent:
		var b strings.Builder
		for _, c := range []byte(text) {
			if ' ' <= c && c < 0x7f && c != '%' {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
		return b.String()
	case client.HeaderRFC2047:
		// A person may choose a name that looks like an encoded word: it is encoded again.
		if !strings.Contains(text, "=?") && !strings.ContainsFunc(text, func(r rune) bool { return r >= 0x7f }) {
			return text
		}
		return encodedWords(text)
	}
	return text
}

// encodedWords encodes text as encoded words (RFC 2047 2), which have at most 75 characters each and end between
// characters of the text.
func encodedWords(text string) string {
	const maxBytes = 45 // 60 in base64
	var words []string
	for len(text) > 0 {
		end := min(maxBytes, len(text))
		for end < len(text) && !utf8.RuneStart(text[end]) {
			end--
		}
		words = append(words, "=?UTF-8?B?"+base64.StdEncoding.EncodeToString([]byte(text[:end]))+"?=")
		text = text[end:]
	}
	return strings.Join(words, " ")
}

// stripControl removes control characters, which could end a header line.
func stripControl(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return -1
		}
		return c
	}, text)
}

// writeDenied responds to a person who is signed in and may not use the client.
func (a *Authorizer) writeDenied(w http.ResponseWriter, r *http.Request, cl client.Client, errorCode string) error {
	key := "forward.denied"
	if errorCode == "unmet_authentication_requirements" {
		key = "forward.unmet"
	}
	return a.writeText(w, r, http.StatusForbidden, key, "App", cl.DisplayName())
}
