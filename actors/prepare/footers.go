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
// as they are now, d reads, which may look at access.
func (k *footers) of(ctx context.Context, d DuckDB, files []plan.File, access []string) ([]*footer, error) {
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
	tell(ctx, 0, len(paths))
	err := d.Footers(ctx, paths, access, func(from int, feet []duck.Footer) error {
		for at := range feet {
			i := missing[from+at]
			out[i] = newFooter(&files[i], &feet[at])
			k.keep(files[i].Path, out[i])
		}
		if done := from + len(feet); done < len(paths) {
			tell(ctx, done, len(paths))
		}
		return nil
	})
	return out, err
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
