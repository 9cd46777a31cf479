package main

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"twostep.example/twostep/delivery"
)

type smsSettings struct {
	Gateways  string `toml:"gateways" kong:"-"` // no flag: it contains secrets
	Countries string `toml:"countries" placeholder:"CODES" help:"The only countries whose numbers get a text message, like DE,AT,CH. Default: all."`
	Price     string `toml:"price" default:"0.1" placeholder:"AMOUNT" help:"What one text message costs, in any unit. Default: ${default}."`
	Budget    string `toml:"budget" default:"20" placeholder:"AMOUNT" help:"What all of a day may cost, in the same unit; 0 for no limit. Default: ${default}."`

	Valid string `toml:"valid" default:"15m" placeholder:"TIME" help:"How long a code sent by text message works, 1m to 15m. Default: ${default}."`

	gateways      []delivery.Gateway
	codeTTL       time.Duration
	price, budget int64 // thousandths
}

// complete parses the settings that are text.
func (s *smsSettings) complete() error {
	var err error
	if s.codeTTL, err = parseCodeTTL("sms.valid", s.Valid); err != nil {
		return err
	}
	if s.price, err = parseThousandths(s.Price); err != nil {
		return fmt.Errorf("sms.price is %q, want an amount like 0.08", s.Price)
	}
	if s.budget, err = parseThousandths(s.Budget); err != nil {
		return fmt.Errorf("sms.budget is %q, want an amount like 20", s.Budget)
	}
	for _, code := range s.allowedCountries() {
		if len(code) != 2 || strings.ToUpper(code) != code {
			return fmt.Errorf("sms.countries is %q, want codes of two letters like DE,AT,CH", s.Countries)
		}
	}
	s.gateways = nil
	for i, text := range strings.Fields(s.Gateways) {
		g, err := parseGateway(text)
		if err == nil {
			err = g.Check()
		}
		if err != nil {
			return fmt.Errorf("sms.gateways: number %d: %w", i+1, err)
		}
		s.gateways = append(s.gateways, g)
	}
	return nil
}

func (s *smsSettings) allowedCountries() []string {
	return strings.FieldsFunc(s.Countries, func(r rune) bool { return r == ',' || r == ' ' })
}

func parseThousandths(text string) (int64, error) {
	amount, err := strconv.ParseFloat(text, 64)
	if err != nil || amount < 0 || amount > 1e9 {
		return 0, errors.New("not an amount")
	}
	return int64(math.Round(amount * 1000)), nil
}

// parseGateway parses one gateway in the form of a URL:
//
//	twilio://ACCOUNT:TOKEN@FROM   vonage://KEY:SECRET@FROM
//	sns://KEY:SECRET@REGION/SENDER   kannel://USER:PASSWORD@HOST:PORT/FROM
//
// Its errors quote nothing of it.
func parseGateway(text string) (delivery.Gateway, error) {
	kind, rest, _ := strings.Cut(text, "://")
	login, place, ok := cutLast(rest, "@")
	user, secret, both := strings.Cut(login, ":")
	place, err := url.PathUnescape(place)
	user, userErr := url.PathUnescape(user)
	secret, secretErr := url.PathUnescape(secret)
	if err := errors.Join(err, userErr, secretErr); err != nil || !ok || !both || place == "" {
		return delivery.Gateway{}, errors.New("want KIND://USER:SECRET@PLACE, with %40 for @ and %3A for : within " +
			"a part")
	}
	host, from, _ := strings.Cut(place, "/")
	switch kind {
	case "twilio":
		return delivery.Twilio(user, secret, place), nil
	case "vonage":
		return delivery.Vonage(user, secret, place), nil
	case "sns":
		return delivery.SNS(host, user, secret, from), nil
	case "kannel":
		return delivery.Kannel("http://"+host, user, secret, from), nil
	}
	return delivery.Gateway{}, errors.New("its kind is not twilio, vonage, sns or kannel")
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
