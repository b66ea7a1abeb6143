package logical

import (
	"fmt"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// Type is a DuckDB type.
type Type struct {
	ID     string   // INTEGER, DECIMAL, STRUCT, TIMESTAMP WITH TIME ZONE, …
	Alias  string   // JSON and the like; empty for most
	Width  int      // DECIMAL
	Scale  int      // DECIMAL
	Size   int      // ARRAY
	Fields []Field  // STRUCT and UNION members; LIST and ARRAY: one, the element; MAP: key and value
	Values []string // ENUM
	// Opaque: SQL cannot name the type.
	Opaque bool
}

// Field is a member of a nested type.
type Field struct {
	Name string
	Type Type
}

// Value is a constant.
type Value struct {
	Type Type
	Null bool
	// Text is the value as the plan stores it: a DATE is a number of days, a
	// DECIMAL an integer without its point, a BLOB is escaped.
	Text     string
	Children []Value // of nested types
}

// String writes the type as SQL. The text of an opaque type is for people only.
func (t Type) String() string {
	if t.Alias == "JSON" && t.ID == "VARCHAR" {
		return "JSON"
	}
	switch t.ID {
	case "NULL":
		return `"NULL"`
	case "STRING_LITERAL":
		return "VARCHAR"
	case "INTEGER_LITERAL":
		return "INTEGER"
	case "DECIMAL":
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Width, t.Scale)
	case "LIST":
		return t.element() + "[]"
	case "ARRAY":
		return fmt.Sprintf("%s[%d]", t.element(), t.Size)
	case "STRUCT", "UNION":
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = lexer.QuoteName(f.Name) + " " + f.Type.String()
		}
		return t.ID + "(" + strings.Join(parts, ", ") + ")"
	case "MAP":
		if len(t.Fields) != 2 {
			return "MAP"
		}
		return fmt.Sprintf("MAP(%s, %s)", t.Fields[0].Type, t.Fields[1].Type)
	case "ENUM":
		parts := make([]string, len(t.Values))
		for i, v := range t.Values {
			parts[i] = lexer.QuoteText(v)
		}
		return "ENUM(" + strings.Join(parts, ", ") + ")"
	}
	return t.ID
}

func (t Type) element() string {
	if len(t.Fields) != 1 {
		return "?"
	}
	return t.Fields[0].Type.String()
}

// Same reports whether the types are one and the same.
func (t Type) Same(u Type) bool { return t.String() == u.String() }

// Nameable reports whether SQL can name the type: a struct without field names,
// for one, it cannot.
func (t Type) Nameable() bool {
	if t.Opaque || (t.ID == "STRUCT" || t.ID == "UNION") && len(t.Fields) == 0 ||
		(t.ID == "LIST" || t.ID == "ARRAY") && len(t.Fields) != 1 || t.ID == "MAP" && len(t.Fields) != 2 ||
		t.ID == "ENUM" && len(t.Values) == 0 {
		return false
	}
	for _, f := range t.Fields {
		if !f.Type.Nameable() || (t.ID == "STRUCT" || t.ID == "UNION") && f.Name == "" {
			return false
		}
	}
	return true
}
