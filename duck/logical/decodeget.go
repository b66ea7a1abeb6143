package logical

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// virtualColumns are numbered from the top of DuckDB's range.
var virtualColumns = map[string]Column{
	"18446744073709551615": {"rowid", Type{ID: "BIGINT"}},
	"18446744073709551614": {"none", Type{ID: "BOOLEAN"}},
	"9223372036854775808":  {"filename", Type{ID: "VARCHAR"}},
	"9223372036854775809":  {"file_row_number", Type{ID: "BIGINT"}},
	"9223372036854775810":  {"file_index", Type{ID: "UBIGINT"}},
}

func (d *decoder) get(n Node, o object) Operator {
	g := &Get{Node: n, Table: o.number("table_index"), Func: o.text("name"), Carried: o.positions("projected_input"),
		Ordinality: o.number("ordinality_idx") >= 0}
	g.Scan.FilenameColumn = -1
	g.Schema = d.typed(o.list("returned_types"), o.texts("names"))
	for _, c := range o.list("column_indexes") {
		c := asObject(c)
		r := ColumnRead{Column: c.number("index"), Fields: fieldPaths(c)}
		number, _ := c["index"].(json.Number)
		if v, ok := virtualColumns[number.String()]; ok {
			r = ColumnRead{Column: -1, Virtual: v.Name}
		} else if r.Column < 0 || r.Column >= len(g.Schema) {
			return d.unknown(n, "a column that is not known")
		} else if c.text("index_type") == pushedExtract {
			if r.Extract = extractPath(g.Schema[r.Column].Type, c); r.Extract == nil {
				return d.unknown(n, "a field that is not known")
			}
			r.Fields = nil
		}
		g.Reads = append(g.Reads, r)
	}
	g.Project = o.positions("projection_ids")
	if g.Project == nil {
		for i := range g.Reads {
			g.Project = append(g.Project, i)
		}
	}
	for _, p := range g.Project {
		if p < 0 || p >= len(g.Reads) {
			return d.unknown(n, "a projection that does not fit")
		}
		g.Columns = append(g.Columns, g.readColumn(p))
	}
	if len(g.Carried) > 0 {
		if len(n.Inputs) != 1 {
			return d.unknown(n, "carried columns without an input")
		}
		carried := pick(n.Inputs[0].Head().Columns, g.Carried)
		if len(carried) != len(g.Carried) {
			return d.unknown(n, "carried columns that do not fit")
		}
		g.Columns = append(g.Columns, carried...)
	}
	for _, e := range o.object("table_filters").list("filters") {
		f := TableFilter{Column: asObject(e).number("key")}
		key, _ := asObject(e)["key"].(json.Number)
		column := virtualColumns[key.String()]
		switch {
		case column.Name != "":
			f.Column, f.Virtual = -1, column.Name
		case f.Column >= 0 && f.Column < len(g.Schema):
			column = g.Schema[f.Column]
		default:
			return d.unknown(n, "a filter on a column that is not known")
		}
		if slices.ContainsFunc(g.Reads, func(r ColumnRead) bool { return r.Column == f.Column && r.Extract != nil }) {
			return d.unknown(n, "a filter on a column of which a field is read")
		}
		if f.X = d.filter(asObject(e).object("value"), &Ref{Typed{T: column.Type, Alias: column.Name}, 0}); f.X != nil {
			g.Filters = append(g.Filters, f)
		}
	}
	g.Sample = d.sample(o.object("extra_info").object("sample_options"))
	d.source(g, o)
	return g
}

// readColumn is the p-th of Reads.
func (g *Get) readColumn(p int) Column {
	r := g.Reads[p]
	if r.Column >= 0 {
		c := g.Schema[r.Column]
		for _, name := range r.Extract {
			c = Column(c.Type.Fields[fieldAt(c.Type, name)])
		}
		return c
	}
	for _, v := range virtualColumns {
		if v.Name == r.Virtual {
			return v
		}
	}
	return Column{}
}

// pushedExtract marks a column whose field, not itself, the scan returns.
const pushedExtract = "PUSHDOWN_EXTRACT"

// extractPath follows a pushed extract through the structs of t. It is nil where
// that leads elsewhere: through a VARIANT, or a struct whose fields have no names.
func extractPath(t Type, c object) []string {
	var path []string
	for c.text("index_type") == pushedExtract {
		below := c.list("child_indexes")
		if len(below) != 1 || t.ID != "STRUCT" {
			return nil
		}
		c = asObject(below[0])
		i := c.number("index")
		if i < 0 || i >= len(t.Fields) || t.Fields[i].Name == "" {
			return nil
		}
		path = append(path, t.Fields[i].Name)
		t = t.Fields[i].Type
	}
	return path
}

// fieldAt is the place of a struct's field, whose name is one of its own.
func fieldAt(t Type, name string) int {
	return slices.IndexFunc(t.Fields, func(f Field) bool { return f.Name == name })
}

