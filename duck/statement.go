//go:build duckdb_arrow

package duck

// #include "bridge.h"
import "C"

import (
	"errors"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/pondmesh/pond/duck/vec"
)

// run executes the statements of sql and returns the rows the last one changed.
func run(conn mapping.Connection, sql string) (int64, error) {
	list, err := split(conn, sql)
	if err != nil {
		return 0, err
	}
	defer list.free()
	return list.run(conn)
}

// statements are a text's, parsed; free frees them.
type statements struct {
	sql  string
	list mapping.ExtractedStatements
	n    int
}

// split parses sql, which may be nothing but comments.
func split(conn mapping.Connection, sql string) (*statements, error) {
	l := &statements{sql: sql}
	l.n = int(mapping.ExtractStatements(conn, sql, &l.list))
	if text := mapping.ExtractStatementsError(l.list); l.n == 0 && text != "" {
		l.free()
		return nil, newError(text, sql)
	}
	return l, nil
}

func (l *statements) free() { mapping.DestroyExtracted(&l.list) }

// run executes them all and returns the rows the last one changed.
func (l *statements) run(conn mapping.Connection) (changed int64, err error) {
	for i := range l.n {
		var s mapping.PreparedStatement
		if mapping.PrepareExtractedStatement(conn, l.list, mapping.IdxT(i), &s) == mapping.StateError {
			err = newError(mapping.PrepareError(s), l.sql)
		} else {
			changed, err = execute(conn, s, l.sql)
		}
		mapping.DestroyPrepare(&s)
		if err != nil {
			return 0, err
		}
	}
	return changed, nil
}

// settle makes DuckDB end a statement that failed or whose stream is left half
// read, and wait for its threads. Callbacks may still run until then.
func settle(conn mapping.Connection) {
	var result mapping.Result
	mapping.Query(conn, "SELECT 1", &result)
	mapping.DestroyResult(&result)
}

func execute(conn mapping.Connection, s mapping.PreparedStatement, sql string) (changed int64, err error) {
	defer func() {
		if err != nil {
			settle(conn)
		}
	}()
	var pending mapping.PendingResult
	defer mapping.DestroyPending(&pending)
	if mapping.PendingPrepared(s, &pending) == mapping.StateError {
		return 0, newError(mapping.PendingError(pending), sql)
	}
	var result mapping.Result
	defer mapping.DestroyResult(&result)
	if mapping.ExecutePending(pending, &result) == mapping.StateError {
		return 0, newError(mapping.ResultError(&result), sql)
	}
	return changedRows(&result), nil
}

// changedRows is how many rows a statement wrote; 0 for a query.
func changedRows(r *mapping.Result) int64 {
	if mapping.ResultReturnType(*r) != mapping.ResultTypeChangedRows {
		return 0
	}
	return int64(mapping.RowsChanged(r))
}

// query1 runs one query whose columns are cast to text here, for results of a
// few rows; NULL is empty.
func query1(conn mapping.Connection, query string, args ...string) ([][]string, error) {
	s, err := prepare1(conn, query)
	if err != nil {
		return nil, err
	}
	defer mapping.DestroyPrepare(&s)
	return run1(conn, s, query, args...)
}

func prepare1(conn mapping.Connection, query string) (mapping.PreparedStatement, error) {
	return prepare(conn, "SELECT COLUMNS(*)::VARCHAR FROM ("+query+")")
}

// run1 is query1 of what prepare1 has prepared.
func run1(conn mapping.Connection, s mapping.PreparedStatement, query string, args ...string) ([][]string, error) {
	for i, a := range args {
		if mapping.BindVarchar(s, mapping.IdxT(i+1), a) == mapping.StateError {
			return nil, errors.New("cannot bind an argument")
		}
	}
	var rows [][]string
	err := stream(conn, s, query, func(chunk mapping.DataChunk) error {
		rows = append(rows, texts(chunk)...)
		return nil
	})
	return rows, err
}

// texts are the rows of a chunk of VARCHAR columns.
func texts(chunk mapping.DataChunk) [][]string {
	rows := make([][]string, mapping.DataChunkGetSize(chunk))
	columns := int(mapping.DataChunkGetColumnCount(chunk))
	for c := range columns {
		v := mapping.DataChunkGetVector(chunk, mapping.IdxT(c))
		data := unsafe.Slice((*vec.Str)(mapping.VectorGetData(v)), len(rows))
		column := vec.Vector{Rows: len(rows), Valid: validity(mapping.VectorGetValidity(v), len(rows))}
		for i := range rows {
			text := ""
			if !column.Null(i) {
				text = string(data[i].Bytes())
			}
			rows[i] = append(rows[i], text)
		}
	}
	return rows
}

// prepare binds one statement. The caller destroys it.
func prepare(conn mapping.Connection, sql string) (mapping.PreparedStatement, error) {
	var s mapping.PreparedStatement
	if mapping.Prepare(conn, sql, &s) == mapping.StateError {
		err := newError(mapping.PrepareError(s), sql)
		mapping.DestroyPrepare(&s)
		return s, err
	}
	return s, nil
}

// stream runs s and hands each chunk of its result to each, in order. DuckDB
// computes only a little ahead.
func stream(conn mapping.Connection, s mapping.PreparedStatement, sql string, each func(mapping.DataChunk) error) (err error) {
	defer func() {
		if err != nil {
			settle(conn)
		}
	}()
	var pending mapping.PendingResult
	defer mapping.DestroyPending(&pending)
	if C.pond_pending_streaming(s.Ptr, &pending.Ptr) != 0 {
		return newError(mapping.PendingError(pending), sql)
	}
	var result mapping.Result
	defer mapping.DestroyResult(&result)
	if mapping.ExecutePending(pending, &result) == mapping.StateError {
		return newError(mapping.ResultError(&result), sql)
	}
	for {
		chunk := mapping.DataChunk{Ptr: C.pond_fetch(unsafe.Pointer(&result))}
		if chunk.Ptr == nil {
			if text := mapping.ResultError(&result); text != "" {
				return newError(text, sql)
			}
			return nil
		}
		err := each(chunk)
		mapping.DestroyDataChunk(&chunk)
		if err != nil {
			return err
		}
	}
}

// validity is DuckDB's mask of n rows.
func validity(mask unsafe.Pointer, n int) []uint64 {
	if mask == nil {
		return nil
	}
	return unsafe.Slice((*uint64)(mask), (n+63)/64)
}
