package replicas

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/delay"
)

// Bounds of a leave.
const (
	drainEvery = 2 * time.Second // a leaving node looks whether it is done
	// letGoMax is how long a node of which nothing is needed any more waits until the layout
	// has no place for it: gone before, it would count as a member that does not answer.
	letGoMax = 15 * time.Second
)

// Left is what a node holds that others are to hold and do not yet.
type Left struct{ Uploads, Bytes int64 }

// Drain waits until all that this node, which is leaving, holds is with all owners that
// stay. They are asked, each time. It keeps its own copies, and waits for nothing if no
// other node stays.
func (r *Replicas) Drain(ctx context.Context) error {
	var done time.Time // since when nothing is left
	for {
		if r.alone() {
			return nil
		}
		l, left, err := r.left(ctx)
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		switch member := l.Current() != nil && l.Current().Has(r.self()); {
		case r.owns(&l) || left.Uploads > 0:
			done = time.Time{}
		case !member:
			return nil
		case done.IsZero():
			done = time.Now()
		case time.Since(done) >= letGoMax:
			return nil
		}
		r.nudge()
		if err := delay.For(ctx, drainEvery); err != nil {
			return fmt.Errorf("replicas: %d uploads of %d bytes are here and not on all nodes that are to hold them: %w", left.Uploads, left.Bytes, err)
		}
	}
}

// left is what of this node's copies an owner that stays lacks, by the layout as the
// register has it: others have changed it, and they are asked now. Who does not answer
// lacks all.
func (r *Replicas) left(ctx context.Context) (l layout.Layout, left Left, err error) {
	mine, err := r.sums()
	if err != nil {
		return l, left, err
	}
	held := int64(0)
	for _, s := range mine {
		held += int64(s.held)
	}
	if known := r.Layout(); held == 0 && known.Current() == nil {
		return known, left, nil
	}
	if l, _, err = r.readLayout(ctx); err != nil || held == 0 {
		return l, left, err
	}
	heard := r.askAll(ctx, r.toAsk(&l), mine)
	for g, s := range mine {
		if s.held == 0 {
			continue
		}
		if err := r.leftOf(g, r.stay(l.Owners(g)), heard, &left); err != nil {
			return l, left, err
		}
	}
	return l, left, nil
}

// leftOf adds what of a group is left; without owners it is all.
func (r *Replicas) leftOf(g layout.Group, owners []replica.Node, heard map[replica.Node]*said, left *Left) error {
	own, err := r.inventory(g, false)
	if err != nil {
		return err
	}
	told := make([]repair.Inventory, len(owners))
	for i, n := range owners {
		told[i] = newInventory(true)
		if s := heard[n]; s != nil {
			told[i] = s.inventory(g, own)
		}
	}
	return r.group(g, func(info *fs.Info) {
		id := repair.ID(info.ID)
		lacks := func(s repair.Inventory) bool { return s.Stale || !s.Held[id] && s.Buried[id].IsZero() }
		if info.Kind == kindCopy && (len(owners) == 0 || slices.ContainsFunc(told, lacks)) {
			left.Uploads, left.Bytes = left.Uploads+1, left.Bytes+info.Size
		}
	})
}

// stay are those of some owners, but this node, that do not leave. One that cannot be
// seen is none of those that leave: it may come back.
func (r *Replicas) stay(owners []replica.Node) (out []replica.Node) {
	for _, n := range owners {
		if m, ok := r.member(n); n != r.self() && (!ok || m.State != mesh.Leaving) {
			out = append(out, n)
		}
	}
	return out
}

// SetDrained has this node be no place of copies from now on, or be one again. It stays so
// over a restart. What it holds is copied to others before it goes.
func (r *Replicas) SetDrained(on bool) error {
	var err error
	if on {
		err = writeFile(r.cfg.Drained)
	} else if err = os.Remove(r.cfg.Drained); errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("replicas: drain: %w", err)
	}
	r.mu.Lock()
	r.known.drained[r.self()] = on
	r.mu.Unlock()
	r.nudge()
	return nil
}

// writeFile makes an empty file durably.
func writeFile(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (r *Replicas) readDrained() error {
	_, err := os.Stat(r.cfg.Drained)
	r.known.drained[r.self()] = err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replicas: drain: %w", err)
	}
	return nil
}

// Drained reports whether this node is to be no place of copies.
func (r *Replicas) Drained() bool { return r.isDrained(r.self()) }

func (r *Replicas) isDrained(n replica.Node) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known.drained[n]
}

// Left is what this node holds that others are to hold and do not yet; all, while a layout
// gives it something.
func (r *Replicas) Left(ctx context.Context) (Left, error) {
	l, left, err := r.left(ctx)
	if err == nil && r.owns(&l) {
		h := r.holds()
		left = Left{h.held, h.bytes}
	}
	return left, err
}

// owns reports whether a layout gives this node anything.
func (r *Replicas) owns(l *layout.Layout) bool {
	return l.Current() != nil && slices.ContainsFunc(l.Current().Members, func(m layout.Member) bool { return m.Node == r.self() && m.Weight > 0 })
}

// alone reports whether no other node is to stay.
func (r *Replicas) alone() bool {
	return !slices.ContainsFunc(r.cfg.View().Members, func(m mesh.Member) bool { return m.ID != r.cfg.Self && m.State == mesh.Alive })
}
