package plan

import (
	"fmt"
	"hash/fnv"
	"strconv"

	"github.com/pondmesh/pond/actors/plan/template"
)

// Bind is the stage's steps and query for one task: {partition}, {partitions}
// and {seed} filled in. The seed is the same for every attempt at the task.
func (s *Stage) Bind(partition, tasks int) ([]Step, string) {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%d", s.ID, partition)
	vars := map[string]string{
		"partition":  strconv.Itoa(partition),
		"partitions": strconv.Itoa(tasks),
		"seed":       strconv.Itoa(int(h.Sum32() >> 1)), // what REPEATABLE takes: 31 bits
	}
	steps := make([]Step, len(s.Steps))
	for i, st := range s.Steps {
		st.SQL = template.Fill(st.SQL, vars)
		steps[i] = st
	}
	return steps, template.Fill(s.Query, vars)
}

// Count is "1 input", "2 inputs".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
