package storage

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pondmesh/pond/fs/collect"
)

// partialsMax bounds the files of which a node has a beginning.
const partialsMax = 1024

// errTooMany: partialsMax are on their way.
var errTooMany = errors.New("too many files are being put through this node, or were begun and left")

// partials are files of which this node has a beginning. They outlast its process.
type partials struct {
	dir string
	mu  sync.Mutex
	in  map[string]*partial // that are in use
}

// partial is one of them.
type partial struct {
	path  string
	turn  chan struct{} // held by whoever writes it
	users int
}

func (p *partials) open(dir string) error {
	p.dir, p.in = dir, map[string]*partial{}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return p.sweep()
}

// sweep removes those that nobody has gone on with for as long as a lease is kept.
func (p *partials) sweep() error {
	list, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < collect.Kept().Lease || p.inUse(e.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(p.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (p *partials) inUse(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.in[name] != nil
}

// take is the partial of a file that is put, for one request at a time: others wait.
func (p *partials) take(ctx context.Context, key string) (*partial, error) {
	sum := sha256.Sum256([]byte(key))
	one, err := p.enter(hex.EncodeToString(sum[:]))
	if err != nil {
		return nil, err
	}
	select {
	case one.turn <- struct{}{}:
		return one, nil
	case <-ctx.Done():
		p.leave(one)
		return nil, context.Cause(ctx)
	}
}

// enter counts a request among those that use a partial. It is errTooMany if that would be
// one more than there may be.
func (p *partials) enter(name string) (*partial, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.in[name]
	if one == nil {
		one = &partial{path: filepath.Join(p.dir, name), turn: make(chan struct{}, 1)}
		if n, err := one.have(); err != nil {
			return nil, err
		} else if n < 0 {
			list, err := os.ReadDir(p.dir)
			if err != nil {
				return nil, err
			}
			if max(len(list), len(p.in)) >= partialsMax { // one in use may have no file yet
				return nil, errTooMany
			}
		}
		p.in[name] = one
	}
	one.users++
	return one, nil
}

// release ends a request's turn.
func (p *partials) release(one *partial) {
	<-one.turn
	p.leave(one)
}

func (p *partials) leave(one *partial) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(p.in, filepath.Base(one.path))
	}
}

// have is how many bytes are here; -1: there is no such file.
func (one *partial) have() (int64, error) {
	info, err := os.Stat(one.path)
	if errors.Is(err, os.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// add appends what comes, as it is said so many bytes (0 or less: not known), of which
// those before have are here already. What came before an error stays.
func (one *partial) add(in io.Reader, size, at, have int64) (int64, error) {
	f, err := os.OpenFile(one.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	if _, err = io.CopyN(io.Discard, in, have-at); err == nil {
		n, err = appendTo(f, in, size-(have-at))
	}
	if errors.Is(err, io.EOF) { // all of it was here
		err = nil
	}
	return have + n, errors.Join(err, f.Close())
}

// appendBytes are written at once: a page cache that was filled by small writes, or odd
// ones, is read a third slower.
const appendBytes = 1 << 20

// appendTo appends all that comes, and what came before an error.
func appendTo(f *os.File, in io.Reader, size int64) (int64, error) {
	if size <= 0 || size > appendBytes {
		size = appendBytes
	}
	w := bufio.NewWriterSize(struct{ io.Writer }{f}, int(size)) // no ReaderFrom, which would pass the buffer by
	n, err := w.ReadFrom(in)
	if e := w.Flush(); err == nil {
		err = e
	}
	return n - int64(w.Buffered()), err
}

// check compares the bytes with what they are to be. A file that is another goes.
func (one *partial) check(sum string) error {
	f, err := os.Open(one.path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return errors.Join(fmt.Errorf("%w: its SHA-256 is %s, and not %.80s", errChanged, got, sum), os.Remove(one.path))
	}
	return nil
}

// errChanged: other bytes came than were announced.
var errChanged = errors.New("the file changed while it was put")
