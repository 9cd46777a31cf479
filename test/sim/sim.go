// Package sim plays years of sign-ins in seconds, with owners, thieves and faults, and looks after every step whether our promises hold.
//
// It plays the real engine on the real store, on a clock that is turned by hand, one call
// after the other. Everything that happens by chance comes from one seed: the same seed
// plays the same story again. The package holds tests only; `make sim` plays the long ones.
package sim
