package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"unicode/utf8"
)

// report is all that a run has measured.
type report struct {
	Setup   setup        `json:"setup"`
	Results []result     `json:"results,omitempty"`
	TPCH    []tpchResult `json:"tpch,omitempty"`
	Figures []figure     `json:"figures,omitempty"`
}

// setup is where and how it was measured.
type setup struct {
	Size    int64  `json:"size"`
	Memory  int64  `json:"memory"`
	Threads int    `json:"threads"`
	Runs    int    `json:"runs"`
	Nodes   []int  `json:"nodes"`
	Cores   int    `json:"cores"`
	Go      string `json:"go"`
}

func (b *bench) setup() setup {
	return setup{Size: b.size, Memory: b.memory, Threads: b.threads, Runs: b.runs, Nodes: b.nodes, Cores: runtime.NumCPU(), Go: runtime.Version()}
}

// result is one workload on one system: medians over the runs, maxima of peaks.
// The rows of every run equalled DuckDB's.
type result struct {
	Workload string    `json:"workload"`
	System   string    `json:"system"`
	Nodes    int       `json:"nodes,omitempty"`
	Threads  int       `json:"threads"` // or slots, of all nodes
	Memory   int64     `json:"memory"`  // allowed, all nodes
	Rows     int64     `json:"rows"`
	Bytes    int64     `json:"bytes"` // raw
	WallMS   float64   `json:"wall_ms"`
	Ratio    float64   `json:"ratio"` // of wall time to DuckDB's
	CPUMS    float64   `json:"cpu_ms"`
	CPURatio float64   `json:"cpu_ratio"` // of processor time to DuckDB's
	PeakMost int64     `json:"peak_most"` // resident, the largest node
	PeakSum  int64     `json:"peak_sum"`  // resident, all nodes
	Shuffled int64     `json:"shuffled"`
	Spill    int64     `json:"spill"` // most on disk at a time
	WallsMS  []float64 `json:"walls_ms"`
}

// figure is one number, and its target where there is one.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target,omitempty"`
	Met    *bool   `json:"met,omitempty"`
	Note   string  `json:"note,omitempty"`
}

// atLeast and atMost give a figure its target.
func (f figure) atLeast(v float64) figure { return f.target("≥", v, f.Value >= v) }
func (f figure) atMost(v float64) figure  { return f.target("≤", v, f.Value <= v) }

func (f figure) target(sign string, v float64, met bool) figure {
	f.Target, f.Met = sign+" "+strings.TrimSpace(numberText(v)+" "+f.Unit), &met
	return f
}

func (r *report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *report) text(out io.Writer) error {
	s := r.Setup
	fmt.Fprintf(out, "%s of raw data a set, %d threads, %s of memory in total, median of %d runs, %d cores, %s\n", bytesText(s.Size), s.Threads, bytesText(s.Memory), s.Runs, s.Cores, s.Go)
	if len(r.Results) > 0 {
		fmt.Fprintln(out)
		rows := [][]string{{"workload", "system", "slots", "rows", "bytes", "wall", "× wall", "cpu", "× cpu", "peak/node", "peak sum", "shuffled", "spill"}}
		crowded := false
		for i, x := range r.Results {
			if i > 0 && x.Workload != r.Results[i-1].Workload {
				rows = append(rows, nil)
			}
			slots := fmt.Sprint(x.Threads)
			if x.Threads > s.Threads {
				slots, crowded = slots+"*", true
			}
			rows = append(rows, []string{x.Workload, x.System, slots, countText(x.Rows), bytesText(x.Bytes), secondsText(x.WallMS), numberText(x.Ratio),
				secondsText(x.CPUMS), numberText(x.CPURatio), bytesText(x.PeakMost), bytesText(x.PeakSum), bytesText(x.Shuffled), bytesText(x.Spill)})
		}
		writeTable(out, rows, 2)
		if crowded {
			fmt.Fprintf(out, "* a node has one slot at least: these share %d cores\n", s.Threads)
		}
	}
	r.tpchText(out)
	if len(r.Figures) > 0 {
		fmt.Fprintln(out)
		rows := [][]string{{"figure", "measured", "target", "", "note"}}
		for _, f := range r.Figures {
			met := ""
			if f.Met != nil {
				met = map[bool]string{true: "met", false: "missed"}[*f.Met]
			}
			rows = append(rows, []string{f.Name, strings.TrimSpace(numberText(f.Value) + " " + f.Unit), f.Target, met, f.Note})
		}
		writeTable(out, rows, len(rows[0]))
	}
	return nil
}

// writeTable aligns columns: the first few to the left, the others to the
// right. A row of nothing is an empty line.
func writeTable(out io.Writer, rows [][]string, left int) {
	var width []int
	for _, r := range rows {
		for c, s := range r {
			if c == len(width) {
				width = append(width, 0)
			}
			width[c] = max(width[c], utf8.RuneCountInString(s))
		}
	}
	for _, r := range rows {
		var line strings.Builder
		for c, s := range r {
			pad := strings.Repeat(" ", width[c]-utf8.RuneCountInString(s))
			if c > 0 {
				line.WriteString("  ")
			}
			if c < left {
				line.WriteString(s + pad)
			} else {
				line.WriteString(pad + s)
			}
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

// bytesText is a size for people: three digits and a unit, "-" for none.
func bytesText(n int64) string {
	if n == 0 {
		return "-"
	}
	v, names := float64(n), []string{"B", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	for ; v >= 999.5 && i < len(names)-1; i++ {
		v /= 1000
	}
	return numberText(v) + " " + names[i]
}

// countText is a number with its thousands apart.
func countText(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func secondsText(ms float64) string { return numberText(ms/1000) + " s" }

// numberText has three digits that count, and no more than it needs.
func numberText(v float64) string {
	abs := max(v, -v)
	switch {
	case abs >= 99.95 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case abs >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
