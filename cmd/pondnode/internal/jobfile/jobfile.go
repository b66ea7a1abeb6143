// Package jobfile reads job files: plans as YAML. The keys are those of a plan's
// JSON (package plan), and every part of a plan can be written; short forms save
// typing. It refuses unknown names, with the line and the nearest known name. It
// resolves paths and touches no file.
//
//	name: late airports
//	steps:
//	  - id: flights
//	    read: data/*.parquet              # or {format: csv, paths: […], options: {…}}
//	  - repartition: {by: hash, keys: origin, n: 8}
//	  - sql: SELECT origin, avg(delay) AS delay FROM {0} GROUP BY origin
//	  - id: named
//	    from: [step3, airports]           # without it: the step before
//	    sql: SELECT * FROM {0} JOIN {1} USING (origin)
//	  - sort: delay DESC
//	  - limit: 10
//	result: collect                       # or count, {take: 5}, {write: {path: out, format: parquet}}
//
// Short forms: a value that is not a mapping stands for an operation's main key
// (read: paths, sql: query, map, flat_map and filter: sql, map_batches: func,
// project: columns, sort and partial_sort: by, limit, broadcast, consolidate,
// repartition and take: n, write: path); one value stands for a list of it; an
// operation without settings needs no value. Columns may be a mapping of name to
// type. Options of readers and writers are plain values: they become SQL
// literals. A step without an id is step1, step2 … by its place.
package jobfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/pondmesh/pond/actors/plan"
)

// Error is a mistake in a job file.
type Error struct {
	File string
	Line int // 0: not known
	Text string
	Hint string // may be empty
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

func errAt(n *yaml.Node, hint, format string, args ...any) error {
	return &Error{Line: n.Line, Text: fmt.Sprintf(format, args...), Hint: hint}
}

// file, step and result are a job file's shape; decode fills them in by their
// JSON names.
type file struct {
	Name   string `json:"name"`
	Steps  []step `json:"steps"`
	Result result `json:"result"`
}

type step struct {
	From *[]plan.NodeID `json:"from"`
	plan.Node
	line int
}

type result struct {
	From    plan.NodeID     `json:"from"`
	Collect *plan.CollectOp `json:"collect"`
	Count   *plan.CollectOp `json:"count"`
	Take    *plan.LimitOp   `json:"take"`
	Write   *plan.Write     `json:"write"`
	line    int
}

// Parse reads a job file. name is for errors; relative paths are taken from dir.
func Parse(name string, data []byte, dir string) (*plan.Plan, error) {
	p, err := parse(data, dir)
	if err == nil {
		return p, nil
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Text: err.Error()}
	}
	e.File = name
	return nil, e
}

func parse(data []byte, dir string) (*plan.Plan, error) {
	if len(data) > plan.MaxPlanBytes {
		return nil, &Error{Text: fmt.Sprintf("the file has %d bytes, more than the %d allowed", len(data), plan.MaxPlanBytes)}
	}
	root, err := document(data)
	if err != nil {
		return nil, err
	}
	var f file
	if err := decode(root, reflect.ValueOf(&f).Elem()); err != nil {
		return nil, err
	}
	if len(f.Steps) == 0 {
		return nil, errAt(root, "begin with: steps: [{read: data/*.parquet}]", "the job has no steps")
	}
	p, err := f.plan(dir)
	if err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, f.locate(p, err)
	}
	return p, nil
}

// locate finds the line of the step that err is about.
func (f *file) locate(p *plan.Plan, err error) error {
	te := plan.AsError(err)
	e := &Error{Text: strings.TrimPrefix(te.Subject+": "+te.Text, ": "), Hint: te.Hint}
	if te.Subject == "sink" { // what plans call a file's result
		e.Line, e.Text = f.Result.line, "result: "+te.Text
	}
	for i := range p.Nodes {
		if p.Nodes[i].String() == te.Subject {
			e.Line = f.Steps[i].line
		}
	}
	return e
}

// document is the one YAML document of a file.
func document(data []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var root, more yaml.Node
	if err := d.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &Error{Text: "the file is empty"}
		}
		return nil, syntaxError(err)
	}
	switch err := d.Decode(&more); {
	case err == nil:
		return nil, errAt(&more, "give each job a file of its own", "a second document begins")
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(err)
	}
	return root.Content[0], nil
}

// syntaxError takes the line out of the YAML library's words.
func syntaxError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	e := &Error{Text: "this is not YAML: " + text, Hint: "quote texts that hold a colon followed by a space, or begin with one of { [ * & ! | > % @ `"}
	if _, serr := fmt.Sscanf(text, "line %d: ", &e.Line); serr == nil {
		_, rest, _ := strings.Cut(text, ": ")
		e.Text = "this is not YAML: " + rest
	}
	return e
}

