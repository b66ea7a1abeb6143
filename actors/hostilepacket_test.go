//go:build duckdb_arrow

package actors_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// scanned is a packet whose stage reads a file as a scan says.
func scanned(root string, scan plan.Scan) *api.Packet {
	ok := root + "/job/ok.csv"
	p := packetOf("SELECT * FROM v", ok)
	if scan.Format == "" {
		scan.Format = plan.CSV
	}
	if scan.Splits == nil {
		scan.Splits = [][]plan.Piece{{{Path: ok, Whole: true}}}
	}
	p.Job.Stages[0].Inputs = []plan.Input{{View: "v", Scan: &scan}}
	return p
}

// cutBy is a packet whose stage cuts its rows so.
func cutBy(root string, x plan.Exchange) *api.Packet {
	p := packetOf("SELECT 1 AS a", root+"/job/ok.csv")
	p.Job.Stages[0].Exchange = x
	return p
}

// writing is a packet whose stage writes files to a staging folder, a real one of its job
// unless change says otherwise.
func writing(t *testing.T, root string, change func(p *api.Packet, w *plan.Write)) *api.Packet {
	t.Helper()
	p := packetOf("SELECT 1 AS a, 'x' AS b", root+"/job/ok.csv")
	w := &plan.Write{Path: root + "/job/new", Format: plan.CSV}
	p.Job.Stages[0].Exchange = plan.Exchange{Kind: plan.Files, Partitions: 1, Write: w}
	p.Job.Result.Write = w
	p.Staging = root + "/job/.new.pond-" + string(p.ID) + "/work"
	if err := os.MkdirAll(p.Staging, 0o700); err != nil {
		t.Fatal(err)
	}
	change(p, p.Job.Stages[0].Exchange.Write)
	return p
}

// reading is a packet whose stage reads another's rows, which change says are otherwise
// than they can be.
func reading(change func(p *api.Packet)) *api.Packet {
	p := packetOf("SELECT * FROM v")
	up := &plan.Stage{ID: "s1", Exchange: plan.Exchange{Kind: plan.Hash, Partitions: 2, Keys: []string{"a"}}, Tasks: plan.Tasks{N: 1}}
	p.Job.Stages = append(p.Job.Stages, up)
	p.Job.Stages[0].Inputs = []plan.Input{{View: "v", Read: &plan.Read{Stages: []int{1}, How: plan.ReadAll}}}
	p.Up = map[int][]plan.SegmentInfo{1: {{Rows: []int64{1, 1}, Bytes: []int64{9, 9}}}}
	p.Where = map[int][]api.Location{1: {{Addr: "127.0.0.1:1", Segment: strings.Repeat("a", 32)}}}
	change(p)
	return p
}

