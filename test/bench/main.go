// Command bench measures what a sign-in costs, beside the limit we promise or the
// machine's own ceiling measured in the same run.
//
//	go run ./bench
//
// prints a table and writes bench/latest.json. It ends with 1 if a promised limit is
// exceeded, and changes nothing but that file. With -quick it leaves out the floods and
// the databases of a million accounts, and writes no file.
//
//	go run ./bench -create 1000000 -database /tmp/million/twostep.db
//
// creates a database of so many accounts, with its key file beside it or in -keys.
//
//	go run ./bench -of 1000000 -database /tmp/million/twostep.db
//
// measures only that database.
//
//	go run ./bench -crowd
//
// measures only the wait of people beside floods of sign-ins.
//
//	go run ./bench -operators 100000
//
// measures only the lists of the operators' pages, with so many accounts and ten times as many security events.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"twostep.example/twostep/test/bench/population"
)

// item is one line of the table.
type item struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Ceiling float64 `json:"ceiling"` // the promised limit, or what this machine can do at best

	promise promise
}

// promise is what the limit of an item is.
type promise int

const (
	measured promise = iota // no limit: what this machine can do, measured in the same run
	atMost
	atLeast
)

func (i item) broken() bool {
	return i.promise == atMost && i.Value > i.Ceiling || i.promise == atLeast && i.Value < i.Ceiling
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	quick := flag.Bool("quick", false, "leave out what takes long")
	accounts := flag.Int("create", 0, "create a database of so many accounts, and measure nothing")
	existing := flag.Int("of", 0, "measure only a database of so many accounts, made with -create")
	floods := flag.Bool("crowd", false, "measure only the wait of people beside floods of sign-ins")
	lists := flag.Int("operators", 0, "measure only the lists of the operators' pages, with so many accounts")
	database := flag.String("database", "", "the database, which is empty for -create: a file or a postgres:// URL")
	keys := flag.String("keys", "", "the directory of its key file; default: that of the database")
	flag.Parse()
	var err error
	dir := cmp.Or(*keys, filepath.Dir(*database))
	switch {
	case *accounts > 0:
		err = population.Create(ctx, *database, dir, *accounts)
	case *existing > 0:
		var g growth
		if g, err = grow(ctx, *database, dir, *existing); err == nil {
			err = show(g.items(g, ""))
		}
	case *lists > 0:
		err = measureOperators(ctx, *lists)
	case *floods:
		err = measureCrowds(ctx)
	default:
		err = run(ctx, *quick)
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// measureCrowds measures the floods on both databases.
func measureCrowds(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "twostep-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	url, drop, err := postgres()
	if err != nil {
		return err
	}
	defer drop()
	crowd := []func(*site, context.Context, hashes) ([]item, error){(*site).crowd}
	for store, database := range map[string]string{"SQLite": filepath.Join(dir, "lite", "twostep.db"), "PostgreSQL": url} {
		keys := filepath.Join(dir, store)
		if err := errors.Join(os.MkdirAll(keys, 0o700), os.MkdirAll(filepath.Join(dir, "lite"), 0o700)); err != nil {
			return err
		}
		items, err := measureParts(ctx, store, database, keys, hashes{}, crowd)
		if err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
		if err := show(items); err != nil {
			return err
		}
	}
	return nil
}

func run(ctx context.Context, quick bool) error {
	dir, err := os.MkdirTemp("", "twostep-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	items, err := measure(ctx, dir, quick)
	if err != nil {
		return err
	}
	if err := show(items); err != nil {
		return err
	}
	if quick {
		return kept(items)
	}
	text, err := json.MarshalIndent(items, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join("bench", "latest.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	return kept(items)
}

// measure runs everything, one after the other: two measurements at once would measure
// each other.
func measure(ctx context.Context, dir string, quick bool) ([]item, error) {
	items, err := program(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	hashing, hash, err := passwords(ctx)
	if err != nil {
		return nil, fmt.Errorf("passwords: %w", err)
	}
	items = append(items, hashing...)
	lite, err := server(ctx, "SQLite", filepath.Join(dir, "twostep.db"), dir, hash, quick)
	if err != nil {
		return nil, fmt.Errorf("SQLite: %w", err)
	}
	items = append(items, lite...)
	file := func() (string, func(), error) { return "", func() {}, nil }
	grown, err := growths(ctx, "SQLite", dir, quick, file)
	if err != nil {
		return nil, fmt.Errorf("SQLite: %w", err)
	}
	items = append(items, grown...)
	listed := operatorAccounts
	if quick {
		listed = quickAccounts
	}
	lists, err := operators(ctx, "SQLite", dir, listed, file)
	if err != nil {
		return nil, fmt.Errorf("SQLite: operators: %w", err)
	}
	items = append(items, lists...)
	url, drop, err := postgres()
	if err != nil {
		fmt.Printf("PostgreSQL is not measured: %v\n", err)
		return items, nil
	}
	defer drop()
	other, err := os.MkdirTemp(dir, "postgres-") // a database has a key file of its own
	if err != nil {
		return nil, err
	}
	pg, err := server(ctx, "PostgreSQL", url, other, hash, quick)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	if grown, err = growths(ctx, "PostgreSQL", dir, quick, postgres); err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	if lists, err = operators(ctx, "PostgreSQL", dir, listed, postgres); err != nil {
		return nil, fmt.Errorf("PostgreSQL: operators: %w", err)
	}
	items = append(items, grown...)
	items = append(items, lists...)
	fmt.Println("PostgreSQL: the tests' own server does not fsync; TWOSTEP_TEST_POSTGRES names another.")
	return append(items, pg...), nil
}

func show(items []item) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\tvalue\tunit\tceiling\t")
	for _, i := range items {
		note := "measured here"
		switch {
		case i.broken():
			note = "promised, BROKEN"
		case i.promise == atMost:
			note = "promised"
		case i.promise == atLeast:
			note = "promised at least"
		}
		fmt.Fprintf(table, "%s\t%.4g\t%s\t%.4g\t%s\n", i.Name, i.Value, i.Unit, i.Ceiling, note)
	}
	return table.Flush()
}

func kept(items []item) error {
	n := 0
	for _, i := range items {
		if i.broken() {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d promises are broken", n)
	}
	return nil
}

// quantile is the value below which the part q of the times lies, in milliseconds.
func quantile(times []time.Duration, q float64) float64 {
	sorted := slices.Sorted(slices.Values(times))
	return millis(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)])
}

func median(times []time.Duration) float64 { return quantile(times, 0.5) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func each(sum time.Duration, n int) time.Duration { return sum / time.Duration(n) }
