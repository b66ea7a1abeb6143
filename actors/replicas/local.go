package replicas

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// Local makes the whole upload a file of this node, for DuckDB to open, and tells its
// path. What is not here is fetched from whoever has it, and kept as long as there is
// room for it. The file must not be written. It stays until release is called, unless the
// upload is deleted. Errors are those of Open. An upload without bytes has no file:
// fs.ErrInvalid.
func (r *Replicas) Local(ctx context.Context, id fs.UploadID, holders []mesh.NodeID) (path string, release func(), err error) {
	release = r.cache.pin(id)
	path, err = r.local(ctx, id, holders)
	if err != nil {
		release()
		return "", nil, err
	}
	return path, release, nil
}

// Copies are the uploads that this node is to hold: not what it keeps because it was read
// here.
func (r *Replicas) Copies() iter.Seq2[fs.Info, error] { return r.store.List(kindCopy) }

// Stat is an upload that is here, or fs.ErrNotFound.
func (r *Replicas) Stat(id fs.UploadID) (fs.Info, error) { return r.store.Stat(id) }

// Here is the file of an upload that this node has whole, and has seen no damage of. It
// must not be written, and may go at any time.
func (r *Replicas) Here(id fs.UploadID) (path string, ok bool) {
	if info, err := r.store.Stat(id); err != nil || info.Kind == fs.KindBuried {
		return "", false
	}
	path, err := r.store.Path(id)
	if err != nil {
		return "", false
	}
	r.cache.used(id)
	return path, true
}

