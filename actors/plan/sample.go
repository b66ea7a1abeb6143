package plan

import "fmt"

// Range exchanges: a stage that samples the keys, one that makes bounds of the
// samples, one that cuts the rows at the bounds.

const (
	sampleRowsMin = 100_000 // rows of a sample, of all tasks together, at least
	samplePerPart = 200     // and at least so many a partition
	sampleTaskMin = 256
	sampleTaskMax = 65536
)

// blobKey is a key that orders nothing.
const blobKey = "''"

func (c *compiler) byRange(n *Node, r *rel, by []string, parts int) *rel {
	if parts == 1 {
		return c.gather(r, asked, false)
	}
	ex := Exchange{Kind: Range, Partitions: parts}
	for _, s := range by {
		expr, order, _ := splitTerm(s) // Validate has checked it
		ex.Keys, ex.Order = append(ex.Keys, expr), append(ex.Order, order)
	}
	// DuckDB makes a BIGINT of short keys and a BLOB of others. A string among
	// them makes it a BLOB always.
	ex.Keys, ex.Order = append(ex.Keys, blobKey), append(ex.Order, "ASC NULLS LAST")
	if !cheap(r.v) {
		r = &rel{c.reread(r, ReadSegments, r.l.n, false), r.l} // its rows are needed twice
	}
	sample := c.leave(c.sample(n, r, &ex), exit{ex: Exchange{Kind: Single, Partitions: 1}, repeatable: true, sample: true})
	e := c.leave(r, exit{ex: ex, bounds: c.bounds(n, sample, parts), repeatable: true})
	return &rel{c.read([]*exit{e}, ReadPartition, parts), layout{kind: laidRange, n: parts, detail: "bounds of " + string(n.ID)}}
}

// cheap is true of what is better computed twice than kept.
func cheap(v *vert) bool {
	if v.bare() {
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
func (c *compiler) sample(n *Node, r *rel, ex *Exchange) *rel {
	want := max(int64(ex.Partitions)*samplePerPart, sampleRowsMin)
	if leaf := scanLeaf(r.v); leaf != nil && leaf.scan.Format == Parquet && rowsKnown(leaf.files) {
		var rows int64
		for i := range leaf.files {
			rows += leaf.files[i].Rows()
		}
		v := c.regrow(r.v, leaf, c.everyNth(leaf, max(rows/want, 1)))
		return c.sortKeys(n, &rel{v, r.l}, ex, "")
	}
	each := min(max(want/int64(r.l.n), sampleTaskMin), sampleTaskMax)
	s := c.sortKeys(n, r, ex, fmt.Sprintf(" USING SAMPLE reservoir(%d ROWS) REPEATABLE (1)", each))
	s.v.unordered = true // which rows are drawn hangs on the order they come in
	return s
}

func (c *compiler) sortKeys(n *Node, r *rel, ex *Exchange, rest string) *rel {
	v := c.step("sample for "+string(n.ID), r.l.n, c.words(ex.Keys...), from(ex.SortKey()+" AS k", rest), r.v)
	return &rel{v, r.l}
}

// everyNth is about one in so many rows of a scan, chosen by row number.
func (c *compiler) everyNth(scan *vert, nth int64) *vert {
	if nth == 1 {
		return scan
	}
	numbered := c.rescan(scan, scan.scan.Splits, laidAuto).v
	numbered.scan.Options.RowNumber, numbered.scan.Shared, numbered.n = true, scan.scan.Shared, scan.n
	list := "*"
	if !scan.scan.Options.RowNumber {
		list = "* EXCLUDE (" + rowNumber + ")"
	}
	v := c.step(scan.label, scan.n, traits{}, from(list, fmt.Sprintf(" WHERE hash(%s) %% %d = 0", rowNumber, nth)), numbered)
	v.rowwise = true
	return v
}

// scanLeaf is the scan under a chain of rowwise steps, nil when there is none.
func scanLeaf(v *vert) *vert {
	for v.scan == nil {
		if !v.rowwise || v.fn != nil || len(v.args) != 1 {
			return nil
		}
		v = v.args[0]
	}
	return v
}

// regrow is the chain over leaf, over another vert in its place.
func (c *compiler) regrow(v, leaf, other *vert) *vert {
	if v == leaf {
		return other
	}
	w := *v
	w.args = []*vert{c.regrow(v.args[0], leaf, other)}
	return c.vert(&w)
}

// bounds is the stage that makes bounds of a sample: the keys at which it falls
// into equal parts.
func (c *compiler) bounds(n *Node, sample *exit, parts int) *exit {
	all := c.read([]*exit{sample}, ReadPartition, 1)
	t := template{
		text("SELECT k FROM (SELECT k, row_number() OVER (ORDER BY k) AS i, count(*) OVER () AS n FROM "), {input: 0},
		text(fmt.Sprintf(") WHERE i * %d // n <> (i - 1) * %d // n AND i < n ORDER BY k", parts, parts)),
	}
	v := c.step("bounds for "+string(n.ID), 1, traits{}, t, all)
	v.ordered, v.why = true, fmt.Sprintf("finds the bounds of %d ranges", parts)
	return c.leave(&rel{v, layout{kind: laidSingle, n: 1}},
		exit{ex: Exchange{Kind: Single, Partitions: 1}, repeatable: true, ordered: true})
}
