package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Limits of a plan. A plan that exceeds one is refused with an error that names it.
const (
	MaxPlanBytes  = 32 << 20 // a plan's JSON
	MaxNodes      = 2048
	MaxPartitions = 65536 // of one repartition, and tasks of one stage
	MaxBatchRows  = 1 << 24
	maxDepth      = 64 // nesting of a plan's JSON
	maxInputs     = 1024
)

// Decode reads a plan's JSON:
//
//	{"nodes": [
//	   {"id": "flights", "read": {"format": "parquet", "paths": ["data/*.parquet"]}},
//	   {"id": "by_origin", "inputs": ["flights"], "repartition": {"n": 8, "by": "hash", "keys": ["origin"]}},
//	   {"id": "delays", "inputs": ["by_origin"], "sql": {"query": "SELECT origin, avg(delay) FROM {0} GROUP BY 1"}}],
//	 "sink": {"input": "delays", "collect": {}}}
//
// It refuses unknown fields, more than one value, and what exceeds the package's
// limits; it does not Validate.
func Decode(data []byte) (*Plan, error) {
	if len(data) > MaxPlanBytes {
		return nil, Refuse("", "carry fewer literal rows, or put them into a file", "the plan has %d bytes, more than the %d allowed", len(data), MaxPlanBytes)
	}
	if d := depthOf(data); d > maxDepth {
		return nil, Refuse("", "", "the plan's JSON is nested deeper than %d", maxDepth)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	type bare Plan // without UnmarshalJSON
	var p bare
	if err := dec.Decode(&p); err != nil {
		return nil, Refuse("", "compare it with the job file reference", "the plan's JSON cannot be read: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, Refuse("", "give one plan", "more follows after the plan's JSON")
	}
	return (*Plan)(&p), nil
}

// UnmarshalJSON is Decode: a plan has its limits wherever it is read, inside a job's
// spec too.
func (p *Plan) UnmarshalJSON(data []byte) error {
	read, err := Decode(data)
	if err == nil {
		*p = *read
	}
	return err
}

// Encode writes the plan's JSON, which Decode reads.
func (p *Plan) Encode() ([]byte, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("plan: encode: %w", err)
	}
	if len(data) > MaxPlanBytes {
		return nil, Refuse("", "carry fewer literal rows, or put them into a file", "the plan has %d bytes, more than the %d allowed", len(data), MaxPlanBytes)
	}
	return data, nil
}

// depthOf is how deep brackets nest outside of strings.
func depthOf(data []byte) int {
	depth, most := 0, 0
	quoted := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			most = max(most, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return most
}

// Refuse returns a user's error: the step, its mistake, and how to mend it.
func Refuse(subject, hint, format string, args ...any) error {
	return &Error{Kind: KindUser, Op: "plan", Subject: subject, Text: fmt.Sprintf(format, args...), Hint: hint}
}

// Errorf is an error about node n.
func (n *Node) Errorf(hint, format string, args ...any) error {
	return Refuse(n.String(), hint, format, args...)
}

func (n *Node) String() string { return fmt.Sprintf("step %q (%s)", n.ID, n.Op()) }
