package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/repair"
)

// ErrUnknown: a dataset's register says nothing, as one that was lost would. Nothing of the
// dataset is deleted.
var ErrUnknown = errors.New("its register is empty")

// Collector deletes what this node holds of datasets and nothing vouches for: each node
// does so for itself (see package collect). Its methods may be called from many goroutines.
type Collector struct {
	d *Datasets
	// mine reports whether this node ends the leases of a dataset of which it may hold
	// nothing, and its old versions. Several may think so.
	mine func(name string) bool

	mu    sync.Mutex
	watch collect.Watch
}

// NewCollector has nothing to close. It remembers leases: there is one a node.
func (d *Datasets) NewCollector(mine func(name string) bool) *Collector {
	return &Collector{d: d, mine: mine}
}

// held are uploads of one dataset, each with its lease.
type held map[repair.ID]string

// Sweep looks at all that is here. What fails for one dataset keeps no other from it; the
// error has each.
func (c *Collector) Sweep(ctx context.Context) error {
	here := map[string]held{}
	for info, err := range c.d.c.Uploads.Copies() {
		if err != nil {
			return fmt.Errorf("datasets: collect: %w", err)
		}
		add(here, info)
	}
	names, err := c.d.names(ctx)
	for _, name := range names {
		if here[name] == nil && c.mine(name) {
			here[name] = held{}
		}
	}
	return errors.Join(err, c.collect(ctx, here))
}

// Judge deletes those among some uploads, which this node holds, that nothing vouches for.
// After an error nothing can be said of the others. What is of no dataset stays.
func (c *Collector) Judge(ctx context.Context, ids []fs.UploadID) error {
	here := map[string]held{}
	for _, id := range ids {
		info, err := c.d.c.Uploads.Stat(id)
		if errors.Is(err, fs.ErrNotFound) {
			continue // it went meanwhile
		}
		if err != nil {
			return fmt.Errorf("datasets: judge: %w", err)
		}
		add(here, info)
	}
	return c.collect(ctx, here)
}

// add adds an upload, if it is a dataset's.
func add(here map[string]held, info fs.Info) {
	var of collect.Origin
	if len(info.Attrs) == 0 || json.Unmarshal(info.Attrs, &of) != nil || dataset.CheckName(of.Dataset) != nil || of.Lease == "" {
		return
	}
	if here[of.Dataset] == nil {
		here[of.Dataset] = held{}
	}
	here[of.Dataset][repair.ID(info.ID)] = of.Lease
}

func (c *Collector) collect(ctx context.Context, here map[string]held) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(here)) {
		if err := c.one(ctx, name, here[name]); err != nil {
			errs = append(errs, failed("collect", name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// one collects what was held of a dataset before its register is read.
func (c *Collector) one(ctx context.Context, name string, here held) error {
	s, err := c.condemned(ctx, name)
	if errors.Is(err, ErrUnknown) && len(here) == 0 {
		return nil // whoever noted its name went no further: who holds something of it tells otherwise
	}
	if err != nil || len(here) == 0 {
		return err
	}
	manifests := map[repair.ID][]repair.ID{}
	for _, v := range s.Versions {
		m, err := c.d.manifest(ctx, v)
		if err != nil {
			return fmt.Errorf("%w: version %d: %w", collect.ErrUnread, v.Number, err)
		}
		manifests[v.Manifest] = m.Uploads()
	}
	orphans, err := s.Orphans(here, manifests)
	if err != nil {
		return err
	}
	ids := make([]fs.UploadID, len(orphans))
	for i, id := range orphans {
		ids[i] = fs.UploadID(id)
	}
	return c.d.c.Uploads.Delete(ids...)
}

// condemned is the state of a dataset without leases and versions whose time is over.
func (c *Collector) condemned(ctx context.Context, name string) (s dataset.State, err error) {
	err = c.d.changeData(ctx, dataset.Key(name), func(data []byte) ([]byte, error) {
		if len(data) == 0 {
			return nil, ErrUnknown
		}
		if s, err = dataset.DecodeState(data); err != nil {
			return nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		changed := false
		if s.Ledger, changed = c.watch.Condemn(name, s.Ledger, c.d.c.Now(), c.d.c.Times); !changed {
			return nil, nil
		}
		return s.Encode()
	})
	return s, err
}
