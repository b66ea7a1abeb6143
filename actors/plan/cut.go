package plan

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

// SplitBytes cuts files into at most n tasks of about as many bytes each, at row
// groups and files; none is empty.
func SplitBytes(files []File, n int) [][]Piece { return splitBytes(files, n) }

// SplitRows cuts files into exactly n tasks: of as many rows each but for one
// where all row groups are known, else of as many files.
func SplitRows(files []File, n int) [][]Piece {
	if rowsKnown(files) {
		return splitRows(files, n)
	}
	return splitFiles(files, n)
}

// JoinPieces merges neighbouring runs of a file's rows; rows has those of each
// whole file.
func JoinPieces(pieces []Piece, rows map[string]int64) []Piece { return joinPieces(pieces, rows) }

// FileColumns are the columns that stand in the files themselves: all but those
// of a hive folder's name.
func FileColumns(cols []Column, s *Scan) []Column { return withoutHive(cols, s) }
