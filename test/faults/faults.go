// Package faults signs people in through faults of servers, databases, mail servers and clocks, and checks the
// promises of docs/explanation/reliability.md.
//
// It runs the program, twice on one PostgreSQL or once on SQLite. What a server acknowledges during a fault is checked
// afterwards. The package holds tests only; `make faults` runs the long form and writes the table of the page.
package faults
