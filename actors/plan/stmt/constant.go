package stmt

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// nestingMax bounds lists in lists.
const nestingMax = 32

// Constant writes a value as SQL: NULL for nil; booleans; integers and *big.Int as
// numbers; floats as DOUBLE or FLOAT; text; []byte as BLOB; time.Time as TIMESTAMP
// in UTC; time.Duration as INTERVAL; slices and arrays of these as lists; pointers
// as their targets. A text is one constant, whatever characters it holds.
func Constant(v any) (string, error) { return constant(v, nestingMax) }

func constant(v any, depth int) (string, error) {
	switch v := v.(type) {
	case nil:
		return "NULL", nil
	case literal:
		return "(" + string(v) + ")", nil
	case time.Time:
		return timestamp(v), nil
	case time.Duration:
		return fmt.Sprintf("to_microseconds(CAST('%d' AS BIGINT))", v.Microseconds()), nil
	case *big.Int:
		if v == nil {
			return "NULL", nil
		}
		return "CAST('" + v.String() + "' AS HUGEINT)", nil
	}
	return constantOf(reflect.ValueOf(v), depth)
}

// constantOf is by kind, so that types with names of their own are known too.
func constantOf(v reflect.Value, depth int) (string, error) {
	switch v.Kind() {
	case reflect.Bool:
		return strings.ToUpper(strconv.FormatBool(v.Bool())), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return integer(strconv.FormatInt(v.Int(), 10), "BIGINT"), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return integer(strconv.FormatUint(v.Uint(), 10), "UBIGINT"), nil
	case reflect.Float64:
		return "CAST('" + strconv.FormatFloat(v.Float(), 'g', -1, 64) + "' AS DOUBLE)", nil
	case reflect.Float32:
		return "CAST('" + strconv.FormatFloat(v.Float(), 'g', -1, 32) + "' AS FLOAT)", nil
	case reflect.String:
		return text(v.String())
	case reflect.Pointer:
		if v.IsNil() {
			return "NULL", nil
		}
		if depth > 0 {
			return constant(v.Elem().Interface(), depth-1)
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() {
			return "NULL", nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return blob(v), nil
		}
		if depth > 0 {
			return list(v, depth-1)
		}
	}
	return "", fmt.Errorf("a %s is no SQL value", v.Type())
}

// integer is a number, which is a literal where DuckDB would take it for an
// INTEGER: other types are said, lest a HUGEINT come of it.
func integer(digits, typ string) string {
	if n, err := strconv.ParseInt(digits, 10, 32); err == nil && n > -1<<31 {
		return "(" + digits + ")"
	}
	return "CAST('" + digits + "' AS " + typ + ")"
}

// text is a string. DuckDB reads no escapes in it but the doubled quote, and ends
// at a NUL.
func text(s string) (string, error) {
	switch {
	case !utf8.ValidString(s):
		return "", fmt.Errorf("a text is not UTF-8 (bytes are given as []byte)")
	case strings.ContainsRune(s, 0):
		return "", fmt.Errorf("a text has a NUL in it (bytes are given as []byte)")
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'", nil
}

// timestamp keeps nanoseconds only where there are some: DuckDB's TIMESTAMP has
// microseconds, and more years.
func timestamp(t time.Time) string {
	t = t.UTC()
	year, era := t.Year(), ""
	if year <= 0 {
		year, era = 1-year, " (BC)"
	}
	date := fmt.Sprintf("%04d-%02d-%02d%s ", year, t.Month(), t.Day(), era)
	if t.Nanosecond()%int(time.Microsecond) != 0 {
		return "CAST('" + date + t.Format("15:04:05.000000000") + "' AS TIMESTAMP_NS)"
	}
	return "CAST('" + date + t.Format("15:04:05.000000") + "' AS TIMESTAMP)"
}

func blob(v reflect.Value) string {
	b := make([]byte, v.Len())
	for i := range b { // one by one: the bytes may be of a type with a name
		b[i] = byte(v.Index(i).Uint())
	}
	return "from_hex('" + hex.EncodeToString(b) + "')"
}

func list(v reflect.Value, depth int) (string, error) {
	items := make([]string, v.Len())
	for i := range items {
		var err error
		if items[i], err = constant(v.Index(i).Interface(), depth); err != nil {
			return "", err
		}
	}
	return "[" + strings.Join(items, ", ") + "]", nil
}
