package vec

// Kind is the layout and meaning of a value: one per DuckDB type.
type Kind uint8

// The kinds, with the width of a value in bytes if it is fixed.
const (
	Null        Kind = iota // the type of a bare NULL
	Bool                    // 1
	Int8                    // 1
	Int16                   // 2
	Int32                   // 4
	Int64                   // 8
	Int128                  // 16: HUGEINT, low word first
	Uint8                   // 1
	Uint16                  // 2
	Uint32                  // 4
	Uint64                  // 8
	Uint128                 // 16: UHUGEINT
	Float32                 // 4
	Float64                 // 8
	Decimal                 // Storage: 2, 4, 8 or 16, by precision
	Date                    // 4: days since 1970
	Time                    // 8: microseconds since midnight
	TimeNS                  // 8: nanoseconds since midnight
	TimeTZ                  // 8: microseconds and offset, packed
	TimestampS              // 8: seconds since 1970
	TimestampMS             // 8
	Timestamp               // 8: microseconds
	TimestampNS             // 8
	TimestampTZ             // 8: microseconds, UTC
	Interval                // 16: months int32, days int32, microseconds int64
	UUID                    // 16: HUGEINT with its top bit flipped
	String                  // VARCHAR and its aliases, JSON among them
	Blob
	Bit
	BigNum
	Geometry // WKB, little endian
	Enum     // Storage: 1, 2 or 4
	List
	Map
	Array // of fixed Size
	Struct
	Union
)

// Type is a column's type. It is immutable once made and may be shared.
type Type struct {
	Kind      Kind
	Precision uint8    // Decimal
	Scale     uint8    // Decimal
	Storage   uint8    // Decimal, Enum: bytes a value
	Size      int      // Array: elements a row
	Names     []string // Enum: its values, in order
	Fields    []Field  // List, Array: one; Map: key, value; Struct: its fields; Union: its members
	SQL       string   // DuckDB's own text of the type, as CAST accepts it
}

// Field is a named, typed column or struct member.
type Field struct {
	Name string
	Type *Type
}

// Schema names and types the columns of a query's result, in order. Names need
// not be unique: DuckDB's need not be.
type Schema struct {
	Fields []Field
}
