package frame

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt")

// parquet is a Parquet file of some row groups of 1,000 rows each.
func parquet(path string, groups int, groupBytes int64) plan.File {
	f := plan.File{Path: path, Size: int64(groups) * groupBytes, ModTime: 1}
	for range groups {
		f.Groups = append(f.Groups, plan.RowGroup{Rows: 1000, Bytes: groupBytes})
	}
	return f
}

// hugeParquet has a million rows in one file.
func hugeParquet(path string) plan.File {
	f := plan.File{Path: path, Size: 400 * mib, ModTime: 1}
	for range 8 {
		f.Groups = append(f.Groups, plan.RowGroup{Rows: 125_000, Bytes: 50 * mib})
	}
	return f
}

const mib = 1 << 20

// world is the catalog of the tests: by name of the step.
func world() plan.Catalog {
	cols := []plan.Column{{Name: "origin", Type: "VARCHAR"}, {Name: "delay", Type: "INTEGER"}, {Name: "day", Type: "DATE"}}
	return plan.Catalog{
		"big":   {Files: []plan.File{parquet("/d/a.parquet", 3, 40*mib), parquet("/d/b.parquet", 2, 40*mib)}, Columns: cols},
		"big2":  {Files: []plan.File{parquet("/d/c.parquet", 4, 40*mib)}},
		"tiny":  {Files: []plan.File{parquet("/d/t.parquet", 1, mib)}},
		"csv":   {Files: []plan.File{{Path: "/d/1.csv", Size: 80 * mib}, {Path: "/d/2.csv", Size: 80 * mib}}, Columns: cols, CSV: map[string]string{"header": "true"}},
		"json":  {Files: []plan.File{{Path: "/d/1.json", Size: mib}}},
		"arrow": {Files: []plan.File{{Path: "/d/1.arrow", Size: mib}, {Path: "/d/2.arrow", Size: mib}}},
		"hive":  {Files: []plan.File{parquet("/d/y=1/a.parquet", 1, mib), parquet("/d/y=2/a.parquet", 1, mib)}, Columns: []plan.Column{{Name: "v", Type: "INTEGER"}, {Name: "y", Type: "BIGINT"}}},
		"huge":  {Files: []plan.File{hugeParquet("/d/h.parquet")}},
		"whole": {Files: []plan.File{parquet("/d/a.parquet", 3, 40*mib)}},
	}
}

func testOptions() Options {
	return Options{JobID: "job-1", Sizing: plan.Sizing{Parallelism: 4}, Functions: map[string]string{"pure": "1", "keep": "1", "place": "2"}}
}

