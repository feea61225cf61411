package weir

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstDelay = 200 * time.Millisecond
	longest    = 20 * time.Second
)

// How long to wait before attempt n+1, if attempt n (from 1) failed: half of it is chance, so that nodes that failed together
// do not come back together.
func delay(attempt int) time.Duration {
	whole := longest
	if attempt < 8 {
		whole = min(longest, firstDelay<<(attempt-1))
	}
	return whole/2 + rand.N(whole/2)
}

// Waits, or says false when the context ended first.
func sleep(ctx context.Context, duration time.Duration) bool {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
