package live

import (
	"testing"

	"twostep.example/twostep/internal/seal"
)

// Main runs the tests of a package with passwords that are hashed at a low cost: at the full cost
// most of their time would be that of argon2. It is for TestMain.
func Main(m *testing.M) (code int) {
	seal.LowCost(true)
	return m.Run()
}

// FullCost makes the servers of a test hash passwords as a real server does. The test must not be
// parallel: the cost is one for all servers that are started meanwhile.
func FullCost(t *testing.T) {
	t.Helper()
	t.Setenv("TWOSTEP_FULL_COST", "") // which panics in a parallel test
	seal.LowCost(false)
	t.Cleanup(func() { seal.LowCost(true) })
}
