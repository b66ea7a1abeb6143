package carry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// errThere: a file is in the way.
var errThere = errors.New("there is such a file already")

// Getting is what is fetched, to where.
type Getting struct {
	Name      string
	Version   uint64
	Files     []api.DatasetFile
	To        []string // paths here, one for each file
	Overwrite bool     // files that are there
	Tell      func(Progress)
}

// Get fetches files. Each appears when it is whole; what there is of others stays beside
// its target, and is gone on with.
func Get(ctx context.Context, pond Pond, g Getting) error {
	m := &meter{tell: g.Tell, p: Progress{Files: len(g.Files)}}
	for i, f := range g.Files {
		m.p.Bytes += f.Size
		if info, err := os.Stat(g.To[i]); err == nil && (!g.Overwrite || info.IsDir()) {
			return mistake("get", g.To[i], "get it elsewhere, or replace it with --overwrite", errThere)
		}
	}
	return each(ctx, len(g.Files), func(ctx context.Context, i int) error {
		return g.one(ctx, pond, &g.Files[i], g.To[i], m)
	})
}

// idShown is how much of an upload's id is in the name of what there is of a file.
const idShown = 16

func (g *Getting) one(ctx context.Context, pond Pond, f *api.DatasetFile, to string, m *meter) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return unmade(to, err)
	}
	part := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+"."+f.Upload[:min(len(f.Upload), idShown)]+".part")
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return unmade(to, err)
	}
	defer out.Close()
	at, err := out.Seek(0, io.SeekEnd)
	if err == nil && at > f.Size {
		at = 0
		err = errors.Join(out.Truncate(0), seekTo(out, 0))
	}
	if err != nil {
		return unmade(to, err)
	}
	m.add(func(p *Progress) { p.Have += at })
	if err := Copy(ctx, pond, g.Name, g.Version, f, at, metered{out, m}); err != nil {
		return err
	}
	if err := errors.Join(out.Sync(), os.Rename(part, to)); err != nil {
		return unmade(to, err)
	}
	m.add(func(p *Progress) { p.Done++ })
	return nil
}

func seekTo(f *os.File, at int64) error {
	_, err := f.Seek(at, io.SeekStart)
	return err
}

// metered counts what is written.
type metered struct {
	out io.Writer
	m   *meter
}

func (w metered) Write(p []byte) (int, error) {
	n, err := w.out.Write(p)
	w.m.add(func(p *Progress) { p.Have += int64(n) })
	return n, err
}

// Copy writes a file of a dataset from an offset to its end. When a node breaks off,
// another goes on.
func Copy(ctx context.Context, pond Pond, name string, version uint64, f *api.DatasetFile, at int64, to io.Writer) error {
	out := &counted{out: to}
	for stuck := 0; at+out.n < f.Size || f.Size == 0; {
		before := out.n
		err := pond.ReadFile(ctx, name, version, f.Path, at+out.n, func(in io.Reader) error {
			_, err := io.Copy(out, in)
			return err
		})
		switch {
		case out.err != nil:
			return unmade("", out.err)
		case err == nil && at+out.n == f.Size:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			err = &plan.Error{Kind: plan.KindUnavailable, Op: "read", Subject: f.Path, Text: fmt.Sprintf("it ended at byte %d of %d", at+out.n, f.Size)}
		}
		if stuck++; out.n > before {
			stuck = 0
		} else if stuck == triesMax || !api.Broken(err) { // it is an answer, or the last try
			return err
		}
	}
	return nil
}

// counted counts what was written, and tells whether it was the writing that failed.
type counted struct {
	out io.Writer
	n   int64
	err error
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

// unmade is an error of this machine's disk.
func unmade(name string, err error) error {
	return &plan.Error{Kind: plan.KindResource, Op: "get", Subject: name, Text: err.Error(), Hint: "look whether there is room, and who may write there"}
}
