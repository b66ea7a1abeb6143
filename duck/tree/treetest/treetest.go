// Package treetest bends trees of JSON, for tests of what reads them: no text of an
// engine process, however wrong, may take a node with it.
package treetest

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
)

// place is a value in a tree.
type place struct {
	get any
	set func(any)
}

// Bend changes one thing somewhere in the tree, in place: a value is left out, has
// another type, stands twice, or is that of another place.
func Bend(r *rand.Rand, tree any) {
	places := below(tree, nil)
	if len(places) == 0 {
		return
	}
	at, other := places[r.IntN(len(places))], places[r.IntN(len(places))]
	wrong := []any{nil, "", "x", true, json.Number("-1"), json.Number("18446744073709551615"), json.Number("1e400"), map[string]any{}, []any{}, copied(other.get)}
	value := wrong[r.IntN(len(wrong))]
	switch old := at.get.(type) {
	case []any:
		if len(old) > 0 && r.IntN(2) == 0 {
			i := r.IntN(len(old))
			value = slices.Delete(slices.Clone(old), i, i+1)
			if r.IntN(2) == 0 {
				value = append(slices.Clone(old), copied(old[i]))
			}
		}
	case map[string]any:
		if keys := slices.Sorted(maps.Keys(old)); len(keys) > 0 && r.IntN(2) == 0 {
			delete(old, keys[r.IntN(len(keys))])
			return
		}
	}
	at.set(value)
}

// below lists every place in a tree.
func below(v any, out []place) []place {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = below(v[k], append(out, place{v[k], func(x any) { v[k] = x }}))
		}
	case []any:
		for i := range v {
			out = below(v[i], append(out, place{v[i], func(x any) { v[i] = x }}))
		}
	}
	return out
}

// copied is v with objects and lists of its own.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, c := range v {
			out[k] = copied(c)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, c := range v {
			out[i] = copied(c)
		}
		return out
	}
	return v
}
