package store_test

import "time"

// at returns the time millis milliseconds after the Unix epoch.
func at[T int | int64](millis T) time.Time { return time.UnixMilli(int64(millis)) }
