package plan

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSplitRowsIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := drawFiles(t)
		n := rapid.IntRange(1, 40).Draw(t, "n")
		var total int64
		for i := range files {
			total += files[i].Rows()
		}
		tasks := SplitRows(Units(files), files, n)
		if len(tasks) != n {
			t.Fatalf("%d tasks, want %d", len(tasks), n)
		}
		for i, task := range tasks {
			var rows int64
			for _, p := range task {
				rows += p.Rows
			}
			if rows != total/int64(n) && rows != total/int64(n)+1 {
				t.Fatalf("task %d of %d has %d of %d rows", i, n, rows, total)
			}
		}
		checkCover(t, files, tasks)
	})
}

func TestSplitBytesAndFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := drawFiles(t)
		n := rapid.IntRange(1, 40).Draw(t, "n")
		tasks := SplitBytes(Units(files), files, n)
		if len(tasks) > n || len(tasks) > len(Units(files)) || len(tasks) == 0 {
			t.Fatalf("%d tasks for %d units, at most %d", len(tasks), len(Units(files)), n)
		}
		for i, task := range tasks {
			if len(task) == 0 {
				t.Fatalf("task %d of %d is empty", i, len(tasks))
			}
		}
		checkCover(t, files, tasks)
		dealt := SplitFiles(files, n)
		for i, task := range dealt {
			if k := len(files) / n; len(task) != k && len(task) != k+1 {
				t.Fatalf("task %d has %d of %d files", i, len(task), len(files))
			}
		}
		checkCover(t, files, dealt)
	})
}

// TestSplitSnaps cuts files of all sizes, and looks that tasks are near their share and
// end with files where those are near it too.
func TestSplitSnaps(t *testing.T) {
	file := func(name string, groups ...int64) (f File) {
		f.Path = name
		for _, g := range groups {
			f.Groups, f.Size = append(f.Groups, RowGroup{Rows: 10, Bytes: g * mib}), f.Size+g*mib
		}
		return f
	}
	many := func(n int, size int64) (out []File) {
		for i := range n {
			out = append(out, file(fmt.Sprint("f", i), size))
		}
		return out
	}
	ten := []int64{13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 5}
	var big []File
	for i := range 8 {
		big = append(big, file(fmt.Sprint("f", i), ten...))
	}
	for name, c := range map[string]struct {
		files  []File
		target int64
		slots  int
		tasks  int
		whole  int // pieces that are a whole file
	}{
		"a little larger than the target":   {big, 128, 2, 8, 8},
		"a little larger than twice it":     {big, 64, 2, 16, 0},
		"small":                             {many(100, 3), 32, 2, 10, 100},
		"smaller than the target by little": {many(10, 50), 60, 2, 10, 10},
		"half the target":                   {many(10, 32), 64, 2, 5, 10},
		"as many tasks as slots":            {big, 128, 9, 9, 0},
		"groups a little below the target":  {[]File{file("f", slices.Repeat([]int64{120}, 27)...)}, 128, 24, 26, 0},
		"two thirds of it":                  {[]File{file("f", slices.Repeat([]int64{85}, 1000)...)}, 128, 16, 665, 0},
		"half of it":                        {[]File{file("f", slices.Repeat([]int64{63}, 1000)...)}, 128, 16, 493, 0},
		"files of three quarters of it":     {many(27, 94), 128, 16, 27, 27},
		"files of two thirds of it":         {many(100, 90), 128, 64, 100, 100},
	} {
		s := Sizing{Parallelism: c.slots, TargetBytes: c.target * mib}
		var bytes int64
		for _, f := range c.files {
			bytes += f.Size
		}
		tasks := s.Split(Units(c.files), c.files, bytes)
		whole := 0
		for _, task := range tasks {
			for _, p := range task {
				if p.Whole {
					whole++
				}
			}
		}
		if len(tasks) != c.tasks || whole < c.whole {
			t.Errorf("%s: %d tasks and %d whole files, want %d and %d", name, len(tasks), whole, c.tasks, c.whole)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		files := drawFiles(t)
		var bytes, most int64
		for _, u := range Units(files) {
			bytes, most = bytes+max(u.Bytes, 1), max(most, u.Bytes)
		}
		s := Sizing{Parallelism: rapid.IntRange(1, 4).Draw(t, "slots"), TargetBytes: rapid.Int64Range(1, 3000).Draw(t, "target")}
		tasks := s.Split(Units(files), files, bytes)
		checkCover(t, files, tasks)
		n := s.TasksFor(bytes)
		if least := min(n, len(Units(files))); len(tasks) > 2*n || len(tasks) < max(least*3/4, min(s.Parallelism, least)) {
			t.Fatalf("%d tasks of %d units, for %d", len(tasks), len(Units(files)), n)
		}
		for i, task := range tasks {
			size := int64(0)
			for _, p := range task {
				size += p.Bytes
			}
			if share := bytes / int64(n); len(task) == 0 || size > 2*share+most+int64(len(Units(files))) {
				t.Fatalf("task %d of %d, for %d, has %d of %d bytes", i, len(tasks), n, size, bytes)
			}
		}
	})
}

