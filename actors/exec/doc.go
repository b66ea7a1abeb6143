// Package exec runs task attempts: it opens the inputs of a task as views of one
// DuckDB, runs its steps, and commits the rows as a segment or as staged files.
//
//	Packet ─ plan.Assign ─▶ pieces of files, ranges of blocks, literal rows
//	                             └─▶ views ─▶ steps ─▶ query ─▶ segment │ files
//
// An attempt is named by its output, and the first commit wins: two attempts at
// one task never disturb one another. It refuses to know nodes, messages and jobs:
// its inputs ([Attempt], [Packets]) and results ([Outcome], a plan.Error) are plain
// values.
//
// Read machine.go, then inputs.go for reading, segment.go and files.go for writing,
// funcstep.go for Go functions.
package exec
