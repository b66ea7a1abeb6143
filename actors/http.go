package actors

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// Bounds of the HTTP server.
const (
	readHeaderTimeout = 5 * time.Second
	idleConnTimeout   = 2 * time.Minute
	headerBytesMax    = 64 << 10
	watchPoll         = 5 * time.Second // a line at least this often, so that a dead watcher is noticed
	locateTimeout     = 2 * time.Second
)

func (n *Node) newServer() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("POST /v1/blocks", transfer.Handler(n.segments, transfer.Limits{}, n.log))
	mux.HandleFunc("GET /v1/segments/{id}/schema", n.handle(n.getSchema))
	mux.HandleFunc("DELETE /v1/segments/{id}", n.handle(n.dropSegment))
	mux.HandleFunc("GET /v1/segments/{id}/parts", n.handle(n.getParts))
	mux.HandleFunc("POST /v1/jobs", n.handle(n.postJob))
	mux.HandleFunc("GET /v1/jobs", n.handle(n.getJobs))
	mux.HandleFunc("GET /v1/jobs/{id}", n.onJob(n.getJob))
	mux.HandleFunc("GET /v1/jobs/{id}/watch", n.onJob(n.watchJob))
	mux.HandleFunc("POST /v1/jobs/{id}/cancel", n.onJob(n.cancelJob))
	mux.HandleFunc("POST /v1/jobs/{id}/renew", n.onJob(n.renewJob))
	mux.HandleFunc("GET /v1/jobs/{id}/explain", n.onJob(n.explainJob))
	mux.HandleFunc("GET /v1/jobs/{id}/packet", n.handle(n.getPacket))
	mux.HandleFunc("POST /v1/jobs/{id}/start", n.handle(n.startJob))
	mux.HandleFunc("POST /v1/plan", n.handle(n.postPlan))
	mux.HandleFunc("POST /v1/describe", n.handle(n.postDescribe))
	mux.HandleFunc("POST /v1/explain", n.handle(n.postExplain))
	mux.HandleFunc("GET /v1/members", n.handle(n.getMembers))
	mux.HandleFunc("POST /v1/leave", n.handle(n.postLeave))
	mux.HandleFunc("GET /v1/version", n.handle(n.getVersion))
	mux.HandleFunc("PUT /v1/specs/{id}", n.handle(n.putSpec))
	mux.HandleFunc("GET /v1/specs", n.handle(n.getSpecs))
	mux.HandleFunc("POST /v1/held", n.handle(n.postHeld))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		n.fail(w, &plan.Error{Kind: plan.KindNotFound, Op: r.Method, Subject: r.URL.Path, Text: "no such endpoint"})
	})
	return &http.Server{
		Handler:           sameOrigin(mux),
		TLSConfig:         n.cfg.TLS.Clone(), // serving adds protocols to it that the clients do not speak
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleConnTimeout,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
}

