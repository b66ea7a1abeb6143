package storage

import (
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

func replicaNode(n mesh.NodeID) replica.Node { return replica.Node(n) }

// nullFolder is the value of a folder that stands for NULL.
const nullFolder = "__HIVE_DEFAULT_PARTITION__"

// withFolders are a table's columns and those of the key=value folders of its files, which
// all files must have, none of them in its bytes too.
func withFolders(columns []dataset.Column, files []dataset.File) ([]dataset.Column, bool) {
	keys, values := keysOf(files[0].Path), map[string][]string{}
	for _, f := range files {
		own, vals := keysOf(f.Path), valuesOf(f.Path)
		if !slices.Equal(keys, own) {
			return nil, false
		}
		for i, k := range own {
			values[k] = append(values[k], vals[i])
		}
	}
	out := slices.Clone(columns)
	for _, k := range keys {
		if slices.ContainsFunc(out, func(c dataset.Column) bool { return strings.EqualFold(c.Name, k) }) {
			return nil, false
		}
		out = append(out, dataset.Column{Name: k, Type: typeOf(values[k]), Folder: true})
	}
	return out, true
}

func keysOf(name string) (keys []string) {
	for part := range strings.SplitSeq(path.Dir(name), "/") {
		if k, _, ok := strings.Cut(part, "="); ok && k != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

func valuesOf(name string) (values []string) {
	for part := range strings.SplitSeq(path.Dir(name), "/") {
		if k, v, ok := strings.Cut(part, "="); ok && k != "" {
			if plain, err := url.PathUnescape(v); err == nil {
				v = plain
			}
			values = append(values, v)
		}
	}
	return values
}

// typeOf is the narrowest type, of those that DuckDB sees in folders, that all values have.
func typeOf(values []string) string {
	for _, t := range []struct {
		name string
		has  func(string) bool
	}{{"BIGINT", isInteger}, {"DATE", isDate}} {
		if !slices.ContainsFunc(values, func(v string) bool { return v != nullFolder && !t.has(v) }) {
			return t.name
		}
	}
	return "VARCHAR"
}

func isInteger(v string) bool {
	n, err := strconv.ParseInt(v, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == v // 007 is a text
}

func isDate(v string) bool {
	_, err := time.Parse(time.DateOnly, v)
	return err == nil
}
