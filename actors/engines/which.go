package engines

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
)

// Bounds of looking for a file that is damaged.
const (
	whichFilesMax = 4096
	whichTime     = 5 * time.Second
)

// Footers reads those of Parquet files, in the order of paths.
func (p *Pool) Footers(ctx context.Context, paths []string) ([]duck.Footer, error) {
	e, err := p.Planner(ctx)
	if err != nil {
		return nil, Error("read", err)
	}
	list, err := e.Footers(ctx, paths)
	return list, Error("read", err)
}

// Which is the error of a read of files, with the one that it is about where that is a
// Parquet file whose footer cannot be read: DuckDB does not always say which of several
// is damaged.
func (p *Pool) Which(ctx context.Context, err error, files []string) error {
	var te *plan.Error
	if len(files) > whichFilesMax || !errors.As(err, &te) || !unnamed(te, files) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, whichTime)
	defer cancel()
	for _, path := range files {
		if !isParquet(path) {
			continue
		}
		if _, again := p.Footers(ctx, []string{path}); again != nil && ctx.Err() == nil {
			with := *plan.AsError(again)
			with.Subject = path
			return &with
		}
	}
	return err
}

// unnamed reports whether an error may be about one of the files, and does not say so.
func unnamed(te *plan.Error, files []string) bool {
	for _, path := range files {
		if strings.Contains(te.Text, path) || te.Subject == path {
			return false
		}
	}
	class := duck.Class(te.Text)
	return class == duck.ErrData || class == duck.ErrInternal || class == duck.ErrBroken
}

// parquetMagic begins a Parquet file.
const parquetMagic = "PAR1"

func isParquet(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(parquetMagic))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == parquetMagic
}
