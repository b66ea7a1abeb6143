package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/cmd/pondnode/internal/progress"
)

func (a *app) jobsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List the jobs that the pond remembers, newest first",
		Args:  args(0, 0, ""),
	}
	return a.listing(cmd, func(ctx context.Context, s *pond.Session, f output.Format, _ []string) error {
		ctx, stop := within(ctx)
		defer stop()
		jobs, err := s.Jobs(ctx)
		if err != nil {
			return err
		}
		return a.listJobs(f, jobs, time.Now())
	})
}

func (a *app) listJobs(f output.Format, jobs []*pond.Status, now time.Time) error {
	people := output.NewListing(col("job", ""), col("name", ""), col("state", ""), col("submitted", ""), col("took", ""), col("stages", ""), col("rows", 0), col("user", ""), col("statement", ""), col("error", ""))
	programs := output.NewListing(col("id", ""), col("name", ""), col("user", ""), col("owner", ""), col("statement", ""), col("state", ""), col("coordinator", ""), col("term", 0),
		col("submitted", ""), col("ended", ""), col("stages", 0), col("rows", 0), col("files", 0), col("error_kind", ""), col("error", ""), col("place", 0), col("in_queue", 0), col("waits_for", ""))
	for _, j := range jobs {
		var rows, kind, text, first, place, inQueue any
		if succeeded(j) {
			rows = j.Rows
		}
		if j.Error != nil {
			kind, text = j.Error.Kind, j.Error.Text
			line, _, _ := strings.Cut(strings.TrimSpace(j.Error.Text), "\n")
			first = line
		}
		if j.Place > 0 {
			place, inQueue = j.Place, j.InQueue
		}
		people.Add(progress.Short(j.ID), orNull(j.Name), progress.State(j), ago(j.Submitted, now), took(j, now), stagesDone(j), rows, orNull(cmp.Or(j.Owner, j.User)), orNull(brief(j.Statement, listedMax)), first)
		programs.Add(j.ID, orNull(j.Name), orNull(j.User), orNull(j.Owner), orNull(j.Statement), j.State, orNull(j.Coordinator), int64(j.Term), stamp(j.Submitted), stamp(j.Ended), len(j.Stages), rows, len(j.Files), kind, text, place, inQueue, orNull(j.WaitsFor))
	}
	return a.list(f, people, programs)
}

// listedMax is how much of a statement a list shows.
const listedMax = 40

func stagesDone(j *pond.Status) string {
	done, of := 0, 0
	for _, s := range j.Stages {
		if s.Dropped {
			continue
		}
		of++
		if s.Tasks > 0 && s.Done == s.Tasks {
			done++
		}
	}
	return fmt.Sprintf("%d/%d", done, of)
}

func ago(t, now time.Time) any {
	if t.IsZero() {
		return nil
	}
	return humanize.RelTime(t, now, "ago", "from now")
}

func took(j *pond.Status, now time.Time) any {
	if j.Submitted.IsZero() {
		return nil
	}
	end := now
	if !j.Ended.IsZero() {
		end = j.Ended
	}
	return progress.Duration(max(0, end.Sub(j.Submitted)))
}

// stamp is a time for programs.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

func succeeded(j *pond.Status) bool { return j.Done() && j.Err() == nil }

func (a *app) jobCommand() *cobra.Command {
	job := &cobra.Command{Use: "job", Short: "Look at, wait for, or end one job", Args: cobra.ArbitraryArgs, RunE: group}
	job.AddCommand(
		a.oneJob("status", "Show where a job stands, stage by stage", (*app).jobStatus),
		a.oneJob("watch", "Follow a job until it ends; exits as the job did", (*app).jobWatch),
		a.resultCommand(),
		a.oneJob("cancel", "End a job", (*app).jobCancel),
		a.oneJob("explain", "Show the stages that a job runs as", (*app).jobExplain),
	)
	return job
}

// jobCall is a job that a command is about.
type jobCall struct {
	s      *pond.Session
	id     string
	format output.Format
	quiet  bool
}

