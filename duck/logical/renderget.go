package logical

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// get reads a source under an alias, all of its columns qualified.
func (r *renderer) get(op *Get) *block {
	if op.Opaque != "" {
		r.fail("%s", op.Opaque)
		return &block{}
	}
	if op.Files != nil && len(op.Files) == 0 {
		return r.operator(&EmptyResult{Node: Node{Columns: op.Columns}})
	}
	t := r.next()
	b := &block{open: true}
	var in *block
	if len(op.Inputs) == 1 {
		in = r.item(r.operator(op.Inputs[0]))
		b.from, b.joins, b.lateral = in.from+", LATERAL ", true, true
	}
	column := func(i int) string { return t + "." + lexer.QuoteName(op.Schema[i].Name) }
	b.from += r.source(op, in, t)
	if op.Source == "" && op.Files == nil {
		column = func(i int) string { return t + "." + ColumnName(i) }
		b.from += columnList(len(op.Schema))
	}
	for _, p := range op.Project {
		b.cols = append(b.cols, r.read(op, op.Reads[p], t, column, b))
	}
	if in != nil {
		b.cols = append(b.cols, pick(in.cols, op.Carried)...)
	}
	for _, f := range op.Filters {
		name := t + "." + f.Virtual
		if f.Column >= 0 {
			name = column(f.Column)
		}
		b.where = append(b.where, r.expr(f.X, func(int) string { return name }))
	}
	if op.Ordinality && (op.Source != "" || op.Files != nil) {
		r.fail("WITH ORDINALITY") // it counts the rows of all files
	}
	if op.Sample != nil {
		b.from += r.sample(*op.Sample)
	}
	return b
}

// read is a column of the source. Files that were not bound together may differ
// in type from those that were.
func (r *renderer) read(op *Get, c ColumnRead, t string, column func(int) string, b *block) string {
	switch {
	case c.Column < 0 && c.Virtual == "none":
		b.open = false
		return "CAST(NULL AS BOOLEAN)"
	case c.Column < 0:
		return t + "." + c.Virtual
	case len(op.Files) > 1 && (op.Scan.Pruned || op.Scan.UnionByName):
		b.open = false
		return c.SQL(r.cast(column(c.Column), op.Schema[c.Column].Type))
	case c.Extract != nil:
		b.open = false
	}
	return c.SQL(column(c.Column))
}

// source renders the FROM clause of a scan.
func (r *renderer) source(op *Get, in *block, t string) string {
	switch {
	case op.Source != "":
		return op.Source + " AS " + t
	case op.Files != nil:
		return "read_parquet(" + strings.Join(append([]string{textList(op.Files)}, args(op.Scan.Args)...), ", ") + ") AS " + t
	}
	var list []string
	if in != nil {
		if len(in.cols) < len(op.InputTypes) {
			r.fail("a function of %d columns of %d", len(op.InputTypes), len(in.cols))
			return ""
		}
		for i, want := range op.InputTypes {
			list = append(list, r.cast(in.cols[i], want))
		}
	}
	for _, v := range op.Params {
		list = append(list, r.value(v))
	}
	for _, n := range op.Named {
		list = append(list, lexer.QuoteName(n.Name)+" := "+r.value(n.Value))
	}
	call := funcName(op.Func) + "(" + strings.Join(list, ", ") + ")"
	if op.Ordinality {
		call += " WITH ORDINALITY"
	}
	return call + " AS " + t
}

func args(list []Arg) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.Name + " = " + a.SQL
	}
	return out
}

func textList(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = lexer.QuoteText(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// funcName is a function's name, between quotes where the grammar has other
// plans for it.
func funcName(name string) string {
	if plainName.MatchString(name) && !grammarWords[name] {
		return name
	}
	return lexer.QuoteName(name)
}

// grammarWords are DuckDB's keywords that are not free to name a function.
var grammarWords = wordSet(`all analyse analyze and anti any array as asc asof asymmetric at authorization between bigint binary bit
boolean both by case cast char character check coalesce collate collation column columns concurrently constraint create cross dec
decimal default deferrable desc describe distinct do else end except exists extract false fetch float for foreign freeze from full
generated glob group grouping grouping_id having ilike in initially inner inout int integer intersect interval into is isnull join
lambda lateral leading left like limit map national natural nchar none not notnull null nullif numeric offset on only operator or order out
outer overlaps overlay pivot pivot_longer pivot_wider placing position positional precision primary qualify real references
returning right row select semi setof show similar smallint some struct substring summarize symmetric table tablesample then time
timestamp to trailing treat trim true try_cast union unique unpack unpivot using values varchar variadic verbose when where window
with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`)

func wordSet(s string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(s) {
		set[w] = true
	}
	return set
}

// cast is the SQL x as type t.
func (r *renderer) cast(x string, t Type) string { return fmt.Sprintf("CAST(%s AS %s)", x, r.typ(t)) }

func (r *renderer) typ(t Type) string {
	if !t.Nameable() {
		r.fail("the type %s", t)
	}
	if t.Alias != "" && t.String() != t.Alias && t.ID != "ENUM" {
		r.fail("the type %s", t.Alias)
	}
	return t.String()
}

func (r *renderer) null(t Type) string {
	if t.ID == "NULL" {
		return "NULL"
	}
	if !t.Opaque && !t.Nameable() {
		return "CASE WHEN false THEN " + r.example(t) + " END"
	}
	return r.cast("NULL", t)
}

// example is some value of a type that has no name: of a struct without field
// names.
func (r *renderer) example(t Type) string {
	parts := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		parts[i] = r.null(f.Type)
		if t.ID == "STRUCT" && f.Name != "" {
			parts[i] = lexer.QuoteName(f.Name) + " := " + parts[i]
		}
	}
	switch {
	case len(parts) == 0:
	case t.ID == "STRUCT" && t.Fields[0].Name == "":
		return funcName("row") + "(" + strings.Join(parts, ", ") + ")"
	case t.ID == "STRUCT":
		return "struct_pack(" + strings.Join(parts, ", ") + ")"
	case t.ID == "LIST":
		return "[" + parts[0] + "]"
	case t.ID == "MAP" && len(parts) == 2:
		return "map([" + parts[0] + "], [" + parts[1] + "])"
	}
	r.fail("the type %s", t)
	return "NULL"
}
