package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond/chaos"
	"github.com/pondmesh/pond/chaos/scenario"
	"github.com/pondmesh/pond/cmd/pondnode/internal/near"
	"github.com/pondmesh/pond/fs/faults"
)

// Defaults of fault runs.
const (
	chaosRuns  = 5
	shrinkRuns = 3
	fuzzTime   = 10 * time.Minute

	recordFilesMax = 1000 // of one report
)

// errAgainst is a run that went against the pond.
var errAgainst = errors.New("the pond did not keep its promises")

// chaosFlags are those of all fault runs.
type chaosFlags struct {
	seed   uint64
	record string
	keep   string
	nodes  int
	driver string
}

func (f *chaosFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.record, "record", "", "append a line of JSON a run to `FILE`")
	cmd.Flags().StringVar(&f.keep, "keep", "", "keep logs of nodes in `DIR` when a run is not ok")
}

// addDraw adds what a plan is drawn by.
func (f *chaosFlags) addDraw(cmd *cobra.Command) {
	cmd.Flags().Uint64Var(&f.seed, "seed", 0, "of the first run; the next follow it (default: drawn, and told)")
	cmd.Flags().IntVar(&f.nodes, "nodes", 0, "how many nodes (default: the scenario's)")
	cmd.Flags().StringVar(&f.driver, "driver", "", "process, netns or sim (default: the scenario's)")
}

func (a *app) chaosCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "chaos",
		Short: "Break nodes while jobs run, and compare every answer with one DuckDB's",
		Long: "Break nodes while jobs run, and compare every answer with one DuckDB's.\n\n" +
			"A run starts nodes of this very binary on this machine, with data of its own, runs\n" +
			"a job on them, and does to them what a scenario says: kills, freezes, starves them,\n" +
			"lets them leave and join, and with driver netns (root on Linux) cuts their network,\n" +
			"loses packets or delays them, or has them fail at points of their own. It touches no other pond. Its verdict is ok, wrong (rows),\n" +
			"failed or hung (job), unclean (pond not whole afterwards), or invalid: a fault did\n" +
			"not fire, so that nothing is shown.\n\n" +
			"A seed is a job, the node asked and the faults with their moments; what the machine\n" +
			"makes of that differs from run to run. With driver sim nodes, disks, network and time are\n" +
			"simulated around the code that decides, the seed draws jobs and faults too, and a run\n" +
			"replays to the last message: thousands a minute.\n\n" +
			"Exit codes: 0 every run was ok or invalid, and one was ok; 1 otherwise; 2 usage.",
		Example: "  pondnode chaos list\n  pondnode chaos run coordinator --runs 20 --record runs.jsonl\n" +
			"  pondnode chaos run my.yaml --seed 7\n  pondnode chaos run --driver sim --runs 1000\n  pondnode chaos fuzz --for 30m --nodes 5\n  pondnode chaos report runs.jsonl",
		RunE: group,
	}
	cmd.AddCommand(a.chaosListCommand(), a.chaosRunCommand(), a.chaosFuzzCommand(), a.chaosReplayCommand(), a.chaosShrinkCommand(), a.chaosReportCommand())
	return cmd
}

func (a *app) chaosListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the scenarios that come with Pond, and the points at which nodes can fail",
		Args:  args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			all, err := chaos.Scenarios()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tDRIVER\tNODES\tABOUT")
			for _, s := range all {
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", s.Name, s.Setup.Driver, s.Setup.Nodes, s.About)
			}
			fmt.Fprintln(w, "\nPOINT\tTAKES\t\tAT WHICH A NODE FAILS BY: {do: inject, point: …, what: …}")
			for _, p := range faults.Places() {
				fmt.Fprintf(w, "%s\t%s\t\t%s\n", p.Point, faults.List(p.Takes), p.About)
			}
			return w.Flush()
		},
	}
}

func (a *app) chaosRunCommand() *cobra.Command {
	var f chaosFlags
	var runs int
	cmd := &cobra.Command{
		Use:     "run NAME|FILE",
		Short:   "Run a scenario: one that comes with Pond, or a YAML file",
		Example: "  pondnode chaos run successor --runs 20\n  pondnode chaos run my.yaml --seed 7 --runs 1",
		Args:    args(0, 1, ""),
		RunE: func(cmd *cobra.Command, names []string) error {
			switch {
			case runs < 1:
				return usageError{fmt.Sprintf("--runs %d is out of range", runs), "use 1 or more"}
			case len(names) == 0 && f.driver != string(scenario.Sim):
				return usageError{"a scenario's name or file is missing", "see: pondnode chaos list"}
			}
			return a.campaign(cmd, &f, append(names, chaos.Simulated)[0], runs, 0)
		},
	}
	f.add(cmd)
	f.addDraw(cmd)
	cmd.Flags().IntVar(&runs, "runs", chaosRuns, "how many runs")
	return cmd
}

