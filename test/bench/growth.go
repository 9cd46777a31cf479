package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"twostep.example/twostep/test/bench/population"
)

const (
	visitors = 64 // sign in to a database of many accounts
	atOnce   = 32 // of them at the same time
	rounds   = 8  // so often each of them, so that one slow sign-in is not the 99th percentile
	quiet    = 10 * time.Second
)

// sizes are the numbers of accounts of the databases that are compared, the first one in any case.
var sizes = []int{20_000, 1_000_000}

// growth is what a site with many accounts costs. Times are in milliseconds.
type growth struct {
	size      float64 // bytes an account
	idle      float64 // processors that a server without visitors uses, with those of PostgreSQL
	p50, p99  float64 // of a sign-in, one after the other
	processor float64 // of a sign-in, the hash included
	busy      float64 // p99 of a sign-in, atOnce at the same time, while expired rows are deleted
	busyRate  float64 // sign-ins a second then
	deletion  float64 // of what has expired, in seconds
	few, many float64 // processor of a forward-auth check, with 4,000 and 100,000 browsers in turn
	again     float64 // the same for the second round of the 100,000
}

// growths measures how the cost of a site grows with its accounts, on the database that newDatabase makes.
func growths(ctx context.Context, name, dir string, quick bool, newDatabase func() (string, func(), error)) (items []item, err error) {
	var first growth
	for i, accounts := range sizes {
		if quick && i > 0 {
			break
		}
		g, err := growthOf(ctx, filepath.Join(dir, fmt.Sprint(name, accounts)), accounts, newDatabase)
		if err != nil {
			return nil, fmt.Errorf("%d accounts: %w", accounts, err)
		}
		if i == 0 {
			first = g
		}
		items = append(items, g.items(first, fmt.Sprintf(", %d accounts, %s", accounts, name))...)
	}
	return items, nil
}

// items returns the lines of the table, beside those of the smallest database.
func (g growth) items(first growth, of string) []item {
	return []item{
		{"size of an account after a year" + of, g.size / 1000, "kB", first.size / 1000, measured},
		{"processors of an idle server" + of, g.idle, "", 0.005, atMost},
		{"sign-in with an app code: median" + of, g.p50, "ms", first.p50, measured},
		{"sign-in with an app code: p99" + of, g.p99, "ms", 1.2 * first.p99, atMost},
		{"processor for a sign-in, hash included" + of, g.processor, "ms", first.processor, measured},
		{"32 sign-ins at once while rows are deleted: p99" + of, g.busy, "ms", 1.2 * first.busy, atMost},
		{"32 sign-ins at once while rows are deleted" + of, g.busyRate, "/s", first.busyRate, measured},
		{"time to delete what has expired in a day" + of, g.deletion, "s", first.deletion, measured},
		{"processor for a forward-auth check, 4,000 browsers in turn" + of, g.few, "ms", 0.12, atMost},
		{"processor for a forward-auth check, 100,000 browsers, first round" + of, g.many, "ms", 0.12, measured},
		{"processor for a forward-auth check, 100,000 browsers, later" + of, g.again, "ms", 0.12, measured},
	}
}

// growthOf creates a database with so many accounts and measures it.
func growthOf(ctx context.Context, dir string, accounts int, newDatabase func() (string, func(), error)) (g growth, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return g, err
	}
	defer os.RemoveAll(dir)
	url, drop, err := newDatabase()
	if err != nil {
		return g, err
	}
	defer drop()
	if url == "" {
		url = filepath.Join(dir, "twostep.db")
	}
	if err := population.Create(ctx, url, dir, accounts); err != nil {
		return g, err
	}
	return grow(ctx, url, dir, accounts)
}