// sameOrigin refuses requests that a web page of another origin makes a browser
// send: on loopback nothing else would stop it from submitting jobs.
func sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o := r.Header.Get("Origin"); o != "" {
			if u, err := url.Parse(o); err != nil || u.Host != r.Host {
				http.Error(w, "cross-origin request refused", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// handle turns a function's result into JSON and its error into a status.
func (n *Node) handle(f func(w http.ResponseWriter, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out, err := f(w, r)
		switch {
		case err != nil:
			n.fail(w, err)
		case out != nil:
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(out); err != nil {
				n.log.Debug("writing a reply", "path", r.URL.Path, "err", err)
			}
		}
	}
}

func (n *Node) fail(w http.ResponseWriter, err error) {
	e := api.FromError(err)
	if e.Node == "" {
		e.Node = string(n.id)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(api.StatusOf(plan.ParseKind(e.Kind)))
	_ = json.NewEncoder(w).Encode(e) // the client is gone if this fails
}

// onJob runs f on the node that knows the job: here, or wherever it is.
func (n *Node) onJob(f func(w http.ResponseWriter, r *http.Request, id plan.JobID) (any, error)) http.HandlerFunc {
	here := n.handle(func(w http.ResponseWriter, r *http.Request) (any, error) {
		return f(w, r, plan.JobID(r.PathValue("id")))
	})
	return func(w http.ResponseWriter, r *http.Request) {
		id := plan.JobID(r.PathValue("id"))
		if n.jobs.knows(id) {
			here(w, r)
			return
		}
		if r.Header.Get(api.HopHeader) == "" {
			if addr, ok := n.locate(r.Context(), id); ok {
				n.proxy(addr).ServeHTTP(w, r)
				return
			}
			n.fail(w, n.whyNot(r.Context(), id))
			return
		}
		n.fail(w, errNoJob(id))
	}
}

// whyNot says why no node answers for a job: nobody knows it (yet), or all that
// is left of it is the record that it was submitted.
func (n *Node) whyNot(ctx context.Context, id plan.JobID) error {
	jobs, err := n.Jobs(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(jobs, func(s api.JobStatus) bool { return s.ID == id })
	if i >= 0 && jobs[i].Error != nil {
		return jobs[i].Error.Err()
	}
	if i >= 0 {
		return errOrphan(id, "no node coordinates the job: it has only just been submitted, or the node that did is gone")
	}
	return errNoJob(id)
}

func errOrphan(id plan.JobID, why string) error {
	return &plan.Error{Kind: plan.KindUnavailable, Op: "job", Subject: string(id), Text: why, Hint: "submit it again: what nodes still hold of it is reused"}
}

func errNoJob(id plan.JobID) error {
	return &plan.Error{Kind: plan.KindNotFound, Op: "job", Subject: string(id), Text: "no node of the pond knows this job", Hint: "list jobs with: pondnode jobs"}
}

// locate finds the node that coordinates a job or remembers how it ended: the
// first of its home replicas as a rule, else another of them, else any node.
func (n *Node) locate(ctx context.Context, id plan.JobID) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	homes, others := n.homes(id)
	best, first := "", min(len(homes), 1)
	for _, group := range [][]string{homes[:first], homes[first:], others} {
		for _, r := range n.askAll(ctx, group, id) {
			if r.status.State != api.Queued {
				return r.addr, true
			}
			if best == "" {
				best = r.addr
			}
		}
	}
	return best, best != ""
}

func (n *Node) proxy(addr string) http.Handler {
	scheme := "http"
	if n.cfg.TLS != nil {
		scheme = "https"
	}
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: scheme, Host: addr})
			p.Out.Header.Set(api.HopHeader, "1")
		},
		Transport:     n.api.Transport(),
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			n.fail(w, &plan.Error{Kind: plan.KindUnavailable, Op: "reach", Subject: addr, Text: err.Error()})
		},
	}
}

// decode reads a request to its end: only then is it noticed when its client
// goes away.
func decode(r *http.Request, limit int64, into any) error {
	b, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, limit))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return &plan.Error{Kind: plan.KindUser, Op: r.Method, Subject: r.URL.Path, Text: "the request's body is not what is expected: " + err.Error()}
	}
	return nil
}

func (n *Node) postJob(_ http.ResponseWriter, r *http.Request) (any, error) {
	spec := new(api.JobSpec)
	if err := decode(r, api.SpecBytesMax, spec); err != nil {
		return nil, err
	}
	spec.Submitted = 0 // by this node's clock, not the client's
	return n.Submit(r.Context(), spec)
}

func (n *Node) getJobs(_ http.ResponseWriter, r *http.Request) (any, error) {
	return n.Jobs(r.Context())
}

func (n *Node) getJob(_ http.ResponseWriter, _ *http.Request, id plan.JobID) (any, error) {
	return n.jobs.status(id), nil
}

