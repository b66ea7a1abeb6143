package replicas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// killer ends the node at a place of a chain while it receives a copy, once.
type killer struct {
	step   string
	behind int // nodes behind the one that is killed
	fired  atomic.Bool
	node   *node
}

func (k *killer) meet(n *node) meeting {
	return func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) bool {
		o, err := readOrder(r)
		if r.Method != http.MethodPut || err != nil || len(o.chain) != k.behind || !k.fired.CompareAndSwap(false, true) {
			return false
		}
		k.node = n
		if k.step == "before the bytes" {
			n.crash()
			panic(http.ErrAbortHandler)
		}
		left := bodySize(o.size) / 2
		if k.step != "amid the bytes" {
			left = bodySize(o.size)
		}
		if k.step == "amid the bytes" || k.step == "behind the bytes" {
			r.Body = &dyingBody{r.Body, n, left}
		}
		serve(&dyingWriter{w, n, k.step}, r)
		panic(http.ErrAbortHandler)
	}
}

// dyingBody ends its node once so many bytes have been read.
type dyingBody struct {
	io.ReadCloser
	n    *node
	left int64
}

func (d *dyingBody) Read(p []byte) (int, error) {
	if d.left == 0 {
		if d.n.clone == nil {
			d.n.crash()
		}
		return 0, io.ErrUnexpectedEOF
	}
	n, err := d.ReadCloser.Read(p[:min(int64(len(p)), d.left)])
	d.left -= int64(n)
	return n, err
}

// dyingWriter ends its node before, or after, it says that it has stored a copy.
type dyingWriter struct {
	http.ResponseWriter
	n    *node
	step string
}

func (d *dyingWriter) Write(p []byte) (int, error) {
	mine := bytes.Contains(p, []byte(fmt.Sprintf(`"node":%q`, d.n.id)))
	switch {
	case d.n.clone != nil:
		return 0, io.ErrClosedPipe
	case mine && d.step == "before it says so":
		d.n.crash()
		return 0, io.ErrClosedPipe
	}
	n, err := d.ResponseWriter.Write(p)
	if mine && d.step == "after it has said so" {
		err = errors.Join(err, http.NewResponseController(d.ResponseWriter).Flush())
		d.n.crash()
	}
	return n, err
}

func (d *dyingWriter) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// TestKillAtEachStep (faults 1, 2, 3, 14): head, middle and tail of a chain die at each step of
// receiving. The upload has all its copies on others; who said that it has it has it after
// a restart; what was not committed is gone; and the same upload sent again is the one
// copy.
func TestKillAtEachStep(t *testing.T) {
	for _, step := range []string{"before the bytes", "amid the bytes", "behind the bytes", "before it says so", "after it has said so"} {
		for behind, place := range []string{"tail", "middle", "head"} {
			t.Run(place+" "+step, func(t *testing.T) {
				bubble(t, 5, func(t *testing.T, p *pond) {
					k := &killer{step: step, behind: behind}
					for _, n := range p.nodes {
						n.on(k.meet(n))
					}
					b := content(7, 500_000)
					c := p.nodes["a"].mustPut(replica.Class{Want: 4, Min: 2}, b)
					if !k.fired.Load() || k.node.clone == nil {
						t.Fatal("the fault did not happen")
					}
					if len(c.Holders) != 4 || c.Short {
						t.Errorf("%+v", c)
					}
					dead := k.node
					n := dead.again()
					said := false
					for _, h := range c.Holders {
						said = said || h == dead.id
						if !p.nodes[h].has(c, b) {
							t.Errorf("node %s says that it has it, and has not", h)
						}
					}
					if committed := step == "before it says so" || step == "after it has said so"; n.has(c, b) != committed || said && !committed {
						t.Errorf("after its restart the node has it: %t; it said so: %t", n.has(c, b), said)
					}
					n.wantFiles()
					if again, err := p.nodes["a"].Spread(t.Context(), replica.Class{Want: 5, Min: 2}, c.ID); err != nil || len(again.Holders) != 5 {
						t.Errorf("sent again: %+v, %v", again, err)
					}
					for _, n := range p.nodes {
						if _, count := n.store.Usage(); !n.has(c, b) || count != 1 {
							t.Errorf("node %s: %d uploads", n.id, count)
						}
						n.wantFiles()
					}
				})
			})
		}
	}
}

