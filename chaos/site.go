package chaos

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/scenario"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/fs/faults"
)

// SiteOptions configure a Site.
type SiteOptions struct {
	Binary  string // pondnode
	Version string // of it, for records
	Dir     string // data, outputs and nodes' folders are made in it
	Setup   scenario.Setup
	// Faults are the caller's own, beside a plan's. They are made anew for each run.
	Faults func(*Site) []*Fault
	// Invariants are the caller's own, beside those of every run: the answer is
	// DuckDB's, the job ends, the pond becomes whole and keeps nothing of the job.
	Invariants []Invariant
}

// Invariant is what holds after each run, when the pond is whole again.
type Invariant struct {
	Name  string
	Check func(context.Context, *Site, *pond.Status) error
}

// Site is a cluster with data and an oracle, on which plans are carried out one after
// the other.
type Site struct {
	o     SiteOptions
	c     *Cluster
	w     *workload
	plain map[string]plain // by job

	first map[int]usage // by process, when it was first looked at
}

// plain is a job's run without faults.
type plain struct {
	took         time.Duration
	sown, caught int
}

// Limits of the oracle.
const (
	oracleThreads = 2
	oracleMemory  = 1 << 30
)

// NewSite makes the data and starts the nodes. The caller closes it.
func NewSite(ctx context.Context, o SiteOptions) (*Site, error) {
	oracle, err := NewOracle(ctx, duck.Config{Threads: oracleThreads, Memory: oracleMemory, SpillDir: filepath.Join(o.Dir, "oracle")})
	if err != nil {
		return nil, err
	}
	s := &Site{o: o, plain: map[string]plain{}, first: map[int]usage{}}
	if s.w, err = newWorkload(ctx, oracle, o.Dir, &o.Setup); err != nil {
		return nil, errors.Join(err, oracle.Close())
	}
	if s.c, err = s.start(ctx); err != nil {
		return nil, errors.Join(err, oracle.Close())
	}
	return s, nil
}

// startMax bounds how long a site's nodes take to see one another, the turn of other
// clusters of this machine included.
const startMax = 10 * time.Minute

func (s *Site) start(ctx context.Context) (*Cluster, error) {
	set := &s.o.Setup
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	flags := append([]string{"--memory", set.Memory, "--slots", fmt.Sprint(set.Slots), "--log-level", "info"}, set.Flags...)
	return Start(ctx, Options{Binary: s.o.Binary, Dir: s.o.Dir, Nodes: set.Nodes, Flags: flags, ChaosKey: rand.Text(), Netns: set.Driver == scenario.Netns})
}

// Cluster is the site's.
func (s *Site) Cluster() *Cluster { return s.c }

// Close ends all processes. Its error is also one of what they have left.
func (s *Site) Close() error {
	return errors.Join(s.c.Close(), s.c.awaitPorts(), s.w.oracle.Close())
}

// Logs writes each node's log into a folder.
func (s *Site) Logs(dir string) error {
	err := os.MkdirAll(dir, 0o755)
	for i, n := range s.c.Nodes() {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, fmt.Sprintf("node-%d.log", i+1)), []byte(n.Log()), 0o644))
	}
	return err
}

// What a run has shown against the pond, beside ErrDiffers.
var (
	ErrHung    = errors.New("the job has not ended in time")
	ErrFailed  = errors.New("the job did not succeed")
	ErrUnclean = errors.New("the pond is not as it was before the job")
)

