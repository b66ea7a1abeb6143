package logical

// Type is a DuckDB type.
type Type struct {
	ID     string  // INTEGER, DECIMAL, STRUCT, TIMESTAMP WITH TIME ZONE, …
	Alias  string  // JSON and the like; empty for most
	Width  int     // DECIMAL
	Scale  int     // DECIMAL
	Size   int     // ARRAY
	Fields []Field // STRUCT and UNION members; LIST and ARRAY: one, the element; MAP: key and value
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
	Type     Type
	Null     bool
	Text     string  // of numbers, strings, blobs and the like, as the plan has them
	Children []Value // of nested types
}
