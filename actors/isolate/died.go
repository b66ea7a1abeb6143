package isolate

import (
	"strings"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/process"
)

// statementMax is how much of a statement an error shows.
const statementMax = 200

// died adds to the error of a request what its process was doing, if it died of that.
// The statement and the files may be unknown.
func died(pr *process.Process, err error, op, doing, statement string, files []string) error {
	if err == nil {
		return nil
	}
	pe := plan.AsError(err)
	if !pr.Dead() || pe.Kind != plan.KindCrash && pe.Kind != plan.KindMemory {
		return err
	}
	with := *pe
	with.Op = op
	if text := strings.Join(strings.Fields(statement), " "); text != "" {
		if len(text) > statementMax {
			text = strings.ToValidUTF8(text[:statementMax], "") + " …"
		}
		with.Text += " while it " + doing + ": " + text
	}
	if len(files) > 0 {
		with.Text += ", over " + engines.Names(files)
	}
	switch {
	case pe.Kind == plan.KindMemory: // its own hint
	case len(files) > 0:
		with.Hint = "DuckDB has a defect here: look whether the files are whole, or write the statement another way"
	default:
		with.Hint = "DuckDB has a defect here: write the statement another way"
	}
	return &with
}

// textOf is the SQL that tasks of a stage run.
func textOf(s *plan.Stage) string {
	var all []string
	for _, step := range s.Steps {
		all = append(all, step.SQL)
	}
	return strings.Join(append(all, s.Query), "; ")
}
