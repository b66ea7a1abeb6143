package plan

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan/template"
)

// ops lists the operations that are set, by their JSON names.
func (n *Node) ops() []string {
	var out []string
	for _, o := range []struct {
		name string
		set  bool
	}{
		{"read", n.Read != nil}, {"rows", n.Rows != nil}, {"sql", n.SQL != nil}, {"map", n.Map != nil},
		{"flat_map", n.FlatMap != nil}, {"filter", n.Filter != nil}, {"map_batches", n.MapBatches != nil},
		{"project", n.Project != nil}, {"partial_sort", n.PartialSort != nil}, {"sort", n.Sort != nil},
		{"random_shuffle", n.RandomShuffle != nil}, {"limit", n.Limit != nil}, {"union", n.Union != nil},
		{"broadcast", n.Broadcast != nil}, {"consolidate", n.Consolidate != nil}, {"repartition", n.Repartition != nil},
	} {
		if o.set {
			out = append(out, o.name)
		}
	}
	return out
}

// Op names the operations that are set, as the JSON does.
func (n *Node) Op() string {
	ops := n.ops()
	if len(ops) == 0 {
		return "nothing"
	}
	return strings.Join(ops, "+")
}

// Validate checks all that can be checked without the files. Its errors name
// the step and say what to do.
func (p *Plan) Validate() error {
	if len(p.Nodes) == 0 {
		return Refuse("", "add a read step", "the plan has no steps")
	}
	if len(p.Nodes) > MaxNodes {
		return Refuse("", "write fewer, larger steps", "the plan has %d steps, more than the %d allowed", len(p.Nodes), MaxNodes)
	}
	seen := map[NodeID]bool{}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if n.ID == "" {
			return Refuse("", "give each step an id", "step %d of the list has no id", i+1)
		}
		if seen[n.ID] {
			return n.Errorf("rename one of them", "the id is used twice")
		}
		if err := n.validate(seen); err != nil {
			return err
		}
		seen[n.ID] = true
	}
	return p.Sink.validate(seen)
}

func (n *Node) validate(seen map[NodeID]bool) error {
	switch ops := n.ops(); len(ops) {
	case 0:
		return n.Errorf("set one operation: read, sql, filter, repartition, …", "it does nothing")
	case 1:
	default:
		return n.Errorf("make a step of each", "it sets %d operations, one is wanted", len(ops))
	}
	for _, in := range n.Inputs {
		if !seen[in] {
			return n.Errorf("define it before this step", "its input %q is not the id of an earlier step", in)
		}
	}
	lo, hi := n.arity()
	if got := len(n.Inputs); got < lo || got > hi {
		if lo == hi {
			return n.Errorf("correct its inputs", "it takes %s, not %d", Count(lo, "input"), got)
		}
		return n.Errorf("correct its inputs", "it takes %d to %d inputs, not %d", lo, hi, got)
	}
	return n.validateOp()
}

// arity is how many inputs the operation takes.
func (n *Node) arity() (lo, hi int) {
	switch {
	case n.Read != nil, n.Rows != nil:
		return 0, 0
	case n.SQL != nil:
		return 0, maxInputs
	case n.Union != nil:
		return 1, maxInputs
	}
	return 1, 1
}

func (n *Node) validateOp() error {
	switch {
	case n.Read != nil:
		return n.validateRead()
	case n.Rows != nil:
		return n.validateRows()
	case n.SQL != nil:
		for _, v := range n.SQL.Views {
			if err := CheckSQL(v.SQL); err != nil {
				return n.Errorf(AsError(err).Hint, "view %s: %s", v.Name, AsError(err).Text)
			}
		}
		_, err := n.Template(n.SQL.Query, len(n.Inputs))
		return err
	case n.Map != nil:
		return n.validateMap(n.Map)
	case n.FlatMap != nil:
		return n.validateMap(n.FlatMap)
	case n.Filter != nil:
		return n.validateMap(n.Filter)
	case n.MapBatches != nil && n.MapBatches.Func == "":
		return n.Errorf("name a registered function", "it has no func")
	case n.MapBatches != nil:
		return n.between("batch_rows", n.MapBatches.BatchRows, MaxBatchRows)
	case n.Project != nil:
		return n.validateTexts("columns", n.Project.Columns)
	case n.PartialSort != nil:
		return n.validateTerms(n.PartialSort.By)
	case n.Sort != nil:
		if err := n.validateTerms(n.Sort.By); err != nil {
			return err
		}
		return n.between("n", n.Sort.N, MaxPartitions)
	case n.Limit != nil && n.Limit.N < 0:
		return n.Errorf("give a number of rows", "n is %d", n.Limit.N)
	case n.Broadcast != nil:
		return n.between("n", n.Broadcast.N, MaxPartitions)
	case n.Consolidate != nil && n.Consolidate.N == 0:
		return n.Errorf("say how many partitions are to be left", "n is missing")
	case n.Consolidate != nil:
		return n.between("n", n.Consolidate.N, MaxPartitions)
	case n.Repartition != nil:
		return n.validateRepartition(n.Repartition)
	}
	return nil
}

