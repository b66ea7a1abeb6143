package objecttest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pondmesh/pond/fs/object"
)

// large is the size of an object that S3 is given in several parts.
const large = 17<<20 + 1

// rounds is how often writers race for a small object.
const rounds = 10

// sink is the place as one to write to. Of one that is only read it is checked that it says so.
func (p Place) sink(t *testing.T) object.Sink {
	t.Helper()
	sink, err := object.As[object.Sink](p.Source, p.Prefix+"put")
	if err != nil {
		if !errors.Is(err, object.ErrReadOnly) {
			t.Error(err)
		}
		t.Skip(err)
	}
	return sink
}

// wrote puts an object, finds it, and reads it again.
func (p Place) wrote(t *testing.T, sink object.Sink, key string, data []byte, when object.If) object.Object {
	t.Helper()
	o, err := sink.Put(t.Context(), p.Prefix+key, bytes.NewReader(data), int64(len(data)), when)
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return p.same(t, o, data)
}

// same checks that an object is what was put, and returns it as it is found.
func (p Place) same(t *testing.T, o object.Object, data []byte) object.Object {
	t.Helper()
	found := p.find(t, strings.TrimPrefix(o.Name, p.Prefix))[0]
	if loose := p.Loose && strings.Contains(o.Version, "-"); found.Version != o.Version && !loose || found.Size != o.Size || found.Name != o.Name {
		t.Errorf("put %+v, found %+v", o, found)
	}
	if got, err := object.ReadAll(t.Context(), p.Source, found, 0, found.Size); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%s: %d bytes are read, not the %d that were put: %v", o.Name, len(got), len(data), err)
	}
	return found
}

func (p Place) written(t *testing.T) {
	sink := p.sink(t)
	for _, n := range []int{0, 1, 70_001, large} {
		key := fmt.Sprintf("put/a b/%d.bin", n)
		data := noise(n)
		o := p.wrote(t, sink, key, data, object.If{Absent: true})
		if n >= large && p.Loose {
			continue
		}
		if _, err := sink.Put(t.Context(), o.Name, bytes.NewReader(noise(max(n, 6))), int64(max(n, 6)), object.If{Absent: true}); !errors.Is(err, object.ErrExists) {
			t.Errorf("%s is put where there is one: %v", key, err)
		}
		p.same(t, o, data)
	}
	p.wrote(t, sink, "put/again", []byte("first"), object.If{})
	p.wrote(t, sink, "put/again", []byte("second"), object.If{})
	if _, err := sink.Put(t.Context(), p.Prefix+"put/short", strings.NewReader("abc"), 4, object.If{}); err == nil {
		t.Error("fewer bytes than promised were taken")
	}
	if _, err := sink.Put(t.Context(), p.Prefix+"put/short", bytes.NewReader(noise(large-1)), large, object.If{}); err == nil {
		t.Error("of many, fewer bytes than promised were taken")
	}
	if _, err := sink.Find(t.Context(), p.Prefix+"put/short"); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("an object of fewer bytes than promised: %v", err)
	}
}

func (p Place) replaced(t *testing.T) {
	sink := p.sink(t)
	sizes := []int{9, large}
	if p.Loose {
		sizes = sizes[:1]
	}
	for _, n := range sizes {
		key := fmt.Sprintf("replace/%d", n)
		first := p.wrote(t, sink, key, noise(n), object.If{})
		second := p.wrote(t, sink, key, noise(n+1), object.If{Version: first.Version})
		if _, err := sink.Put(t.Context(), first.Name, bytes.NewReader(noise(n+2)), int64(n+2), object.If{Version: first.Version}); !errors.Is(err, object.ErrChanged) {
			t.Errorf("%s is put in place of what was there before: %v", key, err)
		}
		p.same(t, second, noise(n+1))
		if err := sink.Delete(t.Context(), first.Name); err != nil {
			t.Error(err)
		}
		if _, err := sink.Put(t.Context(), first.Name, bytes.NewReader(noise(n)), int64(n), object.If{Version: second.Version}); !errors.Is(err, object.ErrChanged) {
			t.Errorf("%s is put in place of what was deleted: %v", key, err)
		}
		if _, err := sink.Find(t.Context(), first.Name); !errors.Is(err, object.ErrNotFound) {
			t.Errorf("%s was deleted, and is there: %v", key, err)
		}
	}
}

