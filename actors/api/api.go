// Package api is a node's HTTP API, as types and as callers: Client for people
// and programs, Peer for what nodes ask of one another in bulk, ResultReader for
// the rows of an ended job.
//
// It decides nothing and stores nothing, and knows no DuckDB: package actors
// implements the server side. Blocks of rows travel by package transfer, on the
// same port. Read client.go and call.go (how a client asks a node), then reach.go and repeat.go (which
// node it asks, and what it may ask twice), then peer.go.
//
// Replies to clients have in their header Pond-Nodes the APIs of other nodes, to be
// asked when the one that answered dies.
//
//	POST /v1/jobs                 submit a JobSpec; ?watch: and watch it    any node
//	GET  /v1/job-id               an id for a job that is to be submitted here
//	GET  /v1/jobs                 every job the pond knows    any node
//	GET  /v1/jobs/{id}            status                      any node
//	GET  /v1/jobs/{id}/spec       the JobSpec
//	GET  /v1/jobs/{id}/watch      status, line by line, until it ends
//	GET  /v1/jobs/{id}/rows       its rows, once it has ended: as an Arrow stream, CSV,
//	                              JSON or JSON lines, by Accept or ?format=
//	POST /v1/jobs/{id}/cancel
//	POST /v1/jobs/{id}/renew      its client still waits for it
//	GET  /v1/jobs/{id}/explain    the stages, as text or JSON
//	POST /v1/actors/{kind}/{key}  have an actor receive the body; its reply is the answer's
//	POST /v1/describe             a query's columns
//	POST /v1/explain              the same for a JobSpec that is not run
//	GET  /v1/datasets             those there are             any node
//	DELETE /v1/datasets/{name}    ends one                    any node
//	GET  /v1/datasets/{name}      a version: columns, files, who has them; ?version=
//	GET  /v1/datasets/{name}/files            the bytes of a file; ?path=&version=&at=
//	POST /v1/datasets/{name}/puts/{id}        begin to put files, or go on: what is there
//	PUT  /v1/datasets/{name}/puts/{id}/files  a piece of one; ?path=&sum=&size=&at=
//	POST /v1/datasets/{name}/puts/{id}/publish  all of them, as one version
//	POST /v1/datasets/{name}/puts/{id}/remove   a version without some
//	DELETE /v1/datasets/{name}/puts/{id}      give it up
//	GET  /v1/datasets/{name}/sent             what was sent    node to node
//	GET  /v1/storage              disks and copies of all nodes, and what is lacking
//	POST /v1/storage/repair       all nodes compare what they hold now
//	POST /v1/storage/scrub        all nodes read all their copies now
//	POST /v1/storage/drain        a node is to be no place of copies; ?node=, and &off ends it
//	POST /v1/storage/forget       nodes that are gone for good are no places of copies; ?node=, repeated
//	GET  /v1/members              this node's view
//	GET  /v1/usage                what each node holds on disk
//	POST /v1/leave                drain, leave, stop
//	POST /v1/registers/recover    new keepers where most are gone for good; ?force does it
//	POST /v1/faults               arm a fault of package fs/faults, with ChaosKeyHeader; these
//	                              three are there on nodes that were started with a key
//	GET  /v1/faults               what came of those that are armed
//	DELETE /v1/faults             the same, and none is armed any more
//	GET  /v1/version
//	GET  /metrics                 in Prometheus's text format
//	GET  /healthz                 200, or 503 and what only a restart or a repair mends
//	GET  /readyz                  200, or 503 and why it takes no work now
//	PUT  /v1/specs/{id}           keep a job's record          node to node
//	GET  /v1/specs                the records kept here        node to node
//	POST /v1/jobs/{id}/start      coordinate it                node to node
//	GET  /v1/jobs/{id}/read       when its rows were read here node to node
//	GET  /v1/jobs/{id}/packet     a stage as tasks need it     node to node
//	GET  /v1/segments/{id}/schema of its rows                  node to node
//	GET  /v1/segments/{id}/parts  rows and bytes a partition   node to node
//	DELETE /v1/segments/{id}      drop it                      node to node
//	POST /v1/held                 segments held for stages     node to node
//	POST /v1/registers            requests to a keeper         node to node
//	PUT  /v1/uploads/{id}         see package replicas         node to node
//	GET  /v1/uploads/{id}         see package replicas         node to node
//	POST /v1/inventory            see package replicas         node to node
//	POST /v1/uploads/{id}/verify  see package replicas         node to node
//	POST /v1/blocks               see package transfer         node to node
package api

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of messages sent and accepted, in bytes.
const (
	SpecBytesMax   = 256 << 20 // a job's plan, literal rows included
	PacketBytesMax = 256 << 20
	HeldBytesMax   = 16 << 20 // a HeldRequest: a job's stages, 64 bytes each
	replyBytesMax  = 64 << 20
)

