package attack

import (
	"os"
	"testing"

	"twostep.example/twostep/test/e2e/live"
)

func TestMain(m *testing.M) { os.Exit(live.Main(m)) }