// wantFiles checks that the files of a node are those of its uploads.
func (n *node) wantFiles() {
	n.p.t.Helper()
	names, err := n.disk.List("/d/data")
	if err != nil {
		n.p.t.Fatal(err)
	}
	for _, name := range names {
		id, err := fs.ParseUploadID(name)
		if err == nil {
			_, err = n.store.Stat(id)
		}
		if err != nil {
			n.p.t.Errorf("node %s has the file %s, and: %v", n.id, name, err)
		}
	}
}

// TestPowerLossAfterPut (fault 5): what was said to be stored survives the loss of all
// that was not fsynced, on every node at once.
func TestPowerLossAfterPut(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		b := content(5, 1_500_000)
		c := p.nodes["a"].mustPut(three, b)
		for _, n := range p.but() {
			n.powerLoss()
		}
		for _, n := range p.but() {
			n.again()
		}
		for _, h := range c.Holders {
			if !p.nodes[h].has(c, b) {
				t.Errorf("node %s has lost it", h)
			}
		}
		if len(c.Holders) != 3 {
			t.Errorf("%+v", c)
		}
	})
}

// TestTornFile (fault 4): a file of which only so many blocks came to the disk is never
// read: its node serves none of it, and readers get the bytes elsewhere.
func TestTornFile(t *testing.T) {
	bubble(t, 2, func(t *testing.T, p *pond) {
		b := content(4, 100_000)
		for kept := 0; kept < len(b); kept += 4096 {
			c := p.nodes["a"].mustPut(replica.Class{Want: 2, Min: 2}, b)
			torn := make([]byte, len(b)) // blocks that did not come are zeros
			copy(torn, b[:kept])
			n := p.nodes["b"]
			f, err := n.disk.OpenReadWrite("/d/data/"+c.ID.String(), "test")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(torn, 0); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if n.has(c, b) {
				t.Fatal("the fault did not happen")
			}
			n.wantRead(c, b)
			c.Holders = []mesh.NodeID{"b", "a"}
			p.nodes["a"].wantRead(c, b)
		}
	})
}

// TestSyncFails (fault 6): a node whose fsync fails says nothing of the kind of stored,
// and serves nothing more; another takes its place.
func TestSyncFails(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		var armed atomic.Bool
		var fired atomic.Int64
		p.start("d", errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if armed.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
				fired.Add(1)
				return syscall.EIO
			}
			return nil
		})))
		armed.Store(true)
		b := content(6, 200_000)
		c := p.nodes["a"].mustPut(replica.Class{Want: 4, Min: 2}, b)
		if fired.Load() == 0 {
			t.Fatal("the fault did not happen")
		}
		if len(c.Holders) != 3 || !c.Short {
			t.Errorf("%+v", c)
		}
		if err := p.nodes["d"].store.Err(); !errors.Is(err, fs.ErrOffline) {
			t.Errorf("the store: %v", err)
		}
		before := fired.Load()
		if _, err := p.nodes["a"].Spread(t.Context(), replica.Class{Want: 4, Min: 2}, c.ID); err != nil || fired.Load() != before {
			t.Errorf("sent again: %v, and %d fsyncs were tried again", err, fired.Load()-before)
		}
		p.nodes["a"].wantRead(c, b)
	})
}

// TestBitFlip (fault 7): whoever reads a damaged copy, at whatever frame, gets the right
// bytes, and the copy goes out of use.
func TestBitFlip(t *testing.T) {
	for _, at := range []int64{0, 65_536, 299_999} {
		for _, reader := range []mesh.NodeID{"b", "d"} { // its holder, and one that has none
			bubble(t, 4, func(t *testing.T, p *pond) {
				b := content(8, 300_000)
				c := put3(p, b)
				p.nodes["b"].rot(c.ID, at)
				if p.nodes["b"].has(c, b) {
					t.Fatal("the fault did not happen")
				}
				c.Holders = []mesh.NodeID{"b", "a", "c"}
				p.nodes[reader].wantRead(c, b)
				eventually(t, "the bad copy goes out of use", func() bool {
					ids, err := p.nodes["b"].store.Quarantined()
					return err == nil && len(ids) == 1 && ids[0] == c.ID
				})
				if _, err := p.nodes["b"].store.Stat(c.ID); !errors.Is(err, fs.ErrNotFound) {
					t.Errorf("the bad copy is in use: %v", err)
				}
			})
		}
	}
}

