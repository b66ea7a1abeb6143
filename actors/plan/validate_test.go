package plan

import (
	"errors"
	"fmt"
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
		{readBig, `{"input":"big","write":{"path":"gs://bucket/out","format":"csv"}}`, "sink", "does not write to them"},
		{readBig, `{"input":"big","write":{"path":"s3://bucket/out","format":"csv","mode":"overwrite"}}`, "sink", "not overwritten"},
		{readBig, `{"input":"big","write":{"path":"file:///out","format":"csv"}}`, "sink", "does not write to them"},
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

// decodePlan is the plan of a list of nodes and a sink, both as JSON.
func decodePlan(t testing.TB, nodes, sink string) *Plan {
	t.Helper()
	p, err := Decode([]byte(`{"nodes": [` + nodes + `], "sink": ` + sink + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	readBig  = `{"id":"big","read":{"format":"parquet","paths":["/d/*.parquet"]}}`
	readBig2 = `{"id":"big2","read":{"format":"parquet","paths":["/d/c.parquet"]}}`
	readTiny = `{"id":"tiny","read":{"format":"parquet","paths":["/d/t.parquet"]}}`
	readCSV  = `{"id":"csv","read":{"format":"csv","paths":["/d/*.csv"],"options":{"csv":{"delim":"';'"}}}}`
)

func collect(id string) string { return `{"input":"` + id + `","collect":{}}` }

func on(id, input, op string) string {
	return fmt.Sprintf(`,{"id":%q,"inputs":[%q],%s}`, id, input, op)
}
