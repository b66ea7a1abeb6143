package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/actors/plan/stmt"
	"github.com/pondmesh/pond/cmd/pondnode/internal/progress"
)

// sqlFlags are the settings of pondnode sql.
type sqlFlags struct {
	client  clientFlags
	sub     submission
	file    string
	history string
}

func (a *app) sqlCommand() *cobra.Command {
	var s sqlFlags
	cmd := &cobra.Command{
		Use:   "sql [\"statement; statement\"]",
		Short: "Run SQL statements, or type them at a prompt",
		Long: "Run SQL statements one after another, up to the first that fails: queries over files,\n" +
			"COPY (…) TO, CREATE VIEW, EXPLAIN [ANALYZE], DESCRIBE, SUMMARIZE, SHOW, SET.\n" +
			"Without a statement they are typed at a prompt, which \\? explains, or read from\n" +
			"standard input where that is no terminal. Views and settings last as long as the\n" +
			"command. Relative paths are taken from the current folder.\n\n" +
			"Ctrl-C cancels the statement that runs.",
		Example: "  pondnode sql \"SELECT origin, count(*) FROM 'flights/*.parquet' GROUP BY 1\"\n" +
			"  pondnode sql -f report.sql -o csv\n" +
			"  pondnode sql \"FROM 'flights/*.parquet' WHERE origin = $from\" --param from=ORD\n" +
			"  pondnode sql \"COPY (FROM 'flights/*.csv') TO 'flights.parquet'\"",
		Args: args(0, 1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.sub.check(cmd, a); err != nil {
				return err
			}
			return a.sql(cmd.Context(), &s, args)
		},
	}
	s.client.add(cmd)
	s.sub.add(cmd)
	cmd.Flags().StringVarP(&s.file, "file", "f", "", "run the statements of this `file`; - is standard input")
	cmd.Flags().StringVar(&s.history, "history", defaultHistory(), "`file` that keeps what was typed at the prompt; empty: none")
	return cmd
}

func defaultHistory() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".pond_history")
}

func (a *app) sql(ctx context.Context, s *sqlFlags, args []string) error {
	if len(args) > 0 && s.file != "" {
		return usageError{"both a statement and --file are given", "use one of them"}
	}
	in, terminal := terminalOf(a.stdin)
	session, err := a.connect(&s.client, s.sub.options()...)
	if err != nil {
		return err
	}
	r := &runner{a: a, session: session, sub: &s.sub}
	defer func() { r.session.Close() }()
	switch {
	case len(args) > 0:
		return r.script(ctx, args[0])
	case s.file != "":
		return r.scriptFile(ctx, s.file)
	case !terminal:
		return r.scriptFile(ctx, "-")
	}
	if s.sub.out.out != "" {
		return usageError{"--out is for statements that are given, not typed", "write files with COPY (…) TO 'file'"}
	}
	sh := &prompt{runner: r, flags: s}
	words := &completer{tables: func() []string { return tablesOf(sh.session) }, files: listFolder}
	sh.lines = newPromptLines(in, a.stderr, a.signals, openHistory(s.history), words)
	return sh.start(ctx)
}

// runner runs statements and prints what comes out.
type runner struct {
	a       *app
	session *pond.Session
	sub     *submission
	timing  bool
	written bool                        // rows, to where the output goes
	stopped bool                        // by a signal that is no Ctrl-C
	job     atomic.Pointer[pond.Status] // the one that runs, once it is known
}

// scriptBytesMax bounds a script.
const scriptBytesMax = 64 << 20

// scriptFile runs the statements of a file; - is standard input.
func (r *runner) scriptFile(ctx context.Context, name string) error {
	var in io.Reader = r.a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return usageError{"the script cannot be read: " + err.Error(), ""}
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, scriptBytesMax+1))
	if err != nil {
		return usageError{"the script cannot be read: " + err.Error(), ""}
	}
	if len(text) > scriptBytesMax {
		return usageError{"the script is too long", "run it in parts"}
	}
	return r.script(ctx, string(text))
}

