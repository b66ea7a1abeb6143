package distribute

import (
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
)

// Rows that go to a few folders are written where they are. With many, each task would
// open them all: the rows are sent to the task of their folder first, which is worth
// less than the opening of a file a folder and task.

// manyFolders reports whether a task would write to more folders than it can have open.
// The first rows tell: they are rows of one task, and it does not matter how many
// folders others have. Of rows that nobody has looked at, the statistics tell how many
// folders there may be: to send rows in vain costs less than to open each folder's file
// in each task.
func (p *planner) manyFolders(r *rel) bool {
	if p.q.Folders > 0 {
		return p.q.Folders > plan.ManyFolders
	}
	keys := p.folderKeys(r)
	return len(keys) > 0 && r.groups(keys) > plan.ManyFolders
}

// folderKeys are the columns that say which folder a row goes to; none if rows go to no
// folders, or to ones of columns that there are not, which DuckDB refuses.
func (p *planner) folderKeys(r *rel) []logical.Expr {
	var out []logical.Expr
	for _, name := range p.q.Write.PartitionBy {
		i := slices.IndexFunc(p.q.Tree.Names, func(s string) bool { return strings.EqualFold(s, name) })
		if i < 0 {
			return nil
		}
		out = append(out, ref(r.op.Head().Columns, i))
	}
	return out
}

// byFolder sends the rows of many folders to the tasks of their folders. An order that
// the query asks for is kept in each.
func (p *planner) byFolder(r *rel, many bool) (*rel, error) {
	keys := p.folderKeys(r)
	if !many || r.n <= 1 || len(keys) == 0 || covered(r.hashedBy, keys) {
		return r, nil
	}
	keep := r.sorted && r.stable
	out, err := p.exchange(r, keys, p.parts, keep)
	if err == nil {
		out.stable, out.sorted = keep, keep
	}
	return out, err
}
