package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unicode/utf8"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/fs/object"
)

// Config is a node's settings.
type Config struct {
	Dir      string                   // for files of objects; what is in it goes
	Sources  map[string]object.Source // by scheme
	MaxBytes int64                    // of objects kept; 0: DefaultBytes
	MaxFiles int                      // objects kept; 0: DefaultFiles
	Log      *slog.Logger
}

// Bounds of what is kept, unless a Config says otherwise.
const (
	DefaultBytes = 32 << 30
	DefaultFiles = 50_000
)

// Cache keeps parts of objects as files. It is safe for concurrent use.
type Cache struct {
	c     Config
	root  string        // where the paths of objects begin here
	turns chan struct{} // requests under way, of all readers

	mu      sync.Mutex
	entries map[string]*entry // by path
	oldest  []*entry          // not held; the one that was let go first is the first
	bytes   int64             // of all ranges that are here, or are being fetched
}

// Open returns an empty Cache. Its folder is made when it is first needed.
func Open(c Config) (*Cache, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultBytes
	}
	if c.MaxFiles == 0 {
		c.MaxFiles = DefaultFiles
	}
	if err := os.RemoveAll(c.Dir); err != nil {
		return nil, fmt.Errorf("remote: clear %s: %w", c.Dir, err)
	}
	return &Cache{c: c, root: strings.TrimRight(c.Dir, "/") + "/", turns: make(chan struct{}, requestsMax), entries: map[string]*entry{}}, nil
}

// Serve has a scheme's objects read from a source. It is called before the Cache is used.
func (c *Cache) Serve(scheme string, s object.Source) {
	c.c.Sources = maps.Clone(c.c.Sources)
	c.c.Sources[scheme] = s
}

// Here is a Source that has some of its objects as files of this node. What is told must
// not be written.
type Here interface {
	Here(o object.Object) (path string, ok bool)
}

// Find lists the objects that a name or a pattern means.
func (c *Cache) Find(ctx context.Context, pattern string) ([]object.Object, error) {
	source, err := c.source("find", pattern)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, findTime, &object.Error{Op: "find", Name: pattern, Kind: object.ErrUnavailable, Detail: "no answer within " + findTime.String()})
	defer cancel()
	list, err := source.Find(ctx, pattern)
	if err != nil {
		return nil, failure(ctx, err)
	}
	return list, nil
}

// Store is the place of a name as one that attempts upload to.
func (c *Cache) Store(name string) (object.Stager, error) {
	source, err := c.source("write", name)
	if err != nil {
		return nil, err
	}
	if l, ok := source.(later); ok {
		if source, err = l(); err != nil {
			return nil, &object.Error{Op: "write", Name: name, Kind: object.ErrDenied, Detail: err.Error()}
		}
	}
	return object.As[object.Stager](source, name)
}

// Schemes are those of the places that are known, sorted.
func (c *Cache) Schemes() []string {
	var out []string
	for s := range c.c.Sources {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func (c *Cache) source(op, name string) (object.Source, error) {
	if s, ok := c.c.Sources[object.Scheme(name)]; ok {
		return s, nil
	}
	return nil, &plan.Error{Kind: plan.KindUser, Op: op, Subject: name, Text: object.Scheme(name) + ":// is not read: a pond reads files, and " + strings.Join(c.Schemes(), "://, ") + "://",
		Hint: "copy the data to where every node can read it, or mount it there as a file system"}
}

// entry is an object of which parts are here.
type entry struct {
	object object.Object
	path   string        // as plans name it
	local  string        // as it is named here
	fetch  chan struct{} // held by whoever fetches parts or looks at layout
	linked bool          // all is here, in a file that is not the Cache's

	// of the Cache's lock
	held int   // by how many readers; 0: in oldest
	size int64 // bytes of have, and of what is being fetched; 0 if linked

	// of fetch
	have   []span  // here, sorted, apart from one another
	layout *layout // of a Parquet file whose footer is here; nil: not looked at, or none
	looked bool
}

// hold takes objects, making their files, so that they stay until they are let go.
func (c *Cache) hold(paths []string) (list []*entry, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, path := range paths {
		e, err := c.entry(path)
		if err != nil {
			c.letGo(list)
			return nil, err
		}
		if e.held++; e.held == 1 {
			c.oldest = slices.DeleteFunc(c.oldest, func(o *entry) bool { return o == e })
		}
		list = append(list, e)
	}
	return list, nil
}

// entry is the entry of a path, made if there is none; the lock is held.
func (c *Cache) entry(path string) (*entry, error) {
	if e, ok := c.entries[path]; ok {
		return e, nil
	}
	o, ok := object.FromPath(path)
	if !ok {
		return nil, &plan.Error{Kind: plan.KindInternal, Op: "read", Subject: path, Text: "this is the path of no object"}
	}
	for len(c.entries) >= c.c.MaxFiles {
		if !c.drop() {
			return nil, &plan.Error{Kind: plan.KindResource, Op: "read", Subject: o.Name, Text: fmt.Sprintf("more than %d objects are being read at once", c.c.MaxFiles)}
		}
	}
	e := &entry{object: o, path: path, local: c.local(path), fetch: make(chan struct{}, 1)}
	if err := c.create(e); err != nil {
		return nil, diskError(o.Name, err)
	}
	c.entries[path] = e
	return e, nil
}

// create makes the file: one more name of that which is here, or as large as the object,
// and empty.
func (c *Cache) create(e *entry) error {
	if err := os.MkdirAll(filepath.Dir(e.local), 0o700); err != nil {
		return err
	}
	if err := os.Remove(e.local); err != nil && !errors.Is(err, fs.ErrNotExist) { // it may be a name of what must not be written
		return err
	}
	if here, ok := c.c.Sources[object.Scheme(e.object.Name)].(Here); ok {
		if path, ok := here.Here(e.object); ok && os.Link(path, e.local) == nil {
			e.linked, e.have = true, []span{{0, e.object.Size}}
			return nil
		}
	}
	f, err := os.OpenFile(e.local, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(e.object.Size), f.Close())
}

// clear makes the file as empty as it was at first.
func (e *entry) clear() error {
	return errors.Join(os.Truncate(e.local, 0), os.Truncate(e.local, e.object.Size))
}

// release lets objects go.
func (c *Cache) release(list []*entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.letGo(list)
}

func (c *Cache) letGo(list []*entry) {
	for _, e := range list {
		if e.held--; e.held == 0 {
			c.oldest = append(c.oldest, e)
		}
	}
}

// reserve makes room for n bytes more of an entry that is held.
func (c *Cache) reserve(e *entry, n int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.bytes+n > c.c.MaxBytes {
		if !c.empty() {
			return &plan.Error{Kind: plan.KindResource, Op: "read", Subject: e.object.Name, Text: fmt.Sprintf("what is read of objects at once is more than the %d bytes that this node keeps of them", c.c.MaxBytes),
				Hint: "read Parquet, of which nodes fetch only what a query needs, or smaller objects"}
		}
	}
	c.bytes += n
	e.size += n
	return nil
}

// free gives back n bytes that were reserved and not fetched.
func (c *Cache) free(e *entry, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= n
	e.size -= n
}

// empty forgets the bytes of an object that nobody has held for longest; the lock is
// held. Its file stays: processes were told that they may read this one.
func (c *Cache) empty() bool {
	i := slices.IndexFunc(c.oldest, func(e *entry) bool { return e.size > 0 })
	if i < 0 {
		return false
	}
	e := c.oldest[i] // whose bytes are this cache's own: of a file that was here size is 0
	if err := e.clear(); err != nil {
		c.c.Log.Warn("the file of an object cannot be emptied", "file", e.local, "err", err)
	}
	c.bytes -= e.size
	e.size, e.have, e.layout, e.looked = 0, nil, nil, false
	return true
}

// Shed forgets files that only the Cache has a name of any more: it would keep their room
// on the disk.
func (c *Cache) Shed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.oldest = slices.DeleteFunc(c.oldest, func(e *entry) bool {
		if !e.linked {
			return false
		}
		info, err := os.Stat(e.local)
		if err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
				return false
			}
		}
		c.forget(e)
		return true
	})
}

