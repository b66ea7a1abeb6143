package frame

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/template"
)

// Where rows come from: files, literals, earlier stages.

func (c *compiler) compileRead(n *plan.Node) (*rel, error) {
	f, ok := c.cat[n.ID]
	if !ok {
		return nil, fmt.Errorf("plan: %s: the catalog lacks its files: %w", n, plan.ErrInternal)
	}
	if len(f.Files) == 0 {
		return nil, n.Errorf("check the paths, and that this node sees them", "no file matches %s", strings.Join(n.Read.Paths, ", "))
	}
	s := &plan.Scan{Format: n.Read.Format, Options: n.Read.Options, Columns: f.Columns, Like: f.Files[0].Path}
	for i := range f.Files {
		if c.o.Named != nil && s.Named == "" {
			s.Named = c.o.Named(f.Files[i].Path)
		}
	}
	s.PinText(f.CSV)
	for _, name := range s.Options.Columns {
		if f.Columns != nil && !hasColumn(f.Columns, name) {
			return nil, n.Errorf("correct the name", "there is no column %q; there are %s", name, columnNames(f.Columns))
		}
	}
	var bytes int64
	for i := range f.Files {
		bytes += f.Files[i].Size
	}
	s.Splits = c.o.Split(plan.Units(f.Files), f.Files, bytes)
	return c.scanRel(label(n), s, f.Files, laidAuto), nil
}

func hasColumn(cols []plan.Column, name string) bool {
	return slices.ContainsFunc(cols, func(c plan.Column) bool { return strings.EqualFold(c.Name, name) })
}