// JobSpec is a submitted job: a statement or a plan. With an ID the client can cancel
// it though no answer came, and the same spec handed in again, to any node, is the same
// job; the id of another job is refused. It is best one that the node has offered
// (Client.NewJobID, JobStatus.NextID): by it that node drives the job itself, if it has
// the time. A spec without an ID gets such a one.
type JobSpec struct {
	ID plan.JobID `json:"id,omitempty"`
	// Owner is the user who handed the job in, as the node that took it knows by the
	// caller's certificate or token, and Digest is of the spec as it was handed in, Owner included:
	// that node fills both in, whatever the client says.
	Owner  string `json:"owner,omitempty"`
	Digest string `json:"digest,omitempty"`
	// Admin: the owner has the role admin, and may write datasets of others. That node fills
	// it in too; it is no part of what was handed in.
	Admin bool   `json:"admin,omitempty"`
	Name  string `json:"name,omitempty"`
	// SQL is a query, or a COPY of one. The node that is asked makes Plan of it, and
	// of steps of a Plan that are queries over files and say no Access.
	Query
	// Statement is the SQL as its user wrote it, and User its claimed author; neither
	// is needed to run the job.
	Statement string     `json:"statement,omitempty"`
	User      string     `json:"user,omitempty"`
	Plan      *plan.Plan `json:"plan,omitempty"`
	Options   JobOptions `json:"options"`
	Submitted int64      `json:"submitted"` // Unix milliseconds, by the clock of the node that took it
}

// Seal fills in the digest. It is called before anything else of the spec is.
func (s *JobSpec) Seal() error {
	handed := *s
	handed.Submitted, handed.Digest, handed.Admin = 0, "", false
	b, err := json.Marshal(&handed)
	if err != nil {
		return fmt.Errorf("api: encode job %s: %w", s.ID, err)
	}
	sum := sha256.Sum256(b)
	s.Digest = hex.EncodeToString(sum[:])
	return nil
}

// Same refuses a spec that is not the one handed in under its id before.
func (s *JobSpec) Same(before *JobSpec) error {
	if s.Digest == before.Digest {
		return nil
	}
	return s.Taken()
}

// Taken is the error of a spec whose id another job has.
func (s *JobSpec) Taken() error {
	return &plan.Error{Kind: plan.KindExists, Op: "submit", Subject: string(s.ID), Text: "another job has this id", Hint: "make up a new id, or give none"}
}

// Submitter is who handed the job in: its owner, or as its client says where callers
// are not known.
func (s *JobSpec) Submitter() string { return clip(cmp.Or(s.Owner, s.User), userMax) }

