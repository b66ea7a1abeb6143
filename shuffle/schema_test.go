package shuffle

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	_ "github.com/apache/arrow-go/v18/arrow/extensions" // as a program links that writes Parquet
)

// TestPlainSchema: a schema is read as it was written, whichever extension types of
// Arrow's the program knows.
func TestPlainSchema(t *testing.T) {
	huge := arrow.Field{Name: "h", Type: &arrow.FixedSizeBinaryType{ByteWidth: 16}, Nullable: true, Metadata: arrow.NewMetadata(
		[]string{"duckdb:type", extensionKey, extensionDataKey}, []string{"HUGEINT", "arrow.opaque", `{"type_name":"hugeint","vendor_name":"DuckDB"}`})}
	uuid := arrow.Field{Name: "u", Type: &arrow.FixedSizeBinaryType{ByteWidth: 16}, Nullable: true, Metadata: arrow.NewMetadata(
		[]string{extensionKey, extensionDataKey}, []string{"arrow.uuid", ""})}
	key := arrow.Field{Name: "key", Type: arrow.BinaryTypes.String}
	item := huge
	item.Name = "value"
	want := arrow.NewSchema([]arrow.Field{
		huge, uuid, {Name: "i", Type: arrow.PrimitiveTypes.Int64},
		{Name: "list", Type: arrow.ListOfField(huge)},
		{Name: "fixed", Type: arrow.FixedSizeListOfField(3, uuid)},
		{Name: "struct", Type: arrow.StructOf(huge, uuid)},
		{Name: "map", Type: arrow.MapOfFields(key, item)},
		{Name: "union", Type: arrow.SparseUnionOf([]arrow.Field{huge, uuid}, []arrow.UnionTypeCode{0, 1})},
	}, nil)
	b, err := EncodeSchema(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeSchema(b)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range got.Fields() {
		if w := want.Field(i); !arrow.TypeEqual(f.Type, w.Type, arrow.CheckMetadata()) {
			t.Errorf("%s: %v, want %v", w.Name, f.Type, w.Type)
		} else if v, _ := f.Metadata.GetValue("duckdb:type"); i == 0 && v != "HUGEINT" {
			t.Errorf("metadata %v", f.Metadata)
		}
	}
}
