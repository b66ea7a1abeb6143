package actors

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/mesh"
)

// formatSalt is hashed into every stage id. It changes when rows would be cut,
// hashed or encoded otherwise than before.
const formatSalt = "pond-1"

// compiledJob is a plan made ready: its stages, and what its SQL may read.
type compiledJob struct {
	plan   *plan.Job
	access []string
	query  *distribute.Planned // of a query, while it runs: to plan the rest again
}

// compile resolves the files that a job names and plans it.
func (n *Node) compile(ctx context.Context, spec *api.JobSpec) (*compiledJob, error) {
	if spec.Plan == nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "compile", Text: "the job has no plan"}
	}
	if err := spec.Plan.Validate(); err != nil {
		return nil, err
	}
	slots, target := capacity(n.mesh.View())
	if op := wholeQuery(spec.Plan); op != nil {
		return n.compileQuery(ctx, spec, op, slots, target)
	}
	cat, access, err := n.catalog(ctx, spec.Plan)
	if err != nil {
		return nil, err
	}
	job, err := plan.Compile(spec.Plan, cat, plan.Options{
		JobID: spec.ID, Parallelism: max(slots, spec.Options.Partitions), TargetBytes: target, Functions: n.cfg.Funcs.Versions(),
		Salt: n.salt(),
	})
	if err != nil {
		return nil, err
	}
	return newCompiled(job, access), nil
}

// What a task is meant to read, in compressed bytes: a slot's memory must hold it
// a few times over, decoded and sorted.
const (
	targetShare = 8 // of a slot's memory for each byte
	targetMin   = 1 << 20
	targetMax   = 128 << 20
)

// capacity is the slots of a pond, and the bytes that a task is meant to read: a
// power of two, so that a node more or less seldom makes other partitions.
func capacity(v *mesh.View) (slots int, target int64) {
	least := int64(targetMax * targetShare)
	for _, m := range v.Members {
		if m.State == mesh.Alive && m.Slots > 0 {
			slots += m.Slots
			least = min(least, m.Memory/int64(m.Slots))
		}
	}
	target = targetMin
	for target*2*targetShare <= least {
		target *= 2
	}
	return slots, target
}

// salt is what equal stages of other versions must not share.
func (n *Node) salt() string { return formatSalt + " " + n.duckVersion }

func newCompiled(job *plan.Job, access []string) *compiledJob {
	for _, s := range job.Stages {
		access = append(access, s.Access...)
	}
	slices.Sort(access)
	return &compiledJob{plan: job, access: slices.Compact(access)}
}

// catalog finds the files behind a plan's sources, and what they hold.
func (n *Node) catalog(ctx context.Context, p *plan.Plan) (plan.Catalog, []string, error) {
	cat := plan.Catalog{}
	var access []string
	for _, src := range p.Sources() {
		facts, paths, err := n.facts(ctx, &src)
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
func (n *Node) facts(ctx context.Context, src *plan.Source) (*plan.Facts, []string, error) {
	patterns := src.Access
	if src.Read != nil {
		patterns = src.Read.Paths
	}
	for _, p := range patterns {
		if err := n.mayRead(p); err != nil {
			return nil, nil, err
		}
	}
	infos, err := n.engines.Planner.Glob(ctx, deepen(src, patterns))
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
		if err := n.rowGroups(ctx, facts); err != nil {
			return nil, nil, err
		}
	}
	if facts.Columns == nil {
		return facts, access, n.describe(ctx, src.Read, facts)
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
func (n *Node) mayRead(pattern string) error {
	own, err1 := filepath.Abs(n.cfg.Dir)
	p, err2 := filepath.Abs(pattern)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if p == own || strings.HasPrefix(p, own+string(filepath.Separator)) {
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
func (n *Node) rowGroups(ctx context.Context, facts *plan.Facts) error {
	list, err := n.footers.of(ctx, n.engines.Planner, facts.Files)
	if err != nil {
		return engines.InputError(err)
	}
	for i := range facts.Files {
		facts.Files[i].Groups = list[i].groups
	}
	return nil
}

// describe asks DuckDB for the columns of all the files together.
func (n *Node) describe(ctx context.Context, r *plan.ReadOp, facts *plan.Facts) error {
	scan := &plan.Scan{Format: r.Format, Options: r.Options}
	scan.Options.Columns, scan.Options.Filename, scan.Options.RowNumber = nil, false, false
	pieces := make([]plan.Piece, len(facts.Files))
	for i, f := range facts.Files {
		pieces[i] = plan.Piece{Path: f.Path, Rows: -1, Whole: true}
	}
	if r.Format == plan.CSV && len(facts.Files) > 0 {
		dialect, err := n.sniff(ctx, facts.Files[0].Path, r.Options)
		if err != nil {
			return engines.InputError(err)
		}
		facts.CSV = dialect
	}
	schema, err := n.engines.Planner.Schema(ctx, scan.SQL(pieces))
	if err != nil {
		return engines.InputError(err)
	}
	for _, f := range schema.Fields {
		facts.Columns = append(facts.Columns, plan.Column{Name: f.Name, Type: f.Type.SQL})
	}
	return nil
}

// sniff is what a CSV file tells of how all of its set are written, as SQL
// literals; nothing when it cannot be told: reading then says why.
func (n *Node) sniff(ctx context.Context, path string, o plan.ScanOptions) (map[string]string, error) {
	args := plan.QuoteString(plan.EscapeGlob(path))
	for k, v := range o.CSV {
		args += ", " + k + " = " + v
	}
	out := map[string]string{}
	sql := fmt.Sprintf("SELECT coalesce(DateFormat, ''), coalesce(TimestampFormat, ''), CASE WHEN HasHeader THEN 'true' ELSE '' END FROM sniff_csv(%s)", args)
	_, err := n.engines.Planner.Fetch(ctx, sql, func(c *vec.Chunk) error {
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