// put3 puts an upload on nodes a, b and c.
func put3(p *pond, b []byte) Copy {
	p.t.Helper()
	for range 100 {
		c := p.nodes["a"].mustPut(three, b)
		if !strings.ContainsRune(string(c.Holders[1]+c.Holders[2]), 'd') {
			return c
		}
	}
	p.t.Fatal("no upload comes to these nodes")
	return Copy{}
}

// TestAllCorrupt (fault 9): when every copy is damaged the upload is lost, which is
// another error than that nobody answers, here and on other nodes; no wrong byte is read,
// and the files are kept.
func TestAllCorrupt(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		b := content(9, 300_000)
		c := put3(p, b)
		for _, h := range c.Holders {
			p.nodes[h].rot(c.ID, 150_000)
		}
		got, err := p.nodes["d"].read(c, 0, -1)
		if !errors.Is(err, replica.ErrLost) || errors.Is(err, replica.ErrUnavailable) || !bytes.HasPrefix(b, got) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if e := plan.AsError(err); !errors.Is(e, plan.ErrLost) {
			t.Errorf("others are told: %v", e)
		}
		for _, h := range c.Holders {
			eventually(t, "the bad copy is put aside", func() bool {
				ids, err := p.nodes[h].store.Quarantined()
				return err == nil && len(ids) == 1
			})
		}
	})
}

// TestUnavailable: an upload whose holders do not answer is not lost.
func TestUnavailable(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		b := content(9, 300_000)
		c := put3(p, b)
		p.nodes["a"].rot(c.ID, 1)
		p.nodes["b"].crash()
		p.nodes["c"].crash()
		_, err := p.nodes["d"].read(c, 0, -1)
		if !errors.Is(err, replica.ErrUnavailable) || errors.Is(err, replica.ErrLost) || !errors.Is(plan.AsError(err), plan.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		p.nodes["b"].again()
		p.nodes["d"].wantRead(c, b)
	})
}

// smallDisk has a number of bytes free.
type smallDisk struct {
	vfs.FS
	free *atomic.Uint64
}

func (d smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load()}, nil
}

// TestDiskFull (fault 11): a node without room, before or amid a copy, is passed by for
// another; it keeps nothing of the copy, and goes on to serve what it has.
func TestDiskFull(t *testing.T) {
	for _, amid := range []bool{false, true} {
		bubble(t, 3, func(t *testing.T, p *pond) {
			var free atomic.Uint64
			free.Store(1 << 40)
			d := p.start("d", smallDisk{vfs.NewMem(), &free})
			old := content(1, 10_000)
			before := p.nodes["a"].mustPut(replica.Class{Want: 4, Min: 4}, old)
			fired := atomic.Bool{}
			d.on(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) bool {
				if r.Method == http.MethodPut {
					fired.Store(true)
					if !amid {
						free.Store(0)
					} else {
						r.Body = &watchedBody{r.Body, 5_000_000, func() { free.Store(0) }}
					}
				}
				return false
			})
			b := content(11, 9_000_000) // of more than two chunks: room is looked at for each
			c := p.nodes["a"].mustPut(replica.Class{Want: 4, Min: 2}, b)
			if !fired.Load() || free.Load() != 0 {
				t.Fatal("the fault did not happen")
			}
			if len(c.Holders) != 3 || !c.Short {
				t.Errorf("%+v", c)
			}
			if _, err := d.store.Stat(c.ID); !errors.Is(err, fs.ErrNotFound) {
				t.Errorf("on the full disk: %v", err)
			}
			d.wantFiles()
			d.wantRead(before, old)
			free.Store(1 << 40)
			d.on(nil)
			if again, err := p.nodes["a"].Spread(t.Context(), replica.Class{Want: 4, Min: 4}, c.ID); err != nil || len(again.Holders) != 4 || !d.has(c, b) {
				t.Errorf("with room again: %+v, %v", again, err)
			}
		})
	}
}

