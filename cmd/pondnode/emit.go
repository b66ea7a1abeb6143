package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/spf13/cobra"

	"github.com/pondmesh/pond/actors/output"
)

// outputFlags say how a command's result is written.
type outputFlags struct {
	format  string
	out     string
	maxRows int
	null    string
	expand  bool
}

func (o *outputFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.format, "output", "o", string(output.Table), "format: "+strings.Join(output.Formats, "|"))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(output.Formats, cobra.ShellCompDirectiveNoFileComp))
}

// addRows adds the flags of commands that print a job's rows.
func (o *outputFlags) addRows(cmd *cobra.Command) {
	o.add(cmd)
	cmd.Flags().StringVar(&o.out, "out", "", "write the rows to this `file`, whose name tells the format unless -o does")
	cmd.Flags().IntVar(&o.maxRows, "max-rows", -1, "rows that a table shows; 0: all (default 40 on a terminal, else all)")
	cmd.Flags().BoolVarP(&o.expand, "expanded", "x", false, "a table with a line for each value, for rows that are wide")
	cmd.Flags().StringVar(&o.null, "null", "", "what CSV has for NULL (default nothing; an empty text is \"\")")
}

// terminalRows is how many rows a table on a terminal shows.
const terminalRows = 40

// check finds mistakes before anything runs.
func (o *outputFlags) check(cmd *cobra.Command, stdout io.Writer) (output.Format, error) {
	if o.out != "" && !cmd.Flags().Changed("output") {
		if f, ok := output.OfFile(o.out); ok {
			o.format = string(f)
		}
	}
	f, err := output.Parse(o.format)
	if err != nil {
		return "", usageError{"-o: " + err.Error(), ""}
	}
	if err := checkOut(o.out); err != nil {
		return "", err
	}
	if f.Binary() && o.out == "" && isTerminal(stdout) {
		return "", usageError{string(f) + " is not for a terminal", "redirect the output, or name a file with --out"}
	}
	return f, nil
}

// checkOut says why a file cannot be written, before its rows are made.
func checkOut(path string) error {
	if path == "" {
		return nil
	}
	if i, err := os.Stat(path); err == nil && i.IsDir() {
		return usageError{"--out: " + path + " is a folder", "name a file, or write with COPY (…) TO '" + path + "/'"}
	}
	dir := filepath.Dir(path)
	switch i, err := os.Stat(dir); {
	case err != nil:
		return usageError{"--out: " + err.Error(), "make the folder " + dir + " first"}
	case !i.IsDir():
		return usageError{"--out: " + dir + " is no folder", "name a file in a folder"}
	}
	return nil
}

// emit writes rows to standard output or to the file of --out, which appears
// when it is complete.
func (a *app) emit(f output.Format, o *outputFlags, schema *arrow.Schema, total int64, rows iter.Seq2[arrow.RecordBatch, error]) (err error) {
	opts := output.Options{Null: o.null, MaxRows: max(o.maxRows, 0), Total: total, Width: columns(a.stdout), Expanded: o.expand}
	if o.maxRows < 0 && opts.Width > 0 {
		opts.MaxRows = terminalRows
	}
	if o.out == "" {
		return writeRows(a.stdout, f, schema, opts, rows)
	}
	opts.Width = 0
	if o.maxRows < 0 {
		opts.MaxRows = 0
	}
	part := o.out + ".part"
	file, err := os.Create(part)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	err = errors.Join(writeRows(file, f, schema, opts, rows), file.Close())
	if err == nil {
		err = os.Rename(part, o.out)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return nil
}

// unclosed hides Close from encoders, which would close standard output.
type unclosed struct{ io.Writer }

func writeRows(w io.Writer, f output.Format, schema *arrow.Schema, opts output.Options, rows iter.Seq2[arrow.RecordBatch, error]) error {
	if schema == nil {
		schema = arrow.NewSchema(nil, nil)
	}
	out, err := output.New(unclosed{w}, f, schema, opts)
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	for rec, err := range rows {
		if err != nil {
			return errors.Join(err, out.Close())
		}
		if err := out.Write(rec); errors.Is(err, output.ErrFull) {
			break
		} else if err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// list writes a listing: people's as a table, programs' in any other format.
func (a *app) list(f output.Format, people, programs *output.Listing) error {
	l, opts := programs, output.Options{}
	if f == output.Table {
		l, opts.Plain = people, true
	}
	rec := l.Batch()
	defer rec.Release()
	return writeRows(a.stdout, f, rec.Schema(), opts, one(rec))
}

func one(rec arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) { yield(rec, nil) }
}

// object writes a value as JSON: over several lines, or in one.
func (a *app) object(f output.Format, v any) error {
	e := json.NewEncoder(a.stdout)
	if f == output.JSON {
		e.SetIndent("", "  ")
	}
	return e.Encode(v)
}

// within bounds a short exchange with a node.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, exchangeTimeout)
}
