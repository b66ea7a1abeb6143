//go:build duckdb_arrow

package storage

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/carry"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/repair"
)

// TestStatusOfDatasets: a file of a version that is kept is told by its name when no node
// has a copy of it, and counted when too few have; one that may be on a node that does not
// answer is not called lost.
func TestStatusOfDatasets(t *testing.T) {
	p := openPond(t, 3)
	for i, mode := range []string{"error", "overwrite"} {
		from := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(from, []byte(mode), 0o600); err != nil {
			t.Fatal(err)
		}
		put := carry.Putting{Name: "d", ID: mode, Mode: mode, Files: []carry.Local{{From: from, Path: mode, Size: int64(len(mode))}}}
		if version, err := carry.Put(t.Context(), p.nodes[0].client, put); version != uint64(i+1) || err != nil {
			t.Fatalf("version %d, %v", version, err)
		}
	}
	status := func() *api.Storage {
		t.Helper()
		st, err := p.nodes[0].client.Storage(t.Context())
		if err != nil || st.DatasetsError != "" || st.Error != "" {
			t.Fatalf("%+v, %v", st, err)
		}
		return st
	}
	// holds is which nodes have the file of a version, from all of them to those alone.
	holds := func(version uint64, nodes int) repair.ID {
		t.Helper()
		_, m, err := p.nodes[0].datasets.Look(t.Context(), "d", version)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range p.nodes[nodes:] {
			if err := n.disks.Delete(fs.UploadID(m.Files[0].Upload)); err != nil {
				t.Fatal(err)
			}
		}
		return m.Files[0].Upload
	}
	all := api.FileHealth{Files: 4} // a file and a list of it in each of two versions
	if st := status(); st.Files != all || st.Unwell != 0 || len(st.Datasets) != 0 {
		t.Fatalf("all is there: %+v", st)
	}
	holds(2, 1)
	all.Short = 1
	if st := status(); st.Files != all || st.Unwell != 1 || len(st.Datasets) != 1 || st.Datasets[0].FileHealth != all || len(st.Datasets[0].Missing) != 0 {
		t.Errorf("one copy of three: %+v", st)
	}
	d, err := p.nodes[1].client.DatasetNow(t.Context(), "d", 0)
	if err != nil || len(d.Files) != 1 || !slices.Equal(d.Files[0].Holders, []string{"a"}) || d.Files[0].Want != 3 || len(d.Silent) != 0 {
		t.Errorf("as it is now: %+v, %v", d, err)
	}
	id := holds(1, 0)
	all.Lost = 1
	st := status()
	if st.Files != all || len(st.Datasets) != 1 || len(st.Datasets[0].Missing) != 1 {
		t.Fatalf("no copy: %+v", st)
	}
	if f := st.Datasets[0].Missing[0]; !f.Lost || f.Path != "error" || !slices.Equal(f.Versions, []uint64{1}) || f.Upload != id.String() || len(f.Holders) != 3 {
		t.Errorf("what is lost: %+v", f)
	}
	p.nodes[2].on(func(*http.Request) bool { return false })
	st = status()
	if all.Lost, all.Away, all.Short = 0, 1, 3; st.Files != all || st.Datasets[0].Missing[0].Lost {
		t.Errorf("a node does not answer: %+v", st)
	}
	if d, err = p.nodes[0].client.DatasetNow(t.Context(), "d", 0); err != nil || !slices.Equal(d.Silent, []string{"c"}) {
		t.Errorf("a node does not answer: %+v, %v", d, err)
	}
}
