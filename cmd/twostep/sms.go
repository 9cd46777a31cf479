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
	Gateways  string `toml:"gateways" kong:"-" placeholder:"URL …" secret:"" fallback:"no codes by SMS" allowed:"twilio://ACCOUNT:TOKEN@FROM, vonage://KEY:SECRET@FROM, sns://KEY:SECRET@REGION/SENDER, kannel://USER:PASSWORD@HOST:PORT/FROM, separated by spaces" help:"Send text messages through these gateways; the next one is tried if one did not take the message"`
	Countries string `toml:"countries" placeholder:"CODES" fallback:"all" allowed:"codes of two letters" help:"Send text messages to numbers of these countries only" example:"DE,AT,CH"`
	Price     string `toml:"price" default:"0.1" placeholder:"AMOUNT" allowed:"0 or more" help:"Count this price for each text message, in any currency" example:"0.08"`
	Budget    string `toml:"budget" default:"20" placeholder:"AMOUNT" allowed:"0 or more" help:"Spend at most this much on text messages in a day (UTC), in the same currency; 0 is no limit" example:"50"`

	Valid string `toml:"valid" default:"15m" placeholder:"TIME" allowed:"whole minutes, 1m to 15m" help:"Accept a code sent by text message for this time" example:"10m"`

	gateways      []delivery.Gateway
	codeTTL       time.Duration
	price, budget int64 // thousandths
}

// complete parses the settings that are text. It returns all errors, joined.
func (s *smsSettings) complete() error {
	var wrong []error
	var err error
	if s.codeTTL, err = parseCodeTTL("sms-valid", s.Valid); err != nil {
		wrong = append(wrong, err)
	}
	if s.price, err = parseThousandths(s.Price); err != nil {
		wrong = append(wrong, wrongSetting("sms-price", s.Price, "an amount like 0.08"))
	}
	if s.budget, err = parseThousandths(s.Budget); err != nil {
		wrong = append(wrong, wrongSetting("sms-budget", s.Budget, "an amount like 20, or 0 for no limit"))
	}
	for _, code := range s.allowedCountries() {
		if len(code) != 2 || strings.ToUpper(code) != code {
			wrong = append(wrong, wrongSetting("sms-countries", s.Countries, "codes of two capital letters, like DE,AT,CH"))
			break
		}
	}
	s.gateways = nil
	for i, text := range strings.Fields(s.Gateways) {
		g, err := parseGateway(text)
		if err == nil {
			err = g.Check()
		}
		if err != nil {
			message := fmt.Sprintf(", gateway %d: %v", i+1, err)
			wrong = append(wrong, &settingError{flag: "sms-gateways", message: message})
			continue
		}
		s.gateways = append(s.gateways, g)
	}
	return errors.Join(wrong...)
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
		return delivery.Gateway{}, errors.New("want KIND://USER:SECRET@PLACE, like twilio://ACCOUNT:TOKEN@FROM; " +
			"inside a part write @ as %40, : as %3A and / as %2F")
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
	return delivery.Gateway{}, errors.New("unknown kind, want twilio, vonage, sns or kannel")
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
