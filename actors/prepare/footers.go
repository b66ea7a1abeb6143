package prepare

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/object"
)

// footersMax is how many column chunks' bounds are kept, of some 200 bytes each.
const footersMax = 100_000

// footers are those of Parquet files that queries have read: asking DuckDB takes
// 10 ms for a file of some hundred column chunks, even one that it remembers.
type footers struct {
	mu     sync.Mutex
	files  map[string]*footer // by footerKey
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

// Manifests tell of files without a look at them: see datasets.Datasets.
type Manifests interface {
	// Known is what is known of Parquet objects, by their paths; of one of which it is not
	// all that a footer tells, nil.
	Known(ctx context.Context, paths []string) []*Known
}

// Known is what the footer of a file that is one row group tells.
type Known struct {
	Group plan.RowGroup
	Stats map[string]distribute.Range // by column, in lower case
}

// of is the footers of files, in their order; those of files that are not known
// as they are now, the planner's DuckDB reads, which may look at access.
func (k *footers) of(ctx context.Context, p *Planner, files []plan.File, access []string) ([]*footer, error) {
	out := make([]*footer, len(files))
	missing := k.known(files, out)
	if p.Manifests != nil && slices.ContainsFunc(missing, func(i int) bool { return dataset.Is(nameOf(files[i].Path)) }) {
		for at, f := range p.Manifests.Known(ctx, pathsOf(files, missing)) {
			if f != nil {
				i := missing[at]
				out[i] = &footer{size: files[i].Size, modTime: files[i].ModTime, groups: []plan.RowGroup{f.Group}, stats: []map[string]distribute.Range{f.Stats}}
				k.keep(footerKey(files[i].Path), out[i])
			}
		}
		missing = slices.DeleteFunc(missing, func(i int) bool { return out[i] != nil })
	}
	if len(missing) == 0 {
		return out, nil
	}
	paths := pathsOf(files, missing)
	tell(ctx, 0, len(paths))
	err := p.duckdb.Footers(ctx, paths, access, func(from int, feet []duck.Footer) error {
		for at := range feet {
			i := missing[from+at]
			out[i] = newFooter(&files[i], &feet[at])
			k.keep(footerKey(files[i].Path), out[i])
		}
		if done := from + len(feet); done < len(paths) {
			tell(ctx, done, len(paths))
		}
		return nil
	})
	return out, err
}

// known fills in the footers that are remembered, and tells which files are missing.
func (k *footers) known(files []plan.File, out []*footer) (missing []int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, f := range files {
		if out[i] = k.files[footerKey(f.Path)]; out[i] == nil || out[i].size != f.Size || out[i].modTime != f.ModTime {
			out[i] = nil
			missing = append(missing, i)
		}
	}
	return missing
}

func pathsOf(files []plan.File, some []int) []string {
	out := make([]string, len(some))
	for at, i := range some {
		out[at] = files[i].Path
	}
	return out
}

// footerKey is a file's path; that of a dataset is the same file in all versions which
// have it.
func footerKey(path string) string {
	if o, ok := object.FromPath(path); ok && dataset.Is(o.Name) {
		return dataset.Scheme + o.Version
	}
	return path
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
