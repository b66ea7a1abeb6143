package main

import (
	"cmp"
	"context"
	"os"
	"slices"
	"time"
)

// sample is one run of one system.
type sample struct {
	wall     time.Duration
	cpu      time.Duration // of all its processes, and of this one meanwhile
	peakMost int64         // resident memory of its largest process, with those that it has started
	peakSum  int64         // of all of them, each at its own peak
	spill    int64         // most bytes in its spill folders
	shuffled int64         // bytes of blocks that stages wrote for others
	files    int           // open in one process, when counted
	sockets  int
}

// system is a system to measure: DuckDB, or a pond.
type system interface {
	name() string
	pids() []int
	spillDirs() []string
}

// measure runs f and returns its cost.
func measure(ctx context.Context, s system, count bool, f func(context.Context) error) (sample, error) {
	before, err := cpuWithSelf(s)
	if err != nil {
		return sample{}, err
	}
	look := startSampler(s.pids(), s.spillDirs(), count)
	start := time.Now()
	err = f(ctx)
	got := sample{wall: time.Since(start)}
	look.stop()
	if err != nil {
		return got, err
	}
	got.spill, got.files, got.sockets = look.spill, look.files, look.sockets
	after, err := cpuWithSelf(s)
	if err != nil {
		return got, err
	}
	got.cpu = after - before - look.cost
	for _, n := range look.memory {
		got.peakMost, got.peakSum = max(got.peakMost, n), got.peakSum+n
	}
	return got, nil
}

// cpuWithSelf is the processor time of a system and of this process, whose own children
// are systems.
func cpuWithSelf(s system) (time.Duration, error) {
	all, err := cpuTime(s.pids())
	if err != nil {
		return 0, err
	}
	self, err := readStat(os.Getpid())
	return all + self.own, err
}

// median is the middle value, or the mean of the two in the middle; 0 of none.
func median[T cmp.Ordered](values []T, mean func(a, b T) T) T {
	var zero T
	n := len(values)
	if n == 0 {
		return zero
	}
	v := slices.Sorted(slices.Values(values))
	if n%2 == 1 {
		return v[n/2]
	}
	return mean(v[n/2-1], v[n/2])
}

// quantile is the value that a share q of the values do not exceed; 0 of none.
func quantile[T cmp.Ordered](values []T, q float64) T {
	var zero T
	if len(values) == 0 {
		return zero
	}
	v := slices.Sorted(slices.Values(values))
	return v[min(int(q*float64(len(v))), len(v)-1)]
}

// middle is the median of a measure over samples.
func middle[T ~int64](samples []sample, of func(sample) T) T {
	var v []T
	for _, s := range samples {
		v = append(v, of(s))
	}
	return median(v, func(a, b T) T { return a + (b-a)/2 })
}

// most is the largest of a measure over samples.
func most[T cmp.Ordered](samples []sample, of func(sample) T) T {
	var m T
	for _, s := range samples {
		m = max(m, of(s))
	}
	return m
}

// ratio is the median of a's measure over b's, run by run: runs of one turn stand
// side by side, so what slowed the machine down slowed both. 0 of none.
func ratio(a, b []sample, of func(sample) time.Duration) float64 {
	var v []float64
	for i := range min(len(a), len(b)) {
		if of(b[i]) > 0 {
			v = append(v, float64(of(a[i]))/float64(of(b[i])))
		}
	}
	return median(v, func(a, b float64) float64 { return (a + b) / 2 })
}

// beyond is how much longer a's runs took than b's, run by run as in ratio.
func beyond(a, b []sample) []time.Duration {
	var v []time.Duration
	for i := range min(len(a), len(b)) {
		v = append(v, a[i].wall-b[i].wall)
	}
	return v
}

func wallOf(s sample) time.Duration { return s.wall }
func cpuOf(s sample) time.Duration  { return s.cpu }
