package frame

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/actors/plan"
)

const idNodes = readBig + `,{"id":"f","inputs":["big"],"filter":{"sql":"delay > 0"}},{"id":"h","inputs":["f"],"repartition":{"n":8,"by":"hash","keys":["origin"]}},{"id":"q","inputs":["h"],"sql":{"query":"SELECT origin, count(*) FROM {0} GROUP BY 1"}}`

// The ids of a job's stages change with what its rows depend on, from the
// stage on that is touched, and with nothing else.
func TestStageIDs(t *testing.T) {
	compile := func(nodes string, change func(plan.Catalog, *Options)) []plan.StageID {
		cat, o := world(), testOptions()
		if change != nil {
			change(cat, &o)
		}
		job, err := Compile(decodePlan(t, nodes, collect("q")), cat, o)
		if err != nil {
			t.Fatal(err)
		}
		var ids []plan.StageID
		for _, s := range job.Stages {
			ids = append(ids, s.ID)
		}
		return ids
	}
	base := compile(idNodes, nil)
	for _, tc := range []struct {
		about    string
		replace  [2]string
		change   func(plan.Catalog, *Options)
		from     int // first stage whose id differs; 2: none
		unlikely string
	}{
		{about: "nothing", from: 2},
		{about: "another job", change: func(_ plan.Catalog, o *Options) { o.JobID = "job-2" }, from: 2},
		{about: "other names", replace: [2]string{`"f"`, `"zz"`}, from: 2},
		{about: "a function nobody calls", change: func(_ plan.Catalog, o *Options) { o.Functions = map[string]string{"x": "1"} }, from: 2},
		{about: "a file's time", change: func(c plan.Catalog, _ *Options) { c["big"].Files[0].ModTime++ }, from: 0},
		{about: "a file's size", change: func(c plan.Catalog, _ *Options) { c["big"].Files[1].Size++ }, from: 0},
		{about: "a file's path", change: func(c plan.Catalog, _ *Options) { c["big"].Files[1].Path += "x" }, from: 0},
		{about: "a column's type", change: func(c plan.Catalog, _ *Options) { c["big"].Columns[1].Type = "BIGINT" }, from: 0},
		{about: "the engine", change: func(_ plan.Catalog, o *Options) { o.Salt = "duckdb 2" }, from: 0},
		{about: "the filter", replace: [2]string{"delay > 0", "delay > 1"}, from: 0},
		{about: "the number of partitions", replace: [2]string{`"n":8`, `"n":9`}, from: 0},
		{about: "the key", replace: [2]string{`["origin"]`, `["day"]`}, from: 0},
		{about: "the SQL", replace: [2]string{"count(*)", "sum(delay)"}, from: 1},
		{about: "a volatile SQL", replace: [2]string{"count(*)", "uuid()"}, from: 1},
	} {
		nodes := idNodes
		if tc.replace[0] != "" {
			nodes = strings.ReplaceAll(nodes, tc.replace[0], tc.replace[1])
		}
		for i, id := range compile(nodes, tc.change) {
			if differs := id != base[i]; differs != (i >= tc.from) {
				t.Errorf("%s: stage %d: id differs %t, want %t", tc.about, i, differs, i >= tc.from)
			}
		}
	}
}

