package fs

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/fs/register"
)

// A keeper's folder:
//
//	ID                  the keeper's id, drawn when the folder was made
//	index/, COMMITS     as of a Store
//
// The keys of its index. A value is JSON and a CRC32C of key and JSON.
//
//	"i"        the keeper's id
//	"r"        the roster
//	"k" key    a cell
const (
	keyKeeper = 'i'
	keyRoster = 'r'
	keyCell   = 'k'

	keeperQueue = 256 // calls that wait, and the most that share one fsync
)

// Keeper is one keeper of registers: an acceptor and its disk. Its methods may be
// called from many goroutines at once.
type Keeper struct {
	id    register.KeeperID
	acc   *register.Acceptor // run's alone
	index *index
	lost  bool
	queue chan *keeperCall
	quit  chan struct{}
	ended chan struct{}
}

// keeperCall is some requests that wait for their replies.
type keeperCall struct {
	requests []register.Request
	replies  []register.Reply
	done     chan error
}

// OpenKeeper opens or creates the keeper in dir; the id of a new one begins with
// owner. When the folder's data are gone, the keeper that it was is no more: what
// opens is another, and Lost. The caller calls Close.
func OpenKeeper(dir, owner string, o Options) (*Keeper, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{queue: make(chan *keeperCall, keeperQueue), quit: make(chan struct{}), ended: make(chan struct{})}
	if err := k.open(dir, owner, o); err != nil {
		return nil, fmt.Errorf("fs: open the keeper in %s: %w", dir, classify(err))
	}
	go k.run()
	return k, nil
}

func (k *Keeper) open(dir, owner string, o Options) (err error) {
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return notWritable(err)
	}
	noted, err := readSmall(o.FS, o.FS.PathJoin(dir, "ID"))
	if err != nil {
		return err
	}
	if k.index, err = openIndex(faulty(o.FS, o.Faults, faults.KeeperWrite, faults.KeeperSync), dir, o.Log); err != nil {
		return err
	}
	if err = k.load(o.FS, dir, owner, noted); err != nil {
		return errors.Join(err, k.index.close())
	}
	return nil
}