// SQL is the read, of a column whose SQL is column.
func (r ColumnRead) SQL(column string) string {
	for _, name := range r.Extract {
		column = "struct_extract(" + column + ", " + lexer.QuoteText(name) + ")"
	}
	return column
}

func fieldPaths(c object) [][]int {
	var out [][]int
	for _, f := range c.list("child_indexes") {
		f := asObject(f)
		below := fieldPaths(f)
		if below == nil {
			below = [][]int{nil}
		}
		for _, p := range below {
			out = append(out, append([]int{f.number("index")}, p...))
		}
	}
	return out
}

// source reads where the rows come from.
func (d *decoder) source(g *Get, o object) {
	data := o.object("function_data")
	switch {
	case g.Func == "seq_scan":
		g.Source = lexer.QuoteName(data.text("catalog")) + "." + lexer.QuoteName(data.text("schema")) + "." + lexer.QuoteName(data.text("table"))
		if data.flag("is_create_index") {
			g.Opaque = "an index scan"
		}
	case g.Func == "parquet_scan" || g.Func == "read_parquet":
		d.parquet(g, data, o.object("extra_info"))
	case o.flag("has_serialize"):
		g.Opaque = "the function " + g.Func
	default:
		for _, p := range o.list("parameters") {
			g.Params = append(g.Params, d.value(asObject(p), nil))
		}
		for _, t := range o.list("input_table_types") {
			g.InputTypes = append(g.InputTypes, d.typ(asObject(t)))
		}
		d.named(g, o["named_parameters"])
		for _, a := range o.list("arguments") {
			if asObject(a).text("id") == "TABLE" {
				g.Opaque = "a function of a table: " + g.Func
			}
		}
	}
	if c := o.text("catalog_name"); g.Source == "" && c != "" && c != "system" {
		g.Opaque = "the function " + c + "." + g.Func
	}
}

// named reads named arguments, a map that DuckDB writes as a list of pairs.
func (d *decoder) named(g *Get, v any) {
	list, _ := v.([]any)
	for _, e := range list {
		e := asObject(e)
		g.Named = append(g.Named, NamedValue{e.text("key"), d.value(e.object("value"), nil)})
	}
	slices.SortFunc(g.Named, func(a, b NamedValue) int { return strings.Compare(a.Name, b.Name) })
}

func (d *decoder) parquet(g *Get, data, extra object) {
	g.Files = append([]string{}, data.texts("files")...)
	options := data.object("parquet_options")
	files := options.object("file_options")
	flag := func(name string, set bool) {
		g.Scan.Args = append(g.Scan.Args, Arg{name, strconv.FormatBool(set)})
	}
	if options.object("encryption_config") != nil {
		g.Opaque = "an encrypted file"
	}
	if len(options.list("schema")) > 0 {
		g.Opaque = "a Parquet schema by field ids"
	}
	g.Scan.Pruned = extra.number("filtered_files") >= 0 && extra.number("filtered_files") != extra.number("total_files")
	g.Scan.UnionByName, g.Scan.Hive = files.flag("union_by_name"), files.flag("hive_partitioning")
	for _, option := range []string{"binary_as_string", "file_row_number"} {
		if options.flag(option) {
			flag(option, true)
		}
	}
	if g.Scan.UnionByName {
		flag("union_by_name", true)
	}
	// Left out, it is guessed from the paths.
	if g.Scan.Hive || slices.ContainsFunc(g.Files, func(f string) bool { return strings.Contains(f, "=") }) {
		flag("hive_partitioning", g.Scan.Hive)
	}
	if name := files.text("filename_column"); files.flag("filename") {
		g.Scan.Args = append(g.Scan.Args, Arg{"filename", lexer.QuoteText(name)})
		g.Scan.FilenameColumn = slices.IndexFunc(g.Schema, func(c Column) bool { return c.Name == name })
	}
	if n := options.number("explicit_cardinality"); n > 0 {
		g.Scan.Args = append(g.Scan.Args, Arg{"explicit_cardinality", fmt.Sprint(n)})
	}
	if g.Scan.Hive {
		g.hive()
	}
}

// hive says which columns come from the files' paths, and of what type: from
// other files another type might be guessed.
func (g *Get) hive() {
	if len(g.Files) == 0 {
		return
	}
	var types []string
	for _, key := range hiveKeys(g.Files[0]) {
		at := slices.IndexFunc(g.Schema, func(c Column) bool { return strings.EqualFold(c.Name, key) })
		if at >= 0 {
			g.Scan.HiveColumns = append(g.Scan.HiveColumns, at)
			types = append(types, lexer.QuoteText(g.Schema[at].Name)+": "+g.Schema[at].Type.String())
		}
	}
	if len(types) > 0 {
		g.Scan.Args = append(g.Scan.Args, Arg{"hive_types", "{" + strings.Join(types, ", ") + "}"})
	}
}
