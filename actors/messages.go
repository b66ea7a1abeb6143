package actors

import (
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/publish"
	"github.com/pondmesh/pond/actors/report"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/mesh"
)

// The messages of the worker, beside those of the wire.
type (
	workMsg struct {
		from wire.Peer
		work *wire.Work
	}
	stopMsg struct{ stop *wire.Stop }
	// pulledMsg is the answer to a pull, or to a report, which pulls for one slot at most.
	pulledMsg struct {
		job   plan.JobID
		term  uint64
		holds []*fair.Hold // of the slots that were pulled for
		runs  []*wire.Run
		err   error
		told  *report.Report // what was reported; nil: nothing was
	}
	// endedMsg: an attempt's goroutine has finished; its slot is free.
	endedMsg struct {
		job  plan.JobID
		key  attemptKey
		out  *report.Report
		hold *fair.Hold
	}
	// termMsg asks for the highest term of a job that the worker has heard of; 0: of none.
	termMsg struct {
		job   plan.JobID
		reply chan uint64
	}
	copiedMsg struct{ job plan.JobID } // a copy of one of its segments is here
	copyMsg   struct{ copy *wire.Copy }
	sentMsg   struct { // what was to be copied is held by those nodes too
		job    plan.JobID
		by     *copying
		copied *wire.Copied
	}
	drainMsg   struct{ idle chan struct{} } // take no more; idle closes when nothing runs
	abandonMsg struct{}                     // stop everything at once
	tickMsg    struct{}
	viewMsg    struct{}
)

// attemptKey names an attempt within a job.
type attemptKey struct {
	stage, partition, attempt int
}

// cancelMsg ends an attempt.
type cancelMsg struct{ reason error }

// The messages of the coordinator, beside those of package jobs.
type (
	// plannedMsg says that the plan is there to be taken.
	plannedMsg struct{}
	planned    struct {
		job  *prepare.Job
		held []nodeHeld
		out  *publish.Output
		size []int64 // named
		err  error

		published bool // the files, by a predecessor
		files     []string
	}
	nodeHeld = peers.Answer[[]api.Held]
	// nodeMsg is a worker's Pull, Done or Failed.
	nodeMsg struct {
		from   wire.Peer
		header *wire.Header
		msg    proto.Message
		reply  chan grantReply
	}
	grantReply struct {
		grant *wire.Grant
		err   error
	}
	packetMsg struct {
		term    uint64
		stage   int
		version uint64
		reply   chan packetReply
	}
	packetReply struct {
		packet *api.Packet
		err    error
	}
	// partsMsg is a Done whose partition sizes have been asked for.
	partsMsg struct {
		m     *nodeMsg
		parts *plan.SegmentInfo
		err   error
	}
	heldMsg    struct{ held []nodeHeld }
	membersMsg struct{ view *mesh.View }
	// decidedMsg is what came of the vote on a job's end.
	decidedMsg struct {
		vote terms.Decision
		end  *sched.Finish
		err  error
	}
	// withdrawnMsg is what became of files that an earlier term may have published.
	withdrawnMsg struct {
		end       *sched.Finish
		try       int
		files     []string
		published bool
		err       error
	}
	publishedMsg struct {
		try   int
		files []string
		err   error
	}
)