// hostilePackets are what no coordinator of ours would send, in every place of a packet
// that becomes a text of SQL, a path or a size.
func hostilePackets(t *testing.T, root string) map[string]*api.Packet {
	t.Helper()
	out := map[string]*api.Packet{}
	read := "read_csv('" + root + "/secret.csv')"
	two := "(SELECT 1); COPY (SELECT 1) TO '" + root + "/job/two.csv'; SELECT * FROM (SELECT 1"
	piece := func(path string) [][]plan.Piece { return [][]plan.Piece{{{Path: path, Whole: true}}} }
	for name, scan := range map[string]plan.Scan{
		"that reads":           {From: read, Together: "t"},
		"of two statements":    {From: two + ")", Together: "t"},
		"of a subquery":        {From: "(SELECT *, 'f' AS filename FROM " + read + ")"},
		"with a path":          {Splits: piece(root + "/secret.csv")},
		"with a link":          {Splits: piece(root + "/job/link/secret.csv")},
		"with dots":            {Splits: piece(root + "/job/../secret.csv")},
		"with a pattern":       {Splits: piece(root + "/*.csv")},
		"with a quote":         {Splits: piece(root + "/job/ok.csv') UNION ALL FROM " + read + " --")},
		"with a process":       {Splits: piece("/proc/self/environ")},
		"with an address":      {Splits: piece("http://127.0.0.1:1/x.csv")},
		"like a path":          {Splits: [][]plan.Piece{{}}, Like: root + "/secret.csv"},
		"of Arrow":             {Format: plan.Arrow, Splits: piece(root + "/secret.csv")},
		"of Arrow, like":       {Format: plan.Arrow, Splits: [][]plan.Piece{{}}, Like: root + "/secret.csv"},
		"for all":              {Format: plan.Arrow, Broadcast: true, Splits: piece(root + "/own/x")},
		"of no format":         {Format: plan.Format("csv('" + root + "/secret.csv') --")},
		"with options":         {Options: plan.ScanOptions{CSV: map[string]string{"delim": "','), " + read + ", read_csv('" + root + "/job/ok.csv'"}}},
		"with an option":       {Options: plan.ScanOptions{CSV: map[string]string{"delim=','), " + read + " --": "1"}}},
		"with columns":         {Options: plan.ScanOptions{Schema: []plan.Column{{Name: "s", Type: "VARCHAR'}), " + read + " --"}}}},
		"with other columns":   {Columns: []plan.Column{{Name: "s", Type: "VARCHAR), (SELECT content FROM read_text('" + root + "/secret.csv')"}}},
		"of no pieces":         {Splits: [][]plan.Piece{{}, {}, {}}},
		"of too many and none": {Splits: make([][]plan.Piece, 1<<16)},
	} {
		out["a scan "+name] = scanned(root, scan)
	}
	content := "(SELECT content FROM read_text('" + root + "/secret.csv'))"
	for name, x := range map[string]plan.Exchange{
		"a key that reads":     {Kind: plan.Hash, Partitions: 2, Keys: []string{content}},
		"a key that goes on":   {Kind: plan.Hash, Partitions: 2, Keys: []string{"1 FROM (SELECT 1)); COPY (SELECT 1) TO '" + root + "/job/two.csv'; SELECT (1"}},
		"a sort key":           {Kind: plan.Range, Partitions: 2, Keys: []string{content}, Order: []string{"ASC"}},
		"an order":             {Kind: plan.Range, Partitions: 2, Keys: []string{"a"}, Order: []string{"ASC'), " + content + " --"}},
		"bounds of no stage":   {Kind: plan.Range, Partitions: 2, Keys: []string{"a"}, Order: []string{"ASC"}, Bounds: 1 << 40},
		"a number that reads":  {Kind: plan.ByColumn, Partitions: 2, Keys: []string{content}},
		"a function of a user": {Kind: plan.User, Partitions: 2, Keys: []string{content}, Func: "f"},
		"no partitions":        {Kind: plan.Hash, Partitions: 0, Keys: []string{"a"}},
		"fewer than none":      {Kind: plan.Hash, Partitions: -1, Keys: []string{"a"}},
		"partitions, endless":  {Kind: plan.Hash, Partitions: 1 << 62, Keys: []string{"a"}},
		"rounds of none":       {Kind: plan.RoundRobin},
		"rounds of too many":   {Kind: plan.RoundRobin, Partitions: 1 << 62},
		"a draw of none":       {Kind: plan.Random},
		"of no kind":           {Kind: "other", Partitions: 1},
		"files without a plan": {Kind: plan.Files, Partitions: 1},
	} {
		out["an exchange of "+name] = cutBy(root, x)
	}
	for name, change := range map[string]func(p *api.Packet, w *plan.Write){
		"outside":            func(p *api.Packet, w *plan.Write) { p.Staging = root + "/outside" },
		"at a secret":        func(p *api.Packet, w *plan.Write) { p.Staging = root + "/.job.pond-" + string(p.ID) + "/work" },
		"of another job":     func(p *api.Packet, w *plan.Write) { p.Staging = root + "/job/.new.pond-other/work" },
		"by dots":            func(p *api.Packet, w *plan.Write) { p.Staging += "/../../../../outside" },
		"by a link":          func(p *api.Packet, w *plan.Write) { p.Staging = root + "/job/link/.new.pond-" + string(p.ID) + "/work" },
		"in the data folder": func(p *api.Packet, w *plan.Write) { p.Staging = root + "/own/.x.pond-" + string(p.ID) + "/work" },
		"relative":           func(p *api.Packet, w *plan.Write) { p.Staging = "job" },
		"nowhere":            func(p *api.Packet, w *plan.Write) { p.Staging = "" },
		"of nothing":         func(p *api.Packet, w *plan.Write) { p.Staging, p.Job.Stages[0].Exchange.Write = root+"/outside", nil },
		"for rows": func(p *api.Packet, w *plan.Write) {
			p.Staging, p.Job.Stages[0].Exchange.Kind = root+"/outside", plan.Single
		},
		"of a dataset":            func(p *api.Packet, w *plan.Write) { p.Staging, p.Lease = "pond://x", "other" },
		"of a dataset, by a path": func(p *api.Packet, w *plan.Write) { p.Staging, p.Lease = "pond://../../x", "job-"+string(p.ID) },
		"with a format": func(p *api.Packet, w *plan.Write) {
			w.Format = plan.Format("csv); COPY (SELECT 1) TO '" + root + "/job/two.csv' (FORMAT csv")
		},
		"with a format, outside": func(p *api.Packet, w *plan.Write) { w.Format = "/../../../../../outside/x" },
		"with options": func(p *api.Packet, w *plan.Write) {
			w.Options = map[string]string{"header": "true); COPY (SELECT 1) TO '" + root + "/job/two.csv' (HEADER true"}
		},
		"with an option": func(p *api.Packet, w *plan.Write) {
			w.Options = map[string]string{"header true); COPY (SELECT 1) TO '" + root + "/job/two.csv' (format": "csv"}
		},
		"with a name": func(p *api.Packet, w *plan.Write) {
			w.Options = map[string]string{"filename_pattern": "'../../../outside/x'"}
		},
		"with an extension": func(p *api.Packet, w *plan.Write) {
			w.Options = map[string]string{"file_extension": "'/../../../../outside/x'"}
		},
		"with a folder's name": func(p *api.Packet, w *plan.Write) { w.PartitionBy = []string{"a) TO '" + root + "/job/two.csv' (b"} },
	} {
		out["files "+name] = writing(t, root, change)
	}
	for name, change := range map[string]func(p *api.Packet){
		"at no node":           func(p *api.Packet) {},
		"at no address":        func(p *api.Packet) { p.Where[1][0].Addr = "/etc/passwd" },
		"of no id":             func(p *api.Packet) { p.Where[1][0].Segment = "../../secret.csv" },
		"fewer than there are": func(p *api.Packet) { p.Up[1][0] = plan.SegmentInfo{} },
		"less than none":       func(p *api.Packet) { p.Up[1][0].Rows = []int64{-1, -1 << 62} },
		"without end":          func(p *api.Packet) { p.Up[1][0].Rows = []int64{1 << 62, 1 << 62} },
		"more than there are": func(p *api.Packet) {
			p.Up[1][0] = plan.SegmentInfo{Rows: make([]int64, 100), Bytes: make([]int64, 100)}
		},
		"by partition": func(p *api.Packet) {
			p.Job.Stages[0].Inputs[0].Read.How, p.Up[1][0] = plan.ReadPartition, plan.SegmentInfo{Rows: []int64{1}, Bytes: []int64{1}}
		},
		"of itself":   func(p *api.Packet) { p.Job.Stages[0].Inputs[0].Read.Stages = []int{0} },
		"of no stage": func(p *api.Packet) { p.Job.Stages[0].Inputs[0].Read.Stages = []int{-1} },
		"of shares": func(p *api.Packet) {
			p.Job.Stages[0].Tasks.Specs = []plan.PartitionSpec{{From: -1, To: 1 << 40, Input: 9}}
		},
		"that are no rows": func(p *api.Packet) {
			p.Job.Stages[0].Inputs = []plan.Input{{View: "v", Literal: &plan.Literal{IPC: []byte("\xff\xff\xff\xff\xff\xff\xff\x7f"), Rows: 1 << 62}}}
		},
		"of nothing": func(p *api.Packet) { p.Job.Stages[0].Inputs = []plan.Input{{}} },
		"of a function": func(p *api.Packet) {
			p.Job.Stages[0].Steps = []plan.Step{{View: "f", Func: &plan.FuncCall{Name: "../x"}}}
		},
		"of too many tasks":  func(p *api.Packet) { p.Tasks, p.Job.Stages[0].Tasks.N = 1<<62, 1<<62 },
		"of less than none":  func(p *api.Packet) { p.Tasks, p.Job.Stages[0].Tasks.N = -1, -1 },
		"of a missing stage": func(p *api.Packet) { p.Job.Stages[1] = nil },
	} {
		out["rows "+name] = reading(change)
	}
	for name, access := range map[string]string{"a folder": root + "/", "the root": "/", "a link": root + "/job/link/secret.csv", "a pattern": root + "/*", "the node's folder": root + "/own/", "a process": "/proc/self/environ"} {
		out["access to "+name] = packetOf("SELECT * FROM read_text('"+root+"/secret.csv')", access)
	}
	return out
}

