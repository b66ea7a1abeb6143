// Bench measures a pond against one DuckDB: the same work on the same files,
// with the same threads and the same memory in total, in turns, in one run.
//
//	go run -tags duckdb_arrow ./bench
//
// Each system runs in processes of its own, which are this program again in
// another role (role.go), so that the kernel counts their processor time and
// memory. Every result is compared with DuckDB's.
//
// It tests nothing, and trusts no clock but the wall's: read the ratios, not
// the seconds. Read workloads.go next, then suite.go; figures*.go has the
// smaller measurements.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/pondmesh/pond"
)

func main() {
	if pond.Main() {
		return
	}
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(runRole(role))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the program: it measures what args ask for and prints it to out.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parseOptions(args, progress)
	if err != nil {
		return err
	}
	if err := needProc(); err != nil {
		return err
	}
	b := &bench{options: o, progress: progress}
	if b.dir = o.dir; b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "pond-bench-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	}
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return err
	}
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return err
		}
	}
	report := &report{Setup: b.setup()}
	err = b.measureAll(ctx, report) // earlier measurements are worth showing
	if o.output == "json" {
		return errors.Join(err, report.json(out))
	}
	return errors.Join(err, report.text(out))
}

// bench is one run of the program.
type bench struct {
	options
	progress io.Writer
	data     dataStore
}

// say tells the user what goes on, beside the results.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "bench: "+format+"\n", args...)
}

func (b *bench) wants(name string) bool {
	return len(b.only) == 0 || slices.Contains(b.only, name)
}

// measureAll runs the workloads, then TPC-H, then the figures.
func (b *bench) measureAll(ctx context.Context, r *report) error {
	checker, err := startDuck(ctx, b, "checker", b.memory)
	if err != nil {
		return err
	}
	defer checker.stop()
	b.data = dataStore{dir: filepath.Join(b.dir, "data"), size: b.size, flights: b.flights, engine: checker, say: b.say}
	var errs []error // one failure does not hide what else there is to see
	for _, w := range workloads() {
		if !b.wants(w.name) || ctx.Err() != nil {
			continue
		}
		results, err := b.runWorkload(ctx, w, checker, b.size, b.memory, b.nodes)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
			continue
		}
		r.Results = append(r.Results, results...)
		if last := results[len(results)-1]; w.target > 0 {
			f := figure{Name: w.name + ", " + last.System, Value: last.Ratio, Unit: "× duckdb"}
			r.Figures = append(r.Figures, f.atMost(w.target))
		}
	}
	if b.tpch != "" && b.wants(tpchName) && ctx.Err() == nil {
		var err error
		if r.TPCH, err = b.measureTPCH(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", tpchName, err))
		}
	}
	for _, f := range figures() {
		if !b.wants(f.name) || ctx.Err() != nil {
			continue
		}
		b.say("%s: %s", f.name, f.what)
		got, err := f.measure(ctx, b, checker)
		r.Figures = append(r.Figures, got...)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.name, err))
		}
	}
	return errors.Join(append(errs, context.Cause(ctx))...)
}
