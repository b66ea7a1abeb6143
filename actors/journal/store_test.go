package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
)

// stores are the disk and its twin in memory: what is promised of one is tried
// on both.
func stores(t *testing.T) map[string]journal.Store {
	t.Helper()
	s, err := fs.Open(t.Context(), t.TempDir(), fs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return map[string]journal.Store{"disk": journal.OnDisk(s), "memory": new(journal.Memory)}
}

func listed(t *testing.T, s journal.Store, kind string) []fs.Info {
	t.Helper()
	var out []fs.Info
	for info, err := range s.List(kind) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, info)
	}
	return out
}

func commit(t *testing.T, s journal.Store, kind, text, facts string) fs.Info {
	t.Helper()
	u, err := s.Create(kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.SplitAfter(text, " ") {
		if _, err := io.WriteString(u, part); err != nil {
			t.Fatal(err)
		}
	}
	info, err := u.Commit([]byte(facts), true)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestStores(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			lost, err := s.Create("a")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(lost, "never seen")
			if err := errors.Join(lost.Abort(), lost.Abort()); err != nil {
				t.Errorf("aborted twice: %v", err)
			}
			if _, err := lost.Commit(nil, false); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Commit after Abort: %v", err)
			}
			if _, err := lost.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Write after Abort: %v", err)
			}
			one, two := commit(t, s, "a", "some text", "facts"), commit(t, s, "b", "", "")
			if l := listed(t, s, "a"); len(l) != 1 || l[0].ID != one.ID || string(l[0].Attrs) != "facts" || l[0].Size != 9 || !l[0].Durable {
				t.Errorf("listed: %+v", l)
			}
			r, err := s.Reader(one.ID)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if err := s.Delete(one.ID, fs.UploadID{1}); err != nil {
				t.Error(err)
			}
			var b bytes.Buffer
			if _, err := io.Copy(&b, io.NewSectionReader(r, 0, r.Size())); err != nil || b.String() != "some text" || r.Info().ID != one.ID {
				t.Errorf("an open reader of a deleted upload: %q, %v", b.String(), err)
			}
			if _, err := s.Reader(one.ID); !errors.Is(err, fs.ErrNotFound) {
				t.Errorf("Reader after Delete: %v", err)
			}
			if l := listed(t, s, "a"); len(l) != 0 {
				t.Errorf("listed after Delete: %+v", l)
			}
			if l := listed(t, s, "b"); len(l) != 1 || l[0].ID != two.ID {
				t.Errorf("the other kind: %+v", l)
			}
		})
	}
}

func TestMemoryFaults(t *testing.T) {
	m := new(journal.Memory)
	id := commit(t, m, "a", "text", "").ID
	u, err := m.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	m.FailWith(fs.ErrNoSpace)
	if _, err := m.Create("a"); !errors.Is(err, fs.ErrNoSpace) {
		t.Errorf("Create: %v", err)
	}
	if _, err := u.Write([]byte("x")); !errors.Is(err, fs.ErrNoSpace) {
		t.Errorf("Write: %v", err)
	}
	if _, err := u.Commit(nil, false); !errors.Is(err, fs.ErrNoSpace) || m.Len() != 1 {
		t.Errorf("Commit: %v; %d uploads", err, m.Len())
	}
	m.FailWith(nil)
	if _, err := u.Commit(nil, false); err != nil || m.Len() != 2 {
		t.Errorf("Commit once there is room: %v; %d uploads", err, m.Len())
	}
	if !m.Damage(id, fs.ErrCorrupt) || m.Damage(fs.UploadID{1}, fs.ErrCorrupt) {
		t.Error("Damage says otherwise which uploads there are")
	}
	r, err := m.Reader(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(make([]byte, 4), 0); !errors.Is(err, fs.ErrCorrupt) {
		t.Errorf("ReadAt of damaged bytes: %v", err)
	}
}

func TestStorageError(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind plan.Kind
		hint string
	}{
		{fmt.Errorf("write: %w", fs.ErrNoSpace), plan.KindResource, "make room"},
		{fmt.Errorf("write: %w", syscall.ENOSPC), plan.KindResource, "make room"},
		{fs.ErrOffline, plan.KindStorage, "start the node again"},
		{fmt.Errorf("read: %w", syscall.EIO), plan.KindStorage, "start the node again"},
		{fs.ErrReadOnly, plan.KindStorage, "start the node again"},
		{&plan.Error{Kind: plan.KindUser, Text: "no"}, plan.KindUser, ""},
		{errors.New("anything"), plan.KindInternal, ""},
	} {
		if e := plan.AsError(journal.StorageError(c.err)); e.Kind != c.kind || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%v: kind %s, hint %q", c.err, e.Kind, e.Hint)
		}
	}
	if journal.StorageError(nil) != nil {
		t.Error("no error has become one")
	}
}
