package plan

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// joinOf is a join of two producers by partition, and a third read whole.
func joinOf(parts int, fit Fit) *Job {
	job := &Job{}
	for range 3 {
		job.Stages = append(job.Stages, &Stage{Exchange: Exchange{Kind: Hash, Partitions: parts}})
	}
	s := &Stage{Tasks: Tasks{Fit: &fit}}
	for i, how := range []How{ReadPartition, ReadPartition, ReadAll} {
		s.Inputs = append(s.Inputs, Input{View: fmt.Sprint("v", i), Read: &Read{Stages: []int{i}, How: how}})
	}
	job.Stages = append(job.Stages, s)
	return job
}

// sized is one producer's segments, of bytes by partition; a row is a byte.
func sized(segments ...[]int64) []SegmentInfo {
	out := make([]SegmentInfo, len(segments))
	for i, s := range segments {
		out[i] = SegmentInfo{Rows: s, Bytes: s}
	}
	return out
}

func TestFitted(t *testing.T) {
	fit := func(change func(*Fit)) Fit {
		f := Fit{Target: 100, Least: 10, Slots: 2, Split: []int{0}}
		change(&f)
		return f
	}
	as := func(*Fit) {}
	none := sized([]int64{})
	for _, c := range []struct {
		about string
		fit   Fit
		parts int
		a, b  []SegmentInfo
		want  string
	}{
		{"nothing at all", fit(as), 4, none, none, "[0-4)"},
		{"too little for two tasks", fit(as), 4, sized([]int64{4, 4, 4, 4}), none, "[0-4)"},
		{"a task for each slot", fit(as), 4, sized([]int64{5, 5, 5, 5}), sized([]int64{5, 5, 5, 5}), "[0-2) [2-4)"},
		{"no more than the target", fit(as), 4, sized([]int64{90, 90, 90, 90}), none, "[0-1) [1-2) [2-3) [3-4)"},
		{"empty ones go along", fit(as), 6, sized([]int64{90, 0, 0, 90, 0, 90}), none, "[0-1) [1-4) [4-6)"},
		{"as many as were asked for", fit(func(f *Fit) { f.Apart = true }), 3, sized([]int64{1, 0, 1}), none, "[0-1) [1-2) [2-3)"},
		{"a large one by segments", fit(as), 4, sized([]int64{10, 10, 300, 10}, []int64{0, 0, 300, 0}, []int64{0, 0, 300, 0}), none, "[0-2) [2-3)0:0-1 [2-3)0:1-2 [2-3)0:2-3 [3-4)"},
		{"a large one of one segment", fit(as), 4, sized([]int64{10, 10, 900, 10}), none, "[0-2) [2-3) [3-4)"},
		{"the larger side must not be cut", fit(as), 4, sized([]int64{0, 0, 5, 0}), sized([]int64{10, 10, 300, 10}, []int64{0, 0, 600, 0}), "[0-2) [2-3) [3-4)"},
		{"either side may be", fit(func(f *Fit) { f.Split = []int{0, 1} }), 4, none, sized([]int64{10, 10, 500, 10}, []int64{0, 0, 400, 0}), "[0-2) [2-3)1:0-1 [2-3)1:1-2 [3-4)"},
		{"large, but all are", fit(as), 2, sized([]int64{900, 800}, []int64{900, 800}), none, "[0-1) [1-2)"},
		{"apart, and a large one", fit(func(f *Fit) { f.Apart = true }), 3, sized([]int64{1, 900, 1}, []int64{0, 900, 0}), none, "[0-1) [1-2)0:0-1 [1-2)0:1-2 [2-3)"},
	} {
		job := joinOf(c.parts, c.fit)
		s, err := Fitted(job, 3, map[int][]SegmentInfo{0: c.a, 1: c.b, 2: none})
		if err != nil {
			t.Errorf("%s: %v", c.about, err)
			continue
		}
		got := ""
		for _, x := range s.Tasks.Specs {
			got += fmt.Sprintf(" [%d-%d)", x.Lo, x.Hi)
			if x.To > 0 {
				got += fmt.Sprintf("%d:%d-%d", x.Input, x.From, x.To)
			}
		}
		if got != " "+c.want {
			t.Errorf("%s:%s, want %s", c.about, got, c.want)
		}
		if job.Stages[3].Tasks.Specs != nil || len(s.Tasks.Specs) != s.Tasks.N {
			t.Errorf("%s: the stage itself has changed, or has %d tasks", c.about, s.Tasks.N)
		}
	}
}

