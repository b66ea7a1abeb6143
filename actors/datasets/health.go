package datasets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

// missingTold bounds the files without a copy that are told one by one, of one dataset.
const missingTold = 100

// Survey is what nodes hold, as replicas.Survey has it.
type Survey interface {
	// Holders are the nodes that have a copy, and how many there should be.
	Holders(id fs.UploadID) (has []replica.Node, want int, err error)
	// Silent are nodes that may have copies and did not answer.
	Silent() []replica.Node
}

// Health is how the copies of a dataset stand, in all its versions that can be read.
type Health struct {
	Name    string
	Files   int       // each once, however many versions have it; the lists of files too
	Short   int       // those with some copies, and fewer than there should be
	Lost    int       // those without a copy on any node, all of which have answered
	Away    int       // those without a copy on nodes that answer: others may have one
	Missing []Missing // the first of those lost or away
	Err     error     // why that is not known of all versions
}

// Well reports whether nothing is amiss.
func (h *Health) Well() bool { return h.Short == 0 && h.Lost == 0 && h.Away == 0 && h.Err == nil }

// Missing is a file of which no node that answers has a copy.
type Missing struct {
	Path     string   // empty: the list of files of a version
	Versions []uint64 // that have it
	Upload   repair.ID
	Holders  []replica.Node // that had it when it was published
	Lost     bool           // all nodes have answered
}

// Health tells of datasets, one after another. Of a version that was published after the
// survey it would say that its files are lost: they are those of Kept, called before it.
func (d *Datasets) Health(ctx context.Context, kept []Kept, survey Survey, told func(Health)) error {
	for _, k := range kept {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("datasets: look at their copies: %w", context.Cause(ctx))
		}
		told(d.health(ctx, survey, k))
	}
	return nil
}

// Kept are the versions of a dataset that can be read.
type Kept struct {
	Name     string
	Versions []collect.Version
}

// Kept are those of all datasets, in order of name.
func (d *Datasets) Kept(ctx context.Context) (out []Kept, err error) {
	names, err := d.names(ctx)
	if err != nil {
		return nil, err
	}
	states, err := d.states(ctx, names)
	if err != nil {
		return nil, err
	}
	for i, s := range states {
		if len(s.Versions) > 0 {
			out = append(out, Kept{names[i], s.Versions})
		}
	}
	return out, nil
}

func (d *Datasets) health(ctx context.Context, survey Survey, k Kept) Health {
	h := Health{Name: k.Name}
	all := map[repair.ID]*Missing{}
	note := func(path string, id repair.ID, version uint64, holders []replica.Node) {
		if all[id] == nil {
			all[id] = &Missing{Path: path, Upload: id, Holders: holders}
		}
		all[id].Versions = append(all[id].Versions, version)
	}
	for _, v := range k.Versions {
		note("", v.Manifest, v.Number, v.Holders)
		m, err := d.manifest(ctx, v)
		if err != nil {
			h.Err = errors.Join(h.Err, fmt.Errorf("version %d: %w", v.Number, err))
			continue
		}
		for _, f := range m.Files {
			note(f.Path, f.Upload, v.Number, f.Holders)
		}
	}
	h.Files = len(all)
	order := slices.SortedFunc(maps.Values(all), func(a, b *Missing) int {
		return cmp.Or(cmp.Compare(a.Versions[0], b.Versions[0]), cmp.Compare(a.Path, b.Path))
	})
	for _, f := range order {
		if err := d.weigh(ctx, survey, f, &h); err != nil {
			h.Err = errors.Join(h.Err, err)
			break
		}
	}
	return h
}

// weigh adds how one file stands. What nobody seems to have is read before that is said:
// it may be here for having been read, or have been deleted since.
func (d *Datasets) weigh(ctx context.Context, survey Survey, f *Missing, h *Health) error {
	has, want, err := survey.Holders(fs.UploadID(f.Upload))
	switch {
	case err != nil:
		return err
	case len(has) >= want:
		return nil
	case len(has) > 0:
		h.Short++
		return nil
	case len(survey.Silent()) > 0:
		h.Away++
	case len(h.Missing) < missingTold && !d.lost(ctx, f):
		h.Short++
		return nil
	default:
		f.Lost = true
		h.Lost++
	}
	if len(h.Missing) < missingTold {
		h.Missing = append(h.Missing, *f)
	}
	return nil
}

func (d *Datasets) lost(ctx context.Context, f *Missing) bool {
	in, err := d.c.Uploads.Open(ctx, fs.UploadID(f.Upload), nodesOf(f.Holders), 0, 0)
	if err == nil {
		err = in.Close()
	}
	return errors.Is(err, replica.ErrLost)
}
