package logical

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Bounds of a plan.
const (
	bytesMax = 64 << 20
	depthMax = 3000
	nodesMax = 1 << 20
)

// object is a JSON object. Its methods are lenient: they return the zero value
// for a field that is missing or has another type.
type object map[string]any

func (o object) text(field string) string {
	s, _ := o[field].(string)
	return s
}

func (o object) flag(field string) bool {
	b, _ := o[field].(bool)
	return b
}

func (o object) object(field string) object {
	m, _ := o[field].(map[string]any)
	return m
}

func (o object) list(field string) []any {
	l, _ := o[field].([]any)
	return l
}

// number is a count or position; -1 for none, DuckDB's invalid index included.
func (o object) number(field string) int {
	return asInt(o[field])
}

func (o object) uint64(field string) uint64 {
	n, _ := o[field].(json.Number)
	u, _ := strconv.ParseUint(n.String(), 10, 64)
	return u
}

func (o object) float(field string) float64 {
	n, _ := o[field].(json.Number)
	f, _ := n.Float64()
	return f
}

func asInt(v any) int {
	n, ok := v.(json.Number)
	if !ok {
		return -1
	}
	i, err := strconv.Atoi(n.String())
	if err != nil {
		return -1
	}
	return i
}

func asObject(v any) object {
	m, _ := v.(map[string]any)
	return m
}

// positions is a list of positions; nil when it is empty, which DuckDB means as
// "all" wherever it has a projection map.
func (o object) positions(field string) []int { return asPositions(o.list(field)) }

func asPositions(l []any) []int {
	var out []int
	for _, v := range l {
		out = append(out, asInt(v))
	}
	return out
}

func (o object) texts(field string) []string {
	var out []string
	for _, v := range o.list(field) {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}

// parse reads json_serialize_plan's text. DuckDB writes NaN and Infinity bare,
// as JSON does not; they become strings. Text that is not UTF-8, which Go would
// silently replace, is refused.
func parse(b []byte) (object, error) {
	if len(b) > bytesMax {
		return nil, fmt.Errorf("the plan has %d bytes, at most %d are accepted", len(b), bytesMax)
	}
	if !utf8.Valid(b) {
		return nil, errors.New("the plan is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(quoteBare(b)))
	d.UseNumber()
	var o object
	if err := d.Decode(&o); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the plan")
	}
	return o, nil
}

// quoteBare puts numbers that JSON does not know between quotes.
func quoteBare(b []byte) []byte {
	if !bytes.Contains(b, []byte("NaN")) && !bytes.Contains(b, []byte("Infinity")) {
		return b
	}
	words := [][]byte{[]byte("-Infinity"), []byte("Infinity"), []byte("-NaN"), []byte("NaN")}
	var out []byte
	inText := false
next:
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inText && c == '\\' && i+1 < len(b):
			out = append(out, c, b[i+1])
			i++
			continue
		case c == '"':
			inText = !inText
		case !inText && (c == '-' || c == 'I' || c == 'N'):
			for _, w := range words {
				if bytes.HasPrefix(b[i:], w) {
					out = append(append(append(out, '"'), w...), '"')
					i += len(w) - 1
					continue next
				}
			}
		}
		out = append(out, b[i])
	}
	return out
}
