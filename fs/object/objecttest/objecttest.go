// Package objecttest is what every place of objects promises, as one suite of tests.
// A back end's test makes a Place and calls Run. Read Place next.
package objecttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pondmesh/pond/fs/object"
)

// Place is an empty place of objects under test. Names begin with Prefix.
type Place struct {
	Source object.Source
	Prefix string
	// Put makes objects, or replaces those of the same keys, whoever writes them.
	Put    func(t *testing.T, objects map[string][]byte)
	Keeps  bool                    // an object that was found is read as it was when it has been replaced, and its name begins with a version
	Escape func(key string) string // a key as it stands in a name; nil: as it is
	Globs  bool                    // patterns are answered, rather than refused
	Denied string                  // a key that may not be read; empty: the place cannot have one
	Loose  bool                    // conditions hold for what is put whole; of an object of parts the server asks for none, and tells no one version
	Cut    func(n int64)           // cuts the next answer of a read after n bytes; nil: cannot be done here
}

// many is how many objects a place lists: more than two pages of S3.
const many = 2500

// Each makes a Place's Put of a function that makes one object.
func Each(put func(t *testing.T, key string, data []byte)) func(t *testing.T, objects map[string][]byte) {
	return func(t *testing.T, objects map[string][]byte) {
		t.Helper()
		for _, key := range slices.Sorted(maps.Keys(objects)) {
			put(t, key, objects[key])
		}
	}
}

// Run checks a place.
func Run(t *testing.T, p Place) {
	t.Run("ranges", p.ranges)
	t.Run("changed", p.changed)
	t.Run("absent", p.absent)
	t.Run("names", p.names)
	t.Run("list", p.list)
	t.Run("put", p.written)
	t.Run("replace", p.replaced)
	t.Run("delete", p.deleted)
	t.Run("race", p.races)
	t.Run("stage", p.staged)
	t.Run("denied", p.denied)
	t.Run("cut", p.cut)
	t.Run("cancelled", p.cancelled)
}

func (p Place) find(t *testing.T, pattern string) []object.Object {
	t.Helper()
	list, err := p.Source.Find(t.Context(), p.Prefix+pattern)
	if err != nil {
		t.Fatalf("find %s: %v", pattern, err)
	}
	return list
}

func (p Place) escape(key string) string {
	if p.Escape == nil {
		return key
	}
	return p.Escape(key)
}

// key is that of an object that was found.
func (p Place) key(o object.Object) string {
	key := strings.TrimPrefix(o.Name, p.Prefix)
	if p.Keeps {
		_, key, _ = strings.Cut(key, "/")
	}
	return key
}

// put puts one object.
func (p Place) put(t *testing.T, key string, data []byte) {
	t.Helper()
	p.Put(t, map[string][]byte{key: data})
}

// made puts data and finds it.
func (p Place) made(t *testing.T, key string, data []byte) object.Object {
	t.Helper()
	p.put(t, key, data)
	list := p.find(t, key)
	if len(list) != 1 || p.key(list[0]) != key || list[0].Size != int64(len(data)) {
		t.Fatalf("found %+v", list)
	}
	if again, err := p.Source.Find(t.Context(), list[0].Name); err != nil || len(again) != 1 || again[0] != list[0] {
		t.Errorf("by its name it is %+v, %v, not %+v", again, err, list[0])
	}
	return list[0]
}

// noise is n bytes that are no others' of another n.
func noise(n int) []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n))
	out := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(out)
	return out
}

