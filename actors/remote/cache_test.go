//go:build duckdb_arrow

package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/object"
)

// place is a source of objects of the same bytes, which fails as it is told to.
type place struct {
	mu    sync.Mutex
	data  []byte
	fails []error // the next answers
	asked []span
}

func (p *place) Find(context.Context, string) ([]object.Object, error) { return nil, nil }

func (p *place) Open(_ context.Context, o object.Object, off, n int64) (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, span{off, off + n})
	if len(p.fails) > 0 {
		err := p.fails[0]
		p.fails = p.fails[1:]
		if err != nil {
			return nil, &object.Error{Op: "read", Name: o.Name, Kind: err}
		}
	}
	return io.NopCloser(bytes.NewReader(p.data[off : off+n])), nil
}

// objects are the paths of n objects of a place.
func (p *place) objects(t *testing.T, n int) []string {
	t.Helper()
	out := make([]string, n)
	for i := range out {
		var err error
		if out[i], err = (object.Object{Name: fmt.Sprintf("mem://o/%d", i), Size: int64(len(p.data)), Version: "v"}).Path(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func newPlace(size int) *place {
	p := &place{data: make([]byte, size)}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range p.data {
		p.data[i] = byte(r.Uint32())
	}
	return p
}

func (p *place) cache(t *testing.T, c Config) *Cache {
	t.Helper()
	c.Sources = map[string]object.Source{"mem": p}
	cache, _ := open(t, c)
	return cache
}

func whole(t *testing.T, c *Cache, p *place, path string) {
	t.Helper()
	got, err := os.ReadFile(c.local(path))
	if err != nil || !bytes.Equal(got, p.data) {
		t.Errorf("%s: %d bytes, %v", path, len(got), err)
	}
}

// What nobody uses makes room for what is needed; what is used stays, and what is too
// much at once is an error.
func TestBounds(t *testing.T) {
	p := newPlace(1000)
	c := p.cache(t, Config{MaxBytes: 2500, MaxFiles: 4})
	paths := p.objects(t, 6)
	first, err := c.bringAll(t.Context(), []need{{path: paths[0]}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths[1:5] { // each makes room for the next
		release, err := c.bringAll(t.Context(), []need{{path: path}})
		if err != nil {
			t.Fatal(err)
		}
		whole(t, c, p, path)
		whole(t, c, p, paths[0])
		release()
	}
	if len(c.entries) > 4 || c.bytes > 2500 {
		t.Errorf("%d files, %d bytes", len(c.entries), c.bytes)
	}
	second, err := c.bringAll(t.Context(), []need{{path: paths[5]}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.bringAll(t.Context(), []need{{path: paths[1]}}); !errors.Is(err, plan.ErrResource) {
		t.Errorf("too many bytes at once: %v", err)
	}
	if _, err := c.bringAll(t.Context(), nil, paths...); !errors.Is(err, plan.ErrResource) {
		t.Errorf("too many files at once: %v", err)
	}
	first()
	second()
	asked := len(p.asked)
	again, err := c.bringAll(t.Context(), []need{{path: paths[5]}}, paths[:3]...)
	if err != nil {
		t.Fatal(err)
	}
	defer again()
	whole(t, c, p, paths[5])
	if len(p.asked) != asked {
		t.Error("what was here is fetched again")
	}
	for _, path := range paths[:3] {
		if st, err := os.Stat(c.local(path)); err != nil || st.Size() != 1000 {
			t.Errorf("there is no file for %s: %v", path, err)
		}
	}
}

// An answer that does not come is asked for again, a few times; another is not.
func TestAskedAgain(t *testing.T) {
	p := newPlace(100)
	c := p.cache(t, Config{})
	for i, f := range []struct {
		fails []error
		want  error
		asked int
	}{
		{[]error{object.ErrUnavailable, nil}, nil, 2},
		{[]error{object.ErrUnavailable, object.ErrUnavailable, object.ErrUnavailable, object.ErrUnavailable}, plan.ErrResource, requestTries},
		{[]error{object.ErrChanged}, plan.ErrQuery, 1},
		{[]error{object.ErrNotFound}, plan.ErrNotFound, 1},
		{[]error{object.ErrDenied}, plan.ErrDenied, 1},
	} {
		p.fails, p.asked = f.fails, nil
		path := p.objects(t, i+1)[i]
		release, err := c.bringAll(t.Context(), []need{{path: path}})
		if !errors.Is(err, f.want) || len(p.asked) != f.asked {
			t.Errorf("%v: %v, asked %d times", f.fails, err, len(p.asked))
		}
		if err == nil {
			whole(t, c, p, path)
			release()
			continue
		}
		var pe *plan.Error
		if !errors.As(err, &pe) || pe.Hint == "" || strings.Contains(pe.Hint, "disk") {
			t.Errorf("%v: %#v does not say what to do about a place", f.fails, err)
		}
	}
	if c.bytes != 100 {
		t.Errorf("%d bytes are reckoned with, of one object that is here", c.bytes)
	}
}

// Many that need one object at once fetch it once; one that ends does not wait.
func TestTogether(t *testing.T) {
	p := newPlace(3 * requestBytes / 2)
	c := p.cache(t, Config{})
	path := p.objects(t, 1)[0]
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			release, err := c.bringAll(t.Context(), []need{{path: path}})
			if err != nil {
				t.Error(err)
				return
			}
			release()
		})
	}
	group.Wait()
	whole(t, c, p, path)
	if len(p.asked) != 2 {
		t.Errorf("asked %d times", len(p.asked))
	}
	ended, end := context.WithCancelCause(t.Context())
	end(plan.ErrCancelled)
	other := p.objects(t, 2)[1]
	if _, err := c.bringAll(ended, []need{{path: other}}); !errors.Is(err, plan.ErrCancelled) {
		t.Errorf("one that has ended: %v", err)
	}
}

// A folder whose name SQL would read otherwise is refused, when it is needed.
func TestOddFolder(t *testing.T) {
	for _, name := range []string{"it's", "k=1", "a*", "{seed}", "50%"} {
		c, err := Open(Config{Dir: filepath.Join(t.TempDir(), name)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.bringAll(t.Context(), nil); !errors.Is(err, plan.ErrQuery) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	draw := func() (list []span, in [64]bool) {
		for range r.IntN(6) {
			s := span{r.Int64N(64), r.Int64N(65)}
			list = append(list, s)
			for i := s.from; i < s.to; i++ {
				in[i] = true
			}
		}
		return list, in
	}
	for range 2000 {
		a, inA := draw()
		b, inB := draw()
		var got [64]bool
		for _, s := range without(normal(a, 0), normal(b, 0)) {
			for i := s.from; i < s.to; i++ {
				got[i] = true
			}
		}
		for i := range got {
			if got[i] != (inA[i] && !inB[i]) {
				t.Fatalf("%v without %v: %v", a, b, without(normal(a, 0), normal(b, 0)))
			}
		}
	}
}

// local is a place whose objects are files here.
type local struct {
	*place
	dir string
}

func (l local) Here(o object.Object) (string, bool) {
	path := filepath.Join(l.dir, filepath.Base(o.Name))
	_, err := os.Stat(path)
	return path, err == nil
}

// What is a file here already is read from that, is never written, and goes when its owner
// has deleted it.
func TestHere(t *testing.T) {
	p := newPlace(1000)
	dir := t.TempDir()
	c, _ := open(t, Config{MaxBytes: 1500, MaxFiles: 3, Sources: map[string]object.Source{"mem": local{p, dir}}})
	paths := p.objects(t, 5)
	owned := []string{filepath.Join(dir, "0"), filepath.Join(dir, "1")}
	for _, name := range owned {
		if err := os.WriteFile(name, p.data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range append(paths, paths[0], paths[1]) { // more than are kept
		release, err := c.bringAll(t.Context(), []need{{path: path}})
		if err != nil {
			t.Fatal(err)
		}
		whole(t, c, p, path)
		release()
	}
	if len(p.asked) != 3 {
		t.Errorf("asked %d times, for three objects that are not here", len(p.asked))
	}
	for _, name := range owned {
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, p.data) {
			t.Errorf("the owner's file has %d bytes, %v", len(got), err)
		}
	}
	if err := os.Remove(owned[0]); err != nil {
		t.Fatal(err)
	}
	whole(t, c, p, paths[0])
	c.Shed()
	if _, err := os.Stat(c.local(paths[0])); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what its owner deleted stays: %v", err)
	}
	whole(t, c, p, paths[1])
}
