package exec

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
)

// writeHive has DuckDB write key=value folders, in a folder of the attempt's
// own, and moves the files into the staging folder's under names of the
// attempt's own. DuckDB names them at random: NULL and a text may share a folder.
func (t *task) writeHive(ctx context.Context, w *plan.Write, attempt string) (*Outcome, error) {
	ext := "." + extensionOf(w)
	dir := filepath.Join(t.packet.Staging, "."+attempt)
	if err := os.RemoveAll(dir); err != nil {
		return nil, journal.StorageError(err)
	}
	defer os.RemoveAll(dir)
	opts := t.copyOptions(w)
	opts["partition_by"] = "(" + quoteList(w.PartitionBy) + ")"
	opts["filename_pattern"] = "'{uuid}'"
	rows, err := t.engine.Copy(ctx, t.query, dir, string(w.Format), opts)
	if err != nil {
		return nil, journal.StorageError(engines.Error("write", err))
	}
	var files []string
	var bytes int64
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, filepath.Dir(p))
		if err != nil {
			return err
		}
		name := filepath.Join(rel, fmt.Sprintf("%s-%d%s", attempt, len(files), ext))
		to := filepath.Join(t.packet.Staging, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files = append(files, name)
		bytes += info.Size()
		return os.Rename(p, to)
	})
	if err != nil {
		return nil, journal.StorageError(err)
	}
	return t.staged(attempt, files, rows, bytes)
}
