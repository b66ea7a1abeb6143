//go:build duckdb_arrow

package pond_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// damages are what becomes of a segment's file.
var damages = map[string]func(path string) error{
	"flipped": func(p string) error { return patch(p, func(b []byte) { b[0] ^= 16 }, 1) },
	"zeroed":  func(p string) error { return patch(p, func(b []byte) { clear(b) }, 4096) },
	"truncated": func(p string) error {
		fi, err := os.Stat(p)
		if err != nil {
			return err
		}
		return os.Truncate(p, fi.Size()/2)
	},
	"deleted": os.Remove,
}

// patch changes n bytes in the middle of a file.
func patch(path string, change func([]byte), n int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, min(n, fi.Size()))
	at := (fi.Size() - int64(len(b))) / 2
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	change(b)
	_, err = f.WriteAt(b, at)
	return err
}

// gate is a Go function through which rows pass, until a test closes it for some.
type gate struct{ shut atomic.Pointer[shutGate] }

// shutGate lets no rows of a step pass that have the given id, -1: any, until open
// is closed.
type shutGate struct {
	step, id int64
	once     sync.Once
	entered  chan struct{} // closed when the first such row has come
	open     chan struct{}
}

func (g *gate) close(step, id int64) *shutGate {
	s := &shutGate{step: step, id: id, entered: make(chan struct{}), open: make(chan struct{})}
	g.shut.Store(s)
	return s
}

func (g *gate) pass(ctx context.Context, args arrow.RecordBatch) (arrow.Array, error) {
	ids := args.Column(1).(*array.Int64)
	s := g.shut.Load()
	for i, step := range args.Column(0).(*array.Int64).Int64Values() {
		if s == nil || step != s.step || s.id >= 0 && ids.Value(i) != s.id {
			continue
		}
		s.once.Do(func() { close(s.entered) })
		select {
		case <-s.open:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		break
	}
	ids.Retain()
	return ids, nil
}

// damaged counts what tells that damage was met: warnings of the reader, and the
// nodes' logs.
type damaged struct {
	slog.Handler
	n *atomic.Int64
}

func (d damaged) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "dropped a damaged segment") || strings.HasPrefix(r.Message, "dropped upload torn") {
		d.n.Add(1)
	}
	return nil
}

func (d damaged) Enabled(context.Context, slog.Level) bool { return true }
func (d damaged) WithAttrs([]slog.Attr) slog.Handler       { return d }
func (d damaged) WithGroup(string) slog.Handler            { return d }

// damagePond is two nodes whose segments a test can damage.
type damagePond struct {
	whole *testing.T // the nodes' life
	t     *testing.T // the case at hand
	dirs  []string
	nodes []*pond.Node
	gate  gate
	met   atomic.Int64
}

func newDamagePond(t *testing.T) *damagePond {
	p := &damagePond{whole: t, t: t, dirs: []string{t.TempDir(), t.TempDir()}}
	p.start()
	return p
}

func (p *damagePond) start() {
	options := []pond.Option{
		pond.WithLogger(slog.New(damaged{n: &p.met})),
		pond.OnWarning(func(error) { p.met.Add(1) }),
		pond.WithScalarFunc(pond.ScalarFunc{Name: "pass", Args: []string{"BIGINT", "BIGINT"}, Result: "BIGINT", Version: "1", Call: p.gate.pass}),
		pond.Codec("none"), pond.WithSlots(1),
	}
	p.nodes = pondtest.New(p.whole, 1, append(options, pond.WithDir(p.dirs[0]))...)
	p.nodes = append(p.nodes, pondtest.Join(p.whole, p.nodes, append(options, pond.WithDir(p.dirs[1]))...))
}

func (p *damagePond) stop() {
	for _, n := range p.nodes {
		n.Close()
	}
}

// damage changes every segment on the nodes' disks.
func (p *damagePond) damage(do func(path string) error) {
	p.t.Helper()
	n := 0
	for _, dir := range p.dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if e != nil && e.IsDir() && e.Name() == "spill" {
				return filepath.SkipDir // of engine processes, which come and go
			}
			if err != nil || e.IsDir() || filepath.Base(filepath.Dir(path)) != "data" || !isSegment(path) {
				return err
			}
			n++
			return do(path)
		})
		if err != nil {
			p.t.Error(err)
		}
	}
	if n == 0 {
		p.t.Error("there is no segment to damage")
	}
}

func isSegment(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [8]byte
	_, err = f.ReadAt(magic[:], 0)
	return err == nil && string(magic[:]) == "PONDSEG1"
}

// damageRows is large enough that the kernel sends segments by itself.
const damageRows = 300_000

// job is three stages: one task makes numbers, three pass them on, four read those
// by hash, two at a time. Jobs of different salts share nothing.
func (p *damagePond) job(salt int) *pond.DataFrame {
	return numbers(p.nodes[0].Session, damageRows).Map(fmt.Sprintf("pass(1, id) AS id, hash(id, %d) AS h", salt)).
		Repartition(4, pond.ByHash("id")).SQL("SELECT pass(2, id) AS id, h FROM {0}")
}

