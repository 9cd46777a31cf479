package main

import (
	"slices"

	"twostep.example/twostep/factor"
	"twostep.example/twostep/factor/email"
	"twostep.example/twostep/factor/recovery"
	"twostep.example/twostep/factor/sms"
	"twostep.example/twostep/factor/totp"
)

// verificationMethods returns all verification methods in the order in which they are offered. A
// new method is its package and one line here; a test fails if a package is missing.
func verificationMethods(s *settings) []factor.Method {
	all := []factor.Method{
		totp.Method{},
		sms.Method{AllowedCountries: s.SMS.allowedCountries(), CodeTTL: s.SMS.codeTTL},
		email.Method{CodeTTL: s.Email.codeTTL},
		recovery.New(),
	}
	if len(s.SMS.gateways) == 0 && !s.isLocal() {
		// There is no gateway for text messages.
		return slices.DeleteFunc(all, func(m factor.Method) bool { return m.Info().Method == "sms" })
	}
	return all
}
