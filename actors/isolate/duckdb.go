package isolate

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/funcs"
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
	methodFolders  = "folders"
)

// planTries is how often a request is made whose process dies of it.
const planTries = 2

// planMemory is what a process that plans may have: half of the node's, within these
// bounds, in bytes.
const (
	planMemoryMin = 192 << 20
	planMemoryMax = 512 << 20
)

// DuckDB answers a Planner by engine processes.
type DuckDB struct {
	processes *process.Pool
	funcs     *funcs.Registry // called in this process
	memory    int64           // bytes that a process may have
	log       *slog.Logger
	turns     *turns
}

// NewDuckDB returns one whose requests the pool's processes answer, on a node with that
// many bytes of memory. SQL may call the functions of f, which nil stands for none of.
func NewDuckDB(p *process.Pool, f *funcs.Registry, memory int64, log *slog.Logger) *DuckDB {
	if f == nil {
		f = new(funcs.Registry)
	}
	return &DuckDB{processes: p, funcs: f, memory: min(max(memory/2, planMemoryMin), planMemoryMax), log: log, turns: newTurns()}
}

var _ prepare.DuckDB = (*DuckDB)(nil)

// Version implements prepare.DuckDB.
func (d *DuckDB) Version() string { return duck.Version() }

// Parse implements prepare.DuckDB.
func (d *DuckDB) Parse(ctx context.Context, sql string) (prepare.Tree, error) {
	tree, err := request[[]byte](ctx, d, asked{method: methodParse, statement: sql}, sql)
	return prepare.Tree{JSON: tree, None: err == nil && len(tree) == 0}, err
}

// Deparse implements prepare.DuckDB.
func (d *DuckDB) Deparse(ctx context.Context, tree []byte) (string, error) {
	text, err := request[[]byte](ctx, d, asked{method: methodDeparse}, tree)
	return string(text), err
}

// Footers implements prepare.DuckDB. The process hands them over while it reads on.
func (d *DuckDB) Footers(ctx context.Context, paths, access []string, each func(from int, list []duck.Footer) error) error {
	var mu sync.Mutex
	done, over := 0, false
	got := func(body []byte, files []*os.File) error {
		in, err := received(body, files)
		if err != nil {
			return err
		}
		defer in.Close()
		var some footersReply
		if err := gob.NewDecoder(io.LimitReader(in, footerMax)).Decode(&some); err != nil {
			return fmt.Errorf("isolate: footers: %w", err)
		}
		mu.Lock()
		defer mu.Unlock()
		if over || some.From < 0 || some.From > done || some.From+len(some.List) > len(paths) {
			return &plan.Error{Kind: plan.KindInternal, Op: "read", Text: "an engine process gives footers that nobody wants"}
		}
		done = max(done, some.From+len(some.List))
		return each(some.From, some.List)
	}
	_, err := request[[]byte](ctx, d, asked{method: methodFooters, files: access, footers: got}, paths)
	mu.Lock()
	defer mu.Unlock()
	if over = true; err == nil && done < len(paths) {
		return &plan.Error{Kind: plan.KindInternal, Op: "read", Text: fmt.Sprintf("an engine process gave %d of %d footers", done, len(paths))}
	}
	return err
}

// footersReply is some of the footers that were asked for, from an index on.
type footersReply struct {
	From int
	List []duck.Footer
}

// Columns implements prepare.DuckDB.
func (d *DuckDB) Columns(ctx context.Context, sql string, access []string) ([]plan.Column, error) {
	return request[[]plan.Column](ctx, d, asked{method: methodColumns, files: access}, columnsRequest{sql, access})
}

type columnsRequest struct {
	SQL    string
	Access []string
}

// Sniff implements prepare.DuckDB.
func (d *DuckDB) Sniff(ctx context.Context, path string, access []string, o plan.ScanOptions) (map[string]string, error) {
	return request[map[string]string](ctx, d, asked{method: methodSniff, files: access}, sniffRequest{path, access, o})
}

type sniffRequest struct {
	Path    string
	Access  []string
	Options plan.ScanOptions
}

// Describe implements prepare.DuckDB.
func (d *DuckDB) Describe(ctx context.Context, op *plan.SQLOp, access []string) (prepare.Shape, error) {
	return request[prepare.Shape](ctx, d, asked{method: methodDescribe, files: access, statement: op.Query, more: prepare.PivotTime(op.Query)}, describeRequest{op, access})
}

type describeRequest struct {
	Op     *plan.SQLOp
	Access []string
}

// Plan implements prepare.DuckDB.
func (d *DuckDB) Plan(ctx context.Context, r prepare.PlanRequest) (prepare.Planned, error) {
	return request[prepare.Planned](ctx, d, asked{method: methodPlan, files: r.Access, statement: r.SQL}, r)
}

// Folders implements prepare.DuckDB.
func (d *DuckDB) Folders(ctx context.Context, r prepare.FoldersRequest) (int64, error) {
	return request[int64](ctx, d, asked{method: methodFolders, files: r.Access, statement: r.SQL}, r)
}

// asked is what a request is about.
type asked struct {
	method    string
	files     []string                                  // that it may look at, and folders with a slash at the end
	statement string                                    // that it is about; may be empty
	more      time.Duration                             // that it may take
	footers   func(body []byte, files []*os.File) error // takes footers; nil: there are none
}

