// Package tree walks DuckDB's syntax tree, as json_serialize_sql gives it and
// json_deserialize_sql takes it back, so that the dialect is exactly DuckDB's.
//
// It is pure, and refuses to know what a query means: it finds and replaces.
// Read files.go next.
package tree

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Bounds of a tree.
const (
	bytesMax = 16 << 20
	depthMax = 2000
)

// Node is an object of the tree.
type Node = map[string]any

// Decode reads json_serialize_sql's result. Numbers keep their text.
func Decode(b []byte) (Node, error) {
	if len(b) > bytesMax {
		return nil, fmt.Errorf("tree: the syntax tree has %d bytes, at most %d are accepted", len(b), bytesMax)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var n Node
	if err := d.Decode(&n); err != nil {
		return nil, fmt.Errorf("tree: decode: %w", err)
	}
	return n, nil
}

// Encode is the tree as json_deserialize_sql takes it.
func Encode(n Node) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(n); err != nil {
		return nil, fmt.Errorf("tree: encode: %w", err)
	}
	return b.Bytes(), nil
}

// Walk calls f for every object below v, outer ones first.
func Walk(v any, f func(Node)) { walk(v, f, 0) }

func walk(v any, f func(Node), depth int) {
	if depth > depthMax {
		return
	}
	switch v := v.(type) {
	case Node:
		f(v)
		for _, c := range v {
			walk(c, f, depth+1)
		}
	case []any:
		for _, c := range v {
			walk(c, f, depth+1)
		}
	}
}

// Text is a field's string; empty when it is none.
func Text(n Node, field string) string {
	s, _ := n[field].(string)
	return s
}

// Unplaced is a copy of the tree that does not tell where in a text things stood:
// two texts that DuckDB reads alike have equal ones.
func Unplaced(v any) any {
	switch v := v.(type) {
	case Node:
		out := make(Node, len(v))
		for k, c := range v {
			if k != "query_location" {
				out[k] = Unplaced(c)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, c := range v {
			out[i] = Unplaced(c)
		}
		return out
	}
	return v
}
