package store_test

import "time"

// at is a time so many milliseconds after the first one that can be stored.
func at[T int | int64](millis T) time.Time { return time.UnixMilli(int64(millis)) }
