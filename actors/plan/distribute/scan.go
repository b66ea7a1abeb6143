package distribute

import (
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/logical"
)

// scan is a view of files: the reader's columns, and those that the tree uses.
type scan struct {
	scan  plan.Scan // Splits of n tasks, or Broadcast
	files []plan.File
	list  []string // SELECT list over the reader's columns
	where []string
}

// broadcastScanBytes bounds a scan that every task reads instead of receiving it.
const broadcastScanBytes = 256 << 10

// get is a scan of files, cut in tasks, or a function's rows.
func (p *planner) get(g *logical.Get, need bool) (*rel, error) {
	if len(g.Inputs) == 1 {
		return p.lateral(g, need)
	}
	s, err := p.source(g)
	if err != nil {
		return nil, err
	}
	switch {
	case s == nil && g.Opaque == "" && len(g.Files) == 0 && strings.HasSuffix(g.Func, "parquet_scan"), s == nil && g.Func == "read_parquet" && len(g.Files) == 0:
		return &rel{op: &logical.EmptyResult{Node: logical.Node{Kind: "LOGICAL_EMPTY_RESULT", Columns: g.Columns}}, stable: true}, nil // all files were pruned
	case s == nil:
		return p.opaqueGet(g)
	}
	if err := s.pick(g); err != nil {
		return nil, err
	}
	us := p.prune(g, s.files)
	p.split(s, us, work(g, us))
	v := p.leaf(&leaf{scan: s}, g.Columns)
	r := &rel{op: v, n: len(s.scan.Splits), stable: true, rows: rowsOf(us, rowWidth(g.Schema))}
	r.values = p.valuesOf(g, s)
	if rows := p.facts.Tables[g.Source].Rows; rows > 0 {
		r.rows = rows
	}
	for _, f := range g.Filters {
		r.rows *= selectivity(f.X)
	}
	return r, nil
}

// split cuts a scan's units, of that much work, into tasks.
func (p *planner) split(s *scan, us []plan.Piece, work int64) {
	switch po := p.o.sizing(); {
	case s.scan.Together != "":
		s.scan.Splits = [][]plan.Piece{us}
	case len(us) == 0: // no row is possible
		s.scan.Splits = [][]plan.Piece{nil}
	case p.o.Partitions > 0:
		s.scan.Splits = plan.SplitRows(us, s.files, p.o.Partitions)
	case p.o.Force:
		s.scan.Splits = plan.SplitBytes(us, s.files, max(po.TasksFor(work), p.o.Parallelism))
	default:
		s.scan.Splits = po.Split(us, s.files, work)
	}
}

// source is the files behind a scan and the columns that they have; nil when
// there are none.
func (p *planner) source(g *logical.Get) (*scan, error) {
	if g.Opaque != "" || g.Sample != nil || g.Ordinality || oddColumns(g) {
		return nil, nil
	}
	if t, ok := p.facts.Tables[g.Source]; ok && g.Source != "" {
		s := &scan{scan: plan.Scan{Format: t.Format, Options: t.Options, Columns: t.Columns}, files: t.Files}
		if len(t.Files) > 0 {
			s.scan.Like = t.Files[0].Path
		}
		if s.scan.From, s.scan.Together = t.From, t.Together; t.From == "" {
			s.scan.PinText(t.CSV)
		}
		return s, nil
	}
	if g.Source != "" {
		return nil, &errSingleTask{"the files behind " + g.Source + " are not known"}
	}
	if len(g.Files) == 0 {
		return nil, nil
	}
	s := &scan{scan: plan.Scan{Format: plan.Parquet, Like: g.Files[0]}}
	for _, path := range g.Files {
		f, ok := p.facts.Files[path]
		if !ok {
			return nil, &errSingleTask{"the file " + path + " is not known"}
		}
		s.files = append(s.files, f)
	}
	o := &s.scan.Options
	o.UnionByName, o.Hive = g.Scan.UnionByName, g.Scan.Hive
	o.CSV = map[string]string{}
	for _, a := range g.Scan.Args {
		switch a.Name {
		case "union_by_name", "hive_partitioning", "hive_types", "file_row_number", "explicit_cardinality":
		default:
			o.CSV[a.Name] = a.SQL
		}
	}
	for _, c := range g.Schema {
		s.scan.Columns = append(s.scan.Columns, plan.Column{Name: c.Name, Type: c.Type.String()})
	}
	return s, nil
}

// oddColumns reports whether a scan reads a column that a task cannot compute: the
// number of a row or file among all.
func oddColumns(g *logical.Get) bool {
	for _, c := range g.Reads {
		switch c.Virtual {
		case "", "none", fileName, rowNumber:
		case rowID: // DuckDB reads it of a table to count rows: files have none
			if g.Source == "" {
				return true
			}
		default:
			return true
		}
	}
	for _, c := range g.Schema {
		if !c.Type.Nameable() && g.Source == "" {
			return true
		}
	}
	return false
}

