package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/cmd/pondnode/internal/jobfile"
	"github.com/pondmesh/pond/cmd/pondnode/internal/output"
	"github.com/pondmesh/pond/cmd/pondnode/internal/progress"
)

// submission is a job's way from here: its options, and what becomes of its
// rows.
type submission struct {
	out        outputFlags
	format     output.Format
	quiet      bool
	detach     bool
	explain    bool
	noReuse    bool
	deadline   time.Duration
	partitions int
	force      bool
	codec      string
}

func (s *submission) add(cmd *cobra.Command) {
	s.out.addRows(cmd)
	f := cmd.Flags()
	f.BoolVarP(&s.quiet, "quiet", "q", false, "show no progress")
	f.BoolVar(&s.noReuse, "no-reuse", false, "run every stage, though an equal one's rows may be held")
	f.DurationVar(&s.deadline, "deadline", 0, "end the job when it has taken so long (default never)")
	f.IntVar(&s.partitions, "partitions", 0, "partitions that exchanges make where the job does not say (default by the pond's slots)")
	f.BoolVar(&s.force, "force", false, "distribute SQL however little it reads (default: one node runs what is small)")
	f.StringVar(&s.codec, "codec", "", "how blocks are compressed: s2, zstd, lz4 or none (default s2)")
	_ = cmd.RegisterFlagCompletionFunc("codec", cobra.FixedCompletions(codecs, cobra.ShellCompDirectiveNoFileComp))
}

var codecs = []string{"s2", "zstd", "lz4", "none"}

// check finds mistakes before anything runs.
func (s *submission) check(cmd *cobra.Command, a *app) (err error) {
	if s.format, err = s.out.check(cmd, a.stdout); err != nil {
		return err
	}
	switch {
	case s.codec != "" && !strings.Contains(" "+strings.Join(codecs, " ")+" ", " "+s.codec+" "):
		return usageError{"--codec " + quote(s.codec) + " is not known", "use " + strings.Join(codecs, ", ")}
	case s.partitions < 0 || s.partitions > plan.MaxPartitions:
		return usageError{fmt.Sprintf("--partitions %d is out of range", s.partitions), fmt.Sprintf("use 1 to %d", plan.MaxPartitions)}
	case s.deadline < 0:
		return usageError{"--deadline is negative", "write a length of time, such as 90s or 10m"}
	case s.detach && s.out.out != "":
		return usageError{"--detach does not wait for rows to put into --out", "use one of them"}
	}
	return nil
}

func (a *app) submitCommand() *cobra.Command {
	var c clientFlags
	var s submission
	cmd := &cobra.Command{
		Use:   "submit FILE.yaml | \"SELECT …\"",
		Short: "Run a job file, or one SQL statement over files",
		Long: "Run a job file (YAML; - is standard input) or one SQL statement over files,\n" +
			"follow it, and print its rows. Relative paths are taken from the current folder;\n" +
			"the nodes read the files, so that a path must mean the same on each.\n\n" +
			"Ctrl-C cancels the job and waits until it has ended; a second one leaves at once.",
		Example: "  pondnode submit \"SELECT origin, count(*) FROM 'flights/*.parquet' GROUP BY 1\"\n" +
			"  pondnode submit job.yaml -o parquet --out result.parquet\n" +
			"  pondnode submit job.yaml --detach",
		Args: args(1, 1, "a job file or an SQL statement"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.check(cmd, a); err != nil {
				return err
			}
			job, err := a.readJob(args[0])
			if err != nil {
				return err
			}
			session, err := a.connect(&c)
			if err != nil {
				return err
			}
			defer session.Close()
			return a.submit(cmd.Context(), session, job, &s)
		},
	}
	c.add(cmd)
	s.add(cmd)
	cmd.Flags().BoolVarP(&s.detach, "detach", "d", false, "print the job's id and do not wait")
	cmd.Flags().BoolVar(&s.explain, "explain", false, "print the stages that the job would run as, and run nothing")
	return cmd
}

