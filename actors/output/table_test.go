package output

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/mattn/go-runewidth"
	"pgregory.net/rapid"
)

// TestTableLines: whatever the cells are, a table's lines are as wide as one another, no
// wider than a terminal that has room for its columns, and do nothing to it.
func TestTableLines(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("a\x1b\n\t│日本é\u0301😀\u202e")))
		l := NewListing(Column{Name: text.Draw(rt, "name"), Kind: ""}, Column{Name: "n", Kind: 0}, Column{Name: "ok", Kind: false})
		for range rapid.IntRange(0, 5).Draw(rt, "rows") {
			l.Add(text.Draw(rt, "text"), rapid.Int().Draw(rt, "n"), true)
		}
		rec := l.Batch()
		defer rec.Release()
		width := rapid.SampledFrom([]int{0, 40, 80}).Draw(rt, "width")
		lines := strings.Split(strings.TrimSuffix(string(write(t, Table, Options{Width: width}, rec)), "\n"), "\n")
		for _, line := range lines {
			if n := runewidth.StringWidth(line); line != "0 rows" && (n != runewidth.StringWidth(lines[0]) || width > 0 && n > width) {
				rt.Fatalf("%d columns wide in a table of %d, at most %d:\n%s", n, runewidth.StringWidth(lines[0]), width, strings.Join(lines, "\n"))
			}
			if strings.ContainsAny(line, "\x1b\t\u202e") {
				rt.Fatalf("a terminal would obey %q", line)
			}
		}
	})
}

// TestLateWideCells: a cell that is wider than all that were measured pushes its line out
// of the frame, and is cut only by a terminal's edge.
func TestLateWideCells(t *testing.T) {
	l := NewListing(Column{Name: "n", Kind: 0})
	for i := range lookAheadRows {
		l.Add(i)
	}
	l.Add(1234567890123)
	rec := l.Batch()
	defer rec.Release()
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{}, "│ 1234567890123 │\n"},
		{Options{Plain: true}, "\n1234567890123\n"},
		{Options{Width: 12}, "│ 12345… │\n"},
	} {
		if out := string(write(t, Table, test.o, rec)); !strings.Contains(out, test.want) {
			t.Errorf("%+v: no %q at the end of\n%s", test.o, test.want, out[len(out)-60:])
		}
	}
	if out := write(t, Table, Options{}, wideCell(t, 1<<20)); runewidth.StringWidth(string(out)) > 20*cellWidthMax {
		t.Errorf("a cell of a megabyte came out at %d columns", runewidth.StringWidth(string(out)))
	}
}

// wideCell is one row with a text of n letters.
func wideCell(t *testing.T, n int) (rec arrow.RecordBatch) {
	t.Helper()
	l := NewListing(Column{Name: "s", Kind: ""})
	l.Add(strings.Repeat("x", n))
	rec = l.Batch()
	t.Cleanup(rec.Release)
	return rec
}

// fullDisk takes some bytes and no more.
type fullDisk struct{ room int }

var errFullDisk = errors.New("no space left on device")

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		return 0, errFullDisk
	}
	d.room -= len(p)
	return len(p), nil
}

// TestFullDisk: rows that cannot be written are told of, by every format, at the latest at
// the end.
func TestFullDisk(t *testing.T) {
	many := slices.Repeat([]arrow.RecordBatch{wideCell(t, 10_000)}, 3)
	for _, f := range Formats {
		for _, o := range []Options{{}, {Expanded: true}} {
			err := func() error {
				w, err := New(&fullDisk{room: 100}, Format(f), many[0].Schema(), o)
				for i := 0; err == nil && i < len(many); i++ {
					err = w.Write(many[i])
				}
				if err == nil {
					err = w.Close()
				}
				return err
			}()
			if !errors.Is(err, errFullDisk) {
				t.Errorf("%s, %+v: %v", f, o, err)
			}
		}
	}
}

// TestFormats: each is found by its name and by those of files, and any other refused.
func TestFormats(t *testing.T) {
	for _, name := range Formats {
		f, err := Parse(name)
		if err != nil || string(f) != name {
			t.Errorf("%s: %v, %v", name, f, err)
		}
		if of, ok := OfFile("rows." + name); ok && of != f || !ok && f != Table {
			t.Errorf("rows.%s is %v, %v", name, of, ok)
		}
		var b bytes.Buffer
		if _, err := New(&b, f, wideCell(t, 1).Schema(), Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{"", "rows", "rows.xlsx", "csv", "rows.csv.gz", ".parquet/rows"} {
		if f, ok := OfFile(path); ok {
			t.Errorf("%q is %s", path, f)
		}
	}
	if _, err := New(&bytes.Buffer{}, "xlsx", wideCell(t, 1).Schema(), Options{}); err == nil || !strings.Contains(err.Error(), "unknown format") {
		t.Errorf("xlsx: %v", err)
	}
}
