package plan

import "slices"

// TasksFor is how many tasks a scan of so many compressed bytes deserves: enough
// for every slot when each gets something worth having, and more only to keep a
// task under the target. Negative: not known.
func (o *Options) TasksFor(bytes int64) int {
	c := *o
	c.Parallelism = max(c.Parallelism, 1)
	if c.TargetBytes <= 0 {
		c.TargetBytes = defaultTargetBytes
	}
	return c.tasksFor(bytes)
}

// Units are the smallest pieces that are cut without decoding what lies before
// them: a file's row groups if it has two or more, else the whole file.
func Units(files []File) []Piece { return units(files) }

// SplitBytes cuts units of files into at most n tasks of about as many bytes
// each; none is empty.
func SplitBytes(us []Piece, files []File, n int) [][]Piece {
	return splitUnits(us, rowsByPath(files), n)
}

// SplitRows cuts units of files into exactly n tasks: of as many rows each but
// for one where all rows are known, else of as many units.
func SplitRows(us []Piece, files []File, n int) [][]Piece {
	rows := rowsByPath(files)
	var total int64
	known := true
	for _, u := range us {
		known = known && u.Rows >= 0
		total += u.Rows
	}
	out := make([][]Piece, n)
	if !known {
		for t := range n {
			lo, hi := share(int64(len(us)), n, t)
			out[t] = joinPieces(slices.Clone(us[lo:hi]), rows)
		}
		return out
	}
	at, first := 0, int64(0) // the unit that holds row `first`, its first row
	for t := range n {
		lo, hi := share(total, n, t)
		for lo < hi {
			u := us[at]
			if lo >= first+u.Rows {
				first += u.Rows
				at++
				continue
			}
			end := min(hi, first+u.Rows)
			p := u
			p.Start, p.Rows = u.Start+lo-first, end-lo
			p.Whole = u.Whole && p.Rows == u.Rows
			p.Bytes = int64(float64(u.Bytes) * float64(p.Rows) / float64(u.Rows))
			out[t] = append(out[t], p)
			lo = end
		}
		out[t] = joinPieces(out[t], rows)
	}
	return out
}

// JoinPieces merges neighbouring runs of a file's rows; rows has those of each
// whole file.
func JoinPieces(pieces []Piece, rows map[string]int64) []Piece { return joinPieces(pieces, rows) }