// What cannot be repeated is another stage in each job.
func TestStageIDsOfTheJob(t *testing.T) {
	for about, tc := range map[string]struct {
		nodes, sink string
		same        bool
	}{
		"a scan":                 {readBig, collect("big"), true},
		"a limit of a scan":      {readBig + on("l", "big", `"limit":{"n":3}`), collect("l"), true},
		"a sort of a scan":       {readBig + on("s", "big", `"sort":{"by":["delay"]}`), collect("s"), true},
		"a seeded shuffle":       {readBig + on("s", "big", `"random_shuffle":{"seed":1}`), collect("s"), true},
		"a versioned function":   {readBig + on("s", "big", `"map":{"func":"pure"}`), collect("s"), true},
		"a placement function":   {readBig + on("s", "big", `"repartition":{"n":2,"by":"user","func":"Place"}`), collect("s"), true},
		"a function":             {readBig + on("s", "big", `"map":{"func":"impure"}`), collect("s"), false},
		"random()":               {readBig + on("s", "big", `"map":{"sql":"random()"}`), collect("s"), false},
		"a random key":           {readBig + on("s", "big", `"repartition":{"n":2,"by":"hash","keys":["random()"]}`), collect("s"), false},
		"a shuffle":              {readBig + on("s", "big", `"random_shuffle":{}`), collect("s"), false},
		"a round robin":          {readBig + on("s", "big", `"repartition":{"n":2,"by":"roundrobin"}`), collect("s"), false},
		"a limit of an exchange": {readBig + on("h", "big", `"repartition":{"n":2,"by":"hash","keys":["origin"]}`) + on("l", "h", `"limit":{"n":3}`), collect("l"), false},
		"top rows with ties":     {readBig + on("s", "big", `"sort":{"by":["delay"]}`) + on("l", "s", `"limit":{"n":3}`), collect("l"), false},
		"rows of an exchange":    {readBig + on("h", "big", `"repartition":{"n":2,"by":"hash","keys":["origin"]}`) + on("l", "h", `"repartition":{"n":3,"by":"rows"}`), collect("l"), false},
		"files":                  {readBig, `{"input":"big","write":{"path":"/o","format":"csv"}}`, false},
	} {
		var last [2]plan.StageID
		for i, id := range []plan.JobID{"a", "b"} {
			o := testOptions()
			o.JobID = id
			job, err := Compile(decodePlan(t, tc.nodes, tc.sink), world(), o)
			if err != nil {
				t.Fatal(err)
			}
			s := job.Stages[len(job.Stages)-1]
			last[i] = s.ID
			repeats := true
			for _, s := range job.Stages {
				repeats = repeats && s.Deterministic
			}
			if s.Exchange.Kind != plan.Files && repeats != tc.same {
				t.Errorf("%s: deterministic is %t, want %t", about, repeats, tc.same)
			}
		}
		if (last[0] == last[1]) != tc.same {
			t.Errorf("%s: two jobs share the result: %t, want %t", about, last[0] == last[1], tc.same)
		}
	}
}

// Any plan that is valid compiles, twice to the same job, and computes every
// step in one stage only.
func TestRandomPlans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "nodes")
		p := &plan.Plan{Nodes: []plan.Node{
			{ID: "big", Read: &plan.ReadOp{Format: plan.Parquet, Paths: []string{"x"}}},
			{ID: "csv", Read: &plan.ReadOp{Format: plan.CSV, Paths: []string{"x"}}},
			{ID: "huge", Read: &plan.ReadOp{Format: plan.Parquet, Paths: []string{"x"}}},
		}}
		for i := range n {
			p.Nodes = append(p.Nodes, drawNode(t, p, i))
		}
		p.Sink = plan.Sink{Input: p.Nodes[len(p.Nodes)-1].ID}
		switch rapid.IntRange(0, 3).Draw(t, "sink") {
		case 0:
			p.Sink.Count = &plan.CollectOp{}
		case 1:
			p.Sink.Take = &plan.LimitOp{N: 5}
		case 2:
			p.Sink.Write = &plan.Write{Path: "o", Format: plan.Parquet}
		default:
			p.Sink.Collect = &plan.CollectOp{}
		}
		data, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := plan.Decode(data)
		if err != nil || !reflect.DeepEqual(back, p) {
			t.Fatalf("decoded %+v, %v; want %+v", back, err, p)
		}
		job, err := Compile(p, world(), testOptions())
		if err != nil {
			if !strings.Contains(err.Error(), "not partitioned alike") {
				t.Fatalf("%s: %v", data, err)
			}
			return
		}
		again, err := Compile(p, world(), testOptions())
		if err != nil || !reflect.DeepEqual(job, again) {
			t.Fatalf("%s: compiled twice, it differs: %v", data, err)
		}
		checkRandom(t, job)
	})
}

func checkRandom(t *rapid.T, job *plan.Job) {
	made := map[string]int{}
	for i, s := range job.Stages {
		for _, u := range s.Upstream() {
			if u >= i {
				t.Fatalf("stage %d reads stage %d", i, u)
			}
		}
		sqls := []string{s.Query}
		for _, st := range s.Steps {
			sqls = append(sqls, st.SQL)
		}
		for _, sql := range sqls {
			// Each partial SQL of drawNode bears a number.
			if _, rest, ok := strings.Cut(sql, "/*"); ok {
				tag, _, _ := strings.Cut(rest, "*/")
				if made[tag]++; made[tag] > 1 {
					t.Fatalf("step %s is computed twice:\n%s", tag, job.Explain())
				}
			}
		}
		for _, in := range s.Inputs {
			if in.Scan != nil && !in.Scan.Broadcast && len(in.Scan.Splits) != s.Tasks.N {
				t.Fatalf("stage %d: %d splits, %d tasks", i, len(in.Scan.Splits), s.Tasks.N)
			}
			if in.Read == nil {
				continue
			}
			total := 0
			for _, u := range in.Read.Stages {
				total += job.Stages[u].Tasks.N
				if parts := job.Stages[u].Exchange.Partitions; in.Read.How == plan.ReadPartition && parts < s.Tasks.N {
					t.Fatalf("stage %d: %d tasks read %d partitions", i, s.Tasks.N, parts)
				}
			}
			if in.Read.How == plan.ReadSegments && total < s.Tasks.N {
				// More tasks than segments: allowed, but only where it was asked for.
				continue
			}
		}
	}
}