// watchedBody calls then once so many bytes have been read.
type watchedBody struct {
	io.ReadCloser
	left int
	then func()
}

func (w *watchedBody) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if w.left > 0 && w.left <= n {
		w.then()
	}
	w.left -= n
	return n, err
}

// stalling stops after so many bytes of a body, until the node ends.
type stalling struct {
	io.ReadCloser
	node *node
	left int
	n    *atomic.Int64
}

func (s *stalling) Read(p []byte) (int, error) {
	if s.left <= 0 {
		s.n.Add(1)
		<-s.node.closed
		return 0, io.ErrClosedPipe
	}
	n, err := s.ReadCloser.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

// TestStalledPeer (fault 13): a node that stops taking bytes, or never says that it has
// them, is replaced after the stall limit, wherever it stands; the others of its chain are
// not.
func TestStalledPeer(t *testing.T) {
	for _, where := range []string{"body", "reply"} {
		for behind := range 3 {
			bubble(t, 5, func(t *testing.T, p *pond) {
				var stalled atomic.Int64
				var slow atomic.Pointer[node]
				for _, n := range p.nodes {
					n.on(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) bool {
						o, err := readOrder(r)
						if r.Method != http.MethodPut || err != nil || len(o.chain) != behind || !slow.CompareAndSwap(nil, n) {
							return false
						}
						if where == "body" {
							r.Body = &stalling{r.Body, n, 100_000, &stalled}
							return false
						}
						_, _ = io.Copy(io.Discard, r.Body)
						stalled.Add(1)
						<-r.Context().Done()
						return true
					})
				}
				b := content(13, 500_000)
				begun := time.Now()
				c := p.nodes["a"].mustPut(replica.Class{Want: 4, Min: 2}, b)
				if stalled.Load() == 0 {
					t.Fatal("the fault did not happen")
				}
				if took := time.Since(begun); took < StallMax || took > 2*StallMax {
					t.Errorf("%s of the node with %d behind it: it took %v", where, behind, took)
				}
				if len(c.Holders) != 4 || c.Short || strings.Contains(fmt.Sprint(c.Holders), string(slow.Load().id)) {
					t.Errorf("%s of the node with %d behind it: %+v, slow is %s", where, behind, c, slow.Load().id)
				}
			})
		}
	}
}

// TestHedge (fault 13): a reader asks a second node when the first is slow, and waits for
// the stall limit of none.
func TestHedge(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		b := content(13, 300_000)
		c := put3(p, b)
		var slow atomic.Int64
		p.nodes["a"].on(func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
			slow.Add(1)
			<-r.Context().Done()
			return true
		})
		begun := time.Now()
		p.nodes["d"].wantRead(c, b)
		if took := time.Since(begun); slow.Load() != 1 || took > hedgeMax {
			t.Errorf("it took %v, and %d requests were slow", took, slow.Load())
		}
	})
}

// TestBreaksAmid: a reader whose node breaks off, or falls silent, in the middle goes on
// with another where it was.
func TestBreaksAmid(t *testing.T) {
	for _, silent := range []bool{false, true} {
		bubble(t, 4, func(t *testing.T, p *pond) {
			b := content(13, 1_000_000)
			c := put3(p, b)
			var broken atomic.Int64
			p.nodes["a"].on(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) bool {
				serve(&breaking{w, r, 400_000, silent, &broken}, r)
				return true
			})
			p.nodes["d"].wantRead(c, b)
			if broken.Load() == 0 {
				t.Fatal("the fault did not happen")
			}
		})
	}
}

// breaking ends an answer after so many bytes.
type breaking struct {
	http.ResponseWriter
	r      *http.Request
	left   int
	silent bool
	n      *atomic.Int64
}

