package logical

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func plans(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/plans/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		if out[filepath.Base(f)], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestDecode(t *testing.T) {
	for name, text := range plans(t) {
		p, err := Decode(text, nil)
		if name == "error.json" {
			var refused *PlanError
			if !errors.As(err, &refused) || refused.Kind != "binder" || refused.Again() || !strings.Contains(err.Error(), "nothing") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		Walk(p.Root, func(op Operator) bool {
			if u, ok := op.(*Unknown); ok {
				t.Errorf("%s: %s", name, u.Why)
			}
			if f := FactsOf(Exprs(op)...); f.Unknown {
				t.Errorf("%s: %s has an unknown expression", name, op.Head().Kind)
			}
			return true
		})
		if _, err := RenderPlan(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Decode(text, []string{"one too few"}); err == nil {
			t.Errorf("%s: names that do not fit were accepted", name)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	deep := strings.Repeat(`{"type":"LOGICAL_FILTER","children":[`, depthMax+1) + strings.Repeat(`]}`, depthMax+1)
	for name, text := range map[string]string{
		"no JSON":        `{"error":`,
		"not UTF-8":      "{\"error\":false,\"plans\":[\"\xff\"]}",
		"no plan":        `{"error":false,"plans":[]}`,
		"two plans":      `{"error":false,"plans":[{},{}]}`,
		"more than JSON": `{"error":false,"plans":[{}]} {}`,
		"depth":          `{"error":false,"plans":[` + deep + `]}`,
		"empty":          "",
	} {
		if p, err := Decode([]byte(text), nil); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// What is not known is kept, and only rendering it fails.
func TestUnknown(t *testing.T) {
	for _, text := range []string{
		`{"type":"LOGICAL_NEW"}`,
		`{"type":"LOGICAL_FILTER","children":[]}`,
		`{"type":"LOGICAL_PROJECTION","children":[{"type":"LOGICAL_DUMMY_SCAN"}],"expressions":[{"expression_class":"BOUND_NEW"}]}`,
		`{"type":"LOGICAL_PROJECTION","children":[{"type":"LOGICAL_DUMMY_SCAN"}],"expressions":[{"expression_class":"BOUND_REF","index":9}]}`,
		`{"type":"LOGICAL_COMPARISON_JOIN","join_type":"NEW","children":[{"type":"LOGICAL_DUMMY_SCAN"},{"type":"LOGICAL_DUMMY_SCAN"}]}`,
		`{"type":"LOGICAL_DELIM_GET","chunk_types":[]}`,
		`{"type":"LOGICAL_GET","name":"secret_scan","has_serialize":true}`,
		`{"type":"LOGICAL_PROJECTION","children":[{"type":"LOGICAL_DUMMY_SCAN"}],"expressions":[{"expression_class":"BOUND_FUNCTION","name":"f","has_serialize":true}]}`,
	} {
		p, err := Decode([]byte(`{"error":false,"plans":[`+text+`]}`), nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if sql, err := RenderPlan(p); !errors.Is(err, ErrUnrendered) {
			t.Errorf("%s: %q %v", text, sql, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range plans(f) {
		f.Add(text)
	}
	f.Add([]byte(`{"error":false,"plans":[{"type":"LOGICAL_EXPRESSION_GET","expr_types":[{"id":"INTEGER"}],"expressions":[[]]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Decode(text, nil)
		if err != nil {
			return
		}
		sql, err := RenderPlan(p)
		if err == nil && sql == "" {
			t.Error("no text and no error")
		}
	})
}

func TestQuoteBare(t *testing.T) {
	for in, want := range map[string]string{
		`[1,NaN,-Infinity]`:      `[1,"NaN","-Infinity"]`,
		`["NaN \" Infinity",-1]`: `["NaN \" Infinity",-1]`,
		`{"a\\":Infinity}`:       `{"a\\":"Infinity"}`,
	} {
		if got := string(quoteBare([]byte(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestDecimalResult(t *testing.T) {
	d := func(w, s int) Type { return Type{ID: "DECIMAL", Width: w, Scale: s} }
	for _, c := range []struct {
		op   string
		a, b Type
		want string
	}{
		{"+", d(4, 1), d(9, 2), "DECIMAL(10,2)"},
		{"-", d(18, 2), d(18, 2), "DECIMAL(18,2)"},
		{"+", d(19, 0), d(4, 4), "DECIMAL(24,4)"},
		{"*", d(15, 2), d(16, 2), "DECIMAL(18,4)"},
		{"*", d(31, 2), d(31, 2), "DECIMAL(38,4)"},
		{"*", d(18, 10), d(18, 9), "DECIMAL(36,19)"},
	} {
		if got, ok := decimalResult(c.op, c.a, c.b); !ok || got.String() != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.a, c.op, c.b, got, c.want)
		}
	}
	if _, ok := decimalResult("*", d(38, 20), d(38, 20)); ok {
		t.Error("a scale of 40")
	}
}

func TestTimeText(t *testing.T) {
	for _, c := range []struct{ id, value, want string }{
		{"DATE", "0", "1970-01-01"},
		{"DATE", "-719528", "0001-01-01 (BC)"},
		{"DATE", "2147483647", "infinity"},
		{"TIMESTAMP", "-1", "1969-12-31 23:59:59.999999"},
		{"TIMESTAMP WITH TIME ZONE", "0", "1970-01-01 00:00:00+00"},
		{"TIMESTAMP_NS", "1", "1970-01-01 00:00:00.000000001"},
		{"TIMESTAMP_S", "-9223372036854775807", "-infinity"},
		{"TIME", "86400000000", "24:00:00"},
	} {
		if got, ok := timeText(Value{Type: Type{ID: c.id}, Text: c.value}); !ok || got != c.want {
			t.Errorf("%s %s: %q, want %q", c.id, c.value, got, c.want)
		}
	}
	if got, ok := timeText(Value{Type: Type{ID: "DATE"}, Text: "x"}); ok {
		t.Errorf("%q", got)
	}
}

// A piece of a tree is rendered over views in place of what it reads.
func TestPieces(t *testing.T) {
	p, err := Decode(plans(t)["join.json"], nil)
	if err != nil {
		t.Fatal(err)
	}
	Walk(p.Root, func(op Operator) bool {
		views := make([]Operator, len(op.Head().Inputs))
		for i, in := range op.Head().Inputs {
			views[i] = &View{Node: Node{Kind: "VIEW", Columns: in.Head().Columns}, Name: "in" + strconv.Itoa(i)}
		}
		sql, err := RenderTree(WithInputs(op, views))
		if err != nil {
			t.Errorf("%s: %v", op.Head().Kind, err)
		}
		for i := range views {
			if name := "in" + strconv.Itoa(i); !strings.Contains(sql, name) {
				t.Errorf("%s does not read its input %d: %s", op.Head().Kind, i, sql)
			}
		}
		return true
	})
}

// TestUnions: a union has two inputs, or more, or the one that was not found empty.
func TestUnions(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 1, 3: 2, 5: 4} {
		inputs := strings.Repeat(`,{"type":"LOGICAL_DUMMY_SCAN","table_index":1}`, n)[1:]
		p, err := Decode([]byte(`{"error":false,"plans":[{"type":"LOGICAL_UNION","table_index":0,"setop_all":true,"children":[`+inputs+`]}]}`), []string{"a"})
		if err != nil {
			t.Fatal(err)
		}
		sql, err := RenderPlan(p)
		if got := strings.Count(sql, "UNION ALL"); got != want || err != nil {
			t.Errorf("%d inputs: %d unions, %v: %s", n, got, err, sql)
		}
	}
}