func (a *app) oneJob(name, short string, do func(*app, context.Context, *jobCall) error) *cobra.Command {
	call := &jobCall{}
	cmd := &cobra.Command{
		Use:   name + " ID",
		Short: short,
		Long:  short + ".\n\nThe beginning of an id will do where it is the only one.",
		Args:  args(1, 1, "a job's id"),
	}
	if name == "watch" {
		cmd.Flags().BoolVarP(&call.quiet, "quiet", "q", false, "show no progress")
	}
	return a.listing(cmd, func(ctx context.Context, s *pond.Session, f output.Format, args []string) (err error) {
		call.s, call.format = s, f
		if call.id, err = jobID(ctx, s, args[0]); err != nil {
			return err
		}
		return do(a, ctx, call)
	})
}

func (a *app) jobStatus(ctx context.Context, c *jobCall) error {
	ctx, stop := within(ctx)
	defer stop()
	st, err := c.s.Job(c.id).Status(ctx)
	if err != nil {
		return err
	}
	return a.printStatus(c.format, st, time.Now())
}

func (a *app) printStatus(f output.Format, st *pond.Status, now time.Time) error {
	switch f {
	case output.JSON, output.JSONL:
		return a.object(f, st)
	case output.Table:
		printHead(a.stdout, st, now)
		if len(st.Stages) == 0 {
			return nil
		}
		fmt.Fprintln(a.stdout)
	}
	people := output.NewListing(col("stage", 0), col("name", ""), col("tasks", ""), col("rows", 0), col("shuffled", ""), col("raw", ""), col("spilled", ""), col("retries", 0), col("reused", 0), col("cpu", ""))
	programs := output.NewListing(col("index", 0), col("name", ""), col("tasks", 0), col("running", 0), col("done", 0), col("reused", 0), col("retries", 0),
		col("rows", 0), col("raw_bytes", 0), col("bytes", 0), col("spill", 0), col("cpu_ms", 0), col("dropped", false))
	for _, s := range st.Stages {
		name := s.Name
		if s.Dropped {
			name += " (dropped)"
		}
		people.Add(s.Index, name, fmt.Sprintf("%d/%d", s.Done, s.Tasks), s.Rows, size(s.Bytes), size(s.RawBytes), size(s.Spill), s.Retries, s.Reused,
			progress.Duration(s.CPU))
		programs.Add(s.Index, s.Name, s.Tasks, s.Running, s.Done, s.Reused, s.Retries, s.Rows, s.RawBytes, s.Bytes, s.Spill, s.CPU.Milliseconds(), s.Dropped)
	}
	return a.list(f, people, programs)
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func printHead(w io.Writer, st *pond.Status, now time.Time) {
	line := func(name, text string) { fmt.Fprintf(w, "%-12s %s\n", name, text) }
	line("job", strings.TrimSpace(st.ID+"  "+st.Name))
	if st.Owner != "" {
		line("owner", st.Owner)
	}
	if st.User != "" {
		line("user", st.User)
	}
	if st.Hidden {
		line("hidden", "what it runs, reads and writes: only its owner and admins see that")
	}
	if st.Statement != "" {
		line("statement", strings.ReplaceAll(st.Statement, "\n", "\n             "))
	}
	state := st.State
	if t := took(st, now); t != nil {
		verb := " for "
		if st.Done() {
			verb = " in "
		}
		state += verb + t.(string)
	}
	line("state", state)
	if st.WaitsFor != "" {
		line("waits", strings.TrimPrefix(progress.Waits(st), "waits "))
	}
	if !st.Submitted.IsZero() {
		line("submitted", fmt.Sprintf("%v (%v)", stamp(st.Submitted), ago(st.Submitted, now)))
	}
	since := func(name string, t time.Time) {
		if !t.IsZero() {
			line(name, fmt.Sprintf("%v (+%s)", stamp(t), progress.Duration(max(0, t.Sub(st.Submitted)))))
		}
	}
	since("started", st.Started)
	since("engine ended", st.EngineEnded)
	since("ended", st.Ended)
	since("first row", st.FirstRow)
	since("last row", st.LastRow)
	if st.Copies != "" {
		made := 0
		for _, s := range st.Stages {
			made += s.Copies
		}
		line("copies", fmt.Sprintf("%s, %d made", st.Copies, made))
	}
	if st.Coordinator != "" {
		line("coordinator", fmt.Sprintf("node %s, term %d", st.Coordinator, st.Term))
	}
	switch {
	case len(st.Files) > 0:
		line("result", progress.Count(st.Rows, "row")+" in "+progress.Count(len(st.Files), "file"))
	case succeeded(st):
		line("result", progress.Count(st.Rows, "row"))
	}
	if e := st.Error; e != nil {
		line("error", strings.ReplaceAll(e.Error(), "\n", "\n             "))
	}
}

func (a *app) jobWatch(ctx context.Context, c *jobCall) error {
	st, err := a.follow(ctx, c.s.Job(c.id), c.quiet)
	if err != nil {
		return err
	}
	if c.format != output.Table {
		if err := a.printStatus(c.format, st, time.Now()); err != nil {
			return err
		}
	}
	return ended(st)
}

// follow shows a job's progress until it has ended.
func (a *app) follow(ctx context.Context, j *pond.Job, quiet bool) (*pond.Status, error) {
	d := a.show(quiet)
	defer a.hide(d)
	for st, err := range j.Watch(ctx) {
		if err != nil {
			return nil, err
		}
		d.Update(st)
		if st.Done() {
			return st, nil
		}
	}
	return nil, context.Cause(ctx)
}

// ended is the error of a job that did not succeed.
func ended(st *pond.Status) error {
	err := st.Err()
	if err == nil {
		return nil
	}
	return &jobError{id: progress.Short(st.ID), state: st.State, err: err}
}

// resultCommand prints the rows of a job that was submitted by whomever.
func (a *app) resultCommand() *cobra.Command {
	var o outputFlags
	var quiet bool
	cmd := &cobra.Command{
		Use:   "result ID",
		Short: "Print a job's rows, once it has ended",
		Long: "Print a job's rows, once it has ended, as they would have been printed if this command\n" +
			"had submitted it. Nodes keep them for ten minutes at least; what they have let go of, or\n" +
			"what died with a node, is made anew.\n\n" +
			"The beginning of an id will do where it is the only one.",
		Example: "  pondnode job result 59e3e9fd\n  pondnode job result 59e3e9fd -o parquet --out result.parquet",
		Args:    args(1, 1, "a job's id"),
	}
	o.addRows(cmd)
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	var f output.Format
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) (err error) {
		f, err = o.check(cmd, a.stdout)
		return err
	}
	return a.asking(cmd, func(ctx context.Context, s *pond.Session, args []string) error {
		id, err := jobID(ctx, s, args[0])
		if err != nil {
			return err
		}
		j := s.Job(id)
		st, err := a.follow(ctx, j, quiet)
		if err != nil {
			return err
		}
		if err := ended(st); err != nil {
			return err
		}
		if st.Output != "" {
			fmt.Fprintln(a.stderr, written(st))
			return usageError{"job " + progress.Short(id) + " wrote files, and has no rows to print", "read them: pondnode sql \"FROM '" + st.Output + "'\""}
		}
		rows, err := j.Rows(ctx)
		if err != nil {
			return err
		}
		return a.emit(f, &o, rows.Schema, rows.Len(), rows.All())
	})
}