func (p Place) deleted(t *testing.T) {
	sink := p.sink(t)
	o := p.wrote(t, sink, "delete/a/b", []byte("x"), object.If{})
	p.wrote(t, sink, "delete/a/c", []byte("y"), object.If{})
	for range 2 { // again: it is not there
		if err := sink.Delete(t.Context(), o.Name); err != nil {
			t.Error(err)
		}
	}
	if _, err := sink.Find(t.Context(), o.Name); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("find: %v", err)
	}
	if _, err := object.ReadAll(t.Context(), p.Source, o, 0, 1); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("read: %v", err)
	}
	if list := p.find(t, "delete/**"); len(list) != 1 {
		t.Errorf("left: %v", list)
	}
	p.wrote(t, sink, "delete/a/b", []byte("z"), object.If{Absent: true})
	if err := sink.Delete(t.Context(), "elsewhere:x"); !errors.Is(err, object.ErrName) {
		t.Errorf("a name of another place: %v", err)
	}
}

// races has several writers of one name at once, that depend on the same: one wins.
func (p Place) races(t *testing.T) {
	sink := p.sink(t)
	for i := range rounds {
		key := fmt.Sprintf("race/%d", i)
		p.race(t, sink, key, 8, 8, object.If{Absent: true}, object.ErrExists)
		p.race(t, sink, key, 8, 20, object.If{Version: p.find(t, key)[0].Version}, object.ErrChanged)
	}
	if p.Loose {
		return
	}
	p.race(t, sink, "race/large", 3, large, object.If{Absent: true}, object.ErrExists)
	o := p.find(t, "race/large")[0]
	p.race(t, sink, "race/large", 3, large+3, object.If{Version: o.Version}, object.ErrChanged)
}

func (p Place) race(t *testing.T, sink object.Sink, key string, writers, size int, when object.If, lost error) {
	t.Helper()
	var group sync.WaitGroup
	results, start := make([]error, writers), make(chan struct{})
	for i := range writers {
		data := bytes.NewReader(noise(size + i))
		group.Go(func() {
			<-start
			_, results[i] = sink.Put(t.Context(), p.Prefix+key, data, data.Size(), when)
		})
	}
	close(start)
	group.Wait()
	won := -1
	for i, err := range results {
		switch {
		case err == nil && won < 0:
			won = i
		case err == nil:
			t.Errorf("%s: writers %d and %d both won", key, won, i)
		case !errors.Is(err, lost):
			t.Errorf("%s: writer %d: %v", key, i, err)
		}
	}
	o := p.find(t, key)[0]
	if got, err := object.ReadAll(t.Context(), sink, o, 0, o.Size); err != nil || won < 0 || !bytes.Equal(got, noise(size+won)) {
		t.Errorf("%s: writer %d won, but %d bytes of another are there, %v", key, won, len(got), err)
	}
}

// staged objects are not there before they are shown.
func (p Place) staged(t *testing.T) {
	place, ok := p.sink(t).(object.Stager)
	if !ok {
		t.Skip("shows what is put at once")
	}
	stage := func(key string, data []byte) object.Staged {
		t.Helper()
		s, err := place.Stage(t.Context(), p.Prefix+"stage/"+key, bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	list := func() (names []string) {
		t.Helper()
		all, err := place.Staged(t.Context(), p.Prefix+"stage/")
		for _, s := range all {
			names = append(names, strings.TrimPrefix(s.Name, p.Prefix+"stage/"))
		}
		if err != nil {
			t.Error(err)
		}
		return names
	}
	empty, small, big, never := stage("empty", nil), stage("small", []byte("x")), stage("big", noise(large)), stage("never", []byte("y"))
	if found, err := place.Find(t.Context(), p.Prefix+"stage/**"); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("before they are shown: %v, %v", found, err)
	}
	if got := list(); !slices.Equal(slices.DeleteFunc(got, func(n string) bool { return n == "empty" }), []string{"big", "never", "small"}) { // of nothing a place may have nothing
		t.Errorf("staged: %v", got)
	}
	for s, data := range map[*object.Staged][]byte{&empty: nil, &small: []byte("x"), &big: noise(large)} {
		for range 2 { // the answer to the first may have been lost
			o, err := place.Show(t.Context(), *s, object.If{})
			if err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
			p.same(t, o, data)
		}
		if err := place.Unstage(t.Context(), *s); err != nil {
			t.Errorf("after it was shown: %v", err)
		}
	}
	all, err := place.Staged(t.Context(), p.Prefix+"stage/")
	if err != nil || len(all) != 1 {
		t.Fatalf("left: %+v, %v", all, err)
	}
	for range 2 {
		if err := place.Unstage(t.Context(), all[0]); err != nil {
			t.Error(err)
		}
	}
	if _, err := place.Show(t.Context(), never, object.If{}); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("what was dropped is shown: %v", err)
	}
	if got := p.find(t, "stage/**"); len(got) != 3 {
		t.Errorf("shown: %v", got)
	}
}
