package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/fs/object"
)

// DuckDB plans over objects by one that plans over files. Of Parquet objects it has the
// footers here, which is all that is looked at to plan.
type DuckDB struct {
	Files prepare.DuckDB
	Cache *Cache
}

var _ prepare.DuckDB = DuckDB{}

// Version implements prepare.DuckDB.
func (d DuckDB) Version() string { return d.Files.Version() }

// Parse implements prepare.DuckDB: it looks at no file.
func (d DuckDB) Parse(ctx context.Context, sql string) (prepare.Tree, error) {
	return d.Files.Parse(ctx, sql)
}

// Deparse implements prepare.DuckDB: it looks at no file.
func (d DuckDB) Deparse(ctx context.Context, tree []byte) (string, error) {
	return d.Files.Deparse(ctx, tree)
}

// Folders implements prepare.DuckDB. Rows of objects are not looked at before a query
// runs: nothing is known of their folders.
func (d DuckDB) Folders(ctx context.Context, r prepare.FoldersRequest) (int64, error) {
	if reads(r.Access) {
		return 0, nil
	}
	return d.Files.Folders(ctx, r)
}

// Footers implements prepare.DuckDB.
func (d DuckDB) Footers(ctx context.Context, paths, access []string, each func(from int, list []duck.Footer) error) error {
	return d.over(ctx, paths, false, func() error {
		return d.Files.Footers(ctx, d.locals(paths), d.locals(access), each)
	})
}

// Columns implements prepare.DuckDB.
func (d DuckDB) Columns(ctx context.Context, sql string, access []string) (out []plan.Column, err error) {
	err = d.bound(ctx, access, func() error {
		out, err = d.Files.Columns(ctx, d.Cache.local(sql), d.locals(access))
		return err
	})
	return out, err
}

// Sniff implements prepare.DuckDB.
func (d DuckDB) Sniff(ctx context.Context, path string, access []string, o plan.ScanOptions) (out map[string]string, err error) {
	err = d.over(ctx, access, false, func() error {
		out, err = d.Files.Sniff(ctx, d.Cache.local(path), d.locals(access), o)
		return err
	})
	return out, err
}

// Describe implements prepare.DuckDB. What PIVOT is to find in the data is read.
func (d DuckDB) Describe(ctx context.Context, op *plan.SQLOp, access []string) (out prepare.Shape, err error) {
	here := *op
	here.Query, here.Views = d.Cache.local(op.Query), d.views(op.Views)
	ask := func() error {
		out, err = d.Files.Describe(ctx, &here, d.locals(access))
		return err
	}
	if strings.Contains(strings.ToLower(op.Query), "pivot") {
		err = d.over(ctx, access, true, ask)
		return out, err
	}
	err = d.bound(ctx, access, ask)
	return out, err
}

// Plan implements prepare.DuckDB.
func (d DuckDB) Plan(ctx context.Context, r prepare.PlanRequest) (out prepare.Planned, err error) {
	err = d.bound(ctx, r.Access, func() error {
		here := r
		here.SQL, here.Views, here.Access = d.Cache.local(r.SQL), d.views(r.Views), d.locals(r.Access)
		here.Files = make(map[string]plan.File, len(r.Files))
		for path, f := range r.Files {
			f.Path = d.Cache.local(f.Path)
			here.Files[d.Cache.local(path)] = f
		}
		out, err = d.Files.Plan(ctx, here)
		return err
	})
	if err != nil || !reads(r.Access) {
		return out, err
	}
	return d.portable(out)
}

// portable is an answer with the paths of plans.
func (d DuckDB) portable(p prepare.Planned) (out prepare.Planned, err error) {
	text, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal([]byte(d.Cache.portable(string(text))), &out)
	}
	if err != nil {
		return out, fmt.Errorf("remote: a plan: %w", err)
	}
	return out, nil
}

// over answers a request while the objects among access are here: of Parquet files the
// footers, unless they are wanted whole.
func (d DuckDB) over(ctx context.Context, access []string, whole bool, ask func() error) error {
	if !reads(access) {
		return ask()
	}
	var needs []need
	for _, path := range objectsIn(access) {
		needs = append(needs, need{path: path, parquet: isParquet(path) && !whole})
	}
	return d.with(ctx, needs, nil, ask)
}

// bound answers a request that binds a query. Of Parquet files that are read together
// DuckDB looks at the first, as a rule, so that the footers of firsts are here; should it
// look at another, there is none, and it is asked once more over all.
func (d DuckDB) bound(ctx context.Context, access []string, ask func() error) error {
	if !reads(access) {
		return ask()
	}
	var needs []need
	firsts := map[string]string{} // by where they are
	var others []string
	for _, path := range objectsIn(access) {
		if !isParquet(path) {
			needs = append(needs, need{path: path})
			continue
		}
		others = append(others, path)
		if place := placeOf(path); firsts[place] == "" || nameOf(path) < nameOf(firsts[place]) {
			firsts[place] = path
		}
	}
	for _, path := range firsts {
		needs = append(needs, need{path: path, parquet: true})
	}
	err := d.with(ctx, needs, others, ask)
	if err != nil && strings.Contains(err.Error(), noFooter) && ctx.Err() == nil {
		return d.over(ctx, access, false, ask)
	}
	return err
}

// noFooter is in DuckDB's words when a Parquet file's end is not one.
const noFooter = "No magic bytes found at end of file"

// placeOf is where an object is: s3://bucket, pond://sales.
func placeOf(path string) string {
	scheme, rest, _ := strings.Cut(nameOf(path), "://")
	place, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + place
}

func nameOf(path string) string {
	o, _ := object.FromPath(path)
	return o.Name
}

// with answers a request while what is needed of objects is here, and a file for each of
// others.
func (d DuckDB) with(ctx context.Context, needs []need, others []string, ask func() error) error {
	release, err := d.Cache.bringAll(ctx, needs, others...)
	if err != nil {
		return err
	}
	defer release()
	return d.Cache.toUser(ask())
}

// reads reports whether there are objects among paths.
func reads(access []string) bool {
	return slices.ContainsFunc(access, func(path string) bool { return strings.HasPrefix(path, object.Root) })
}

func (d DuckDB) locals(paths []string) []string {
	if !reads(paths) {
		return paths
	}
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = d.Cache.local(p)
	}
	return out
}

func (d DuckDB) views(list []plan.View) []plan.View {
	out := slices.Clone(list)
	for i := range out {
		out[i].SQL = d.Cache.local(out[i].SQL)
	}
	return out
}
