package output

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Metadata keys: DuckDB's type of a column, and Arrow's mark of an extension.
const (
	typeKey          = "duckdb:type"
	extensionKey     = "ARROW:extension:name"
	extensionDataKey = "ARROW:extension:metadata"
)

// mark names the logical type of a storage type, where they differ.
type mark string

const (
	none     mark = ""
	hugeint  mark = "hugeint"
	uhugeint mark = "uhugeint"
	timeTZ   mark = "time_tz"
	bits     mark = "bit"
	bignum   mark = "bignum"
	uuid     mark = "uuid"
	jsonText mark = "json"
)

// markOf returns the meaning of f's values, whether Arrow knows the extension or not.
func markOf(f arrow.Field) mark {
	name, data := "", ""
	if x, ok := f.Type.(arrow.ExtensionType); ok {
		name, data = x.ExtensionName(), x.Serialize()
	} else if i := f.Metadata.FindKey(extensionKey); i >= 0 {
		name = f.Metadata.Values()[i]
		if i = f.Metadata.FindKey(extensionDataKey); i >= 0 {
			data = f.Metadata.Values()[i]
		}
	}
	switch name {
	case "arrow.uuid":
		return uuid
	case "arrow.json":
		return jsonText
	case "arrow.opaque":
		for _, m := range []mark{uhugeint, hugeint, timeTZ, bits, bignum} {
			if strings.Contains(data, `"`+string(m)+`"`) {
				return m
			}
		}
	}
	if strings.EqualFold(typeName(f), "JSON") {
		return jsonText
	}
	return none
}

// storage is the array that holds a's values.
func storage(a arrow.Array) arrow.Array {
	if x, ok := a.(array.ExtensionArray); ok {
		return x.Storage()
	}
	return a
}

func storageType(t arrow.DataType) arrow.DataType {
	if x, ok := t.(arrow.ExtensionType); ok {
		return x.StorageType()
	}
	return t
}

// typeName is DuckDB's name of a column's type, or what comes near to it.
func typeName(f arrow.Field) string {
	if i := f.Metadata.FindKey(typeKey); i >= 0 {
		return f.Metadata.Values()[i]
	}
	if name, ok := typeNames[f.Type.ID()]; ok {
		return name
	}
	return strings.ToUpper(f.Type.Name())
}

var typeNames = map[arrow.Type]string{
	arrow.BOOL: "BOOLEAN", arrow.STRING: "VARCHAR", arrow.LARGE_STRING: "VARCHAR", arrow.BINARY: "BLOB",
	arrow.INT8: "TINYINT", arrow.INT16: "SMALLINT", arrow.INT32: "INTEGER", arrow.INT64: "BIGINT",
	arrow.UINT8: "UTINYINT", arrow.UINT16: "USMALLINT", arrow.UINT32: "UINTEGER", arrow.UINT64: "UBIGINT",
	arrow.FLOAT32: "FLOAT", arrow.FLOAT64: "DOUBLE", arrow.DATE32: "DATE", arrow.TIMESTAMP: "TIMESTAMP",
}

// numeric reports whether a column's cells are aligned right.
func numeric(f arrow.Field) bool {
	switch markOf(f) {
	case hugeint, uhugeint, bignum:
		return true
	case none:
		id := f.Type.ID()
		return arrow.IsInteger(id) || arrow.IsFloating(id) || arrow.IsDecimal(id)
	}
	return false
}
