package given

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/dataset"
)

// Attempt is what one attempt at a task is given, as an exec.Packets.
type Attempt struct {
	packets   *Packets
	partition int
	lineage   uint64
}

// For returns what an attempt at a partition's task is given, which is to read inputs of
// that lineage.
func (p *Packets) For(partition int, lineage uint64) Attempt { return Attempt{p, partition, lineage} }

// Get is the packet of a stage, of that version or a newer one. It fails with
// plan.ErrInternal if that is no packet of this stage of the job, with plan.ErrCancelled if
// its inputs are of another lineage, and with plan.ErrDenied if it gives the attempt what
// this node gives no job. The packet is shared: it must not
// be changed.
func (a Attempt) Get(ctx context.Context, stage int, version uint64) (*api.Packet, error) {
	e, err := a.packets.get(ctx, stage, version)
	if err == nil {
		err = wellFormed(e.packet, a.packets.job, stage)
	}
	if err == nil && e.packet.Lineage != a.lineage {
		err = &plan.Error{Kind: plan.KindCancelled, Op: "run", Text: "what the task was to read has been made again, with other rows"}
	}
	if err == nil {
		err = e.judged.once(func() error { return judge(a.packets.rules, e.packet) })
	}
	if err == nil {
		err = a.check(e.packet)
	}
	if err != nil {
		return nil, err
	}
	return e.packet, nil
}

// Schema is the Arrow schema of a stage's output, read from its segment at addr.
func (a Attempt) Schema(ctx context.Context, stage plan.StageID, addr, segment string) (*arrow.Schema, error) {
	return a.packets.schema(ctx, stage, addr, segment)
}

// judgement is what the rules say of all that a packet names, which may be thousands of
// files: attempts that begin within judgedFor share it.
type judgement struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

const judgedFor = time.Second

func (j *judgement) once(judge func() error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if time.Since(j.at) > judgedFor {
		j.err = judge()
		j.at = time.Now()
	}
	return j.err
}

// judge says whether jobs may read what a packet gives them.
func judge(rules *access.Rules, p *api.Packet) error {
	check := rules.Check()
	for _, path := range p.Access {
		if strings.HasSuffix(path, "/") {
			return notGiven("read", path, "no job is given whole folders")
		}
		if err := check.Read(path); err != nil {
			return err
		}
	}
	return nil
}

// check says whether the attempt may open what it opens by itself. It is asked right
// before each.
func (a Attempt) check(p *api.Packet) error {
	check := a.packets.rules.Check()
	for _, path := range p.Stage().Access {
		if err := check.Read(path); err != nil {
			return err
		}
	}
	for _, in := range p.Stage().Inputs {
		if in.Scan == nil {
			continue
		}
		for _, path := range piecesOf(in.Scan, a.partition) {
			if err := check.Read(path); err != nil {
				return err
			}
		}
	}
	if p.Stage().Exchange.Write == nil {
		return nil
	}
	if dataset.Is(p.Staging) {
		return a.checkDataset(check, p)
	}
	if plan.InStore(p.Staging) {
		if p.Staging != p.Stage().Exchange.Write.Path {
			return notGiven("write", p.Staging, "this is not where the job writes")
		}
		_, err := check.Write(p.Staging)
		return err
	}
	if job, ok := fs.StagedFor(p.Staging); !ok || job != string(a.packets.job) {
		return notGiven("write", p.Staging, "this is no staging folder of the job")
	}
	_, err := check.Write(p.Staging)
	return err
}

// checkDataset says whether the attempt may upload files for a dataset.
func (a Attempt) checkDataset(check *access.Check, p *api.Packet) error {
	ref, err := dataset.Parse(p.Staging)
	if err != nil || ref.Version > 0 || ref.Path != "" || !dataset.LeasedTo(p.Lease, string(a.packets.job)) {
		return notGiven("write", p.Staging, "this is no dataset for which the job has a lease")
	}
	_, err = check.Write(p.Staging)
	return err
}

// piecesOf are the files that a task of a scan opens.
func piecesOf(s *plan.Scan, partition int) (paths []string) {
	splits := s.Splits
	if !s.Broadcast && partition < len(splits) {
		splits = splits[partition : partition+1]
	}
	for _, pieces := range splits {
		for _, piece := range pieces {
			paths = append(paths, piece.Path)
		}
	}
	if s.Like != "" {
		paths = append(paths, s.Like)
	}
	return paths
}

// wellFormed refuses a packet that is not what it was asked for.
func wellFormed(p *api.Packet, job plan.JobID, stage int) error {
	bad := func(format string, args ...any) error {
		return &plan.Error{Kind: plan.KindInternal, Op: "fetch the stage of", Subject: string(job), Text: "what its coordinator sent is no packet: " + fmt.Sprintf(format, args...)}
	}
	switch {
	case p == nil || p.Job == nil:
		return bad("it has no job")
	case p.ID != job || p.Index != stage:
		return bad("it is stage %d of job %.32s", p.Index, string(p.ID))
	case stage < 0 || stage >= len(p.Job.Stages):
		return bad("it has %d stages", len(p.Job.Stages))
	}
	for i, s := range p.Job.Stages {
		if s == nil {
			return bad("stage %d is missing", i)
		}
	}
	if x := &p.Stage().Exchange; (x.Kind == plan.Files) != (x.Write != nil) { // what is written would be judged by one of both
		return bad("stage %d writes files, and does not", stage)
	}
	for _, up := range p.Stage().Upstream() {
		if up < 0 || up >= len(p.Job.Stages) || len(p.Where[up]) != len(p.Up[up]) {
			return bad("stage %d, which it reads, is missing", up)
		}
		if have, want := len(p.Up[up]), p.Job.Stages[up].Tasks.N; have != want {
			return bad("it has %d segments of stage %d, whose tasks are %d", have, up, want)
		}
	}
	return nil
}

func notGiven(op, path, why string) error {
	return &plan.Error{Kind: plan.KindDenied, Op: op, Subject: path, Text: why}
}
