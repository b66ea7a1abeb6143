package isolate

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/duck"
)

// Requests of a planner, one for each method of prepare.DuckDB.
const (
	methodParse    = "parse"
	methodDeparse  = "deparse"
	methodFooters  = "footers"
	methodColumns  = "columns"
	methodSniff    = "sniff"
	methodDescribe = "describe"
	methodPlan     = "plan"
	methodBind     = "bind"
)

// Bounds of planning.
const (
	planProcesses = 4                // requests at once
	planWaiting   = 1024             // that wait for their turn
	planMemory    = 512 << 20        // bytes of a process
	planTime      = 60 * time.Second // of one request about a statement's text
	planTries     = 2                // of a request whose process died of it
)

// DuckDB answers a Planner by engine processes. Files have no bound on the time that
// they take to be looked at, but for the context.
type DuckDB struct {
	processes *process.Pool
	version   string
	log       *slog.Logger
	turns     chan struct{} // holds a token for each request that may run
	waiting   chan struct{} // the same for each that may wait
}

// NewDuckDB returns one whose requests the pool's processes answer.
func NewDuckDB(p *process.Pool, log *slog.Logger) *DuckDB {
	return &DuckDB{processes: p, version: duck.Version(), log: log, turns: make(chan struct{}, planProcesses), waiting: make(chan struct{}, planWaiting)}
}

var _ prepare.DuckDB = (*DuckDB)(nil)

// Version implements prepare.DuckDB.
func (d *DuckDB) Version() string { return d.version }

// Parse implements prepare.DuckDB.
func (d *DuckDB) Parse(ctx context.Context, sql string) (prepare.Tree, error) {
	return request[prepare.Tree](ctx, d, asked{method: methodParse, limit: planTime, statement: sql}, sql)
}

// Deparse implements prepare.DuckDB.
func (d *DuckDB) Deparse(ctx context.Context, tree []byte) (string, error) {
	return request[string](ctx, d, asked{method: methodDeparse, limit: planTime}, tree)
}

// Footers implements prepare.DuckDB.
func (d *DuckDB) Footers(ctx context.Context, paths []string) ([]duck.Footer, error) {
	return request[[]duck.Footer](ctx, d, asked{method: methodFooters, files: paths}, paths)
}

// Columns implements prepare.DuckDB.
func (d *DuckDB) Columns(ctx context.Context, sql string, access []string) ([]plan.Column, error) {
	return request[[]plan.Column](ctx, d, asked{method: methodColumns, files: access}, sql)
}

// Sniff implements prepare.DuckDB.
func (d *DuckDB) Sniff(ctx context.Context, path string, o plan.ScanOptions) (map[string]string, error) {
	return request[map[string]string](ctx, d, asked{method: methodSniff, files: []string{path}}, sniffRequest{path, o})
}

type sniffRequest struct {
	Path    string
	Options plan.ScanOptions
}

// Describe implements prepare.DuckDB.
func (d *DuckDB) Describe(ctx context.Context, op *plan.SQLOp, access []string) (prepare.Shape, error) {
	return request[prepare.Shape](ctx, d, asked{method: methodDescribe, files: access, limit: planTime, statement: op.Query}, describeRequest{op, access})
}

type describeRequest struct {
	Op     *plan.SQLOp
	Access []string
}

// Plan implements prepare.DuckDB.
func (d *DuckDB) Plan(ctx context.Context, r prepare.PlanRequest) (prepare.Planned, error) {
	return request[prepare.Planned](ctx, d, asked{method: methodPlan, files: r.Access, limit: planTime, statement: r.SQL}, r)
}

// Bind implements prepare.DuckDB. The process is one that may then run the stage.
func (d *DuckDB) Bind(ctx context.Context, r prepare.BindRequest) error {
	access := accessOf(r.Stage, r.Access, "")
	_, err := request[bool](ctx, d, asked{method: methodBind, access: &access, files: r.Access, limit: planTime, statement: r.SQL}, r)
	return err
}

// asked is what a request is about.
type asked struct {
	method    string
	files     []string        // that it may look at
	access    *process.Access // nil: to read files
	limit     time.Duration   // 0: none
	statement string
}