func (n *Node) between(field string, v, hi int) error {
	if v < 0 || v > hi {
		return n.Errorf("choose a number in that range", "%s is %d, not between 0 and %d", field, v, hi)
	}
	return nil
}

// Template parses SQL of the step; without inputs it is DuckDB's alone.
func (n *Node) Template(s string, inputs int) (template.Template, error) {
	if err := CheckSQL(s); err != nil {
		return nil, n.Errorf(AsError(err).Hint, "%s", AsError(err).Text)
	}
	var t template.Template
	var err error
	if n.SQL != nil && inputs == 0 {
		t, err = template.Whole(s)
	} else {
		t, err = template.Parse(s, inputs)
	}
	if err != nil {
		return nil, n.Errorf("correct the SQL", "%v", err)
	}
	return t, nil
}

func (n *Node) validateTexts(field string, texts []string) error {
	for _, s := range texts {
		if _, err := n.Template(s, 1); err != nil {
			return n.Errorf("correct the expression", "%s: %v", field, err.(*Error).Text)
		}
	}
	return nil
}

func (n *Node) validateTerms(by []string) error {
	if len(by) == 0 {
		return n.Errorf(`give terms such as "price DESC"`, "by is empty")
	}
	for _, s := range by {
		if err := CheckSQL(s); err != nil {
			return n.Errorf(AsError(err).Hint, "by: %s", AsError(err).Text)
		}
		if _, _, err := template.SplitTerm(s); err != nil {
			return n.Errorf("correct the term", "by %q: %v", s, err)
		}
	}
	return nil
}

func (n *Node) validateMap(m *MapOp) error {
	if (m.SQL == "") == (m.Func == "") {
		return n.Errorf("set sql, or func with the name of a registered function", "exactly one of sql and func is wanted")
	}
	if m.SQL == "" {
		return nil
	}
	_, err := n.Template(m.SQL, 1)
	return err
}

var optionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

func (n *Node) validateRead() error {
	r := n.Read
	if !slices.Contains([]Format{Parquet, CSV, JSON, Arrow}, r.Format) {
		return n.Errorf("use parquet, csv, json or arrow", "format %q is not known", r.Format)
	}
	if len(r.Paths) == 0 || slices.Contains(r.Paths, "") {
		return n.Errorf("name files, folders or globs", "paths is empty or has an empty path")
	}
	o := r.Options
	text := r.Format == CSV || r.Format == JSON
	switch {
	case o.RowNumber && r.Format != Parquet:
		return n.Errorf("leave row_number out, or read Parquet", "row_number needs Parquet")
	case len(o.CSV) > 0 && !text:
		return n.Errorf("leave csv out", "csv options need format csv or json")
	case len(o.Schema) > 0 && !text:
		return n.Errorf("leave schema out; the files have their own", "schema needs format csv or json")
	case r.Format == Arrow && (o.UnionByName || o.Hive || o.Filename):
		return n.Errorf("leave them out", "union_by_name, hive and filename are not read from Arrow files")
	}
	for _, c := range o.Schema {
		if c.Name == "" || c.Type == "" {
			return n.Errorf("complete the schema", "a schema column has no name or no type")
		}
	}
	return n.validateOptions("csv", o.CSV)
}

// validateOptions checks that options are single SQL values.
func (n *Node) validateOptions(field string, o map[string]string) error {
	for k, v := range o {
		if !optionName.MatchString(k) {
			return n.Errorf("use a name of DuckDB's", "%s: %q is not the name of an option", field, k)
		}
		if err := template.OneValue(v); err != nil {
			return n.Errorf("give an SQL literal, such as '|' with its quotes", "%s: option %s: %v", field, k, err)
		}
	}
	return nil
}

func (n *Node) validateRows() error {
	r := n.Rows
	if (len(r.IPC) > 0) == (len(r.Columns) > 0) {
		return n.Errorf("set ipc with count, or columns with values", "exactly one of ipc and columns is wanted")
	}
	if len(r.IPC) > 0 {
		if r.Count < 0 || len(r.Values) > 0 {
			return n.Errorf("set count to the stream's rows and leave values out", "ipc goes with a count only")
		}
		return nil
	}
	for _, c := range r.Columns {
		if c.Name == "" {
			return n.Errorf("name each column", "a column has no name")
		}
	}
	for i, row := range r.Values {
		if len(row) != len(r.Columns) {
			return n.Errorf("give one value a column", "row %d has %s for %s", i+1, Count(len(row), "value"), Count(len(r.Columns), "column"))
		}
		for _, v := range row {
			if !json.Valid(v) {
				return n.Errorf("give JSON values", "row %d holds something that is not JSON", i+1)
			}
		}
	}
	return nil
}

