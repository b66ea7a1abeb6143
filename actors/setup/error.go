package setup

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/mesh"
)

// IsPortInUse reports whether a node found one of its ports taken.
func IsPortInUse(err error) bool {
	return errors.Is(err, mesh.ErrPortInUse) || errors.Is(err, wire.ErrPortInUse) || errors.Is(err, syscall.EADDRINUSE)
}

// PortError explains why a node cannot listen on a port, or join on that base.
func PortError(err error, port, base int) error {
	te := &plan.Error{Kind: plan.KindUnavailable, Op: "start", Text: strings.TrimPrefix(err.Error(), "mesh: join: ")}
	switch {
	case IsPortInUse(err):
		te.Kind = plan.KindExists
		te.Subject = fmt.Sprintf("port %d", port)
		te.Text = "the port is in use"
		te.Hint = fmt.Sprintf("a node takes three ports from its base port, here %d to %d: stop what listens there, or choose another with --port (0 picks free ones)", base, base+api.PortsPerNode-1)
	case errors.Is(err, mesh.ErrWrongKey):
		te.Kind = plan.KindDenied
		te.Hint = "give the same --gossip-key as the other nodes"
	case errors.Is(err, mesh.ErrWrongLabel):
		te.Kind = plan.KindDenied
		te.Hint = "give the same --label as the other nodes, and the base port of a node as --peer"
	case errors.Is(err, mesh.ErrNoSeed):
		te.Hint = "check the address: it is a node's base port (default 7946). To start a new pond, give no --peer; to wait longer, a longer --join-timeout"
	case errors.Is(err, mesh.ErrConfig):
		te.Kind, te.Op = plan.KindUser, plan.OpConfigure
		te.Text = strings.TrimPrefix(te.Text, "mesh: "+mesh.ErrConfig.Error()+": ")
	case errors.Is(err, mesh.ErrInsecure):
		te.Kind = plan.KindUser
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		te.Kind, te.Op = plan.KindUser, plan.OpConfigure
		te.Subject, te.Text = "bind", "no interface of this machine has that address: "+err.Error()
		te.Hint = "give an address of this machine, or 0.0.0.0 with --advertise"
	case errors.Is(err, syscall.EACCES):
		te.Kind = plan.KindDenied
		te.Subject = fmt.Sprintf("port %d", port)
		te.Hint = "ports below 1024 are for the administrator: choose another with --port"
	}
	return &startError{te, err}
}

// startError is a plan.Error that still matches what caused it.
type startError struct {
	err   *plan.Error
	cause error
}

func (e *startError) Error() string { return e.err.Error() }

func (e *startError) Unwrap() []error { return []error{e.err, e.cause} }

// storeError says why the data folder cannot be used.
func storeError(dir string, err error) error {
	te := syserr.Own("open data folder", dir, err)
	switch {
	case errors.Is(err, fs.ErrLocked):
		te.Kind, te.Hint = plan.KindExists, "another node uses it: give each node its own --data"
	case errors.Is(err, fs.ErrReadOnly):
		te.Kind, te.Hint = plan.KindDenied, "make it writable, or choose another with --data"
	case errors.Is(err, fs.ErrNoSpace):
		te.Hint = "free space there, or choose another with --data"
	case errors.Is(err, fs.ErrCorrupt):
		te.Hint = "its index is damaged. Move the folder away, or choose another with --data: what was in it is computed again, and other nodes keep the jobs' records"
	}
	return &startError{te, err}
}
