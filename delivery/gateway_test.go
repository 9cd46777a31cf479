package delivery

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// testSecret is in every gateway under test; no error may contain it.
const testSecret = "hunter2&more"

func gatewayCodeSMS() Message {
	return Message{
		ID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Channel: SMS, To: "+491712345678",
		Text: "747723 is your Example verification code. Don't share it.\n\n@login.example.com #747723",
	}
}

// wantTemporaryGatewayError fails the test if err is nil, wraps ErrRejected or ErrUncertain, or
// contains a secret.
func wantTemporaryGatewayError(t *testing.T, err error) {
	t.Helper()
	if err == nil || errors.Is(err, ErrRejected) || errors.Is(err, ErrUncertain) {
		t.Errorf("got %v, want a temporary error", err)
	}
	wantNoSMSSecrets(t, err)
}

func wantNoSMSSecrets(t *testing.T, err error) {
	t.Helper()
	for _, s := range []string{"747723", "1712345678", testSecret, "hunter2"} {
		if strings.Contains(fmt.Sprint(err), s) {
			t.Errorf("error %q contains %s", err, s)
		}
	}
	if strings.ContainsAny(fmt.Sprint(err), "\r\n") {
		t.Errorf("error %q has several lines", err)
	}
}