func (n *Node) validateRepartition(r *RepartitionOp) error {
	if err := n.between("n", r.N, MaxPartitions); err != nil {
		return err
	}
	keys := func(want bool, hint string) error {
		if want != (len(r.Keys) > 0) {
			return n.Errorf(hint, "by %s goes with %s", r.By, Count(len(r.Keys), "key"))
		}
		return nil
	}
	if (r.By == ByUser) != (r.Func != "") {
		return n.Errorf("set func with by user, and with it only", "by is %q and func %q", r.By, r.Func)
	}
	switch r.By {
	case "", ByFiles, ByRows, ByRoundRobin, ByRandom:
		return keys(false, "leave keys out")
	case ByUser:
		if r.N == 0 {
			return n.Errorf("give n: the function yields 0 to n-1", "by user takes n")
		}
		return n.validateTexts("keys", r.Keys)
	case ByHash:
		if err := keys(true, "name the columns to hash"); err != nil {
			return err
		}
		return n.validateTexts("keys", r.Keys)
	case ByRange:
		if err := keys(true, "name the columns to order by"); err != nil {
			return err
		}
		return n.validateTerms(r.Keys)
	case ByValue:
		if len(r.Keys) != 1 || r.N == 0 {
			return n.Errorf("give n and one expression that yields 0 to n-1", "by column takes one key and n")
		}
		return n.validateTexts("keys", r.Keys)
	}
	return n.Errorf("use files, rows, hash, column, range, roundrobin, random or user", "by %q is not known", r.By)
}

func (s *Sink) validate(seen map[NodeID]bool) error {
	set := 0
	for _, b := range []bool{s.Collect != nil, s.Count != nil, s.Take != nil, s.Write != nil} {
		if b {
			set++
		}
	}
	if set != 1 {
		return Refuse("sink", "set one of collect, count, take and write", "it sets %d of them", set)
	}
	if !seen[s.Input] {
		return Refuse("sink", "name the step whose rows are wanted", "its input %q is not the id of a step", s.Input)
	}
	if s.Take != nil && s.Take.N < 0 {
		return Refuse("sink", "give a number of rows", "take: n is %d", s.Take.N)
	}
	if s.Write != nil {
		return s.Write.validate()
	}
	return nil
}

func (w *Write) validate() error {
	n := &Node{ID: "sink"}
	switch {
	case w.Path == "":
		return Refuse("sink", "name a folder", "write has no path")
	case isURL(w.Path) && !strings.HasPrefix(w.Path, DatasetScheme) && !InStore(w.Path):
		return Refuse("sink", "name a folder that every node can write, or of a store, s3://bucket/folder, or a dataset: pond://name", "a pond reads such URLs and does not write to them: %q", w.Path)
	case !slices.Contains([]Format{Parquet, CSV, JSON, Arrow}, w.Format):
		return Refuse("sink", "use parquet, csv, json or arrow", "format %q is not known", w.Format)
	case !slices.Contains([]WriteMode{"", WriteError, WriteOverwrite, WriteAppend, WriteReplace}, w.Mode):
		return Refuse("sink", "use error, overwrite or append", "mode %q is not known", w.Mode)
	case w.Existing && (w.Mode != WriteAppend || !strings.HasPrefix(w.Path, DatasetScheme)):
		return Refuse("sink", "leave it out, or append to a dataset: pond://name", "existing goes with append to a dataset only")
	case InStore(w.Path) && !w.Single && (w.Mode == WriteOverwrite || w.Mode == WriteReplace):
		return Refuse("sink", "write to another folder, or append", "a folder of a store is not overwritten: %q: readers would see old and new files together, or none", w.Path)
	case w.Single && (w.Mode == WriteAppend || w.Mode == WriteReplace || len(w.PartitionBy) > 0):
		return Refuse("sink", "write a folder", "append and partition_by do not go with a single file")
	case (w.Format == Arrow || w.Format == JSON) && len(w.PartitionBy) > 0:
		return Refuse("sink", "write Parquet or CSV", "partition_by does not go with format %s", w.Format)
	}
	if err := n.validateOptions("options", w.Options); err != nil {
		return Refuse("sink", err.(*Error).Hint, "%s", err.(*Error).Text)
	}
	return nil
}

// isURL reports whether a path is a URL, which would be a folder of an odd name.
func isURL(path string) bool {
	scheme, _, ok := strings.Cut(path, "://")
	return ok && !strings.Contains(scheme, "/")
}
