package output

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func meta(kv ...string) arrow.Metadata {
	var keys, values []string
	for i := 0; i+1 < len(kv); i += 2 {
		keys, values = append(keys, kv[i]), append(values, kv[i+1])
	}
	return arrow.NewMetadata(keys, values)
}

func opaque(duck, name string) arrow.Metadata {
	return meta(typeKey, duck, extensionKey, "arrow.opaque", extensionDataKey, `{"type_name":"`+name+`","vendor_name":"DuckDB"}`)
}

// everything is a batch of every type, as nodes send them: two rows with values,
// and one of NULLs.
func everything(mem memory.Allocator) arrow.RecordBatch {
	field := func(name string, t arrow.DataType, m arrow.Metadata) arrow.Field {
		return arrow.Field{Name: name, Type: t, Nullable: true, Metadata: m}
	}
	bin := func(n int) arrow.DataType { return &arrow.FixedSizeBinaryType{ByteWidth: n} }
	str, i32 := arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int32
	duck := func(t string) arrow.Metadata { return meta(typeKey, t) }
	huge := arrow.Field{Name: "item", Type: bin(16), Nullable: true, Metadata: opaque("HUGEINT", "hugeint")}
	fields := []struct {
		arrow.Field
		one, two string // JSON for arrow's builders
	}{
		{field("bool", arrow.FixedWidthTypes.Boolean, duck("BOOLEAN")), `true`, `false`},
		{field("int", i32, duck("INTEGER")), `-1`, `2147483647`},
		{field("ubig", arrow.PrimitiveTypes.Uint64, duck("UBIGINT")), `0`, `18446744073709551615`},
		{field("double", arrow.PrimitiveTypes.Float64, duck("DOUBLE")), `1`, `1e300`},
		{field("nan", arrow.PrimitiveTypes.Float32, duck("FLOAT")), `"NaN"`, `"-Inf"`},
		{field("dec32", &arrow.Decimal32Type{Precision: 4, Scale: 1}, duck("DECIMAL(4,1)")), `"-0.5"`, `"123.4"`},
		{field("dec64", &arrow.Decimal64Type{Precision: 18, Scale: 3}, duck("DECIMAL(18,3)")), `"0.001"`, `"123456789012345.678"`},
		{field("dec128", &arrow.Decimal128Type{Precision: 38, Scale: 0}, duck("DECIMAL(38,0)")), `"7"`, `"-12345678901234567890123456789012345678"`},
		{field("huge", bin(16), opaque("HUGEINT", "hugeint")), `"/////////////////////w=="`, `"AAAAAAAAAAABAAAAAAAAAA=="`},
		{field("date", arrow.FixedWidthTypes.Date32, duck("DATE")), `"2001-02-03"`, `"1969-12-31"`},
		{field("time", arrow.FixedWidthTypes.Time64us, duck("TIME")), `"12:34:56.7"`, `"00:00:00"`},
		{field("timetz", bin(8), opaque("TIMETZ", "time_tz")), `"/+AAAAAAAAA="`, `"D9MAQEIPAAA="`},
		{field("ts", &arrow.TimestampType{Unit: arrow.Microsecond}, duck("TIMESTAMP")), `"2001-02-03 04:05:06.789"`, `"1969-12-31 23:59:59.999999"`},
		{field("tss", &arrow.TimestampType{Unit: arrow.Second}, duck("TIMESTAMP_S")), `"2001-02-03 04:05:06"`, `"1900-01-01 00:00:00"`},
		{field("tstz", &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, duck("TIMESTAMP WITH TIME ZONE")), `"2001-02-03 04:05:06Z"`, `"2001-07-03 00:00:00Z"`},
		{field("interval", arrow.FixedWidthTypes.MonthDayNanoInterval, duck("INTERVAL")), `{"months":14,"days":-1,"nanoseconds":3723000004000}`, `{"months":0,"days":0,"nanoseconds":0}`},
		{field("uuid", bin(16), meta(typeKey, "UUID", extensionKey, "arrow.uuid")), `"ABEiM0RVZneImaq7zN3u/w=="`, `"/////////////////////w=="`},
		{field("text", str, duck("VARCHAR")), `"a,b \"q\"\nnew ü"`, `""`},
		{field("json", str, meta(typeKey, "JSON", extensionKey, "arrow.json")), `"{\"a\": [1]}"`, `"not json"`},
		{field("blob", arrow.BinaryTypes.Binary, duck("BLOB")), `"AGE="`, `""`},
		{field("bit", arrow.BinaryTypes.Binary, opaque("BIT", "bit")), `"BfU="`, `"AIE="`},
		{field("bignum", arrow.BinaryTypes.Binary, opaque("BIGNUM", "bignum")), `"gAACAQA="`, `"f//+/g=="`},
		{field("list", arrow.ListOfField(arrow.Field{Name: "item", Type: str, Nullable: true}), duck("VARCHAR[]")), `["x","a, b",null,""]`, `[]`},
		{field("hugelist", arrow.ListOfField(huge), duck("HUGEINT[]")), `["AQAAAAAAAAAAAAAAAAAAAA=="]`, `[null]`},
		{field("array", arrow.FixedSizeListOf(2, i32), duck("INTEGER[2]")), `[1,2]`, `[3,null]`},
		{field("struct", arrow.StructOf(arrow.Field{Name: "n", Type: &arrow.Decimal32Type{Precision: 4, Scale: 2}, Nullable: true}, arrow.Field{Name: "it's", Type: str, Nullable: true}), duck("STRUCT(n DECIMAL(4,2), \"it's\" VARCHAR)")), `{"n":"1.25","it's":"a:b"}`, `{"n":null,"it's":"NULL"}`},
		{field("map", arrow.MapOf(str, i32), duck("MAP(VARCHAR, INTEGER)")), `[{"key":"k=1","value":1},{"key":"l","value":null}]`, `[]`},
		{field("null", arrow.Null, duck("\"NULL\"")), `null`, `null`},
	}
	columns := make([]arrow.Array, len(fields))
	schema := make([]arrow.Field, len(fields))
	for i, f := range fields {
		col, _, err := array.FromJSON(mem, f.Type, strings.NewReader("["+f.one+","+f.two+",null]"))
		if err != nil {
			panic(f.Name + ": " + err.Error())
		}
		columns[i], schema[i] = col, f.Field
		defer col.Release()
	}
	return array.NewRecordBatch(arrow.NewSchema(schema, nil), columns, 3)
}