// watchJob writes a line for every change of a job's status until it has ended.
func (n *Node) watchJob(w http.ResponseWriter, r *http.Request, id plan.JobID) (any, error) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	tick := time.NewTicker(watchPoll)
	defer tick.Stop()
	for {
		s, changed := n.jobs.watch(id)
		if err := out.Encode(s); err != nil {
			return nil, nil // the watcher has gone
		}
		if err := flush.Flush(); err != nil || s.State.Ended() {
			return nil, nil
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-r.Context().Done():
			return nil, nil
		case <-n.stopped:
			return nil, nil
		}
	}
}

func (n *Node) cancelJob(_ http.ResponseWriter, r *http.Request, id plan.JobID) (any, error) {
	return n.jobs.cancel(r.Context(), id)
}

func (n *Node) postPlan(_ http.ResponseWriter, r *http.Request) (any, error) {
	req := new(api.PlanRequest)
	if err := decode(r, api.SpecBytesMax, req); err != nil {
		return nil, err
	}
	p, err := n.planner.PlanSQL(r.Context(), req)
	if err != nil {
		return nil, err
	}
	return &api.Planned{ID: n.ownJobID(), Plan: p}, nil
}

func (n *Node) postDescribe(_ http.ResponseWriter, r *http.Request) (any, error) {
	req := new(api.PlanRequest)
	if err := decode(r, api.SpecBytesMax, req); err != nil {
		return nil, err
	}
	return n.planner.Describe(r.Context(), req)
}

func (n *Node) explainJob(w http.ResponseWriter, r *http.Request, id plan.JobID) (any, error) {
	job, err := n.jobs.compiled(r.Context(), id)
	if err != nil {
		return nil, err
	}
	return writeExplain(w, r, job)
}

func (n *Node) postExplain(w http.ResponseWriter, r *http.Request) (any, error) {
	spec := new(api.JobSpec)
	if err := decode(r, api.SpecBytesMax, spec); err != nil {
		return nil, err
	}
	job, err := n.planner.Compile(r.Context(), spec, capacity(n.mesh.View()))
	if err != nil {
		return nil, err
	}
	return writeExplain(w, r, job.Plan)
}

func writeExplain(w http.ResponseWriter, r *http.Request, job *plan.Job) (any, error) {
	if r.URL.Query().Get("format") == "json" {
		return job.Explanations(), nil
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, job.Explain())
	return nil, nil
}

func (n *Node) getPacket(w http.ResponseWriter, r *http.Request) (any, error) {
	stage, err1 := strconv.Atoi(r.URL.Query().Get("stage"))
	version, err2 := strconv.ParseUint(r.URL.Query().Get("version"), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "packet", Text: err.Error()}
	}
	p, err := n.jobs.packet(r.Context(), plan.JobID(r.PathValue("id")), stage, version)
	if err != nil {
		return nil, err
	}
	return nil, writeGob(w, p)
}

func (n *Node) dropSegment(w http.ResponseWriter, r *http.Request) (any, error) {
	n.segments.Drop(plan.StageID(r.URL.Query().Get("stage")), r.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

func (n *Node) getParts(w http.ResponseWriter, r *http.Request) (any, error) {
	id, err := shuffle.ParseSegmentID(r.PathValue("id"))
	if err != nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "parts", Subject: r.PathValue("id"), Text: err.Error()}
	}
	p, err := n.segments.Parts(r.Context(), id)
	if err != nil {
		return nil, err
	}
	return nil, writeGob(w, p)
}

// writeGob is for replies between nodes that are large.
func writeGob(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/x-gob")
	return gob.NewEncoder(w).Encode(v)
}

func (n *Node) startJob(_ http.ResponseWriter, r *http.Request) (any, error) {
	term, err := strconv.ParseUint(r.URL.Query().Get("term"), 10, 64)
	if err != nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "start", Text: err.Error()}
	}
	id := plan.JobID(r.PathValue("id"))
	rec := n.records.Get(id)
	if rec == nil {
		return nil, errNoJob(id)
	}
	return n.coordinate(r.Context(), rec.Spec, term)
}

