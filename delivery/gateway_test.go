package delivery

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// testSecret is in every gateway under test, so that no error may hold it.
const testSecret = "hunter2&more"

func gatewayCodeSMS() Message {
	return Message{
		ID: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", Channel: SMS, To: "+491712345678",
		Text: "747723 is your Example verification code. Don't share it.\n\n@login.example.com #747723",
	}
}

// wantTemporaryGatewayError reports an error that is nil, says more than "try again", or says too much.
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
