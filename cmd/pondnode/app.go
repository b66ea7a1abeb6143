package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/pondmesh/pond/cmd/pondnode/internal/near"
	"github.com/pondmesh/pond/cmd/pondnode/internal/progress"
)

// system is all that a run of the program has to do with the outside.
type system struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) (string, bool)
	signals        <-chan os.Signal // the first asks to stop, the second insists
}

// app is one run of the program.
type app struct {
	system
	peer  string                           // or peers that the command talks to, for errors
	shown atomic.Pointer[progress.Display] // that draws on standard error now; nil: none
}

// run runs the command that args name and returns the exit code.
func run(ctx context.Context, sys system, args []string) int {
	a := &app{system: sys}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	a.report(err)
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "pondnode",
		Short: "A pond turns any set of machines into one DuckDB",
		Long: "A pond turns any set of machines into one DuckDB. Try one on this machine:\n\n" +
			"  pondnode dev --sample\n\n" +
			"or start a node on each machine, and submit jobs to any of them:\n\n" +
			"  pondnode join --peer 10.0.0.5\n" +
			"  pondnode submit --peer 10.0.0.5 \"SELECT count(*) FROM '/data/*.parquet'\"\n\n" +
			"or type SQL:\n\n" +
			"  pondnode sql --peer 10.0.0.5\n\n" +
			"--peer takes several nodes: when the one that is asked dies, is cut off or leaves, the\n" +
			"next is asked for the same job; so are nodes that the pond tells of.\n\n" +
			"Settings may also be given as environment variables: POND_PEER for --peer.\n" +
			"Exit codes: 0 done, 1 job failed, 2 usage, 3 no node reached, 4 denied, 5 deadline, 130 interrupted.",
		Version:       ownVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
	}
	root.SetVersionTemplate("pondnode {{.Version}}\n")
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.HiddenDefaultCmd = false
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.settle(cmd.Flags()) }
	root.AddCommand(a.devCommand(), a.joinCommand(), a.leaveCommand(), a.membersCommand(), a.registersCommand(), a.duCommand(), a.fsCommand(),
		a.sqlCommand(), a.submitCommand(), a.jobsCommand(), a.jobCommand(), a.tlsCommand(), a.tokenCommand(), a.chaosCommand(), a.versionCommand())
	return root
}

// group runs a command that only holds others: it shows the help, or names the
// nearest command to a mistyped one.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	hint := "see: " + cmd.CommandPath() + " --help"
	if best := near.Name(args[0], names); best != "" {
		hint = "did you mean: " + cmd.CommandPath() + " " + best
	}
	return usageError{"unknown command " + quote(args[0]), hint}
}

// args checks how many arguments a command got.
func args(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least {
			return usageError{cmd.CommandPath() + ": " + what + " is missing", "usage: " + cmd.UseLine()}
		}
		if len(args) > most {
			return usageError{cmd.CommandPath() + ": one argument too many: " + quote(args[most]), "usage: " + cmd.UseLine()}
		}
		return nil
	}
}

// flagError adds the flag that was meant.
func flagError(cmd *cobra.Command, err error) error {
	hint := "see: " + cmd.CommandPath() + " --help"
	if typed, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if best := near.Name(typed, names); best != "" {
			hint = "did you mean --" + best + "?"
		}
	}
	bad := new(pflag.InvalidValueError)
	if !errors.As(err, &bad) {
		return usageError{err.Error(), hint}
	}
	return usageError{"--" + bad.GetFlag().Name + ": " + valueText(err), hint}
}

// valueText says in plain words why a flag cannot have a value.
func valueText(err error) string {
	bad := new(pflag.InvalidValueError)
	if !errors.As(err, &bad) {
		return err.Error()
	}
	v := quote(bad.GetValue())
	kind := bad.GetFlag().Value.Type()
	switch {
	case errors.Is(err, strconv.ErrRange):
		return v + " is out of range"
	case kind == "int":
		return v + " is no whole number"
	case kind == "uint64":
		return v + " is no whole number from 0 on"
	case kind == "duration":
		return v + " is no duration such as 30s or 5m"
	case kind == "bool":
		return v + " is neither true nor false"
	}
	return v + ": " + bad.Unwrap().Error()
}

// envAnnotation is a flag's own name in the environment, where that of others would
// mean something else.
const envAnnotation = "pond_env"

// oneOff are flags that say what to do this once; the environment is for settings.
var oneOff = map[string]bool{"help": true, "version": true, "explain": true, "detach": true, "file": true, "out": true, "param": true, "query": true, "sample": true, "role": true, "host": true, "append": true, "overwrite": true, "recursive": true}

// mayBeEmpty are flags for which nothing is a value.
var mayBeEmpty = map[string]bool{"null": true, "history": true, "query": true, "param": true}

// settle takes flags that were not given from the environment. It refuses a flag
// that was given empty, since an unset variable of a script leaves one so. An empty
// variable counts as unset.
func (a *app) settle(flags *pflag.FlagSet) error {
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		if err != nil {
			return
		}
		if f.Changed {
			err = refuseEmpty(f)
			return
		}
		name := envName(f)
		if v, ok := a.env(name); ok && v != "" && !oneOff[f.Name] {
			if e := flags.Set(f.Name, v); e != nil {
				err = usageError{name + ": " + valueText(e), "correct or unset " + name}
			}
		}
	})
	return err
}

// envName is a flag's variable.
func envName(f *pflag.Flag) string {
	if own := f.Annotations[envAnnotation]; len(own) > 0 {
		return own[0]
	}
	return "POND_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
}

func refuseEmpty(f *pflag.Flag) error {
	empty := strings.TrimSpace(f.Value.String()) == ""
	if list, ok := f.Value.(pflag.SliceValue); ok {
		empty = len(list.GetSlice()) == 0 || slices.ContainsFunc(list.GetSlice(), func(s string) bool { return strings.TrimSpace(s) == "" })
	}
	if !empty || mayBeEmpty[f.Name] {
		return nil
	}
	return usageError{"--" + f.Name + " is empty", "give it a value, or leave it out; is a variable of a script not set?"}
}

// columns returns the width of the terminal w; 0 if w is no terminal, or has no size.
func columns(w io.Writer) int {
	if !isTerminal(w) {
		return 0
	}
	width, height, err := term.GetSize(int(w.(*os.File).Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 0 // nothing can be drawn in place there
	}
	return width
}

// show begins to draw a job's progress. It is ended with hide.
func (a *app) show(quiet bool) progress.Display {
	var d progress.Display = progress.Silent{W: a.stderr}
	if !quiet {
		d = progress.New(a.stderr, columns(a.stderr))
	}
	a.shown.Store(&d)
	return d
}

func (a *app) hide(d progress.Display) {
	d.Close()
	a.shown.Store(nil)
}

// notice writes a line for people, above what is drawn.
func (a *app) notice(line string) {
	if d := a.shown.Load(); d != nil {
		(*d).Say(line)
		return
	}
	fmt.Fprintln(a.stderr, line)
}

// until is ctx that ends at the first signal, with errInterrupted as its cause.
func (a *app) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-a.signals:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}
