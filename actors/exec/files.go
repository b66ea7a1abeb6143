package exec

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/fs"
)

// writeFile has DuckDB write the rows to a staged file named by attempt: what
// losers leave is never published.
func (t *task) writeFile(ctx context.Context) (*Outcome, error) {
	w := t.packet.Stage().Exchange.Write
	attempt := fmt.Sprintf("part-%05d-%.8s-%d", t.a.ID.Task.Partition, string(t.a.Job), t.a.ID.Attempt)
	if len(w.PartitionBy) > 0 {
		return t.writeHive(ctx, w, attempt)
	}
	name := attempt + "." + extensionOf(w)
	path := filepath.Join(t.packet.Staging, name)
	var rows int64
	var err error
	if w.Format == plan.Arrow {
		rows, err = t.writeArrow(ctx, path)
	} else {
		rows, err = t.engine.Copy(ctx, t.query, path, string(w.Format), t.copyOptions(w))
	}
	if err != nil {
		os.Remove(path)
		return nil, journal.StorageError(engines.Error("write", err))
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, journal.StorageError(err)
	}
	return t.staged(attempt, []string{name}, rows, st.Size())
}

// staged commits the files that the attempt has written.
func (t *task) staged(attempt string, files []string, rows, bytes int64) (*Outcome, error) {
	if err := fs.WriteManifest(t.packet.Staging, attempt, files); err != nil {
		return nil, journal.StorageError(err)
	}
	return &Outcome{Files: Files{Manifest: attempt, Count: int64(len(files)), Rows: rows, Bytes: bytes}}, nil
}

// extensionOf is how the names of files end, so that they can be read back: DuckDB
// tells packed text files by it.
func extensionOf(w *plan.Write) string {
	if w.Format == plan.CSV || w.Format == plan.JSON {
		for k, v := range w.Options {
			if packed := strings.ToLower(strings.Trim(v, "'")); strings.EqualFold(k, "compression") && packings[packed] != "" {
				return string(w.Format) + packings[packed]
			}
		}
	}
	return string(w.Format)
}

var packings = map[string]string{"gzip": ".gz", "zstd": ".zst"}

// Row groups of a Parquet file gather in memory, one a thread: of DuckDB's own
// size only where there is enough of it.
const (
	rowGroupRows    = 122_880   // DuckDB's own
	rowGroupMemory  = 256 << 20 // bytes of a thread for such
	rowGroupRowsMin = 4 * vec.MaxRows
	frugalShare     = 4 // of the rows, on the second try
)

// copyOptions are a write's, with row groups that fit the memory. What the user
// says of them stands.
func (t *task) copyOptions(w *plan.Write) map[string]string {
	out, said := map[string]string{}, false
	for k, v := range w.Options {
		k = strings.ToLower(k)
		out[k], said = v, said || strings.HasPrefix(k, "row_group_size")
	}
	rows := t.a.Memory * engines.MemoryShare / 100 / int64(t.threads) * rowGroupRows / rowGroupMemory
	if t.frugal {
		rows = min(rows, rowGroupRows) / frugalShare
	}
	if w.Format == plan.Parquet && rows < rowGroupRows && !said {
		out["row_group_size"] = strconv.FormatInt(max(rows-rows%vec.MaxRows, rowGroupRowsMin), 10)
	}
	return out
}
