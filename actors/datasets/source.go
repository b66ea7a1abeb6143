package datasets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/object"
)

// Find implements object.Source. A name without a pattern is that of a file, or of a
// folder, whose files all are meant; that of the dataset is such. The names that it tells
// have the version in them, so that who reads one later reads the same.
func (d *Datasets) Find(ctx context.Context, pattern string) ([]object.Object, error) {
	ref, err := dataset.Parse(pattern)
	if err == nil {
		err = object.CheckPattern(ref.Path)
	}
	if err != nil {
		return nil, notRead("find", pattern, err)
	}
	m, err := d.Get(ctx, ref.Name, ref.Version)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, notRead("find", pattern, err)
	}
	var out []object.Object
	for i := range m.Files {
		if f := &m.Files[i]; object.Means(ref.Path, f.Path) {
			out = append(out, objectOf(ref.Name, m, f))
		}
	}
	if len(out) == 0 {
		return nil, notRead("find", pattern, fmt.Errorf("%w: version %d has %d files, and none of such a name", dataset.ErrNotFound, m.Version, len(m.Files)))
	}
	slices.SortFunc(out, func(a, b object.Object) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func objectOf(name string, m *dataset.Manifest, f *dataset.File) object.Object {
	r := dataset.Ref{Name: name, Version: m.Version, Path: f.Path}
	return object.Object{Name: r.String(), Size: f.Size, Version: whereOf(fs.UploadID(f.Upload), nodesOf(f.Holders)), ModTime: m.Made}
}

// Open implements object.Source. It asks no register: the object says which upload it is.
func (d *Datasets) Open(ctx context.Context, o object.Object, off, n int64) (io.ReadCloser, error) {
	if err := object.CheckRange(o, off, n); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	id, holders, err := parseWhere(o.Version)
	if err != nil {
		return nil, notRead("read", o.Name, fmt.Errorf("%w: version %.80q: %w", dataset.ErrName, o.Version, err))
	}
	in, err := d.c.Uploads.Open(ctx, id, holders, off, n)
	if err != nil {
		return nil, notRead("read", o.Name, err)
	}
	return object.Exactly(o, in, n), nil
}

// Here is the file of an object that this node has whole. It must not be written.
func (d *Datasets) Here(o object.Object) (path string, ok bool) {
	id, _, err := parseWhere(o.Version)
	if err != nil {
		return "", false
	}
	return d.c.Uploads.Here(id)
}

// notRead is an object.Error, which matches its cause too.
func notRead(op, name string, err error) error {
	e := &object.Error{Op: op, Name: name, Kind: object.ErrUnavailable, Detail: Why(err)}
	switch {
	case errors.As(err, new(*object.Error)):
		return err
	case errors.Is(err, dataset.ErrNotFound), errors.Is(err, fs.ErrNotFound):
		e.Kind = object.ErrNotFound
	case errors.Is(err, dataset.ErrName):
		e.Kind = object.ErrName
	case errors.Is(err, collect.ErrCondemned):
		e.Kind = object.ErrChanged
	}
	return &caused{e, err}
}

// caused is an object.Error with the error that it was made of.
type caused struct {
	e     *object.Error
	cause error
}

func (c *caused) Error() string   { return c.e.Error() }
func (c *caused) Unwrap() []error { return []error{c.e, c.cause} }
