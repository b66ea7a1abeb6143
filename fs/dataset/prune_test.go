package dataset

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPrune: values worked out by hand.
func TestPrune(t *testing.T) {
	none := Bounds{Nulls: -1}
	in := func(min, max string) Bounds { return Bounds{Min: &min, Max: &max} }
	for _, c := range []struct {
		typ  string
		b    Bounds
		cond string // operator and value
		gone bool
	}{
		{"BIGINT", in("3", "12"), "= 2", true},
		{"BIGINT", in("3", "12"), "= 5", false},
		{"BIGINT", in("3", "12"), "= 100", true},
		{"BIGINT", in("3", "12"), "< 3", true},
		{"BIGINT", in("3", "12"), "<= 3", false},
		{"BIGINT", in("3", "12"), "> 12", true},
		{"BIGINT", in("3", "12"), ">= 12", false},
		{"BIGINT", none, "= 5", false},
		{"BIGINT", Bounds{Min: text("3")}, "> 5", false},
		{"BIGINT", Bounds{Nulls: 4}, "= 5", true}, // all rows
		{"BIGINT", in("x", "y"), "= 5", false},
		{"BIGINT", in("3", "12"), "= 1/2", false},
		{"BIGINT", in("3", "12"), "= 1e9999", false},
		{"UHUGEINT", in("340282366920938463463374607431768211454", "340282366920938463463374607431768211455"), "< 340282366920938463463374607431768211454", true},
		{"DECIMAL(9,2)", in("1.50", "1.50"), "= 1.5", false},
		{"DOUBLE", in("1", "2"), "> 3", false}, // NaN
		{"DOUBLE", in("1", "2"), "= nan", false},
		{"DOUBLE", in("1", "2"), "< 0.5", true},
		{"DOUBLE", in("1e300", "1.5e300"), "< 9.9e299", true},
		{"VARCHAR", in("a", "b"), "= c", true},
		{"VARCHAR", in("a", "b"), "= aa", false},
		{"VARCHAR", in("10", "9"), "= 5", false},
		{"DATE", in("2020-01-31", "2020-02-01"), "< 2020-01-31", true},
		{"DATE", in("2020-01-31", "2020-02-01"), "= 20200-01-31", false},
		{"DATE", in("0044-03-15 (BC)", "0044-03-15 (BC)"), "= 2020-01-01", false},
		{"TIMESTAMP", in("2020-01-31 00:00:00", "2020-01-31 00:00:00.5"), "> 2020-01-31 00:00:00.500", true},
		{"TIMESTAMP", in("2020-01-31", "2020-01-31"), "< 2020-01-31 00:00:00", false},
		{"BOOLEAN", in("false", "false"), "= true", false},
		{"INTERVAL", in("1 day", "1 day"), "= 2 days", false},
	} {
		op, value, _ := strings.Cut(c.cond, " ")
		m := &Manifest{Columns: []Column{{Name: "A", Type: c.typ}}, Files: []File{{Path: "x", Rows: 4, Bounds: map[string]Bounds{"a": c.b}}}}
		if gone := len(m.Prune([]Condition{{"a", Op(op), value}})) == 0; gone != c.gone {
			t.Errorf("%s in %s: gone %t", c.cond, c.typ, gone)
		}
	}
}

func TestPruneFolders(t *testing.T) {
	m := &Manifest{Columns: []Column{{Name: "k", Type: "INTEGER", Folder: true}, {Name: "name x", Type: "VARCHAR", Folder: true}}}
	m.Files = files("K=01/name%20x=a%2Fb/1", "k=2/name x=b/2", "k="+nullFolder+"/3", "k=2/k=3/4", "k=x/5", "6")
	for cond, want := range map[string]string{
		"k = 1":        "1 4 5 6",
		"k > 1":        "2 4 5 6",
		"name x = a/b": "1 3 4 5 6",
		"other = 1":    "1 2 3 4 5 6",
	} {
		i := strings.LastIndex(cond, " ")
		j := strings.LastIndex(cond[:i], " ")
		var got []string
		for _, f := range m.Prune([]Condition{{cond[:j], Op(cond[j+1 : i]), cond[i+1:]}}) {
			got = append(got, f.Path[strings.LastIndex(f.Path, "/")+1:])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q", cond, got)
		}
	}
}

// TestPruneKeepsRows: a file with a row that is wanted stays.
func TestPruneKeepsRows(t *testing.T) {
	holds := map[Op]func(x, y int) bool{
		Equal: func(x, y int) bool { return x == y }, Less: func(x, y int) bool { return x < y }, LessOrEqual: func(x, y int) bool { return x <= y },
		Greater: func(x, y int) bool { return x > y }, GreaterOrEqual: func(x, y int) bool { return x >= y },
	}
	rapid.Check(t, func(rt *rapid.T) {
		small := rapid.IntRange(-12, 12)
		m := &Manifest{Columns: []Column{{Name: "a", Type: "INTEGER"}, {Name: "k", Type: "BIGINT", Folder: true}}}
		rows := map[string][][2]int{}
		for i := range rapid.IntRange(0, 5).Draw(rt, "files") {
			k, values := small.Draw(rt, "k"), rapid.SliceOfN(small, 1, 4).Draw(rt, "a")
			f := File{Path: fmt.Sprintf("k=%d/%d", k, i), Rows: int64(len(values)), Bounds: map[string]Bounds{"a": {Min: text(fmt.Sprint(slices.Min(values))), Max: text(fmt.Sprint(slices.Max(values)))}}}
			for _, a := range values {
				rows[f.Path] = append(rows[f.Path], [2]int{a, k})
			}
			m.Files = append(m.Files, f)
		}
		var all []Condition
		var ok []func(row [2]int) bool
		for range rapid.IntRange(0, 3).Draw(rt, "conditions") {
			column, op, value := rapid.IntRange(0, 1).Draw(rt, "column"), rapid.SampledFrom([]Op{Equal, Less, LessOrEqual, Greater, GreaterOrEqual}).Draw(rt, "op"), small.Draw(rt, "value")
			all = append(all, Condition{m.Columns[column].Name, op, fmt.Sprint(value)})
			ok = append(ok, func(row [2]int) bool { return holds[op](row[column], value) })
		}
		kept := map[string]bool{}
		for _, f := range m.Prune(all) {
			kept[f.Path] = true
		}
		for name, rows := range rows {
			for _, row := range rows {
				if !kept[name] && !slices.ContainsFunc(ok, func(f func([2]int) bool) bool { return !f(row) }) {
					rt.Fatalf("%s is gone, and has row %v, for %+v", name, row, all)
				}
			}
		}
	})
}