func (p Place) ranges(t *testing.T) {
	data := noise(200_003)
	o := p.made(t, "ranges/a.bin", data)
	if o.Version == "" {
		t.Error("no version")
	}
	if age := time.Since(o.ModTime); age < -time.Hour || age > time.Hour {
		t.Errorf("changed at %v", o.ModTime)
	}
	for _, c := range []struct{ off, n int64 }{{0, 200_003}, {0, 1}, {200_002, 1}, {65_536, 65_536}, {17, 100_000}, {0, 0}, {200_003, 0}, {5, 0}} {
		got, err := object.ReadAll(t.Context(), p.Source, o, c.off, c.n)
		if err != nil || !bytes.Equal(got, data[c.off:c.off+c.n]) {
			t.Errorf("%d bytes from %d: %d bytes, %v", c.n, c.off, len(got), err)
		}
	}
	for _, c := range []struct{ off, n int64 }{{-1, 1}, {0, 200_004}, {200_003, 1}, {200_004, 0}, {1, -1}, {1, 1<<63 - 1}} {
		if _, err := p.Source.Open(t.Context(), o, c.off, c.n); !errors.Is(err, object.ErrRange) {
			t.Errorf("%d bytes from %d: %v", c.n, c.off, err)
		}
	}
	empty := p.made(t, "ranges/empty", nil)
	if got, err := object.ReadAll(t.Context(), p.Source, empty, 0, 0); err != nil || len(got) != 0 {
		t.Errorf("nothing: %d bytes, %v", len(got), err)
	}
	p.atOnce(t, o, data)
}

// atOnce reads many ranges together.
func (p Place) atOnce(t *testing.T, o object.Object, data []byte) {
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			off := int64(i) * 10_000
			if got, err := object.ReadAll(t.Context(), p.Source, o, off, 10_000); err != nil || !bytes.Equal(got, data[off:off+10_000]) {
				t.Errorf("20 readers: %d bytes from %d, %v", len(got), off, err)
			}
		})
	}
	group.Wait()
}

func (p Place) changed(t *testing.T) {
	o := p.made(t, "changed/a.bin", []byte("old content"))
	p.put(t, "changed/a.bin", []byte("new content"))
	got, err := object.ReadAll(t.Context(), p.Source, o, 0, 3)
	if p.Keeps && (err != nil || string(got) != "old") || !p.Keeps && !errors.Is(err, object.ErrChanged) {
		t.Errorf("the old version: %q, %v", got, err)
	}
	now := p.find(t, "changed/a.bin")[0]
	if got, err := object.ReadAll(t.Context(), p.Source, now, 0, 3); err != nil || string(got) != "new" {
		t.Errorf("the new version: %q, %v", got, err)
	}
}

func (p Place) absent(t *testing.T) {
	o := p.made(t, "absent/there", []byte("x"))
	if _, err := p.Source.Find(t.Context(), p.Prefix+"absent/nothing"); !errors.Is(err, object.ErrNotFound) || !strings.Contains(err.Error(), p.Prefix+"absent/nothing") {
		t.Errorf("find: %v", err)
	}
	name := o.Name
	o.Name = p.Prefix + "absent/nothing"
	if _, err := object.ReadAll(t.Context(), p.Source, o, 0, 1); !p.Keeps && !errors.Is(err, object.ErrNotFound) { // else the version alone says what is read
		t.Errorf("read: %v", err)
	}
	if _, err := p.Source.Find(t.Context(), "elsewhere:"+name); !errors.Is(err, object.ErrName) {
		t.Errorf("a name of another place: %v", err)
	}
}

// unusual are keys that somebody has.
var unusual = []string{"with space.csv", "per%20cent.csv", "plus+and&.csv", "ünïcode/日本.csv", "k=1/m=a b/f.csv", "it's.csv", `quo"te.csv`, "hash#tag.csv",
	"co:lon.csv", "semi;colon.csv", "a,b.csv", "~tilde.csv", ".hidden", "(x).csv", "at@.csv", "$dollar.csv", "back\\slash.csv"}

