package output

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// jsonWriter writes an object a row: in an array, or a line each. Numbers keep
// all their digits; what JSON lacks (nan, dates, blobs …) is DuckDB's text.
type jsonWriter struct {
	w      *bufio.Writer
	names  []string // ready to be written
	values []text
	array  bool
	rows   int64
	line   []byte
}

func newJSON(w io.Writer, schema *arrow.Schema, array bool) *jsonWriter {
	j := &jsonWriter{w: bufio.NewWriter(w), array: array}
	for _, f := range schema.Fields() {
		j.names = append(j.names, string(appendJSON(nil, f.Name)))
		j.values = append(j.values, jsonOf(f))
	}
	return j
}

func (j *jsonWriter) Write(rec arrow.RecordBatch) error {
	for i := range int(rec.NumRows()) {
		j.line = j.line[:0]
		switch {
		case j.array && j.rows == 0:
			j.line = append(j.line, "[\n"...)
		case j.array:
			j.line = append(j.line, ",\n"...)
		}
		j.line = append(j.line, '{')
		for c, v := range j.values {
			if c > 0 {
				j.line = append(j.line, ',')
			}
			j.line = append(append(j.line, j.names[c]...), ':')
			j.line = v(j.line, rec.Column(c), i)
		}
		j.line = append(j.line, '}')
		if !j.array {
			j.line = append(j.line, '\n')
		}
		if _, err := j.w.Write(j.line); err != nil {
			return err
		}
		j.rows++
	}
	return nil
}

func (j *jsonWriter) Close() error {
	switch {
	case j.array && j.rows == 0:
		j.w.WriteString("[]\n")
	case j.array:
		j.w.WriteString("\n]\n")
	}
	return j.w.Flush()
}

// jsonOf writes a field's values as JSON.
func jsonOf(f arrow.Field) text {
	v := jsonValue(f)
	return func(b []byte, a arrow.Array, i int) []byte {
		a = storage(a)
		if isNull(a, i) {
			return append(b, "null"...)
		}
		return v(b, a, i)
	}
}

func jsonValue(f arrow.Field) text {
	t := valueText(f)
	switch m := markOf(f); m {
	case hugeint, uhugeint, bignum:
		return t
	case jsonText:
		return func(b []byte, a arrow.Array, i int) []byte {
			s := t(nil, a, i)
			var line bytes.Buffer // lines of its own would cut the row's
			if json.Compact(&line, s) == nil {
				return append(b, line.Bytes()...)
			}
			return appendJSON(b, string(s))
		}
	case none:
		return jsonPlain(f, t)
	}
	return quotedJSON(t)
}

func quotedJSON(t text) text {
	return func(b []byte, a arrow.Array, i int) []byte { return appendJSON(b, string(t(nil, a, i))) }
}

func jsonPlain(f arrow.Field, t text) text {
	switch st := f.Type.(type) {
	case *arrow.StructType:
		return jsonStruct(st)
	case *arrow.MapType:
		return jsonMap(st)
	case arrow.ListLikeType:
		return jsonList(st)
	case arrow.UnionType:
		return jsonUnion(st)
	}
	switch id := f.Type.ID(); {
	case id == arrow.BOOL || arrow.IsInteger(id) || arrow.IsDecimal(id):
		return t
	case arrow.IsFloating(id):
		return func(b []byte, a arrow.Array, i int) []byte {
			if v := floatAt(a, i); math.IsNaN(v) || math.IsInf(v, 0) {
				return appendJSON(b, string(t(nil, a, i)))
			}
			return t(b, a, i)
		}
	}
	return quotedJSON(t)
}

func floatAt(a arrow.Array, i int) float64 {
	switch a := a.(type) {
	case *array.Float32:
		return float64(a.Value(i))
	case *array.Float64:
		return a.Value(i)
	}
	return math.NaN()
}

func jsonList(t arrow.ListLikeType) text {
	elem := jsonOf(t.ElemField())
	return func(b []byte, a arrow.Array, i int) []byte {
		l := a.(array.ListLike)
		from, to := l.ValueOffsets(i)
		b = append(b, '[')
		for j := from; j < to; j++ {
			if j > from {
				b = append(b, ',')
			}
			b = elem(b, l.ListValues(), int(j))
		}
		return append(b, ']')
	}
}

// jsonMap writes an object, whose names are the keys as text.
func jsonMap(t *arrow.MapType) text {
	key, value := textOf(t.KeyField()), jsonOf(t.ItemField())
	return func(b []byte, a arrow.Array, i int) []byte {
		m := a.(*array.Map)
		from, to := m.ValueOffsets(i)
		b = append(b, '{')
		for j := from; j < to; j++ {
			if j > from {
				b = append(b, ',')
			}
			b = append(appendJSON(b, string(key(nil, m.Keys(), int(j)))), ':')
			b = value(b, m.Items(), int(j))
		}
		return append(b, '}')
	}
}

// jsonStruct writes an object, or an array when the fields have no names.
func jsonStruct(t *arrow.StructType) text {
	fields := make([]text, t.NumFields())
	named := false
	for i, f := range t.Fields() {
		fields[i] = jsonOf(f)
		named = named || f.Name != ""
	}
	brackets := "[]"
	if named {
		brackets = "{}"
	}
	return func(b []byte, a arrow.Array, i int) []byte {
		s := a.(*array.Struct)
		b = append(b, brackets[0])
		for j, f := range fields {
			if j > 0 {
				b = append(b, ',')
			}
			if named {
				b = append(appendJSON(b, t.Field(j).Name), ':')
			}
			b = f(b, s.Field(j), i)
		}
		return append(b, brackets[1])
	}
}

func jsonUnion(t arrow.UnionType) text {
	members := make([]text, len(t.Fields()))
	for i, f := range t.Fields() {
		members[i] = jsonOf(f)
	}
	return func(b []byte, a arrow.Array, i int) []byte {
		u := a.(array.Union)
		child, at := member(u, i)
		return members[u.ChildID(i)](b, child, at)
	}
}

// appendJSON writes s as a JSON string.
func appendJSON(b []byte, s string) []byte {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return append(b, `""`...) // a string always has JSON
	}
	return append(b, strings.TrimSuffix(out.String(), "\n")...)
}