func write(t *testing.T, f Format, o Options, recs ...arrow.RecordBatch) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := New(&b, f, recs[0].Schema(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		if err := w.Write(r); err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run with -rewrite and review:\n%s", name, got)
	}
}

func TestGolden(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	t.Cleanup(func() { mem.AssertSize(t, 0) })
	rec := everything(mem)
	defer rec.Release()
	for _, f := range []Format{Table, CSV, JSON, JSONL} {
		golden(t, "everything."+string(f), write(t, f, Options{}, rec))
	}
	if out := write(t, JSON, Options{}, rec); !json.Valid(out) {
		t.Error("the JSON is not valid")
	}
	golden(t, "narrow.table", write(t, Table, Options{Width: 100}, first(t, rec, 6)))
	golden(t, "plain.table", write(t, Table, Options{Plain: true}, first(t, rec, 4)))
}

// first are the first columns of rec.
func first(t *testing.T, rec arrow.RecordBatch, n int) arrow.RecordBatch {
	out := array.NewRecordBatch(arrow.NewSchema(rec.Schema().Fields()[:n], nil), rec.Columns()[:n], rec.NumRows())
	t.Cleanup(out.Release)
	return out
}

// TestSlices: a batch that is part of another reads the same.
func TestSlices(t *testing.T) {
	rec := everything(memory.DefaultAllocator)
	defer rec.Release()
	for _, f := range []Format{CSV, JSONL} {
		whole := write(t, f, Options{}, rec)
		var slices []arrow.RecordBatch
		for i := range rec.NumRows() {
			s := rec.NewSlice(i, i+1)
			defer s.Release()
			slices = append(slices, s)
		}
		if parts := write(t, f, Options{}, slices...); !bytes.Equal(whole, parts) {
			t.Errorf("%s: in one:\n%s\nin slices:\n%s", f, whole, parts)
		}
	}
}

