package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/edge"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// Footers are those of Parquet files: see prepare.DuckDB.
type Footers interface {
	Footers(ctx context.Context, paths, access []string, each func(from int, list []duck.Footer) error) error
}

// Config is what a Server needs of its node.
type Config struct {
	Datasets func() *datasets.Datasets // called by routes only
	Copies   *replicas.Replicas
	Footers  Footers
	Rules    *access.Rules
	Peers    *peers.Peers
	View     func() *mesh.View
	Dir      string       // for files on their way; on the disk of uploads best
	Room     func() error // why that disk is too full for more
	Log      *slog.Logger
}

// Server answers the routes. It is safe for concurrent use.
type Server struct {
	c        Config
	partials partials
	sessions sessions
}

// New returns a Server. What was on its way to the node before stays for a while.
func New(c Config) (*Server, error) {
	s := &Server{c: c}
	if err := s.partials.open(c.Dir); err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	return s, nil
}

// Route is one of the node's API.
type Route struct {
	Pattern string
	Least   auth.Role
	BodyMax int64 // bytes; 0: none is read
	Answer  edge.Answer
}

// Routes are those of the Server.
func (s *Server) Routes() []Route {
	return []Route{
		{"GET /v1/datasets", auth.Read, 0, s.list},
		{"DELETE /v1/datasets/{name}", auth.Submit, 0, s.drop},
		{"GET /v1/datasets/{name}", auth.Read, 0, s.look},
		{"GET /v1/datasets/{name}/files", auth.Submit, 0, s.read},
		{"GET /v1/datasets/{name}/sent", auth.Node, 0, s.sent},
		{"POST /v1/datasets/{name}/puts/{id}", auth.Submit, bodySmall, s.begin},
		{"DELETE /v1/datasets/{name}/puts/{id}", auth.Submit, 0, s.giveUp},
		{"PUT /v1/datasets/{name}/puts/{id}/files", auth.Submit, api.PieceMax, s.piece},
		{"POST /v1/datasets/{name}/puts/{id}/publish", auth.Submit, api.PutListMax, s.publish},
		{"POST /v1/datasets/{name}/puts/{id}/remove", auth.Submit, api.PutListMax, s.remove},
		{"GET /v1/storage", auth.Read, 0, s.status},
		{"POST /v1/storage/repair", auth.Admin, 0, s.repair},
		{"POST /v1/storage/scrub", auth.Admin, 0, s.scrub},
		{"POST /v1/storage/drain", auth.Admin, 0, s.drain},
		{"POST /v1/storage/forget", auth.Admin, 0, s.forgetNodes},
	}
}

// Bodies are bounds of bodies, by pattern, with those of the Server's routes.
func (s *Server) Bodies(others map[string]int64) map[string]int64 {
	out := maps.Clone(others)
	for _, r := range s.Routes() {
		if r.BodyMax > 0 {
			out[r.Pattern] = r.BodyMax
		}
	}
	return out
}

// bodySmall bounds a body that says how something is to be done.
const bodySmall = 4 << 10

// writer is the caller as one who changes datasets.
func (s *Server) writer(r *http.Request) dataset.Writer {
	c := edge.CallerOf(r)
	return dataset.Writer{Name: c.User, Admin: c.May(auth.Admin)}
}

// mayRead is nil if a dataset, or a file of it, is given to whoever asks a node.
func (s *Server) mayRead(ref dataset.Ref) error { return s.c.Rules.Check().Read(ref.String()) }

func (s *Server) mayWrite(name string) error {
	_, err := s.c.Rules.Check().Write(dataset.Ref{Name: name}.String())
	return err
}

// note writes who changed what into the log, as submissions are.
func (s *Server) note(r *http.Request, what, name string, err error, attrs ...slog.Attr) {
	by := edge.CallerOf(r)
	attrs = append([]slog.Attr{slog.String("user", by.User), slog.String("role", by.Role.String()), slog.String("from", r.RemoteAddr), slog.String("does", what), slog.String("writes", clipped(name))}, attrs...)
	switch {
	case err == nil:
		attrs = append(attrs, slog.String("outcome", "taken"))
	case r.Context().Err() != nil:
		attrs = append(attrs, slog.String("outcome", "abandoned"))
	default:
		attrs = append(attrs, slog.String("outcome", "refused"), slog.String("why", plan.KindOf(err).String()))
	}
	s.c.Log.LogAttrs(r.Context(), slog.LevelInfo, "audit", attrs...)
}

