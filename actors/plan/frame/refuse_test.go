package frame

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

func checkRefusal(t *testing.T, err error, step, text string) {
	t.Helper()
	var te *plan.Error
	if !errors.As(err, &te) || !errors.Is(err, plan.ErrQuery) {
		t.Errorf("%q: error is %v", text, err)
		return
	}
	if !strings.Contains(te.Subject, step) || !strings.Contains(te.Text, text) || te.Hint == "" {
		t.Errorf("subject %q, text %q, hint %q; want %q in the first, %q in the second, and a hint", te.Subject, te.Text, te.Hint, step, text)
	}
}

// What only the files or the other steps tell.
func TestCompileRefusals(t *testing.T) {
	hash := func(id, in string, n int, keys string) string {
		return on(id, in, `"repartition":{"n":`+string(rune('0'+n))+`,"by":"hash","keys":[`+keys+`]}`)
	}
	join := func(a, b string) string {
		return `,{"id":"j","inputs":["` + a + `","` + b + `"],"sql":{"query":"SELECT * FROM {0}, {1}"}}`
	}
	two := readBig + `,` + readBig2
	for _, tc := range []struct{ nodes, sink, step, text string }{
		{two + hash("a", "big", 4, `"x"`) + hash("b", "big2", 8, `"x"`) + join("a", "b"), collect("j"), `"j"`, `"a" has 4 partitions, hash (1 key), "b" has 8 partitions, hash (1 key)`},
		{two + hash("a", "big", 4, `"x"`) + hash("b", "big2", 8, `"x"`) + join("b", "a"), collect("j"), `"j"`, `"b" has 8 partitions`},
		{two + hash("a", "big", 4, `"x"`) + hash("b", "big2", 4, `"x","y"`) + join("a", "b"), collect("j"), `"j"`, "2 keys"},
		{two + hash("a", "big", 4, `"x"`) + on("b", "big2", `"repartition":{"n":4,"by":"rows"}`) + join("a", "b"), collect("j"), `"j"`, "slices"},
		{two + on("a", "big", `"repartition":{"n":4,"by":"range","keys":["x"]}`) + on("b", "big2", `"repartition":{"n":4,"by":"range","keys":["x"]}`) + join("a", "b"), collect("j"), `"j"`, "bounds of a"},
		{two + hash("a", "big", 4, `"x"`) + on("b", "big2", `"broadcast":{"n":3}`) + join("b", "a"), collect("j"), `"j"`, "broadcast"},
		{readBig + on("f", "big", `"filter":{"sql":"true"}`) + on("p", "f", `"project":{"filename":true}`), collect("p"), `"p"`, "its input is no read"},
		{readCSV + on("p", "csv", `"project":{"row_number":true}`), collect("p"), `"p"`, "csv"},
		{`{"id":"big","read":{"format":"parquet","paths":["x"],"options":{"columns":["nope"]}}}`, collect("big"), `"big"`, `no column "nope"; there are origin, delay, day`},
		{`{"id":"none","read":{"format":"parquet","paths":["/d/*.nope"]}}`, collect("none"), `"none"`, "no file matches /d/*.nope"},
	} {
		cat := world()
		cat["none"] = plan.Facts{}
		_, err := Compile(decodePlan(t, tc.nodes, tc.sink), cat, testOptions())
		checkRefusal(t, err, tc.step, tc.text)
	}
	if _, err := Compile(decodePlan(t, readBig, collect("big")), plan.Catalog{}, testOptions()); !errors.Is(err, plan.ErrInternal) {
		t.Errorf("a catalog without the files gives %v", err)
	}
	if _, err := Compile(&plan.Plan{}, nil, Options{}); !errors.Is(err, plan.ErrQuery) {
		t.Errorf("an empty plan gives %v", err)
	}
}

// Whatever is sent, the answer is a plan or an error.
func FuzzDecode(f *testing.F) {
	for _, plans := range goldens {
		for _, g := range plans {
			f.Add([]byte(`{"nodes":[` + g.nodes + `],"sink":` + g.sink + `}`))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := plan.Decode(data)
		if err != nil {
			return
		}
		if p.Validate() != nil {
			return
		}
		cat := world()
		for _, s := range p.Sources() {
			if _, ok := cat[s.Node]; !ok {
				cat[s.Node] = cat["tiny"]
			}
		}
		job, err := Compile(p, cat, testOptions())
		if err != nil {
			return
		}
		checkJob(t, job)
		job.Explain()
		if _, err := json.Marshal(job); err != nil {
			t.Fatal(err)
		}
	})
}