func TestEmpty(t *testing.T) {
	rec := first(t, everything(memory.DefaultAllocator), 2)
	none := rec.NewSlice(0, 0)
	defer none.Release()
	for f, want := range map[Format]string{
		CSV: "bool,int\n", JSON: "[]\n", JSONL: "",
		Table: "┌─────────┬─────────┐\n│  bool   │   int   │\n│ boolean │ integer │\n├─────────┼─────────┤\n└─────────┴─────────┘\n0 rows\n",
	} {
		if got := string(write(t, f, Options{}, none)); got != want {
			t.Errorf("%s: %q, want %q", f, got, want)
		}
	}
}

func TestTableLimits(t *testing.T) {
	rec := first(t, everything(memory.DefaultAllocator), 2)
	out := string(write(t, Table, Options{MaxRows: 2, Total: 3}, rec))
	if !strings.HasSuffix(out, "… 3 rows, 2 shown\n") || strings.Count(out, "\n") != 8 {
		t.Errorf("got\n%s", out)
	}
	var b bytes.Buffer
	w, err := New(&b, Table, rec.Schema(), Options{MaxRows: 1, Total: 30})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rec); !errors.Is(err, ErrFull) {
		t.Errorf("a full table says %v", err)
	}
	// More rows than are looked ahead at come out all.
	var many []arrow.RecordBatch
	for range lookAheadRows {
		many = append(many, rec)
	}
	if n := strings.Count(string(write(t, Table, Options{}, many...)), "\n"); n != 3*lookAheadRows+5 {
		t.Errorf("%d lines", n)
	}
}

func TestTerminalSafe(t *testing.T) {
	if got := clean("a\x1b[31m\n\r\t\u202e\xff"); strings.ContainsAny(got, "\x1b\n\r\t\u202e") {
		t.Errorf("%q", got)
	}
}

func TestNullText(t *testing.T) {
	rec := first(t, everything(memory.DefaultAllocator), 2)
	if got := string(write(t, CSV, Options{Null: "true"}, rec)); got != "bool,int\n\"true\",-1\nfalse,2147483647\ntrue,true\n" {
		t.Errorf("%q", got)
	}
}

