package plan

import (
	"testing"

	"pgregory.net/rapid"
)

// TestSplitRows checks that the tasks' pieces are the units' rows, in order,
// each once, in even shares.
func TestSplitRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var files []File
		for i := range rapid.IntRange(1, 4).Draw(t, "files") {
			f := File{Path: string(rune('a' + i)), Size: 100, Groups: []RowGroup{}}
			for range rapid.IntRange(0, 4).Draw(t, "groups") {
				f.Groups = append(f.Groups, RowGroup{Rows: rapid.Int64Range(0, 9).Draw(t, "rows"), Bytes: 10})
			}
			files = append(files, f)
		}
		var us []Piece
		for _, u := range Units(files) {
			if rapid.IntRange(0, 3).Draw(t, "skipped") > 0 {
				us = append(us, u)
			}
		}
		type row struct {
			path string
			at   int64
		}
		list := func(ps []Piece) (out []row) {
			for _, p := range ps {
				for r := range p.Rows {
					out = append(out, row{p.Path, p.Start + r})
				}
			}
			return out
		}
		want := list(us)
		n := rapid.IntRange(1, 6).Draw(t, "n")
		var got []row
		for i, task := range SplitRows(us, files, n) {
			rows := list(task)
			if lo, hi := EvenRange(int64(len(want)), n, i); int64(len(rows)) != hi-lo {
				t.Fatalf("task %d has %d rows, want %d", i, len(rows), hi-lo)
			}
			got = append(got, rows...)
			for _, p := range task {
				if p.Whole && p.Rows != rowsByPath(files)[p.Path] {
					t.Fatalf("%+v is not the whole file", p)
				}
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d rows, want %d", len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("row %d is %v, want %v", i, got[i], want[i])
			}
		}
	})
}