// Run carries a plan out. What it shows is in the record: it returns no error. After
// a verdict other than OK and Invalid the site is to be closed.
func (s *Site) Run(ctx context.Context, p *scenario.Plan) *Record {
	r := &Record{When: time.Now().UTC().Truncate(time.Second), Version: s.o.Version, Plan: p}
	base, err := s.without(ctx, p)
	if err == nil {
		r.Plain, r.Planted, r.Caught = base.took.Milliseconds(), base.sown, base.caught
		err = s.with(ctx, p, r)
	}
	r.Verdict = verdictOf(err)
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// verdictOf is what an error of a run means: of several, the worst.
func verdictOf(err error) Verdict {
	for _, v := range []struct {
		is  error
		say Verdict
	}{{ErrDiffers, Wrong}, {ErrFailed, Failed}, {ErrHung, Hung}, {ErrUnclean, Unclean}, {ErrNotFired, Invalid}} {
		if errors.Is(err, v.is) {
			return v.say
		}
	}
	if err == nil {
		return OK
	}
	return Broken
}

// without is the job's run without faults, made once.
func (s *Site) without(ctx context.Context, p *scenario.Plan) (plain, error) {
	base, ok := s.plain[p.Job.Name]
	if ok {
		return base, nil
	}
	r := &Record{}
	quiet := *p
	quiet.Faults = nil
	err := s.follow(ctx, &quiet, r, nil, nil)
	if err == nil {
		base.took = time.Duration(r.Took) * time.Millisecond
		base.sown, base.caught, err = s.w.plant(ctx, p.Job.SQL)
	}
	if err != nil {
		return base, fmt.Errorf("without faults: %w", err)
	}
	s.plain[p.Job.Name] = base
	return base, nil
}

// with runs the job with the plan's faults, and the caller's.
func (s *Site) with(ctx context.Context, p *scenario.Plan, r *Record) error {
	k := &strikes{ctx: context.WithoutCancel(ctx), c: s.c, asked: s.c.Nodes()[p.Asked], seed: p.Seed, struck: map[*Node]*strike{}}
	fire, all := k.faults(p)
	if s.o.Faults != nil {
		fire = append(fire, s.o.Faults(s)...)
	}
	if err := s.pace(ctx, p); err != nil {
		return err
	}
	return s.follow(ctx, p, r, fire, all)
}

// How much later tasks begin at each node than at the one before, how often at each, and
// how late a publication is.
const (
	paceStep    = 60 * time.Millisecond
	paceTimes   = 8
	pacePublish = 300 * time.Millisecond
)

// pace spreads out the tasks of a job that a fault is to strike at a share of them, and
// holds up its publication: a job tells of its tasks ten times a second, and a small one
// would be seen at no share but nothing and all.
func (s *Site) pace(ctx context.Context, p *scenario.Plan) error {
	if !slices.ContainsFunc(p.Faults, func(f scenario.Fault) bool { return f.Do != scenario.Inject }) {
		return nil
	}
	for i, n := range s.c.Nodes() {
		for _, o := range []faults.Order{
			{Point: faults.Attempt, Do: faults.Delay, Times: paceTimes, Late: (time.Duration(i+1) * paceStep).Milliseconds()},
			{Point: faults.Publish, Do: faults.Delay, Times: 1, Late: pacePublish.Milliseconds()},
		} {
			if err := n.Arm(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow runs the job of a plan with the faults that fire, waits until the pond is whole again, and
// looks at all that must hold.
func (s *Site) follow(ctx context.Context, p *scenario.Plan, r *Record, fire []*Fault, all []*strike) error {
	session, err := s.session(p)
	if err != nil {
		return err
	}
	defer session.Close()
	limit, cancel := context.WithTimeout(ctx, time.Duration(p.Setup.Limit))
	defer cancel()
	t, err := s.w.submit(limit, session, p)
	if err != nil && limit.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrHung, err)
	}
	if err != nil {
		return err
	}
	report, err := Run(limit, t.job, fire...)
	r.fill(t.job, report, all, s.c.Nodes())
	if err = ended(limit, report, err); errors.Is(err, ErrHung) {
		return err
	}
	whole, cancel := context.WithTimeout(ctx, wholeMax)
	defer cancel()
	if e := s.whole(whole); e != nil {
		return errors.Join(err, fmt.Errorf("%w: %w", ErrUnclean, e))
	}
	if errors.Is(err, ErrFailed) {
		return err
	}
	return errors.Join(err, t.check(whole), s.holds(whole, t, report.Status))
}

// ended is what is to be said of a job whose run has ended with err.
func ended(limit context.Context, r *Report, err error) error {
	switch st := r.Status; {
	case limit.Err() != nil && (st == nil || !st.Done()):
		return fmt.Errorf("%w: %w", ErrHung, err)
	case errors.Is(err, ErrLost):
		return fmt.Errorf("%w: %w", ErrFailed, err)
	case st != nil && st.Done() && st.Err() != nil:
		return fmt.Errorf("%w: %w", ErrFailed, st.Err())
	}
	return err
}

// fill notes what has happened.
func (r *Record) fill(job *pond.Job, report *Report, all []*strike, nodes []*Node) {
	r.Job, r.Took = job.ID(), report.Took.Milliseconds()
	if report.Ended > 0 {
		r.Took = report.Ended.Milliseconds()
	}
	for _, f := range report.Fired {
		for _, k := range all {
			if k.fault != f.By {
				continue
			}
			at := -1
			if len(k.nodes) == 1 {
				at = slices.Index(nodes, k.nodes[0])
			}
			r.Fired = append(r.Fired, Fired{Do: k.Do, Who: k.Who, Point: k.Point, What: k.What, Node: at, At: f.At.Milliseconds(), Recovery: f.Recovery.Milliseconds()})
		}
	}
}

// session is of all nodes, the one that is to be asked first.
func (s *Site) session(p *scenario.Plan) (*pond.Session, error) {
	nodes := s.c.Nodes()
	var addrs []string
	for i := range nodes {
		addrs = append(addrs, nodes[(p.Asked+i)%len(nodes)].Addr())
	}
	return s.c.Connect(strings.Join(addrs, ","), pond.Reconnect(time.Duration(p.Setup.Limit)))
}

// wholeMax bounds how long the pond takes to be whole again.
const wholeMax = 2 * time.Minute

// whole starts nodes that have ended, lets those leave that have joined, and waits until
// all see one another and nothing runs.
func (s *Site) whole(ctx context.Context) error {
	for i, n := range s.c.Nodes() {
		if i >= s.o.Setup.Nodes {
			if err := s.c.Drop(ctx, n); err != nil {
				return err
			}
			continue
		}
		if n.Running() {
			if err := n.Cont(); err != nil {
				return err
			}
		}
		if n.host != nil {
			n.host.Set(nil)
		}
		if err := disarm(ctx, n); err != nil {
			return err
		}
	}
	if err := s.c.AwaitMembers(ctx, s.o.Setup.Nodes); err != nil {
		return err
	}
	return s.c.AwaitIdle(ctx)
}

// holds is what must hold after a run, beside the answer.
func (s *Site) holds(ctx context.Context, t *task, st *pond.Status) (err error) {
	if e := errors.Join(t.leftover(ctx), s.left(ctx)); e != nil {
		err = fmt.Errorf("%w: %w", ErrUnclean, e)
	}
	for _, n := range s.c.Nodes() {
		if n.Panicked() {
			err = errors.Join(err, fmt.Errorf("%w: node %s panicked", ErrUnclean, n.ID()))
		}
	}
	for _, i := range s.o.Invariants {
		if e := i.Check(ctx, s, st); e != nil {
			err = errors.Join(err, fmt.Errorf("%w: %s: %w", ErrUnclean, i.Name, e))
		}
	}
	return err
}
