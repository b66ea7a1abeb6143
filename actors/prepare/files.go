package prepare

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
)

// catalog finds the files behind a plan's sources, and what they hold.
func (p *Planner) catalog(ctx context.Context, program *plan.Plan) (plan.Catalog, []string, error) {
	cat := plan.Catalog{}
	var access []string
	for _, src := range program.Sources() {
		facts, paths, err := p.facts(ctx, &src)
		if err != nil {
			te := *plan.AsError(err)
			if te.Op == "" {
				te.Op = fmt.Sprintf("step %q: read", src.Node)
			}
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
	for _, pattern := range patterns {
		if err := p.mayRead(pattern); err != nil {
			return nil, nil, err
		}
	}
	infos, err := p.engines.Planner.Glob(ctx, deepen(src, patterns))
	if err != nil {
		return nil, nil, fileError(patterns, err)
	}
	facts := &plan.Facts{}
	access := slices.Clone(patterns) // a glob in SQL is itself looked at
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
		if err := p.rowGroups(ctx, facts); err != nil {
			return nil, nil, err
		}
	}
	if facts.Columns == nil {
		return facts, access, p.describe(ctx, src.Read, facts)
	}
	return facts, access, nil
}

// deepen has folders stand for all that is below them, when that is wanted: key
// folders always are.
func deepen(src *plan.Source, patterns []string) []string {
	if !src.Recursive && (src.Read == nil || !src.Read.Options.Hive) {
		return patterns
	}
	out := slices.Clone(patterns)
	for i, p := range out {
		if st, err := os.Stat(p); err == nil && st.IsDir() {
			out[i] = filepath.Join(p, "**")
		}
	}
	return out
}

// mayRead refuses the node's own folder: keys and other jobs' rows are in it.
func (p *Planner) mayRead(pattern string) error {
	own, err1 := filepath.Abs(p.ownDir)
	path, err2 := filepath.Abs(pattern)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if path == own || strings.HasPrefix(path, own+string(filepath.Separator)) {
		return &plan.Error{Kind: plan.KindDenied, Op: "read", Subject: pattern, Text: "this is inside the node's own data folder"}
	}
	return nil
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
func (p *Planner) rowGroups(ctx context.Context, facts *plan.Facts) error {
	list, err := p.footers.of(ctx, p.engines.Planner, facts.Files)
	if err != nil {
		return engines.Error("read", err)
	}
	for i := range facts.Files {
		facts.Files[i].Groups = list[i].groups
	}
	return nil
}

// describe asks DuckDB for the columns of all the files together.
func (p *Planner) describe(ctx context.Context, r *plan.ReadOp, facts *plan.Facts) error {
	scan := &plan.Scan{Format: r.Format, Options: r.Options}
	scan.Options.Columns, scan.Options.Filename, scan.Options.RowNumber = nil, false, false
	pieces := make([]plan.Piece, len(facts.Files))
	for i, f := range facts.Files {
		pieces[i] = plan.Piece{Path: f.Path, Rows: -1, Whole: true}
	}
	if r.Format == plan.CSV && len(facts.Files) > 0 {
		dialect, err := p.sniff(ctx, facts.Files[0].Path, r.Options)
		if err != nil {
			return engines.Error("read", err)
		}
		facts.CSV = dialect
	}
	schema, err := p.engines.Planner.Schema(ctx, scan.SQL(pieces))
	if err != nil {
		return engines.Error("read", err)
	}
	for _, f := range schema.Fields {
		facts.Columns = append(facts.Columns, plan.Column{Name: f.Name, Type: f.Type.SQL})
	}
	return nil
}

// sniff is what a CSV file tells of how all of its set are written, as SQL
// literals; nothing when it cannot be told: reading then says why.
func (p *Planner) sniff(ctx context.Context, path string, o plan.ScanOptions) (map[string]string, error) {
	args := plan.QuoteString(plan.EscapeGlob(path))
	for k, v := range o.CSV {
		args += ", " + k + " = " + v
	}
	out := map[string]string{}
	sql := fmt.Sprintf("SELECT coalesce(DateFormat, ''), coalesce(TimestampFormat, ''), CASE WHEN HasHeader THEN 'true' ELSE '' END FROM sniff_csv(%s)", args)
	_, err := p.engines.Planner.Fetch(ctx, sql, func(c *vec.Chunk) error {
		for i, name := range []string{"dateformat", "timestampformat", "header"} {
			switch v := string((*vec.Str)(c.Columns[i].Data).Bytes()); {
			case v == "" || name == "header" && len(o.Schema) > 0:
			case name == "header":
				out[name] = v
			default:
				out[name] = plan.QuoteString(v)
			}
		}
		return nil
	})
	if errors.Is(err, duck.ErrQuery) {
		return nil, nil
	}
	return out, err
}

func fileError(patterns []string, err error) error {
	for _, p := range patterns {
		if scheme, _, ok := strings.Cut(p, "://"); ok && !strings.ContainsAny(scheme, "/.") {
			return &plan.Error{Kind: plan.KindUser, Op: "read", Subject: p, Text: scheme + " is not read: a pond reads files",
				Hint: "copy the data to where every node can read it, or mount it there as a file system"}
		}
	}
	if errors.Is(err, iofs.ErrNotExist) {
		return &plan.Error{Kind: plan.KindNotFound, Op: "read", Subject: strings.Join(patterns, ", "), Text: err.Error(),
			Hint: "paths are looked up on the nodes: give a path that every node can read"}
	}
	return &plan.Error{Kind: plan.KindUser, Op: "read", Subject: strings.Join(patterns, ", "), Text: err.Error()}
}

// NamedBytes is, for each stage, the size of the files that its SQL names by
// itself: what is not to be found in the plan. 0 where that cannot be told.
func (p *Planner) NamedBytes(ctx context.Context, job *plan.Job) []int64 {
	out := make([]int64, len(job.Stages))
	for i, s := range job.Stages {
		if len(s.Access) == 0 || slices.ContainsFunc(s.Inputs, func(in plan.Input) bool { return in.Scan != nil }) {
			continue
		}
		infos, err := p.engines.Planner.Glob(ctx, s.Access)
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