// drop forgets the object that nobody has held for longest; the lock is held.
func (c *Cache) drop() bool {
	if len(c.oldest) == 0 {
		return false
	}
	e := c.oldest[0]
	c.oldest = c.oldest[1:]
	c.forget(e)
	return true
}

// forget removes the file of an entry that is no more; the lock is held.
func (c *Cache) forget(e *entry) {
	delete(c.entries, e.path)
	c.bytes -= e.size
	for dir := e.local; len(dir) > len(c.root); dir = filepath.Dir(dir) { // and the folders that are then empty
		if err := os.Remove(dir); err != nil {
			if dir == e.local {
				c.c.Log.Warn("the file of an object cannot be removed", "file", e.local, "err", err)
			}
			break
		}
	}
}

// local is the path here of an object's path, or a text with such paths.
func (c *Cache) local(text string) string { return strings.ReplaceAll(text, object.Root, c.root) }

// portable is local the other way.
func (c *Cache) portable(text string) string { return strings.ReplaceAll(text, c.root, object.Root) }

// odd are characters that mean something else in SQL, in JSON, in a pattern, in a query
// that is bound for a task, or in the name of a key=value folder.
const odd = "'\"\\*?[]<>&{}=%"

// check refuses a folder whose path has such characters.
func (c *Cache) check() error {
	if i := strings.IndexFunc(c.root, func(r rune) bool { return r < ' ' || r == utf8.RuneError || strings.ContainsRune(odd, r) }); i >= 0 {
		return &plan.Error{Kind: plan.KindUser, Op: plan.OpConfigure, Subject: c.root, Text: "what is read over a network cannot be kept here: the path of the node's data folder has one of the characters " + odd,
			Hint: "give the node a data folder of a plainer name"}
	}
	return nil
}

// diskError is an error of the node's disk about an object.
func diskError(name string, err error) error {
	return syserr.Own("read", name, fmt.Errorf("keep it on this node: %w", err))
}

// failure is an object's error as it crosses nodes.
func failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if cause := context.Cause(ctx); errors.As(cause, new(*object.Error)) {
			err = cause
		} else {
			return cause
		}
	}
	var oe *object.Error
	if !errors.As(err, &oe) {
		return err
	}
	out := &plan.Error{Kind: plan.KindResource, Op: oe.Op, Subject: oe.Name, Text: oe.Why(), Hint: oe.Hint} // another node may reach it
	for _, k := range []struct {
		err  error
		kind plan.Kind
		hint string
	}{
		{object.ErrUnavailable, plan.KindResource, "look whether that node reaches the place, and run the query again"},
		{object.ErrNotFound, plan.KindNotFound, "look whether the name is right, and whether the object is there yet"},
		{object.ErrDenied, plan.KindDenied, "the place refuses it: a pond signs what it asks of s3://, and sends web servers no credentials but those in the URL's query"},
		{object.ErrPattern, plan.KindUser, ""},
		{object.ErrName, plan.KindUser, ""},
		{object.ErrChanged, plan.KindUser, "run the query again: it then reads the object as it is now"},
	} {
		if errors.Is(oe.Kind, k.err) {
			out.Kind = k.kind
			if out.Hint == "" {
				out.Hint = k.hint
			}
		}
	}
	return out
}
