package demo

import (
	"crypto/rand"
	"sync"
	"time"
)

// shelf keeps things for a while, each under a name that nobody guesses.
type shelf[T any] struct {
	now  func() time.Time
	life time.Duration

	mu    sync.Mutex
	items map[string]item[T]
}

type item[T any] struct {
	what T
	ends time.Time
}

// put keeps a thing, and returns its name. On a full shelf it takes the place of the one that
// would be over first.
func (s *shelf[T]) put(what T) (name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items == nil {
		s.items = map[string]item[T]{}
	}
	if len(s.items) >= most {
		first := ""
		for name, i := range s.items {
			if first == "" || i.ends.Before(s.items[first].ends) {
				first = name
			}
		}
		delete(s.items, first)
	}
	name = rand.Text()
	s.items[name] = item[T]{what, s.now().Add(s.life)}
	return name
}

func (s *shelf[T]) get(name string) (what T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.items[name]
	if !ok || s.now().After(i.ends) {
		delete(s.items, name)
		return what, false
	}
	return i.what, true
}

// take is get, once.
func (s *shelf[T]) take(name string) (what T, ok bool) {
	what, ok = s.get(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, still := s.items[name]; !still {
		ok = false // another request was faster
	}
	delete(s.items, name)
	return what, ok
}

// change changes a thing that is there.
func (s *shelf[T]) change(name string, f func(*T)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.items[name]; ok {
		f(&i.what)
		s.items[name] = i
	}
}

// drop removes all of which is says so.
func (s *shelf[T]) drop(is func(T) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, i := range s.items {
		if is(i.what) {
			delete(s.items, name)
		}
	}
}
