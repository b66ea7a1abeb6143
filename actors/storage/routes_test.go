//go:build duckdb_arrow

package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/carry"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// columnsAsText has a file's footer be its text: columns, each a name and a type.
type columnsAsText struct{}

func (columnsAsText) Footers(_ context.Context, paths, _ []string, each func(int, []duck.Footer) error) error {
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f := duck.Footer{Path: path, Rows: int64(len(text))}
		for c := range strings.SplitSeq(string(text), ",") {
			name, typ, ok := strings.Cut(c, " ")
			if !ok {
				return &plan.Error{Kind: plan.KindUser, Op: "footer", Subject: path, Text: "no magic bytes"}
			}
			f.Columns = append(f.Columns, duck.FooterColumn{Name: name, Type: typ})
		}
		if err := each(i, []duck.Footer{f}); err != nil {
			return err
		}
	}
	return nil
}

// putting is a put of files, of which every other text is a path below the dataset and the
// next one what is in it.
func putting(t *testing.T, id string, mode dataset.Mode, texts ...string) carry.Putting {
	t.Helper()
	p := carry.Putting{Name: "d", ID: id, Mode: string(mode)}
	for i := 0; i < len(texts); i += 2 {
		from := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(from, []byte(texts[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Files = append(p.Files, carry.Local{From: from, Path: texts[i], Size: int64(len(texts[i+1]))})
	}
	return p
}

// shown is a dataset as its version, its columns and its files.
func shown(d *api.DatasetInfo, err error) string {
	if err != nil {
		return plan.KindOf(err).String()
	}
	out := []string{fmt.Sprint(d.Version)}
	for _, c := range d.Columns {
		out = append(out, c.Name+":"+c.Type)
	}
	for _, f := range d.Files {
		out = append(out, fmt.Sprintf("%s=%d/%d", f.Path, f.Size, f.Rows))
	}
	return strings.Join(out, " ")
}

// TestRead: any node tells of a version, and gives the bytes of its files, from wherever in
// them; what there is none of is not found, by its name, and what cannot be is the user's.
func TestRead(t *testing.T) {
	p, ctx := openPond(t, 3), t.Context()
	for i, put := range []carry.Putting{
		putting(t, "one", dataset.ModeError, "a", "first", "in/b", "second"),
		putting(t, "two", dataset.ModeUpdate, "a", "changed"),
	} {
		if v, err := carry.Put(ctx, p.nodes[0].client, put); v != uint64(i+1) || err != nil {
			t.Fatal(v, err)
		}
	}
	c := p.nodes[1].client
	for _, test := range []struct {
		name    string
		version uint64
		want    string
	}{
		{"d", 0, "2 a=7/-1 in/b=6/-1"}, {"d", 1, "1 a=5/-1 in/b=6/-1"}, {"d", 2, "2 a=7/-1 in/b=6/-1"},
		{"d", 3, "not found"}, {"none", 0, "not found"}, {"no/name", 0, "user"},
	} {
		if got := shown(c.Dataset(ctx, test.name, test.version)); got != test.want {
			t.Errorf("version %d of %s: %s, want %s", test.version, test.name, got, test.want)
		}
	}
	for _, test := range []struct {
		version uint64
		path    string
		at      int64
		want    string
		kind    plan.Kind
	}{
		{0, "a", 0, "changed", 0}, {1, "a", 2, "rst", 0}, {0, "a", 7, "", 0}, {0, "in/b", 3, "ond", 0},
		{0, "a", 8, "", plan.KindUser}, {0, "a", -1, "", plan.KindUser}, {0, "b", 0, "", plan.KindNotFound}, {4, "a", 0, "", plan.KindNotFound},
	} {
		var got string
		err := c.ReadFile(ctx, "d", test.version, test.path, test.at, func(in io.Reader) error {
			b, err := io.ReadAll(in)
			got = string(b)
			return err
		})
		if got != test.want || err == nil != (test.kind == 0) || err != nil && plan.KindOf(err) != test.kind {
			t.Errorf("%s of version %d from %d: %q, %v", test.path, test.version, test.at, got, err)
		}
	}
	stop := errors.New("enough")
	if err := c.ReadFile(ctx, "d", 0, "a", 0, func(io.Reader) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the reader's own error: %v", err)
	}
	if list, err := c.Datasets(ctx); err != nil || len(list) != 1 || list[0] != (api.Dataset{Name: "d", Version: 2}) {
		t.Errorf("list: %+v, %v", list, err)
	}
	if err := c.DropDataset(ctx, "d"); err != nil {
		t.Fatal(err)
	}
	if err := c.DropDataset(ctx, "d"); !errors.Is(err, plan.ErrNotFound) || plan.AsError(err).Text != "there is no such dataset" {
		t.Errorf("dropped twice: %v", err)
	}
	if got := shown(c.Dataset(ctx, "d", 0)); got != "not found" {
		t.Errorf("after the drop: %s", got)
	}
}

// TestRemove: a version without some files; one that asks again hears of the same version,
// and what cannot be removed leaves nothing that writes the dataset.
func TestRemove(t *testing.T) {
	p, ctx := openPond(t, 3), t.Context()
	c := p.nodes[2].client
	if _, err := c.RemoveFiles(ctx, "d", "zero", []string{"a"}); !errors.Is(err, plan.ErrNotFound) {
		t.Errorf("of no dataset: %v", err)
	}
	if _, err := carry.Put(ctx, c, putting(t, "one", dataset.ModeError, "a", "x", "b", "y", "c", "z")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RemoveFiles(ctx, "d", "two", nil); plan.KindOf(err) != plan.KindUser {
		t.Errorf("no names: %v", err)
	}
	if _, err := c.RemoveFiles(ctx, "d", "three", []string{"a", "none"}); !errors.Is(err, plan.ErrNotFound) {
		t.Errorf("a file that is not there: %v", err)
	}
	for range 2 {
		if out, err := c.RemoveFiles(ctx, "d", "four", []string{"a", "c"}); err != nil || out.Version != 2 {
			t.Errorf("%+v, %v", out, err)
		}
	}
	d, err := c.Dataset(ctx, "d", 0)
	if got := shown(d, err); got != "2 b=1/-1" || d.Writers != 0 {
		t.Errorf("left: %s", got)
	}
}

// TestShape: files are a table when all are Parquet of the same columns, those of their
// folders included. What joins a table is one of its columns, or refused; what joins files
// is a file.
func TestShape(t *testing.T) {
	const ab = "a BIGINT,b VARCHAR"
	for _, test := range []struct {
		name  string
		first []string
		more  []string // appended; nil: nothing
		want  string
	}{
		{"one", []string{"x.parquet", ab}, nil, "1 a:BIGINT b:VARCHAR x.parquet=18/18"},
		{"folders", []string{"k=1/x.parquet", "a BIGINT", "k=2/x.PARQUET", "a BIGINT"}, nil, "1 a:BIGINT k:BIGINT k=1/x.parquet=8/8 k=2/x.PARQUET=8/8"},
		{"others", []string{"x.parquet", ab, "y.parquet", "a BIGINT"}, nil, "1 x.parquet=18/18 y.parquet=8/8"},
		{"a text", []string{"x.parquet", "a BIGINT", "readme", "text"}, nil, "1 readme=4/-1 x.parquet=8/-1"},
		{"none", []string{"x.parquet", "PAR1"}, nil, "user"},
		{"the same", []string{"x.parquet", ab}, []string{"y.parquet", ab}, "2 a:BIGINT b:VARCHAR x.parquet=18/18 y.parquet=18/18"},
		{"no table", []string{"x.parquet", ab}, []string{"readme", "text"}, "user"},
		{"other columns", []string{"x.parquet", ab}, []string{"y.parquet", "b VARCHAR"}, "user"},
		{"to files", []string{"readme", "text"}, []string{"x.parquet", ab}, "2 readme=4/-1 x.parquet=18/18"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, ctx := openPond(t, 2), t.Context()
			c := p.nodes[0].client
			_, err := carry.Put(ctx, c, putting(t, "one", dataset.ModeError, test.first...))
			if err == nil && test.more != nil {
				_, err = carry.Put(ctx, c, putting(t, "two", dataset.ModeAdd, test.more...))
			}
			got := plan.KindOf(err).String()
			if err == nil {
				got = shown(c.Dataset(ctx, "d", 0))
			}
			if got != test.want {
				t.Errorf("%s, want %s (%v)", got, test.want, err)
			}
		})
	}
}

// TestDrain: a client's question is asked of all nodes, and one that does not answer is told
// of; the last node that takes copies is not drained.
func TestDrain(t *testing.T) {
	p, ctx := openPond(t, 3), t.Context()
	c := p.nodes[0].client
	stands := func(s *api.Storage, err error) string {
		if err != nil {
			return plan.KindOf(err).String()
		}
		out := ""
		for _, n := range s.Nodes {
			switch {
			case n.Error != "":
				out += n.Node + " silent "
			case n.Drained:
				out += n.Node + " drained "
			default:
				out += n.Node + " "
			}
		}
		return strings.TrimSpace(out)
	}
	for _, step := range []struct {
		does string
		do   func() (*api.Storage, error)
		want string
	}{
		{"status", func() (*api.Storage, error) { return c.Storage(ctx) }, "a b c"},
		{"repair", func() (*api.Storage, error) { return c.Repair(ctx) }, "a b c"},
		{"scrub", func() (*api.Storage, error) { return c.Scrub(ctx) }, "a b c"},
		{"drain nobody", func() (*api.Storage, error) { return c.Drain(ctx, "x", false) }, "not found"},
		{"forget nobody", func() (*api.Storage, error) { return c.Forget(ctx, []string{"x"}) }, "not found"},
		{"drain another", func() (*api.Storage, error) { return c.Drain(ctx, "b", false) }, "a b drained c"},
		{"drain itself", func() (*api.Storage, error) { return c.Drain(ctx, "a", false) }, "a drained b drained c"},
		{"drain the last", func() (*api.Storage, error) { return c.Drain(ctx, "c", false) }, "user"},
		{"end it", func() (*api.Storage, error) { return c.Drain(ctx, "b", true) }, "a drained b c"},
		{"as another node", func() (*api.Storage, error) { return c.Hop().Drain(ctx, "b", false) }, "user"},
		{"with a silent one", func() (*api.Storage, error) {
			p.nodes[2].on(func(*http.Request) bool { panic(http.ErrAbortHandler) })
			return c.Storage(ctx)
		}, "a drained b c silent"},
		{"drain the last that answers", func() (*api.Storage, error) { return c.Drain(ctx, "b", false) }, "user"},
	} {
		if got := stands(step.do()); got != step.want {
			t.Errorf("%s: %s, want %s", step.does, got, step.want)
		}
	}
	p.view.Members[2].State = mesh.Leaving
	p.nodes[2].on(nil)
	if got := stands(c.Drain(ctx, "b", false)); got != "user" {
		t.Errorf("beside one that leaves: %s", got)
	}
}

// TestTold: what datasets and copies fail of has a kind that says whether to try again, and
// a hint; what ended with its caller is left as it is.
func TestTold(t *testing.T) {
	for _, test := range []struct {
		err  error
		kind plan.Kind
	}{
		{dataset.ErrExists, plan.KindExists}, {dataset.ErrNotFound, plan.KindNotFound}, {dataset.ErrNotOwner, plan.KindDenied}, {dataset.ErrName, plan.KindUser},
		{dataset.ErrColumns, plan.KindUser}, {dataset.ErrTooLarge, plan.KindUser}, {collect.ErrCondemned, plan.KindFenced}, {register.ErrMinority, plan.KindUnavailable},
		{register.ErrUnknown, plan.KindUnavailable}, {datasets.ErrBusy, plan.KindBusy}, {collect.ErrTooMany, plan.KindBusy}, {replica.ErrUnavailable, plan.KindUnavailable},
		{replicas.ErrThere, plan.KindExists}, {replicas.ErrNoPlace, plan.KindNotFound}, {replicas.ErrMoving, plan.KindUnavailable}, {replica.ErrTooFew, plan.KindUnavailable}, {replica.ErrLost, plan.KindLost}, {fs.ErrNoSpace, plan.KindResource}, {fs.ErrOffline, plan.KindStorage}, {syscall.ENOSPC, plan.KindResource},
	} {
		e := plan.AsError(told("put", "d", fmt.Errorf("below: %w", test.err)))
		if e.Kind != test.kind || e.Op != "put" || e.Subject != "d" || e.Hint == "" {
			t.Errorf("%v: %+v", test.err, e)
		}
	}
	own := &plan.Error{Kind: plan.KindBusy, Text: "own"}
	for _, err := range []error{nil, context.Canceled, context.DeadlineExceeded, own} {
		if got := told("put", "d", err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