func TestArrow(t *testing.T) {
	rec := everything(memory.DefaultAllocator)
	defer rec.Release()
	r, err := ipc.NewReader(bytes.NewReader(write(t, Arrow, Options{}, rec, rec)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	rows := int64(0)
	for r.Next() {
		rows += r.RecordBatch().NumRows()
		// What was read shows the same, though Arrow now knows the extensions.
		if got, want := write(t, CSV, Options{}, r.RecordBatch()), write(t, CSV, Options{}, rec); !bytes.Equal(got, want) {
			t.Errorf("read back:\n%s\nwant:\n%s", got, want)
		}
	}
	if r.Err() != nil || rows != 6 {
		t.Errorf("%d rows, %v", rows, r.Err())
	}
}

func TestParquet(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	t.Cleanup(func() { mem.AssertSize(t, 0) })
	rec := everything(mem)
	defer rec.Release()
	half := rec.NewSlice(1, 3)
	defer half.Release()
	data := write(t, Parquet, Options{}, rec, half)
	tbl, err := pqarrow.ReadTable(context.Background(), bytes.NewReader(data), parquet.NewReaderProperties(nil), pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer tbl.Release()
	if tbl.NumRows() != 5 || tbl.NumCols() != rec.NumCols() {
		t.Fatalf("%d rows of %d columns", tbl.NumRows(), tbl.NumCols())
	}
	tr := array.NewTableReader(tbl, 0)
	defer tr.Release()
	var got []byte
	for tr.Next() {
		got = append(got, write(t, JSONL, Options{}, tr.RecordBatch())...)
	}
	golden(t, "parquet.jsonl", got)
}

func TestParquetRefuses(t *testing.T) {
	f := arrow.Field{Name: "h", Type: &arrow.FixedSizeBinaryType{ByteWidth: 16}, Metadata: opaque("UHUGEINT", "uhugeint")}
	col, _, err := array.FromJSON(memory.DefaultAllocator, f.Type, strings.NewReader(`["/////////////////////w=="]`))
	if err != nil {
		t.Fatal(err)
	}
	rec := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{f}, nil), []arrow.Array{col}, 1)
	w, err := New(&bytes.Buffer{}, Parquet, rec.Schema(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rec); err == nil || !strings.Contains(err.Error(), "38 digits") || !strings.Contains(err.Error(), "column h") {
		t.Errorf("got %v", err)
	}
}

func TestUnion(t *testing.T) {
	members := []arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int32, Nullable: true}, {Name: "s", Type: arrow.BinaryTypes.String, Nullable: true}}
	u := arrow.SparseUnionOf(members, []arrow.UnionTypeCode{0, 1})
	b := array.NewSparseUnionBuilder(memory.DefaultAllocator, u)
	b.Append(0)
	b.Child(0).(*array.Int32Builder).Append(7)
	b.Child(1).AppendNull()
	b.Append(1)
	b.Child(0).AppendNull()
	b.Child(1).(*array.StringBuilder).Append("x")
	b.Append(1)
	b.Child(0).AppendNull()
	b.Child(1).AppendNull()
	col := b.NewArray()
	rec := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "u", Type: u, Nullable: true}}, nil), []arrow.Array{col}, 3)
	if got := string(write(t, JSONL, Options{}, rec)); got != `{"u":7}`+"\n"+`{"u":"x"}`+"\n"+`{"u":null}`+"\n" {
		t.Error(got)
	}
	part := rec.NewSlice(1, 3)
	if got := string(write(t, CSV, Options{Null: "-"}, part)); got != "u\nx\n-\n" {
		t.Error(got)
	}
}

func TestParse(t *testing.T) {
	if _, err := Parse("xml"); err == nil || !strings.Contains(err.Error(), "use table, csv") {
		t.Error(err)
	}
	if f, ok := OfFile("a/b.PARQUET"); !ok || f != Parquet || !f.Binary() {
		t.Error(f, ok)
	}
}

func TestListing(t *testing.T) {
	l := NewListing(Column{"name", ""}, Column{"n", 0}, Column{"f", 0.5}, Column{"b", false})
	l.Add("x", 1, 0.25, true)
	l.Add(nil, nil, nil, nil)
	rec := l.Batch()
	defer rec.Release()
	if got := string(write(t, JSONL, Options{}, rec)); got != `{"name":"x","n":1,"f":0.25,"b":true}`+"\n"+`{"name":null,"n":null,"f":null,"b":null}`+"\n" {
		t.Error(got)
	}
}

// TestExpanded: a line a value, cut at the terminal's edge.
func TestExpanded(t *testing.T) {
	l := NewListing(Column{Name: "n", Kind: 0}, Column{Name: "text", Kind: ""})
	l.Add(1, "a\nb")
	l.Add(nil, strings.Repeat("x", 50))
	l.Add(3, "not shown")
	rec := l.Batch()
	defer rec.Release()
	var out bytes.Buffer
	w, err := New(&out, Table, rec.Schema(), Options{Expanded: true, Width: 20, MaxRows: 2, Total: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rec); !errors.Is(err, ErrFull) {
		t.Errorf("after enough rows: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := "─ row 1 ────────────\nn    │ 1\ntext │ a\\nb\n─ row 2 ────────────\nn    │ NULL\ntext │ xxxxxxxxxxxx…\n… 3 rows, 2 shown\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
