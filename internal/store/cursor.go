package store

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Cursor is a position in a list that is sorted by time and id, newest first. The next page begins after it. The zero
// Cursor is the position before the first row.
type Cursor struct {
	At time.Time
	ID string
}

// String formats the cursor for ParseCursor.
func (c Cursor) String() string { return strconv.FormatInt(c.At.UnixMilli(), 10) + "-" + c.ID }

// ParseCursor parses the result of Cursor.String. It reports false if text is not valid.
func ParseCursor(text string) (c Cursor, ok bool) {
	millis, id, _ := strings.Cut(text, "-")
	at, err := strconv.ParseInt(millis, 10, 64)
	if err != nil || at <= 0 || !cursorID.MatchString(id) {
		return Cursor{}, false
	}
	return Cursor{time.UnixMilli(at), id}, true
}

// cursorID matches a text of crypto/rand.Text.
var cursorID = regexp.MustCompile(`^[A-Z2-7]{1,64}$`)