func drawFiles(t *rapid.T) []File {
	n := rapid.IntRange(1, 8).Draw(t, "files")
	files := make([]File, n)
	for i := range files {
		files[i] = File{Path: fmt.Sprint("f", i), Groups: []RowGroup{}}
		for range rapid.IntRange(0, 5).Draw(t, "groups") {
			g := RowGroup{Rows: rapid.Int64Range(0, 50).Draw(t, "rows"), Bytes: rapid.Int64Range(0, 1000).Draw(t, "bytes")}
			files[i].Groups = append(files[i].Groups, g)
			files[i].Size += g.Bytes
		}
	}
	return files
}

// checkCover checks that the pieces, one after another, are all rows in order.
func checkCover(t *rapid.T, files []File, tasks [][]Piece) {
	var got, want []string
	for i := range files {
		for r := range files[i].Rows() {
			want = append(want, fmt.Sprint(files[i].Path, ":", r))
		}
	}
	rows := map[string]int64{}
	for i := range files {
		rows[files[i].Path] = files[i].Rows()
	}
	for _, task := range tasks {
		for _, p := range task {
			if p.Whole && (p.Start != 0 || p.Rows != rows[p.Path]) {
				t.Fatalf("%+v is called whole, but the file has %d rows", p, rows[p.Path])
			}
			if p.ToEnd && (p.Whole || p.Start+p.Rows != rows[p.Path]) {
				t.Fatalf("%+v is called a run to the end, but the file has %d rows", p, rows[p.Path])
			}
			for r := range p.Rows {
				got = append(got, fmt.Sprint(p.Path, ":", p.Start+r))
			}
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("the pieces hold\n%v\nwant\n%v", got, want)
	}
}

func TestTasksFor(t *testing.T) {
	o := Sizing{Parallelism: 8, TargetBytes: 128 * mib}
	for bytes, want := range map[int64]int{-1: 8, 0: 1, 1000: 1, 4 * mib: 1, 8 * mib: 2, 32 * mib: 8, 1000 * mib: 8, 1025 * mib: 9, 1 << 40: 8192, 1 << 62: MaxPartitions} {
		if got := o.TasksFor(bytes); got != want {
			t.Errorf("%d bytes: %d tasks, want %d", bytes, got, want)
		}
	}
}

// A task sorts less than it reads, but no job is cut into very many for that; what is not
// known, or too little, is cut as for others.
func TestSortTasksFor(t *testing.T) {
	o := Sizing{Parallelism: 8, TargetBytes: 128 * mib, SortBytes: 32 * mib}
	for bytes, want := range map[int64]int{-1: 8, 0: 1, 4 * mib: 1, 32 * mib: 8, 1000 * mib: 32, 32768 * mib: 1024, 65536 * mib: 1024, 1 << 38: 2048, 1 << 62: MaxPartitions} {
		if got := o.SortTasksFor(bytes); got != want {
			t.Errorf("%d bytes: %d tasks, want %d", bytes, got, want)
		}
	}
	if o.SortBytes = 0; o.SortTasksFor(1025*mib) != 9 {
		t.Error("without a size for sorts, theirs is that of others")
	}
}

const mib = 1 << 20

// upstream is a job of producers with the last stage reading all of them.
func upstream(how How, tasks, partitions int, segments ...int) *Job {
	job := &Job{}
	read := &Read{How: how}
	for i, n := range segments {
		job.Stages = append(job.Stages, &Stage{Tasks: Tasks{N: n}, Exchange: Exchange{Partitions: partitions}})
		read.Stages = append(read.Stages, i)
	}
	job.Stages = append(job.Stages, &Stage{Tasks: Tasks{N: tasks}, Inputs: []Input{{View: "v0", Read: read}}})
	return job
}

// Every row of every segment is read exactly once (by each task for ReadAll),
// in order, and shares are as even as promised.
func TestAssignReadsEveryRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		how := rapid.SampledFrom([]How{ReadPartition, ReadAll, ReadSegments, ReadRows}).Draw(t, "how")
		parts := rapid.IntRange(1, 6).Draw(t, "partitions")
		tasks := rapid.IntRange(1, 12).Draw(t, "tasks")
		if how == ReadPartition {
			tasks = min(tasks, parts)
		}
		counts := rapid.SliceOfN(rapid.IntRange(1, 5), 1, 3).Draw(t, "segments")
		job := upstream(how, tasks, parts, counts...)
		up := map[int][]SegmentInfo{}
		want := map[string]bool{}
		var total int64
		for u, n := range counts {
			for s := range n {
				seg := SegmentInfo{}
				for p := range rapid.IntRange(0, parts).Draw(t, "listed") {
					rows := rapid.Int64Range(0, 4).Draw(t, "rows")
					seg.Rows, seg.Bytes = append(seg.Rows, rows), append(seg.Bytes, rows*10)
					total += rows
					for r := range rows {
						want[fmt.Sprint(u, s, p, r)] = true
					}
				}
				up[u] = append(up[u], seg)
			}
		}
		got := map[string]bool{}
		for task := range tasks {
			if how == ReadAll {
				clear(got)
			}
			rows := assignTask(t, job, task, up, got)
			if how == ReadRows && rows != total/int64(tasks) && rows != total/int64(tasks)+1 {
				t.Fatalf("task %d of %d reads %d of %d rows", task, tasks, rows, total)
			}
			if how == ReadAll && len(got) != len(want) {
				t.Fatalf("task %d reads %d of %d rows", task, len(got), len(want))
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d of %d rows are read", len(got), len(want))
		}
	})
}

