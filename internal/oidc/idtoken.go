package oidc

import (
	"net/http"
	"time"

	"twostep.example/twostep/internal/client"
	"twostep.example/twostep/internal/grant"
)

// idTokenFor is what an ID token is bound to. Of code and accessToken it has those that are sent beside it.
type idTokenFor struct{ nonce, code, accessToken string }

// signIDToken returns an ID token (OpenID Connect Core 2, 3.1.3.6, 3.3.2.11).
func (p *Provider) signIDToken(
	r *http.Request, cl client.Client, g grant.Grant, bound idTokenFor,
) (string, error) {
	claims, err := p.userInfoClaims(r, cl, g)
	if err != nil {
		return "", err
	}
	cl.SelectForIDToken(claims)
	now := p.Grants.Now()
	claims["iss"], claims["aud"] = p.Grants.Issuer, cl.ID
	claims["iat"], claims["exp"] = now.Unix(), p.idTokenEnd(cl, g, now).Unix()
	claims["auth_time"], claims["acr"], claims["amr"], claims["sid"] = g.AuthTime.Unix(), g.ACR(), g.AMR,
		p.Grants.SID(g.SessionID, cl.ID)
	setClaim(claims, "nonce", bound.nonce)
	setClaim(claims, "at_hash", grant.HashForIDToken(cl, bound.accessToken))
	setClaim(claims, "c_hash", grant.HashForIDToken(cl, bound.code))
	return p.Grants.SignJWT(r.Context(), cl.SigningAlg(), grant.IDTokenType, claims)
}

// setClaim sets a claim unless its value is "".
func setClaim(claims map[string]any, name, value string) {
	if value != "" {
		claims[name] = value
	}
}

// idTokenEnd returns when an ID token ends that is signed now: with its grant at the latest, because it cannot be
// revoked.
func (p *Provider) idTokenEnd(cl client.Client, g grant.Grant, now time.Time) time.Time {
	if end := now.Add(cl.IDTokenLifetime()); end.Before(g.ExpiresAt) {
		return end
	}
	return g.ExpiresAt
}

// userInfoClaims returns the sub claim, the claims of the grant's scope (OpenID Connect Core 5.4) by the names that the
// client has for them, and the client's own claims.
func (p *Provider) userInfoClaims(r *http.Request, cl client.Client, g grant.Grant) (map[string]any, error) {
	subject, err := p.Grants.Subject(r.Context(), cl, g.AccountID)
	if err != nil {
		return nil, err
	}
	who, err := p.Grants.GetUserInfo(r.Context(), g)
	if err != nil {
		return nil, err
	}
	claims := map[string]any{"sub": subject}
	if g.HasScope("email") {
		claims["email"], claims["email_verified"] = who.Email, true
	}
	if g.HasScope("profile") {
		claims["updated_at"] = who.ChangedAt.Unix()
		setClaim(claims, "name", who.Name)
		setClaim(claims, "given_name", who.GivenName)
		setClaim(claims, "family_name", who.FamilyName)
	}
	if g.HasScope("profile") && g.HasScope("email") {
		claims["preferred_username"] = who.Email // many clients name people by it
	}
	if g.HasScope("groups") {
		claims["groups"] = p.mapGroups(cl, who.Groups)
	}
	cl.MapClaims(claims)
	return claims, nil
}

// mapGroups returns the client's names of the groups. The log says once which groups are dropped.
func (p *Provider) mapGroups(cl client.Client, groups []string) []string {
	mapped, dropped := cl.MapGroups(groups)
	for _, group := range dropped {
		if _, logged := p.droppedGroups.LoadOrStore([2]string{cl.ID, group}, true); !logged {
			p.Grants.Log.Warn("group not sent to an app: other groups are mapped to its name", "app", cl.ID, "group", group,
				"remedy", "rename the group, or map it too")
		}
	}
	return mapped
}