// clippedMax bounds a caller's own words in the log.
const clippedMax = 256

func clipped(s string) string { return s[:min(len(s), clippedMax)] }

// count reads a number of a request; without one it is 0.
func count(r *http.Request, name string) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, &plan.Error{Kind: plan.KindUser, Op: r.Method, Subject: r.URL.Path, Text: fmt.Sprintf("%s=%.80q is no number of bytes or of a version", name, text)}
	}
	return n, nil
}

// told gives an error about a dataset its kind.
func told(op, name string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if pe := (*plan.Error)(nil); errors.As(err, &pe) && pe.Kind != plan.KindInternal {
		return err
	}
	e := &plan.Error{Kind: plan.KindInternal, Op: op, Subject: name, Text: err.Error()}
	switch {
	case errors.Is(err, dataset.ErrExists):
		e.Kind, e.Hint = plan.KindExists, "--append adds files beside those that are there, --overwrite has them take the place of all others, both together of those with the same path"
	case errors.Is(err, dataset.ErrNotFound) && op == "drop":
		e.Kind, e.Text, e.Hint = plan.KindNotFound, "there is no such dataset", "pondnode fs ls, or SHOW TABLES, lists those there are"
	case errors.Is(err, dataset.ErrNotFound):
		e.Kind, e.Hint = plan.KindNotFound, "pondnode fs ls lists datasets, and the files of one"
	case errors.Is(err, dataset.ErrNotOwner):
		e.Kind, e.Hint = plan.KindDenied, "ask its owner, or a user with the role admin"
	case errors.Is(err, dataset.ErrName):
		e.Kind, e.Hint = plan.KindUser, "a dataset has a name such as pond://sales, and files below it, of which no first folder is a number"
	case errors.Is(err, dataset.ErrColumns):
		e.Kind, e.Hint = plan.KindUser, "put what has other columns, or is no Parquet, into another dataset"
	case errors.Is(err, dataset.ErrTooLarge):
		e.Kind, e.Hint = plan.KindUser, "put fewer and larger files, or several datasets"
	case errors.Is(err, collect.ErrCondemned):
		e.Kind, e.Hint = plan.KindFenced, "begin again: what was sent before is no more"
	case errors.Is(err, register.ErrMinority), errors.Is(err, register.ErrUnknown):
		e.Kind, e.Hint = plan.KindUnavailable, "bring back nodes that keep the registers: pondnode members shows them"
	case errors.Is(err, datasets.ErrBusy), errors.Is(err, collect.ErrTooMany):
		e.Kind, e.Hint = plan.KindBusy, "try again"
	case errors.Is(err, replica.ErrUnavailable), errors.Is(err, replica.ErrTooFew):
		e.Kind, e.Hint = plan.KindUnavailable, "bring back the nodes that hold it: pondnode fs status shows them"
	case errors.Is(err, replica.ErrLost):
		e.Kind, e.Hint = plan.KindLost, "every copy is damaged or gone: put it again; pondnode fs status shows what is in quarantine"
	case errors.Is(err, replicas.ErrThere):
		e.Kind, e.Hint = plan.KindExists, "one that is to hold no copies is drained: pondnode fs drain NODE; one that died just now is seen to be gone within seconds"
	case errors.Is(err, replicas.ErrNoPlace):
		e.Kind, e.Hint = plan.KindNotFound, "pondnode fs status names those that do not answer"
	case errors.Is(err, replicas.ErrMoving):
		e.Kind, e.Hint = plan.KindUnavailable, "try again when they are carried out: pondnode fs status"
	case errors.Is(err, fs.ErrOffline), syserr.Disk(err):
		own := syserr.Own(op, name, err)
		e.Kind, e.Hint = own.Kind, own.Hint+"; pondnode fs status shows the disks"
	}
	return e
}
