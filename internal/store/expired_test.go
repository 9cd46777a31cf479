package store

import (
	"regexp"
	"testing"
	"time"
)

// A step that takes long makes the next one shorter, one that takes little makes it longer, within bounds.
func TestStepsFollowTheirTime(t *testing.T) {
	rows := int64(firstStep)
	for range 20 {
		rows = nextStep(rows, time.Second)
	}
	if rows != shortestStep {
		t.Errorf("slow steps have %d rows, want %d", rows, shortestStep)
	}
	if next := nextStep(rows, stepTime/2); next != rows {
		t.Errorf("a step of the right length is followed by one of %d rows, want %d", next, rows)
	}
	for range 20 {
		rows = nextStep(rows, time.Millisecond)
	}
	if rows != longestStep {
		t.Errorf("fast steps have %d rows, want %d", rows, longestStep)
	}
}

// Each statement reads the rows in the order of the time that it compares, so that both databases use its index however
// many rows have expired.
func TestExpiredRowsAreDeletedOldestFirst(t *testing.T) {
	oldestFirst := regexp.MustCompile(`\b(\w+) < \$1(?s:.*)\sORDER BY (\w+)\s+LIMIT \$2\)$`)
	for _, one := range expired(Cutoffs{}) {
		found := oldestFirst.FindStringSubmatch(one.query)
		if found == nil || found[1] != found[2] {
			t.Errorf("no order by what is compared: %s", one.query)
		}
	}
}