// read checks a result.
func (p *damagePond) read(rows *pond.Rows, err error) {
	p.t.Helper()
	n, sum := int64(0), int64(0)
	if err == nil {
		for rec, e := range rows.All() {
			if err = e; err != nil {
				break
			}
			n += rec.NumRows()
			for _, v := range rec.Column(0).(*array.Int64).Int64Values() {
				sum += v
			}
		}
	}
	if err != nil || n != damageRows || sum != damageRows*(damageRows-1)/2 {
		p.t.Errorf("%d rows, sum %d: %v", n, sum, err)
	}
}

// TestDamage: whatever becomes of segments on the disk, and whenever, answers are
// right, and the nodes have noticed.
func TestDamage(t *testing.T) {
	p := newDamagePond(t)
	ctx := testContext
	moments := []struct {
		name string
		run  func(t *testing.T, salt int, harm func())
	}{
		{"between two jobs", func(t *testing.T, salt int, harm func()) {
			p.read(p.job(salt).Collect(ctx(t)))
			harm()
			p.read(p.job(salt).Collect(ctx(t)))
		}},
		{"between end and reading", func(t *testing.T, salt int, harm func()) {
			job, err := p.job(salt).Submit(ctx(t))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := job.Wait(ctx(t)); err != nil {
				t.Fatal(err)
			}
			harm()
			p.read(job.Rows(ctx(t)))
		}},
		{"before consumers start", func(t *testing.T, salt int, harm func()) {
			shut := p.gate.close(1, damageRows-1) // the last row of one of three tasks
			var once sync.Once
			rows, err := p.job(salt).Collect(ctx(t), pond.OnStatus(func(st *pond.Status) {
				for _, s := range st.Stages {
					if s.Tasks == 3 && s.Done == 2 {
						once.Do(func() { harm(); close(shut.open) })
					}
				}
			}))
			if p.read(rows, err); err == nil {
				p.met.Add(retries(rows.Status))
			}
		}},
		{"while consumers read", func(t *testing.T, salt int, harm func()) {
			shut := p.gate.close(2, -1)
			go func() {
				<-shut.entered
				harm()
				close(shut.open)
			}()
			rows, err := p.job(salt).Collect(ctx(t))
			if p.read(rows, err); err == nil {
				p.met.Add(retries(rows.Status))
			}
		}},
		{"while all are down", func(t *testing.T, salt int, harm func()) {
			p.read(p.job(salt).Collect(ctx(t)))
			p.stop()
			harm()
			p.start()
			p.read(p.job(salt).Collect(ctx(t)))
		}},
	}
	salt := 0
	for _, m := range moments {
		for name, do := range damages {
			salt++
			t.Run(m.name+"/"+name, func(t *testing.T) {
				p.t = t
				p.gate.shut.Store(nil)
				p.met.Store(0)
				m.run(t, salt, func() { p.damage(do) })
				// What is open stays readable when its name is gone.
				if p.met.Load() == 0 && !(name == "deleted" && m.name == "while consumers read") {
					t.Error("nobody has met the damage")
				}
			})
		}
	}
}

func retries(st *pond.Status) int64 {
	n := 0
	for _, s := range st.Stages {
		n += s.Retries
	}
	return int64(n)
}

// TestDamageStaged: files that tasks have staged, and the manifests that name them,
// are lost or cut before they are published: their tasks run again.
func TestDamageStaged(t *testing.T) {
	p := newDamagePond(t)
	for _, suffix := range []string{".parquet", ".manifest"} {
		for _, damage := range []string{"deleted", "truncated"} {
			t.Run(suffix[1:]+" "+damage, func(t *testing.T) {
				p.t = t
				target := filepath.Join(t.TempDir(), "out")
				shut := p.gate.close(1, 2999)
				var once sync.Once
				harm := func() {
					defer close(shut.open)
					n := 0
					err := filepath.WalkDir(filepath.Dir(target), func(path string, e fs.DirEntry, err error) error {
						if err != nil || e.IsDir() || !strings.HasSuffix(path, suffix) {
							return err
						}
						if fi, err := e.Info(); err != nil || fi.Size() == 0 {
							return err // of the task that is still writing
						}
						n++
						return damages[damage](path)
					})
					if err != nil || n < 2 {
						t.Errorf("%d files to damage: %v", n, err)
					}
				}
				df := numbers(p.nodes[0].Session, 3000).Map("pass(1, id) AS id")
				var last *pond.Status
				err := df.WriteParquet(testContext(t), target, pond.OnStatus(func(st *pond.Status) {
					last = st
					for _, s := range st.Stages {
						if s.Tasks == 3 && s.Done == 2 {
							once.Do(harm)
						}
					}
				}))
				if err != nil {
					t.Fatal(err)
				}
				if retries(last) < 2 {
					t.Error("no task has run again")
				}
				wantLines(t, oracle(t, fmt.Sprintf("SELECT count(*), sum(id)::BIGINT FROM '%s/*.parquet'", target)), "3000|4498500")
			})
		}
	}
}
