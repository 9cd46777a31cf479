package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"twostep.example/twostep"
)

type appDoctorCommand struct {
	existingAppCommand
}

// Run checks what the app needs, as far as that is possible from this machine, and prints why its requests were
// rejected. It returns an error if a check fails.
func (c *appDoctorCommand) Run(ctx context.Context, to console, from *settingSources) error {
	return c.withApp(ctx, to, from, func(server *twostep.Server, a twostep.App) error {
		rejections, err := server.ListAppRejections(ctx, a.ID)
		if err != nil {
			return err
		}
		d := &appDoctor{out: to.out, client: &http.Client{Timeout: doctorTimeout}}
		d.checkProvider(ctx, server.Issuer(), a)
		d.checkAddresses(ctx, a)
		writeRejections(to.out, a, rejections)
		if d.failed > 0 {
			return fmt.Errorf("%d of the checks of %s failed", d.failed, a.ID)
		}
		return nil
	})
}

// doctorTimeout is how long one check waits for an answer.
const doctorTimeout = 5 * time.Second

// appDoctor writes a line for each check.
type appDoctor struct {
	out    io.Writer
	client *http.Client
	failed int
}

func (d *appDoctor) ok(what string) { fmt.Fprintf(d.out, "ok    %s\n", printable(what)) }
func (d *appDoctor) note(what, detail string) {
	fmt.Fprintf(d.out, "note  %s: %s\n", printable(what), detail)
}

func (d *appDoctor) fail(what string, err error, remedy string) {
	d.failed++
	// The error may quote what another server sent, such as the names in its certificate.
	fmt.Fprintf(d.out, "fail  %s: %s\n      %s\n", printable(what), printable(err.Error()), remedy)
}

// checkProvider checks what the app reads from this server: the metadata (OpenID Connect Discovery 4), the time, and
// the keys of its ID tokens.
func (d *appDoctor) checkProvider(ctx context.Context, issuer string, a twostep.App) {
	if len(a.RedirectURIs) == 0 && a.IsPublic() {
		return // hosts only: the proxy asks this server, and reads no metadata
	}
	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	address := issuer + "/.well-known/openid-configuration"
	header, err := d.get(ctx, address, &metadata)
	switch {
	case err != nil:
		d.fail("discovery "+address, err, "The app reads this address: start the server, and let the name lead to it.")
		return
	case metadata.Issuer != issuer:
		d.fail("discovery "+address, fmt.Errorf("the issuer there is %q", metadata.Issuer),
			"Another server answers, or it runs with another public_url.")
		return
	}
	d.ok("discovery " + address)
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		if off := time.Since(date).Abs(); off > time.Minute {
			d.fail("clock", fmt.Errorf("%s apart from this machine", off.Round(time.Second)),
				"Apps reject ID tokens of a server with a wrong clock: turn on NTP on both.")
		} else {
			d.ok("clock")
		}
	}
	var keys struct {
		Keys []struct {
			Alg string `json:"alg"`
		} `json:"keys"`
	}
	if _, err := d.get(ctx, metadata.JWKSURI, &keys); err != nil {
		d.fail("keys "+metadata.JWKSURI, err, "The app checks ID tokens with the keys at this address.")
		return
	}
	for _, key := range keys.Keys {
		if key.Alg == a.SigningAlg() {
			d.ok("keys " + metadata.JWKSURI + " with " + key.Alg)
			return
		}
	}
	d.fail("keys "+metadata.JWKSURI, fmt.Errorf("there is no key for %s", a.SigningAlg()), "Restart the server.")
}

// get reads a JSON document of up to 1 MB.
func (d *appDoctor) get(ctx context.Context, address string, into any) (http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := d.client.Do(r)
	if err != nil {
		return nil, errors.Unwrap(err) // without the address
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(into); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	return response.Header, nil
}

// checkAddresses checks whether the addresses of the app can be reached from here. It connects and sends no request.
func (d *appDoctor) checkAddresses(ctx context.Context, a twostep.App) {
	var hosts []string
	for _, host := range a.Hosts {
		hosts = append(hosts, "https://"+host)
	}
	checked := map[string]bool{}
	for _, address := range slices.Concat(a.RedirectURIs, a.PostLogoutRedirectURIs, hosts, []string{a.BackChannelLogoutURI}) {
		u, err := url.Parse(address)
		if err != nil || address == "" || checked[address] {
			continue
		}
		checked[address] = true
		ip, _ := netip.ParseAddr(u.Hostname())
		switch {
		case u.Scheme != "http" && u.Scheme != "https":
			d.note(address, "an app on the device of the person opens it, so it cannot be checked from here")
		case u.Hostname() == "localhost" || ip.IsLoopback():
			d.note(address, "it is on the device of the person, so it cannot be checked from here")
		default:
			if err := connect(ctx, u); err != nil {
				d.fail(address, err, remedyForAddress(address, a))
			} else {
				d.ok(address)
			}
		}
	}
}

func remedyForAddress(address string, a twostep.App) string {
	if address == a.BackChannelLogoutURI {
		return "This server must reach the address to tell the app that a session has ended."
	}
	return "Browsers must reach the address. If they do and only this machine does not, nothing is wrong."
}

// connect opens a connection to the host of an http or https URL, and closes it.
func connect(ctx context.Context, u *url.URL) error {
	ctx, stop := context.WithTimeout(ctx, doctorTimeout)
	defer stop()
	port := u.Port()
	if port == "" {
		port = u.Scheme
	}
	dial := (&net.Dialer{}).DialContext
	if u.Scheme == "https" {
		dial = (&tls.Dialer{}).DialContext
	}
	connection, err := dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	return connection.Close()
}

// writeRejections writes why requests of the app were rejected, newest first.
func writeRejections(out io.Writer, a twostep.App, rejections []twostep.AppRejection) {
	if len(rejections) == 0 {
		fmt.Fprintf(out, "\nNo request of %s was rejected in the last 60 days.\n", a.ID)
		return
	}
	fmt.Fprintf(out, "\nRejected requests of %s in the last 60 days:\n", a.ID)
	for _, r := range rejections {
		fmt.Fprintln(out)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, row := range [][2]string{
			{"last", r.LastAt.Local().Format(time.DateTime)}, {"requests", fmt.Sprint(r.Requests)}, {"path", r.Path},
			{"reason", r.Reason}, {"sent", r.Sent}, {"remedy", r.Remedy},
		} {
			if row[1] != "" {
				fmt.Fprintf(w, "%s\t%s\n", row[0], printable(row[1]))
			}
		}
		_ = w.Flush() // to the same writer
	}
}

// printable replaces characters that a terminal might obey: they come from the network.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '\uFFFD'
	}, text)
}
