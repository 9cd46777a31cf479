package totp

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The key of RFC 4226 and, for SHA-1, of RFC 6238.
var rfcKey = []byte("12345678901234567890")

// The test vectors of RFC 4226 D.
func TestHOTPVectors(t *testing.T) {
	for counter, want := range strings.Fields("755224 287082 359152 969429 338314 254676 287922 162583 399871 520489") {
		if got := hotpCode(rfcKey, int64(counter)); got != want {
			t.Errorf("counter %d: got %s, want %s", counter, got, want)
		}
	}
}

// The test vectors of RFC 6238 B have eight digits; ours are the last six of them.
func TestTOTPVectors(t *testing.T) {
	for seconds, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471",
		1234567890: "89005924", 2000000000: "69279037", 20000000000: "65353130",
	} {
		step := seconds / stepSeconds
		if got := fmt.Sprintf("%08d", hotpTruncate(rfcKey, step)%100_000_000); got != want {
			t.Errorf("second %d: got %s, want %s", seconds, got, want)
		}
		if got := hotpCode(rfcKey, step); got != want[2:] {
			t.Errorf("second %d: got %s, want %s", seconds, got, want[2:])
		}
	}
}

// Leading zeros are kept, and neighbouring steps may have the same code.
func TestHOTPCodeEdgeCases(t *testing.T) {
	for step, want := range map[int64]string{25193: "000039", 26383: "000066", 910737: "911617", 910738: "911617"} {
		if got := hotpCode(rfcKey, step); got != want {
			t.Errorf("step %d: got %s, want %s", step, got, want)
		}
	}
}

// Another implementation computes the same codes from our keys.
func TestCodesMatchOathtool(t *testing.T) {
	tool, err := exec.LookPath("oathtool")
	if err != nil {
		t.Fatal("no oathtool: run make test, it installs what the tests need")
	}
	for i := range 20 {
		f, show := enrollApp(t)
		s, err := unmarshalSecret(f.Secret)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1_795_000_000+int64(i)*7_777_777, 0).UTC()
		out, err := exec.CommandContext(t.Context(), tool, "--totp", "--base32", "--now",
			now.Format("2006-01-02 15:04:05 UTC"), "--", show.Secret).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := hotpCode(s.Key, stepAt(now)), strings.TrimSpace(string(out)); got != want {
			t.Errorf("%s: got %s, oathtool says %s", now, got, want)
		}
	}
}
