// Package attack tries every row of the attack catalogue against a running server.
//
// The catalogue is testdata/rows.txt: what goes wrong, and the test that tries it, or
// why it cannot happen yet. The package holds tests only.
package attack
