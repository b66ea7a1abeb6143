package datasets

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/each"
)

const (
	puttingMax  = 4 // files of one draft that are uploaded at once
	readingMax  = 8 // drafts that are read at once
	holdersTold = 3 // by a text that names an upload
)

// Draft is what an attempt has made for a publication.
type Draft struct {
	Columns []dataset.Column
	Files   []dataset.File // in order of path, each once
}

// PutDraft uploads the files of a draft, which lie in a folder by their paths, and then
// a list of them, and tells where that is: a text without spaces, of at most a few
// hundred bytes. Uploads, sizes and holders of files are filled in here. The files are
// moved, so their folder holds none of them afterwards; of a draft that fails some may
// be uploads, which go with the job's lease.
func (d *Datasets) PutDraft(ctx context.Context, of collect.Origin, dir string, draft Draft) (where string, err error) {
	m, err := dataset.Merge(dataset.ModeOverwrite, nil, draft.Columns, draft.Files)
	if err != nil {
		return "", fmt.Errorf("datasets: upload a draft: %w", err)
	}
	err = each.Do(ctx, puttingMax, len(m.Files), func(ctx context.Context, i int) error {
		f := &m.Files[i]
		c, err := d.upload(ctx, filepath.Join(dir, filepath.FromSlash(f.Path)), of)
		f.Upload, f.Size, f.Holders = repair.ID(c.ID), c.Size, holdersOf(c)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("datasets: upload a draft: %w", err)
	}
	c, err := d.put(ctx, m, of)
	if err != nil {
		return "", fmt.Errorf("datasets: upload a draft: %w", err)
	}
	return whereOf(c.ID, c.Holders), nil
}

// GoneError names drafts that nobody can read: what they list has to be made again.
type GoneError struct {
	Where []string
	Err   error // of one of them
}

func (e *GoneError) Error() string {
	return fmt.Sprintf("datasets: %d drafts are gone: %v", len(e.Where), e.Err)
}

func (e *GoneError) Unwrap() error { return e.Err }

// Drafts are what several attempts have made, put together. The error is a GoneError if
// that is all that keeps them from being read, and dataset.ErrColumns if they do not have
// the same columns. The files of two drafts may have one path.
func (d *Datasets) Drafts(ctx context.Context, where []string) (all Draft, err error) {
	list, errs := make([]*dataset.Manifest, len(where)), make([]error, len(where))
	err = each.Do(ctx, readingMax, len(where), func(ctx context.Context, i int) error {
		if list[i], errs[i] = d.draft(ctx, where[i]); errs[i] != nil && !gone(errs[i]) {
			return errs[i]
		}
		return nil
	})
	if err != nil {
		return all, fmt.Errorf("datasets: read a draft: %w", err)
	}
	lost := &GoneError{}
	for i, err := range errs {
		if err != nil {
			lost.Where, lost.Err = append(lost.Where, where[i]), err
		}
	}
	if lost.Err != nil {
		return all, lost
	}
	for i, m := range list {
		if i == 0 {
			all.Columns = m.Columns
		} else if err := dataset.SameColumns(all.Columns, m.Columns); err != nil {
			return Draft{}, fmt.Errorf("datasets: put drafts together: %w", err)
		}
		all.Files = append(all.Files, m.Files...)
	}
	return all, nil
}

func gone(err error) bool {
	return errors.Is(err, replica.ErrLost) || errors.Is(err, replica.ErrUnavailable) || errors.Is(err, fs.ErrNotFound) || errors.Is(err, dataset.ErrDamaged)
}

func (d *Datasets) draft(ctx context.Context, where string) (*dataset.Manifest, error) {
	id, holders, err := parseWhere(where)
	if err != nil {
		return nil, err
	}
	in, err := d.c.Uploads.Open(ctx, id, holders, 0, -1)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return dataset.Decode(in)
}

// whereSep separates the parts of a text that names an upload, which travels where names
// of files do.
const whereSep = "_"

// whereOf names an upload and some of its holders: others are found by asking.
func whereOf(id fs.UploadID, holders []mesh.NodeID) string {
	text, told := id.String(), 0
	for _, n := range holders {
		if told < holdersTold && !strings.Contains(string(n), whereSep) {
			text += whereSep + string(n)
			told++
		}
	}
	return text
}

// parseWhere reads what whereOf wrote.
func parseWhere(text string) (id fs.UploadID, holders []mesh.NodeID, err error) {
	text, names, _ := strings.Cut(text, whereSep)
	if id, err = fs.ParseUploadID(text); err != nil {
		return id, nil, err
	}
	for name := range strings.SplitSeq(names, whereSep) {
		if name != "" {
			holders = append(holders, mesh.NodeID(name))
		}
	}
	return id, holders, nil
}

func holdersOf(c replicas.Copy) []replica.Node {
	out := make([]replica.Node, len(c.Holders))
	for i, n := range c.Holders {
		out[i] = replica.Node(n)
	}
	return slices.Clip(out)
}

func nodesOf(holders []replica.Node) []mesh.NodeID {
	out := make([]mesh.NodeID, len(holders))
	for i, n := range holders {
		out[i] = mesh.NodeID(n)
	}
	return out
}
