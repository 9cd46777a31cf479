package main

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"twostep.example/twostep/internal/fairqueue"
	"twostep.example/twostep/internal/seal"
)

// hashes is what this machine does with passwords at best.
type hashes struct {
	one       time.Duration // for one, alone: the median
	perSecond float64       // on all processors
}

// passwords measures the password hash at today's cost.
func passwords(ctx context.Context) ([]item, hashes, error) {
	p := seal.NewPasswordHasher(seal.HashCost{}, 0, 0)
	var times []time.Duration
	for range 30 {
		began := time.Now()
		if _, err := p.Hash(ctx, fairqueue.Request{}, "correct horse battery"); err != nil {
			return nil, hashes{}, err
		}
		times = append(times, time.Since(began))
	}
	var n atomic.Int64
	began := time.Now()
	for deadline := began.Add(2 * time.Second); time.Now().Before(deadline); {
		var all sync.WaitGroup
		for range runtime.GOMAXPROCS(0) * 2 {
			all.Go(func() {
				if _, err := p.Hash(ctx, fairqueue.Request{}, "correct horse battery"); err == nil {
					n.Add(1)
				}
			})
		}
		all.Wait()
	}
	h := hashes{time.Duration(median(times) * float64(time.Millisecond)), float64(n.Load()) / time.Since(began).Seconds()}
	return []item{
		{"password hash (argon2id, 19 MiB, 2 passes): median", median(times), "ms", quantile(times, 0), measured},
		{"password hashes, all processors", h.perSecond, "/s", float64(runtime.GOMAXPROCS(0)) / h.one.Seconds(), measured},
	}, h, nil
}