// JobOptions are a user's choices for one job.
type JobOptions struct {
	DeadlineMillis int64 `json:"deadline_ms,omitempty"` // from submission; 0: none
	// LeaseMillis cancels the job when its client has not renewed its lease for so
	// long; 0: the job needs no client.
	LeaseMillis int64 `json:"lease_ms,omitempty"`
	// NoReuse runs every stage, though an equal one's output may be held.
	NoReuse bool `json:"no_reuse,omitempty"`
	// Partitions is how many partitions exchanges make when the plan does not
	// say; 0: chosen from the slots of the pond.
	Partitions int         `json:"partitions,omitempty"`
	Codec      string      `json:"codec,omitempty"` // s2, zstd, lz4, none; empty: s2
	Copies     plan.Copies `json:"copies,omitempty"`
	// Force distributes a query however little it reads.
	Force bool `json:"force,omitempty"`
	// BroadcastBytes is the size up to which a join's side is sent to every task
	// rather than both being shuffled; 0: 16 MiB; negative: only where it must be.
	BroadcastBytes int64 `json:"broadcast_bytes,omitempty"`
}

// Query is SQL and the meaning of its names. Relative file names start in the folder
// Dir. Views are those that the SQL may read; their own file names are absolute.
type Query struct {
	SQL   string      `json:"sql,omitempty"`
	Dir   string      `json:"dir,omitempty"`
	Views []plan.View `json:"views,omitempty"`
	// Told asks for a description's columns as DESCRIBE tells of them, for people: names may
	// repeat.
	Told bool `json:"told,omitempty"`
}

// Description is a query's columns, and the plan that would give its rows.
type Description struct {
	Columns []plan.Column `json:"columns"`
	// Dynamic: the columns depend on the data (PIVOT), so that it can be no view.
	Dynamic bool       `json:"dynamic,omitempty"`
	Plan    *plan.Plan `json:"plan"`
}

// State is where a job stands. It ends in exactly one of succeeded, failed and
// cancelled.
type State string

