package api

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/plan"
)

// givenMax bounds the rows of one part whose hashes are kept, 128 MiB of them: when a
// larger part is lost while it is read, the reading ends.
const givenMax = 16 << 20

// given is the rows that a reading has yielded. They cannot be taken back: a result
// that was made anew is read on behind them, and only if they are in it.
type given struct {
	before []tally  // of each part that was yielded whole
	part   tally    // of the present segment, from its beginning
	rows   []uint64 // hashes of the rows yielded of the present part, by whatever segment
	many   bool     // there were more than givenMax; rows is empty
	skip   map[uint64]int
	hashes []uint64 // of the present batch
}

// begins notes that a segment is read from its beginning, as this part. Rows of it
// that another segment gave are left out.
func (g *given) begins() {
	g.part, g.skip = tally{}, nil
	if len(g.rows) > 0 {
		g.skip = make(map[uint64]int, len(g.rows))
		for _, h := range g.rows {
			g.skip[h]++
		}
	}
}

// take notes a batch and calls yield with what of it has not been given yet, in
// order. It stops when yield returns false.
func (g *given) take(rec arrow.RecordBatch, yield func(arrow.RecordBatch) bool) {
	g.hashes = rowHashes(g.hashes[:0], rec)
	g.part.add(g.hashes)
	if len(g.skip) == 0 {
		g.note(g.hashes)
		yield(rec)
		return
	}
	for from := 0; from < len(g.hashes); {
		to := from
		for to < len(g.hashes) && g.skip[g.hashes[to]] == 0 {
			to++
		}
		if to > from {
			g.note(g.hashes[from:to])
			cut := rec.NewSlice(int64(from), int64(to))
			more := yield(cut)
			cut.Release()
			if !more {
				return
			}
		}
		for ; to < len(g.hashes) && g.skip[g.hashes[to]] > 0; to++ {
			if h := g.hashes[to]; g.skip[h] == 1 {
				delete(g.skip, h)
			} else {
				g.skip[h]--
			}
		}
		from = to
	}
}

func (g *given) note(hashes []uint64) {
	if g.many = g.many || len(g.rows)+len(hashes) > givenMax; g.many {
		g.rows = nil
		return
	}
	g.rows = append(g.rows, hashes...)
}

// ends notes that the segment has been read to its end. It fails when rows that were
// given are not in it.
func (g *given) ends() error {
	if len(g.skip) > 0 {
		return errOtherRows
	}
	g.before = append(g.before, g.part)
	g.part, g.rows, g.many = tally{}, g.rows[:0], false
	return nil
}

// begun reports whether rows of the present part have been given.
func (g *given) begun() bool { return g.many || len(g.rows) > 0 }

var errOtherRows = &plan.Error{Kind: plan.KindFetch, Op: "read the result", Text: "part of it was lost and made anew, and gave other rows than those that had been read",
	Hint: "read it again from the beginning; a query whose rows differ from run to run (random(), LIMIT without ORDER BY) may do so each time"}