func (n *Node) putSpec(w http.ResponseWriter, r *http.Request) (any, error) {
	rec := new(api.Record)
	if err := decode(r, api.SpecBytesMax, rec); err != nil {
		return nil, err
	}
	if rec.Spec == nil || string(rec.Spec.ID) != r.PathValue("id") {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "record", Subject: r.PathValue("id"), Text: "the record is of another job"}
	}
	if err := n.records.Put(rec); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

func (n *Node) getSpecs(http.ResponseWriter, *http.Request) (any, error) {
	return n.jobs.list(), nil
}

func (n *Node) postHeld(_ http.ResponseWriter, r *http.Request) (any, error) {
	req := new(api.HeldRequest)
	if err := decode(r, api.SpecBytesMax, req); err != nil {
		return nil, err
	}
	return n.segments.Held(req.Stages), nil
}

func (n *Node) getSchema(w http.ResponseWriter, r *http.Request) (any, error) {
	id, err := shuffle.ParseSegmentID(r.PathValue("id"))
	if err != nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "schema", Subject: r.PathValue("id"), Text: err.Error()}
	}
	b, err := n.segments.Schema(r.Context(), id)
	if err != nil {
		return nil, err
	}
	w.Header().Set("Content-Type", "application/vnd.apache.arrow.stream")
	_, _ = w.Write(b)
	return nil, nil
}

func (n *Node) getMembers(http.ResponseWriter, *http.Request) (any, error) {
	return n.Members(), nil
}

// postLeave answers when the node takes no more work; it leaves behind that.
func (n *Node) postLeave(w http.ResponseWriter, _ *http.Request) (any, error) {
	n.leaveSoon()
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

func (n *Node) getVersion(http.ResponseWriter, *http.Request) (any, error) {
	return api.Version{Pond: n.cfg.Version, DuckDB: n.engines.Version, Go: runtime.Version(), Node: string(n.id), Now: time.Now().UnixMilli()}, nil
}

type askReply struct {
	addr   string
	status *api.JobStatus
}

// askAll asks nodes for a job at once and returns the answers of those that
// know it, in the order of addrs.
func (n *Node) askAll(ctx context.Context, addrs []string, id plan.JobID) []askReply {
	replies := make([]askReply, len(addrs))
	forEach(ctx, len(addrs), func(ctx context.Context, i int) error {
		s, err := n.api.At(addrs[i]).Hop().Job(ctx, id)
		if err == nil {
			replies[i] = askReply{addrs[i], s}
		}
		return nil
	})
	return slices.DeleteFunc(replies, func(r askReply) bool { return r.status == nil })
}

// Jobs lists the jobs that any node knows, newest first.
func (n *Node) Jobs(ctx context.Context) ([]api.JobStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	view := n.mesh.View()
	lists := make([][]api.JobStatus, len(view.Members))
	forEach(ctx, len(view.Members), func(ctx context.Context, i int) error {
		m := view.Members[i]
		if m.ID == n.id {
			lists[i] = n.jobs.list()
			return nil
		}
		l, err := n.api.At(m.APIAddr()).Records(ctx)
		if err != nil {
			n.log.Debug("asking for jobs", "node", m.ID, "err", err)
			return nil
		}
		lists[i] = l
		return nil
	})
	best := map[plan.JobID]api.JobStatus{}
	for _, s := range slices.Concat(lists...) {
		if old, ok := best[s.ID]; !ok || rank(s.State) > rank(old.State) {
			best[s.ID] = s
		}
	}
	out := make([]api.JobStatus, 0, len(best))
	for _, s := range best {
		if s.State == api.Queued && s.Coordinator == "" && time.Now().UnixMilli()-s.Submitted > locateTimeout.Milliseconds() {
			s.Error = api.FromError(errOrphan(s.ID, "the node that coordinated the job is gone"))
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b api.JobStatus) int { return int(b.Submitted - a.Submitted) })
	return out, nil
}

func rank(s api.State) int {
	switch {
	case s.Ended():
		return 2
	case s == api.Running:
		return 1
	}
	return 0
}
