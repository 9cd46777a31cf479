package render

import (
	"net/http"

	"twostep.example/twostep/internal/origin"
)

// Origin returns where a request comes from: address, browser, language and the cookie of the device.
func (p *Renderer) Origin(r *http.Request) origin.Origin {
	from := p.Origins.Resolve(r)
	from.Language, from.DeviceToken = p.Localizer(r).Tag(), p.Cookie(r, DeviceCookie)
	return from
}
