// Package carry carries files between a local disk and datasets of a pond.
//
//	Put: local files ─▶ their SHA-256 ─▶ what is not there yet, piece by piece ─▶ one version
//	Get: files of a version ─▶ beside their target, from where a run before stopped ─▶ renamed
//
// Both go on where they broke off: Put by its id, in which the pond knows what it has; Get
// by what is there of a file, whose name says which upload it is of. Nodes that die
// meanwhile are the client's to replace: see package api.
//
// It refuses to draw progress, to keep ids, and to choose how files come to a dataset that
// is there: its caller says that.
//
// Read put.go, then get.go and local.go.
package carry

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of what is done at once, and again.
const (
	filesAtOnce = 4
	triesMax    = 16 // of one step that gets nowhere
	roundsMax   = 4  // of what was lost before it was published
)

// Pond is what is carried to and from: see api.Client.
type Pond interface {
	BeginPut(ctx context.Context, name, id, mode string) (*api.PutFiles, error)
	PutPiece(ctx context.Context, name, id string, f api.PutFile, at int64, piece []byte) (*api.PutProgress, error)
	EndPut(ctx context.Context, name, id string, put *api.PutFiles) (*api.PutFiles, error)
	ReadFile(ctx context.Context, name string, version uint64, path string, at int64, use func(io.Reader) error) error
}

// Progress is how far it has come.
type Progress struct {
	Files, Done int   // of so many
	Bytes, Have int64 // at the other end, of so many
	Kept        int   // files that were there from a run before
}

// meter counts what is done, and tells.
type meter struct {
	mu   sync.Mutex
	p    Progress
	tell func(Progress)
}

func (m *meter) add(change func(*Progress)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.p)
	if m.tell != nil {
		m.tell(m.p)
	}
}

// mistake is an error of the user's about a local file.
func mistake(op, subject, hint string, err error) error {
	kind := plan.KindUser
	switch {
	case errors.Is(err, errThere):
		kind = plan.KindExists
	case errors.Is(err, fs.ErrPermission):
		kind = plan.KindDenied
	}
	return &plan.Error{Kind: kind, Op: op, Subject: subject, Text: err.Error(), Hint: hint}
}