func (r *Replicas) local(ctx context.Context, id fs.UploadID, holders []mesh.NodeID) (string, error) {
	for {
		seen := r.seen(id)
		path, err := r.store.Path(id)
		if seen.Kind == fs.KindBuried {
			err = replica.ErrDeleted
		}
		if errors.Is(err, fs.ErrCorrupt) {
			err = cmp.Or(r.putAside(seen, err), fs.ErrNotFound)
		}
		switch {
		case err == nil:
			r.cache.used(id)
			return path, nil
		case !errors.Is(err, fs.ErrNotFound) && !errors.Is(err, fs.ErrOffline): // another disk may take it
			return "", told("open", id, err)
		}
		turn, mine := r.cache.turn(id)
		if !mine {
			select {
			case <-turn:
				continue
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		}
		err = r.fetch(ctx, id, holders)
		r.cache.ended(id)
		if err != nil {
			return "", err
		}
	}
}

// fetch copies an upload into the store, to be kept as long as there is room.
func (r *Replicas) fetch(ctx context.Context, id fs.UploadID, holders []mesh.NodeID) error {
	return r.fetchAs(ctx, id, holders, kindCached, false)
}

func (r *Replicas) fetchAs(ctx context.Context, id fs.UploadID, holders []mesh.NodeID, kind string, durable bool) error {
	in, err := r.open(ctx, id, holders, 0, -1)
	if err != nil {
		return err
	}
	defer in.Close()
	u, err := r.store.CreateCopy(id, kind, in.size)
	if errors.Is(err, fs.ErrExists) || errors.Is(err, fs.ErrBusy) {
		return r.elsewhere(ctx, id, err)
	}
	if err != nil {
		return told("fetch", id, err)
	}
	defer u.Abort()
	from := io.Reader(in)
	if kind == kindCopy { // which nobody waits for
		from = &throttled{ctx, &r.throttle, in}
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{u}, struct{ io.Reader }{batched{from}}, make([]byte, min(batchBytes, max(in.size, 1)))); err != nil {
		return err
	}
	if _, err := u.Commit(in.attrs, durable); err != nil {
		return told("fetch", id, err)
	}
	if kind == kindCached {
		r.cache.add(id, in.size)
		r.evict()
		return nil
	}
	r.done.repaired.Add(1)
	r.done.repairedBytes.Add(in.size)
	return nil
}

// busyWait is how long a copy that is being received or removed is left to it.
const busyWait = 100 * time.Millisecond

// elsewhere waits while another has the id in hand.
func (r *Replicas) elsewhere(ctx context.Context, id fs.UploadID, why error) error {
	info, err := r.store.Stat(id)
	if err == nil && info.Kind == fs.KindBuried {
		return told("fetch", id, replica.ErrDeleted)
	}
	if errors.Is(why, fs.ErrExists) {
		return nil
	}
	t := time.NewTimer(busyWait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// batched fills what it is given, so that writes are large.
type batched struct{ in io.Reader }

func (b batched) Read(p []byte) (int, error) {
	n, err := io.ReadFull(b.in, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}

// throttled passes on no more than its bucket allows.
type throttled struct {
	ctx context.Context
	b   *bucket
	in  io.Reader
}

func (t *throttled) Read(p []byte) (int, error) {
	n, err := t.in.Read(p)
	if e := t.b.take(t.ctx, n); e != nil {
		return n, e
	}
	return n, err
}

// keep makes a cached upload one of the copies.
func (r *Replicas) keep(id fs.UploadID) error {
	defer r.cache.pin(id)() // not to be evicted meanwhile
	seen := r.seen(id)
	if err := r.store.Keep(id, kindCopy); err != nil {
		if errors.Is(err, fs.ErrCorrupt) {
			err = errors.Join(err, r.putAside(seen, err))
		}
		return err
	}
	r.cache.gone(id)
	return nil
}

// evict drops cached uploads that have not been used for longest, while there are too
// many bytes of them.
func (r *Replicas) evict() {
	for _, id := range r.cache.tooMany(r.cfg.CacheMax) {
		if info, err := r.store.Stat(id); err == nil && info.Kind != kindCached {
			continue // another disk holds it
		}
		if err := r.store.Delete(id); err != nil {
			r.log.Warn("a cached upload cannot be dropped", "upload", id, "err", err)
		}
	}
}

// cache is what is known of the uploads that are here because they were read here, and
// which uploads are in use.
type cache struct {
	mu     sync.Mutex
	pinned map[fs.UploadID]int
	cached map[fs.UploadID]*cachedUpload
	bytes  int64
	turns  map[fs.UploadID]chan struct{} // being fetched
}

type cachedUpload struct {
	size int64
	last time.Time
}

func (c *cache) open(s *disks.Disks) error {
	c.pinned, c.cached, c.turns = map[fs.UploadID]int{}, map[fs.UploadID]*cachedUpload{}, map[fs.UploadID]chan struct{}{}
	for info, err := range s.List(kindCached) {
		if err != nil {
			return err
		}
		c.cached[info.ID] = &cachedUpload{info.Size, info.Committed}
		c.bytes += info.Size
	}
	return nil
}

// pin keeps an upload from being dropped until the returned function is called, once or
// more often.
func (c *cache) pin(id fs.UploadID) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pinned[id]++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.pinned[id]--; c.pinned[id] == 0 {
			delete(c.pinned, id)
		}
	})
}

func (c *cache) inUse(id fs.UploadID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pinned[id] > 0
}

func (c *cache) used(id fs.UploadID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if u := c.cached[id]; u != nil {
		u.last = time.Now()
	}
}

func (c *cache) add(id fs.UploadID, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cached[id] == nil {
		c.cached[id] = &cachedUpload{size, time.Now()}
		c.bytes += size
	}
}

func (c *cache) gone(id fs.UploadID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(id)
}

func (c *cache) forget(id fs.UploadID) {
	if u := c.cached[id]; u != nil {
		c.bytes -= u.size
		delete(c.cached, id)
	}
}

// turn is closed when the fetching of an upload ends; mine: the caller is to do it.
func (c *cache) turn(id fs.UploadID) (turn <-chan struct{}, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.turns[id]; t != nil {
		return t, false
	}
	c.turns[id] = make(chan struct{})
	return nil, true
}

func (c *cache) ended(id fs.UploadID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.turns[id])
	delete(c.turns, id)
}

// tooMany are cached uploads to drop so that no more than most bytes stay. They are
// forgotten.
func (c *cache) tooMany(most int64) (ids []fs.UploadID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bytes <= most {
		return nil
	}
	var free []fs.UploadID
	for id := range c.cached {
		if c.pinned[id] == 0 {
			free = append(free, id)
		}
	}
	slices.SortFunc(free, func(a, b fs.UploadID) int { return c.cached[a].last.Compare(c.cached[b].last) })
	for _, id := range free {
		if c.bytes <= most {
			break
		}
		c.forget(id)
		ids = append(ids, id)
	}
	return ids
}
