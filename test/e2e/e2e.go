// Package e2e holds the tests of the real thing: browser, mail server, crashes.
package e2e
