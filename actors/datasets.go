package actors

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/register"
)

// openDatasets has statements find datasets by their names.
func (n *Node) openDatasets() {
	n.datasets = datasets.New(datasets.Config{Registers: n.registers, Uploads: n.replicas, Dir: n.cfg.Dir})
	n.planner.Tables = tables{n.datasets}
}

// tables are datasets as a planner asks for them.
type tables struct{ d *datasets.Datasets }

// Table implements prepare.Tables.
func (t tables) Table(ctx context.Context, name string) (*prepare.Table, error) {
	if dataset.CheckName(name) != nil { // DuckDB says what it is
		return nil, nil
	}
	m, err := t.d.Get(ctx, name, 0)
	if errors.Is(err, dataset.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, datasetError("read", name, err)
	}
	out := &prepare.Table{Path: dataset.Ref{Name: name, Version: m.Version}.String()}
	if len(m.Files) == 0 {
		out.Path = ""
	}
	for _, c := range m.Columns {
		out.Columns = append(out.Columns, plan.Column{Name: c.Name, Type: c.Type})
		if c.Folder {
			out.Folders = append(out.Folders, c.Name)
		}
	}
	return out, nil
}

// datasetError gives an error about a dataset its kind.
func datasetError(op, name string, err error) error {
	if err == nil || errors.As(err, new(*plan.Error)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e := &plan.Error{Kind: plan.KindInternal, Op: op, Subject: name, Text: err.Error()}
	switch {
	case errors.Is(err, dataset.ErrNotFound):
		e.Kind, e.Text, e.Hint = plan.KindNotFound, fmt.Sprintf("Catalog Error: Table with name %s does not exist!", name), "SHOW TABLES lists those there are"
	case errors.Is(err, dataset.ErrName):
		e.Kind = plan.KindUser
	case errors.Is(err, register.ErrMinority), errors.Is(err, register.ErrUnknown):
		e.Kind, e.Hint = plan.KindUnavailable, "bring back nodes that keep the registers: pondnode members shows them"
	case errors.Is(err, datasets.ErrBusy):
		e.Kind, e.Hint = plan.KindBusy, "try again"
	}
	return e
}

func (s *server) getDatasets(_ http.ResponseWriter, r *http.Request) (any, error) {
	list, err := s.n.datasets.List(r.Context())
	if err != nil {
		return nil, datasetError("list", "datasets", err)
	}
	out := make([]api.Dataset, len(list))
	for i, d := range list {
		out[i] = api.Dataset{Name: d.Name, Version: d.Version}
	}
	return out, nil
}

func (s *server) deleteDataset(_ http.ResponseWriter, r *http.Request) (any, error) {
	name := r.PathValue("name")
	return nil, datasetError("drop", name, s.n.datasets.Drop(r.Context(), name))
}