func (b *breaking) Write(p []byte) (int, error) {
	n, err := b.ResponseWriter.Write(p[:min(len(p), b.left)])
	if b.left -= n; b.left == 0 && err == nil {
		_ = http.NewResponseController(b.ResponseWriter).Flush()
		b.n.Add(1)
		if b.silent {
			<-b.r.Context().Done()
		}
		err = io.ErrClosedPipe
	}
	return n, err
}

func (b *breaking) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// TestAckLost (fault 15): the reply of a whole chain is lost. The writer counts nobody
// whom it has not heard, and finds all of them when it sends the upload again.
func TestAckLost(t *testing.T) {
	bubble(t, 3, func(t *testing.T, p *pond) {
		var lost atomic.Int64
		for _, n := range p.nodes {
			n.on(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) bool {
				o, _ := readOrder(r)
				if r.Method != http.MethodPut || len(o.chain) == 0 {
					return false
				}
				serve(&deaf{w}, r)
				lost.Add(1)
				panic(http.ErrAbortHandler)
			})
		}
		b := content(15, 300_000)
		c := p.nodes["a"].mustPut(three, b)
		if lost.Load() == 0 {
			t.Fatal("the fault did not happen")
		}
		if len(c.Holders) != 2 || !c.Short { // the head is not asked again: the second was, and had it
			t.Errorf("%+v", c)
		}
		again, err := p.nodes["a"].Spread(t.Context(), three, c.ID)
		if err != nil || len(again.Holders) < 2 {
			t.Errorf("again: %+v, %v", again, err)
		}
		for _, n := range p.nodes {
			if _, count := n.store.Usage(); count != 1 || !n.has(c, b) {
				t.Errorf("node %s: %d uploads", n.id, count)
			}
		}
	})
}

// deaf loses what is written.
type deaf struct{ http.ResponseWriter }

func (d *deaf) Write(p []byte) (int, error) { return len(p), nil }
func (d *deaf) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// TestDuplicates (fault 16): the same copy sent many times at once, down different
// chains, is one copy, and takes no room twice.
func TestDuplicates(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		b := content(16, 400_000)
		a := p.nodes["a"]
		c := a.mustPut(replica.Class{Want: 1, Min: 1}, b)
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				whole, err := a.store.Reader(c.ID)
				if err != nil {
					t.Error(err)
					return
				}
				defer whole.Close()
				chain := [][]replica.Node{{"b", "c", "d"}, {"d", "c", "b"}, {"c"}}[i%3]
				_ = a.sendTo(t.Context(), chain, wholeSource(whole), func(s replica.Said) {
					if s.Outcome != replica.Stored && s.Outcome != replica.Had && s.Outcome != replica.Busy {
						t.Errorf("%+v", s)
					}
				})
			})
		}
		all.Wait()
		if again, err := a.Spread(t.Context(), replica.Class{Want: 4, Min: 4}, c.ID); err != nil || len(again.Holders) != 4 {
			t.Fatalf("%+v, %v", again, err)
		}
		for _, n := range p.nodes {
			if size, count := n.store.Usage(); size != 400_000 || count != 1 || !n.has(c, b) {
				t.Errorf("node %s: %d bytes, %d uploads", n.id, size, count)
			}
			n.wantFiles()
		}
	})
}

// TestConflict (fault 17): other bytes under the same id are refused, and the first stay.
func TestConflict(t *testing.T) {
	bubble(t, 2, func(t *testing.T, p *pond) {
		a, b := p.nodes["a"], p.nodes["b"]
		first := content(17, 300_000)
		c := a.mustPut(replica.Class{Want: 1, Min: 1}, first)
		u, err := b.store.CreateCopy(c.ID, kindCopy, 5)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write([]byte("other")); err != nil {
			t.Fatal(err)
		}
		if _, err := u.Commit(nil, true); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Spread(t.Context(), replica.Class{Want: 2, Min: 1}, c.ID); !errors.Is(err, replica.ErrConflict) {
			t.Errorf("%v", err)
		}
		if !a.has(c, first) || !b.has(c, []byte("other")) {
			t.Error("one has changed")
		}
	})
}

