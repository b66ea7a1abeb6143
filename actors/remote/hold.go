package remote

import (
	"context"
	"errors"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/mesh/each"
)

// need is what is read of an object.
type need struct {
	path    string
	parquet bool         // read as such; else all of it is needed
	columns []string     // of a Parquet file; nil: all
	rows    []plan.Piece // of a Parquet file; none: its footer alone
}

// objectsAtOnce is how many objects one reader looks at together.
const objectsAtOnce = 32

// bringAll has what is needed here until it is released, and a file for each of the
// other objects: who may read them is said once for a stage, by what is there.
func (c *Cache) bringAll(ctx context.Context, needs []need, others ...string) (release func(), err error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	paths := make([]string, len(needs), len(needs)+len(others))
	for i, n := range needs {
		paths[i] = n.path
	}
	list, err := c.hold(append(paths, others...))
	if err != nil {
		return nil, err
	}
	err = each.Do(ctx, objectsAtOnce, len(needs), func(ctx context.Context, i int) error { return c.satisfy(ctx, list[i], needs[i]) })
	if err != nil {
		c.release(list)
		return nil, err
	}
	return func() { c.release(list) }, nil
}

// satisfy fetches what is missing of one object.
func (c *Cache) satisfy(ctx context.Context, e *entry, n need) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.unlock()
	if n.parquet && !e.linked {
		known, err := c.look(ctx, e)
		if err != nil {
			return err
		}
		if known {
			return c.bring(ctx, e, e.layout.spans(n.columns, n.rows))
		}
	}
	return c.bring(ctx, e, []span{{0, e.object.Size}})
}

// objectsIn are the paths of objects in a list of paths, in which those that are
// patterns stand escaped as well.
func objectsIn(access []string) (out []string) {
	there := map[string]bool{}
	for _, path := range access {
		there[path] = strings.HasPrefix(path, object.Root)
	}
	for path, is := range there {
		if plain := unescaped.Replace(path); is && (plain == path || !there[plain] || plan.EscapeGlob(plain) != path) {
			out = append(out, path)
		}
	}
	return out
}

// unescaped undoes plan.EscapeGlob.
var unescaped = strings.NewReplacer("[*]", "*", "[?]", "?", "[[]", "[")

// toUser is an error with the names of objects in place of paths here, and in plans.
func (c *Cache) toUser(err error) error {
	var pe *plan.Error
	if !errors.As(err, &pe) {
		return err
	}
	with := *pe
	for _, text := range []*string{&with.Subject, &with.Text, &with.Hint} {
		*text = object.Named(object.Named(*text, c.root), object.Root)
	}
	if with.Subject == pe.Subject && with.Text == pe.Text && with.Hint == pe.Hint {
		return err
	}
	return &with
}
