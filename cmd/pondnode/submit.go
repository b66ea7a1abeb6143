package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/stmt"
	"github.com/pondmesh/pond/cmd/pondnode/internal/jobfile"
)

// submission is the flags of a job: its options, and where its rows go.
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
	broadcast  string
	codec      string
	copies     string
	lease      time.Duration
	typed      []string    // parameters
	params     stmt.Params // what they are
}

func (s *submission) add(cmd *cobra.Command) {
	s.out.addRows(cmd)
	f := cmd.Flags()
	f.BoolVarP(&s.quiet, "quiet", "q", false, "show no progress")
	f.BoolVar(&s.noReuse, "no-reuse", false, "run every stage, though an equal one's rows may be held")
	f.DurationVar(&s.deadline, "deadline", 0, "end the job when it has taken so long (default never)")
	f.IntVar(&s.partitions, "partitions", 0, "partitions that exchanges make where the job does not say (default by the pond's slots)")
	f.BoolVar(&s.force, "force", false, "distribute SQL however little it reads (default: one node runs what is small)")
	f.StringVar(&s.broadcast, "broadcast", "", "`size` up to which a join's side is sent to every task (default 16MiB)")
	f.StringArrayVar(&s.typed, "param", nil, "`NAME=VALUE` of the statement's $NAME, or a VALUE for the next of $1, $2 … or ?; may be repeated")
	f.DurationVar(&s.lease, "lease", time.Minute, "end the job when this command is gone for so long; 0: never")
	f.StringVar(&s.codec, "codec", "", "how blocks are compressed: s2, zstd, lz4 or none (default s2)")
	f.StringVar(&s.copies, "copies", "", "whether two nodes hold what a stage leaves: none; lazy, once a task is done; eager, before it is; auto, lazy for long jobs on many nodes (default auto)")
	_ = cmd.RegisterFlagCompletionFunc("copies", cobra.FixedCompletions([]string{"auto", "none", "lazy", "eager"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("codec", cobra.FixedCompletions([]string{"s2", "zstd", "lz4", "none"}, cobra.ShellCompDirectiveNoFileComp))
}

// check finds mistakes before anything runs.
func (s *submission) check(cmd *cobra.Command, a *app) (err error) {
	if s.format, err = s.out.check(cmd, a.stdout); err != nil {
		return err
	}
	if _, err := s.broadcastBytes(); err != nil {
		return err
	}
	if s.params, err = stmt.ParseParams(s.typed); err != nil {
		return badParam(err)
	}
	if s.detach && s.out.out != "" {
		return usageError{"--detach does not wait for rows to put into --out", "use one of them"}
	}
	return nil
}

func (s *submission) broadcastBytes() (int64, error) {
	if s.broadcast == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(s.broadcast)
	if err != nil || n > 1<<60 {
		return 0, usageError{"--broadcast " + quote(s.broadcast) + " is not a size", "write it like 512KiB or 64MiB"}
	}
	return int64(n), nil
}

// options are the flags as the session's settings.
func (s *submission) options() []pond.ClientOption {
	bytes, _ := s.broadcastBytes() // checked before
	return []pond.ClientOption{pond.Force(s.force), pond.Reuse(!s.noReuse), pond.Partitions(s.partitions), pond.Broadcast(bytes),
		pond.Codec(s.codec), pond.Copies(s.copies), pond.Deadline(s.deadline), pond.Lease(s.lease)}
}

func badParam(err error) error {
	e := plan.AsError(err)
	return usageError{"--param: " + e.Text, e.Hint}
}

// args are the values that one of the statements asks for.
func (s *submission) args(statement string) pond.JobOption {
	p := s.params.For(statement)
	values := slices.Clone(p.List)
	for name, v := range p.Named {
		values = append(values, sql.Named(name, v))
	}
	return pond.Args(values...)
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
			session, err := a.connect(&c, s.options()...)
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

// job is the argument of submit: the plan of a job file, or SQL.
type job struct {
	name string
	plan []byte // JSON
	file bool   // the plan writes files
	sql  string
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
		return &job{sql: arg}, nil
	default:
		data, err = os.ReadFile(arg)
	}
	if err != nil {
		return nil, usageError{"the job file cannot be read: " + err.Error(), ""}
	}
	return parseJob(name, data, dir)
}

func parseJob(name string, data []byte, dir string) (*job, error) {
	p, err := jobfile.Parse(name, data, dir)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("the job file: %w", err)
	}
	return &job{name: p.Name, plan: b, file: p.Sink.Write != nil}, nil
}

// submit runs a job to its end, or to where the flags say.
func (a *app) submit(ctx context.Context, s *pond.Session, j *job, sub *submission) error {
	r := &runner{a: a, session: s, sub: sub}
	if err := sub.params.CheckUsed([]string{j.sql}); err != nil {
		return badParam(err)
	}
	switch {
	case j.file && sub.out.out != "":
		return usageError{"the job writes files and has no rows for --out", "leave --out away, or the job's result: write"}
	case sub.explain:
		return r.interruptible(ctx, func(ctx context.Context) error { return r.explain(ctx, j) })
	case sub.detach:
		return r.interruptible(ctx, func(ctx context.Context) error { return r.detach(ctx, j) })
	case j.plan == nil:
		return r.interruptible(ctx, func(ctx context.Context) error { return r.statement(ctx, j.sql) })
	}
	return r.interruptible(ctx, func(ctx context.Context) error {
		return r.follow(ctx, func(seen pond.JobOption) (*pond.Rows, error) { return s.FromPlan(j.plan).Collect(ctx, seen) })
	})
}

func (r *runner) explain(ctx context.Context, j *job) error {
	if j.plan == nil {
		text := "EXPLAIN "
		if r.sub.format == output.JSON {
			text = "EXPLAIN (FORMAT json) "
		}
		return r.statement(ctx, text+j.sql)
	}
	text, err := r.session.FromPlan(j.plan).Explain(ctx, explainFormat(r.sub.format))
	if err != nil {
		return err
	}
	return r.a.printExplain(r.sub.format, text)
}

// detach submits a job and prints its id.
func (r *runner) detach(ctx context.Context, j *job) error {
	var err error
	var submitted *pond.Job
	if j.plan == nil {
		submitted, err = r.session.Submit(ctx, j.sql, r.sub.args(j.sql))
	} else {
		submitted, err = r.session.FromPlan(j.plan).Submit(ctx)
	}
	if err != nil {
		return err
	}
	if r.sub.format == output.Table {
		_, err := fmt.Fprintln(r.a.stdout, submitted.ID())
		return err
	}
	l := output.NewListing(col("id", ""), col("name", ""))
	l.Add(submitted.ID(), orNull(j.name))
	return r.a.list(r.sub.format, l, l)
}