// job is what was handed in: a plan, or SQL that a node makes one of.
type job struct {
	plan *plan.Plan
	sql  string
	dir  string // that relative names are taken from
}

// jobFileBytesMax bounds a job file.
const jobFileBytesMax = plan.MaxPlanBytes

// readJob finds out what an argument is.
func (a *app) readJob(arg string) (*job, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("the current folder: %w", err)
	}
	name := arg
	var data []byte
	switch ext := strings.ToLower(filepath.Ext(arg)); {
	case arg == "-":
		name = "standard input"
		data, err = io.ReadAll(io.LimitReader(a.stdin, jobFileBytesMax+1))
	case strings.TrimSpace(arg) == "":
		return nil, usageError{"the job is empty", "give a job file or an SQL statement"}
	case ext != ".yaml" && ext != ".yml":
		if !strings.ContainsAny(arg, " \t\n") {
			return nil, usageError{quote(arg) + " is neither a job file nor SQL", "name a .yaml file, or write a statement in quotes"}
		}
		return &job{sql: arg, dir: dir}, nil
	default:
		data, err = os.ReadFile(arg)
	}
	if err != nil {
		return nil, usageError{"the job file cannot be read: " + err.Error(), ""}
	}
	p, err := jobfile.Parse(name, data, dir)
	if err != nil {
		return nil, err
	}
	return &job{plan: p, dir: dir}, nil
}

// planOf has a node make a plan of a job's SQL.
func planOf(ctx context.Context, s *pond.Session, j *job) (*plan.Plan, error) {
	if j.plan == nil {
		return planSQL(ctx, s, j.sql, j.dir)
	}
	p := *j.plan
	p.Nodes = nil
	for _, n := range j.plan.Nodes {
		if n.SQL == nil || len(n.Inputs) > 0 || len(n.SQL.Access) > 0 {
			p.Nodes = append(p.Nodes, n)
			continue
		}
		part, err := planSQL(ctx, s, n.SQL.Query, j.dir)
		if err != nil {
			return nil, err
		}
		p.Nodes = append(p.Nodes, graft(part, n.ID)...)
	}
	return &p, nil
}

// planSQL makes a plan of one statement. Relative names are taken from dir.
func planSQL(ctx context.Context, s *pond.Session, sql, dir string) (*plan.Plan, error) {
	return s.PlanSQL(ctx, sql, dir)
}

// graft is a plan's steps, renamed so that the one whose rows it wants is id.
func graft(part *plan.Plan, id plan.NodeID) []plan.Node {
	rename := func(old plan.NodeID) plan.NodeID {
		if old == part.Sink.Input {
			return id
		}
		return id + "/" + old
	}
	nodes := make([]plan.Node, len(part.Nodes))
	for i, n := range part.Nodes {
		nodes[i] = n
		nodes[i].ID = rename(n.ID)
		nodes[i].Inputs = make([]plan.NodeID, len(n.Inputs))
		for k, in := range n.Inputs {
			nodes[i].Inputs[k] = rename(in)
		}
	}
	return nodes
}

// submit runs a job to its end, or to where the flags say.
func (a *app) submit(ctx context.Context, s *pond.Session, j *job, sub *submission) error {
	spec := &api.JobSpec{ID: api.NewJobID(), Options: api.JobOptions{
		DeadlineMillis: sub.deadline.Milliseconds(), NoReuse: sub.noReuse, Partitions: sub.partitions, Force: sub.force, Codec: sub.codec}}
	return a.cancellable(ctx, s, spec.ID, func(ctx context.Context) error {
		p, err := planOf(ctx, s, j)
		if err != nil {
			return err
		}
		if p.Sink.Write != nil && sub.out.out != "" {
			return usageError{"the job writes files and has no rows for --out", "leave --out away, or the job's result: write"}
		}
		spec.Plan, spec.Name, spec.Submitted = p, p.Name, time.Now().UnixMilli()
		if sub.explain {
			text, err := s.API().Explain(ctx, spec, sub.format == output.JSON)
			if err != nil {
				return err
			}
			return a.printExplain(sub.format, text)
		}
		if _, err := s.API().Submit(ctx, spec); err != nil {
			return err
		}
		if sub.detach {
			return a.printID(sub.format, spec)
		}
		return a.result(ctx, s, spec, sub)
	})
}