// request has a process answer. One that dies of it is replaced, and asked once more.
func request[Resp any](ctx context.Context, d *DuckDB, q asked, req any) (resp Resp, err error) {
	var body bytes.Buffer
	if err := gob.NewEncoder(&body).Encode(req); err != nil {
		return resp, fmt.Errorf("isolate: ask to %s: %w", q.method, err)
	}
	if err := d.enter(ctx); err != nil {
		return resp, err
	}
	defer d.leave()
	for try := 1; ; try++ {
		var out []byte
		out, err = d.try(ctx, &q, body.Bytes())
		if err == nil {
			if err := gob.NewDecoder(bytes.NewReader(out)).Decode(&resp); err != nil && !errors.Is(err, io.EOF) {
				return resp, fmt.Errorf("isolate: answer to %s: %w", q.method, err)
			}
			return resp, nil
		}
		died := errors.Is(err, plan.ErrCrash) || errors.Is(err, plan.ErrUnavailable)
		if !died || try == planTries || ctx.Err() != nil {
			return resp, q.explain(err)
		}
		d.log.Warn("an engine process died of a planner's request, which is tried once more", "request", q.method, "err", err)
	}
}

// enter waits for the request's turn.
func (d *DuckDB) enter(ctx context.Context) error {
	select {
	case d.turns <- struct{}{}:
		return nil
	default:
	}
	select {
	case d.waiting <- struct{}{}:
		defer func() { <-d.waiting }()
	default:
		return &plan.Error{Kind: plan.KindResource, Op: "plan", Text: fmt.Sprintf("%d statements wait to be planned on this node", planWaiting), Hint: "try again later, or at another node"}
	}
	select {
	case d.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (d *DuckDB) leave() { <-d.turns }

// errPlanTime is the cause of a request's end when it took too long.
var errPlanTime = errors.New("planning takes too long")

// try asks one process.
func (d *DuckDB) try(ctx context.Context, q *asked, body []byte) ([]byte, error) {
	access := process.Access{Read: slices.Sorted(slices.Values(q.files))}
	if q.access != nil {
		access = *q.access
	}
	pr, err := d.processes.Get(ctx, process.Need{Access: access, Memory: planMemory})
	if err != nil {
		return nil, err
	}
	defer d.processes.Put(pr)
	if q.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, q.limit, errPlanTime)
		defer cancel()
	}
	out, _, err := pr.Run(ctx, q.method, body, nil)
	if errors.Is(err, errPlanTime) {
		err = &plan.Error{Kind: plan.KindUser, Op: "plan", Text: fmt.Sprintf("DuckDB has planned the statement for %v and is not done", q.limit), Hint: "make it simpler: fewer terms in an expression, fewer nested queries"}
	}
	return out, err
}

// statementMax is how much of a statement an error shows.
const statementMax = 200

// explain says what a process died of.
func (q *asked) explain(err error) error {
	pe := plan.AsError(err)
	if pe.Kind != plan.KindCrash && pe.Kind != plan.KindMemory {
		return err
	}
	with := *pe
	with.Op = "plan"
	if text := strings.Join(strings.Fields(q.statement), " "); text != "" {
		if len(text) > statementMax {
			text = strings.ToValidUTF8(text[:statementMax], "") + " …"
		}
		with.Text += " while it planned: " + text
	}
	if len(q.files) > 0 {
		with.Text += ", which reads " + engines.Names(q.files)
		if pe.Kind == plan.KindCrash {
			with.Hint = "look whether the files are whole"
		}
	}
	return &with
}

// answer answers a planner in the engine process.
func answer(ctx context.Context, d prepare.DuckDB, method string, body []byte) ([]byte, error) {
	switch method {
	case methodParse:
		return reply(body, func(sql string) (any, error) { return d.Parse(ctx, sql) })
	case methodDeparse:
		return reply(body, func(tree []byte) (any, error) { return d.Deparse(ctx, tree) })
	case methodFooters:
		return reply(body, func(paths []string) (any, error) { return d.Footers(ctx, paths) })
	case methodColumns:
		return reply(body, func(sql string) (any, error) { return d.Columns(ctx, sql, nil) })
	case methodSniff:
		return reply(body, func(r sniffRequest) (any, error) { return d.Sniff(ctx, r.Path, r.Options) })
	case methodDescribe:
		return reply(body, func(r describeRequest) (any, error) { return d.Describe(ctx, r.Op, r.Access) })
	case methodPlan:
		return reply(body, func(r prepare.PlanRequest) (any, error) { return d.Plan(ctx, r) })
	case methodBind:
		return reply(body, func(r prepare.BindRequest) (any, error) { return true, d.Bind(ctx, r) })
	}
	return nil, fmt.Errorf("isolate: a node asks for %q", method)
}

func reply[Req any](body []byte, f func(Req) (any, error)) ([]byte, error) {
	var req Req
	if err := gob.NewDecoder(bytes.NewReader(body)).Decode(&req); err != nil {
		return nil, fmt.Errorf("isolate: a request that cannot be read: %w", err)
	}
	resp, err := f(req)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(resp); err != nil {
		return nil, fmt.Errorf("isolate: an answer that cannot be written: %w", err)
	}
	return out.Bytes(), nil
}
