package plan

// QuoteIdent is an SQL identifier: "a", quotes doubled.
func QuoteIdent(s string) string { return "" }

// QuoteString is an SQL string literal.
func QuoteString(s string) string { return "" }

// SQL is the SELECT that reads a task's pieces; of no pieces, a SELECT of no
// rows with the right columns. Arrow files have none: the runtime reads them.
func (s *Scan) SQL(pieces []Piece) string { return "" }

// Bind is the stage's steps and query for one task: {partition}, {partitions}
// and {seed} filled in.
func (s *Stage) Bind(partition, tasks int) ([]Step, string) { return s.Steps, s.Query }
