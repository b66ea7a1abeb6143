package fs

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	commitQueue = 256 // requests waiting for the committer, and the most of one batch
	// indexSyncEvery is how long a commit without durable may stay in memory: what
	// a killed process loses.
	indexSyncEvery = 100 * time.Millisecond
	// committerStopMax bounds Close when the index hangs on a dying disk.
	committerStopMax = 10 * time.Second
)

// request is one change of the index: what it drops goes before what it puts.
type request struct {
	put   *Info
	crcs  []uint32
	file  bool // put has a file, new in the data folder
	again bool // put is there already, with these checksums: only its facts change
	fresh bool // put is of an id that others know: if it is there by now, or buried, it is not put
	drop  []UploadID
	sync  bool

	dropped []UploadID // those of drop that were there; the committer sets it
	bytes   int64      // of dropped
	refused error      // its alone, not of all that are committed with it
	done    chan error
}

// committer is the only goroutine that writes the index. It takes all waiting
// requests as one group, so that any number of durable commits share one fsync of
// the data folder and one of the log. It ends with Close.
type committer struct {
	s     *Store
	queue chan *request
	quit  chan struct{}
	once  sync.Once
	ended chan struct{}
}

func startCommitter(s *Store) *committer {
	c := &committer{s: s, queue: make(chan *request, commitQueue), quit: make(chan struct{}), ended: make(chan struct{})}
	go c.run()
	return c
}

// do has r carried out and waits for it. When the index goes down meanwhile the
// answer is ErrOffline and r may or may not have happened.
func (c *committer) do(r *request) error {
	r.done = make(chan error, 1)
	select {
	case c.queue <- r:
	case <-c.quit:
		return ErrClosed
	case <-c.s.index.down:
	}
	select {
	case err := <-r.done:
		return err
	case <-c.s.index.down:
	case <-c.ended:
	}
	select { // an answer that came at the same time
	case err := <-r.done:
		return err
	default:
	}
	if cause := c.s.index.failed(); cause != nil {
		return fmt.Errorf("%w: %w", ErrOffline, cause)
	}
	return ErrClosed
}

func (c *committer) run() {
	defer close(c.ended)
	var unsynced <-chan time.Time // set while there are commits to make durable
	for {
		var group []*request
		select {
		case r := <-c.queue:
			group = append(group, r)
		case <-unsynced:
			unsynced = nil
			if c.s.index.failed() == nil {
				c.s.index.sync() // a failure has taken the store offline
			}
			continue
		case <-c.s.index.down:
			// Pebble would go on retrying a failed flush, without a pause.
			c.s.mu.Lock()
			c.s.index.close()
			c.s.mu.Unlock()
			return
		case <-c.quit:
			c.drain()
			return
		}
		for len(c.queue) > 0 && len(group) < commitQueue {
			group = append(group, <-c.queue)
		}
		if lazy := c.commit(group); lazy && unsynced == nil {
			unsynced = time.After(indexSyncEvery)
		}
	}
}

// drain carries out the requests queued before the end and makes them durable.
func (c *committer) drain() {
	for {
		select {
		case r := <-c.queue:
			c.commit([]*request{r})
		default:
			if c.s.index.failed() == nil {
				c.s.index.sync() // Close reports the failure
			}
			return
		}
	}
}

// commit carries out a group: first those that wait for no disk, then the rest
// together. It reports whether something waits for the next sync.
func (c *committer) commit(group []*request) (lazy bool) {
	var now, sync []*request
	for _, r := range group {
		if r.sync {
			sync = append(sync, r)
		} else {
			now = append(now, r)
		}
	}
	c.answer(now, c.apply(now, false))
	c.answer(sync, c.apply(sync, true))
	return len(now) > 0
}

func (c *committer) apply(group []*request, sync bool) error {
	if len(group) == 0 {
		return nil
	}
	s := c.s
	if err := s.usable(); err != nil {
		return err
	}
	b := s.index.db.NewBatch()
	defer b.Close()
	files, done := false, pending{}
	for _, r := range group {
		if r.fresh {
			if _, err := c.info(done, r.put.ID); !errors.Is(err, ErrNotFound) {
				r.refused = cmp.Or(err, ErrExists)
				continue
			}
		}
		if err := c.drop(b, done, r); err != nil {
			return err
		}
		if r.put != nil {
			done[r.put.ID] = r.put
			files = files || r.file
			if err := s.index.put(b, r.put, r.crcs); err != nil {
				return err
			}
		}
	}
	// A file's name must be on disk before the fact that it is there.
	if sync && files {
		if err := s.syncFolder(s.data); err != nil {
			return s.syncFailed(err)
		}
	}
	if err := s.index.apply(b, sync); err != nil {
		return fmt.Errorf("%w: %w", ErrOffline, err)
	}
	return nil
}

// pending are the uploads as a batch leaves them: nil is gone.
type pending map[UploadID]*Info

// info is an upload as it is once a batch is committed.
func (c *committer) info(done pending, id UploadID) (Info, error) {
	info, ok := done[id]
	switch {
	case !ok:
		return c.s.index.info(id)
	case info == nil:
		return Info{}, ErrNotFound
	}
	return *info, nil
}

// drop adds the removal of the ids that exist to the batch.
func (c *committer) drop(b *pebble.Batch, done pending, r *request) error {
	for _, id := range r.drop {
		info, err := c.info(done, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		size := info.Size
		if errors.Is(err, ErrCorrupt) { // a damaged record can go too
			size, err = unknownSize, nil
		}
		if err != nil {
			return err
		}
		if err := c.s.index.drop(b, id, size); err != nil {
			return err
		}
		done[id] = nil
		r.dropped = append(r.dropped, id)
		r.bytes += info.Size
	}
	return nil
}

func (c *committer) answer(group []*request, err error) {
	for _, r := range group {
		err := cmp.Or(err, r.refused)
		if err != nil {
			r.dropped = nil
		} else {
			c.s.use(-r.bytes, -int64(len(r.dropped)))
		}
		if err == nil && r.put != nil && !r.again {
			c.s.use(r.put.Size, 1)
		}
		r.done <- err
	}
}

// stop ends the committer after the queued requests, and waits for it.
func (c *committer) stop() {
	c.once.Do(func() { close(c.quit) })
	select {
	case <-c.ended:
	case <-time.After(committerStopMax):
		c.s.index.wrecked.Store(true)
		c.s.index.fail(errors.New("index does not answer"))
	}
}

// syncFolder makes the names in a folder durable.
func (s *Store) syncFolder(dir string) error {
	d, err := s.fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