// TestHostilePackets: what a coordinator sends that somebody has taken over, or that is
// none, gives its work nothing that this node does not give, and costs an attempt at most.
func TestHostilePackets(t *testing.T) {
	t.Run("in the node's process", func(t *testing.T) { testHostilePackets(t) })
	t.Run("in engine processes", func(t *testing.T) { testHostilePackets(t, engineProgram) })
	t.Run("where the kernel confines nothing", func(t *testing.T) { testHostilePackets(t, engineProgram, unconfined) })
}

func testHostilePackets(t *testing.T, program ...string) {
	ctx, n, root := besideSecret(t, program...)
	packets := hostilePackets(t, root)
	before := files(t, root, ".") + folders(t, root)
	for name, p := range packets {
		if err := n.RunGiven(ctx, p); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := files(t, root, ".") + folders(t, root); after != before {
		t.Errorf("files before:\n%s\nafter:\n%s", before, after)
	}
	if err := n.RunGiven(ctx, writing(t, root, func(*api.Packet, *plan.Write) {})); err != nil {
		t.Errorf("files as they should be: %v", err)
	}
	if err := n.RunGiven(ctx, scanned(root, plan.Scan{})); err != nil {
		t.Errorf("a scan as it should be: %v", err)
	}
}

// folders are those outside of the data folder.
func folders(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if d.Name() == "own" {
			return filepath.SkipDir
		}
		b.WriteString(path + "\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
