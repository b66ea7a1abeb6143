package jobfile

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/cmd/pondnode/internal/near"
	"github.com/pondmesh/pond/duck/lexer"
)

// depthMax bounds how deep a file may nest.
const depthMax = 64

// mainKey is the key that a value stands for where a mapping is expected.
var mainKey = map[reflect.Type]string{
	reflect.TypeFor[plan.ReadOp]():        "paths",
	reflect.TypeFor[plan.RowsOp]():        "values",
	reflect.TypeFor[plan.SQLOp]():         "query",
	reflect.TypeFor[plan.MapOp]():         "sql",
	reflect.TypeFor[plan.MapBatchesOp]():  "func",
	reflect.TypeFor[plan.ProjectOp]():     "columns",
	reflect.TypeFor[plan.SortOp]():        "by",
	reflect.TypeFor[plan.LimitOp]():       "n",
	reflect.TypeFor[plan.CountOp]():       "n",
	reflect.TypeFor[plan.RepartitionOp](): "n",
	reflect.TypeFor[plan.Write]():         "path",
}

// bare are the operations that need no settings.
var bare = map[reflect.Type]bool{
	reflect.TypeFor[plan.UnionOp]():       true,
	reflect.TypeFor[plan.ShuffleOp]():     true,
	reflect.TypeFor[plan.CountOp]():       true,
	reflect.TypeFor[plan.CollectOp]():     true,
	reflect.TypeFor[plan.RepartitionOp](): true,
}

var (
	columnsType = reflect.TypeFor[[]plan.Column]()
	optionsType = reflect.TypeFor[map[string]string]()
	rawType     = reflect.TypeFor[json.RawMessage]()
	bytesType   = reflect.TypeFor[[]byte]()
	resultType  = reflect.TypeFor[result]()
)

func decode(n *yaml.Node, into reflect.Value) error { return decodeAt(n, into, 0) }

// decodeAt fills into from n by the JSON names of its type.
func decodeAt(n *yaml.Node, into reflect.Value, depth int) error {
	if err := plain(n, depth); err != nil {
		return err
	}
	switch t := into.Type(); {
	case t == rawType:
		b, err := jsonOf(n, depth)
		into.SetBytes(b)
		return err
	case t == bytesType:
		return errAt(n, "give rows as columns and values", "binary rows are for programs")
	case t == optionsType:
		return decodeOptions(n, into, depth)
	case t == columnsType && n.Kind == yaml.MappingNode:
		return decodeColumns(n, into)
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return decodeAt(n, into.Elem(), depth+1)
	case reflect.Slice:
		return decodeList(n, into, depth)
	case reflect.Struct:
		return decodeStruct(n, into, depth)
	}
	return decodeScalar(n, into)
}

// plain refuses what could make a small file a large value.
func plain(n *yaml.Node, depth int) error {
	switch {
	case depth > depthMax:
		return errAt(n, "write fewer brackets", "nested deeper than %d", depthMax)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return errAt(n, "write the value out", "anchors and aliases are not supported")
	}
	return nil
}

// pairs gives each key of a mapping and its value to f. A key is one text, and stands
// there once.
func pairs(n *yaml.Node, f func(key, value *yaml.Node) error) error {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode:
			return errAt(key, "write name: value", "a key is one text, not a list, a mapping or an alias")
		case seen[key.Value]:
			return errAt(key, "", "the key %q stands here twice", key.Value)
		}
		seen[key.Value] = true
		if err := f(key, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// decodeList reads a sequence; one value is a list of it, nothing is none.
func decodeList(n *yaml.Node, into reflect.Value, depth int) error {
	items := []*yaml.Node{n}
	switch {
	case n.Kind == yaml.SequenceNode:
		items = n.Content
	case isNull(n):
		items = nil
	}
	out := reflect.MakeSlice(into.Type(), len(items), len(items))
	for i, item := range items {
		if err := decodeAt(item, out.Index(i), depth+1); err != nil {
			return err
		}
	}
	into.Set(out)
	return nil
}

func decodeStruct(n *yaml.Node, into reflect.Value, depth int) error {
	t := into.Type()
	switch v := into.Addr().Interface().(type) {
	case *step:
		v.line = n.Line
	case *result:
		v.line = n.Line
	}
	fields := fieldsOf(t, nil)
	if n.Kind != yaml.MappingNode {
		key, ok := mainKey[t]
		if isNull(n) && bare[t] {
			return nil
		}
		if t == resultType && n.Kind == yaml.ScalarNode {
			return decodeResult(n, into, depth)
		}
		if !ok {
			return errAt(n, "write key: value lines, such as: "+strings.Join(names(fields)[:min(3, len(fields))], ", "), "a mapping is expected here")
		}
		return decodeAt(n, into.FieldByIndex(fields[key]), depth+1)
	}
	return pairs(n, func(key, value *yaml.Node) error {
		index, ok := fields[key.Value]
		if !ok {
			return unknown(key.Line, "unknown key", key.Value, names(fields))
		}
		return decodeAt(value, into.FieldByIndex(index), depth+1)
	})
}

// decodeResult reads "collect" or "count".
func decodeResult(n *yaml.Node, into reflect.Value, depth int) error {
	if n.Value != "collect" && n.Value != "count" {
		return unknown(n.Line, "unknown result", n.Value, []string{"collect", "count", "take", "write"})
	}
	m := &yaml.Node{Kind: yaml.MappingNode, Line: n.Line, Content: []*yaml.Node{n, {Kind: yaml.MappingNode, Line: n.Line}}}
	return decodeAt(m, into, depth+1)
}

// unknown is the error of an unknown name; its hint is the nearest known one.
func unknown(line int, what, got string, known []string) error {
	e := &Error{Line: line, Text: fmt.Sprintf("%s %q", what, got)}
	slices.Sort(known)
	switch best := near.Name(got, known); {
	case best != "":
		e.Hint = fmt.Sprintf("did you mean %s?", best)
	case len(known) > 0:
		e.Hint = "known here: " + strings.Join(known, ", ")
	}
	return e
}

// fieldsOf are a struct's fields by JSON name, embedded ones included. What a
// file says with from is not offered as inputs too.
func fieldsOf(t reflect.Type, at []int) map[string][]int {
	out := map[string][]int{}
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(at), i)
		if f.Anonymous {
			for name, sub := range fieldsOf(f.Type, index) {
				if name != "inputs" {
					out[name] = sub
				}
			}
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			out[name] = index
		}
	}
	return out
}