// grow measures a database of a population that is in dir/twostep.db, or PostgreSQL's at url.
func grow(ctx context.Context, url, dir string, accounts int) (g growth, err error) {
	bytes, err := population.Size(ctx, url)
	if err != nil {
		return g, err
	}
	g.size = float64(bytes) / float64(accounts)
	people, err := join(ctx, url, dir)
	if err != nil {
		return g, err
	}
	s, err := population.Open(ctx, url, dir, 25*time.Hour) // it deletes what has expired meanwhile
	if err != nil {
		return g, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, p := range people {
		p.Site = s
	}
	for _, part := range []func(context.Context, *population.Site, []*population.Person, string) error{
		g.measureBusy, g.measureIdle, g.measureSignIns, g.measureChecks,
	} {
		if err := part(ctx, s, people, url); err != nil {
			return g, err
		}
	}
	return g, nil
}

// join creates the visitors.
func join(ctx context.Context, url, dir string) (people []*population.Person, err error) {
	s, err := population.Open(ctx, url, dir, 0)
	if err != nil {
		return nil, err
	}
	for i := range visitors {
		p, err := s.NewPerson(ctx, fmt.Sprintf("visitor%d-%d@example.com", i, time.Now().UnixNano()), fmt.Sprintf("198.51.%d.7", i))
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		people = append(people, p)
	}
	return people, s.Close()
}

// measureBusy signs people in, atOnce at the same time, while the server deletes what has expired.
func (g *growth) measureBusy(_ context.Context, s *population.Site, people []*population.Person, _ string) error {
	var mu sync.Mutex
	var times []time.Duration
	var failed error
	began := time.Now()
	for range rounds {
		var all sync.WaitGroup
		for i := range atOnce {
			all.Go(func() {
				for n := i; n < len(people); n += atOnce {
					took, err := people[n].SignIn(false)
					mu.Lock()
					times, failed = append(times, took), errors.Join(failed, err)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		s.Advance(time.Minute) // for the next code
	}
	g.busyRate = float64(len(times)) / time.Since(began).Seconds()
	g.busy = quantile(times, 0.99)
	return failed
}

// measureIdle waits until what has expired is deleted, and measures what a server costs that nobody visits.
func (g *growth) measureIdle(_ context.Context, s *population.Site, _ []*population.Person, _ string) error {
	took, err := s.WaitForDeletion()
	if err != nil {
		return err
	}
	g.deletion = took.Seconds()
	time.Sleep(quiet) // PostgreSQL cleans up
	g.idle, err = usedIn(quiet)
	return err
}

// usedIn returns how many processors this process and PostgreSQL use in a time.
func usedIn(d time.Duration) (float64, error) {
	before, err := processor()
	if err != nil {
		return 0, err
	}
	theirs := postgresProcessor()
	time.Sleep(d)
	after, err := processor()
	return float64(after-before+theirs.since()) / float64(d), err
}

// measureSignIns signs people in, one after the other.
func (g *growth) measureSignIns(_ context.Context, s *population.Site, people []*population.Person, _ string) error {
	var times []time.Duration
	var sum time.Duration
	for range rounds {
		s.Advance(25 * time.Hour)
		theirs := postgresProcessor()
		cost, err := spent(len(people), func(i int) error {
			took, err := people[i].SignIn(false)
			times = append(times, took)
			return err
		})
		if err != nil {
			return err
		}
		sum += cost + each(theirs.since(), len(people))
	}
	g.p50, g.p99, g.processor = median(times), quantile(times, 0.99), millis(sum)/rounds
	return nil
}

// measureChecks asks for the browsers of the people in turn, as a reverse proxy does.
func (g *growth) measureChecks(ctx context.Context, s *population.Site, people []*population.Person, url string) error {
	for _, one := range []struct {
		browsers int
		rounds   []*float64
	}{{4_000, []*float64{new(float64), &g.few}}, {100_000, []*float64{&g.many, new(float64), &g.again}}} {
		cookies, err := population.Browsers(ctx, url, people, one.browsers)
		if err != nil {
			return err
		}
		for _, cost := range one.rounds { // in the second one the server notices that the browsers were added
			theirs := postgresProcessor()
			used, err := spent(len(cookies), func(i int) error {
				_, err := s.Serve(population.CheckRequest("/page?a=b", cookies[i]))
				return err
			})
			if err != nil {
				return err
			}
			*cost = millis(used + each(theirs.since(), len(cookies)))
		}
	}
	return nil
}

// processorTimes are the processor times of processes, by /proc/PID/stat.
type processorTimes map[string]time.Duration

// postgresProcessor returns the times of all processes of PostgreSQL on this machine.
func postgresProcessor() processorTimes {
	times := processorTimes{}
	names, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), "(postgres)") {
			continue
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, at := range []int{11, 12} { // utime and stime (proc(5)), in hundredths of a second
			n, _ := strconv.Atoi(fields[at])
			times[name] += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return times
}

// since returns the time that was used since then, without that of processes that have ended.
func (before processorTimes) since() (sum time.Duration) {
	for name, used := range postgresProcessor() {
		sum += used - before[name]
	}
	return sum
}
