package plan

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// Every refusal names the step and says what to do.
func TestRefusals(t *testing.T) {
	filter := func(op string) string { return readBig + on("x", "big", op) }
	ok := collect("x")
	for _, tc := range []struct {
		nodes, sink, step, text string
	}{
		{``, ok, "", "no steps"},
		{`{"read":{"format":"csv","paths":["a"]}}`, ok, "", "has no id"},
		{readBig + `,` + readBig, ok, `"big"`, "used twice"},
		{`{"id":"x"}`, ok, `"x"`, "does nothing"},
		{readBig + `,{"id":"x","inputs":["big"],"limit":{"n":1},"filter":{"sql":"a"}}`, ok, `"x" (filter+limit)`, "2 operations"},
		{readBig + on("x", "nope", `"limit":{"n":1}`), ok, `"x"`, `"nope" is not the id of an earlier step`},
		{readBig + on("x", "x", `"limit":{"n":1}`), ok, `"x"`, "not the id of an earlier step"},
		{readBig + `,{"id":"x","limit":{"n":1}}`, ok, `"x"`, "takes 1 input, not 0"},
		{readBig + `,{"id":"x","union":{}}`, ok, `"x"`, "takes 1 to 1024 inputs"},
		{`{"id":"x","read":{"format":"xml","paths":["a"]}}`, ok, `"x"`, `"xml"`},
		{`{"id":"x","read":{"format":"csv","paths":[]}}`, ok, `"x"`, "paths is empty"},
		{`{"id":"x","read":{"format":"csv","paths":["a"],"options":{"row_number":true}}}`, ok, `"x"`, "needs Parquet"},
		{`{"id":"x","read":{"format":"csv","paths":["a"],"options":{"csv":{"delim":"','), ("}}}}`, ok, `"x"`, "option delim"},
		{`{"id":"x","read":{"format":"csv","paths":["a"],"options":{"csv":{"a b":"1"}}}}`, ok, `"x"`, "not the name of an option"},
		{`{"id":"x","read":{"format":"csv","paths":["a"],"options":{"csv":{"delim":"1, 2"}}}}`, ok, `"x"`, "comma"},
		{`{"id":"x","read":{"format":"parquet","paths":["a"],"options":{"csv":{"delim":"1"}}}}`, ok, `"x"`, "csv options"},
		{`{"id":"x","read":{"format":"parquet","paths":["a"],"options":{"schema":[{"name":"a","type":"INT"}]}}}`, ok, `"x"`, "schema needs"},
		{`{"id":"x","read":{"format":"csv","paths":["a"],"options":{"schema":[{"name":"a","type":""}]}}}`, ok, `"x"`, "no type"},
		{`{"id":"x","read":{"format":"arrow","paths":["a"],"options":{"hive":true}}}`, ok, `"x"`, "Arrow"},
		{`{"id":"x","rows":{}}`, ok, `"x"`, "ipc and columns"},
		{`{"id":"x","rows":{"columns":[{"name":"a","type":"INT"}],"values":[[1,2]]}}`, ok, `"x"`, "row 1 has 2 values for 1 column"},
		{`{"id":"x","rows":{"columns":[{"name":"","type":"INT"}]}}`, ok, `"x"`, "no name"},
		{`{"id":"x","rows":{"ipc":"AAAA","count":-1}}`, ok, `"x"`, "count"},
		{filter(`"sql":{"query":"SELECT * FROM {1}"}`), ok, `"x" (sql)`, "{1} is read"},
		{filter(`"sql":{"query":" "}`), ok, `"x"`, "empty"},
		{filter(`"filter":{}`), ok, `"x"`, "exactly one of sql and func"},
		{filter(`"map":{"sql":"a","func":"f"}`), ok, `"x"`, "exactly one of sql and func"},
		{filter(`"map_batches":{}`), ok, `"x"`, "no func"},
		{filter(`"map_batches":{"func":"f","batch_rows":-1}`), ok, `"x"`, "batch_rows is -1"},
		{filter(`"project":{"columns":["a","'"]}`), ok, `"x"`, "columns:"},
		{filter(`"sort":{"by":[]}`), ok, `"x"`, "by is empty"},
		{filter(`"partial_sort":{"by":["DESC"]}`), ok, `"x"`, "sort term"},
		{filter(`"sort":{"by":["a"],"n":70000}`), ok, `"x"`, "n is 70000"},
		{filter(`"limit":{"n":-1}`), ok, `"x"`, "n is -1"},
		{filter(`"broadcast":{"n":-1}`), ok, `"x"`, "n is -1"},
		{filter(`"consolidate":{}`), ok, `"x"`, "n is missing"},
		{filter(`"repartition":{"by":"magic"}`), ok, `"x"`, `"magic" is not known`},
		{filter(`"repartition":{"by":"hash"}`), ok, `"x"`, "0 keys"},
		{filter(`"repartition":{"by":"rows","keys":["a"]}`), ok, `"x"`, "1 key"},
		{filter(`"repartition":{"by":"column","keys":["a"]}`), ok, `"x"`, "one key and n"},
		{filter(`"repartition":{"by":"user","n":2}`), ok, `"x"`, "func"},
		{filter(`"repartition":{"by":"user","func":"f"}`), ok, `"x"`, "takes n"},
		{filter(`"repartition":{"n":65537}`), ok, `"x"`, "n is 65537"},
		{readBig, collect("nope"), "sink", `"nope" is not the id of a step`},
		{readBig, `{"input":"big"}`, "sink", "sets 0"},
		{readBig, `{"input":"big","count":{},"collect":{}}`, "sink", "sets 2"},
		{readBig, `{"input":"big","take":{"n":-1}}`, "sink", "n is -1"},
		{readBig, `{"input":"big","write":{"format":"csv"}}`, "sink", "no path"},
		{readBig, `{"input":"big","write":{"path":"o","format":"x"}}`, "sink", `"x" is not known`},
		{readBig, `{"input":"big","write":{"path":"o","format":"csv","mode":"x"}}`, "sink", `mode "x"`},
		{readBig, `{"input":"big","write":{"path":"o","format":"csv","options":{"a":"1;2"}}}`, "sink", "option a"},
		{readBig, `{"input":"big","write":{"path":"o","format":"arrow","partition_by":["a"]}}`, "sink", "partition_by"},
		{readBig, `{"input":"big","write":{"path":"o","format":"csv","single":true,"partition_by":["a"]}}`, "sink", "single file"},
		{readBig, `{"input":"big","write":{"path":"o","format":"csv","single":true,"mode":"append"}}`, "sink", "single file"},
	} {
		err := decodePlan(t, tc.nodes, tc.sink).Validate()
		checkRefusal(t, err, tc.step, tc.text)
	}
}