// TestDamagedOnTheWay: a byte that changes between two nodes is not stored.
func TestDamagedOnTheWay(t *testing.T) {
	bubble(t, 2, func(t *testing.T, p *pond) {
		var fired atomic.Int64
		p.nodes["b"].on(func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) bool {
			if fired.Add(1) == 1 {
				r.Body = &changed{r.Body, 100_000}
			}
			return false
		})
		b := content(1, 300_000)
		c := p.nodes["a"].mustPut(replica.Class{Want: 2, Min: 1}, b)
		if fired.Load() == 0 || len(c.Holders) != 1 || !c.Short {
			t.Fatalf("%d requests, %+v", fired.Load(), c)
		}
		if _, err := p.nodes["b"].store.Stat(c.ID); !errors.Is(err, fs.ErrNotFound) {
			t.Errorf("it was stored: %v", err)
		}
		p.nodes["b"].wantFiles()
	})
}

// changed changes the byte at an offset.
type changed struct {
	io.ReadCloser
	at int
}

func (c *changed) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.at >= 0 && c.at < n {
		p[c.at] ^= 1
	}
	c.at -= n
	return n, err
}

// TestTooFew: without enough copies there is no upload, here or later. One that says
// something of itself stays: a node that says nothing may have it, and others find it there.
func TestTooFew(t *testing.T) {
	bubble(t, 2, func(t *testing.T, p *pond) {
		a := p.nodes["a"]
		p.nodes["b"].crash()
		_, err := a.Put(t.Context(), replica.Class{Want: 2, Min: 2}, a.file(content(1, 1000)))
		if !errors.Is(err, replica.ErrTooFew) || !errors.Is(plan.AsError(err), plan.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		for info, err := range a.store.List("") {
			if err != nil || info.Kind != fs.KindBuried {
				t.Errorf("%+v, %v", info, err)
			}
		}
		if _, err := a.PutAs(t.Context(), replica.Class{Want: 2, Min: 2}, a.file(content(2, 1000)), []byte("mine")); !errors.Is(err, replica.ErrTooFew) {
			t.Errorf("%v", err)
		}
		stay := 0
		for info, err := range a.store.List(kindCopy) {
			if err != nil || string(info.Attrs) != "mine" {
				t.Errorf("%+v, %v", info, err)
			}
			stay++
		}
		if stay != 1 {
			t.Errorf("%d stay", stay)
		}
	})
}

// TestLocal: what is not here is fetched once, is a file as long as it is in use, and
// goes when others need the room; it becomes one of the copies when it is sent here.
func TestLocal(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		d := p.nodes["d"]
		first, second := content(1, 700_000), content(2, 600_000)
		c1, c2 := put3(p, first), put3(p, second)
		_, before := d.store.Usage()
		var all sync.WaitGroup
		var releases [4]func()
		for i := range releases {
			all.Go(func() {
				path, release, err := d.Local(t.Context(), c1.ID, c1.Holders)
				if err != nil || path != "/d/data/"+c1.ID.String() {
					t.Errorf("%q, %v", path, err)
				}
				releases[i] = release
			})
		}
		all.Wait()
		if _, count := d.store.Usage(); count != before+1 {
			t.Errorf("%d uploads", count)
		}
		_, release, err := d.Local(t.Context(), c2.ID, c2.Holders)
		if err != nil {
			t.Fatal(err)
		}
		if _, count := d.store.Usage(); count != before+2 {
			t.Errorf("%d uploads, with both in use and no room for both", count)
		}
		for _, r := range releases {
			r()
		}
		d.evict()
		if _, err := d.store.Stat(c1.ID); !errors.Is(err, fs.ErrNotFound) {
			t.Errorf("there is no room for it, but: %v", err)
		}
		release()
		if again, err := p.nodes["a"].Spread(t.Context(), replica.Class{Want: 4, Min: 4}, c2.ID); err != nil || len(again.Holders) != 4 || !d.has(c2, second) {
			t.Errorf("%+v, %v", again, err)
		}
		d.cfg.CacheMax = 0
		d.evict()
		if !d.has(c2, second) {
			t.Error("one of the copies went with what is cached")
		}
	})
}
