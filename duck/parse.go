//go:build duckdb_arrow

package duck

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// Parse turns one or more SELECT statements into DuckDB's JSON syntax tree.
// Other statements, and SQL that is wrong, are an *Error with its position.
func (e *Engine) Parse(ctx context.Context, sql string) ([]byte, error) {
	rows, err := e.aside(ctx, "SELECT json_serialize_sql($1::VARCHAR)", sql)
	if err != nil {
		return nil, fmt.Errorf("duck: parse: %w", err)
	}
	tree := []byte(rows[0][0])
	if err := treeError(tree, sql); err != nil {
		return nil, fmt.Errorf("duck: parse: %w", err)
	}
	return tree, nil
}

// treeError is the error that a tree consists of when DuckDB could not parse.
func treeError(tree []byte, sql string) error {
	if !strings.HasPrefix(string(tree[:min(len(tree), 32)]), `{"error":true`) {
		return nil
	}
	var failed struct {
		Type     string `json:"error_type"`
		Message  string `json:"error_message"`
		Position string `json:"position"`
	}
	if err := json.Unmarshal(tree, &failed); err != nil {
		return err
	}
	at, err := strconv.Atoi(failed.Position)
	if err != nil {
		at = -1
	}
	kind := failed.Type
	if kind != "" {
		kind = strings.ToUpper(kind[:1]) + kind[1:]
	}
	return &Error{Type: kind, Message: kind + " Error: " + failed.Message, Query: sql, Position: at}
}

// Deparse turns a syntax tree of Parse back into SQL.
func (e *Engine) Deparse(ctx context.Context, tree []byte) (string, error) {
	rows, err := e.aside(ctx, "SELECT json_deserialize_sql($1::VARCHAR::JSON)", string(tree))
	if err != nil {
		return "", fmt.Errorf("duck: deparse: %w", err)
	}
	return rows[0][0], nil
}

// aside runs a small query on the connection that is free while a query runs.
// It is short: the context is looked at before it only. Its text is one of few: it
// stays prepared, which takes longer than to run it, until it fails.
func (e *Engine) aside(ctx context.Context, query string, args ...string) ([][]string, error) {
	select {
	case <-e.sideTurn:
	case <-e.closing.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, interrupted(ctx, query)
	}
	defer func() { e.sideTurn <- struct{}{} }()
	if e.closing.Err() != nil {
		return nil, ErrClosed
	}
	s, ok := e.asides[query]
	if !ok {
		var err error
		if s, err = prepare1(e.side, query); err != nil {
			return nil, err
		}
		e.asides[query] = s
	}
	rows, err := run1(e.side, s, query, args...)
	if err != nil {
		mapping.DestroyPrepare(&s)
		delete(e.asides, query)
	}
	return rows, err
}