func (a *app) printID(f output.Format, spec *api.JobSpec) error {
	if f == output.Table {
		_, err := fmt.Fprintln(a.stdout, spec.ID)
		return err
	}
	l := output.NewListing(col("id", ""), col("name", ""))
	l.Add(string(spec.ID), orNull(spec.Name))
	return a.list(f, l, l)
}

// result follows a job and prints what comes out.
func (a *app) result(ctx context.Context, s *pond.Session, spec *api.JobSpec, sub *submission) error {
	j := s.Job(string(spec.ID))
	st, err := a.follow(ctx, j, sub.quiet)
	if err != nil {
		return err
	}
	if err := ended(st); err != nil {
		return err
	}
	if w := spec.Plan.Sink.Write; w != nil {
		if w.Single {
			fmt.Fprintf(a.stderr, "%s in %s\n", progress.Count(st.Rows, "row"), w.Path)
			return nil
		}
		fmt.Fprintf(a.stderr, "%s in %s in %s\n", progress.Count(st.Rows, "row"), progress.Count(len(st.Files), "file"), w.Path)
		return nil
	}
	rows, err := j.Rows(ctx)
	if err != nil {
		return err
	}
	return a.emit(sub.format, &sub.out, rows.Schema, rows.Len(), rows.All())
}

// cancelPause is how long a job that is not known yet is given until cancelling
// it is tried again.
const cancelPause = 200 * time.Millisecond

// cancelTimeout is how long an interrupted command waits for its job to end.
const cancelTimeout = 5 * time.Second

// cancellable does work for a job. The first signal cancels the job, which ends
// the work; the second leaves at once.
func (a *app) cancellable(ctx context.Context, s *pond.Session, id plan.JobID, work func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(context.Canceled)
	done, cancelled := make(chan error, 1), make(chan struct{})
	go func() { done <- work(ctx) }()
	select {
	case err := <-done:
		return err
	case <-a.signals:
	}
	fmt.Fprintf(a.stderr, "cancelling job %s; once more leaves it to itself\n", progress.Short(string(id)))
	go func() {
		defer close(cancelled)
		short, cancel := context.WithTimeout(ctx, cancelTimeout)
		defer cancel()
		cancelJob(short, s.API(), id)
		if short.Err() == context.DeadlineExceeded {
			fmt.Fprintf(a.stderr, "%s has not said that the job has ended; end it with: pondnode job cancel %s\n", a.peer, id)
		}
	}()
	select {
	case err := <-done:
		// The job may have begun after all: a submission that failed ends here too.
		if err == nil || errors.Is(err, pond.ErrCancelled) {
			break
		}
		select {
		case <-cancelled:
		case <-time.After(cancelPause):
		}
	case <-cancelled:
		stop(errInterrupted)
		select {
		case <-done:
		case <-a.signals:
		case <-time.After(exchangeTimeout):
		}
	case <-a.signals:
	}
	return errInterrupted
}

// cancelJob asks until the job has ended.
func cancelJob(ctx context.Context, c *api.Client, id plan.JobID) {
	for {
		st, err := c.Cancel(ctx, id)
		if err == nil && st.State.Ended() {
			return
		}
		if errors.Is(err, pond.ErrUnavailable) && plan.AsError(err).Op == "call" || ctx.Err() != nil {
			return // nobody is left to ask
		}
		select {
		case <-time.After(cancelPause):
		case <-ctx.Done():
			return
		}
	}
}
