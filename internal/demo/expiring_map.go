package demo

import (
	"crypto/rand"
	"sync"
	"time"
)

// expiringMap stores values for a time, each under a random key.
type expiringMap[T any] struct {
	now func() time.Time
	ttl time.Duration

	mu    sync.Mutex
	items map[string]expiringItem[T]
}

type expiringItem[T any] struct {
	value     T
	expiresAt time.Time
}

// add stores a value and returns its key. If the map is full, it removes the entry that expires first.
func (s *expiringMap[T]) add(value T) (name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items == nil {
		s.items = map[string]expiringItem[T]{}
	}
	if len(s.items) >= maxEntries {
		oldest := ""
		for name, i := range s.items {
			if oldest == "" || i.expiresAt.Before(s.items[oldest].expiresAt) {
				oldest = name
			}
		}
		delete(s.items, oldest)
	}
	name = rand.Text()
	s.items[name] = expiringItem[T]{value, s.now().Add(s.ttl)}
	return name
}

func (s *expiringMap[T]) get(name string) (value T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.items[name]
	if !ok || s.now().After(i.expiresAt) {
		delete(s.items, name)
		return value, false
	}
	return i.value, true
}

// getAndDelete returns a value once.
func (s *expiringMap[T]) getAndDelete(name string) (value T, ok bool) {
	value, ok = s.get(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, still := s.items[name]; !still {
		ok = false // another request has taken it
	}
	delete(s.items, name)
	return value, ok
}

// update changes a value if it exists.
func (s *expiringMap[T]) update(name string, f func(*T)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.items[name]; ok {
		f(&i.value)
		s.items[name] = i
	}
}

// deleteFunc deletes the values for which match returns true.
func (s *expiringMap[T]) deleteFunc(match func(T) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, i := range s.items {
		if match(i.value) {
			delete(s.items, name)
		}
	}
}
