package disks

import (
	"bytes"
	"iter"

	"github.com/pondmesh/pond/fs"
)

// List is [fs.Store.List], in the order of ids: an upload that two disks have comes once.
func (d *Disks) List(kind string) iter.Seq2[fs.Info, error] {
	return d.each(func(s *fs.Store) iter.Seq2[fs.Info, error] { return s.List(kind) })
}

// Between is [fs.Store.Between].
func (d *Disks) Between(from, to fs.UploadID) iter.Seq2[fs.Info, error] {
	return d.each(func(s *fs.Store) iter.Seq2[fs.Info, error] { return s.Between(from, to) })
}

func (d *Disks) each(list func(*fs.Store) iter.Seq2[fs.Info, error]) iter.Seq2[fs.Info, error] {
	in, out := d.stores()
	if len(in) == 0 {
		return func(yield func(fs.Info, error) bool) { yield(fs.Info{}, out) }
	}
	lists := make([]iter.Seq2[fs.Info, error], len(in))
	for i, s := range in {
		lists[i] = list(s)
	}
	return merged(lists)
}

// head is where one of the lists is.
type head struct {
	next func() (fs.Info, error, bool)
	info fs.Info
	err  error
}

// merged is sorted lists as one, in which each id comes once. It ends with the first
// error.
func merged(lists []iter.Seq2[fs.Info, error]) iter.Seq2[fs.Info, error] {
	if len(lists) == 1 {
		return lists[0]
	}
	return func(yield func(fs.Info, error) bool) {
		var heads []*head
		for _, l := range lists {
			next, stop := iter.Pull2(l)
			defer stop()
			heads = advance(append(heads, &head{next: next}), len(heads))
		}
		for len(heads) > 0 {
			best := heads[0]
			for _, h := range heads {
				if h.err != nil {
					yield(fs.Info{}, h.err)
					return
				}
				if c := bytes.Compare(h.info.ID[:], best.info.ID[:]); c < 0 || c == 0 && rank(&h.info) > rank(&best.info) {
					best = h
				}
			}
			info := best.info
			if !yield(info, nil) {
				return
			}
			for i := len(heads) - 1; i >= 0; i-- {
				if heads[i].info.ID == info.ID {
					heads = advance(heads, i)
				}
			}
		}
	}
}

// advance moves one of the heads on; one that is at its end goes.
func advance(heads []*head, i int) []*head {
	var ok bool
	if heads[i].info, heads[i].err, ok = heads[i].next(); !ok {
		heads = append(heads[:i], heads[i+1:]...)
	}
	return heads
}