// Whatever the sizes and the fit: pairs of rows of one partition meet in exactly
// one task, and each row of a side that is not split meets all of the other's.
func TestFittedTasksReadEveryPair(t *testing.T) {
	var coalesced, split int
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.IntRange(1, 6).Draw(t, "partitions")
		fit := Fit{Target: rapid.Int64Range(1, 200).Draw(t, "target"), Least: rapid.Int64Range(1, 50).Draw(t, "least"), Slots: rapid.IntRange(1, 8).Draw(t, "slots"),
			Apart: rapid.Bool().Draw(t, "apart"), Split: [][]int{nil, {0}, {1}, {0, 1}}[rapid.IntRange(0, 3).Draw(t, "split")]}
		job := joinOf(parts, fit)
		up := map[int][]SegmentInfo{}
		for u := range 3 {
			for range rapid.IntRange(1, 4).Draw(t, "segments") {
				sizes := rapid.SliceOfN(rapid.SampledFrom([]int64{0, 0, 1, 3, 9, 40, 100}), 0, parts).Draw(t, "sizes")
				up[u] = append(up[u], SegmentInfo{Rows: sizes, Bytes: sizes})
			}
		}
		s, err := Fitted(job, 3, up)
		if err != nil {
			t.Fatal(err)
		}
		job.Stages[3] = s
		if s.Tasks.N < parts {
			coalesced++
		}
		if s.Tasks.N > parts {
			split++
		}
		pairs := map[[3]int]int{} // segments of both sides and partition, to tasks
		for task := range s.Tasks.N {
			in, err := Assign(job, 3, task, up)
			if err != nil {
				t.Fatal(err)
			}
			a, b := blocksOf(t, in.Parts[0], up), blocksOf(t, in.Parts[1], up)
			for _, x := range a {
				for _, y := range b {
					if x[1] == y[1] {
						pairs[[3]int{x[0], y[0], x[1]}]++
					}
				}
			}
			if all := blocksOf(t, in.Parts[2], up); len(all) != len(filled(up[2])) {
				t.Fatalf("task %d reads %d of %d of what every task reads", task, len(all), len(filled(up[2])))
			}
		}
		want := 0
		for _, x := range filled(up[0]) {
			for _, y := range filled(up[1]) {
				if x[1] != y[1] {
					continue
				}
				want++
				if n := pairs[[3]int{x[0], y[0], x[1]}]; n != 1 {
					t.Fatalf("segments %d and %d of partition %d meet %d times: %+v", x[0], y[0], x[1], n, s.Tasks.Specs)
				}
			}
		}
		if len(pairs) != want {
			t.Fatalf("%d pairs meet, want %d", len(pairs), want)
		}
	})
	if coalesced == 0 || split == 0 {
		t.Errorf("%d were put together and %d split", coalesced, split)
	}
}

// filled is the segments and partitions that have rows.
func filled(segs []SegmentInfo) (out [][2]int) {
	for i, s := range segs {
		for p, n := range s.Rows {
			if n > 0 {
				out = append(out, [2]int{i, p})
			}
		}
	}
	return out
}

// blocksOf is what a task reads, by segment and partition, whole ones only.
func blocksOf(t *rapid.T, part TaskPart, up map[int][]SegmentInfo) (out [][2]int) {
	for _, b := range part.Blocks {
		rows := int64(0)
		for p := b.Partition; p < b.Partition+b.Count; p++ {
			if n := up[b.Stage][b.Segment].Rows[p]; n > 0 {
				rows += n
				out = append(out, [2]int{b.Segment, p})
			}
		}
		if rows != b.Rows || b.Skip != 0 {
			t.Fatalf("%+v does not read whole partitions", b)
		}
	}
	return out
}

func TestFittedLeavesAlone(t *testing.T) {
	plain := &Job{Stages: []*Stage{{Tasks: Tasks{N: 3}}}}
	if s, err := Fitted(plain, 0, nil); err != nil || s != plain.Stages[0] {
		t.Errorf("a stage without a fit becomes %+v, %v", s, err)
	}
	const parts = 1 << 12
	job := joinOf(parts, Fit{Target: 1 << 40, Least: 1, Slots: 1})
	up := map[int][]SegmentInfo{0: make([]SegmentInfo, fitWork/parts), 1: sized([]int64{}), 2: sized([]int64{})}
	s, err := Fitted(job, 3, up)
	if err != nil || s.Tasks.N != parts {
		t.Errorf("of too many partitions and segments %d tasks are made, want one a partition; %v", s.Tasks.N, err)
	}
	if _, err := Assign(job, 3, 0, up); !errors.Is(err, ErrInternal) {
		t.Errorf("a stage that is not fitted is assigned: %v", err)
	}
	for about, up := range map[string]map[int][]SegmentInfo{"unknown segments": {0: sized([]int64{})}, "nothing": nil} {
		if _, err := Fitted(job, 3, up); !errors.Is(err, ErrInternal) {
			t.Errorf("%s: %v", about, err)
		}
	}
	uneven := joinOf(3, Fit{})
	uneven.Stages[1].Exchange.Partitions = 4
	if _, err := Fitted(uneven, 3, map[int][]SegmentInfo{0: sized([]int64{}), 1: sized([]int64{}), 2: sized([]int64{})}); !errors.Is(err, ErrInternal) {
		t.Errorf("inputs in 3 and 4 partitions: %v", err)
	}
	if !slices.Equal(s.Tasks.Specs[1:2], []PartitionSpec{{Lo: 1, Hi: 2}}) {
		t.Errorf("the second task reads %+v", s.Tasks.Specs[1])
	}
}
