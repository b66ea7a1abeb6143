package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Object is one version of a file that is somewhere else.
type Object struct {
	Name    string    // its whole URL, without a pattern
	Size    int64     // bytes
	Version string    // what its place calls this content, as an ETag; empty: the place does not tell versions apart
	ModTime time.Time // zero: unknown
}

// Source is a place that objects can be read from. It is safe for concurrent use.
// Errors match the sentinels of this package and name the object.
type Source interface {
	// Find lists the objects that a name or a pattern means, in order of name, each
	// once. It is ErrNotFound if there is none, and ErrPattern where a place cannot
	// list. *, ?, [a-z] and ** mean what they mean to DuckDB.
	Find(ctx context.Context, pattern string) ([]Object, error)
	// Open reads n bytes from offset off: exactly those, or an error, from Open or
	// from the reader. The caller closes the reader. Open is ErrChanged if the object
	// is no longer of that version, and ErrRange beyond its size.
	Open(ctx context.Context, o Object, off, n int64) (io.ReadCloser, error)
}

// Sink is a Source that objects can be written to.
type Sink interface {
	Source
	// Put stores size bytes of r under name and returns the object, visible as a whole
	// or not at all, if what it is to depend on holds at that moment. Of several that
	// depend on the same, one alone succeeds.
	Put(ctx context.Context, name string, r io.Reader, size int64, when If) (Object, error)
	// Delete removes an object. It is no error that there is none.
	Delete(ctx context.Context, name string) error
}

// If is what a write depends on. The zero If is nothing. Where a version is a hash of the
// content, one that is there again is taken for one that was never replaced.
type If struct {
	Absent  bool   // there is no such object: else ErrExists
	Version string // there is one, of this version: else ErrChanged; empty: any
}

// Stager is a Sink to which objects can be brought before they are shown.
type Stager interface {
	Sink
	// Stage stores size bytes of r, to be shown as name. Nothing is seen of it until then.
	Stage(ctx context.Context, name string, r io.Reader, size int64) (Staged, error)
	// Show makes visible what was staged, as Put does. It may be repeated: what has been
	// shown already and is still there, is the object. It is ErrNotFound if neither it
	// nor what was staged is there.
	Show(ctx context.Context, s Staged, when If) (Object, error)
	// Unstage drops what was staged, unless it has been shown. It may be repeated.
	Unstage(ctx context.Context, s Staged) error
	// Staged lists what is staged, as well as the place knows, for names that begin with
	// prefix. It is to be dropped: of what is listed only that is known which Unstage needs.
	Staged(ctx context.Context, prefix string) ([]Staged, error)
}

// Staged is an object that is not shown yet, in the words of its place.
type Staged struct {
	Name   string   `json:"name"`
	Size   int64    `json:"size"`
	Upload string   `json:"upload"`
	Parts  []string `json:"parts"` // versions of its parts, in order
	Mark   string   `json:"mark"`  // by which it is known when it has been shown
}

// As is a source as a place to write to: ErrReadOnly if it is none of that kind.
func As[T Sink](s Source, name string) (T, error) {
	to, ok := s.(T)
	if !ok {
		return to, &Error{Op: "write", Name: name, Kind: ErrReadOnly}
	}
	return to, nil
}

// Sentinels for errors.Is.
var (
	ErrNotFound    = errors.New("no such object")
	ErrNoPlace     = fmt.Errorf("%w", ErrNotFound) // nor the bucket that it is to be in
	ErrDenied      = errors.New("access denied")
	ErrUnavailable = errors.New("unavailable")                               // the place does not answer, or not as it should; it may later
	ErrChanged     = errors.New("the object has changed since it was found") // or is no longer there
	ErrRange       = errors.New("range outside the object")
	ErrPattern     = errors.New("no pattern for this place")
	ErrName        = errors.New("no name of an object")
	ErrExists      = errors.New("already exists")
	ErrReadOnly    = errors.New("this place is only read")
	ErrTooLarge    = errors.New("too large for this place")
)

// Error is what failed: an operation on an object. It unwraps to a sentinel and to
// what the place said.
type Error struct {
	Op     string // "find", "read", "write"
	Name   string // the object or the pattern
	Kind   error  // one of the sentinels
	Detail string // what the place said, without secrets; may be empty
	Hint   string // what to do about it; may be empty
}

func (e *Error) Error() string { return e.Op + " " + e.Name + ": " + e.Why() }

// Why is the error without what failed.
func (e *Error) Why() string {
	if e.Detail == "" {
		return e.Kind.Error()
	}
	return e.Kind.Error() + ": " + e.Detail
}

func (e *Error) Unwrap() error { return e.Kind }

// CheckRange is ErrRange unless the range lies within o.
func CheckRange(o Object, off, n int64) error {
	if off < 0 || n < 0 || off > o.Size || n > o.Size-off {
		return &Error{Op: "read", Name: o.Name, Kind: ErrRange}
	}
	return nil
}

// Exactly is r cut at n bytes, with an ErrUnavailable where it ends before.
func Exactly(o Object, r io.ReadCloser, n int64) io.ReadCloser {
	return &exact{ReadCloser: r, object: o, left: n}
}

type exact struct {
	io.ReadCloser
	object Object
	left   int64 // 0 ≤ left ≤ n: bytes still to come
}

func (e *exact) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.ReadCloser.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	switch {
	case e.left == 0:
		return n, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return n, &Error{Op: "read", Name: e.object.Name, Kind: ErrUnavailable, Detail: "the answer ended early"}
	case err != nil && !errors.As(err, new(*Error)):
		return n, &Error{Op: "read", Name: e.object.Name, Kind: ErrUnavailable, Detail: err.Error()}
	}
	return n, err
}

// ReadAll reads n bytes from offset off into memory.
func ReadAll(ctx context.Context, s Source, o Object, off, n int64) ([]byte, error) {
	r, err := s.Open(ctx, o, off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	out := make([]byte, n)
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, err
	}
	return out, nil
}
