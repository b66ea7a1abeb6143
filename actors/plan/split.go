package plan

// Cutting a scan's files into tasks' pieces. All cuts keep the files' order, so
// the pieces of task 0, 1, … one after another are the whole input in order.

// MinTaskBytes is the least that is worth a task of its own.
const MinTaskBytes = 4 << 20

// Sizing says how many tasks an amount of bytes deserves.
type Sizing struct {
	Parallelism int   // tasks that can run at once in the pond; 0: 1
	TargetBytes int64 // compressed bytes a task is meant to read; 0: 128 MiB
	SortBytes   int64 // the same of one that sorts them; 0: TargetBytes
}

const defaultTargetBytes = 128 << 20

// TasksFor is how many tasks a scan of so many compressed bytes deserves: enough
// for every slot when each gets something worth having, and more only to keep a
// task under the target. Negative: not known.
func (s Sizing) TasksFor(bytes int64) int { return s.tasksOf(bytes, MinTaskBytes) }

// sortTasksMax bounds what is sorted apart so that it fits in memory: beyond it, blocks
// of each scan for each range would be small.
const sortTasksMax = 1024

// SortTasksFor is TasksFor where each task sorts its share: rows that are sorted take
// several times the memory of others, and twice the time when they do not fit.
func (s Sizing) SortTasksFor(bytes int64) int {
	n := s.TasksFor(bytes)
	if s.SortBytes > 0 {
		s.TargetBytes = s.SortBytes
	}
	return max(n, min(s.TasksFor(bytes), sortTasksMax))
}

// tasksOf is TasksFor where so many bytes are worth a task.
func (s Sizing) tasksOf(bytes, worth int64) int {
	slots, target := max(s.Parallelism, 1), s.TargetBytes
	if target <= 0 {
		target = defaultTargetBytes
	}
	if bytes < 0 {
		return slots
	}
	n := (bytes + target - 1) / target
	if least := min(int64(slots), bytes/worth); n < least {
		n = least
	}
	return int(min(max(n, 1), MaxPartitions))
}

// Units are the smallest pieces that are cut without decoding what lies before
// them: a file's row groups if it has two or more, else the whole file.
func Units(files []File) []Piece {
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

func rowsByPath(files []File) map[string]int64 {
	rows := map[string]int64{}
	for i := range files {
		rows[files[i].Path] = files[i].Rows()
	}
	return rows
}

// Split cuts units of files into as many tasks as so much work deserves, or about as
// many: where those are more than the slots, it cuts at the ends of files that are near.
func (s Sizing) Split(us []Piece, files []File, work int64) [][]Piece {
	slots, n := max(s.Parallelism, 1), s.TasksFor(work)
	if n > slots && n <= MaxPartitions/2 { // snapped makes at most twice as many
		if out := snapped(us, files, n); len(out) >= max(slots, n*3/4) {
			return out
		}
	}
	return SplitBytes(us, files, n)
}

// snapShare: a cut is moved by up to one part of so many of a task's share, to be where a
// file ends. A file that is read whole is opened once, and needs no filter by row.
const snapShare = 4

// snapped is Split around the ends of files. Cuts are a share apart, counted from the last
// one that was at the end of a file.
func snapped(us []Piece, files []File, n int) (out [][]Piece) {
	rest := make([]int64, len(us)+1) // bytes from a unit on to the end of its file
	var total int64
	same := func(i int) bool { return i+1 < len(us) && us[i+1].Path == us[i].Path }
	for i := len(us) - 1; i >= 0; i-- {
		total += max(us[i].Bytes, 1)
		rest[i] = max(us[i].Bytes, 1)
		if same(i) {
			rest[i] += rest[i+1]
		}
	}
	share := max((total+int64(n)-1)/int64(n), 1)
	slack := share / snapShare
	var task []Piece
	var done, due int64 = 0, share // bytes since the last cut at a file's end; where the next one is due
	for i, u := range us {
		task, done = append(task, u), done+max(u.Bytes, 1)
		next, lacks := rest[i+1], due-done
		whole := !same(i)
		switch {
		case i+1 == len(us):
		case !whole && (lacks > 0 || next <= slack), // within a file
			whole && next <= lacks,                                 // all of the next one fits
			whole && same(i+1) && lacks > slack,                    // some of it does
			whole && !same(i+1) && lacks > 0 && next-lacks < lacks: // it is nearer with it
			continue
		}
		out, task = append(out, JoinPieces(task, files)), nil
		if whole {
			done, due = 0, share
		} else {
			due = (done/share + 1) * share
		}
	}
	return out
}

// SplitBytes cuts units of files into at most n tasks of about as many bytes
// each; none is empty.
func SplitBytes(us []Piece, files []File, n int) [][]Piece {
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
				out, task = append(out, JoinPieces(task, files)), nil
			}
		}
	}
	if len(task) > 0 {
		out = append(out, JoinPieces(task, files))
	}
	return out
}

// JoinPieces merges neighbouring runs of a file's rows, and tells a run of all of them,
// which is the whole file, and one up to its end.
func JoinPieces(ps []Piece, files []File) []Piece {
	rows := rowsByPath(files)
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
		if p := &out[i]; !p.Whole {
			last := p.Start+p.Rows == rows[p.Path]
			p.Whole, p.ToEnd = last && p.Start == 0, last && p.Start > 0
		}
	}
	return out
}

// SplitFiles gives whole files to n tasks, in order, as many to each but
// for one.
func SplitFiles(files []File, n int) [][]Piece {
	out := make([][]Piece, n)
	for t := range n {
		lo, hi := EvenRange(int64(len(files)), n, t)
		for i := lo; i < hi; i++ {
			f := &files[i]
			out[t] = append(out[t], Piece{Path: f.Path, Rows: f.Rows(), Whole: true, Bytes: f.Size})
		}
	}
	return out
}

// SplitRows cuts units of files into exactly n tasks: of as many rows each but
// for one where all rows are known, else of as many units.
func SplitRows(us []Piece, files []File, n int) [][]Piece {
	var total int64
	known := true
	for _, u := range us {
		known = known && u.Rows >= 0
		total += u.Rows
	}
	out := make([][]Piece, n)
	if !known {
		for t := range n {
			lo, hi := EvenRange(int64(len(us)), n, t)
			out[t] = JoinPieces(us[lo:hi], files)
		}
		return out
	}
	at, first := 0, int64(0) // the unit that holds row `first`, its first row
	for t := range n {
		lo, hi := EvenRange(total, n, t)
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
			p.Whole, p.ToEnd = u.Whole && p.Rows == u.Rows, false
			p.Bytes = int64(float64(u.Bytes) * float64(p.Rows) / float64(u.Rows))
			out[t] = append(out[t], p)
			lo = end
		}
		out[t] = JoinPieces(out[t], files)
	}
	return out
}

// AsBroadcast is the scan read whole by every task; files are those that it reads.
func (s *Scan) AsBroadcast(files []File) Scan {
	out := *s
	var all []Piece
	for _, task := range s.Splits {
		all = append(all, task...)
	}
	out.Splits, out.Broadcast = [][]Piece{JoinPieces(all, files)}, true
	return out
}

// EvenRange is part t of n even, contiguous parts of total things: [lo, hi). Sizes
// differ by one at most.
func EvenRange(total int64, n, t int) (lo, hi int64) {
	size, more := total/int64(n), total%int64(n)
	lo = size*int64(t) + min(more, int64(t))
	hi = lo + size
	if int64(t) < more {
		hi++
	}
	return lo, hi
}
