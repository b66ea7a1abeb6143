package prepare

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/stmt"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/vec"
)

// Local answers a Planner by the engines of a pool in this process.
type Local struct{ Engines *engines.Pool }

// Version implements DuckDB.
func (Local) Version() string { return duck.Version() }

// Parse implements DuckDB.
func (l Local) Parse(ctx context.Context, sql string) (Tree, error) {
	ctx, cancel := engines.WithTime(ctx, engines.PlanTime(0))
	defer cancel()
	e, err := l.Engines.Planner(ctx)
	if err != nil {
		return Tree{}, engines.Error("parse", err)
	}
	js, err := e.Parse(ctx, sql)
	var de *duck.Error
	if errors.As(err, &de) && de.Type == "Not implemented" {
		return Tree{None: true}, nil
	}
	return Tree{JSON: js}, engines.Error("parse", err)
}

// Deparse implements DuckDB.
func (l Local) Deparse(ctx context.Context, tree []byte) (string, error) {
	ctx, cancel := engines.WithTime(ctx, engines.PlanTime(0))
	defer cancel()
	e, err := l.Engines.Planner(ctx)
	if err != nil {
		return "", engines.Error("parse", err)
	}
	text, err := e.Deparse(ctx, tree)
	return text, engines.Error("parse", err)
}

// footersAtOnce are read by one call of DuckDB: more take no less time for each.
const footersAtOnce = 64

// Footers implements DuckDB.
func (l Local) Footers(ctx context.Context, paths, _ []string, each func(from int, list []duck.Footer) error) error {
	ctx, cancel := engines.WithTime(ctx, engines.PlanTime(len(paths)))
	defer cancel()
	for from := 0; from < len(paths); from += footersAtOnce {
		part := paths[from:min(from+footersAtOnce, len(paths))]
		list, err := l.Engines.Footers(ctx, part)
		if err != nil {
			return l.Engines.Which(ctx, err, part)
		}
		if err := each(from, list); err != nil {
			return err
		}
	}
	return nil
}

// Columns implements DuckDB.
func (l Local) Columns(ctx context.Context, sql string, access []string) ([]plan.Column, error) {
	ctx, cancel := engines.WithTime(ctx, engines.PlanTime(len(access)))
	defer cancel()
	e, err := l.Engines.Get(ctx, engines.ForBinding(access))
	if err != nil {
		return nil, engines.Error("read", err)
	}
	defer l.Engines.Put(e)
	schema, err := e.Schema(ctx, sql)
	if err != nil {
		return nil, engines.Error("read", err)
	}
	return columnsOf(schema), nil
}

func columnsOf(s *vec.Schema) []plan.Column {
	out := make([]plan.Column, len(s.Fields))
	for i, f := range s.Fields {
		out[i] = plan.Column{Name: f.Name, Type: f.Type.SQL}
	}
	return out
}

// Sniff implements DuckDB.
func (l Local) Sniff(ctx context.Context, path string, access []string, o plan.ScanOptions) (map[string]string, error) {
	ctx, cancel := engines.WithTime(ctx, engines.PlanTime(1))
	defer cancel()
	e, err := l.Engines.Get(ctx, engines.ForBinding(access))
	if err != nil {
		return nil, engines.Error("read", err)
	}
	defer l.Engines.Put(e)
	args := lexer.QuoteText(plan.EscapeGlob(path))
	for k, v := range o.CSV {
		args += ", " + k + " = " + v
	}
	out := map[string]string{}
	sql := fmt.Sprintf("SELECT coalesce(DateFormat, ''), coalesce(TimestampFormat, ''), CASE WHEN HasHeader THEN 'true' ELSE '' END FROM sniff_csv(%s)", args)
	_, err = e.Fetch(ctx, sql, func(c *vec.Chunk) error {
		for i, name := range []string{"dateformat", "timestampformat", "header"} {
			switch v := string((*vec.Str)(c.Columns[i].Data).Bytes()); {
			case v == "" || name == "header" && len(o.Schema) > 0:
			case name == "header":
				out[name] = v
			default:
				out[name] = lexer.QuoteText(v)
			}
		}
		return nil
	})
	if errors.Is(err, duck.ErrQuery) {
		return nil, nil
	}
	return out, engines.Error("read", err)
}

// pivotTime is how much longer Describe may take for PIVOT, which runs a query to find its
// columns.
const pivotTime = 10 * time.Minute

// PivotTime is pivotTime, if a query may need it.
func PivotTime(query string) time.Duration {
	if stmt.MayPivot(query) {
		return pivotTime
	}
	return 0
}

// Describe implements DuckDB. Only what PIVOT is to find in the data is run.
func (l Local) Describe(ctx context.Context, op *plan.SQLOp, access []string) (out Shape, err error) {
	ctx, cancel := engines.WithTime(ctx, engines.PlanTime(len(access))+PivotTime(op.Query))
	defer cancel()
	e, err := l.Engines.Get(ctx, engines.ForBinding(access))
	if err != nil {
		return out, engines.Error("open DuckDB", err)
	}
	defer l.Engines.Put(e)
	schema, err := describe(ctx, e, op, &out.Dynamic)
	if err != nil {
		return out, engines.Where(engines.Error("bind", err), engines.FilesOf(access))
	}
	if !op.Told {
		out.Columns = columnsOf(schema)
		return out, nil
	}
	query := op.Query
	if out.Dynamic {
		query = "FROM " + shapeTable
	}
	out.Columns, err = asTold(ctx, e, query)
	return out, engines.Where(engines.Error("bind", err), engines.FilesOf(access))
}