func drawNode(t *rapid.T, p *plan.Plan, i int) plan.Node {
	// Mostly late nodes, so that plans are deep and share much.
	pick := func() plan.NodeID {
		back := rapid.SampledFrom([]int{1, 1, 1, 2, 2, 2, 3, 4, 6, 8}).Draw(t, "input")
		return p.Nodes[max(len(p.Nodes)-back, 0)].ID
	}
	n := plan.Node{ID: plan.NodeID(fmt.Sprint("n", i)), Inputs: []plan.NodeID{pick()}}
	parts := rapid.IntRange(1, 4).Draw(t, "n")
	switch rapid.IntRange(0, 13).Draw(t, "op") {
	case 0:
		n.Filter = &plan.MapOp{SQL: "delay > 0"}
	case 1:
		n.Map = &plan.MapOp{Func: "pure"}
	case 2:
		n.SQL = &plan.SQLOp{Query: fmt.Sprintf("SELECT DISTINCT /*%d*/ * FROM {0}", i)}
	case 3:
		n.Inputs = append(n.Inputs, pick())
		n.SQL = &plan.SQLOp{Query: fmt.Sprintf("SELECT /*%d*/ {0}.* FROM {0} JOIN {1} USING (origin)", i)}
	case 4:
		n.Inputs = append(n.Inputs, pick())
		n.Union = &plan.UnionOp{}
	case 5:
		n.Limit = &plan.LimitOp{N: 7}
	case 6:
		n.Sort = &plan.SortOp{By: []string{"delay"}, N: parts}
	case 7:
		n.PartialSort = &plan.SortOp{By: []string{"delay"}}
	case 8:
		n.RandomShuffle = &plan.ShuffleOp{}
	case 9:
		n.Broadcast = &plan.CountOp{N: parts - 1}
	case 10:
		n.Consolidate = &plan.CountOp{N: parts}
	case 11:
		n.Project = &plan.ProjectOp{Columns: []string{"origin", "delay"}}
	default:
		by := rapid.SampledFrom([]plan.PartitionBy{plan.ByFiles, plan.ByRows, plan.ByHash, plan.ByValue, plan.ByRange, plan.ByRoundRobin, plan.ByRandom, plan.ByUser}).Draw(t, "by")
		n.Repartition = &plan.RepartitionOp{N: parts, By: by}
		switch by {
		case plan.ByHash, plan.ByRange, plan.ByValue:
			n.Repartition.Keys = []string{"delay"}
		case plan.ByUser:
			n.Repartition.Func = "place"
		}
	}
	return n
}

// A plan as large as the limits allow compiles in a moment.
func TestManySharedSteps(t *testing.T) {
	var b strings.Builder
	b.WriteString(readBig)
	prev := "big"
	for i := range plan.MaxNodes/4 - 1 {
		a, h, g, j := fmt.Sprint("a", i), fmt.Sprint("h", i), fmt.Sprint("g", i), fmt.Sprint("j", i)
		b.WriteString(on(a, prev, `"sql":{"query":"SELECT sum(delay) AS delay, origin FROM {0} GROUP BY 2"}`))
		b.WriteString(on(h, a, `"repartition":{"n":4,"by":"hash","keys":["origin"]}`))
		b.WriteString(on(g, a, `"repartition":{"n":4,"by":"hash","keys":["delay"]}`))
		b.WriteString(`,{"id":"` + j + `","inputs":["` + h + `","` + g + `"],"sql":{"query":"SELECT {0}.* FROM {0} JOIN {1} USING (origin)"}}`)
		prev = j
	}
	job := mustCompile(t, b.String(), collect(prev))
	if want := 3*(plan.MaxNodes/4-1) + 1; len(job.Stages) != want {
		t.Errorf("%d stages, want %d", len(job.Stages), want)
	}
}
