package isolate

import (
	"errors"
	"strings"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/process"
)

// statementMax is how much of a statement an error shows.
const statementMax = 200

// back gives a process back after a request. One in which DuckDB failed inside, or
// overran its memory, works on no other.
func back(p *process.Pool, pr *process.Process, err error) {
	if errors.Is(err, plan.ErrInternal) || errors.Is(err, plan.ErrCrash) {
		p.Drop(pr)
	} else {
		p.Put(pr)
	}
}

// died adds to the error of a request what its process was doing, if it died of that,
// or is to. The statement and the files may be unknown.
func died(pr *process.Process, err error, op, doing, statement string, files []string) error {
	if err == nil {
		return nil
	}
	pe := plan.AsError(err)
	if pe.Kind != plan.KindCrash && (pe.Kind != plan.KindMemory || !pr.Dead()) {
		return err
	}
	with := *pe
	with.Op = op
	if !pr.Dead() {
		with.Text = "DuckDB overran its memory: " + with.Text
	}
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
