// Package audit writes who handed in what: one line of the node's log for each request to
// run a job.
//
// A line names the caller, the files and a hash of the statement. It refuses to repeat
// anything of the statement itself, and to say what becomes of the job later.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"slices"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of what an audit line says.
const (
	auditFilesMax = 4 // named; how many there are is said too
	auditTextMax  = 256
	auditHashLen  = 16 // hex digits of a statement's SHA-256
)

// Submission is a request to run a job, taken or refused, by a node that is asked to.
type Submission struct {
	by        auth.Identity
	from      string
	statement string // the beginning of its SHA-256; empty: none was given
	spec      *api.JobSpec
}

// New is called before the job is planned: its statement is gone from the spec then. spec
// is nil when there was none to be read.
func New(r *http.Request, by auth.Identity, spec *api.JobSpec) *Submission {
	a := &Submission{by: by, from: r.RemoteAddr, spec: spec}
	if spec == nil {
		a.spec = new(api.JobSpec)
	}
	if a.spec.SQL != "" {
		sum := sha256.Sum256([]byte(a.spec.SQL))
		a.statement = hex.EncodeToString(sum[:])[:auditHashLen]
	}
	return a
}

// End writes the line, once it is known what comes of the submission.
func (a *Submission) End(ctx context.Context, log *slog.Logger, err error) {
	attrs := []slog.Attr{slog.String("user", a.user()), slog.String("role", a.by.Role.String()), slog.String("from", a.from), slog.String("job", clipped(string(a.spec.ID))), slog.String("statement", a.statement)}
	if p := a.spec.Plan; p != nil && a.spec.Digest != "" { // else it may be its client's word
		files := filesOf(p)
		attrs = append(attrs, slog.Int("files", len(files)), slog.Any("reads", firstOf(files)))
		if p.Sink.Write != nil {
			attrs = append(attrs, slog.String("writes", clipped(p.Sink.Write.Path)))
		}
	}
	switch {
	case err == nil:
		attrs = append(attrs, slog.String("outcome", "taken"))
	case ctx.Err() != nil:
		attrs = append(attrs, slog.String("outcome", "abandoned"))
	default:
		attrs = append(attrs, slog.String("outcome", "refused"), slog.String("why", plan.KindOf(err).String()))
	}
	log.LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
}

// user is the caller, or whom a caller that has no name says that it asks for.
func (a *Submission) user() string {
	if a.by.User == "" {
		return clipped(a.spec.User)
	}
	return clipped(a.by.User)
}

// filesOf are the files, folders and patterns that a planned job reads.
func filesOf(p *plan.Plan) []string {
	var files []string
	for i := range p.Nodes {
		switch n := &p.Nodes[i]; {
		case n.Read != nil:
			files = append(files, n.Read.Paths...)
		case n.SQL != nil && len(n.Inputs) == 0: // of others a plan's word on files counts for nothing
			files = append(files, n.SQL.Access...)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func firstOf(files []string) []string {
	out := make([]string, min(len(files), auditFilesMax))
	for i := range out {
		out[i] = clipped(files[i])
	}
	return out
}

func clipped(s string) string {
	if len(s) <= auditTextMax {
		return s
	}
	return s[:auditTextMax] + "…"
}
