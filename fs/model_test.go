package fs

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// TestModel compares the store with a map through random operations, with
// reopening in between.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{fs: vfs.NewMem(), want: map[UploadID]modelUpload{}}
		m.open(rt)
		defer func() { m.s.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"put": m.put, "abort": m.abort, "delete": m.delete, "reopen": m.reopen, "": m.check,
		})
	})
}

type modelUpload struct {
	kind        string
	data, attrs []byte
}

type model struct {
	fs   *vfs.MemFS
	s    *Store
	want map[UploadID]modelUpload
}

func (m *model) open(rt *rapid.T) {
	var err error
	if m.s, err = Open(context.Background(), "/model", Options{FS: m.fs}); err != nil {
		rt.Fatal(err)
	}
}

func (m *model) put(rt *rapid.T) {
	u := modelUpload{
		kind:  rapid.SampledFrom([]string{"segment", "job"}).Draw(rt, "kind"),
		data:  content(rapid.Uint64().Draw(rt, "seed"), rapid.SampledFrom([]int{0, 1, 40, FrameSize - 1, FrameSize, 2 * FrameSize}).Draw(rt, "size")),
		attrs: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "attrs"),
	}
	info, err := put(m.s, u.kind, u.data, u.attrs, rapid.Bool().Draw(rt, "durable"))
	if err != nil {
		rt.Fatal(err)
	}
	m.want[info.ID] = u
}

func (m *model) abort(rt *rapid.T) {
	u, err := m.s.Create("segment")
	if err != nil {
		rt.Fatal(err)
	}
	u.Write([]byte("abandoned"))
	if rapid.Bool().Draw(rt, "leak") { // the next reopen drops it
		u.f.Close()
		m.s.uploads.Add(-1)
		return
	}
	if err := u.Abort(); err != nil {
		rt.Fatal(err)
	}
	if _, err := m.s.Stat(u.ID()); !errors.Is(err, ErrNotFound) {
		rt.Fatalf("aborted upload: %v", err)
	}
}

func (m *model) delete(rt *rapid.T) {
	id := newUploadID()
	for id = range m.want {
		break
	}
	if err := m.s.Delete(id, id, newUploadID()); err != nil {
		rt.Fatal(err)
	}
	delete(m.want, id)
	if _, err := m.s.Reader(id); !errors.Is(err, ErrNotFound) {
		rt.Fatalf("deleted upload: %v", err)
	}
}

func (m *model) reopen(rt *rapid.T) {
	if err := m.s.Close(); err != nil {
		rt.Fatal(err)
	}
	m.open(rt)
	names, err := m.fs.List("/model/data")
	files := 0
	for _, u := range m.want {
		if len(u.data) > 0 {
			files++
		}
	}
	if err != nil || len(names) != files {
		rt.Fatalf("%d files for %d uploads with bytes, %v", len(names), files, err)
	}
}

func (m *model) check(rt *rapid.T) {
	var total int64
	jobs := 0
	for id, u := range m.want {
		total += int64(len(u.data))
		if u.kind == "job" {
			jobs++
		}
		if got, err := get(m.s, id); err != nil || !bytes.Equal(got, u.data) {
			rt.Fatalf("upload %s: %v", id, err)
		}
	}
	if b, n := m.s.Usage(); b != total || n != int64(len(m.want)) {
		rt.Fatalf("usage %d, %d; want %d, %d", b, n, total, len(m.want))
	}
	for info, err := range m.s.List("job") {
		u := m.want[info.ID]
		if err != nil || u.kind != "job" || !bytes.Equal(info.Attrs, u.attrs) || info.Size != int64(len(u.data)) {
			rt.Fatalf("list: %+v, %v", info, err)
		}
		jobs--
	}
	if jobs != 0 {
		rt.Fatalf("list is off by %d", jobs)
	}
}
