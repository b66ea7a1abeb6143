package main

import (
	"fmt"
	"io"
	"time"
)

// tpchResult is one query on one system: medians over the runs. Every run's
// answer was DuckDB's, and the published one when that was given.
type tpchResult struct {
	Query    int       `json:"query"`
	System   string    `json:"system"`
	Rows     int       `json:"rows"`
	WallMS   float64   `json:"wall_ms"`
	Ratio    float64   `json:"ratio"`   // of wall time to DuckDB's
	OverMS   float64   `json:"over_ms"` // wall time beyond DuckDB's
	CPUMS    float64   `json:"cpu_ms"`
	CPURatio float64   `json:"cpu_ratio"` // of processor time to DuckDB's
	Stages   int       `json:"stages,omitempty"`
	Tasks    int       `json:"tasks,omitempty"`
	Shuffled int64     `json:"shuffled,omitempty"` // bytes
	WallsMS  []float64 `json:"walls_ms"`
}

// fill computes the figures of samples, compared with DuckDB's of the same turns.
func (r *tpchResult) fill(s, duck []sample) {
	r.WallMS, r.Ratio = millis(middle(s, wallOf)), ratio(s, duck, wallOf)
	r.CPUMS, r.CPURatio = millis(middle(s, cpuOf)), ratio(s, duck, cpuOf)
	r.OverMS = millis(median(beyond(s, duck), func(a, b time.Duration) time.Duration { return a + (b-a)/2 }))
	for _, one := range s {
		r.WallsMS = append(r.WallsMS, millis(one.wall))
	}
}

// tpchText is a table a pond, of a line a query, and of all together.
func (r *report) tpchText(out io.Writer) {
	byQuery := map[string][]tpchResult{}
	var systems []string
	for _, t := range r.TPCH {
		if byQuery[t.System] == nil {
			systems = append(systems, t.System)
		}
		byQuery[t.System] = append(byQuery[t.System], t)
	}
	for i, s := range systems {
		if i > 0 {
			fmt.Fprintln(out)
			writeTPCH(out, s, byQuery[s], byQuery[systems[0]])
		}
	}
}

func writeTPCH(out io.Writer, system string, results, duck []tpchResult) {
	rows := [][]string{{"tpch", "rows", "duckdb", system, "× wall", "over", "duckdb cpu", "cpu", "× cpu", "stages", "tasks", "shuffled"}}
	var all, allDuck tpchResult
	for i, t := range results {
		d := duck[i]
		rows = append(rows, []string{fmt.Sprintf("q%02d", t.Query), countText(int64(t.Rows)), msText(d.WallMS), msText(t.WallMS), numberText(t.Ratio), msText(t.OverMS),
			msText(d.CPUMS), msText(t.CPUMS), numberText(t.CPURatio), fmt.Sprint(t.Stages), fmt.Sprint(t.Tasks), bytesText(t.Shuffled)})
		all.add(t)
		allDuck.add(d)
	}
	rows = append(rows, []string{"all", countText(int64(all.Rows)), msText(allDuck.WallMS), msText(all.WallMS), numberText(all.WallMS / allDuck.WallMS), msText(all.WallMS - allDuck.WallMS),
		msText(allDuck.CPUMS), msText(all.CPUMS), numberText(all.CPUMS / max(allDuck.CPUMS, 1)), fmt.Sprint(all.Stages), fmt.Sprint(all.Tasks), bytesText(all.Shuffled)})
	writeTable(out, rows, 1)
}

func (r *tpchResult) add(t tpchResult) {
	r.Rows += t.Rows
	r.WallMS += t.WallMS
	r.CPUMS += t.CPUMS
	r.Stages += t.Stages
	r.Tasks += t.Tasks
	r.Shuffled += t.Shuffled
}

func msText(ms float64) string { return fmt.Sprintf("%.0f ms", ms) }