func names(fields map[string][]int) []string {
	var out []string
	for name := range fields {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func decodeScalar(n *yaml.Node, into reflect.Value) error {
	if n.Kind != yaml.ScalarNode {
		return errAt(n, "", "one value is expected here, not a list or a mapping")
	}
	if isNull(n) {
		return errAt(n, "", "a value is missing here")
	}
	s, digits := n.Value, strings.ReplaceAll(n.Value, "_", "")
	var err error
	switch into.Kind() {
	case reflect.String:
		into.SetString(s)
	case reflect.Bool:
		var v bool
		if err = n.Decode(&v); err != nil {
			return errAt(n, "write true or false", "%q is not a truth value", s)
		}
		into.SetBool(v)
	case reflect.Int, reflect.Int64:
		var v int64
		if v, err = strconv.ParseInt(digits, 10, 64); err != nil {
			return errAt(n, "", "%q is not a whole number", s)
		}
		into.SetInt(v)
	case reflect.Uint64:
		var v uint64
		if v, err = strconv.ParseUint(digits, 10, 64); err != nil {
			return errAt(n, "", "%q is not a whole number from 0 on", s)
		}
		into.SetUint(v)
	default:
		return errAt(n, "", "a value of type %s cannot be given here", into.Type())
	}
	return nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// decodeColumns reads name: TYPE pairs, in order.
func decodeColumns(n *yaml.Node, into reflect.Value) error {
	var out []plan.Column
	err := pairs(n, func(key, value *yaml.Node) error {
		if value.Kind != yaml.ScalarNode {
			return errAt(value, "write name: TYPE", "a column's type is one text")
		}
		out = append(out, plan.Column{Name: key.Value, Type: value.Value})
		return nil
	})
	into.Set(reflect.ValueOf(out))
	return err
}

// decodeOptions reads plain values as SQL literals.
func decodeOptions(n *yaml.Node, into reflect.Value, depth int) error {
	if n.Kind != yaml.MappingNode {
		return errAt(n, "write name: value", "options are a mapping")
	}
	out := map[string]string{}
	err := pairs(n, func(key, value *yaml.Node) (err error) {
		out[key.Value], err = literal(value, depth+1)
		return err
	})
	into.Set(reflect.ValueOf(out))
	return err
}

// literal is a value as SQL: texts in quotes, lists in brackets.
func literal(n *yaml.Node, depth int) (string, error) {
	if err := plain(n, depth); err != nil {
		return "", err
	}
	switch n.Kind {
	case yaml.SequenceNode:
		items := make([]string, len(n.Content))
		for i, c := range n.Content {
			var err error
			if items[i], err = literal(c, depth+1); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(items, ", ") + "]", nil
	case yaml.MappingNode:
		var items []string
		err := pairs(n, func(key, value *yaml.Node) error {
			lit, err := literal(value, depth+1)
			items = append(items, lexer.QuoteText(key.Value)+": "+lit)
			return err
		})
		return "{" + strings.Join(items, ", ") + "}", err
	}
	switch n.ShortTag() {
	case "!!null":
		return "NULL", nil
	case "!!bool", "!!int":
		return strings.ToLower(n.Value), nil
	case "!!float":
		if word := endless(n); word == "" {
			return n.Value, nil
		}
		return lexer.QuoteText(endless(n)), nil
	}
	return lexer.QuoteText(n.Value), nil
}

// jsonOf is a value of a literal row as JSON.
func jsonOf(n *yaml.Node, depth int) ([]byte, error) {
	if err := plain(n, depth); err != nil {
		return nil, err
	}
	switch n.Kind {
	case yaml.SequenceNode:
		items := make([]json.RawMessage, len(n.Content))
		for i, c := range n.Content {
			var err error
			if items[i], err = jsonOf(c, depth+1); err != nil {
				return nil, err
			}
		}
		return json.Marshal(items)
	case yaml.MappingNode:
		items := map[string]json.RawMessage{}
		err := pairs(n, func(key, value *yaml.Node) (err error) {
			items[key.Value], err = jsonOf(value, depth+1)
			return err
		})
		if err != nil {
			return nil, err
		}
		return json.Marshal(items)
	}
	switch n.ShortTag() {
	case "!!null":
		return []byte("null"), nil
	case "!!bool":
		return []byte(strings.ToLower(n.Value)), nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return []byte(n.Value), nil
		}
		if word := endless(n); word != "" {
			return json.Marshal(word)
		}
	}
	return json.Marshal(n.Value)
}

// endless is DuckDB's word for what YAML writes as .inf and .nan, empty for a number.
func endless(n *yaml.Node) string {
	switch strings.ToLower(n.Value) {
	case ".nan":
		return "NaN"
	case ".inf", "+.inf":
		return "Infinity"
	case "-.inf":
		return "-Infinity"
	}
	return ""
}
