package datasets

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"slices"

	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/repair"
)

// Begin gives a job the lease by which it may upload files of a dataset and publish them.
// The dataset need not be there. A job that goes on under another driver has the lease
// that it had, if nobody has ended that. It is dataset.ErrPublished, with the version, if
// the job has published, dataset.ErrExists or ErrNotFound if the mode would refuse its files now, and
// dataset.ErrNotOwner if the dataset is there and another's.
func (d *Datasets) Begin(ctx context.Context, name, job string, by dataset.Writer, mode dataset.Mode) (lease string, err error) {
	drawn := rand.Text()
	err = d.change(ctx, name, func(s dataset.State) (dataset.State, error) {
		next, l, err := s.Begin(job, drawn)
		_, there := s.Current()
		switch {
		case err != nil:
		case there && mode == dataset.ModeError:
			err = dataset.ErrExists
		case !there && mode == dataset.ModeInsert:
			err = dataset.ErrNotFound
		case s.May(by) != nil:
			err = s.May(by)
		case s.Last == 0 && len(s.Leases) == 0:
			err = d.note(ctx, name)
		}
		lease = l
		return next, err
	})
	return lease, failed("write", name, err)
}

// note has the name among those of all datasets, before there is anything of it.
func (d *Datasets) note(ctx context.Context, name string) error {
	return d.changeData(ctx, dataset.IndexKey(name), func(data []byte) ([]byte, error) {
		return dataset.AddName(data, name)
	})
}

// Renew tells that a lease is in use, as is due a few times in collect.Times.Lease. It is
// collect.ErrCondemned if the lease has ended.
func (d *Datasets) Renew(ctx context.Context, name, lease string) error {
	return failed("write", name, d.change(ctx, name, func(s dataset.State) (next dataset.State, err error) {
		next = s
		next.Ledger, err = s.Renew(lease)
		return next, err
	}))
}

// Release ends a lease: what was uploaded under it may go.
func (d *Datasets) Release(ctx context.Context, name, lease string) error {
	return failed("write", name, d.change(ctx, name, func(s dataset.State) (dataset.State, error) {
		if s.Holds(lease) {
			s.Ledger = s.Ledger.Release(lease)
		}
		return s, nil
	}))
}

// Publication is what a job has made of a dataset.
type Publication struct {
	Name       string
	Job, Lease string
	By         dataset.Writer
	Mode       dataset.Mode
	Columns    []dataset.Column
	Files      []dataset.File // each uploaded, under the lease
	// Without are paths of files that go; then there are no others.
	Without []string
}

// next is the version after base, nil if the dataset is not there.
func (p *Publication) next(base *dataset.Manifest) (*dataset.Manifest, error) {
	switch {
	case len(p.Without) > 0 && base == nil:
		return nil, dataset.ErrNotFound
	case len(p.Without) > 0:
		return dataset.Without(base, p.Without)
	}
	return dataset.Merge(p.Mode, base, p.Columns, p.Files)
}

// Publish makes files a version of a dataset, which all see at once or not at all, and
// tells its number. A publication that comes first is not lost: the files are put
// together with what it made, or the mode refuses them. A job that has published already,
// by whomever, is told the version that it made; its files are then those of that version
// alone.
func (d *Datasets) Publish(ctx context.Context, p Publication) (version uint64, err error) {
	err = d.change(ctx, p.Name, func(s dataset.State) (dataset.State, error) {
		next, err := d.published(ctx, s, p)
		version = next.Last
		return next, err
	})
	if done, ok := errors.AsType[*dataset.PublishedError](err); ok {
		return done.Version, nil
	}
	return version, failed("publish", p.Name, err)
}

// published is the state after a publication, whose manifest is uploaded.
func (d *Datasets) published(ctx context.Context, s dataset.State, p Publication) (dataset.State, error) {
	// Whether it may be published is seen before anything is uploaded.
	if _, err := s.Publish(p.Job, p.Lease, repair.ID{}, nil, d.c.Now()); err != nil {
		return s, err
	}
	if err := s.May(p.By); err != nil { // who made it meanwhile
		return s, err
	}
	var base *dataset.Manifest
	v, there := s.Current()
	if there {
		var err error
		if base, err = d.manifest(ctx, v); err != nil {
			return s, err
		}
	}
	m, err := p.next(base)
	if err != nil {
		return s, err
	}
	m.Version, m.Previous, m.Job, m.Made = s.Last+1, v.Manifest, p.Job, d.c.Now().UTC()
	if !there {
		s.Owner = p.By.Name
	}
	copied, err := d.put(ctx, m, collect.Origin{Dataset: p.Name, Lease: p.Lease})
	if err != nil {
		return s, err
	}
	return s.Publish(p.Job, p.Lease, repair.ID(copied.ID), holdersOf(copied), d.c.Now())
}

// put uploads a manifest, without bounds if it is too large with them.
func (d *Datasets) put(ctx context.Context, m *dataset.Manifest, of collect.Origin) (c replicas.Copy, err error) {
	b, err := m.Encode()
	if errors.Is(err, dataset.ErrTooLarge) {
		b, err = m.WithoutBounds().Encode()
	}
	if err != nil {
		return c, err
	}
	f, err := os.CreateTemp(d.c.Dir, "manifest-*")
	if err != nil {
		return c, err
	}
	defer os.Remove(f.Name()) // of what is an upload the name is gone
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return c, err
	}
	return d.upload(ctx, f.Name(), of)
}

// upload uploads a file, which says of itself what keeps it until it is published.
func (d *Datasets) upload(ctx context.Context, path string, of collect.Origin) (c replicas.Copy, err error) {
	attrs, err := json.Marshal(of)
	if err != nil {
		return c, err
	}
	return d.c.Uploads.PutAs(ctx, d.c.Uploads.Published(), path, attrs)
}

// Made are the files that a job has published, by their paths; false: it has not. Of a
// version that is kept no longer none are told.
func (d *Datasets) Made(ctx context.Context, name, job string) (files []string, ok bool, err error) {
	s, err := d.state(ctx, name)
	if err != nil {
		return nil, false, failed("read", name, err)
	}
	version, ok := s.Published(job)
	if !ok {
		return nil, false, nil
	}
	v, err := s.Find(version)
	if errors.Is(err, dataset.ErrNotFound) {
		return nil, true, nil
	}
	m, err := d.manifest(ctx, v)
	if err != nil {
		return nil, true, failed("read", name, err)
	}
	before := map[repair.ID]bool{}
	if i := slices.IndexFunc(s.Versions, func(v collect.Version) bool { return v.Manifest == m.Previous }); i >= 0 {
		old, err := d.manifest(ctx, s.Versions[i])
		if err != nil {
			return nil, true, failed("read", name, err)
		}
		for _, f := range old.Files {
			before[f.Upload] = true
		}
	}
	for _, f := range m.Files {
		if !before[f.Upload] {
			files = append(files, f.Path)
		}
	}
	return files, true, nil
}
