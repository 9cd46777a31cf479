// Command mutants takes the defences out of the program, one at a time, and watches
// whether the test of the attack catalogue that stands for each then fails.
//
//	go -C test run ./attack/mutants
//
// prints a table: the rows of the catalogue, what was taken out, and the test that failed.
// It ends with 1 if a test did not. No file of the program is changed: the compiler is
// shown others in their place (go help build, -overlay).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

func main() {
	match := flag.String("run", "", "only what has a test, or words, that match this `regexp`")
	list := flag.Bool("list", false, "print the mutations and run nothing")
	flag.Parse()
	only, err := regexp.Compile(*match)
	if err == nil && flag.NArg() > 0 {
		err = fmt.Errorf("%q is one word too many", flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "mutants: %v\n", err)
		os.Exit(2)
	}
	chosen := slices.DeleteFunc(slices.Concat(subjects...), func(m mutation) bool {
		return !only.MatchString(m.test) && !only.MatchString(m.what)
	})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	if *list {
		table := columns(chosen)
		for _, m := range chosen {
			table.line(m, m.test)
		}
	} else {
		err = run(ctx, chosen)
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "mutants: %v\n", err)
		os.Exit(1)
	}
}

// run tries the mutations one after the other: two at once would take each other's time,
// and a test that waits for a mail would wait in vain.
func run(ctx context.Context, chosen []mutation) error {
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "twostep-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	w := workshop{root, dir}
	if err := w.whole(ctx, chosen); err != nil {
		return err
	}
	table, counts, rows := columns(chosen), map[verdict]int{}, map[string]bool{}
	for _, m := range chosen {
		v, said, err := w.without(ctx, m)
		if err != nil {
			return err
		}
		counts[v]++
		for row := range strings.FieldsSeq(m.rows()) {
			rows[row] = true
		}
		end := m.test
		if v != noticed {
			end = strings.ToUpper(string(v)) + " (" + m.test + ")"
		}
		table.line(m, end)
		fmt.Fprint(os.Stderr, said)
	}
	fmt.Printf("%d of %d were noticed, by tests of %d rows, in %s\n", counts[noticed], len(chosen), len(rows), time.Since(began).Round(time.Second))
	if n := len(chosen) - counts[noticed]; n > 0 {
		return fmt.Errorf("%d of %d were not noticed", n, len(chosen))
	}
	return nil
}

// table is the width of its columns. Its lines come as they are known, so a reader sees
// how far it is.
type table struct{ rows, what int }

func columns(all []mutation) (t table) {
	for _, m := range all {
		t.rows, t.what = max(t.rows, len(m.rows())), max(t.what, utf8.RuneCountInString(m.what))
	}
	return t
}

func (t table) line(m mutation, end string) {
	fmt.Printf("%-*s  %-*s  %s\n", t.rows, m.rows(), t.what, m.what, end)
}
