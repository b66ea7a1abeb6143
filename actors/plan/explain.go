package plan

import (
	"fmt"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// Explanation is one stage as explain shows it (-o json prints the list).
type Explanation struct {
	Stage         int      `json:"stage"`
	ID            StageID  `json:"id"`
	Name          string   `json:"name"`
	Kind          string   `json:"kind"` // the input of its tasks: scan, shuffle, rows, sql (only files named in its SQL)
	Tasks         int      `json:"tasks"`
	Reads         []string `json:"reads,omitempty"`
	Upstream      []int    `json:"upstream,omitempty"`
	Steps         []string `json:"steps,omitempty"`
	Query         string   `json:"query"`
	Exchange      string   `json:"exchange"`
	Partitions    int      `json:"partitions"`
	Fit           string   `json:"fit,omitempty"` // how sizes change the number of tasks
	Gathered      string   `json:"gathered,omitempty"`
	Replanned     string   `json:"replanned,omitempty"` // why the stage was added while the job ran
	Dropped       bool     `json:"dropped,omitempty"`   // and then nothing needs this one
	Ordered       bool     `json:"ordered,omitempty"`
	Deterministic bool     `json:"deterministic"`
}

// Explanations is the job as data, stage by stage.
func (j *Job) Explanations() []Explanation {
	out := make([]Explanation, len(j.Stages))
	needed := j.needed()
	for i, s := range j.Stages {
		x := Explanation{
			Stage: i, ID: s.ID, Name: s.Name, Kind: s.kind(), Tasks: s.Tasks.N, Upstream: s.Upstream(), Query: s.Query,
			Exchange: s.Exchange.String(), Partitions: s.Exchange.Partitions,
			Gathered: s.Gathered, Replanned: s.Replanned, Dropped: !needed[i], Ordered: s.Ordered, Deterministic: s.Deterministic,
		}
		if s.Tasks.Fit != nil {
			x.Fit = s.Tasks.fit(s)
			x.Tasks = j.cutsOf(s)
		}
		if s.Exchange.Kind == Range {
			x.Exchange += fmt.Sprintf(", bounds from stage %d", s.Exchange.Bounds)
		}
		for _, in := range s.Inputs {
			x.Reads = append(x.Reads, in.View+": "+in.String())
		}
		for _, st := range s.Steps {
			x.Steps = append(x.Steps, st.String())
		}
		out[i] = x
	}
	return out
}

// cutsOf is how many partitions a stage with a Fit reads: its tasks, if sizes do
// not tell otherwise.
func (j *Job) cutsOf(s *Stage) int {
	for _, in := range s.Inputs {
		if in.Read != nil && in.Read.How == ReadPartition {
			return j.Stages[in.Read.Stages[0]].Exchange.Partitions
		}
	}
	return 0
}

// fit describes how the sizes of partitions change the tasks.
func (t Tasks) fit(s *Stage) string {
	var out []string
	if !t.Fit.Apart {
		out = append(out, "small partitions are put together")
	}
	if t.Fit.Split != nil {
		views := make([]string, len(t.Fit.Split))
		for i, at := range t.Fit.Split {
			views[i] = s.Inputs[at].View
		}
		out = append(out, "much larger ones are split by "+strings.Join(views, " or "))
	}
	return strings.Join(out, ", ")
}

func (s *Stage) kind() string {
	kind := "sql"
	for _, in := range s.Inputs {
		switch {
		case in.Read != nil:
			return "shuffle"
		case in.Scan != nil:
			kind = "scan"
		case kind == "sql":
			kind = "rows"
		}
	}
	return kind
}

// String says what an input reads.
func (in Input) String() string {
	switch {
	case in.Scan != nil:
		return in.Scan.String()
	case in.Literal != nil:
		return Count(int(in.Literal.Rows), "row") + " of the plan" + ifElse(in.Literal.Broadcast, ", all in each task", "")
	}
	r := in.Read
	from := make([]string, len(r.Stages))
	for i, u := range r.Stages {
		from[i] = fmt.Sprintf("stage %d", u)
	}
	how := map[How]string{
		ReadPartition: "a task's own partition", ReadAll: "all of it in each task", ReadSegments: "whole segments in turn", ReadRows: "an even share of the rows",
	}[r.How]
	return strings.Join(from, " and ") + ": " + how + ifElse(r.Ordered, ", in order", "")
}

// scanPathsShown is how many files an explanation names.
const scanPathsShown = 3

func (s *Scan) String() string {
	var paths []string
	var pieces, partial int
	seen := map[string]bool{}
	for _, task := range s.Splits {
		for _, p := range task {
			pieces++
			if !p.Whole {
				partial++
			}
			if !seen[p.Path] {
				seen[p.Path] = true
				paths = append(paths, p.Path)
			}
		}
	}
	out := fmt.Sprintf("%s of %s: %s", s.Format, Count(len(paths), "file"), strings.Join(paths[:min(len(paths), scanPathsShown)], ", "))
	if len(paths) > scanPathsShown {
		out += ", …"
	}
	if partial > 0 {
		out += fmt.Sprintf("; %d of %s are runs of rows", partial, Count(pieces, "piece"))
	}
	o := s.Options
	if o.Columns != nil {
		out += "; columns " + strings.Join(o.Columns, ", ")
	}
	return out + ifElse(o.RowNumber, "; with row numbers", "") + ifElse(o.Filename, "; with file names", "") +
		ifElse(s.Together != "", "; in one task: "+s.Together, "") +
		ifElse(o.UnionByName, "; by name", "") + ifElse(o.Hive, "; hive", "") + ifElse(s.Broadcast, "; all in each task", "")
}

func (st Step) String() string {
	out := st.View + ifElse(st.Materialize, " (table)", "") + ": "
	if st.Func == nil {
		return out + st.SQL
	}
	out += string(st.Func.Kind) + " " + st.Func.Name
	if st.Func.BatchRows > 0 {
		out += fmt.Sprintf(" by %s", Count(st.Func.BatchRows, "row"))
	}
	return out + " over " + st.SQL
}

func ifElse(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// listMax is how many texts of a list people are told.
const listMax = 3

// shortLists is SQL in which of long lists of texts, as of a dataset's files, the first are
// left, and how many more there are.
func shortLists(sql string) string {
	tokens, err := lexer.Lex(sql)
	if err != nil {
		return sql
	}
	tokens = lexer.Solid(tokens)
	var out strings.Builder
	from := 0
	for i := 0; i < len(tokens); i++ {
		n := 0 // texts, each behind [ or a comma
		for ; i+2*n+1 < len(tokens) && tokens[i+2*n].In(sql) == ifElse(n == 0, "[", ",") && tokens[i+2*n+1].Kind == lexer.String; n++ {
		}
		end := i + 2*n
		if n <= listMax || end >= len(tokens) || tokens[end].In(sql) != "]" {
			continue
		}
		out.WriteString(sql[from:tokens[i+2*listMax-1].End])
		fmt.Fprintf(&out, ", … %d more", n-listMax)
		from, i = tokens[end].Start, end
	}
	return out.String() + sql[from:]
}

// Explain is the job as text for people, stage by stage.
func (j *Job) Explain() string {
	var b strings.Builder
	for _, x := range j.Explanations() {
		if x.Dropped {
			fmt.Fprintf(&b, "stage %d: %s (dropped)\n", x.Stage, x.Name)
			continue
		}
		fmt.Fprintf(&b, "stage %d: %s\n", x.Stage, x.Name)
		line := func(name, value string) {
			fmt.Fprintf(&b, "    %-9s %s\n", name, strings.ReplaceAll(value, "\n", "\n              "))
		}
		line("kind", fmt.Sprintf("%s, %s", x.Kind, Count(x.Tasks, "task")))
		for _, r := range x.Reads {
			line("reads", r)
		}
		for _, s := range x.Steps {
			line("step", shortLists(s))
		}
		line("query", x.Query)
		line("exchange", x.Exchange+ifElse(x.Ordered, ", in order", "")+ifElse(x.Deterministic, "", ", not repeatable"))
		if x.Fit != "" {
			line("fit", x.Fit)
		}
		if x.Gathered != "" {
			line("gathered", x.Gathered)
		}
		if x.Replanned != "" {
			line("replanned", x.Replanned)
		}
	}
	switch w := j.Result.Write; {
	case w != nil && w.Single:
		fmt.Fprintf(&b, "result: the %s file %s (%s)\n", w.Format, w.Path, w.Mode)
	case w != nil:
		fmt.Fprintf(&b, "result: %s files in %s (%s)\n", w.Format, w.Path, w.Mode)
	default:
		fmt.Fprintf(&b, "result: rows%s\n", ifElse(j.Result.Ordered, ", in order of task", ""))
	}
	return b.String()
}

// String is the exchange as explain shows it: "hash(origin) into 8".
func (e Exchange) String() string {
	switch e.Kind {
	case Single, "":
		return "single"
	case Files:
		if e.Write.Single {
			return fmt.Sprintf("%s file %s", e.Write.Format, e.Write.Path)
		}
		return fmt.Sprintf("%s files in %s", e.Write.Format, e.Write.Path) + ifElse(e.Grouped, ", folder by folder", "")
	}
	var terms []string
	for i, k := range e.Keys {
		switch {
		case e.Kind == Range && k == BlobKey:
		case e.Kind == Range:
			terms = append(terms, k+" "+e.Order[i])
		default:
			terms = append(terms, k)
		}
	}
	of := strings.Join(terms, ", ")
	if of != "" {
		of = "(" + of + ")"
	}
	return fmt.Sprintf("%s%s into %d", e.Kind, of, e.Partitions)
}
