package plan

import "fmt"

// A range exchange takes three stages: one samples the sort keys, one finds the
// bounds at which the sample falls into equal parts, one cuts the rows there.

const (
	sampleRows    = 100_000 // of all tasks together, at least
	samplePerPart = 200     // and at least so many a partition
	sampleTaskMin = 256
	sampleTaskMax = 65536
)

// SampleRows is how many sort keys are wanted of all tasks together to find the
// bounds of so many ranges.
func SampleRows(ranges int) int64 { return max(int64(ranges)*samplePerPart, sampleRows) }

// SampleClause draws one task's part of that sample, with the same rows for the
// same input in the same order.
func SampleClause(ranges, tasks int) string {
	each := min(max(SampleRows(ranges)/int64(max(tasks, 1)), sampleTaskMin), sampleTaskMax)
	return fmt.Sprintf(" USING SAMPLE reservoir(%d ROWS) REPEATABLE (1)", each)
}

// BoundsSQL is the query for the bounds of so many ranges, around the view or
// subquery whose column key is the sample: a column k of at most ranges-1 keys,
// in order.
func BoundsSQL(key string, ranges int) (before, after string) {
	named := key
	if key != "k" {
		named += " AS k"
	}
	return fmt.Sprintf("SELECT k FROM (SELECT %s, row_number() OVER (ORDER BY %s) AS i, count(*) OVER () AS n FROM ", named, key),
		fmt.Sprintf(") WHERE i * %d // n <> (i - 1) * %d // n AND i < n ORDER BY k", ranges, ranges)
}
