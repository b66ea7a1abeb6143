// Package tables tells a planner of datasets: tables by their names, and what manifests
// know of files whose footers need not be read then.
//
// It refuses to guess: what a manifest does not know whole is read in the file. Read
// actors/prepare, which asks, and actors/datasets, which answers.
package tables

import (
	"context"
	"errors"
	"strings"

	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/register"
)

// Tables are datasets as a planner asks for them. It implements prepare.Tables and
// prepare.Manifests.
type Tables struct{ Datasets *datasets.Datasets }

// Table implements prepare.Tables.
func (t Tables) Table(ctx context.Context, name string, version uint64) (*prepare.Table, error) {
	if dataset.CheckName(name) != nil { // DuckDB says what it is
		return nil, nil
	}
	m, err := t.Datasets.Get(ctx, name, version)
	if errors.Is(err, dataset.ErrNotFound) && version == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, told("read", dataset.Ref{Name: name, Version: version}.String(), err)
	}
	out := &prepare.Table{Path: dataset.Ref{Name: name, Version: m.Version}.String(), Empty: len(m.Files) == 0}
	for _, c := range m.Columns {
		out.Columns = append(out.Columns, plan.Column{Name: c.Name, Type: c.Type})
		if c.Folder {
			out.Folders = append(out.Folders, c.Name)
		}
	}
	return out, nil
}

// Known implements prepare.Manifests. What cannot be told now is read in the files.
func (t Tables) Known(ctx context.Context, paths []string) []*prepare.Known {
	out := make([]*prepare.Known, len(paths))
	known := map[dataset.Ref]*dataset.Manifest{}
	for i, path := range paths {
		o, _ := object.FromPath(path)
		ref, err := dataset.Parse(o.Name)
		if err != nil {
			continue
		}
		of := dataset.Ref{Name: ref.Name, Version: ref.Version}
		m, ok := known[of]
		if !ok {
			m, _ = t.Datasets.Get(ctx, of.Name, of.Version)
			known[of] = m
		}
		if m != nil {
			out[i] = knownOf(m, ref.Path)
		}
	}
	return out
}

// knownOf is what a manifest knows of a file; nil: too little.
func knownOf(m *dataset.Manifest, path string) *prepare.Known {
	f := m.File(path)
	if f == nil || f.Rows < 0 || len(f.Bounds) == 0 {
		return nil
	}
	out := &prepare.Known{Group: plan.RowGroup{Rows: f.Rows}, Stats: map[string]distribute.Range{}}
	for _, c := range m.Columns {
		name := strings.ToLower(c.Name)
		b, ok := f.Bounds[name]
		typ, _, err := plan.Stored(c.Type)
		if !ok || err != nil { // what stands in folders may be in no file
			continue
		}
		r := distribute.Range{Type: typ, Nulls: b.Nulls, Distinct: b.Distinct, Bytes: b.Bytes}
		if b.Min != nil && b.Max != nil {
			r.Known, r.Min, r.Max = true, *b.Min, *b.Max
		}
		out.Group.Bytes += b.Bytes
		out.Stats[name] = r
	}
	return out
}

// told is an error about a dataset with its kind.
func told(op, name string, err error) error {
	if err == nil || errors.As(err, new(*plan.Error)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e := &plan.Error{Kind: plan.KindInternal, Op: op, Subject: name, Text: datasets.Why(err)}
	switch {
	case errors.Is(err, dataset.ErrNotFound):
		e.Kind = plan.KindNotFound
	case errors.Is(err, dataset.ErrName):
		e.Kind = plan.KindUser
	case errors.Is(err, register.ErrMinority), errors.Is(err, register.ErrUnknown):
		e.Kind, e.Hint = plan.KindUnavailable, "bring back nodes that keep the registers: pondnode members shows them"
	case errors.Is(err, datasets.ErrBusy):
		e.Kind, e.Hint = plan.KindBusy, "try again"
	}
	return e
}