// plan names the steps and ties them together.
func (f *file) plan(dir string) (*plan.Plan, error) {
	p := &plan.Plan{Name: f.Name}
	known := map[plan.NodeID]bool{}
	var ids []string
	for i := range f.Steps {
		s := &f.Steps[i]
		n := s.Node
		if n.ID == "" {
			n.ID = plan.NodeID(fmt.Sprintf("step%d", i+1))
		}
		switch {
		case known[n.ID]:
			return nil, &Error{Line: s.line, Text: fmt.Sprintf("two steps have the id %q", n.ID), Hint: "give one of them another"}
		case s.From != nil:
			n.Inputs = *s.From
		case i > 0 && n.Read == nil && n.Rows == nil:
			n.Inputs = []plan.NodeID{p.Nodes[i-1].ID}
		}
		for _, in := range n.Inputs {
			if !known[in] {
				return nil, unknown(s.line, "from: no step before this one has the id", string(in), ids)
			}
		}
		if err := settle(&n, dir); err != nil {
			return nil, &Error{Line: s.line, Text: err.Error(), Hint: "name the format: {paths: …, format: parquet}, or csv, json, arrow"}
		}
		known[n.ID] = true
		ids = append(ids, string(n.ID))
		p.Nodes = append(p.Nodes, n)
	}
	r := &f.Result
	if r.From == "" {
		r.From = p.Nodes[len(p.Nodes)-1].ID
	}
	if !known[r.From] {
		return nil, unknown(r.line, "result: from: no step has the id", string(r.From), ids)
	}
	if r.Collect == nil && r.Count == nil && r.Take == nil && r.Write == nil {
		r.Collect = &plan.CollectOp{}
	}
	if w := r.Write; w != nil {
		if w.Format == "" {
			w.Format = plan.Parquet
		}
		w.Path = strings.TrimSuffix(absolute(w.Path, dir), "/")
	}
	p.Sink = plan.Sink{Input: r.From, Collect: r.Collect, Count: r.Count, Take: r.Take, Write: r.Write}
	return p, nil
}

// settle makes a step's paths absolute and finds the format of its files.
func settle(n *plan.Node, dir string) error {
	if n.SQL != nil {
		for i, a := range n.SQL.Access {
			n.SQL.Access[i] = absolute(a, dir)
		}
	}
	if n.Rows != nil {
		n.Rows.Count = int64(len(n.Rows.Values))
	}
	r := n.Read
	if r == nil {
		return nil
	}
	for i, path := range r.Paths {
		r.Paths[i] = absolute(path, dir)
	}
	if r.Format == "" {
		return settleFormat(r)
	}
	return nil
}

// settleFormat finds the format in the names of the files, which agree on it.
func settleFormat(r *plan.ReadOp) error {
	for _, path := range r.Paths {
		f, ok := formatOf(path)
		switch {
		case !ok:
			return fmt.Errorf("the name %s does not tell its format", path)
		case r.Format != "" && f != r.Format:
			return fmt.Errorf("one step reads one format, and the names %s and %s tell two", r.Paths[0], path)
		}
		r.Format = f
	}
	return nil
}

var formats = map[string]plan.Format{
	".parquet": plan.Parquet, ".pq": plan.Parquet, ".csv": plan.CSV, ".tsv": plan.CSV,
	".json": plan.JSON, ".jsonl": plan.JSON, ".ndjson": plan.JSON, ".arrow": plan.Arrow, ".arrows": plan.Arrow, ".ipc": plan.Arrow, ".feather": plan.Arrow,
}

// formatOf is what a name tells; a dataset, or a folder of one, is Parquet.
func formatOf(path string) (plan.Format, bool) {
	for _, zip := range []string{".gz", ".zst"} {
		path = strings.TrimSuffix(path, zip)
	}
	ext := strings.ToLower(filepath.Ext(path))
	if name, ok := plan.CutScheme(path, plan.DatasetScheme); ok && ext == "" && name != "" {
		return plan.Parquet, true
	}
	f, ok := formats[ext]
	return f, ok
}

// absolute makes a path mean the same on every node; a trailing slash stays.
func absolute(path, dir string) string {
	if path == "" || strings.Contains(path, "://") {
		return path
	}
	abs := path
	if !filepath.IsAbs(path) {
		abs = filepath.Join(dir, path)
	}
	abs = filepath.Clean(abs)
	if strings.HasSuffix(path, "/") && abs != "/" {
		abs += "/"
	}
	return abs
}
