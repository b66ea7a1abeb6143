package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/cmd/pondnode/internal/output"
	"github.com/pondmesh/pond/cmd/pondnode/internal/progress"
)

func (a *app) jobsCommand() *cobra.Command {
	var c clientFlags
	var o outputFlags
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List the jobs that the pond remembers, newest first",
		Args:  args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := o.check(cmd, a.stdout)
			if err != nil {
				return err
			}
			s, err := a.connect(&c)
			if err != nil {
				return err
			}
			defer s.Close()
			ctx, cancel := a.until(cmd.Context())
			defer cancel()
			ctx, stop := within(ctx)
			defer stop()
			jobs, err := s.API().Jobs(ctx)
			if err != nil {
				return err
			}
			return a.listJobs(f, jobs, time.Now())
		},
	}
	c.add(cmd)
	o.add(cmd)
	return cmd
}

func (a *app) listJobs(f output.Format, jobs []api.JobStatus, now time.Time) error {
	people := output.NewListing(col("job", ""), col("name", ""), col("state", ""), col("submitted", ""), col("took", ""), col("stages", ""), col("rows", 0), col("error", ""))
	programs := output.NewListing(col("id", ""), col("name", ""), col("state", ""), col("coordinator", ""), col("term", 0),
		col("submitted", ""), col("ended", ""), col("stages", 0), col("rows", 0), col("files", 0), col("error_kind", ""), col("error", ""))
	for i := range jobs {
		j := &jobs[i]
		var rows, kind, text, first any
		if j.State == api.Succeeded {
			rows = j.Rows
		}
		if j.Error != nil {
			kind, text = j.Error.Kind, j.Error.Text
			line, _, _ := strings.Cut(strings.TrimSpace(j.Error.Text), "\n")
			first = line
		}
		people.Add(progress.Short(string(j.ID)), orNull(j.Name), string(j.State), ago(j.Submitted, now), took(j, now), stagesDone(j), rows, first)
		programs.Add(string(j.ID), orNull(j.Name), string(j.State), orNull(j.Coordinator), int64(j.Term), stamp(j.Submitted), stamp(j.Ended), len(j.Stages), rows, len(j.Files), kind, text)
	}
	return a.list(f, people, programs)
}

func stagesDone(j *api.JobStatus) string {
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

func ago(ms int64, now time.Time) any {
	if ms == 0 {
		return nil
	}
	return humanize.RelTime(time.UnixMilli(ms), now, "ago", "from now")
}

func took(j *api.JobStatus, now time.Time) any {
	if j.Submitted == 0 {
		return nil
	}
	end := now
	if j.Ended > 0 {
		end = time.UnixMilli(j.Ended)
	}
	return progress.Duration(max(0, end.Sub(time.UnixMilli(j.Submitted))))
}

// stamp is a time for programs.
func stamp(ms int64) any {
	if ms == 0 {
		return nil
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

func (a *app) jobCommand() *cobra.Command {
	job := &cobra.Command{Use: "job", Short: "Look at, wait for, or end one job", Args: cobra.ArbitraryArgs, RunE: group}
	job.AddCommand(
		a.oneJob("status", "Show where a job stands, stage by stage", (*app).jobStatus),
		a.oneJob("watch", "Follow a job until it ends; exits as the job did", (*app).jobWatch),
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
	var c clientFlags
	var o outputFlags
	call := &jobCall{}
	cmd := &cobra.Command{
		Use:   name + " ID",
		Short: short,
		Long:  short + ".\n\nThe beginning of an id will do where it is the only one.",
		Args:  args(1, 1, "a job's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := o.check(cmd, a.stdout)
			if err != nil {
				return err
			}
			s, err := a.connect(&c)
			if err != nil {
				return err
			}
			defer s.Close()
			ctx, cancel := a.until(cmd.Context())
			defer cancel()
			id, err := jobID(ctx, s.API(), args[0])
			if err != nil {
				return err
			}
			call.s, call.id, call.format = s, string(id), f
			return do(a, ctx, call)
		},
	}
	c.add(cmd)
	o.add(cmd)
	if name == "watch" {
		cmd.Flags().BoolVarP(&call.quiet, "quiet", "q", false, "show no progress")
	}
	return cmd
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

func (a *app) printStatus(f output.Format, st *api.JobStatus, now time.Time) error {
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
			progress.Duration(time.Duration(s.CPU)*time.Millisecond))
		programs.Add(s.Index, s.Name, s.Tasks, s.Running, s.Done, s.Reused, s.Retries, s.Rows, s.RawBytes, s.Bytes, s.Spill, s.CPU, s.Dropped)
	}
	return a.list(f, people, programs)
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func printHead(w io.Writer, st *api.JobStatus, now time.Time) {
	line := func(name, text string) { fmt.Fprintf(w, "%-12s %s\n", name, text) }
	line("job", strings.TrimSpace(string(st.ID)+"  "+st.Name))
	state := string(st.State)
	if t := took(st, now); t != nil {
		verb := " for "
		if st.State.Ended() {
			verb = " in "
		}
		state += verb + t.(string)
	}
	line("state", state)
	if st.Submitted > 0 {
		line("submitted", fmt.Sprintf("%v (%v)", stamp(st.Submitted), ago(st.Submitted, now)))
	}
	if st.Coordinator != "" {
		line("coordinator", fmt.Sprintf("node %s, term %d", st.Coordinator, st.Term))
	}
	switch {
	case len(st.Files) > 0:
		line("result", progress.Count(st.Rows, "row")+" in "+progress.Count(len(st.Files), "file"))
	case st.State == api.Succeeded:
		line("result", progress.Count(st.Rows, "row"))
	}
	if e := st.Error; e != nil {
		line("error", strings.ReplaceAll(e.Err().Error(), "\n", "\n             "))
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
func (a *app) follow(ctx context.Context, j *pond.Job, quiet bool) (*api.JobStatus, error) {
	var d progress.Display = progress.Silent{}
	if !quiet {
		d = progress.New(a.stderr, columns(a.stderr))
	}
	defer d.Close()
	for st, err := range j.Watch(ctx) {
		if err != nil {
			return nil, err
		}
		d.Update(st)
		if st.State.Ended() {
			return st, nil
		}
	}
	return nil, context.Cause(ctx)
}

// ended is the error of a job that did not succeed.
func ended(st *api.JobStatus) error {
	if st.State == api.Succeeded {
		return nil
	}
	e := st.Error
	if e == nil {
		e = &api.Error{Kind: "cancelled", Text: "the job was cancelled"}
	}
	return &jobError{id: progress.Short(string(st.ID)), state: st.State, err: e.Err()}
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
	case before.State.Ended():
		fmt.Fprintf(a.stdout, "job %s had ended: %s\n", progress.Short(c.id), before.State)
	default:
		fmt.Fprintf(a.stdout, "job %s %s\n", progress.Short(c.id), st.State)
	}
	return nil
}

func (a *app) jobExplain(ctx context.Context, c *jobCall) error {
	ctx, stop := within(ctx)
	defer stop()
	text, err := c.s.API().ExplainJob(ctx, plan.JobID(c.id), c.format == output.JSON)
	if err != nil {
		return err
	}
	return a.printExplain(c.format, text)
}

// printExplain writes stages as they came: text, or JSON.
func (a *app) printExplain(f output.Format, text string) error {
	if f != output.Table && f != output.JSON {
		return usageError{"stages are shown as table (text) or json only", "leave -o out, or use -o json"}
	}
	_, err := io.WriteString(a.stdout, strings.TrimRight(text, "\n")+"\n")
	return err
}