// assignTask adds the rows that a task reads to got, and returns their number.
func assignTask(t *rapid.T, job *Job, task int, up map[int][]SegmentInfo, got map[string]bool) int64 {
	in, err := Assign(job, len(job.Stages)-1, task, up)
	if err != nil {
		t.Fatal(err)
	}
	part := in.Parts[0]
	var sum int64
	stages := map[int]bool{}
	for _, b := range part.Blocks {
		if b.Rows < 1 {
			t.Fatalf("nothing is read by %+v", b)
		}
		stages[b.Stage] = true
		sum += b.Rows
		skip, left := b.Skip, b.Rows
		for p := b.Partition; p < b.Partition+b.Count; p++ {
			for r := range up[b.Stage][b.Segment].Rows[p] {
				switch {
				case skip > 0:
					skip--
				case left > 0:
					left--
					key := fmt.Sprint(b.Stage, b.Segment, p, r)
					if got[key] {
						t.Fatalf("row %s is read twice", key)
					}
					got[key] = true
				}
			}
		}
		if left != 0 {
			t.Fatalf("%+v wants %d rows that are not there", b, left)
		}
	}
	for _, u := range part.Empty {
		if stages[u] {
			t.Fatalf("stage %d is read and called empty", u)
		}
		stages[u] = true
	}
	if len(stages) != len(job.Stages)-1 {
		t.Fatalf("%d of %d stages are accounted for", len(stages), len(job.Stages)-1)
	}
	return sum
}

