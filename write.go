package pond

import (
	"context"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/object"
)

// WriteOption is an option of the Write methods: of the files, or a JobOption.
type WriteOption interface{ write(*writing) error }

// writing collects the options of one write.
type writing struct {
	job settings
	to  plan.Write
}

type fileOption func(*plan.Write)

func (o fileOption) write(w *writing) error { o(&w.to); return nil }

// Overwrite replaces the contents of the folder, in one step, when all is written. It
// removes only what an earlier output left there: other files in it are an error
// (ErrExists) that names some.
func Overwrite() WriteOption { return fileOption(func(w *plan.Write) { w.Mode = plan.WriteOverwrite }) }

// OverwriteAll is Overwrite that removes all other files in the folder too.
func OverwriteAll() WriteOption {
	return fileOption(func(w *plan.Write) { w.Mode, w.Force = plan.WriteOverwrite, true })
}

// Append adds to the contents of the folder.
func Append() WriteOption { return fileOption(func(w *plan.Write) { w.Mode = plan.WriteAppend }) }

// HiveFolders writes a folder key=value for each value of columns, of Parquet and
// CSV.
func HiveFolders(columns ...string) WriteOption {
	return fileOption(func(w *plan.Write) { w.PartitionBy = columns })
}

// CopyOption passes an option to DuckDB's COPY; value is an SQL literal.
func CopyOption(name, value string) WriteOption {
	return fileOption(func(w *plan.Write) {
		if w.Options == nil {
			w.Options = map[string]string{}
		}
		w.Options[name] = value
	})
}

// WriteParquet writes a file a partition into a folder. Readers see none of
// them, or all. A folder that has something in it is an error (ErrExists)
// without Overwrite or Append.
func (df *DataFrame) WriteParquet(ctx context.Context, dir string, options ...WriteOption) error {
	return df.Write(ctx, string(plan.Parquet), dir, options...)
}

// WriteCSV is WriteParquet for CSV.
func (df *DataFrame) WriteCSV(ctx context.Context, dir string, options ...WriteOption) error {
	return df.Write(ctx, string(plan.CSV), dir, options...)
}

// WriteJSON is WriteParquet for JSON, an object a line.
func (df *DataFrame) WriteJSON(ctx context.Context, dir string, options ...WriteOption) error {
	return df.Write(ctx, string(plan.JSON), dir, options...)
}

// WriteArrow is WriteParquet for Arrow IPC files.
func (df *DataFrame) WriteArrow(ctx context.Context, dir string, options ...WriteOption) error {
	return df.Write(ctx, string(plan.Arrow), dir, options...)
}

// Write writes files of a format, parquet, csv, json or arrow, into a folder, or Parquet
// into a dataset: pond://name. A folder may be one of S3: s3://bucket/folder.
func (df *DataFrame) Write(ctx context.Context, format, dir string, options ...WriteOption) error {
	abs, err := target(dir)
	if err != nil {
		return err
	}
	w := &writing{job: df.s.sql.settings(), to: plan.Write{Path: strings.TrimSuffix(abs, "/"), Format: plan.Format(format), Mode: plan.WriteError}}
	for _, o := range options {
		if err := o.write(w); err != nil {
			return err
		}
	}
	_, err = df.run(ctx, plan.Sink{Write: &w.to}, w.job)
	return err
}

// target is a folder by its absolute name, one of a store, or a dataset.
func target(dir string) (string, error) {
	switch {
	case dataset.Is(dir), plan.InStore(dir):
		return dir, nil
	case object.IsRemote(dir):
		return "", &plan.Error{Kind: plan.KindUser, Op: "write", Subject: dir, Text: "a pond reads such URLs and does not write to them", Hint: "name a folder that every node can write, or of a store, s3://bucket/folder, or a dataset: pond://name"}
	}
	return absolute(dir)
}
