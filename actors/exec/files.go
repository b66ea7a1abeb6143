package exec

import (
	"context"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/fs"
)

// writeFile has DuckDB write the rows to files in a folder of the attempt's own:
// what losers leave there is never published.
func (t *task) writeFile(ctx context.Context) (*Outcome, error) {
	attempt, dir := attemptName(t.a), AttemptDir(t.packet.Staging, t.a)
	if err := os.RemoveAll(dir); err != nil { // the first try's
		return nil, journal.StorageError(err)
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return nil, journal.StorageError(err)
	}
	columns, err := t.columns(ctx)
	if err != nil {
		return nil, err
	}
	if columns != nil {
		if t.query, err = storedQuery(t.query, columns, t.packet.Stage().Exchange.Write.PartitionBy); err != nil {
			return nil, err
		}
	}
	bounded, cancel := context.WithCancelCause(ctx)
	stop := Every(OutputPause, func() error { return t.checkOutput(dir) }, cancel)
	rows, err := t.copyTo(bounded, dir, attempt)
	stop()
	if cause := context.Cause(bounded); err != nil && cause != nil && ctx.Err() == nil {
		err = cause
	}
	cancel(nil)
	if err == nil {
		err = t.checkOutput(dir)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, journal.StorageError(engines.Error("write", err))
	}
	return t.staged(attempt, rows, columns)
}

// checkOutput measures what the attempt has written.
func (t *task) checkOutput(dir string) error {
	if t.m.Limits.Output == 0 {
		return nil
	}
	return t.m.Limits.CheckOutput(FolderBytes(dir))
}

// copyTo writes the rows into dir: to key=value folders, or to one file. Other
// attempts' files have other names; in key=value folders DuckDB makes them up, as
// two values may share a folder (NULL and a text).
func (t *task) copyTo(ctx context.Context, dir, attempt string) (rows int64, err error) {
	w := t.packet.Stage().Exchange.Write
	name := attempt
	if w.Mode == plan.WriteAppend { // as DuckDB's: WriteReplace lets such be
		name = "append-" + attempt
	}
	path, options := filepath.Join(dir, name+"."+extensionOf(w)), t.copyOptions(w)
	if w.Format == plan.Arrow {
		return t.writeArrow(ctx, path)
	}
	if manyFiles(w, options) {
		path = dir
		if options["filename_pattern"] == "" {
			options["filename_pattern"] = lexer.QuoteText(name + "-{uuid}")
		}
	}
	return t.engine.Copy(ctx, t.groupedQuery(), path, string(w.Format), options)
}

// grouped reports whether the task writes folder by folder, which takes little memory:
// where many are expected, or the first try was short of it.
func (t *task) grouped() bool {
	x := &t.packet.Stage().Exchange
	return x.Grouped || t.frugal && x.Write != nil && len(x.Write.PartitionBy) > 0
}

// groupedQuery is the query, sorted by folder if the task is to write so. Within a
// folder its order is kept.
func (t *task) groupedQuery() string {
	if !t.grouped() {
		return t.query
	}
	by := quoteList(t.packet.Stage().Exchange.Write.PartitionBy)
	if t.packet.Stage().Ordered {
		by += ", row_number() OVER ()"
	}
	return fmt.Sprintf("SELECT * FROM (%s\n) ORDER BY %s", t.query, by)
}

// manyFiles has DuckDB write a folder, where the options ask for several files a
// task, or for names that it makes.
func manyFiles(w *plan.Write, options map[string]string) bool {
	switch {
	case w.Single:
		return false
	case len(w.PartitionBy) > 0:
		options["partition_by"] = "(" + quoteList(w.PartitionBy) + ")"
	case options["file_size_bytes"] != "" || options["row_groups_per_file"] != "":
	case options["filename_pattern"] != "" || options["file_extension"] != "":
		options["per_thread_output"] = "true"
	default:
		return false
	}
	return true
}

// staged commits the files that the attempt has written.
func (t *task) staged(attempt string, rows int64, columns []plan.Column) (*Outcome, error) {
	var names []string
	out := Files{Manifest: attempt, Rows: rows, Columns: columns}
	err := filepath.WalkDir(filepath.Join(t.packet.Staging, attempt), func(path string, d iofs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(t.packet.Staging, path)
		names, out.Bytes = append(names, name), out.Bytes+info.Size()
		return err
	})
	if err == nil {
		err = fs.WriteManifest(t.packet.Staging, attempt, names)
	}
	if err != nil {
		return nil, journal.StorageError(err)
	}
	out.Count = int64(len(names))
	return &Outcome{Files: out}, nil
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
