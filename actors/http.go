package actors

import (
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/audit"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/edge"
	"github.com/pondmesh/pond/actors/faulty"
	"github.com/pondmesh/pond/actors/jobs"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// server answers the node's HTTP API: see package api for its routes.
type server struct {
	n    *Node
	edge *edge.Edge
}

// newEdge registers the routes. Each names the least role that it takes.
func newEdge(n *Node) *edge.Edge {
	e := edge.New(edge.Config{
		Node: string(n.id), TLS: n.cfg.TLS, Secret: n.cfg.Secret, Names: []string{n.cfg.Bind, n.cfg.Advertise}, Files: n.cfg.Files, Bodies: n.storage.Bodies(bodyBytesMax),
		Ready: n.ready, Denied: n.denied, Peer: n.api, Refused: n.refused, Log: n.log,
	})
	s, route, anyone := &server{n, e}, e.Route, e.Anyone
	route("POST /v1/blocks", auth.Submit, edge.Plain(faulty.Blocks(transfer.Handler(n.readable, transfer.Limits{}, n.log), n.cfg.Faults)))
	route("GET /v1/segments/{id}/schema", auth.Submit, s.getSchema)
	route("DELETE /v1/segments/{id}", auth.Node, s.dropSegment)
	route("GET /v1/segments/{id}/parts", auth.Node, s.getParts)
	route("POST /v1/jobs", auth.Submit, s.postJob)
	route("GET /v1/job-id", auth.Submit, s.getJobID)
	route("GET /v1/jobs", auth.Read, s.getJobs)
	route("GET /v1/jobs/{id}", auth.Read, s.onJob(s.getJob))
	route("GET /v1/jobs/{id}/spec", auth.Submit, s.onJob(s.owned(s.getSpec)))
	route("GET /v1/jobs/{id}/watch", auth.Read, s.onJob(s.watchJob))
	route("GET /v1/jobs/{id}/rows", auth.Submit, s.onJob(s.owned(s.getRows)))
	route("POST /v1/jobs/{id}/cancel", auth.Submit, s.onJob(s.owned(s.cancelJob)))
	route("POST /v1/jobs/{id}/renew", auth.Submit, s.onJob(s.owned(s.renewJob)))
	route("GET /v1/jobs/{id}/explain", auth.Submit, s.onJob(s.owned(s.explainJob)))
	route("GET /v1/jobs/{id}/packet", auth.Node, s.getPacket)
	route("GET /v1/jobs/{id}/read", auth.Node, s.getRowTimes)
	route("POST /v1/jobs/{id}/start", auth.Node, s.startJob)
	route("POST /v1/actors/{kind}/{key}", auth.Submit, s.postActor)
	route("POST /v1/describe", auth.Submit, s.postDescribe)
	route("POST /v1/explain", auth.Submit, s.postExplain)
	for _, r := range n.storage.Routes() {
		route(r.Pattern, r.Least, r.Answer)
	}
	route("GET /v1/members", auth.Read, s.getMembers)
	route("POST /v1/leave", auth.Admin, s.postLeave)
	route("GET /v1/version", auth.Read, s.getVersion)
	route("GET /v1/usage", auth.Read, s.getUsage)
	route("GET /metrics", auth.Read, edge.Plain(n.metrics.Handler()))
	anyone("GET /healthz", e.Health(n.vitals.Failed)) // what watches over a node has no token
	anyone("GET /readyz", e.Health(n.vitals.Unready))
	route("PUT /v1/specs/{id}", auth.Node, s.putSpec)
	route("GET /v1/specs", auth.Node, s.getSpecs)
	route("POST /v1/held", auth.Node, s.postHeld)
	route("POST /v1/registers", auth.Node, s.postRegisters)
	route("POST /v1/registers/recover", auth.Admin, s.postRecover)
	route("PUT /v1/uploads/{id}", auth.Node, n.replicas.ServePut)
	route("GET /v1/uploads/{id}", auth.Node, n.replicas.ServeGet)
	route("POST /v1/uploads/{id}/verify", auth.Node, n.replicas.ServeVerify)
	route("POST /v1/inventory", auth.Node, n.replicas.ServeInventory)
	if n.cfg.Faults != nil { // for who has the key; to others there are none
		orders := faulty.Orders{Faults: n.cfg.Faults}
		hidden := func(pattern string, least auth.Role, a edge.Answer) {
			e.Hidden(pattern, least, func(r *http.Request) bool { return n.cfg.Faults.Allows(r.Header.Get(api.ChaosKeyHeader)) }, a)
		}
		hidden("GET /v1/faults", auth.Admin, orders.List)
		hidden("POST /v1/faults", auth.Admin, orders.Arm)
		hidden("DELETE /v1/faults", auth.Admin, orders.Disarm)
	}
	return e
}

// jobHandler answers a request about a job that this node knows.
type jobHandler func(w http.ResponseWriter, r *http.Request, id plan.JobID) (any, error)

// onJob runs f on the node that knows the job: here, or wherever it is.
func (s *server) onJob(f jobHandler) edge.Answer {
	return func(w http.ResponseWriter, r *http.Request) (any, error) {
		id := plan.JobID(r.PathValue("id"))
		if s.n.jobs.Knows(id) {
			return f(w, r, id)
		}
		if r.Header.Get(api.HopHeader) != "" {
			return nil, peers.NoJob(id)
		}
		addr, ok := s.n.peers.Node(r.Context(), id)
		if !ok {
			return s.unanswered(r, id)
		}
		s.edge.PassOn(w, r, addr)
		return nil, nil
	}
}

// unanswered is a request about a job for which no node answers. Whether it has ended
// the registers may know.
func (s *server) unanswered(r *http.Request, id plan.JobID) (any, error) {
	why := s.n.peers.WhyNot(r.Context(), id)
	if p := s.n.vitals.Undecided(); p != nil && errors.Is(why, plan.ErrUnavailable) {
		return nil, &plan.Error{Kind: plan.KindUnavailable, Op: "job", Subject: string(id), Text: "no node coordinates the job, and none can take it over: " + p.Text,
			Hint: "start the nodes again that are missing; where they are gone for good: pondnode registers recover"}
	}
	if plan.KindOf(why) != plan.KindNotFound {
		return nil, why
	}
	end, err := s.n.jobs.Lost(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if !ofStatus[r.Pattern] {
		return nil, why
	}
	return shown(r, end), nil
}

// ofStatus are the requests that a job's status answers.
var ofStatus = map[string]bool{"GET /v1/jobs/{id}": true, "GET /v1/jobs/{id}/watch": true, "POST /v1/jobs/{id}/cancel": true}

// bodyBytesMax bounds bodies of requests, by route.
var bodyBytesMax = map[string]int64{
	"POST /v1/jobs":                api.SpecBytesMax,
	"POST /v1/actors/{kind}/{key}": api.ActorBytesMax,
	"POST /v1/describe":            api.SpecBytesMax,
	"POST /v1/explain":             api.SpecBytesMax,
	"PUT /v1/specs/{id}":           api.SpecBytesMax,
	"POST /v1/held":                api.HeldBytesMax,
	"POST /v1/registers":           api.RegisterBytesMax,
	"POST /v1/faults":              faultBytesMax,
	"POST /v1/blocks":              -1, // transfer's handler has bounds of its own
	"PUT /v1/uploads/{id}":         -1, // as has that of copies
	"POST /v1/inventory":           replicas.InventoryBytesMax,
}

// faultBytesMax bounds an order for a fault.
const faultBytesMax = 4 << 10

// getJobID offers an id for a job that is to be submitted to this node.
func (s *server) getJobID(http.ResponseWriter, *http.Request) (any, error) {
	return s.n.jobs.NewID(), nil
}

func (s *server) postJob(w http.ResponseWriter, r *http.Request) (any, error) {
	spec := new(api.JobSpec)
	if err := edge.Decode(r, spec); err != nil {
		audit.New(r, edge.CallerOf(r), nil).End(r.Context(), s.n.log, err)
		return nil, err
	}
	spec.Submitted, spec.Digest, spec.Owner, spec.Admin = 0, "", edge.CallerOf(r).User, edge.CallerOf(r).May(auth.Admin) // by this node's clock and hand, not the client's
	if spec.ID == "" {
		spec.ID = s.n.jobs.NewID()
	}
	if r.URL.Query().Has("watch") {
		return s.runJob(w, r, spec)
	}
	return s.takeJob(r, spec)
}

// takeJob submits a job, and notes that in the log.
func (s *server) takeJob(r *http.Request, spec *api.JobSpec) (*api.JobStatus, error) {
	noted := audit.New(r, edge.CallerOf(r), spec)
	status, err := s.submitOnce(r, spec)
	noted.End(r.Context(), s.n.log, err)
	return status, err
}

// submitOnce submits a job. One that another node may have taken before is looked for
// first: it is not planned twice, nor may what stands in the way of a new job end it.
func (s *server) submitOnce(r *http.Request, spec *api.JobSpec) (*api.JobStatus, error) {
	if r.Header.Get(api.AgainHeader) == "" {
		return s.n.jobs.Submit(r.Context(), spec)
	}
	self := s.n.api.At(s.n.APIAddr())
	status, err := self.Job(r.Context(), spec.ID)
	switch {
	case plan.KindOf(err) == plan.KindNotFound:
		return s.n.jobs.Submit(r.Context(), spec)
	case err != nil:
		return nil, err
	case status.Owner != spec.Owner:
		return nil, spec.Taken()
	case status.State == api.Failed:
		return nil, status.Error.Err()
	}
	return status, self.Renew(r.Context(), spec.ID) // its client goes on by this node
}

// runJob submits a job and writes its status line by line to its end. The first
// line tells its id before anything is done about it, so that a client that made up
// none and goes away can still cancel it.
func (s *server) runJob(w http.ResponseWriter, r *http.Request, spec *api.JobSpec) (any, error) {
	out := edge.NewLines(w)
	if !out.Write(&api.JobStatus{ID: spec.ID, NextID: s.n.jobs.NewID(), Name: spec.Name, State: api.Queued}) {
		return nil, nil
	}
	if _, err := s.takeJob(r, spec); err != nil {
		out.Write(&api.JobStatus{ID: spec.ID, Error: s.edge.Error(err)})
		return nil, nil
	}
	if s.n.jobs.Knows(spec.ID) {
		s.watchLines(out, r, spec.ID, s.withFirst)
		return nil, nil
	}
	addr, ok := s.n.peers.Node(r.Context(), spec.ID)
	if !ok {
		return nil, nil // the client asks again, and gets the reason
	}
	for status, err := range s.n.api.At(addr).Hop().Watch(r.Context(), spec.ID) {
		if err != nil || !out.Write(status) {
			break
		}
	}
	return nil, nil
}

// firstMax is how many bytes a result's first part has that goes with the job's end.
const firstMax = 128 << 10

// withFirst is shown with the first part of the result, where that is small and on this
// node: who runs a job reads it next.
func (s *server) withFirst(r *http.Request, st *api.JobStatus) *api.JobStatus {
	st = shown(r, st)
	if st.Result == nil || len(st.Result.Parts) == 0 || st.Result.Parts[0].Addr != s.n.APIAddr() {
		return st
	}
	id, err := shuffle.ParseSegmentID(st.Result.Parts[0].Segment)
	if err != nil {
		return st
	}
	first, err := s.n.segments.Small(id, st.ID, firstMax)
	if err != nil { // who reads it has it mended
		return st
	}
	out, result := *st, *st.Result
	result.First, out.Result = first, &result
	return &out
}

func (s *server) getJobs(_ http.ResponseWriter, r *http.Request) (any, error) {
	all, err := s.n.peers.All(r.Context())
	for i := range all {
		all[i] = *shown(r, &all[i])
	}
	return all, err
}

func (s *server) getJob(_ http.ResponseWriter, r *http.Request, id plan.JobID) (any, error) {
	st, err := s.n.jobs.Status(id)
	if err != nil {
		return nil, err
	}
	if !r.URL.Query().Has(api.BriefQuery) {
		st = s.n.peers.WithRowTimes(r.Context(), st, s.n.segments.Read)
	}
	return shown(r, st), nil
}

// getRowTimes tells when rows of a job's result were read from this node.
func (s *server) getRowTimes(_ http.ResponseWriter, r *http.Request) (any, error) {
	return s.n.segments.Read(plan.JobID(r.PathValue("id"))), nil
}

// getSpec returns a job as it was submitted, so that it can be submitted again.
func (s *server) getSpec(_ http.ResponseWriter, _ *http.Request, id plan.JobID) (any, error) {
	rec, err := s.n.jobs.Record(id)
	if err != nil {
		return nil, err
	}
	return rec.Spec, nil
}

// watchJob writes a line for every change of a job's status until it has ended.
func (s *server) watchJob(w http.ResponseWriter, r *http.Request, id plan.JobID) (any, error) {
	s.watchLines(edge.NewLines(w), r, id, shown)
	return nil, nil
}

// watchLines writes a line for every change of a job's status, as show has it.
func (s *server) watchLines(out *edge.Lines, r *http.Request, id plan.JobID, show func(*http.Request, *api.JobStatus) *api.JobStatus) {
	for status := range s.n.jobs.Statuses(r.Context(), id) {
		if !out.Write(show(r, status)) {
			return
		}
	}
}

func (s *server) cancelJob(_ http.ResponseWriter, r *http.Request, id plan.JobID) (any, error) {
	q := r.URL.Query()
	if job := s.n.jobs.Get(id); job != nil && q.Has(api.UnclaimedQuery) && (job.Renewals() > 0 || job.Spec.Digest != q.Get(api.UnclaimedQuery)) {
		return s.n.jobs.Status(id)
	}
	return s.n.jobs.Cancel(r.Context(), id)
}

func (s *server) postDescribe(_ http.ResponseWriter, r *http.Request) (any, error) {
	req := new(api.Query)
	if err := edge.Decode(r, req); err != nil {
		return nil, err
	}
	return s.n.planner.Describe(r.Context(), req)
}

func (s *server) explainJob(w http.ResponseWriter, r *http.Request, id plan.JobID) (any, error) {
	job, err := s.n.jobs.Plan(r.Context(), id)
	if err != nil {
		return nil, err
	}
	return writeExplain(w, r, job, "")
}

func (s *server) postExplain(w http.ResponseWriter, r *http.Request) (any, error) {
	spec := new(api.JobSpec)
	if err := edge.Decode(r, spec); err != nil {
		return nil, err
	}
	spec.Options.LeaseMillis = 0 // nobody waits for rows: mistakes are told now
	if err := s.n.planner.Fill(r.Context(), spec); err != nil {
		return nil, err
	}
	job, err := s.n.planner.Compile(r.Context(), spec, jobs.Capacity(s.n.mesh.View()))
	if err != nil {
		return nil, err
	}
	return writeExplain(w, r, job.Plan, spec.Options.Copies)
}

// writeExplain tells a job's stages, with objects by name: a plan has paths for them,
// with what their URLs ask and may be secret.
func writeExplain(w http.ResponseWriter, r *http.Request, job *plan.Job, copies plan.Copies) (any, error) {
	if r.URL.Query().Get("format") == "json" {
		text, err := json.Marshal(job.Explanations())
		return json.RawMessage(object.Named(string(text), object.Root)), err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	text := job.Explain()
	if copies == plan.LazyCopies || copies == plan.EagerCopies {
		text += "copies: " + string(copies) + "\n"
	}
	_, _ = io.WriteString(w, object.Named(text, object.Root))
	return nil, nil
}

func (s *server) getPacket(w http.ResponseWriter, r *http.Request) (any, error) {
	stage, err1 := strconv.Atoi(r.URL.Query().Get("stage"))
	version, err2 := strconv.ParseUint(r.URL.Query().Get("version"), 10, 64)
	term, err3 := strconv.ParseUint(r.URL.Query().Get("term"), 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "packet", Text: err.Error()}
	}
	p, err := s.n.packet(r.Context(), plan.JobID(r.PathValue("id")), term, stage, version)
	if err != nil {
		return nil, err
	}
	b, err := p.MarshalBinary()
	if err != nil {
		return nil, err
	}
	_, err = w.Write(b)
	return nil, err
}

func (s *server) dropSegment(w http.ResponseWriter, r *http.Request) (any, error) {
	q := r.URL.Query()
	job := plan.JobID(q.Get("job"))
	term, err := strconv.ParseUint(q.Get("term"), 10, 64)
	if err := errors.Join(err, job.Check()); err != nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "drop", Subject: r.PathValue("id"), Text: err.Error()}
	}
	latest, err := s.n.latestTerm(r.Context(), job)
	if err != nil {
		return nil, err
	}
	if term < latest {
		return nil, &plan.Error{Kind: plan.KindFenced, Op: "drop", Subject: r.PathValue("id"), Text: fmt.Sprintf("term %d of the job has passed: it is in term %d", term, latest)}
	}
	s.n.segments.Drop(plan.StageID(q.Get("stage")), r.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

func (s *server) getParts(w http.ResponseWriter, r *http.Request) (any, error) {
	id, err := shuffle.ParseSegmentID(r.PathValue("id"))
	if err != nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "parts", Subject: r.PathValue("id"), Text: err.Error()}
	}
	p, err := s.n.segments.Parts(r.Context(), id)
	if err != nil {
		return nil, err
	}
	return nil, gob.NewEncoder(w).Encode(p)
}

