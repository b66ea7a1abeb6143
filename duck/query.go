//go:build duckdb_arrow

package duck

// #include "bridge.h"
import "C"

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/vec"
)

// Exec runs one or more statements and returns the rows the last one changed.
func (e *Engine) Exec(ctx context.Context, sql string) (rowsAffected int64, err error) {
	o, err := e.begin(ctx, "exec")
	if err != nil {
		return 0, err
	}
	rows, err := o.exec(sql)
	return rows, o.end(err)
}

func (o *op) exec(sql string) (int64, error) {
	if err := o.guard(sql); err != nil {
		return 0, err
	}
	list, err := split(o.engine.conn, sql)
	if err != nil {
		return 0, err
	}
	defer list.free()
	o.engine.left.note(sql)
	o.engine.hazards = o.engine.hazards || hazardous(sql)
	return list.run(o.engine.conn)
}

// View makes name a temporary view of query, in place of one that it may be.
func (e *Engine) View(ctx context.Context, name, query string) error {
	return e.define(ctx, "VIEW", name, query)
}

// Table makes a temporary table of query's rows. It replaces one of that name.
func (e *Engine) Table(ctx context.Context, name, query string) error {
	return e.define(ctx, "TABLE", name, query)
}

func (e *Engine) define(ctx context.Context, what, name, query string) error {
	o, err := e.begin(ctx, "define "+name)
	if err != nil {
		return err
	}
	return o.end(o.define(what, name, query))
}

// define runs CREATE TEMP what name AS query.
func (o *op) define(what, name, query string) error {
	query = trimQuery(query)
	if err := o.one(query); err != nil {
		return err
	}
	e := o.engine
	e.hazards = e.hazards || hazardous(query)
	head := fmt.Sprintf("CREATE OR REPLACE TEMP %s %s AS\n", what, lexer.QuoteName(name)) // lines of their own, for behind
	list, err := split(e.conn, head+query)
	if err != nil {
		return behind(err, head, query)
	}
	defer list.free()
	if list.n != 1 { // a PIVOT makes a type first
		e.left.note(query)
	}
	_, err = list.run(e.conn)
	return behind(err, head, query)
}

// Schema names and types the columns of query, which is bound but not run.
func (e *Engine) Schema(ctx context.Context, query string) (*vec.Schema, error) {
	o, err := e.begin(ctx, "schema")
	if err != nil {
		return nil, err
	}
	b, err := o.bind(trimQuery(query))
	if err == nil {
		e.bound, o.bound = b, bound{}
	}
	if err = o.end(err); err != nil {
		return nil, err
	}
	return b.schema, nil
}

// bound is a query that is bound but not run: what Schema leaves for the operation
// right after it.
type bound struct {
	query     string
	schema    *vec.Schema // nil: none
	statement mapping.PreparedStatement
}

func (b *bound) free() {
	if b.schema != nil {
		mapping.DestroyPrepare(&b.statement)
	}
	*b = bound{}
}

// same refuses a chunk that has not as many columns, behind so many, as the query, or of
// other types. When a statement runs DuckDB binds it again by itself, and files may have
// changed meanwhile: their vectors would be taken for others. Names are not compared: a
// vector has none.
func (b *bound) same(chunk mapping.DataChunk, skip int) error {
	changed := func(what string) error {
		return newError("Invalid Input Error: "+what+" when the query runs: a file has changed since it was looked at", b.query)
	}
	if n := int(mapping.DataChunkGetColumnCount(chunk)) - skip; n != len(b.schema.Fields) {
		return changed(fmt.Sprintf("there are %d columns instead of %d", n, len(b.schema.Fields)))
	}
	for i, f := range b.schema.Fields {
		t, err := typeOf(mapping.VectorGetColumnType(mapping.DataChunkGetVector(chunk, mapping.IdxT(i+skip))))
		if err != nil {
			return changed(fmt.Sprintf("column %q is not %s any more (%v)", f.Name, f.Type.SQL, err))
		}
		if !sameValues(f.Type, t) {
			return changed(fmt.Sprintf("column %q is %s instead of %s", f.Name, t.SQL, f.Type.SQL))
		}
	}
	return nil
}

