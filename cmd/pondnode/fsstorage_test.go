package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
)

// TestStorageFault: a file without a copy is named with its dataset and version, and the
// command fails; nothing is said to be well that is not known.
func TestStorageFault(t *testing.T) {
	lost := pond.FileHealth{Files: 9, Short: 2, Lost: 1, Away: 1}
	for _, c := range []struct {
		what  string
		st    pond.Storage
		code  int
		shown []string
	}{
		{"well", pond.Storage{Files: pond.FileHealth{Files: 9}}, exitOK, []string{"9 files of datasets, all with"}},
		{"short", pond.Storage{Files: pond.FileHealth{Files: 9, Short: 2}, Unwell: 1, Datasets: []pond.DatasetHealth{{Name: "sales", FileHealth: pond.FileHealth{Files: 9, Short: 2}}}}, exitOK, []string{"pond://sales: 2 of 9 files with too few copies"}},
		{"lost", pond.Storage{Files: lost, Unwell: 1, Datasets: []pond.DatasetHealth{{Name: "sales", FileHealth: lost, Missing: []pond.MissingFile{
			{Path: "day=1/a.parquet", Versions: []uint64{3, 4}, Holders: []string{"n1", "n2"}, Lost: true}, {Versions: []uint64{5}}}}}}, exitFailed,
			[]string{"day=1/a.parquet of version 3, 4, lost: no node has a copy; when it was published it was on n1, n2", "the list of files of version 5, no node that answers has a copy"}},
		{"away", pond.Storage{Files: pond.FileHealth{Files: 9, Away: 1}, Unwell: 1}, exitUnreachable, []string{"1 where no node answers"}},
		{"not known", pond.Storage{DatasetsError: "no majority"}, exitUnreachable, []string{"not all is known: no majority"}},
		{"not known of one", pond.Storage{Unwell: 1, Datasets: []pond.DatasetHealth{{Name: "sales", Error: "version 2: damaged"}}}, exitUnreachable, []string{"not all is known: version 2: damaged"}},
	} {
		err := storageFault("status", &c.st)
		if got := exitCode(err); got != c.code {
			t.Errorf("%s: exit code %d, want %d: %v", c.what, got, c.code, err)
		}
		if away := errors.Is(err, pond.ErrUnavailable); away != (c.code == exitUnreachable) {
			t.Errorf("%s: %v", c.what, err)
		}
		var out bytes.Buffer
		(&app{system: system{stdout: &out}}).printHealth(&c.st)
		for _, text := range c.shown {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s: %q is not in\n%s", c.what, text, out.String())
			}
		}
	}
}
