package oidc

import (
	"errors"
	"net/http"
	"time"

	"twostep.example/twostep/internal/grant"
	"twostep.example/twostep/internal/origin"
	"twostep.example/twostep/internal/render"
	"twostep.example/twostep/internal/session"
)

// The pages after an answer. They say nothing that comes from a request.
const (
	deviceAllowedPath = devicePath + "/allowed"
	deviceDeniedPath  = devicePath + "/denied"
)

// userCodePage is the data of the page on which a person enters the code of a device.
type userCodePage struct {
	UserCode string // of verification_uri_complete, or what was entered
	Complete bool   // the code came with the link: the person must compare it (RFC 8628 3.3.1)
}

// maxUserCode bounds the code of a link, in bytes.
const maxUserCode = 64

// showUserCodeForm asks for the code of a device. The code of a link is shown and does nothing until the person sends
// the form: other sites can open links.
func (p *Provider) showUserCodeForm(w http.ResponseWriter, r *http.Request) error {
	who, err := p.currentSession(r)
	if err == nil && who == nil {
		err = session.ErrNoSession
	}
	if err != nil {
		return err
	}
	code := r.URL.Query().Get("user_code")
	if len(code) > maxUserCode {
		code = ""
	}
	return p.renderUserCodeForm(w, r, render.View{Data: userCodePage{code, code != ""}})
}

func (p *Provider) renderUserCodeForm(w http.ResponseWriter, r *http.Request, view render.View) error {
	view.Templates, view.Template, view.Title, view.Focus = templates(), "usercode", "device.title", "user_code"
	return p.Pages.Render(w, r, view)
}

// submitUserCode begins an authorization request for the device with the code.
func (p *Provider) submitUserCode(w http.ResponseWriter, r *http.Request) error {
	form, err := render.ParseForm(w, r, "user_code")
	if err != nil {
		return err
	}
	who, err := p.currentSession(r)
	if err == nil && who == nil {
		err = session.ErrNoSession
	}
	if err != nil {
		return err
	}
	token, err := p.Grants.EnterUserCode(r.Context(), *who, form["user_code"], p.Pages.Origin(r))
	if errors.Is(err, grant.ErrInvalid) {
		return p.renderUserCodeForm(w, r, render.View{
			Status:   http.StatusUnprocessableEntity,
			Problems: []render.Problem{{Field: "user_code", Key: "device.wrong"}},
			Data:     userCodePage{UserCode: form["user_code"]},
		})
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, grant.ContinueURL(token))
}

// deviceConsentPage is the data of the page that asks whether a device may act for the person.
type deviceConsentPage struct {
	consentPage
	UserCode string
	Address  string // of the device
	AskedAt  time.Time
}

// showDeviceConsent shows what asks, from where, and the code to compare.
func (p *Provider) showDeviceConsent(w http.ResponseWriter, r *http.Request, s pendingStep) error {
	waiting, err := p.Grants.GetWaitingDevice(r.Context(), s.request)
	if errors.Is(err, grant.ErrInvalid) {
		return p.showDeviceOver(w, r)
	}
	if err != nil {
		return err
	}
	words := p.Pages.Localizer(r)
	page := deviceConsentPage{
		consentPage: consentPage{
			ClientName:   s.progress.Client.DisplayName(),
			Email:        s.progress.Session.Account.Email,
			ScopeKeys:    scopeKeys(s.request),
			RequestToken: s.requestToken,
			SID:          p.Grants.SID(s.progress.Session.ID, s.request.ClientID),
		},
		UserCode: waiting.UserCode,
		Address:  origin.DescribeAddress(waiting.Address, words.Tag()),
		AskedAt:  waiting.AskedAt,
	}
	return p.Pages.Render(w, r, render.View{
		Templates: templates(),
		Template:  "device",
		TitleText: words.Translate("device.consent.title", "App", page.ClientName),
		Data:      page,
	})
}

// showDeviceOver tells the person that the code of the device has expired or was answered.
func (p *Provider) showDeviceOver(w http.ResponseWriter, r *http.Request) error {
	return p.Pages.Render(w, r, render.View{
		Templates: templates(),
		Template:  "stray",
		Status:    http.StatusBadRequest,
		Title:     "oidc.over.title",
		Data:      "device.over",
	})
}

// answerDevice handles the form of the page of showDeviceConsent. Before a device is allowed, everything that the app
// requires is checked again, and if another person has signed in since, they are asked.
func (p *Provider) answerDevice(
	w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, who session.Session, form render.FormValues,
) error {
	answer, page := p.Grants.DenyDevice, deviceDeniedPath
	if form["answer"] == "allow" {
		answer, page = p.Grants.AllowDevice, deviceAllowedPath
		progress, err := p.Grants.LoadAuthProgress(r.Context(), authReq, &who)
		if err != nil {
			return err
		}
		step, _ := authReq.NextStep(progress)
		if step != grant.StepConsent || form["session"] != p.Grants.SID(who.ID, authReq.ClientID) {
			return seeOther(w, r, grant.ContinueURL(form["request"]))
		}
	}
	err := answer(r.Context(), authReq, who, p.Pages.Origin(r))
	if errors.Is(err, grant.ErrInvalid) {
		return p.showDeviceOver(w, r)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, page)
}

// refuseDevice answers the device of a person who may not use the app, and tells the person.
func (p *Provider) refuseDevice(
	w http.ResponseWriter, r *http.Request, authReq grant.AuthRequest, who session.Session, code string,
) error {
	err := p.Grants.DenyDevice(r.Context(), authReq, who, p.Pages.Origin(r))
	if errors.Is(err, grant.ErrInvalid) {
		return p.showDeviceOver(w, r)
	}
	if err != nil {
		return err
	}
	text := "device.refused"
	if code == "unmet_authentication_requirements" {
		text = "device.refused.level"
	}
	return p.Pages.Render(w, r, render.View{
		Templates: templates(),
		Template:  "stray",
		Status:    http.StatusForbidden,
		Title:     "device.denied.title",
		Data:      text,
	})
}

// showDeviceAnswer returns the handler of a page after an answer. key is the prefix of its text keys.
func (p *Provider) showDeviceAnswer(key string) render.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return p.Pages.Render(w, r, render.View{
			Templates: templates(),
			Template:  "stray",
			Title:     key + ".title",
			Data:      key + ".text",
		})
	}
}