func (p Place) names(t *testing.T) {
	for _, key := range unusual {
		key = p.escape("names/" + key)
		o := p.made(t, key, []byte(key))
		if got, err := object.ReadAll(t.Context(), p.Source, o, 0, o.Size); err != nil || string(got) != key {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
	if p.Globs {
		if got := len(p.find(t, "names/**")); got != len(unusual) {
			t.Errorf("%d names listed, want %d", got, len(unusual))
		}
	}
}

func (p Place) list(t *testing.T) {
	if !p.Globs {
		for _, pattern := range []string{"list/*.csv", "**"} {
			if _, err := p.Source.Find(t.Context(), p.Prefix+pattern); !errors.Is(err, object.ErrPattern) {
				t.Errorf("%s: %v", pattern, err)
			}
		}
		return
	}
	all := map[string][]byte{}
	for i := range many {
		all[fmt.Sprintf("list/k=%d/%04d.csv", i%7, i)] = []byte{byte(i)}
	}
	want := slices.Sorted(maps.Keys(all))
	all["list/k=1/other.json"], all["listed.csv"] = nil, nil
	p.Put(t, all)
	for pattern, matches := range map[string]func(key string) bool{
		"list/*/*.csv":         func(string) bool { return true },
		"list/**/*.csv":        func(string) bool { return true },
		"list/k=[1-3]/*.csv":   func(k string) bool { return k[7] >= '1' && k[7] <= '3' },
		"list/k=4/0?1*.csv":    func(k string) bool { return k[7] == '4' && k[9] == '0' && k[11] == '1' },
		"l*/k=0/0007.csv":      func(k string) bool { return k == "list/k=0/0007.csv" },
		"list/k=[!0-5]/*7.csv": func(k string) bool { return k[7] == '6' && strings.HasSuffix(k, "7.csv") },
	} {
		p.listed(t, pattern, slices.DeleteFunc(slices.Clone(want), func(k string) bool { return !matches(k) }))
	}
	for _, pattern := range []string{"list/*.csv", "list/k=9/*", "nowhere/**"} {
		if list, err := p.Source.Find(t.Context(), p.Prefix+pattern); !errors.Is(err, object.ErrNotFound) {
			t.Errorf("%s: %d objects, %v", pattern, len(list), err)
		}
	}
	if _, err := p.Source.Find(t.Context(), p.Prefix+"list/**/a/**"); !errors.Is(err, object.ErrPattern) {
		t.Errorf("** twice: %v", err)
	}
}

func (p Place) listed(t *testing.T, pattern string, want []string) {
	t.Helper()
	var got []string
	for _, o := range p.find(t, pattern) {
		got = append(got, p.key(o))
		if o.Size != 1 || o.Version == "" {
			t.Errorf("%+v", o)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d objects, want %d", pattern, len(got), len(want))
		return
	}
	o := p.find(t, pattern)[0] // what a list says of an object holds for reading it
	if _, err := object.ReadAll(t.Context(), p.Source, o, 0, 1); err != nil {
		t.Error(err)
	}
}

func (p Place) denied(t *testing.T) {
	if p.Denied == "" {
		t.Skip("denies nothing")
	}
	if _, err := p.Source.Find(t.Context(), p.Prefix+p.Denied); !errors.Is(err, object.ErrDenied) {
		t.Errorf("find: %v", err)
	}
	if _, err := p.Source.Open(t.Context(), object.Object{Name: p.Prefix + p.Denied, Size: 1, Version: "v"}, 0, 1); !errors.Is(err, object.ErrDenied) {
		t.Errorf("read: %v", err)
	}
}

// cut checks that an answer that ends early is no short answer.
func (p Place) cut(t *testing.T) {
	if p.Cut == nil {
		t.Skip("is not cut")
	}
	data := noise(300_000)
	o := p.made(t, "cut/a.bin", data)
	for _, n := range []int64{0, 1, 100_000, 299_999} {
		p.Cut(n)
		got, err := object.ReadAll(t.Context(), p.Source, o, 0, o.Size)
		if err == nil && !bytes.Equal(got, data) {
			t.Errorf("cut after %d bytes: other bytes", n)
		}
		if err != nil && !errors.Is(err, object.ErrUnavailable) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	if got, err := object.ReadAll(t.Context(), p.Source, o, 0, o.Size); err != nil || !bytes.Equal(got, data) {
		t.Errorf("afterwards: %v", err)
	}
}

func (p Place) cancelled(t *testing.T) {
	o := p.made(t, "cancelled", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Source.Find(ctx, o.Name); !errors.Is(err, context.Canceled) {
		t.Errorf("find: %v", err)
	}
	r, err := p.Source.Open(ctx, o, 0, 1)
	if err == nil {
		_, err = io.ReadAll(r)
		r.Close()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
}
