package account

import (
	"context"
	"testing"
	"time"
)

// The work on a password goes on when the client goes, and ends with the time limit of the request.
func TestUncancelled(t *testing.T) {
	limit := time.Now().Add(time.Second)
	request, goes := context.WithDeadline(t.Context(), limit)
	work, cancel := uncancelled(request)
	defer cancel()
	goes()
	if work.Err() != nil {
		t.Errorf("the work ends with the client: %v", work.Err())
	}
	if ends, ok := work.Deadline(); !ok || !ends.Equal(limit) {
		t.Errorf("the work ends at %s, want %s", ends, limit)
	}
	work, cancel = uncancelled(t.Context())
	defer cancel()
	if ends, ok := work.Deadline(); !ok || time.Until(ends) > passwordTimeout {
		t.Errorf("without a limit the work ends at %s", ends)
	}
}