// decodePlan is the plan of a list of nodes and a sink, both as JSON.
func decodePlan(t testing.TB, nodes, sink string) *plan.Plan {
	t.Helper()
	p, err := plan.Decode([]byte(`{"nodes": [` + nodes + `], "sink": ` + sink + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustCompile(t testing.TB, nodes, sink string) *plan.Job {
	t.Helper()
	job, err := Compile(decodePlan(t, nodes, sink), world(), testOptions())
	if err != nil {
		t.Fatal(err)
	}
	checkJob(t, job)
	return job
}

// checkJob checks what every job must keep to.
func checkJob(t testing.TB, job *plan.Job) {
	t.Helper()
	ids := map[plan.StageID]bool{}
	for i, s := range job.Stages {
		if ids[s.ID] {
			t.Errorf("stage %d: its id is another's too", i)
		}
		ids[s.ID] = true
		for _, u := range s.Upstream() {
			if u >= i {
				t.Errorf("stage %d reads stage %d, which is not earlier", i, u)
			}
		}
		views := map[string]bool{}
		for _, in := range s.Inputs {
			if in.Scan != nil && !in.Scan.Broadcast && len(in.Scan.Splits) != s.Tasks.N {
				t.Errorf("stage %d: %d splits for %d tasks", i, len(in.Scan.Splits), s.Tasks.N)
			}
			views[in.View] = true
		}
		for _, st := range s.Steps {
			if views[st.View] {
				t.Errorf("stage %d: view %s is made twice", i, st.View)
			}
			views[st.View] = true
		}
		if s.Tasks.N < 1 || s.Query == "" || s.ID == "" {
			t.Errorf("stage %d is not complete: %+v", i, s)
		}
	}
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

type golden struct {
	about, nodes, sink string
}

// goldens are the plans whose explanation is kept in testdata, file by file.
var goldens = map[string][]golden{
	"reads": {
		{"Parquet is split at row groups by bytes", readBig, collect("big")},
		{"a tiny input is one task", readTiny, collect("tiny")},
		{"CSV is split at files, with one schema and dialect for all tasks", readCSV, collect("csv")},
		{"JSON", `{"id":"json","read":{"format":"json","paths":["/d/1.json"]}}`, collect("json")},
		{"Arrow files are read by the runtime", `{"id":"arrow","read":{"format":"arrow","paths":["/d/*.arrow"]}}`, collect("arrow")},
		{"hive columns are cast alike in all tasks", `{"id":"hive","read":{"format":"parquet","paths":["/d"],"recursive":true,"options":{"hive":true}}}`, collect("hive")},
		{"literal values", `{"id":"r","rows":{"columns":[{"name":"a","type":"INTEGER"},{"name":"b","type":"VARCHAR"}],"values":[[1,"it's"],[null,"x"]]}}`, collect("r")},
		{"no literal values", `{"id":"r","rows":{"columns":[{"name":"a","type":"INTEGER"}],"values":[]}}`, collect("r")},
		{"an Arrow stream", `{"id":"r","rows":{"ipc":"AAAA","count":10}}` + on("p", "r", `"repartition":{"n":3,"by":"rows"}`), collect("p")},
	},
	"narrow": {
		{"map", readBig + on("m", "big", `"map":{"sql":"delay + 1 AS d, {'a': {'b': origin}} AS s"}`), collect("m")},
		{"map with a Go function", readBig + on("m", "big", `"map":{"func":"pure"}`), collect("m")},
		{"flat map", readBig + on("m", "big", `"flat_map":{"sql":"unnest([delay, delay + 1]) AS d"}`), collect("m")},
		{"flat map with a Go function without version", readBig + on("m", "big", `"flat_map":{"func":"impure"}`), collect("m")},
		{"filter", readBig + on("f", "big", `"filter":{"sql":"delay > 10 OR origin = '{0}' -- all"}`), collect("f")},
		{"filter with a Go function", readBig + on("f", "big", `"filter":{"func":"keep"}`), collect("f")},
		{"map batches", readBig + on("m", "big", `"map_batches":{"func":"pure","batch_rows":350}`), collect("m")},
		{"partial sort", readBig + on("s", "big", `"partial_sort":{"by":["delay DESC","origin"]}`), collect("s")},
		{"project: columns go into the reader", readBig + on("p", "big", `"project":{"columns":["day","origin"]}`), collect("p")},
		{"project: expressions, file name and row number", readBig + on("p", "big", `"project":{"columns":["delay * 2 AS twice"],"filename":true,"row_number":true}`), collect("p")},
		{"project: all columns and the file name", readBig + on("p", "big", `"project":{"filename":true}`), collect("p")},
		{"narrow steps are one stage", readBig + on("f", "big", `"filter":{"sql":"delay > 0"}`) + on("m", "f", `"map":{"sql":"delay"}`) + on("s", "m", `"sql":{"query":"SELECT sum(delay) AS s FROM {0};"}`), collect("s")},
	},
	"repartition": {
		{"files of a scan: no exchange", readBig + on("r", "big", `"repartition":{"n":2}`), collect("r")},
		{"more partitions than files", readBig + on("r", "big", `"repartition":{"n":4,"by":"files"}`), collect("r")},
		{"files of what is no scan: whole partitions", readBig + on("m", "big", `"map_batches":{"func":"pure"}`) + on("r", "m", `"repartition":{"n":3}`), collect("r")},
		{"rows of a Parquet scan: cut in the plan", readBig + on("r", "big", `"repartition":{"n":3,"by":"rows"}`), collect("r")},
		{"rows of CSV: cut once they are there", readCSV + on("r", "csv", `"repartition":{"n":3,"by":"rows"}`), collect("r")},
		{"hash", readBig + on("r", "big", `"repartition":{"n":8,"by":"hash","keys":["origin","year(day)"]}`), collect("r")},
		{"hash, the planner chooses how many", readBig + on("r", "big", `"repartition":{"by":"hash","keys":["origin"]}`), collect("r")},
		{"column", readBig + on("r", "big", `"repartition":{"n":8,"by":"column","keys":["delay % 8"]}`), collect("r")},
		{"range over a scan: rows are sampled by number", readBig + on("r", "big", `"repartition":{"n":4,"by":"range","keys":["delay DESC","origin"]}`), collect("r")},
		{"round robin", readBig + on("r", "big", `"repartition":{"n":4,"by":"roundrobin"}`), collect("r")},
		{"random", readBig + on("r", "big", `"repartition":{"n":4,"by":"random"}`), collect("r")},
		{"random with a seed", readBig + on("r", "big", `"repartition":{"n":4,"by":"random","seed":7}`), collect("r")},
		{"user", readBig + on("r", "big", `"repartition":{"n":4,"by":"user","func":"place"}`), collect("r")},
		{"random shuffle", readBig + on("r", "big", `"random_shuffle":{}`), collect("r")},
		{"random shuffle with a seed", readBig + on("r", "big", `"random_shuffle":{"seed":7}`), collect("r")},
		{"consolidate a scan", readBig + on("r", "big", `"repartition":{"n":5,"by":"rows"}`) + on("c", "r", `"consolidate":{"n":2}`), collect("c")},
		{"consolidate an exchange", readBig + on("r", "big", `"repartition":{"n":6,"by":"hash","keys":["origin"]}`) + on("c", "r", `"consolidate":{"n":2}`), collect("c")},
		{"consolidate after work", readBig + on("r", "big", `"repartition":{"n":6,"by":"hash","keys":["origin"]}`) + on("q", "r", `"sql":{"query":"SELECT count(*) FROM {0}"}`) + on("c", "q", `"consolidate":{"n":2}`), collect("c")},
	},
	"sort": {
		{"global sort of a filtered scan", readBig + on("f", "big", `"filter":{"sql":"delay > 0"}`) + on("s", "f", `"sort":{"by":["delay"],"n":4}`), collect("s")},
		{"many rows: the sample takes some by their number", `{"id":"huge","read":{"format":"parquet","paths":["/d/h.parquet"]}}` + on("m", "huge", `"map":{"sql":"k, v"}`) + on("s", "m", `"sort":{"by":["k"]}`), `{"input":"s","write":{"path":"/out","format":"parquet"}}`},
		{"what is dear to compute is kept for both passes", readBig + on("m", "big", `"map_batches":{"func":"pure"}`) + on("s", "m", `"sort":{"by":["delay NULLS FIRST"]}`), collect("s")},
		{"a tiny input is sorted in place", readTiny + on("s", "tiny", `"sort":{"by":["a"]}`), collect("s")},
		{"limit over sort keeps the top of each task", readBig + on("s", "big", `"sort":{"by":["delay DESC"]}`) + on("l", "s", `"limit":{"n":10}`), collect("l")},
	},
	"several": {
		{"co-partitioned join", readBig + `,` + readBig2 + on("h1", "big", `"repartition":{"n":8,"by":"hash","keys":["origin"]}`) + on("h2", "big2", `"repartition":{"n":8,"by":"hash","keys":["o"]}`) +
			`,{"id":"j","inputs":["h1","h2"],"sql":{"query":"SELECT {0}.delay FROM {0} JOIN {1} ON {0}.origin = {1}.o"}}`, collect("j")},
		{"an unpartitioned input is given to every partition", readBig + `,` + readBig2 + on("h1", "big", `"repartition":{"n":8,"by":"hash","keys":["origin"]}`) +
			`,{"id":"j","inputs":["h1","big2"],"sql":{"query":"SELECT * FROM {0} JOIN {1} USING (origin)"}}`, collect("j")},
		{"inputs nobody has partitioned meet on one", readBig + `,` + readBig2 +
			`,{"id":"j","inputs":["big","big2"],"sql":{"query":"SELECT * FROM {0} LEFT JOIN {1} USING (origin)"}}`, collect("j")},
		{"broadcast of a computed input", readBig + `,` + readTiny + on("a", "tiny", `"map_batches":{"func":"pure"}`) + on("b", "a", `"broadcast":{}`) + on("h1", "big", `"repartition":{"n":2,"by":"rows"}`) +
			`,{"id":"j","inputs":["h1","b"],"sql":{"query":"SELECT * FROM {0}, {1}"}}`, collect("j")},
		{"repeat", readBig + on("b", "big", `"broadcast":{"n":3}`) + on("q", "b", `"sql":{"query":"SELECT {partition} AS p, {partitions} AS n, count(*) AS c FROM {0}"}`), collect("q")},
		{"union of scans: one stage", readBig + `,` + readCSV + `,{"id":"u","inputs":["big","csv"],"union":{}}` + on("f", "u", `"filter":{"sql":"delay > 0"}`), collect("f")},
		{"union of computed inputs: the consumer reads both", readBig + `,` + readBig2 + on("h1", "big", `"repartition":{"n":8,"by":"hash","keys":["origin"]}`) + on("q", "h1", `"sql":{"query":"SELECT DISTINCT origin FROM {0}"}`) +
			`,{"id":"u","inputs":["q","big2"],"union":{}}` + on("h", "u", `"repartition":{"n":4,"by":"hash","keys":["origin"]}`), collect("h")},
		{"union of unions is one", readTiny + `,` + readBig + `,` + readBig2 + on("a", "big", `"map_batches":{"func":"pure"}`) + on("b", "big2", `"map_batches":{"func":"pure"}`) + `,{"id":"u","inputs":["a","b"],"union":{}},{"id":"w","inputs":["u","tiny"],"union":{}}`, collect("w")},
		{"union of inputs partitioned alike keeps their partitions", readBig + `,` + readBig2 + on("h1", "big", `"repartition":{"n":8,"by":"hash","keys":["origin"]}`) + on("h2", "big2", `"repartition":{"n":8,"by":"hash","keys":["origin"]}`) +
			`,{"id":"u","inputs":["h1","h2"],"union":{}}`, collect("u")},
		{"whole SQL over files", `{"id":"whole","sql":{"query":"SELECT {'a': {'b': 1}} AS s, count(*) FROM '/d/a.parquet' GROUP BY 1;","access":["/d/a.parquet"]}}`, collect("whole")},
	},
	"sinks": {
		{"count", readBig, `{"input":"big","count":{}}`},
		{"take", readBig, `{"input":"big","take":{"n":5}}`},
		{"write", readBig + on("h", "big", `"repartition":{"n":8,"by":"hash","keys":["origin"]}`), `{"input":"h","write":{"path":"/out","format":"parquet","mode":"overwrite","options":{"compression":"'zstd'"}}}`},
		{"write what is sorted", readBig + on("s", "big", `"sort":{"by":["delay"],"n":2}`), `{"input":"s","write":{"path":"/out","format":"csv"}}`},
		{"write one file", readBig + on("s", "big", `"sort":{"by":["delay"],"n":2}`), `{"input":"s","write":{"path":"/out","format":"csv","single":true}}`},
	},
	"defects": {
		{"a filter after a limit stays after it", readBig + on("l", "big", `"limit":{"n":5}`) + on("f", "l", `"filter":{"sql":"delay > 0"}`), collect("f")},
		{"{seed} and {partition} survive among fused steps", readBig + on("a", "big", `"sql":{"query":"SELECT * FROM {0} USING SAMPLE 10 ROWS (reservoir, {seed})"}`) + on("b", "a", `"sql":{"query":"SELECT *, {partition} AS p FROM {0}"}`), collect("b")},
		{"{0}.col and escaped braces survive among fused steps", readBig + on("a", "big", `"sql":{"query":"SELECT {0}.origin, {{'x': delay}} AS s FROM {0}"}`) + on("b", "a", `"sql":{"query":"SELECT {0}.s.x, '{{' AS t FROM {0}"}`), collect("b")},
		{"a child that two steps of a stage read is computed once", readBig + on("r", "big", `"repartition":{"n":3,"by":"rows"}`) + on("a", "r", `"sql":{"query":"SELECT origin, delay FROM {0}"}`) + on("b", "a", `"filter":{"sql":"delay > 0"}`) +
			`,{"id":"j","inputs":["a","b"],"sql":{"query":"SELECT (SELECT count(*) FROM {0}) AS x, (SELECT count(*) FROM {1}) AS y"}}` + on("h", "j", `"repartition":{"n":2,"by":"hash","keys":["x"]}`), collect("h")},
		{"a child that two stages read is a stage of its own", readBig + on("a", "big", `"sql":{"query":"SELECT origin, sum(delay) AS d FROM {0} GROUP BY 1"}`) + on("h1", "a", `"repartition":{"n":2,"by":"hash","keys":["origin"]}`) + on("h2", "a", `"repartition":{"n":2,"by":"hash","keys":["d"]}`) +
			`,{"id":"j","inputs":["h1","h2"],"sql":{"query":"SELECT * FROM {0} JOIN {1} ON {0}.origin = {1}.origin"}}`, collect("j")},
		{"an exchange that two steps ask for is made once", readBig + on("h1", "big", `"repartition":{"n":2,"by":"hash","keys":["origin"]}`) + on("h2", "big", `"repartition":{"n":2,"by":"hash","keys":["origin"]}`) +
			`,{"id":"j","inputs":["h1","h2"],"sql":{"query":"SELECT * FROM {0} JOIN {1} USING (origin)"}}`, collect("j")},
		{"a CTE named like a view of ours does not hide it", readBig + on("a", "big", `"sql":{"query":"WITH v0 AS (SELECT 1) SELECT * FROM {0}, v0"}`), collect("a")},
		{"an exchange read twice in a stage is kept in a table", readBig + on("h", "big", `"repartition":{"n":2,"by":"hash","keys":["origin"]}`) + on("q", "h", `"sql":{"query":"SELECT * FROM {0} a JOIN {0} b USING (origin)"}`), collect("q")},
		{"a volatile step that others read is evaluated once", readBig + on("a", "big", `"map":{"sql":"random() AS r"}`) + on("b", "a", `"filter":{"sql":"r < 0.5"}`), collect("b")},
		{"two volatile steps that look alike are two", readBig + on("a", "big", `"map":{"sql":"uuid() AS u"}`) + on("b", "big", `"map":{"sql":"uuid() AS u"}`) + `,{"id":"u","inputs":["a","b"],"union":{}}`, collect("u")},
		{"PIVOT becomes a table", readTiny + on("p", "tiny", `"sql":{"query":"PIVOT {0} ON a USING count(*)"}`) + on("f", "p", `"map":{"sql":"*"}`), collect("f")},
	},
}

func TestGolden(t *testing.T) {
	for name, plans := range goldens {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			for _, g := range plans {
				job := mustCompile(t, g.nodes, g.sink)
				fmt.Fprintf(&b, "# %s\n%s\n", g.about, job.Explain())
			}
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("the plans differ from %s (run with -update and read the difference):\n%s", path, firstDifference(string(want), b.String()))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\n want %s\n got  %s", i+1, w[i], g[i])
		}
	}
	return "one is longer"
}
