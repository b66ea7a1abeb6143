//go:build duckdb_arrow

package duck

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"
	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/vec"
)

// plainTypes are the types that are all said by their id.
var plainTypes = map[mapping.Type]vec.Type{
	mapping.TypeSQLNull:     {Kind: vec.Null, SQL: `"NULL"`},
	mapping.TypeBoolean:     {Kind: vec.Bool, SQL: "BOOLEAN"},
	mapping.TypeTinyInt:     {Kind: vec.Int8, SQL: "TINYINT"},
	mapping.TypeSmallInt:    {Kind: vec.Int16, SQL: "SMALLINT"},
	mapping.TypeInteger:     {Kind: vec.Int32, SQL: "INTEGER"},
	mapping.TypeBigInt:      {Kind: vec.Int64, SQL: "BIGINT"},
	mapping.TypeHugeInt:     {Kind: vec.Int128, SQL: "HUGEINT"},
	mapping.TypeUTinyInt:    {Kind: vec.Uint8, SQL: "UTINYINT"},
	mapping.TypeUSmallInt:   {Kind: vec.Uint16, SQL: "USMALLINT"},
	mapping.TypeUInteger:    {Kind: vec.Uint32, SQL: "UINTEGER"},
	mapping.TypeUBigInt:     {Kind: vec.Uint64, SQL: "UBIGINT"},
	mapping.TypeUHugeInt:    {Kind: vec.Uint128, SQL: "UHUGEINT"},
	mapping.TypeFloat:       {Kind: vec.Float32, SQL: "FLOAT"},
	mapping.TypeDouble:      {Kind: vec.Float64, SQL: "DOUBLE"},
	mapping.TypeDate:        {Kind: vec.Date, SQL: "DATE"},
	mapping.TypeTime:        {Kind: vec.Time, SQL: "TIME"},
	mapping.TypeTimeNS:      {Kind: vec.TimeNS, SQL: "TIME_NS"},
	mapping.TypeTimeTZ:      {Kind: vec.TimeTZ, SQL: "TIME WITH TIME ZONE"},
	mapping.TypeTimestampS:  {Kind: vec.TimestampS, SQL: "TIMESTAMP_S"},
	mapping.TypeTimestampMS: {Kind: vec.TimestampMS, SQL: "TIMESTAMP_MS"},
	mapping.TypeTimestamp:   {Kind: vec.Timestamp, SQL: "TIMESTAMP"},
	mapping.TypeTimestampNS: {Kind: vec.TimestampNS, SQL: "TIMESTAMP_NS"},
	mapping.TypeTimestampTZ: {Kind: vec.TimestampTZ, SQL: "TIMESTAMP WITH TIME ZONE"},
	mapping.TypeInterval:    {Kind: vec.Interval, SQL: "INTERVAL"},
	mapping.TypeUUID:        {Kind: vec.UUID, SQL: "UUID"},
	mapping.TypeVarchar:     {Kind: vec.String, SQL: "VARCHAR"},
	mapping.TypeBlob:        {Kind: vec.Blob, SQL: "BLOB"},
	mapping.TypeBit:         {Kind: vec.Bit, SQL: "BIT"},
	mapping.TypeBigNum:      {Kind: vec.BigNum, SQL: "BIGNUM"},
}

// errType is a type that cannot leave or enter the engine.
var errType = errors.New("the type cannot leave the engine; cast it to another")

// typeOf describes t, which it destroys.
func typeOf(t mapping.LogicalType) (*vec.Type, error) {
	defer mapping.DestroyLogicalType(&t)
	return describe(t)
}

