// Package sim simulates years of sign-ins in seconds, with owners, attackers and faults, and checks the
// invariants of the engine after every step.
//
// It runs the real engine on the real store, on a clock that the test advances, one call after the other.
// Everything random comes from one seed: the same seed runs the same story again. The package holds tests only; `make sim` plays the long ones.
package sim