func TestAssignUnits(t *testing.T) {
	seg := func(rows ...int64) SegmentInfo { return SegmentInfo{Rows: rows, Bytes: make([]int64, len(rows))} }
	job := upstream(ReadSegments, 2, 1, 3)
	in, err := Assign(job, 1, 1, map[int][]SegmentInfo{0: {seg(5), seg(6), seg(7)}})
	if err != nil || len(in.Parts[0].Blocks) != 1 || in.Parts[0].Blocks[0].Segment != 2 {
		t.Errorf("the second of two tasks reads %+v, %v; want segment 2", in, err)
	}
	lit := &Job{Stages: []*Stage{{Tasks: Tasks{N: 3}, Inputs: []Input{{Literal: &Literal{Rows: 10}}, {Literal: &Literal{Rows: 10, Broadcast: true}}}}}}
	in, err = Assign(lit, 0, 1, nil)
	if err != nil || in.Parts[0].First != 4 || in.Parts[0].Count != 3 || in.Parts[1].Count != 10 {
		t.Errorf("the second of three tasks reads %+v, %v; want rows 4 to 6 and all", in, err)
	}
	ranged := upstream(ReadPartition, 1, 1, 2)
	ranged.Stages[1].Exchange = Exchange{Kind: Range, Bounds: 0}
	in, err = Assign(ranged, 1, 0, map[int][]SegmentInfo{0: {seg(3), seg()}})
	if err != nil || len(in.Bounds) != 1 || in.Bounds[0].Rows != 3 {
		t.Errorf("bounds are %+v, %v", in.Bounds, err)
	}
}

func TestAssignRefuses(t *testing.T) {
	job := upstream(ReadPartition, 2, 2, 1)
	ok := map[int][]SegmentInfo{0: {{Rows: []int64{1, 1}, Bytes: []int64{1, 1}}}}
	for about, f := range map[string]func() error{
		"no such stage":       func() error { _, err := Assign(job, 7, 0, ok); return err },
		"no such task":        func() error { _, err := Assign(job, 1, 2, ok); return err },
		"unknown segments":    func() error { _, err := Assign(job, 1, 0, nil); return err },
		"too many partitions": func() error { _, err := Assign(upstream(ReadAll, 1, 1, 1), 1, 0, ok); return err },
		"too many tasks":      func() error { _, err := Assign(upstream(ReadPartition, 3, 2, 1), 1, 0, ok); return err },
		"unknown how":         func() error { _, err := Assign(upstream("x", 1, 2, 1), 1, 0, ok); return err },
	} {
		if err := f(); !errors.Is(err, ErrInternal) {
			t.Errorf("%s: %v", about, err)
		}
	}
	if got := TaskCount(&Job{Stages: append(job.Stages[:1:1], &Stage{Inputs: []Input{{Read: &Read{Stages: []int{0}, How: ReadSegments}}}})}, 1, ok); got != 1 {
		t.Errorf("a stage without N has %d tasks, want one a segment", got)
	}
}

// 4,096 partitions of 256 producers: one task's share costs its own 256 blocks.
func BenchmarkAssign(b *testing.B) {
	job := upstream(ReadPartition, 4096, 4096, 256)
	up := map[int][]SegmentInfo{}
	for range 256 {
		seg := SegmentInfo{Rows: make([]int64, 4096), Bytes: make([]int64, 4096)}
		for p := range seg.Rows {
			seg.Rows[p], seg.Bytes[p] = 3, 300
		}
		up[0] = append(up[0], seg)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		in, err := Assign(job, 1, i%4096, up)
		if err != nil || len(in.Parts[0].Blocks) != 256 {
			b.Fatal(len(in.Parts[0].Blocks), err)
		}
	}
}