// pick makes the reader return the columns that the tree reads, and lists the
// expressions of the view over them.
func (s *scan) pick(g *logical.Get) error {
	o := &s.scan.Options
	for _, c := range g.Reads {
		switch c.Virtual {
		case fileName:
			o.Filename = true
		case rowNumber:
			o.RowNumber = true
		}
	}
	want := wanted(g)
	for i, c := range g.Schema {
		switch {
		case !want[i]:
		case strings.EqualFold(c.Name, rowNumber) && s.rowNumbers(g):
			o.RowNumber = true
		case s.scan.From != "": // DuckDB reads only the columns used of the view
		default:
			o.Columns = append(o.Columns, c.Name)
		}
	}
	if len(o.Columns) == 0 && !o.Filename && !o.RowNumber && s.scan.From == "" {
		o.Columns = []string{narrowest(g.Schema)}
	}
	if o.Columns == nil && s.scan.From == "" {
		o.Columns = []string{}
	}
	for _, at := range g.Project {
		s.list = append(s.list, readSQL(g, g.Reads[at]))
	}
	for _, f := range g.Filters {
		sql, err := logical.RenderExpr(f.X, func(int) string { return lexer.QuoteName(g.Schema[f.Column].Name) })
		if err != nil {
			return err
		}
		s.where = append(s.where, sql)
	}
	return nil
}

const (
	fileName  = "filename"
	rowNumber = "file_row_number"
	rowID     = "rowid"
)

// rowNumbers is true when the reader was asked for row numbers.
func (s *scan) rowNumbers(g *logical.Get) bool {
	return slices.ContainsFunc(g.Scan.Args, func(a logical.Arg) bool { return a.Name == rowNumber })
}

func readSQL(g *logical.Get, c logical.ColumnRead) string {
	switch {
	case c.Column >= 0:
		return c.SQL(lexer.QuoteName(g.Schema[c.Column].Name))
	case c.Virtual == "none":
		return "CAST(NULL AS BOOLEAN)"
	case c.Virtual == rowID:
		return "CAST(NULL AS BIGINT)"
	}
	return lexer.QuoteName(c.Virtual)
}

// narrowest is the column that is read when only rows are counted.
func narrowest(cols []logical.Column) string {
	best := cols[0]
	for _, c := range cols {
		if width(c.Type) < width(best.Type) {
			best = c
		}
	}
	return best.Name
}

// rowsOf is the units' rows, guessed from their bytes where it is not known.
func rowsOf(us []plan.Piece, width float64) float64 {
	rows := 0.0
	for _, u := range us {
		if u.Rows >= 0 {
			rows += float64(u.Rows)
		} else {
			rows += float64(u.Bytes) / width
		}
	}
	return rows
}

// lateral calls a function for each row of its input.
func (p *planner) lateral(g *logical.Get, need bool) (*rel, error) {
	if g.Opaque != "" || len(g.Files) > 0 || !pureFunctions[g.Func] {
		return p.opaque(g, "the function "+g.Func+" is called for each row")
	}
	in, err := p.plan(g.Inputs[0], need)
	if err != nil {
		return nil, err
	}
	out := in.with(over(g, in))
	out.rows *= 4
	first := len(g.Project)
	return in.mapped(settled(g, out), shifted(first, picked(g.Carried))).notUnique(), nil
}

// notUnique forgets the unique columns.
func (r *rel) notUnique() *rel { r.unique = nil; return r }

// pureFunctions are table functions that give the same rows wherever they run.
var pureFunctions = set("range", "generate_series", "unnest", "repeat", "repeat_row", "summary")

// opaqueGet is a function that runs in one task; those that are cheap and pure
// in any.
func (p *planner) opaqueGet(g *logical.Get) (*rel, error) {
	if g.Source != "" {
		return nil, &errSingleTask{"how " + g.Source + " is read cannot be told to a task"}
	}
	if _, err := logical.RenderTree(g); err != nil { // what cannot be written cannot be run apart
		return nil, err
	}
	r := &rel{op: g, n: 1, rows: 1000, stable: true}
	if g.Opaque == "" && g.Sample == nil && len(g.Files) == 0 && pureFunctions[g.Func] {
		r.n = 0
	}
	if len(g.Files) > 0 {
		r.rows = 0
		for _, path := range g.Files {
			f, ok := p.facts.Files[path]
			if !ok {
				return nil, &errSingleTask{"the file " + path + " is not known"}
			}
			r.rows += rowsOf(plan.Units([]plan.File{f}), rowWidth(g.Schema))
		}
	}
	return r, nil
}

// isSmall reports whether every task may as well compute the piece from files.
func (p *planner) isSmall(r *rel) bool {
	bytes, ok := int64(0), true
	logical.Walk(r.op, func(op logical.Operator) bool {
		switch op := op.(type) {
		case *logical.View:
			l := p.leaves[op]
			if ok = ok && l.scan != nil && !l.scan.scan.Broadcast; ok {
				for _, f := range l.scan.files {
					bytes += f.Size
				}
			}
		case *logical.Filter, *logical.Projection:
			ok = ok && !volatileOp(op)
		default:
			ok = false
		}
		return ok
	})
	return ok && bytes <= broadcastScanBytes && int64(p.o.BroadcastBytes) >= 0
}

// shared is the same piece with its files read whole by every task.
func (p *planner) broadcastScan(r *rel) *rel {
	var change func(op logical.Operator) logical.Operator
	change = func(op logical.Operator) logical.Operator {
		if v, ok := op.(*logical.View); ok {
			s := *p.leaves[v].scan
			s.scan = s.scan.AsBroadcast(s.files)
			return p.leaf(&leaf{scan: &s}, v.Columns)
		}
		var ins []logical.Operator
		for _, in := range op.Head().Inputs {
			ins = append(ins, change(in))
		}
		return logical.WithInputs(op, ins)
	}
	out := *r
	out.op, out.n, out.hashedBy = change(r.op), 0, nil
	return &out
}
