package actors

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
)

// writeHive has DuckDB write key=value folders, in a folder of the attempt's
// own, and moves the files into the staging folder's under names of the
// attempt's own. path is the file that it would write otherwise.
func (t *task) writeHive(ctx context.Context, w *plan.Write, path string) (*wire.Done, error) {
	ext := "." + extensionOf(w)
	base := strings.TrimSuffix(filepath.Base(path), ext)
	dir := filepath.Join(t.packet.Staging, "."+base)
	if err := os.RemoveAll(dir); err != nil {
		return nil, journal.StorageError(err)
	}
	defer os.RemoveAll(dir)
	opts := t.copyOptions(w)
	opts["partition_by"] = "(" + quoteList(w.PartitionBy) + ")"
	rows, err := t.engine.Copy(ctx, t.query, dir, string(w.Format), opts)
	if err != nil {
		return nil, journal.StorageError(engineError("write", err))
	}
	done := &wire.Done{}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, filepath.Dir(p))
		if err != nil {
			return err
		}
		name := filepath.Join(rel, fmt.Sprintf("%s-%d%s", base, len(done.Files), ext))
		to := filepath.Join(t.packet.Staging, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		done.Files = append(done.Files, &wire.OutputFile{Name: name, Bytes: info.Size()})
		return os.Rename(p, to)
	})
	if err != nil {
		return nil, journal.StorageError(err)
	}
	if len(done.Files) > 0 {
		done.Files[0].Rows = rows // DuckDB does not say how many are in each
	}
	done.FilesInline = true
	return done, nil
}
