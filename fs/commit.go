package fs

import (
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

// request is one change of the index. Exactly one of put and drop is set.
type request struct {
	put  *Info
	crcs []uint32
	file bool // put has a file, new in the data folder
	drop []UploadID
	sync bool

	dropped []UploadID // those of drop that were there; the committer sets it
	bytes   int64      // of dropped
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
	files := false
	for _, r := range group {
		var err error
		if r.put != nil {
			files = files || r.file
			err = s.index.put(b, r.put, r.crcs)
		} else {
			err = c.drop(b, r)
		}
		if err != nil {
			return err
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

// drop adds the removal of the ids that exist to the batch.
func (c *committer) drop(b *pebble.Batch, r *request) error {
	seen := make(map[UploadID]bool, len(r.drop))
	for _, id := range r.drop {
		info, err := c.s.index.info(id)
		if errors.Is(err, ErrNotFound) || seen[id] {
			continue
		}
		if err != nil && !errors.Is(err, ErrCorrupt) { // a damaged record can go too
			return err
		}
		if err := c.s.index.drop(b, id); err != nil {
			return err
		}
		seen[id] = true
		r.dropped = append(r.dropped, id)
		r.bytes += info.Size
	}
	return nil
}

func (c *committer) answer(group []*request, err error) {
	for _, r := range group {
		switch {
		case err != nil:
			r.dropped = nil
		case r.put != nil:
			c.s.use(r.put.Size, 1)
		default:
			c.s.use(-r.bytes, -int64(len(r.dropped)))
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