func (s *server) startJob(_ http.ResponseWriter, r *http.Request) (any, error) {
	id := plan.JobID(r.PathValue("id"))
	rec := s.n.records.Get(id)
	if rec == nil {
		return nil, peers.NoJob(id)
	}
	return s.n.jobs.Coordinate(r.Context(), rec)
}

func (s *server) putSpec(w http.ResponseWriter, r *http.Request) (any, error) {
	rec := new(api.Record)
	if err := edge.Decode(r, rec); err != nil {
		return nil, err
	}
	if rec.Spec == nil || string(rec.Spec.ID) != r.PathValue("id") {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "record", Subject: r.PathValue("id"), Text: "the record is of another job"}
	}
	if err := rec.Spec.ID.Check(); err != nil {
		return nil, err
	}
	if err := s.n.records.Put(rec); err != nil {
		return nil, err
	}
	s.n.jobs.Fence(rec.Spec.ID, rec.Term)
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

func (s *server) getSpecs(http.ResponseWriter, *http.Request) (any, error) {
	return s.n.jobs.List(), nil
}

func (s *server) postHeld(_ http.ResponseWriter, r *http.Request) (any, error) {
	req := new(api.HeldRequest)
	if err := edge.Decode(r, req); err != nil {
		return nil, err
	}
	return s.n.segments.Held(req.Stages), nil
}