// sameValues reports whether values of a query's column are those of a vector's type,
// whatever the names: JSON is text, and NULLs without a type are a query's INTEGER.
func sameValues(query, vector *vec.Type) bool {
	if vector.Kind == vec.Null {
		return query.Kind == vec.Null || query.Kind == vec.Int32
	}
	return query.Kind == vector.Kind && query.Precision == vector.Precision && query.Scale == vector.Scale && query.Size == vector.Size &&
		slices.Equal(query.Names, vector.Names) &&
		slices.EqualFunc(query.Fields, vector.Fields, func(a, b vec.Field) bool { return a.Name == b.Name && sameValues(a.Type, b.Type) })
}

// bind binds a user's query, unless Schema just did. It is freed as the op ends.
func (o *op) bind(query string) (bound, error) {
	if o.bound.schema != nil && o.bound.query == query {
		return o.bound, nil
	}
	if err := o.guard(query); err != nil {
		return bound{}, err
	}
	conn := o.engine.conn
	s, err := prepare(conn, query)
	if err != nil {
		return bound{}, err
	}
	schema, err := preparedSchema(s, query)
	if err != nil {
		mapping.DestroyPrepare(&s)
		return bound{}, err
	}
	o.bound.free()
	o.bound = bound{query, schema, s}
	return o.bound, nil
}

// one is guard for a text that has to be one statement.
func (o *op) one(sql string) error {
	if err := single(sql); err != nil {
		return err
	}
	return o.guard(sql)
}

// guard refuses SQL that a locked engine must not run.
func (o *op) guard(sql string) error {
	if !o.engine.locked {
		return nil
	}
	return guard(sql)
}

// schemaOf binds query, which must be one SELECT without parameters.
func schemaOf(conn mapping.Connection, query string) (*vec.Schema, error) {
	s, err := prepare(conn, query)
	if err != nil {
		return nil, err
	}
	defer mapping.DestroyPrepare(&s)
	return preparedSchema(s, query)
}

func preparedSchema(s mapping.PreparedStatement, query string) (*vec.Schema, error) {
	if mapping.PreparedStatementType(s) != mapping.StatementTypeSelect {
		return nil, newError("Binder Error: a query is expected, which returns rows", query)
	}
	if mapping.NParams(s) != 0 {
		return nil, newError("Binder Error: parameters are not supported", query)
	}
	schema := &vec.Schema{Fields: make([]vec.Field, mapping.PreparedStatementColumnCount(s))}
	for i := range schema.Fields {
		name := mapping.PreparedStatementColumnName(s, mapping.IdxT(i))
		t, err := typeOf(mapping.PreparedStatementColumnLogicalType(s, mapping.IdxT(i)))
		if err != nil {
			return nil, newError(fmt.Sprintf("Binder Error: column %q: %v", name, err), query)
		}
		schema.Fields[i] = vec.Field{Name: name, Type: t}
	}
	return schema, nil
}

// Fetch runs query and hands its rows to emit in the query's order, one chunk after the
// other: from the calling goroutine, or from DuckDB's threads in turn (see hazardous).
// ORDER BY is always kept; the order of files and streams only with Access.Ordered. A
// chunk is valid only during the call. An error of emit stops the query and is returned
// as it is.
func (e *Engine) Fetch(ctx context.Context, query string, emit func(*vec.Chunk) error) (rows int64, err error) {
	o, err := e.begin(ctx, "fetch")
	if err != nil {
		return 0, err
	}
	rows, err = o.fetch(query, emit)
	if err = o.end(err); err != nil {
		return 0, err
	}
	return rows, nil
}

