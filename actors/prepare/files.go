package prepare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/duck/glob"
)

// catalog finds the files behind a plan's sources, and their facts.
func (p *Planner) catalog(ctx context.Context, program *plan.Plan) (plan.Catalog, []string, error) {
	cat := plan.Catalog{}
	var access []string
	for _, src := range program.Sources() {
		facts, paths, err := p.facts(ctx, &src)
		if err != nil {
			te := *plan.AsError(err)
			te.Op = fmt.Sprintf("step %q: %s", src.Node, cmp.Or(te.Op, "read"))
			return nil, nil, &te
		}
		cat[src.Node] = *facts
		access = append(access, paths...)
	}
	return cat, access, nil
}

// facts resolves one source.
func (p *Planner) facts(ctx context.Context, src *plan.Source) (*plan.Facts, []string, error) {
	patterns := src.Access
	if src.Read != nil {
		patterns = src.Read.Paths
	}
	infos, err := p.find(ctx, src, patterns)
	if err != nil {
		return nil, nil, err
	}
	facts := &plan.Facts{}
	var access []string
	for _, pattern := range patterns { // what SQL names is itself looked at, but gives no folder
		if pattern = strings.TrimRight(pattern, "/"); pattern != "" {
			access = append(access, pattern)
		}
	}
	for _, pattern := range patterns {
		if folder, ok := glob.Folder(pattern); ok {
			access = append(access, folder)
		}
	}
	for _, f := range infos {
		facts.Files = append(facts.Files, plan.File{Path: f.Path, Size: f.Size, ModTime: f.ModTime.UnixNano()})
		access = append(access, f.Path, plan.EscapeGlob(f.Path)) // DuckDB looks at the latter to find the former
	}
	if src.Read == nil || src.Read.Format == plan.Arrow {
		return facts, access, nil
	}
	if src.Read.Format == plan.CSV {
		facts.Files = withoutEmpty(facts.Files)
	}
	if src.Footers {
		if err := p.rowGroups(ctx, facts, access); err != nil {
			return nil, nil, err
		}
	}
	names := make([]string, len(infos))
	for i, f := range infos {
		names[i] = nameOf(f.Path)
	}
	t, err := p.tableOf(ctx, src.Read, names)
	if err == nil && t == nil {
		return facts, access, p.describe(ctx, src.Read, facts, access)
	}
	if t != nil {
		facts.Columns = t.Columns
	}
	return facts, access, err
}

// find lists the files that patterns mean, all of which a job may read. A DataFrame's
// folders are those in them, or below them where that is asked for: key folders always
// are.
func (p *Planner) find(ctx context.Context, src *plan.Source, patterns []string) ([]glob.File, error) {
	check := p.rules.Check()
	for _, pattern := range patterns {
		if err := check.Read(pattern); err != nil {
			return nil, err
		}
	}
	find := glob.Find
	if src.Read != nil {
		find = glob.FindIn
		if src.Recursive || src.Read.Options.Hive {
			find = glob.FindBelow
		}
	}
	var strict []string
	var objects []glob.File
	for _, p := range patterns {
		if f, ok := objectFile(p); ok {
			objects = append(objects, f)
		} else if !slices.Contains(src.Lax, p) {
			strict = append(strict, p)
		}
	}
	files, err := find(ctx, strict)
	files = append(files, objects...)
	for _, pattern := range src.Lax {
		more, e := glob.Find(ctx, []string{pattern})
		if e != nil && !errors.Is(e, iofs.ErrNotExist) {
			err = errors.Join(err, e)
		}
		files = append(files, more...)
	}
	if err != nil {
		return nil, fileError(patterns, err)
	}
	slices.SortFunc(files, func(a, b glob.File) int { return strings.Compare(nameOf(a.Path), nameOf(b.Path)) })
	files = slices.Compact(files)
	for _, f := range files { // a link among them may lead anywhere
		if err := check.Read(f.Path); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// withoutEmpty leaves out files without a byte, which tell nothing of their
// columns; but not the only ones.
func withoutEmpty(files []plan.File) []plan.File {
	full := slices.DeleteFunc(slices.Clone(files), func(f plan.File) bool { return f.Size == 0 })
	if len(full) == 0 {
		return files
	}
	return full
}

// rowGroups finds the row groups of Parquet files.
func (p *Planner) rowGroups(ctx context.Context, facts *plan.Facts, access []string) error {
	list, err := p.footers.of(ctx, p, facts.Files, access)
	if err != nil {
		return err
	}
	for i := range facts.Files {
		facts.Files[i].Groups = list[i].groups
	}
	return nil
}

// describe asks DuckDB for the columns of all the files together.
func (p *Planner) describe(ctx context.Context, r *plan.ReadOp, facts *plan.Facts, access []string) error {
	scan := &plan.Scan{Format: r.Format, Options: r.Options}
	scan.Options.Columns, scan.Options.Filename, scan.Options.RowNumber = nil, false, false
	pieces := make([]plan.Piece, len(facts.Files))
	for i, f := range facts.Files {
		pieces[i] = plan.Piece{Path: f.Path, Rows: -1, Whole: true}
	}
	if r.Format == plan.CSV && len(facts.Files) > 0 {
		dialect, err := p.duckdb.Sniff(ctx, facts.Files[0].Path, access, r.Options)
		if err != nil {
			return err
		}
		facts.CSV = dialect
	}
	columns, err := p.duckdb.Columns(ctx, scan.SQL(pieces), access)
	if err != nil {
		return err
	}
	facts.Columns = append(facts.Columns, columns...)
	return nil
}

// fileError is err, about files that patterns name.
func fileError(patterns []string, err error) error {
	for _, p := range patterns {
		if scheme, _, ok := strings.Cut(p, "://"); ok && !strings.ContainsAny(scheme, "/.") {
			return &plan.Error{Kind: plan.KindUser, Op: "read", Subject: p, Text: scheme + " is not read: a pond reads files",
				Hint: "copy the data to where every node can read it, or mount it there as a file system"}
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	te := syserr.File("read", strings.Join(patterns, ", "), err)
	switch {
	case errors.Is(err, iofs.ErrNotExist): // of a pattern, too
		te.Kind, te.Hint = plan.KindNotFound, "paths are looked up on the nodes: give a path that every node can read"
	case errors.Is(err, glob.ErrName):
		te.Kind, te.Hint = plan.KindUser, "rename the file: SQL is UTF-8, and cannot name it"
	case errors.Is(err, glob.ErrTwice):
		te.Kind, te.Hint = plan.KindUser, "one ** is enough: it stands for folders of any depth"
	}
	return te
}

// NamedBytes returns, for each stage, the size of the files that only its SQL
// names, not the plan; 0 if unknown.
func (p *Planner) NamedBytes(ctx context.Context, job *plan.Job) []int64 {
	out := make([]int64, len(job.Stages))
	for i, s := range job.Stages {
		if len(s.Access) == 0 || slices.ContainsFunc(s.Inputs, func(in plan.Input) bool { return in.Scan != nil }) {
			continue
		}
		var paths []string
		for _, path := range s.Access {
			if f, ok := objectFile(path); ok {
				out[i] += f.Size
			} else {
				paths = append(paths, path)
			}
		}
		infos, err := glob.Find(ctx, paths)
		if err != nil {
			p.log.Debug("sizes of the files of a stage", "stage", s.Name, "err", err)
			continue
		}
		seen := map[string]bool{}
		for _, f := range infos {
			if !seen[f.Path] {
				seen[f.Path] = true
				out[i] += f.Size
			}
		}
	}
	return out
}