func (s *server) postRegisters(w http.ResponseWriter, r *http.Request) (any, error) {
	call := new(api.RegisterCall)
	if err := edge.Decode(r, call); err != nil {
		return nil, err
	}
	reply, lost, err := faulty.Answer(w, s.n.cfg.Faults, func() (*api.RegisterReply, error) { return s.n.registers.Answer(r.Context(), call) })
	if lost {
		return nil, err
	}
	return reply, err
}

func (s *server) postRecover(_ http.ResponseWriter, r *http.Request) (any, error) {
	return s.n.registers.Recover(r.Context(), r.URL.Query().Has(api.ForceQuery))
}

func (s *server) getSchema(w http.ResponseWriter, r *http.Request) (any, error) {
	id, err := shuffle.ParseSegmentID(r.PathValue("id"))
	if err != nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "schema", Subject: r.PathValue("id"), Text: err.Error()}
	}
	if by := edge.CallerOf(r); !by.May(auth.Node) {
		if err := s.n.segments.Allow(id, by.Owns); err != nil {
			return nil, err
		}
	}
	if r.URL.Query().Get("check") == "true" {
		if err := s.n.segments.Check(r.Context(), id); err != nil {
			return nil, err
		}
	}
	b, err := s.n.segments.Schema(r.Context(), id)
	if err != nil {
		return nil, err
	}
	w.Header().Set("Content-Type", "application/vnd.apache.arrow.stream")
	_, _ = w.Write(b)
	return nil, nil
}

func (s *server) getMembers(http.ResponseWriter, *http.Request) (any, error) {
	return s.n.Members(), nil
}

func (s *server) getUsage(_ http.ResponseWriter, r *http.Request) (any, error) {
	if r.Header.Get(api.HopHeader) != "" {
		return []api.Usage{*s.n.vitals.Usage()}, nil
	}
	return s.n.vitals.AllUsage(r.Context()), nil
}

// postLeave answers when the node takes no more work; it leaves behind that.
func (s *server) postLeave(w http.ResponseWriter, _ *http.Request) (any, error) {
	s.n.leaveSoon()
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

func (s *server) getVersion(http.ResponseWriter, *http.Request) (any, error) {
	return api.Version{Pond: s.n.cfg.Version, DuckDB: s.n.planner.DuckDBVersion(), Go: runtime.Version(), Node: string(s.n.id), Now: time.Now().UnixMilli()}, nil
}

// renewJob is a client that still waits for a job.
func (s *server) renewJob(w http.ResponseWriter, _ *http.Request, id plan.JobID) (any, error) {
	if r := s.n.jobs.Get(id); r != nil {
		r.Renew()
	}
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}
