package frame

import (
	"fmt"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/template"
)

// Range exchanges: a stage that samples the keys, one that makes bounds of the
// samples, one that cuts the rows at the bounds.

func (c *compiler) byRange(n *plan.Node, r *rel, by []string, parts int) *rel {
	if parts == 1 {
		return c.gather(r, asked, false)
	}
	ex := plan.Exchange{Kind: plan.Range, Partitions: parts}
	for _, s := range by {
		expr, order, _ := template.SplitTerm(s) // Validate has checked it
		ex.Keys, ex.Order = append(ex.Keys, expr), append(ex.Order, order)
	}
	ex.Keys, ex.Order = append(ex.Keys, plan.BlobKey), append(ex.Order, "ASC NULLS LAST")
	if !cheap(r.v) {
		r = &rel{c.reread(r, plan.ReadSegments, r.l.n, false), r.l} // its rows are needed twice
	}
	sample := c.leave(c.sample(n, r, &ex), exit{ex: plan.Exchange{Kind: plan.Single, Partitions: 1}, repeatable: true, sample: true})
	e := c.leave(r, exit{ex: ex, bounds: c.bounds(n, sample, parts), repeatable: true})
	return &rel{c.read([]*exit{e}, plan.ReadPartition, parts), layout{kind: laidRange, n: parts, detail: "bounds of " + string(n.ID)}}
}

// cheap reports whether a view is better computed twice than kept.
func cheap(v *view) bool {
	if v.direct() {
		return true
	}
	if !v.rowwise || v.fn != nil {
		return false
	}
	for _, a := range v.args {
		if !cheap(a) {
			return false
		}
	}
	return true
}

// sample is the sort keys of some of a rel's rows. Rows of a Parquet scan are
// chosen by their number, so that every attempt chooses the same. Others are
// drawn.
func (c *compiler) sample(n *plan.Node, r *rel, ex *plan.Exchange) *rel {
	if leaf := scanLeaf(r.v); leaf != nil && leaf.scan.Format == plan.Parquet && rowsKnown(leaf.files) {
		var rows int64
		for i := range leaf.files {
			rows += leaf.files[i].Rows()
		}
		v := c.regrow(r.v, leaf, c.everyNth(leaf, max(rows/plan.SampleRows(ex.Partitions), 1)))
		return c.sortKeys(n, &rel{v, r.l}, ex, "")
	}
	s := c.sortKeys(n, r, ex, plan.SampleClause(ex.Partitions, r.l.n))
	s.v.unordered = true // which rows are drawn hangs on the order they come in
	return s
}

func (c *compiler) sortKeys(n *plan.Node, r *rel, ex *plan.Exchange, rest string) *rel {
	v := c.step("sample for "+string(n.ID), r.l.n, c.words(ex.Keys...), template.From(ex.SortKey()+" AS k", rest), r.v)
	return &rel{v, r.l}
}

// everyNth is about one in so many rows of a scan, chosen by row number.
func (c *compiler) everyNth(scan *view, nth int64) *view {
	if nth == 1 {
		return scan
	}
	numbered := c.rescan(scan, scan.scan.Splits, laidAuto).v
	numbered.scan.Options.RowNumber, numbered.scan.Broadcast, numbered.n = true, scan.scan.Broadcast, scan.n
	list := "*"
	if !scan.scan.Options.RowNumber {
		list = "* EXCLUDE (" + plan.RowNumber + ")"
	}
	v := c.step(scan.label, scan.n, traits{}, template.From(list, fmt.Sprintf(" WHERE hash(%s) %% %d = 0", plan.RowNumber, nth)), numbered)
	v.rowwise = true
	return v
}

// scanLeaf is the scan under a chain of rowwise steps, nil when there is none.
func scanLeaf(v *view) *view {
	for v.scan == nil {
		if !v.rowwise || v.fn != nil || len(v.args) != 1 {
			return nil
		}
		v = v.args[0]
	}
	return v
}

// regrow is the chain over leaf, over another view in its place.
func (c *compiler) regrow(v, leaf, other *view) *view {
	if v == leaf {
		return other
	}
	w := *v
	w.args = []*view{c.regrow(v.args[0], leaf, other)}
	return c.add(&w)
}

// bounds is the stage that makes bounds of a sample: the keys at which it falls
// into equal parts.
func (c *compiler) bounds(n *plan.Node, sample *exit, parts int) *exit {
	all := c.read([]*exit{sample}, plan.ReadPartition, 1)
	before, after := plan.BoundsSQL("k", parts)
	t := template.Template{template.Text(before), template.View(0), template.Text(after)}
	v := c.step("bounds for "+string(n.ID), 1, traits{}, t, all)
	v.ordered, v.why = true, fmt.Sprintf("finds the bounds of %d ranges", parts)
	return c.leave(&rel{v, layout{kind: laidSingle, n: 1}},
		exit{ex: plan.Exchange{Kind: plan.Single, Partitions: 1}, repeatable: true, ordered: true})
}