func (a *app) chaosFuzzCommand() *cobra.Command {
	var f chaosFlags
	var length time.Duration
	cmd := &cobra.Command{
		Use:     "fuzz [NAME|FILE]",
		Short:   "Draw faults for a time: of the scenario " + chaos.Swarm + ", or of another",
		Example: "  pondnode chaos fuzz --for 30m --nodes 5 --record runs.jsonl",
		Args:    args(0, 1, ""),
		RunE: func(cmd *cobra.Command, names []string) error {
			if length <= 0 {
				return usageError{"--for is not more than nothing", "write a length of time, such as 30m"}
			}
			usual := chaos.Swarm
			if f.driver == string(scenario.Sim) {
				usual = chaos.Simulated
			}
			return a.campaign(cmd, &f, append(names, usual)[0], 0, length)
		},
	}
	f.add(cmd)
	f.addDraw(cmd)
	cmd.Flags().DurationVar(&length, "for", fuzzTime, "no run begins after so long")
	return cmd
}

// scenarioOf is a shipped scenario, or one of a file.
func scenarioOf(name string, f *chaosFlags) (*scenario.Scenario, error) {
	s, err := namedScenario(name)
	if err != nil {
		return nil, err
	}
	if f.nodes != 0 {
		s.Setup.Nodes = f.nodes
	}
	if f.driver != "" {
		s.Setup.Driver = scenario.Driver(f.driver)
	}
	return s, s.Validate()
}

func namedScenario(name string) (*scenario.Scenario, error) {
	all, err := chaos.Scenarios()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	if b, err := os.ReadFile(name); err == nil {
		s, err := scenario.Parse(name, b)
		if err != nil {
			return nil, err
		}
		for table, files := range s.Setup.Tables { // as the file says it, wherever we are
			if !filepath.IsAbs(files) {
				s.Setup.Tables[table] = filepath.Join(filepath.Dir(name), files)
			}
		}
		return s, nil
	}
	hint := "see: pondnode chaos list"
	if best := near.Name(name, names); best != "" {
		hint = "did you mean " + best + "?"
	}
	return nil, usageError{"there is no scenario " + quote(name) + ", and no such file", hint}
}

// campaign runs a scenario.
func (a *app) campaign(cmd *cobra.Command, f *chaosFlags, name string, runs int, length time.Duration) error {
	s, err := scenarioOf(name, f)
	if err != nil {
		return err
	}
	seed := f.seed
	if !cmd.Flags().Changed("seed") {
		seed = uint64(rand.Uint32())
	}
	fmt.Fprintf(a.stderr, "%s: driver %s, seeds from %d\n", s.Name, s.Setup.Driver, seed)
	return a.faultRuns(cmd.Context(), f, func(ctx context.Context, o chaos.SiteOptions, each func(*chaos.Record, string) error) error {
		c := chaos.Campaign{Site: o, Scenario: s, Seed: seed, Runs: runs, For: length, Each: each}
		return c.Run(ctx)
	})
}

// faultRuns gives do what it runs plans with, tells of each run, and judges all.
func (a *app) faultRuns(ctx context.Context, f *chaosFlags, do func(context.Context, chaos.SiteOptions, func(*chaos.Record, string) error) error) (err error) {
	ctx, stop := a.until(ctx)
	defer stop()
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("the binary to run: %w", err)
	}
	dir, err := os.MkdirTemp("", "pond-chaos-")
	if err != nil {
		return fmt.Errorf("a folder for nodes: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var record *os.File
	if f.record != "" {
		if record, err = os.OpenFile(f.record, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, record.Close()) }()
	}
	var all []*chaos.Record
	err = do(ctx, chaos.SiteOptions{Binary: own, Version: ownVersion(), Dir: dir}, func(r *chaos.Record, logs string) error {
		all = append(all, r)
		fmt.Fprintln(a.stderr, describe(r))
		if record != nil {
			if err := r.Write(record); err != nil {
				return err
			}
		}
		return keepLogs(f.keep, logs, r)
	})
	if len(all) > 0 {
		fmt.Fprint(a.stdout, chaos.Summary(all))
	}
	if err != nil {
		return cause(ctx, err)
	}
	return judge(all)
}

// judge is nil if the pond kept its promises and something has shown it.
func judge(all []*chaos.Record) error {
	good := 0
	for _, r := range all {
		switch {
		case r.Verdict == chaos.OK:
			good++
		case r.Verdict.Bad():
			return errAgainst
		case r.Verdict == chaos.Broken:
			return fmt.Errorf("a run could not be made: %s", r.Error)
		}
	}
	if good == 0 && len(all) > 0 {
		return fmt.Errorf("no run has shown anything: %w", chaos.ErrNotFired)
	}
	return nil
}

// describe is one line of a run.
func describe(r *chaos.Record) string {
	var faults []string
	for _, f := range r.Fired {
		faults = append(faults, fmt.Sprintf("%s at %.1f s, on after %.1f s", f.Kind(), float64(f.At)/1000, float64(f.Recovery)/1000))
	}
	took := fmt.Sprintf("%.1f s (%.1f s without faults)", float64(r.Took)/1000, float64(r.Plain)/1000)
	if r.Plan.Setup.Driver == scenario.Sim {
		took = fmt.Sprintf("%.1f s of simulated time", float64(r.Took)/1000)
	}
	line := fmt.Sprintf("seed %d  %-8s %s, %s  %s", r.Plan.Seed, r.Verdict, r.Plan.Job.Name, took, strings.Join(faults, "; "))
	if r.Error != "" {
		line += "\n    " + strings.ReplaceAll(r.Error, "\n", "\n    ")
	}
	return line
}