func (a *app) jobCancel(ctx context.Context, c *jobCall) error {
	ctx, stop := within(ctx)
	defer stop()
	before, err := c.s.Job(c.id).Status(ctx)
	if err != nil {
		return err
	}
	if err := c.s.Job(c.id).Cancel(ctx); err != nil {
		return err
	}
	st, err := c.s.Job(c.id).Status(ctx)
	if err != nil {
		return err
	}
	if c.format != output.Table {
		return a.printStatus(c.format, st, time.Now())
	}
	switch {
	case before.Done():
		fmt.Fprintf(a.stdout, "job %s had ended: %s\n", progress.Short(c.id), before.State)
	default:
		fmt.Fprintf(a.stdout, "job %s %s\n", progress.Short(c.id), st.State)
	}
	return nil
}

func (a *app) jobExplain(ctx context.Context, c *jobCall) error {
	ctx, stop := within(ctx)
	defer stop()
	text, err := c.s.Job(c.id).Explain(ctx, explainFormat(c.format))
	if err != nil {
		return err
	}
	return a.printExplain(c.format, text)
}

func explainFormat(f output.Format) string {
	if f == output.JSON {
		return "json"
	}
	return "text"
}

// printExplain writes stages as they came: text, or JSON.
func (a *app) printExplain(f output.Format, text string) error {
	if f != output.Table && f != output.JSON {
		return usageError{"stages are shown as table (text) or json only", "leave -o out, or use -o json"}
	}
	_, err := io.WriteString(a.stdout, strings.TrimRight(text, "\n")+"\n")
	return err
}