func describe(t mapping.LogicalType) (*vec.Type, error) {
	id := mapping.GetTypeId(t)
	if plain, ok := plainTypes[id]; ok {
		if id == mapping.TypeVarchar && mapping.LogicalTypeGetAlias(t) == "JSON" {
			plain.SQL = "JSON"
		}
		return &plain, nil
	}
	switch id {
	case mapping.TypeGeometry:
		return geometryType(t), nil
	case mapping.TypeDecimal:
		return decimalType(mapping.DecimalWidth(t), mapping.DecimalScale(t)), nil
	case mapping.TypeEnum:
		return enumType(t), nil
	case mapping.TypeList:
		return nestedType(vec.List, 0, []string{"element"}, func(int) mapping.LogicalType { return mapping.ListTypeChildType(t) })
	case mapping.TypeArray:
		return nestedType(vec.Array, int(mapping.ArrayTypeArraySize(t)), []string{"element"}, func(int) mapping.LogicalType { return mapping.ArrayTypeChildType(t) })
	case mapping.TypeMap:
		return nestedType(vec.Map, 0, []string{"key", "value"}, func(i int) mapping.LogicalType {
			if i == 0 {
				return mapping.MapTypeKeyType(t)
			}
			return mapping.MapTypeValueType(t)
		})
	case mapping.TypeStruct:
		names := make([]string, mapping.StructTypeChildCount(t))
		for i := range names {
			names[i] = mapping.StructTypeChildName(t, mapping.IdxT(i))
		}
		return nestedType(vec.Struct, 0, names, func(i int) mapping.LogicalType { return mapping.StructTypeChildType(t, mapping.IdxT(i)) })
	case mapping.TypeUnion:
		names := make([]string, mapping.UnionTypeMemberCount(t))
		for i := range names {
			names[i] = mapping.UnionTypeMemberName(t, mapping.IdxT(i))
		}
		return nestedType(vec.Union, 0, names, func(i int) mapping.LogicalType { return mapping.UnionTypeMemberType(t, mapping.IdxT(i)) })
	case mapping.TypeVariant:
		return nil, fmt.Errorf("VARIANT: %w", errType)
	}
	return nil, errType
}

// geometryType is GEOMETRY, with its coordinate system if it has one.
func geometryType(t mapping.LogicalType) *vec.Type {
	sql := "GEOMETRY"
	if crs := bindings.GeometryTypeGetCRS(t); crs != "" {
		sql += "(" + lexer.QuoteText(crs) + ")"
	}
	return &vec.Type{Kind: vec.Geometry, SQL: sql}
}

func decimalType(precision, scale uint8) *vec.Type {
	storage := uint8(16)
	switch {
	case precision <= 4:
		storage = 2
	case precision <= 9:
		storage = 4
	case precision <= 18:
		storage = 8
	}
	return &vec.Type{Kind: vec.Decimal, Precision: precision, Scale: scale, Storage: storage, SQL: fmt.Sprintf("DECIMAL(%d,%d)", precision, scale)}
}

func enumType(t mapping.LogicalType) *vec.Type {
	names := make([]string, mapping.EnumDictionarySize(t))
	quoted := make([]string, len(names))
	for i := range names {
		names[i] = mapping.EnumDictionaryValue(t, mapping.IdxT(i))
		quoted[i] = lexer.QuoteText(names[i])
	}
	storage := uint8(1)
	switch mapping.EnumInternalType(t) {
	case mapping.TypeUSmallInt:
		storage = 2
	case mapping.TypeUInteger:
		storage = 4
	}
	return &vec.Type{Kind: vec.Enum, Storage: storage, Names: names, SQL: "ENUM(" + strings.Join(quoted, ", ") + ")"}
}

func nestedType(kind vec.Kind, size int, names []string, child func(int) mapping.LogicalType) (*vec.Type, error) {
	t := &vec.Type{Kind: kind, Size: size, Fields: make([]vec.Field, len(names))}
	var sql []string
	for i, name := range names {
		c, err := typeOf(child(i))
		if err != nil {
			return nil, err
		}
		t.Fields[i] = vec.Field{Name: name, Type: c}
		text := c.SQL
		if kind == vec.Struct || kind == vec.Union {
			text = lexer.QuoteName(name) + " " + text
		}
		sql = append(sql, text)
	}
	members := strings.Join(sql, ", ")
	switch kind {
	case vec.List:
		t.SQL = members + "[]"
	case vec.Array:
		t.SQL = members + "[" + strconv.Itoa(size) + "]"
	case vec.Map:
		t.SQL = "MAP(" + members + ")"
	case vec.Struct:
		t.SQL = "STRUCT(" + members + ")"
	case vec.Union:
		t.SQL = "UNION(" + members + ")"
	}
	return t, nil
}