func (o *op) fetch(query string, emit func(*vec.Chunk) error) (rows int64, err error) {
	b, err := o.bind(trimQuery(query))
	if err != nil {
		return 0, err
	}
	if o.engine.hazards || hazardous(b.query) {
		return o.drain(b.query, o.oneByOne(emit), inOrder)
	}
	shape := newShape(b.schema)
	defer shape.free()
	out := newChunk(b.schema)
	err = stream(o.engine.conn, b.statement, b.query, func(chunk mapping.DataChunk) error {
		n := int(mapping.DataChunkGetSize(chunk))
		if n == 0 {
			return nil
		}
		if rows == 0 {
			if err := b.same(chunk, 0); err != nil {
				return err
			}
		}
		var c C.pond_chunk
		C.pond_open_chunk(&c, shape.c, chunk.Ptr, 0)
		defer C.pond_close_chunk(&c)
		fill(out, unsafe.Slice(c.views, shape.c.node_count), n)
		if err := safely(func() error { return emit(out) }); err != nil {
			o.fail(err)
			return err
		}
		rows += int64(n)
		if o.ctx.Err() != nil {
			return interrupted(o.ctx, b.query)
		}
		return nil
	})
	return rows, err
}

// oneByOne has one of DuckDB's threads at a time call emit, which fails once.
func (o *op) oneByOne(emit func(*vec.Chunk) error) func(*vec.Chunk) error {
	var turn sync.Mutex
	return func(c *vec.Chunk) error {
		turn.Lock()
		defer turn.Unlock()
		if err := o.failed(); err != nil {
			return err
		}
		if o.ctx.Err() != nil {
			return context.Cause(o.ctx)
		}
		err := safely(func() error { return emit(c) })
		if err != nil {
			o.fail(err)
		}
		return err
	}
}

// hazardous reports whether DuckDB 1.5 may never end when it streams the rows of sql: it
// has a window function or a UNION. Threads that are ahead with a window's rows wait for
// the reader to take them, the reader for rows of a thread before them, and that one for
// work which the others hold. The first part of a UNION waits for the reader, too, who is
// given nothing before the last part has begun.
func hazardous(sql string) bool {
	toks, err := lexer.Lex(sql)
	return err != nil || slices.ContainsFunc(toks, func(t lexer.Token) bool {
		return t.Kind == lexer.Word && (strings.EqualFold(t.In(sql), "over") || strings.EqualFold(t.In(sql), "union"))
	})
}

// optionName matches the valid names of COPY options.
var optionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Copy runs COPY (query) TO path. Values of options are SQL, as COPY takes them:
// "zstd", "'|'", "(a, b)"; an empty value leaves the bare option. Access covers
// path. DuckDB writes over an existing file by way of tmp_<name> beside it, unless
// use_tmp_file is false.
func (e *Engine) Copy(ctx context.Context, query, path string, format string, options map[string]string) (rows int64, err error) {
	all := []string{"FORMAT " + lexer.QuoteText(format)}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !optionName.MatchString(name) {
			return 0, fmt.Errorf("duck: copy: %w", newError(fmt.Sprintf("Binder Error: %q is not an option", name), query))
		}
		all = append(all, strings.TrimSpace(name+" "+options[name]))
	}
	o, err := e.begin(ctx, "copy")
	if err != nil {
		return 0, err
	}
	rows, err = o.copy(trimQuery(query), path, strings.Join(all, ", "))
	if err = o.end(err); err != nil {
		return 0, err
	}
	return rows, nil
}

func (o *op) copy(query, path, options string) (int64, error) {
	if _, err := o.bind(query); err != nil {
		return 0, err
	}
	statement := "COPY (" + query + "\n) TO " + lexer.QuoteText(path) + " (" + options + ")"
	if err := o.one(statement); err != nil {
		return 0, err
	}
	return run(o.engine.conn, statement)
}
