package datasets

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/mesh"
)

// Sent is a file that a client has sent for a publication. Its upload says of itself all
// but the last three, so that what is there is known when its sender, or the node that
// took it, is gone.
type Sent struct {
	collect.Origin
	Path string `json:"path"` // below the dataset
	Sum  string `json:"sum"`  // SHA-256 of its bytes, in hex

	Upload  repair.ID     `json:"-"`
	Size    int64         `json:"-"`
	Holders []mesh.NodeID `json:"-"`
}

// Lease is that of a job which has begun, and not published or given up: PublishedError,
// or collect.ErrCondemned.
func (d *Datasets) Lease(ctx context.Context, name, job string) (lease string, err error) {
	s, err := d.state(ctx, name)
	if err != nil {
		return "", failed("write", name, err)
	}
	if version, ok := s.Published(job); ok {
		return "", failed("write", name, &dataset.PublishedError{Job: job, Version: version})
	}
	lease, ok := s.Lease(job)
	if !ok {
		return "", failed("write", name, collect.ErrCondemned)
	}
	return lease, nil
}

// PutSent uploads a file, which is moved.
func (d *Datasets) PutSent(ctx context.Context, f Sent, path string) (Sent, error) {
	attrs, err := json.Marshal(&f)
	if err != nil {
		return f, err
	}
	c, err := d.c.Uploads.PutAs(ctx, d.c.Uploads.Published(), path, attrs)
	if err != nil {
		return f, failed("upload a file of", f.Dataset, err)
	}
	f.Upload, f.Size, f.Holders = repair.ID(c.ID), c.Size, c.Holders
	return f, nil
}

// Held are the files sent under a lease of which this node has a copy.
func (d *Datasets) Held(of collect.Origin) (out []Sent, err error) {
	for info, err := range d.c.Uploads.Copies() {
		if err != nil {
			return nil, fmt.Errorf("datasets: look for what was sent: %w", err)
		}
		var f Sent
		if json.Unmarshal(info.Attrs, &f) != nil || f.Origin != of || f.Path == "" {
			continue
		}
		f.Upload, f.Size = repair.ID(info.ID), info.Size
		out = append(out, f)
	}
	return out, nil
}

// Look is a dataset's state, and one of its versions, 0 the newest. The caller changes
// neither.
func (d *Datasets) Look(ctx context.Context, name string, version uint64) (dataset.State, *dataset.Manifest, error) {
	s, err := d.state(ctx, name)
	if err != nil {
		return s, nil, failed("read", name, err)
	}
	v, err := s.Find(version)
	if err != nil {
		return s, nil, failed("read", name, err)
	}
	m, err := d.manifest(ctx, v)
	return s, m, failed("read", name, err)
}

// OpenFile reads a file of a version from an offset to its end. The caller closes it.
func (d *Datasets) OpenFile(ctx context.Context, f *dataset.File, at int64) (io.ReadCloser, error) {
	return d.c.Uploads.Open(ctx, fs.UploadID(f.Upload), nodesOf(f.Holders), at, -1)
}
