package plan

import (
	"fmt"
	"slices"
)

// Fit says how a stage's partitions become tasks once the sizes of its inputs are
// known: small neighbours are merged, and one far larger than the others is split
// among several tasks. Every input of such a stage is read by partition, of
// exchanges into equally many, or whole in each task; and nothing relies on the
// number of tasks. See [Fitted].
type Fit struct {
	Target int64 // bytes that a task is meant to read at most
	Least  int64 // bytes that are worth a task; 0: as many as for a scan
	Slots  int   // tasks that are wanted even if each reads less than Target
	Apart  bool  // partitions are not put together: a number of them was asked for
	// Split lists the inputs whose partitions may be split, by segment, while each
	// of those tasks reads the whole partition of the others.
	Split []int `json:",omitempty"`
}

// PartitionSpec is the share of a task of a fitted stage in its inputs by partition:
// partitions [Lo, Hi). Of a split partition it reads only the segments [From, To) of
// one input; they count through all stages that the input reads.
type PartitionSpec struct {
	Lo, Hi   int
	Input    int `json:",omitempty"`
	From, To int `json:",omitempty"` // To is 0: nothing is split
}

const (
	skewFactor = 4       // times the median partition, and
	skewTasks  = 2       // times an even share: a partition of more is split,
	splitMost  = 64      // but into no more tasks
	fitWork    = 4 << 20 // partitions × segments beyond which each partition is a task
)

// Fitted returns a stage with its Tasks known: those of a stage with a Fit are cut
// by the sizes of its inputs (up), those of any other are unchanged. The shares
// cover every row once whatever the sizes; but other sizes may give other shares,
// so only tasks of one cut may be read together.
func Fitted(job *Job, stage int, up map[int][]SegmentInfo) (*Stage, error) {
	s := job.Stages[stage]
	if s.Tasks.Fit == nil || s.Tasks.Specs != nil {
		return s, nil
	}
	f := fitter{fit: s.Tasks.Fit, s: s, up: up}
	for i, in := range s.Inputs {
		if in.Read == nil || in.Read.How != ReadPartition {
			continue
		}
		for _, u := range in.Read.Stages {
			parts := job.Stages[u].Exchange.Partitions
			if f.parts > 0 && parts != f.parts || parts < 1 || len(up[u]) == 0 {
				return nil, fmt.Errorf("plan: fit stage %d: input %d has %d segments of %d partitions, others %d: %w", stage, i, len(up[u]), parts, f.parts, ErrInternal)
			}
			f.parts = parts
			f.segments += len(up[u])
		}
	}
	if f.parts == 0 {
		return nil, fmt.Errorf("plan: fit stage %d: it reads nothing by partition: %w", stage, ErrInternal)
	}
	out := *s
	out.Tasks.Specs = f.specs()
	out.Tasks.N = len(out.Tasks.Specs)
	return &out, nil
}

// fitter cuts one stage's partitions.
type fitter struct {
	fit      *Fit
	s        *Stage
	up       map[int][]SegmentInfo
	parts    int
	segments int
	sizes    []int64
	even     int64 // bytes of an even share
	out      []PartitionSpec
}

func (f *fitter) specs() []PartitionSpec {
	if f.parts*f.segments > fitWork {
		return f.apart()
	}
	f.sizes = make([]int64, f.parts)
	total := int64(0)
	for i := range f.s.Inputs {
		for p, b := range f.sizesOf(i) {
			f.sizes[p] += b
			total += b
		}
	}
	n := f.tasks(total)
	f.even = max((total+int64(n)-1)/int64(n), f.least())
	split, left := f.skewed(), total
	for p := range split {
		left -= f.sizes[p]
	}
	f.group(split, left, int(max((left+f.even-1)/f.even, 1)))
	return f.out
}

func (f *fitter) apart() []PartitionSpec {
	out := make([]PartitionSpec, f.parts)
	for p := range out {
		out[p] = PartitionSpec{Lo: p, Hi: p + 1}
	}
	return out
}

// tasks is how many tasks so many bytes deserve, by the rule for files.
func (f *fitter) tasks(bytes int64) int {
	if f.fit.Apart {
		return f.parts
	}
	o := Sizing{Parallelism: f.fit.Slots, TargetBytes: max(f.fit.Target, 1)}
	return min(o.tasksOf(bytes, f.least()), f.parts)
}

func (f *fitter) least() int64 {
	if f.fit.Least > 0 {
		return f.fit.Least
	}
	return MinTaskBytes
}

// sizesOf is the bytes of each partition of one input; nil if it is not cut by
// partition.
func (f *fitter) sizesOf(input int) []int64 {
	r := f.s.Inputs[input].Read
	if r == nil || r.How != ReadPartition {
		return nil
	}
	out := make([]int64, f.parts)
	for _, u := range r.Stages {
		for _, seg := range f.up[u] {
			for p, b := range seg.Bytes[:min(len(seg.Bytes), f.parts)] {
				out[p] += b
			}
		}
	}
	return out
}

// skewed is the partitions that are split, and how.
func (f *fitter) skewed() map[int][]PartitionSpec {
	if len(f.fit.Split) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(f.sizes))
	median := sorted[len(sorted)/2]
	out := map[int][]PartitionSpec{}
	for p, size := range f.sizes {
		if size > skewFactor*median && size > skewTasks*f.even {
			if shares := f.split(p); len(shares) > 1 {
				out[p] = shares
			}
		}
	}
	return out
}

// split deals the largest input of a partition out, if that is one of those that
// may be: each task gets a run of its segments of about an even share.
func (f *fitter) split(p int) []PartitionSpec {
	best, bytes := -1, int64(0)
	for _, i := range f.fit.Split {
		if b := f.sizesOf(i)[p]; b > bytes {
			best, bytes = i, b
		}
	}
	if best < 0 {
		return nil
	}
	k := min((bytes+f.even-1)/f.even, splitMost)
	var out []PartitionSpec
	from, n, done := 0, 0, int64(0)
	for _, u := range f.s.Inputs[best].Read.Stages {
		for _, seg := range f.up[u] {
			n++
			if p < len(seg.Bytes) {
				done += seg.Bytes[p]
			}
			if done*k >= bytes*int64(len(out)+1) && len(out) < int(k)-1 {
				out = append(out, PartitionSpec{Lo: p, Hi: p + 1, Input: best, From: from, To: n})
				from = n
			}
		}
	}
	if from < n {
		out = append(out, PartitionSpec{Lo: p, Hi: p + 1, Input: best, From: from, To: n})
	}
	return out
}

// group puts neighbours that are not split together, into about n shares of
// about as many bytes: each goes where its middle byte falls.
func (f *fitter) group(split map[int][]PartitionSpec, total int64, n int) {
	at, before := -1, int64(0) // the share under way, bytes before the partition
	for p, size := range f.sizes {
		if s := split[p]; s != nil {
			f.out = append(f.out, s...)
			at = -1
			continue
		}
		to := p
		if !f.fit.Apart {
			to = int(float64(n) * (float64(before) + float64(size)/2) / float64(max(total, 1)))
		}
		before += size
		if at == to && len(f.out) > 0 {
			f.out[len(f.out)-1].Hi = p + 1
			continue
		}
		f.out = append(f.out, PartitionSpec{Lo: p, Hi: p + 1})
		at = to
	}
}