// States of a job.
const (
	Queued    State = "queued"
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Ended reports whether s is final.
func (s State) Ended() bool { return s == Succeeded || s == Failed || s == Cancelled }

// JobStatus is a job as seen by its coordinator, or as recorded at its end.
type JobStatus struct {
	ID        plan.JobID `json:"id"`
	NextID    plan.JobID `json:"next_id,omitempty"` // offered for the client's next job, in the first line
	Name      string     `json:"name,omitempty"`
	Statement string     `json:"statement,omitempty"` // the beginning of a long one
	User      string     `json:"user,omitempty"`      // as its client says
	Owner     string     `json:"owner,omitempty"`     // the user who may read and end it, as admins may; empty: only they
	// Hidden: whoever asked is neither, and sees only an Outline.
	Hidden      bool        `json:"hidden,omitempty"`
	State       State       `json:"state"`
	Error       *Error      `json:"error,omitempty"`
	Coordinator string      `json:"coordinator,omitempty"` // node
	Copies      plan.Copies `json:"copies,omitempty"`      // when its segments have them
	Term        uint64      `json:"term"`
	Submitted   int64       `json:"submitted"` // Unix milliseconds
	// Started is when the first task was handed out, and EngineEnded when the last one
	// had ended: what is after that is publishing and recording. Unix milliseconds; 0:
	// not yet, or no task ran.
	Started     int64 `json:"started,omitempty"`
	EngineEnded int64 `json:"engine_ended,omitempty"`
	Ended       int64 `json:"ended,omitempty"`
	// FirstRow is when a client began to read the job's rows, or was sent the first of them
	// with the job's end, and LastRow when the last one
	// that was read had been sent, as far as the nodes that hold them know; a node that
	// is started again has forgotten it. Lists of jobs leave them out.
	FirstRow int64         `json:"first_row,omitempty"`
	LastRow  int64         `json:"last_row,omitempty"`
	Waiting  *Waiting      `json:"waiting,omitempty"`  // while a queued job waits to be driven, or a job for its end
	Planning *Planning     `json:"planning,omitempty"` // while a queued job is planned
	Stages   []StageStatus `json:"stages,omitempty"`
	Rows     int64         `json:"rows"`             // of the result, when it has succeeded
	Output   string        `json:"output,omitempty"` // the folder or the file that it writes
	Files    []string      `json:"files,omitempty"`  // names in the folder
	// Result says where the rows are, when it has succeeded; lists of jobs leave it out.
	Result *ResultInfo `json:"result,omitempty"`
}

// Waiting is where a job stands among those that wait for their coordinator's node to
// drive them. Others may come to pass it: users take turns. A job that runs may wait for
// its end to be decided.
type Waiting struct {
	Place int    `json:"place"` // from 1; 0: it waits in no queue
	Of    int    `json:"of"`
	For   string `json:"for"` // what has to happen, in words
}

// RowTimes are when rows of a job's result were read from one node. Unix milliseconds;
// 0: never.
type RowTimes struct {
	First int64 `json:"first,omitempty"`
	Last  int64 `json:"last,omitempty"`
}

// Planning is how far a job's planning has come.
type Planning struct {
	Files int `json:"files"` // looked at
	Of    int `json:"of"`
}

// Bounds of the parts of a job's submission in its status, in bytes.
const (
	statementMax = 4 << 10
	userMax      = 256
)

// Status is how a job begins that is known by its spec.
func (s *JobSpec) Status() *JobStatus {
	return &JobStatus{ID: s.ID, Name: s.Name, Statement: clip(s.Statement, statementMax), User: clip(s.User, userMax), Owner: s.Owner, State: Queued, Submitted: s.Submitted}
}

// Outline is what all may see of a job: that it is there, whose it is, and how far it
// is. Its statement, the names of its stages and files, its result and the text of its
// error are for its owner and admins.
func (s *JobStatus) Outline() *JobStatus {
	out := *s
	out.Hidden = true
	out.Name, out.Statement, out.Output, out.Files, out.Result = "", "", "", nil, nil
	if s.Error != nil {
		out.Error = &Error{Kind: s.Error.Kind, Text: "only the job's owner and admins see why"}
	}
	if s.Waiting != nil && s.Waiting.Place == 0 {
		out.Waiting = &Waiting{For: "its end to be decided"}
	}
	out.Stages = slices.Clone(s.Stages)
	for i := range out.Stages {
		out.Stages[i].Name = ""
	}
	return &out
}

// clip is the beginning of a text that is too long.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// StageStatus is the progress of one stage.
type StageStatus struct {
	Index    int    `json:"index"`
	Name     string `json:"name"`
	Tasks    int    `json:"tasks"` // 0: not known yet
	Running  int    `json:"running"`
	Done     int    `json:"done"`
	Reused   int    `json:"reused,omitempty"` // of Done, found already made
	Retries  int    `json:"retries,omitempty"`
	Lost     int    `json:"lost,omitempty"`   // times that a finished task's output was lost, with all copies
	Copies   int    `json:"copies,omitempty"` // made of its tasks' outputs, by other nodes
	Rows     int64  `json:"rows"`
	RawBytes int64  `json:"raw_bytes"`        // before compression
	Bytes    int64  `json:"bytes"`            // shuffled or written
	Spill    int64  `json:"spill,omitempty"`  // bytes DuckDB spilled
	CPU      int64  `json:"cpu_ms,omitempty"` // of its tasks, together
	// Wall is from the first start of a task to the last end, in milliseconds.
	Wall int64 `json:"wall_ms,omitempty"`
	// Dropped: the job was planned again once sizes were known, and the output of
	// the stage is not needed.
	Dropped bool `json:"dropped,omitempty"`
	// The fields below are set when the job has ended.

	// Read is the bytes of the files and segments that its tasks read from; of a
	// file DuckDB may skip columns and row groups.
	Read int64 `json:"read_bytes,omitempty"`
	// Of what each task shuffled or wrote.
	TaskBytesMax    int64       `json:"task_bytes_max,omitempty"`
	TaskBytesMedian int64       `json:"task_bytes_median,omitempty"`
	Nodes           []NodeTasks `json:"nodes,omitempty"` // that ran its tasks, by name
}

// NodeTasks is how many of a stage's tasks a node did, the reused ones left out.
type NodeTasks struct {
	Node  string `json:"node"`
	Tasks int    `json:"tasks"`
}

// ResultInfo says where a finished job's rows are: read the parts in order.
type ResultInfo struct {
	Job   plan.JobID   `json:"job,omitempty"` // whose rows they are
	Parts []ResultPart `json:"parts"`         // none when the job wrote files
	// First is the first part's segment, for who is likely to read it next. The node that
	// sends it has just checked it. Nil: it is large, or on another node.
	First []byte `json:"first,omitempty"`
}

// ResultPart is one segment of the result, held by the node at Addr, and by others.
type ResultPart struct {
	Addr    string   `json:"addr"`
	Others  []string `json:"others,omitempty"` // asked in turn when the one at Addr cannot give it
	Segment string   `json:"segment"`
	Rows    int64    `json:"rows"`
}

// Holders are the APIs of all nodes that hold it, the first to ask first.
func (p *ResultPart) Holders() []string { return append([]string{p.Addr}, p.Others...) }

// HeldRequest asks a node which segments of some stages it holds.
type HeldRequest struct {
	Stages []plan.StageID `json:"stages"`
}

// Held is a committed segment and the facts that were committed with it.
type Held struct {
	Segment   string       `json:"segment"`
	Stage     plan.StageID `json:"stage"`
	Index     int          `json:"index"` // of the stage in the job that made it
	Partition int          `json:"partition"`
	Tasks     int          `json:"tasks"` // of its stage, when it ran
	Attempt   int          `json:"attempt"`
	Job       plan.JobID   `json:"job"`
	Owner     string       `json:"owner,omitempty"` // of that job: who may read it, beside nodes and admins; empty: nobody
	Rows      int64        `json:"rows"`
	RawBytes  int64        `json:"raw_bytes"`
	Bytes     int64        `json:"bytes"`
	Created   int64        `json:"created"`           // Unix milliseconds
	Lineage   uint64       `json:"lineage,omitempty"` // of what its task read
	Copy      bool         `json:"copy,omitempty"`    // it came from the node that made it, and goes with the job
	Sum       uint64       `json:"sum,omitempty"`     // of its rows, in any order
	// Of each partition, when there are not too many: see Client.Parts.
	Partitions     int     `json:"partitions"`
	PartitionRows  []int64 `json:"partition_rows,omitempty"`
	PartitionBytes []int64 `json:"partition_bytes,omitempty"`
}

// MemberInfo is one node as the answering node sees it.
type MemberInfo struct {
	ID     string `json:"id"`
	Boot   string `json:"boot"`
	Addr   string `json:"addr"` // host:port that --peer takes
	API    string `json:"api"`
	State  string `json:"state"`
	Zone   string `json:"zone,omitempty"`
	Slots  int    `json:"slots"`
	Memory int64  `json:"memory"`
	Keeper bool   `json:"keeper,omitempty"` // it keeps the registers
	Self   bool   `json:"self,omitempty"`
}

// Members is a node's view.
type Members struct {
	Digest  string       `json:"digest"`
	Members []MemberInfo `json:"members"`
	// MissingKeepers are nodes that keep the registers and are no members, and Registers
	// says why there are no registers, if there are none.
	MissingKeepers []string `json:"missing_keepers,omitempty"`
	Registers      string   `json:"registers,omitempty"`
}

// Version says what runs.
type Version struct {
	Pond   string `json:"pond"`
	DuckDB string `json:"duckdb"`
	Go     string `json:"go"`
	Node   string `json:"node,omitempty"`
	Now    int64  `json:"now,omitempty"` // its clock, Unix milliseconds
}
