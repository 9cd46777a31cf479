package main

import (
	"errors"
	"fmt"
	"testing"

	"twostep.example/twostep/internal/store/storetest"
)

// postgres makes an empty database on the server that the tests use.
func postgres() (url string, drop func(), err error) {
	b := &borrowed{}
	defer func() {
		if broke := recover(); broke != nil {
			refused, ok := broke.(refusal)
			if !ok {
				panic(broke)
			}
			err = refused
		}
	}()
	url = storetest.NewPostgres(b)
	return url, b.drop, nil
}

// borrowed lets a program ask storetest for a database: it is as much of a test as
// storetest uses. Anything else of the embedded interface would panic.
type borrowed struct {
	testing.TB
	cleanups []func()
}

type refusal struct{ error }

func (b *borrowed) Helper()          {}
func (b *borrowed) Cleanup(f func()) { b.cleanups = append(b.cleanups, f) }
func (b *borrowed) Fatal(args ...any) {
	panic(refusal{errors.New(fmt.Sprint(args...))})
}
func (b *borrowed) Error(args ...any) { fmt.Println(args...) }

func (b *borrowed) drop() {
	for _, f := range b.cleanups {
		f()
	}
}
