// Package cli tests the program twostep as a command line: each script in testdata/script types commands and
// looks at what they print, how they exit and what they leave behind.
package cli