// script runs statements up to the first that fails.
func (r *runner) script(ctx context.Context, text string) error {
	list, rest := stmt.Split(text)
	if last := stmt.Trim(rest); last != "" {
		list = append(list, last)
	}
	if len(list) == 0 {
		return usageError{"there is no statement", "write one in quotes, or leave it away for a prompt"}
	}
	if err := r.sub.params.CheckUsed(list); err != nil {
		return badParam(err)
	}
	if err := r.several(list); err != nil {
		return err
	}
	for i, one := range list {
		err := notSQL(one)
		if err == nil {
			err = r.run(ctx, one)
		}
		if err != nil {
			if len(list) > 1 {
				fmt.Fprintf(r.a.stderr, "in statement %d of %d: %s\n", i+1, len(list), short(one))
			}
			return err
		}
	}
	return nil
}

// several refuses statements of which a second has rows where the output holds those of
// one, before any is run.
func (r *runner) several(list []string) error {
	with := 0
	for _, one := range list {
		if !r.hasRows(one) {
			continue
		}
		if with++; with > 1 {
			return r.refuseSecond()
		}
	}
	return nil
}

// hasRows reports whether a statement has rows for the output, if it runs and as far as its
// text tells.
func (r *runner) hasRows(sql string) bool {
	s, err := stmt.Parse(sql)
	if err != nil {
		return false
	}
	switch s.Kind {
	case stmt.Query, stmt.Explain, stmt.Describe, stmt.Show:
		return true
	case stmt.Copy, stmt.CreateTable, stmt.Insert: // how many they wrote
		return r.sub.format != output.Table && !s.IfNotExists
	}
	return false
}

// refuseSecond is an error where the output holds one result: a file of --out, or a format
// whose readers would take a second one for the first, or not see it.
func (r *runner) refuseSecond() error {
	f := r.sub.format
	switch {
	case r.sub.out.out != "":
		return usageError{"--out takes the rows of one statement, and a second has some", "write each with COPY (…) TO 'file', or run them apart"}
	case f.Binary() && !isTerminal(r.a.stdout):
		return usageError{"-o " + string(f) + " takes the rows of one statement, and a second has some", "run them apart, or use -o csv, json or jsonl"}
	}
	return nil
}

// shortMax is how much of a statement is shown.
const shortMax = 70

func short(sql string) string { return brief(sql, shortMax) }

// brief is the beginning of a text, in one line.
func brief(text string, most int) string {
	line := []rune(strings.Join(strings.Fields(text), " "))
	if len(line) > most {
		line = append(line[:most-1], '…')
	}
	return string(line)
}

// run runs a statement that a signal cancels.
func (r *runner) run(ctx context.Context, sql string) error {
	return r.interruptible(ctx, func(ctx context.Context) error { return r.statement(ctx, sql) })
}

// interruptible does work that waits for a job. The first signal cancels it, the
// second leaves it to itself.
func (r *runner) interruptible(ctx context.Context, work func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(context.Canceled)
	r.job.Store(nil)
	done := make(chan error, 1)
	go func() { done <- work(ctx) }()
	select {
	case err := <-done:
		return err
	case sig := <-r.a.signals:
		r.stopped = sig != os.Interrupt
	}
	what := "cancelling"
	if st := r.job.Load(); st != nil {
		what += " job " + progress.Short(st.ID)
	}
	fmt.Fprintln(r.a.stderr, what+"; once more does not wait for it")
	stop(errInterrupted)
	select {
	case err := <-done:
		if left := new(pond.Error); errors.As(err, &left) && left.Op == "cancel" {
			fmt.Fprintln(r.a.stderr, left)
		}
	case <-r.a.signals:
	}
	if st := r.job.Load(); st != nil && st.State == "succeeded" && st.Output != "" {
		return &lateError{st}
	}
	return errInterrupted
}

