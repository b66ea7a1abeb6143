package dataset

import (
	"cmp"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Op compares a column with a value.
type Op string

// Comparisons. No row with NULL meets them.
const (
	Equal          Op = "="
	Less           Op = "<"
	LessOrEqual    Op = "<="
	Greater        Op = ">"
	GreaterOrEqual Op = ">="
)

// Condition is one that all rows wanted meet.
type Condition struct {
	Column string
	Op     Op
	Value  string // as DuckDB casts it to VARCHAR; it has the column's type
}

// nullFolder is what DuckDB and Hive write for NULL as a folder's value.
const nullFolder = "__HIVE_DEFAULT_PARTITION__"

// Prune are the files that may have rows which meet all conditions, as their folders and
// bounds say. Where it cannot compare, a file stays.
func (m *Manifest) Prune(all []Condition) []File {
	var out []File
	for i := range m.Files {
		if m.mayHave(&m.Files[i], all) {
			out = append(out, m.Files[i])
		}
	}
	return out
}

func (m *Manifest) mayHave(f *File, all []Condition) bool {
	return !slices.ContainsFunc(all, func(c Condition) bool {
		i := slices.IndexFunc(m.Columns, func(d Column) bool { return strings.EqualFold(d.Name, c.Column) })
		return i >= 0 && c.impossible(m.Columns[i].Type, f.bounds(m.Columns[i]))
	})
}

// bounds are those of a column: in a folder's name both are the one value.
func (f *File) bounds(c Column) Bounds {
	if !c.Folder {
		b, ok := f.Bounds[strings.ToLower(c.Name)]
		if !ok {
			return Bounds{Nulls: -1}
		}
		if f.Rows >= 0 && b.Nulls == f.Rows {
			return Bounds{Nulls: allNull}
		}
		return b
	}
	value, ok := f.folder(c.Name)
	switch {
	case !ok:
		return Bounds{Nulls: -1}
	case value == nullFolder:
		return Bounds{Nulls: allNull}
	}
	return Bounds{Min: &value, Max: &value}
}

// allNull stands for bounds of a column without values.
const allNull = -2

// folder is the value that a file's folders give a key, if one of them does.
func (f *File) folder(key string) (value string, ok bool) {
	n := 0
	for part := range strings.SplitSeq(folderOf(f.Path), "/") {
		k, v, found := strings.Cut(part, "=")
		name, err1 := url.PathUnescape(k)
		text, err2 := url.PathUnescape(v)
		if found && err1 == nil && err2 == nil && strings.EqualFold(name, key) {
			value = text
			n++
		}
	}
	return value, n == 1
}

func (c Condition) impossible(typ string, b Bounds) bool {
	if b.Nulls == allNull {
		return true
	}
	below := b.Min != nil && less(typ, c.Op == Less, c.Value, *b.Min)
	above := b.Max != nil && !floats[typ] && less(typ, c.Op == Greater, *b.Max, c.Value) // NaN is above all, and in no bounds
	switch c.Op {
	case Equal:
		return below || above
	case Less, LessOrEqual:
		return below
	case Greater, GreaterOrEqual:
		return above
	}
	return false
}

// less reports whether it is certain that a is less than b, or as large.
func less(typ string, orEqual bool, a, b string) bool {
	order, ok := compare(typ, a, b)
	return ok && (order < 0 || order == 0 && orEqual)
}

var (
	floats = map[string]bool{"FLOAT": true, "DOUBLE": true}
	whole  = map[string]bool{"TINYINT": true, "SMALLINT": true, "INTEGER": true, "BIGINT": true, "HUGEINT": true,
		"UTINYINT": true, "USMALLINT": true, "UINTEGER": true, "UBIGINT": true, "UHUGEINT": true}
	layouts = map[string]string{"DATE": time.DateOnly, "TIMESTAMP": time.DateTime} // of four digits' years
)

// compare is the order of two values of a type, if it is known here.
func compare(typ, a, b string) (order int, ok bool) {
	switch {
	case typ == "VARCHAR":
		return cmp.Compare(a, b), true
	case layouts[typ] != "":
		x, err1 := time.Parse(layouts[typ], a)
		y, err2 := time.Parse(layouts[typ], b)
		return x.Compare(y), err1 == nil && err2 == nil
	case whole[typ], floats[typ], strings.HasPrefix(typ, "DECIMAL("):
		x, ok1 := number(a)
		y, ok2 := number(b)
		if !ok1 || !ok2 {
			return 0, false
		}
		return x.Cmp(y), true
	}
	return 0, false
}

const (
	digitsMax   = 64 // of a number: more are not looked at
	exponentMax = 3  // digits of an exponent
)

// number reads digits with a point and an exponent, both few.
func number(s string) (*big.Rat, bool) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	if len(mantissa) > digitsMax || len(strings.TrimLeft(exponent, "+-")) > exponentMax || strings.Trim(s, "0123456789.+-eE") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}