func checkRefusal(t *testing.T, err error, step, text string) {
	t.Helper()
	var te *Error
	if !errors.As(err, &te) || !errors.Is(err, ErrQuery) {
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
		cat["none"] = Facts{}
		_, err := Compile(decodePlan(t, tc.nodes, tc.sink), cat, testOptions())
		checkRefusal(t, err, tc.step, tc.text)
	}
	if _, err := Compile(decodePlan(t, readBig, collect("big")), Catalog{}, testOptions()); !errors.Is(err, ErrInternal) {
		t.Errorf("a catalog without the files gives %v", err)
	}
	if _, err := Compile(&Plan{}, nil, Options{}); !errors.Is(err, ErrQuery) {
		t.Errorf("an empty plan gives %v", err)
	}
}

func TestSources(t *testing.T) {
	p := decodePlan(t, readBig+`,`+readCSV+`,{"id":"w","sql":{"query":"SELECT 1","access":["a","b"]}},{"id":"v","sql":{"query":"SELECT 1"}}`, collect("w"))
	var got []string
	for _, s := range p.Sources() {
		got = append(got, string(s.Node)+" "+strings.Join(s.Access, "+")+map[bool]string{true: " footers"}[s.Footers])
	}
	if want := "big  footers|csv |w a+b"; strings.Join(got, "|") != want {
		t.Errorf("sources are %q, want %q", strings.Join(got, "|"), want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for about, s := range map[string]string{
		"an unknown field":  `{"nodes":[{"id":"a","raed":{}}]}`,
		"a second value":    `{} {}`,
		"no JSON":           `nodes:`,
		"too deep":          `{"nodes":[{"id":"a","rows":{"values":[[` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `]]}}]}`,
		"too large":         `{"name":"` + strings.Repeat("x", MaxPlanBytes) + `"}`,
		"a number for text": `{"name":3}`,
	} {
		if _, err := Decode([]byte(s)); !errors.Is(err, ErrQuery) {
			t.Errorf("%s: %v", about, err)
		}
	}
	deep := `{"name":"` + strings.Repeat("[", 100) + `"}`
	if _, err := Decode([]byte(deep)); err != nil {
		t.Errorf("brackets in a string count as depth: %v", err)
	}
	big := &Plan{Name: strings.Repeat("x", MaxPlanBytes)}
	if _, err := big.Encode(); !errors.Is(err, ErrQuery) {
		t.Errorf("a plan too large to decode is encoded: %v", err)
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
		p, err := Decode(data)
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
