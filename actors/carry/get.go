package carry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/mesh/each"
)

var (
	errThere = errors.New("there is another file of that name")
	errTaken = errors.New("another get writes it")
	errOther = errors.New("its bytes are not those that were put")
)

// Getting is what is fetched, to where.
type Getting struct {
	Name      string
	Version   uint64
	Files     []api.DatasetFile
	To        []string // paths here, one for each file
	Overwrite bool     // files that are there, and differ
	Tell      func(Progress)
}

// Get fetches files. Each appears when it is whole. One that is there already is kept, and
// what there is of one from a get that broke off is gone on with, if its SHA-256 says so; of
// a file whose SHA-256 is not known the bytes are fetched again. Nothing is written if
// another file is in the way.
func Get(ctx context.Context, pond Pond, g Getting) error {
	m := &meter{tell: g.Tell, p: Progress{Files: len(g.Files)}}
	for _, f := range g.Files {
		m.p.Bytes += f.Size
	}
	there := make([]bool, len(g.Files))
	err := each.Do(ctx, filesAtOnce, len(g.Files), func(ctx context.Context, i int) (err error) {
		there[i], err = g.there(ctx, pond, &g.Files[i], g.To[i])
		return err
	})
	if err != nil {
		return err
	}
	return each.Do(ctx, filesAtOnce, len(g.Files), func(ctx context.Context, i int) error {
		f := &g.Files[i]
		if there[i] {
			m.add(func(p *Progress) { p.Done++; p.Kept++; p.Have += f.Size })
			return nil
		}
		err := g.one(ctx, pond, f, g.To[i], m)
		if errors.Is(err, errOther) { // what there was of it was not
			err = g.one(ctx, pond, f, g.To[i], m)
		}
		if errors.Is(err, errOther) {
			err = &plan.Error{Kind: plan.KindInternal, Op: "get", Subject: g.To[i], Text: errOther.Error(), Hint: "let the nodes read their copies: pondnode fs scrub"}
		}
		return err
	})
}

// there reports whether the file is there already. It is an error if another is that may
// not be replaced.
func (g *Getting) there(ctx context.Context, pond Pond, f *api.DatasetFile, to string) (bool, error) {
	info, err := os.Stat(to)
	if err != nil {
		return false, nil
	}
	if info.Mode().IsRegular() && info.Size() == f.Size && (f.Sum != "" || !g.Overwrite) {
		switch same, err := g.same(ctx, pond, f, to); {
		case err != nil:
			return false, err
		case same:
			return true, nil
		}
	}
	if !g.Overwrite || info.IsDir() {
		return false, mistake("get", to, "get it elsewhere, or replace it with --overwrite", errThere)
	}
	return false, nil
}

// same reports whether a file here has the bytes of one of the pond.
func (g *Getting) same(ctx context.Context, pond Pond, f *api.DatasetFile, name string) (bool, error) {
	in, err := os.Open(name)
	if err != nil {
		return false, unread(name, err)
	}
	defer in.Close()
	here := sha256.New()
	if _, err := io.Copy(here, reader{ctx, in}); err != nil {
		return false, unread(name, err)
	}
	want := f.Sum
	if want == "" {
		pondHas := sha256.New()
		if err := Copy(ctx, pond, g.Name, g.Version, f, 0, pondHas); err != nil {
			return false, err
		}
		want = hex.EncodeToString(pondHas.Sum(nil))
	}
	return hex.EncodeToString(here.Sum(nil)) == want, nil
}

// idShown is how much of an upload's id is in the name of what there is of a file.
const idShown = 16

// one fetches a file. It is errOther if the bytes are not the file's: then none of them is
// left.
func (g *Getting) one(ctx context.Context, pond Pond, f *api.DatasetFile, to string, m *meter) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return unmade(to, err)
	}
	part := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+"."+f.Upload[:min(len(f.Upload), idShown)]+".part")
	out, err := open(part)
	if errors.Is(err, errTaken) {
		return &plan.Error{Kind: plan.KindBusy, Op: "get", Subject: to, Text: errTaken.Error(), Hint: "wait until it has ended, or get it elsewhere"}
	}
	if err != nil {
		return unmade(to, err)
	}
	defer out.Close()
	sum := sha256.New()
	at, err := begun(ctx, out, f, sum)
	if err != nil {
		return unmade(to, err)
	}
	m.add(func(p *Progress) { p.Have += at })
	if err := Copy(ctx, pond, g.Name, g.Version, f, at, io.MultiWriter(metered{out, m}, sum)); err != nil {
		return err
	}
	if f.Sum != "" && hex.EncodeToString(sum.Sum(nil)) != f.Sum {
		m.add(func(p *Progress) { p.Have -= f.Size })
		return errors.Join(fmt.Errorf("get %s: %w", to, errOther), out.Truncate(0))
	}
	if err := errors.Join(out.Sync(), os.Rename(part, to)); err != nil {
		return unmade(to, err)
	}
	m.add(func(p *Progress) { p.Done++ })
	return nil
}

// open opens what there is of a file for one get alone: it is errTaken if another has it.
func open(part string) (*os.File, error) {
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(out.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errTaken
	}
	if err == nil { // one that has just ended has given it its name
		mine, err1 := out.Stat()
		named, err2 := os.Stat(part)
		if err1 != nil || err2 != nil || !os.SameFile(mine, named) {
			err = errTaken
		}
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// begun is how many bytes there are of a file, which go into sum. Where no sum is known
// nobody can tell whether they are the file's: there are none.
func begun(ctx context.Context, out *os.File, f *api.DatasetFile, sum io.Writer) (int64, error) {
	info, err := out.Stat()
	if err != nil {
		return 0, err
	}
	if f.Sum == "" || info.Size() > f.Size {
		return 0, out.Truncate(0)
	}
	return io.Copy(sum, reader{ctx, out})
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
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	if le := (*os.LinkError)(nil); errors.As(err, &le) {
		err = le.Err
	}
	out := syserr.File("get", name, err)
	if out.Kind != plan.KindStorage {
		out.Hint = "look whether there is room, and who may write there"
	}
	return out
}