// load reads what the keeper knows, or makes a new one.
func (k *Keeper) load(fs vfs.FS, dir, owner, noted string) error {
	s := register.State{Cells: map[register.Key]register.Cell{}}
	it, err := k.index.db.NewIter(nil)
	if err != nil {
		return indexError(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = loadKey(&s, it.Key(), it.Value())
	}
	if err = errors.Join(err, indexError(it.Error()), it.Close()); err != nil {
		return err
	}
	if s.ID == "" {
		k.lost = noted != ""
		s.ID = register.KeeperID(owner + "/" + rand.Text())
		if err := k.create(fs, dir, s.ID); err != nil {
			return err
		}
	}
	k.id, k.acc = s.ID, register.NewAcceptor(s)
	return nil
}

func loadKey(s *register.State, key, value []byte) error {
	switch key[0] {
	case keySynced:
		return nil
	case keyKeeper:
		return decodeKept(key, value, &s.ID)
	case keyRoster:
		return decodeKept(key, value, &s.Roster)
	case keyCell:
		var c register.Cell
		err := decodeKept(key, value, &c)
		s.Cells[register.Key(key[1:])] = c
		return err
	}
	return fmt.Errorf("%w: a keeper has no key %q", ErrCorrupt, key)
}

// create makes a new keeper. Its id is in the index before it is noted beside it: a
// note without an index tells of a loss.
func (k *Keeper) create(fs vfs.FS, dir string, id register.KeeperID) error {
	b := k.index.db.NewBatch()
	defer b.Close()
	if err := putKept(b, []byte{keyKeeper}, id); err != nil {
		return err
	}
	if err := k.index.apply(b, true); err != nil {
		return err
	}
	if err := writeSmall(fs, fs.PathJoin(dir, "ID"), string(id)); err != nil {
		return err
	}
	for _, d := range []string{dir, fs.PathDir(dir)} {
		d, err := fs.OpenDir(d)
		if err == nil {
			err = errors.Join(d.Sync(), d.Close())
		}
		if err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	return nil
}

// writeSmall makes a small file of a text, which is on disk once its folder is synced.
func writeSmall(fs vfs.FS, name, text string) error {
	f, err := fs.Create(name, writeCategory)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	return errors.Join(err, f.Sync(), f.Close())
}

// readSmall is a small file's text; "" when there is none.
func readSmall(fs vfs.FS, name string) (string, error) {
	f, err := fs.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	b := make([]byte, 256)
	n, _ := f.ReadAt(b, 0) // at the end: less
	return strings.TrimSpace(string(b[:n])), f.Close()
}

// ID is the keeper's.
func (k *Keeper) ID() register.KeeperID { return k.id }

// Lost reports whether the folder was that of another keeper, whose data are gone.
func (k *Keeper) Lost() bool { return k.lost }

// Err is nil while the keeper works, ErrOffline with the cause when it does not.
func (k *Keeper) Err() error {
	if cause := k.index.failed(); cause != nil {
		return fmt.Errorf("fs: keeper: %w: %w", ErrOffline, cause)
	}
	return nil
}

// Answer has the acceptor answer requests, in order. What a reply promises is durable
// when it returns. After an error some of it may have happened; after ErrOffline the
// keeper answers nothing more.
func (k *Keeper) Answer(ctx context.Context, requests []register.Request) ([]register.Reply, error) {
	c := &keeperCall{requests: requests, done: make(chan error, 1)}
	select {
	case k.queue <- c:
	case <-k.ended:
		return nil, k.stopped()
	case <-ctx.Done():
		return nil, fmt.Errorf("fs: keeper: %w", ctx.Err())
	}
	select {
	case err := <-c.done:
		if err != nil {
			return nil, fmt.Errorf("fs: keeper: %w", err)
		}
		return c.replies, nil
	case <-k.ended:
		return nil, k.stopped()
	case <-ctx.Done():
		return nil, fmt.Errorf("fs: keeper: %w", ctx.Err())
	}
}

func (k *Keeper) stopped() error {
	if err := k.Err(); err != nil {
		return err
	}
	return fmt.Errorf("fs: keeper: %w", ErrClosed)
}

// run answers until Close or the first failure. It takes all calls that wait as one
// group, so that any number of them share one fsync.
func (k *Keeper) run() {
	defer close(k.ended)
	for {
		var group []*keeperCall
		select {
		case c := <-k.queue:
			group = append(group, c)
		case <-k.index.down:
			return
		case <-k.quit:
			return
		}
		for len(k.queue) > 0 && len(group) < keeperQueue {
			group = append(group, <-k.queue)
		}
		err := k.step(group)
		for _, c := range group {
			c.done <- err
		}
		if err != nil {
			return // the acceptor has gone ahead of its disk
		}
	}
}

// step answers a group and makes it durable.
func (k *Keeper) step(group []*keeperCall) error {
	b := k.index.db.NewBatch()
	defer b.Close()
	for _, c := range group {
		for _, r := range c.requests {
			reply, w := k.acc.Step(r)
			c.replies = append(c.replies, reply)
			if err := putWrite(b, w); err != nil {
				k.index.fail(err)
				return err
			}
		}
	}
	if b.Empty() {
		return nil
	}
	if err := k.index.apply(b, true); err != nil {
		return fmt.Errorf("%w: %w", ErrOffline, err)
	}
	return nil
}

func putWrite(b *pebble.Batch, w *register.Write) error {
	switch {
	case w == nil:
		return nil
	case w.Roster != nil:
		return putKept(b, []byte{keyRoster}, w.Roster)
	}
	return putKept(b, append([]byte{keyCell}, w.Key...), w.Cell)
}

// Close ends the keeper. Calls that wait fail with ErrClosed.
func (k *Keeper) Close() error {
	select {
	case <-k.quit:
	default:
		close(k.quit)
	}
	select {
	case <-k.ended:
	case <-time.After(committerStopMax):
		k.index.wrecked.Store(true)
		k.index.fail(errors.New("index does not answer"))
	}
	if err := k.index.close(); err != nil {
		return fmt.Errorf("fs: close the keeper: %w", err)
	}
	return nil
}

func putKept(b *pebble.Batch, key []byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Set(key, binary.BigEndian.AppendUint32(text, recordSum(key, text)), nil)
}

func decodeKept(key, value []byte, into any) error {
	n := len(value) - 4
	if n < 0 || binary.BigEndian.Uint32(value[n:]) != recordSum(key, value[:n]) {
		return fmt.Errorf("%w: checksum of the keeper's %q", ErrCorrupt, key)
	}
	if err := json.Unmarshal(value[:n], into); err != nil {
		return fmt.Errorf("%w: the keeper's %q: %w", ErrCorrupt, key, err)
	}
	return nil
}
