package delivery

import (
	"errors"
	"syscall"

	"twostep.example/twostep/internal/egress"
)

// errAddressNotAllowed says that the gateway's host name resolves to an address that is not
// allowed.
var errAddressNotAllowed = errors.New("leads to an address that is not allowed: " +
	"set private if the gateway is in your own network")

// dialControl checks each address right before connecting. Plain http is allowed to private networks
// only.
func (g Gateway) dialControl(scheme string) func(string, string, syscall.RawConn) error {
	control := egress.Control(scheme, g.AllowPrivate)
	return func(network, address string, c syscall.RawConn) error {
		if control(network, address, c) != nil {
			return errAddressNotAllowed
		}
		return nil
	}
}