func columnNames(cols []plan.Column) string {
	const most = 20
	var names []string
	for _, c := range cols[:min(len(cols), most)] {
		names = append(names, c.Name)
	}
	if len(cols) > most {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}

func (c *compiler) scanRel(label string, s *plan.Scan, files []plan.File, kind layoutKind) *rel {
	v := &view{label: label, n: len(s.Splits), scan: s, files: files, stable: true, rowwise: true}
	for i := range files {
		v.bytes += files[i].Size
	}
	return &rel{c.add(v), layout{kind: kind, n: v.n}}
}

// rescan is the same scan cut differently.
func (c *compiler) rescan(v *view, splits [][]plan.Piece, kind layoutKind) *rel {
	s := *v.scan
	s.Splits, s.Broadcast = splits, false
	return c.scanRel(v.label, &s, v.files, kind)
}

func (c *compiler) compileRows(n *plan.Node) *rel {
	l := layout{kind: laidSingle, n: 1}
	if len(n.Rows.IPC) == 0 {
		v := c.step(label(n), 0, traits{}, template.Template{template.Text(valuesSQL(n.Rows))})
		v.stable, v.rowwise = true, true
		return &rel{v, l}
	}
	v := &view{label: label(n), n: 1, lit: &plan.Literal{IPC: n.Rows.IPC, Rows: n.Rows.Count}, bytes: int64(len(n.Rows.IPC)), stable: true, rowwise: true}
	return &rel{c.add(v), l}
}

// compileProject picks columns, in the reader itself where it can.
func (c *compiler) compileProject(n *plan.Node) (*rel, error) {
	r, p := c.input(n), n.Project
	if (p.Filename || p.RowNumber) && r.v.scan == nil {
		return nil, n.Errorf("put the project straight after the read", "filename and row_number come from the files, but its input is no read")
	}
	if p.RowNumber && r.v.scan.Format != plan.Parquet || p.Filename && r.v.scan.Format == plan.Arrow {
		return nil, n.Errorf("leave it out", "the format %s does not have that column", r.v.scan.Format)
	}
	var plain []string
	for _, s := range p.Columns {
		if name, ok := plainColumn(s); ok {
			plain = append(plain, name)
		}
	}
	if r.v.scan != nil && r.v.scan.Format != plan.Arrow {
		s := *r.v.scan
		s.Options.Filename = s.Options.Filename || p.Filename
		s.Options.RowNumber = s.Options.RowNumber || p.RowNumber
		bare := c.scanRel(r.v.label, &s, r.v.files, r.l.kind)
		bare.v.n, bare.l = r.v.n, r.l
		if len(p.Columns) == 0 {
			return bare, nil
		}
		if len(plain) == len(p.Columns) && c.inFiles(&s, plain) {
			s.Options.Columns, s.Options.Filename, s.Options.RowNumber = plain, p.Filename, p.RowNumber
			return bare, nil
		}
		r = bare
	}
	if len(p.Columns) == 0 {
		return r, nil
	}
	list := append([]string{}, p.Columns...)
	if p.RowNumber {
		list = append(list, plan.RowNumber)
	}
	if p.Filename {
		list = append(list, plan.FileName)
	}
	t, err := n.Template(strings.Join(list, ", "), 1)
	if err != nil {
		return nil, err
	}
	return c.narrow(n, r, t.Wrap([]template.Frag{template.Text("SELECT ")}, []template.Frag{template.Text(" FROM "), template.View(0)}), list...), nil
}

// inFiles is true when the names are certainly columns that the reader gives,
// each once, and not the generated ones.
func (c *compiler) inFiles(s *plan.Scan, names []string) bool {
	seen := map[string]bool{}
	for _, name := range names {
		low := strings.ToLower(name)
		if seen[low] || !hasColumn(s.Columns, name) || low == plan.FileName || low == plan.RowNumber {
			return false
		}
		if s.Options.Columns != nil && !slices.ContainsFunc(s.Options.Columns, func(o string) bool { return strings.EqualFold(o, name) }) {
			return false
		}
		seen[low] = true
	}
	return true
}

// leave is the exit of a rel by an exchange. The same asked for twice is one.
func (c *compiler) leave(r *rel, e exit) *exit {
	e.root, e.n, e.index = r.v, r.l.n, -1
	ex, _ := json.Marshal(e.ex)
	key := fmt.Sprintf("%d %d %s %t %t %t %t %p", e.root.id, e.n, ex, e.ordered, e.perJob, e.sample, e.repeatable, e.bounds)
	if old, ok := c.exits[key]; ok {
		return old
	}
	c.exits[key] = &e
	return &e
}

// cut ends a stage as it is: one partition a task, to be read segment by
// segment. Order that was asked for is kept; the order of the files only on
// request, since it takes one thread.
func (c *compiler) cut(r *rel, keep bool) *exit {
	return c.leave(r, exit{ex: plan.Exchange{Kind: plan.Single, Partitions: 1}, repeatable: true, ordered: r.v.ordered || keep && r.v.stable})
}

// read is a view of earlier exits in n tasks.
func (c *compiler) read(exits []*exit, how plan.How, n int) *view {
	v := &view{n: n, read: &readView{exits: exits, how: how}}
	names := make([]string, len(exits))
	for i, e := range exits {
		names[i] = e.root.label
		if e.root.bytes < 0 || v.bytes < 0 {
			v.bytes = -1
		} else {
			v.bytes += e.root.bytes
		}
	}
	v.label = strings.Join(names, " and ")
	return c.add(v)
}

// reread is a view of a cut, with the order that was kept.
func (c *compiler) reread(r *rel, how plan.How, n int, keep bool) *view {
	v := c.read([]*exit{c.cut(r, keep)}, how, n)
	v.stable, v.ordered = keep && r.v.stable, r.v.ordered
	v.rowwise = true
	return v
}

// broadcast is a view of all of a rel's rows that any task may have.
func (c *compiler) broadcast(r *rel) *view {
	v := r.v
	switch {
	case v.n == 0:
		return v
	case v.scan != nil:
		s := *v.scan
		var all []plan.Piece
		for _, task := range s.Splits {
			all = append(all, task...)
		}
		s.Splits, s.Broadcast = [][]plan.Piece{plan.JoinPieces(all, v.files)}, true
		w := c.scanRel(v.label, &s, v.files, laidAuto).v
		w.n = 0
		return w
	case v.lit != nil:
		lit := *v.lit
		lit.Broadcast = true
		return c.add(&view{label: v.label, lit: &lit, bytes: v.bytes, stable: true, rowwise: true})
	case v.read != nil && r.l.kind != laidSame:
		w := c.read(v.read.exits, plan.ReadAll, 0)
		w.stable, w.ordered = v.stable, v.ordered
		return w
	}
	return c.reread(r, plan.ReadAll, 0, false)
}

// gather is all of a rel's rows in one partition; why says what for.
func (c *compiler) gather(r *rel, why string, keep bool) *rel {
	if r.l.n == 1 {
		return r
	}
	v := c.reread(r, plan.ReadPartition, 1, keep)
	v.why = why
	return &rel{v, layout{kind: laidSingle, n: 1}}
}
