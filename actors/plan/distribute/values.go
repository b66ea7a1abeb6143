package distribute

import (
	"strings"

	"github.com/pondmesh/pond/duck/logical"
)

// How many values columns have is guessed from the files' statistics, so that the
// rows of a GROUP BY by few values are known to be few. Nothing but the choice
// between plans hangs on it.

// valuesOf guesses the number of distinct values of each column of a scan; columns
// without statistics are left out.
func (p *planner) valuesOf(g *logical.Get, s *scan) map[int]float64 {
	out := map[int]float64{}
	for i, at := range g.Project {
		if r := g.Reads[at]; r.Column >= 0 && r.Extract == nil {
			if n := p.distinctOf(g.Schema[r.Column], s); n > 0 {
				out[i] = n
			}
		}
	}
	return out
}

// distinctOf is the most values that a row group of the files has of a column; of
// all row groups together, when each has its own. 0: not known.
func (p *planner) distinctOf(c logical.Column, s *scan) float64 {
	name := strings.ToLower(c.Name)
	most, sum := 0.0, 0.0
	var first, last *bounds
	for _, f := range s.files {
		stats := p.facts.Stats[f.Path]
		if len(stats) != len(f.Groups) || len(stats) == 0 {
			return 0
		}
		for i, rows := range f.Groups {
			r := stats[i][name]
			n := float64(r.Distinct)
			if r.Distinct <= 0 || r.Distinct > rows.Rows {
				n = float64(rows.Rows)
			}
			most, sum = max(most, n), sum+n
			if last = newBounds(r, c.Type, rows.Rows); first == nil {
				first = last
			}
		}
	}
	if first == nil || !first.known || !last.known || first.max.compare(last.min) < 0 || last.max.compare(first.min) < 0 {
		return sum
	}
	return most
}

// parts are how many values the parts of dates and times have.
var parts = map[string]float64{"month": 12, "quarter": 4, "day": 31, "dayofweek": 7, "weekday": 7, "isodow": 7, "week": 53, "dayofyear": 366, "hour": 24, "minute": 60}

const daysPerYear = 365

// valuesIn guesses how many values an expression over r's rows has: no more than
// its columns have together.
func (r *rel) valuesIn(x logical.Expr) float64 {
	if f, ok := x.(*logical.Func); ok && len(f.Args) == 1 {
		switch n := r.valuesIn(f.Args[0]); {
		case f.Name == "year":
			return n/daysPerYear + 1
		case parts[f.Name] > 0:
			return min(n, parts[f.Name])
		}
	}
	f := logical.FactsOf(x)
	if f.Volatile || f.Unknown {
		return r.rows
	}
	n := 1.0
	for c := range f.Columns {
		v, ok := r.values[c]
		if !ok {
			return r.rows
		}
		n *= v
	}
	return n
}

// groups guesses how many groups expressions make of r's rows.
func (r *rel) groups(keys []logical.Expr) float64 {
	if len(keys) == 0 {
		return 1
	}
	n := 1.0
	for _, k := range keys {
		n *= r.valuesIn(k)
	}
	return max(min(n, r.rows/4), 1)
}
