package scenario

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// FileBytesMax bounds a scenario's file.
const FileBytesMax = 1 << 20

// Error is a mistake in a scenario.
type Error struct {
	File string // may be empty
	Line int    // 0: not known
	Text string
}

func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", cmp.Or(e.File, "line"), e.Line)
	}
	if where == "" {
		return e.Text
	}
	return where + ": " + e.Text
}

// Parse reads a scenario, fills in defaults and validates it. Mistakes are *Error; a
// key that is not known is one. file is only named by errors.
func Parse(file string, b []byte) (*Scenario, error) {
	s, err := parse(b)
	if err == nil {
		err = s.Validate()
	}
	if err == nil {
		return s, nil
	}
	e := yamlError(err)
	e.File = file
	return nil, e
}

func parse(b []byte) (*Scenario, error) {
	if len(b) > FileBytesMax {
		return nil, &Error{Text: fmt.Sprintf("larger than %d bytes", FileBytesMax)}
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, &Error{Text: "the file is empty"}
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, &Error{Text: "a second document: one scenario a file"}
	}
	s := &Scenario{}
	if err := known(doc.Content[0], reflect.TypeOf(s).Elem()); err != nil {
		return nil, err
	}
	return s, doc.Decode(s)
}

// UnmarshalYAML keeps the line, for what Validate says.
func (f *Fault) UnmarshalYAML(n *yaml.Node) error {
	type plain Fault
	err := n.Decode((*plain)(f))
	f.line = n.Line
	return err
}

// known refuses keys that the type does not have, aliases, and lists or mappings where
// others belong.
func known(n *yaml.Node, t reflect.Type) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return &Error{Line: n.Line, Text: "anchors and aliases are not supported: write the value out"}
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, item := range n.Content {
			if err := known(item, t.Elem()); err != nil {
				return err
			}
		}
		return nil
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		return knownKeys(n, keysOf(t))
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 1; i < len(n.Content); i += 2 {
			if err := known(n.Content[i], t.Elem()); err != nil {
				return err
			}
		}
		return nil
	case t.Kind() == reflect.Slice:
		return &Error{Line: n.Line, Text: "a list is expected here"}
	case t.Kind() == reflect.Map, t.Kind() == reflect.Struct && len(keysOf(t)) > 0:
		return &Error{Line: n.Line, Text: "a mapping is expected here"}
	}
	return nil
}

func knownKeys(n *yaml.Node, keys map[string]reflect.Type) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		t, ok := keys[key.Value]
		if !ok {
			var names []string
			for k := range keys {
				names = append(names, k)
			}
			slices.Sort(names)
			return &Error{Line: key.Line, Text: fmt.Sprintf("unknown key %q; known here: %s", key.Value, strings.Join(names, ", "))}
		}
		if err := known(n.Content[i+1], t); err != nil {
			return err
		}
	}
	return nil
}

// keysOf are a struct's keys in YAML.
func keysOf(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if option == "inline" {
			for k, v := range keysOf(f.Type) {
				out[k] = v
			}
		} else if name != "" && name != "-" {
			out[name] = f.Type
		}
	}
	return out
}

// atLine is how the YAML library names a line.
var atLine = regexp.MustCompile(`line (\d+): (.*)`)

// yamlError is a mistake of any kind, with its line if that is known.
func yamlError(err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := atLine.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1])
		return &Error{Line: line, Text: m[2]}
	}
	return &Error{Text: text}
}