// tags are said of statements that have no rows.
var tags = map[stmt.Kind]string{stmt.CreateView: "CREATE VIEW", stmt.DropView: "DROP VIEW", stmt.DropTable: "DROP TABLE", stmt.CreateTable: "CREATE TABLE"}

// tagOf is what is said of a statement that has run.
func tagOf(sql string) string {
	s, err := stmt.Parse(sql)
	switch {
	case err != nil:
		return ""
	case s.Kind == stmt.Set && s.Reset:
		return "RESET"
	case s.Kind == stmt.Set:
		return "SET"
	}
	return tags[s.Kind]
}

// statement runs one statement and prints its rows.
func (r *runner) statement(ctx context.Context, sql string) error {
	if r.written && r.hasRows(sql) {
		if err := r.refuseSecond(); err != nil {
			return err
		}
	}
	begun := time.Now()
	err := r.follow(ctx, func(seen pond.JobOption) (*pond.Rows, error) { return r.session.SQL(ctx, sql, seen, r.sub.args(sql)) })
	if err != nil {
		return meant(err, func() []string { return tablesOf(r.session) })
	}
	if tag := tagOf(sql); tag != "" && !r.sub.quiet {
		fmt.Fprintln(r.a.stderr, tag)
	}
	if r.timing {
		fmt.Fprintf(r.a.stderr, "time: %s\n", progress.Duration(time.Since(begun)))
	}
	return nil
}

// follow shows the progress of what do runs, and prints its rows.
func (r *runner) follow(ctx context.Context, do func(seen pond.JobOption) (*pond.Rows, error)) error {
	d := r.a.show(r.sub.quiet)
	var last *pond.Status
	rows, err := do(pond.OnStatus(func(st *pond.Status) {
		last = st
		r.job.Store(st)
		if ctx.Err() == nil {
			d.Update(st)
		}
	}))
	r.a.hide(d)
	if err != nil {
		if last != nil && last.Err() != nil && ctx.Err() == nil {
			return ended(last)
		}
		return err
	}
	return r.show(rows)
}

// show prints a result. For people, COPY is a line of words and stages are text.
func (r *runner) show(rows *pond.Rows) error {
	f, o := r.sub.format, r.sub.out
	wrote := rows.Status != nil && rows.Status.Output != ""
	if wrote && !r.sub.quiet {
		fmt.Fprintln(r.a.stderr, written(rows.Status))
	}
	stages, explained := explanation(rows)
	if rows.Schema == nil || wrote && f == output.Table && !explained {
		return nil
	}
	if r.written { // which its text did not tell
		if err := r.refuseSecond(); err != nil {
			return err
		}
	}
	r.written = true
	if explained && o.out == "" && (f == output.Table || f == output.JSON && strings.HasPrefix(stages, "[")) {
		return r.a.printExplain(f, stages)
	}
	return r.a.emit(f, &o, rows.Schema, rows.Len(), rows.All())
}

// written describes the output of a job that writes.
func written(st *pond.Status) string {
	rows := progress.Count(st.Rows, "row")
	if len(st.Files) == 1 && st.Files[0] == filepath.Base(st.Output) {
		return rows + " in " + st.Output
	}
	return rows + " in " + progress.Count(len(st.Files), "file") + " in " + st.Output
}

// explanation is the text of an EXPLAIN.
func explanation(rows *pond.Rows) (string, bool) {
	if rows.Schema == nil || rows.Schema.NumFields() != 2 || rows.Schema.Field(0).Name != "explain_key" {
		return "", false
	}
	for rec, err := range rows.All() {
		if err == nil && rec.NumRows() == 1 {
			return rec.Column(1).ValueStr(0), true
		}
	}
	return "", false
}

// isEnd reports whether err ends a prompt's input rather than the work.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }
