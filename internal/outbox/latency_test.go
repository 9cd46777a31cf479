package outbox

import (
	"testing"
	"time"
)

// Only the last messages count, each channel on its own.
func TestLatencies(t *testing.T) {
	var l Latencies
	l.Add("sms", time.Hour)
	for range keptLatencies {
		l.Add("email", time.Minute) // pushed out
	}
	for i := range keptLatencies {
		l.Add("email", time.Duration(i+1)*time.Millisecond)
	}
	list := l.List()
	if len(list) != 2 || list[0] != (Latency{"email", keptLatencies, 128 * time.Millisecond, 244 * time.Millisecond}) ||
		list[1] != (Latency{"sms", 1, time.Hour, time.Hour}) {
		t.Errorf("%+v", list)
	}
}
