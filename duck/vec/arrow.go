package vec

import "github.com/apache/arrow-go/v18/arrow"

// Width is the bytes a row takes in a Vector's Data; 0 for kinds that have
// none there, 16 for strings and lists.
func (t *Type) Width() int { return 0 }

// Arrow is the field as Arrow carries it, with the DuckDB type's SQL under the
// metadata key [TypeKey].
func (f Field) Arrow() arrow.Field { return arrow.Field{} }

// Arrow is the schema as Arrow carries it.
func (s *Schema) Arrow() *arrow.Schema { return nil }

// TypeKey is the field metadata key that holds the DuckDB type to cast back to.
const TypeKey = "duckdb:type"