// request has a process answer. One that dies of it is replaced, and asked once more; so is
// one whose files were replaced.
func request[Resp any](ctx context.Context, d *DuckDB, q asked, req any) (resp Resp, err error) {
	body, err := toBytes(req)
	if err != nil {
		return resp, err
	}
	read := slices.Compact(slices.Sorted(slices.Values(q.files)))
	var out []byte
	for died, moved := 1, 1; ; {
		access := process.Access{Read: read}.Resolved()
		err = d.turns.do(ctx, func(ctx context.Context) (err error) {
			out, err = d.try(ctx, &q, access, body)
			return err
		})
		switch gone := errors.Is(err, plan.ErrCrash) || errors.Is(err, plan.ErrUnavailable); {
		case err == nil:
			return resp, fromBytes(out, &resp)
		case ctx.Err() != nil:
			return resp, err
		case gone && died < planTries:
			died++
			d.log.Warn("an engine process died of a planner's request, which is made once more", "request", q.method, "err", err)
		case !refused(err) || !access.Moved():
			return resp, err
		case moved < movedTries:
			moved++
		default:
			return resp, moving(err)
		}
	}
}

// toBytes is a request or an answer as it travels: bytes and text as they are, for
// trees are large, and others as JSON.
func toBytes(v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return v, nil
	case string:
		return []byte(v), nil
	}
	return jsonOf(v)
}

// fromBytes reads what toBytes wrote.
func fromBytes(body []byte, to any) error {
	switch to := to.(type) {
	case *[]byte:
		*to = body
		return nil
	case *string:
		*to = string(body)
		return nil
	}
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("isolate: a message that cannot be read: %w", err)
	}
	return nil
}

// try asks one process.
func (d *DuckDB) try(ctx context.Context, q *asked, access process.Access, body []byte) ([]byte, error) {
	pr, err := d.processes.Get(ctx, process.Need{Access: access, Memory: d.memory})
	if err != nil {
		return nil, err
	}
	limited, cancel := engines.WithTime(ctx, engines.PlanTime(len(access.Read))+q.more)
	defer cancel()
	out, err := pr.Run(limited, q.method, body, func(ctx context.Context, method string, body []byte, files []*os.File) ([]byte, []*os.File, error) {
		return d.serve(ctx, q, pr.Dir(), method, body, files)
	})
	err = died(pr, err, "plan", "planned", q.statement, engines.FilesOf(q.files))
	back(d.processes, pr, err)
	return out, err
}

// serve answers what a process asks while it plans.
func (d *DuckDB) serve(ctx context.Context, q *asked, dir, method string, body []byte, files []*os.File) ([]byte, []*os.File, error) {
	switch {
	case method == methodFooters && q.footers != nil:
		return nil, nil, q.footers(body, files)
	case method == methodScalar: // of constants
		s := session{m: &Machine{Funcs: d.funcs, Log: d.log}, dir: dir}
		return s.call(ctx, method, body, files)
	}
	process.CloseAll(files)
	return nil, nil, fmt.Errorf("isolate: an engine process that plans asks for %q", method)
}

// answer answers a planner in the engine process.
func answer(ctx context.Context, c process.Child, d prepare.DuckDB, method string, body []byte) ([]byte, error) {
	switch method {
	case methodParse:
		return reply(body, func(sql string) (any, error) {
			tree, err := d.Parse(ctx, sql)
			return tree.JSON, err // none when there is no tree
		})
	case methodDeparse:
		return reply(body, func(tree []byte) (any, error) { return d.Deparse(ctx, tree) })
	case methodFooters:
		return reply(body, func(paths []string) (any, error) {
			return []byte(nil), d.Footers(ctx, paths, nil, func(from int, list []duck.Footer) error { return giveFooters(ctx, c, from, list) })
		})
	case methodColumns:
		return reply(body, func(r columnsRequest) (any, error) { return d.Columns(ctx, r.SQL, r.Access) })
	case methodSniff:
		return reply(body, func(r sniffRequest) (any, error) { return d.Sniff(ctx, r.Path, r.Access, r.Options) })
	case methodDescribe:
		return reply(body, func(r describeRequest) (any, error) { return d.Describe(ctx, r.Op, r.Access) })
	case methodPlan:
		return reply(body, func(r prepare.PlanRequest) (any, error) { return d.Plan(ctx, r) })
	case methodFolders:
		return reply(body, func(r prepare.FoldersRequest) (any, error) { return d.Folders(ctx, r) })
	}
	return nil, fmt.Errorf("isolate: a node asks for %q", method)
}

func giveFooters(ctx context.Context, c process.Child, from int, list []duck.Footer) error {
	body, files, err := pack(c.Dir, encode(footersReply{from, list}))
	if err != nil {
		return err
	}
	defer process.CloseAll(files)
	_, _, err = c.Node.Call(ctx, methodFooters, body, files...)
	return err
}

func reply[Req any](body []byte, f func(Req) (any, error)) ([]byte, error) {
	var req Req
	if err := fromBytes(body, &req); err != nil {
		return nil, err
	}
	resp, err := f(req)
	if err != nil {
		return nil, err
	}
	return toBytes(resp)
}