// keptMax bounds the runs of one seed whose logs are kept.
const keptMax = 1000

// keepLogs moves the logs of a run that is not ok to where they are wanted.
func keepLogs(keep, logs string, r *chaos.Record) error {
	if keep == "" || logs == "" {
		return nil
	}
	if err := os.MkdirAll(keep, 0o755); err != nil {
		return err
	}
	name := filepath.Join(keep, fmt.Sprintf("%s-%d", r.Plan.Scenario, r.Plan.Seed))
	to := name
	for i := 2; errors.Is(os.Mkdir(to, 0o755), os.ErrExist) && i < keptMax; i++ { // the seed ran before
		to = fmt.Sprintf("%s-%d", name, i)
	}
	return os.CopyFS(to, os.DirFS(logs))
}

func (a *app) chaosReplayCommand() *cobra.Command {
	var f chaosFlags
	var line, runs int
	cmd := &cobra.Command{
		Use:     "replay FILE",
		Short:   "Run again what a record tells: the same job and faults at the same moments",
		Example: "  pondnode chaos replay runs.jsonl --line 17",
		Args:    args(1, 1, "a file of records"),
		RunE: func(cmd *cobra.Command, names []string) error {
			p, err := recorded(names[0], line)
			if err != nil {
				return err
			}
			return a.faultRuns(cmd.Context(), &f, func(ctx context.Context, o chaos.SiteOptions, each func(*chaos.Record, string) error) error {
				return chaos.Replay(ctx, o, p, runs, each)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&line, "line", 0, "of the record in the file (default: the last run that was against the pond, or the last)")
	cmd.Flags().IntVar(&runs, "runs", 1, "how many runs")
	return cmd
}

func (a *app) chaosShrinkCommand() *cobra.Command {
	var f chaosFlags
	var line, tries int
	cmd := &cobra.Command{
		Use:   "shrink FILE",
		Short: "Leave faults out of a recorded run as long as it still goes against the pond",
		Long:  "Leave faults out of a recorded run as long as it still goes against the pond, and\nprint the plan that is left as JSON.",
		Args:  args(1, 1, "a file of records"),
		RunE: func(cmd *cobra.Command, names []string) error {
			p, err := recorded(names[0], line)
			if err != nil {
				return err
			}
			if p.Setup.Driver == scenario.Sim {
				return usageError{"a simulated run is of its seed alone: there is nothing to leave out", "read what happened: pondnode chaos replay --keep DIR"}
			}
			return a.shrink(cmd.Context(), &f, p, tries)
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&line, "line", 0, "of the record in the file (default: the last run that was against the pond, or the last)")
	cmd.Flags().IntVar(&tries, "tries", shrinkRuns, "how often a run may go well before its fault is kept")
	return cmd
}

func (a *app) shrink(ctx context.Context, f *chaosFlags, p *scenario.Plan, tries int) error {
	var small *scenario.Plan
	err := a.faultRuns(ctx, f, func(ctx context.Context, o chaos.SiteOptions, each func(*chaos.Record, string) error) (err error) {
		small, err = chaos.Shrink(ctx, o, p, tries, each)
		return err
	})
	if err != nil && !errors.Is(err, errAgainst) && !errors.Is(err, chaos.ErrNotFired) {
		return err
	}
	b, err := json.MarshalIndent(small, "", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\n%d of %d faults are left:\n%s\n", len(small.Faults), len(p.Faults), b)
	return nil
}

// recorded is a plan of a file of records.
func recorded(file string, line int) (*scenario.Plan, error) {
	all, err := readRecords(file)
	if err != nil {
		return nil, err
	}
	if line < 0 || line > len(all) || len(all) == 0 {
		return nil, usageError{fmt.Sprintf("%s has %d records", file, len(all)), "give --line one of them"}
	}
	if line == 0 {
		line = len(all)
		for i, r := range all {
			if r.Verdict.Bad() {
				line = i + 1
			}
		}
	}
	p := all[line-1].Plan
	return p, p.Validate()
}

func readRecords(file string) ([]*chaos.Record, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := chaos.ReadRecords(f)
	if err != nil {
		return nil, usageError{file + ": " + err.Error(), "give a file that --record has written"}
	}
	return all, nil
}

func (a *app) chaosReportCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "report FILE...",
		Short:   "Sum up records as Markdown",
		Example: "  pondnode chaos report chaos/records/*.jsonl > chaos/README.md",
		Args:    args(1, recordFilesMax, "a file of records"),
		RunE: func(_ *cobra.Command, files []string) error {
			var all []*chaos.Record
			for _, f := range files {
				records, err := readRecords(f)
				if err != nil {
					return err
				}
				all = append(all, records...)
			}
			fmt.Fprint(a.stdout, chaos.Page(all))
			return nil
		},
	}
}
