package output

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// special are the characters for which DuckDB quotes a text inside a list, map
// or struct.
const special = `,:=[]{}()'"`

// quotedText writes a value as an element: nested ones as they are, others in
// quotes where they could be misread.
func quotedText(f arrow.Field) text {
	t := textOf(f)
	switch storageType(f.Type).(type) {
	case arrow.UnionType:
	case arrow.NestedType:
		return t
	}
	return func(b []byte, a arrow.Array, i int) []byte {
		if isNull(storage(a), i) {
			return append(b, null...)
		}
		return appendQuoted(b, string(t(nil, a, i)))
	}
}

func appendQuoted(b []byte, s string) []byte {
	plain := s != "" && !strings.EqualFold(s, null) && !isSpace(s[0]) && !isSpace(s[len(s)-1]) && !strings.ContainsAny(s, special)
	if plain {
		return append(b, s...)
	}
	return appendString(b, s)
}

// appendString writes s in single quotes.
func appendString(b []byte, s string) []byte {
	b = append(b, '\'')
	for i := 0; i < len(s); i++ {
		if s[i] == '\'' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '\'')
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func listText(t arrow.ListLikeType) text {
	elem := quotedText(t.ElemField())
	if _, fixed := t.(*arrow.FixedSizeListType); fixed || markOf(t.ElemField()) == jsonText {
		elem = textOf(t.ElemField()) // DuckDB quotes neither
	}
	return func(b []byte, a arrow.Array, i int) []byte {
		l := a.(array.ListLike)
		from, to := l.ValueOffsets(i)
		values := l.ListValues()
		b = append(b, '[')
		for j := from; j < to; j++ {
			if j > from {
				b = append(b, ", "...)
			}
			b = elem(b, values, int(j))
		}
		return append(b, ']')
	}
}

func mapText(t *arrow.MapType) text {
	key, value := quotedText(t.KeyField()), quotedText(t.ItemField())
	return func(b []byte, a arrow.Array, i int) []byte {
		m := a.(*array.Map)
		from, to := m.ValueOffsets(i)
		keys, items := m.Keys(), m.Items()
		b = append(b, '{')
		for j := from; j < to; j++ {
			if j > from {
				b = append(b, ", "...)
			}
			b = append(key(b, keys, int(j)), '=')
			b = value(b, items, int(j))
		}
		return append(b, '}')
	}
}

// structText writes {'a': 1}, or (1, 2) when the fields have no names.
func structText(t *arrow.StructType) text {
	fields := make([]text, t.NumFields())
	named := false
	for i, f := range t.Fields() {
		fields[i] = quotedText(f)
		named = named || f.Name != ""
	}
	return func(b []byte, a arrow.Array, i int) []byte {
		s := a.(*array.Struct)
		brackets := "()"
		if named {
			brackets = "{}"
		}
		b = append(b, brackets[0])
		for j, f := range fields {
			if j > 0 {
				b = append(b, ", "...)
			}
			if named {
				b = append(appendString(b, t.Field(j).Name), ": "...)
			}
			b = f(b, s.Field(j), i)
		}
		return append(b, brackets[1])
	}
}

func unionText(t arrow.UnionType) text {
	members := make([]text, len(t.Fields()))
	for i, f := range t.Fields() {
		members[i] = textOf(f)
	}
	return func(b []byte, a arrow.Array, i int) []byte {
		u := a.(array.Union)
		child, at := member(u, i)
		return members[u.ChildID(i)](b, child, at)
	}
}

// member is the array that holds a union's value, and where.
func member(u array.Union, i int) (arrow.Array, int) {
	child := u.Field(u.ChildID(i))
	if d, ok := u.(*array.DenseUnion); ok {
		return child, int(d.ValueOffset(i))
	}
	return child, i // arrow-go slices a sparse union's members with it
}