// asTold is what DuckDB's DESCRIBE says of a query that can be bound. Unlike in a schema,
// which has what another query can name and cast to, names of members are quoted only
// where they must be, and those of columns repeat.
func asTold(ctx context.Context, e *duck.Engine, query string) (out []plan.Column, err error) {
	_, err = e.Fetch(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+query+"\n)", func(c *vec.Chunk) error {
		names, types := unsafe.Slice((*vec.Str)(c.Columns[0].Data), c.Rows), unsafe.Slice((*vec.Str)(c.Columns[1].Data), c.Rows)
		for i := range c.Rows {
			out = append(out, plan.Column{Name: string(names[i].Bytes()), Type: string(types[i].Bytes())})
		}
		return nil
	})
	return out, err
}

// shapeTable has the columns of a query that had to be found in the data.
const shapeTable = "pond_shape"

// describe is the schema of a step's query, in an engine that holds nothing else.
// dynamic is set when the columns had to be found in the data.
func describe(ctx context.Context, e *duck.Engine, op *plan.SQLOp, dynamic *bool) (*vec.Schema, error) {
	for _, v := range op.Views {
		if err := e.View(ctx, v.Name, v.SQL); err != nil {
			return nil, engines.InView(v.Name, err)
		}
	}
	schema, err := e.Schema(ctx, "SELECT * FROM ("+op.Query+"\n)")
	if err == nil {
		return schema, nil
	}
	if !stmt.MayPivot(op.Query) {
		if !errors.Is(err, duck.ErrQuery) {
			return nil, err
		}
		if _, own := e.Schema(ctx, op.Query); own != nil {
			err = own // it quotes the text as it was written
		}
		return nil, err
	}
	*dynamic = true
	if err := e.Table(ctx, shapeTable, "FROM ("+op.Query+"\n) LIMIT 0"); err != nil {
		return nil, err
	}
	return e.Schema(ctx, "FROM "+shapeTable)
}

// Plan implements DuckDB. Tables take the place of text files.
func (l Local) Plan(ctx context.Context, r PlanRequest) (Planned, error) {
	ctx, cancel := engines.WithTime(ctx, engines.PlanTime(len(r.Access)))
	defer cancel()
	e, err := l.Engines.Get(ctx, engines.ForPlanning(r.Access, r.Off))
	if err != nil {
		return Planned{}, engines.Error("open DuckDB", err)
	}
	defer l.Engines.Put(e)
	out, err := writePlan(ctx, e, &r)
	var w *errWhole
	if errors.As(err, &w) {
		return Planned{Whole: w.why}, nil
	}
	return out, engines.Where(err, engines.FilesOf(r.Access))
}

func writePlan(ctx context.Context, e *duck.Engine, r *PlanRequest) (out Planned, err error) {
	sql, views := r.SQL, r.Views
	text, err := usePlaceholders(ctx, e, r.SQL, r.Views, r.Files)
	if err != nil {
		return out, err
	}
	if text != nil { // tables take the files' place
		sql, views, out.Tables = text.sql, text.views, text.tables
	}
	schema, err := bound(ctx, e, sql, views)
	if err != nil && text != nil {
		if _, err = bound(ctx, e, r.SQL, r.Views); err == nil {
			return out, &errWhole{"it means something else over tables than over text files"}
		}
	}
	if err != nil {
		return out, err
	}
	for _, f := range schema.Fields {
		out.Names = append(out.Names, f.Name)
	}
	out.Plan, err = fetchText(ctx, e, fmt.Sprintf("SELECT json_serialize_plan(%s, optimize := true)::VARCHAR", lexer.QuoteText(sql)))
	if err != nil {
		return out, &errWhole{"DuckDB cannot write its plan down: " + err.Error()}
	}
	return out, nil
}

// bound makes views and names and types the columns of a query over them.
func bound(ctx context.Context, e *duck.Engine, sql string, views []plan.View) (*vec.Schema, error) {
	for _, v := range views {
		if err := e.View(ctx, v.Name, v.SQL); err != nil {
			return nil, engines.InView(v.Name, err)
		}
	}
	schema, err := e.Schema(ctx, sql)
	if err != nil {
		return nil, engines.Error("read", err)
	}
	return schema, nil
}

// fetchText is the one text that a query gives.
func fetchText(ctx context.Context, e *duck.Engine, sql string) (string, error) {
	var out string
	rows, err := e.Fetch(ctx, sql, func(c *vec.Chunk) error {
		if c.Columns[0].Null(0) {
			return errors.New("no text")
		}
		out = string((*vec.Str)(c.Columns[0].Data).Bytes())
		return nil
	})
	if err == nil && rows != 1 {
		err = fmt.Errorf("%d rows where one is expected", rows)
	}
	return out, err
}
