package replicas

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/replica"
)

// Errors of Forget.
var (
	ErrThere   = errors.New("the node is there")
	ErrNoPlace = errors.New("no node of this id is a place of copies")
	ErrMoving  = layout.ErrMoving // too many changes are under way for another
)

// Forget has nodes be no places of copies any more that somebody knows to be gone for
// good, at once and whatever the brake says. What they hold counts as lost, until they come
// back as new ones: the others make copies of what they have themselves.
func (r *Replicas) Forget(ctx context.Context, nodes []replica.Node) (err error) {
	for range forgetTries {
		if err = r.forget(ctx, nodes); !errors.Is(err, register.ErrConflict) {
			break
		}
	}
	return err
}

// forgetTries bounds how often nodes are given up again because another change of the
// layout came first.
const forgetTries = 8

func (r *Replicas) forget(ctx context.Context, nodes []replica.Node) error {
	l, version, err := r.readLayout(ctx)
	if err != nil {
		return fmt.Errorf("replicas: forget: %w", err)
	}
	v := l.Current()
	if v == nil {
		return fmt.Errorf("there is no layout yet: %w", ErrNoPlace)
	}
	for _, n := range nodes {
		if _, there := r.member(n); there || r.answers(n) {
			return fmt.Errorf("%s: %w", n, ErrThere)
		}
		if !slices.ContainsFunc(l.Versions, func(v layout.Version) bool { return v.Has(n) }) {
			return fmt.Errorf("%.60q: %w", n, ErrNoPlace)
		}
	}
	left := slices.DeleteFunc(slices.Clone(v.Members), func(m layout.Member) bool { return slices.Contains(nodes, m.Node) })
	if len(left) == len(v.Members) {
		return nil // they were forgotten before
	}
	next, err := l.Change(v.Copies, left)
	if err == nil {
		r.log.Warn("nodes are given up as places of copies, as was asked", "nodes", nodes, "layout", next.Current().Number)
		err = r.change(ctx, next, version)
	}
	if err != nil {
		return fmt.Errorf("replicas: forget: %w", err)
	}
	return nil
}

// gone are the members of a layout that do not answer this node.
func (r *Replicas) gone(v *layout.Version) (out []replica.Node) {
	for _, m := range v.Members {
		if !r.answers(m.Node) {
			out = append(out, m.Node)
		}
	}
	return out
}
