package distribute

import (
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
	"github.com/pondmesh/pond/duck/tree"
)

// singleTask is the query as the user wrote it, in one task.
func singleTask(q *Query, facts Facts, o Options, why string) *plan.Job {
	s := &plan.Stage{
		Name: "query", Query: q.SQL, Exchange: plan.Exchange{Kind: plan.Single, Partitions: 1}, Tasks: plan.Tasks{N: 1},
		Gathered: why, Access: q.Access, Ordered: true, Deterministic: q.Repeatable,
	}
	for _, v := range q.Views {
		s.Steps = append(s.Steps, plan.Step{View: v.Name, SQL: v.SQL})
	}
	if q.Tree != nil {
		s.Deterministic = !anyVolatile(q.Tree.Root) && !nondeterministic(q.Tree.Root)
		if s.Access == nil {
			s.Access = filesOf(q.Tree.Root)
		}
		s.Reads = readsOf(q, q.Tree.Root)
	}
	result := plan.Result{Ordered: true}
	if q.Write != nil {
		w := *q.Write
		s.Exchange = plan.Exchange{Kind: plan.Files, Partitions: 1, Write: &w, Grouped: q.Folders > plan.ManyFolders}
		result.Write = &w
	}
	b := plan.NewBuilder(o.JobID, o.Salt, result)
	b.Add(s, plan.Identity{Once: q.Write != nil, Files: allFiles(facts)})
	return b.Job()
}

// filesOf are the files that a tree reads.
func filesOf(root logical.Operator) []string {
	var out []string
	logical.Walk(root, func(op logical.Operator) bool {
		if g, ok := op.(*logical.Get); ok {
			out = append(out, g.Files...)
		}
		return true
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// readsOf are the columns that a tree reads of the query's Parquet files, by path: none
// of those that DuckDB has pruned. Files whose columns cannot be told are left out, and
// so are all where nobody asks.
func readsOf(q *Query, root logical.Operator) map[string][]string {
	if !q.Elsewhere {
		return nil
	}
	out, odd := map[string][]string{}, map[string]bool{}
	for _, path := range q.Access {
		if strings.HasSuffix(strings.ToLower(path), ".parquet") {
			out[path] = []string{}
		}
	}
	logical.Walk(root, func(op logical.Operator) bool {
		if g, ok := op.(*logical.Get); ok {
			columns := namesRead(g)
			for _, path := range g.Files {
				odd[path] = odd[path] || columns == nil
				out[path] = append(out[path], columns...)
			}
		}
		return true
	})
	for path, columns := range out {
		slices.Sort(columns)
		if out[path] = slices.Compact(columns); odd[path] {
			delete(out, path)
		}
	}
	return out
}

// namesRead are the columns that a scan of Parquet files reads; nil if that cannot be
// told.
func namesRead(g *logical.Get) []string {
	if g.Opaque != "" || g.Source != "" || slices.ContainsFunc(g.Scan.Args, func(a logical.Arg) bool { return a.Name == "schema" }) {
		return nil
	}
	out := []string{}
	want := wanted(g)
	for i, c := range g.Schema {
		if want[i] {
			out = append(out, c.Name)
		}
	}
	return out
}

// namesFiles reports whether a tree calls a function that finds its files itself.
func namesFiles(root logical.Operator) bool {
	found := false
	logical.Walk(root, func(op logical.Operator) bool {
		g, ok := op.(*logical.Get)
		found = found || ok && tree.IsReader(g.Func) && g.Files == nil
		return true
	})
	return found
}

// allFiles are the files that facts speak of, in order.
func allFiles(f Facts) []plan.File {
	var out []plan.File
	for _, path := range sortedKeys(f.Files) {
		out = append(out, f.Files[path])
	}
	for _, name := range sortedKeys(f.Tables) {
		out = append(out, f.Tables[name].Files...)
	}
	return out
}
