package pond

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/stmt"
)

// explain shows the stages of a statement, as planned, or as run. Like DuckDB's,
// its row is a key and a text: for people, or JSON.
func (s *Session) explain(ctx context.Context, st *stmt.Statement, o settings) (*Rows, error) {
	spec, err := s.prepare(ctx, st.Inner.Text, o)
	if err != nil {
		return nil, err
	}
	if st.Analyze {
		return s.analyze(ctx, spec, o, st.JSON)
	}
	text, err := s.api.Explain(ctx, spec, st.JSON)
	if err != nil {
		return nil, err
	}
	return explained(text), nil
}

// explained is stages in the columns that DuckDB has for a plan.
func explained(text string) *Rows {
	t := tableOf(column("explain_key", textType), column("explain_value", textType))
	t.add("stages", strings.TrimSpace(text))
	return t.rows()
}

// measured is a stage as planned, with its measures.
type measured struct {
	plan.Explanation
	Measured *api.StageStatus `json:"measured,omitempty"`
}

// analyze runs a job, ignores its rows, and returns the measures of each stage.
func (s *Session) analyze(ctx context.Context, spec *api.JobSpec, o settings, asJSON bool) (*Rows, error) {
	j, status, err := s.run(ctx, spec, o.watch)
	if err != nil {
		return nil, err
	}
	text, err := s.api.ExplainJob(ctx, j.id, true)
	if err != nil {
		return nil, err
	}
	var stages []plan.Explanation
	if err := json.Unmarshal([]byte(text), &stages); err != nil {
		return nil, fmt.Errorf("pond: the stages of the job: %w: %w", ErrInternal, err)
	}
	all := make([]measured, len(stages))
	for i, x := range stages {
		all[i].Explanation = x
		for k := range status.Stages {
			if status.Stages[k].Index == x.Stage {
				all[i].Measured = &status.Stages[k]
			}
		}
	}
	text = analyzedText(all, status)
	if asJSON {
		b, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("pond: explain: %w", err)
		}
		text = string(b)
	}
	rows := explained(text)
	rows.Status = statusOf(status)
	return rows, nil
}

// skewOf is the output of the largest task over the median; ok is false when there
// is nothing to compare.
func skewOf(m *api.StageStatus) (skew float64, ok bool) {
	if m.Tasks < 2 || m.TaskBytesMedian == 0 {
		return 0, false
	}
	return float64(m.TaskBytesMax) / float64(m.TaskBytesMedian), true
}

func nodesOf(m *api.StageStatus) []string {
	out := make([]string, len(m.Nodes))
	for i, n := range m.Nodes {
		out[i] = fmt.Sprintf("%s: %d", n.Node, n.Tasks)
	}
	return out
}

// analyzedText shows the stages as plan.Job.Explain does, with their measures.
func analyzedText(all []measured, status *api.JobStatus) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "    %-9s %s\n", name, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n              "))
	}
	for _, x := range all {
		fmt.Fprintf(&b, "stage %d: %s%s\n", x.Stage, x.Name, dropped(x.Dropped))
		m := x.Measured
		if m == nil {
			m = &api.StageStatus{}
		}
		line("kind", "%s", x.Kind)
		line("exchange", "%s", x.Exchange)
		if x.Gathered != "" {
			line("gathered", "%s", x.Gathered)
		}
		if x.Replanned != "" {
			line("replanned", "%s", x.Replanned)
		}
		line("tasks", "%d%s%s%s", m.Tasks, some(", %d reused", m.Reused), some(", %d retried", m.Retries), some(", %d lost", m.Lost))
		if x.Fit != "" {
			line("fit", "%d partitions: %s", x.Tasks, x.Fit)
		}
		line("rows", "%s", humanize.Comma(m.Rows))
		line("bytes", "%s read, %s shuffled or written, %s spilled", size(m.Read), size(m.Bytes), size(m.Spill))
		if skew, ok := skewOf(m); ok {
			line("skew", "%.2f (the largest task made %s, the median %s)", skew, size(m.TaskBytesMax), size(m.TaskBytesMedian))
		}
		line("time", "%v, %v of CPU", millis(m.Wall), millis(m.CPU))
		if len(m.Nodes) > 0 {
			line("nodes", "%s", strings.Join(nodesOf(m), ", "))
		}
	}
	if status.Copies != "" {
		fmt.Fprintf(&b, "copies: %s\n", status.Copies)
	}
	fmt.Fprintf(&b, "result: %s in %v\n", count(status.Rows, "row"), millis(max(status.Ended-status.Submitted, 0)))
	return b.String()
}

func dropped(yes bool) string {
	if yes {
		return " (dropped)"
	}
	return ""
}

func some(format string, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// count is "1 row", "2,000 rows".
func count(n int64, noun string) string {
	return humanize.Comma(n) + " " + english.PluralWord(int(n), noun, "")
}
