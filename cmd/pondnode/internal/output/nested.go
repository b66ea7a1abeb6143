package output

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Inside lists, maps and structs DuckDB quotes what could be misread.

// quotedText writes a value as an element: nested ones as they are, others in
// quotes where needed. special are the characters that need them.
func quotedText(f arrow.Field, special string) text {
	t := textOf(f)
	switch storageType(f.Type).(type) {
	case arrow.NestedType:
		if _, union := storageType(f.Type).(arrow.UnionType); !union {
			return t
		}
	}
	return func(b []byte, a arrow.Array, i int) []byte {
		if isNull(storage(a), i) {
			return append(b, null...)
		}
		return appendQuoted(b, string(t(nil, a, i)), special)
	}
}

func appendQuoted(b []byte, s, special string) []byte {
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

// Characters that make DuckDB quote an element.
const (
	listSpecial   = `,[]"'{}\`
	structSpecial = `,:[]"'{}()=\`
	mapSpecial    = `,:[]"'{}=()\`
)

func listText(t arrow.ListLikeType) text {
	elem := quotedText(t.ElemField(), listSpecial)
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
	key, value := quotedText(t.KeyField(), mapSpecial), quotedText(t.ItemField(), mapSpecial)
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
		fields[i] = quotedText(f, structSpecial)
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
