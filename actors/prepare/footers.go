package prepare

import (
	"context"
	"strings"
	"sync"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/duck"
)

// footersMax is how many column chunks' bounds are kept, of some 200 bytes each.
const footersMax = 100_000

// footers are those of Parquet files that queries have read: asking DuckDB takes
// 10 ms for a file of some hundred column chunks, even one that it remembers.
type footers struct {
	mu     sync.Mutex
	files  map[string]*footer
	chunks int
}

// footer is the row groups of a file as it was, and the bounds of their columns by
// name in lower case. It is never changed.
type footer struct {
	size, modTime int64
	groups        []plan.RowGroup
	stats         []map[string]distribute.Range
}

func (f *footer) chunks() int { return len(f.groups) * max(len(f.stats[0]), 1) }

// of is the footers of files, in their order; those of files that are not known
// as they are now, d reads.
func (k *footers) of(ctx context.Context, d DuckDB, files []plan.File) ([]*footer, error) {
	out := make([]*footer, len(files))
	var missing []int
	var paths []string
	k.mu.Lock()
	for i, f := range files {
		if out[i] = k.files[f.Path]; out[i] == nil || out[i].size != f.Size || out[i].modTime != f.ModTime {
			missing = append(missing, i)
			paths = append(paths, f.Path)
		}
	}
	k.mu.Unlock()
	if len(missing) == 0 {
		return out, nil
	}
	for from := 0; from < len(paths); from += footersAtOnce {
		tell(ctx, from, len(paths))
		part := paths[from:min(from+footersAtOnce, len(paths))]
		feet, err := d.Footers(ctx, part)
		if err != nil {
			return nil, whichFile(ctx, d, part, err)
		}
		for at := range feet {
			i := missing[from+at]
			out[i] = newFooter(&files[i], &feet[at])
			k.keep(files[i].Path, out[i])
		}
	}
	return out, nil
}

// footersAtOnce are read by one call: others may ask in between, and progress is
// told.
const footersAtOnce = 64

// whichFile is err with the file that it is about: DuckDB does not always say which
// of several is damaged.
func whichFile(ctx context.Context, d DuckDB, paths []string, err error) error {
	te := plan.AsError(err)
	if te.Kind != plan.KindUser && te.Kind != plan.KindInternal {
		return err
	}
	for _, path := range paths {
		if strings.Contains(te.Text, path) {
			return err
		}
	}
	for _, path := range paths {
		if _, again := d.Footers(ctx, []string{path}); again != nil && ctx.Err() == nil {
			with := *plan.AsError(again)
			with.Subject = path
			return &with
		}
	}
	return err
}

func newFooter(file *plan.File, foot *duck.Footer) *footer {
	f := &footer{size: file.Size, modTime: file.ModTime, groups: make([]plan.RowGroup, len(foot.Groups)), stats: make([]map[string]distribute.Range, len(foot.Groups))}
	for g, rg := range foot.Groups {
		f.groups[g] = plan.RowGroup{Rows: rg.Rows, Bytes: rg.Bytes}
		f.stats[g] = make(map[string]distribute.Range, len(rg.Stats))
		for i, c := range rg.Stats {
			f.stats[g][strings.ToLower(c.Name)] = distribute.Range{Type: foot.Columns[i].Type, Known: c.HasStats, Min: c.Min, Max: c.Max, Nulls: c.Nulls, Distinct: c.Distinct, Bytes: c.Bytes}
		}
	}
	return f
}

// keep remembers a footer, and forgets others until it fits.
func (k *footers) keep(path string, f *footer) {
	if len(f.groups) == 0 || f.chunks() > footersMax {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(path)
	for other := range k.files {
		if k.chunks+f.chunks() <= footersMax {
			break
		}
		k.drop(other)
	}
	if k.files == nil {
		k.files = map[string]*footer{}
	}
	k.files[path] = f
	k.chunks += f.chunks()
}

// drop forgets a footer; the lock is held.
func (k *footers) drop(path string) {
	if f := k.files[path]; f != nil {
		delete(k.files, path)
		k.chunks -= f.chunks()
	}
}
