package datasets

import (
	"cmp"
	"crypto/rand"
	"maps"
	"slices"
	"testing"

	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/object/objecttest"
)

// TestPlace: a dataset is a place of objects as others are, but that old versions stay
// readable. One node writes, another reads.
func TestPlace(t *testing.T) {
	p := open(t, 2)
	writer := p.nodes[0]
	uploads, files := map[string]dataset.File{}, map[string]dataset.File{} // by content, by path
	put := func(t *testing.T, objects map[string][]byte) {
		t.Helper()
		for path, data := range objects {
			f, ok := uploads[string(data)]
			if !ok {
				f = writer.uploaded(t, data)
				uploads[string(data)] = f
			}
			f.Path = path
			files[path] = f
		}
		all := slices.SortedFunc(maps.Values(files), func(a, b dataset.File) int { return cmp.Compare(a.Path, b.Path) })
		if _, err := writer.Publish(t.Context(), writer.job(t, "sales", rand.Text(), dataset.ModeOverwrite, all)); err != nil {
			t.Fatal(err)
		}
	}
	objecttest.Run(t, objecttest.Place{Source: p.nodes[1].Datasets, Prefix: "pond://sales/", Put: put, Globs: true, Keeps: true})
}
