package plan

// Cutting a scan's files into tasks' pieces. All cuts keep the files' order, so
// the pieces of task 0, 1, … one after another are the whole input in order.

// minTaskBytes is the least that is worth a task of its own.
const minTaskBytes = 4 << 20

// tasksFor is how many tasks so many compressed bytes deserve: enough for
// every slot when each gets something worth having, and more only to keep a
// task under the target. Negative: not known.
func (o *Options) tasksFor(bytes int64) int { return o.tasksOf(bytes, minTaskBytes) }

func (o *Options) tasksOf(bytes, worth int64) int {
	if bytes < 0 {
		return o.Parallelism
	}
	n := (bytes + o.TargetBytes - 1) / o.TargetBytes
	if least := min(int64(o.Parallelism), bytes/worth); n < least {
		n = least
	}
	return int(min(max(n, 1), MaxPartitions))
}

// units is the smallest pieces that are cut without decoding what lies before
// them: row groups, and whole files where there are none.
func units(files []File) []Piece {
	var out []Piece
	for i := range files {
		f := &files[i]
		if len(f.Groups) < 2 {
			out = append(out, Piece{Path: f.Path, Rows: f.Rows(), Whole: true, Bytes: f.Size})
			continue
		}
		var start int64
		for _, g := range f.Groups {
			out = append(out, Piece{Path: f.Path, Rows: g.Rows, Start: start, Bytes: g.Bytes})
			start += g.Rows
		}
	}
	return out
}

// splitBytes cuts files into at most n tasks of about as many bytes each; none
// is empty.
func splitBytes(files []File, n int) [][]Piece {
	return splitUnits(units(files), rowsByPath(files), n)
}

func rowsByPath(files []File) map[string]int64 {
	rows := map[string]int64{}
	for i := range files {
		rows[files[i].Path] = files[i].Rows()
	}
	return rows
}

func splitUnits(us []Piece, rows map[string]int64, n int) [][]Piece {
	var total int64
	for _, u := range us {
		total += max(u.Bytes, 1)
	}
	n = max(min(n, len(us)), 1)
	out := make([][]Piece, 0, n)
	var task []Piece
	var done int64
	for i, u := range us {
		task = append(task, u)
		done += max(u.Bytes, 1)
		// Cut where the share is full, or where only one unit a task is left.
		left := len(us) - i - 1
		full := done*int64(n) >= total*int64(len(out)+1) // at most 2^63: bytes * MaxPartitions
		if full || left < n-len(out) {
			if len(out) < n-1 {
				out, task = append(out, joinPieces(task, rows)), nil
			}
		}
	}
	if len(task) > 0 {
		out = append(out, joinPieces(task, rows))
	}
	return out
}

// joinPieces merges neighbouring runs of a file's rows, and calls a run of all of
// them the whole file.
func joinPieces(ps []Piece, rows map[string]int64) []Piece {
	var out []Piece
	for _, p := range ps {
		if k := len(out) - 1; k >= 0 && !p.Whole && !out[k].Whole && out[k].Path == p.Path && out[k].Start+out[k].Rows == p.Start {
			out[k].Rows += p.Rows
			out[k].Bytes += p.Bytes
			continue
		}
		out = append(out, p)
	}
	for i := range out {
		if p := &out[i]; !p.Whole && p.Start == 0 && p.Rows == rows[p.Path] {
			p.Whole = true
		}
	}
	return out
}

// splitFiles deals whole files out to n tasks, in order, as many to each but
// for one.
func splitFiles(files []File, n int) [][]Piece {
	out := make([][]Piece, n)
	for t := range n {
		lo, hi := share(int64(len(files)), n, t)
		for i := lo; i < hi; i++ {
			f := &files[i]
			out[t] = append(out[t], Piece{Path: f.Path, Rows: f.Rows(), Whole: true, Bytes: f.Size})
		}
	}
	return out
}

// splitRows cuts files of known rows into n tasks of as many rows each but for
// one.
func splitRows(files []File, n int) [][]Piece {
	var total int64
	counts := make([]int64, len(files))
	for i := range files {
		counts[i] = files[i].Rows()
		total += counts[i]
	}
	out := make([][]Piece, n)
	file, first := 0, int64(0) // the file that holds row `first`, its first row
	for t := range n {
		lo, hi := share(total, n, t)
		for lo < hi {
			f, rows := &files[file], counts[file]
			if lo >= first+rows {
				first += rows
				file++
				continue
			}
			end := min(hi, first+rows)
			p := Piece{Path: f.Path, Start: lo - first, Rows: end - lo, Whole: end-lo == rows}
			p.Bytes = int64(float64(f.Size) * float64(p.Rows) / float64(rows))
			out[t] = append(out[t], p)
			lo = end
		}
	}
	return out
}

// share is part t of n even, contiguous parts of total things: [lo, hi). Sizes
// differ by one at most.
func share(total int64, n, t int) (lo, hi int64) {
	size, more := total/int64(n), total%int64(n)
	lo = size*int64(t) + min(more, int64(t))
	hi = lo + size
	if int64(t) < more {
		hi++
	}
	return lo, hi
}
