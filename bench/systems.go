package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pondmesh/pond"
)

// duckSystem is one DuckDB in a process of its own.
type duckSystem struct {
	child *child
	spill string
}

func startDuck(ctx context.Context, b *bench, name string, memory int64) (*duckSystem, error) {
	spill := filepath.Join(b.dir, name, "spill")
	c, err := startChild(ctx, "duck", roleConfig{Name: name, Threads: b.threads, Memory: memory, Dir: spill, Cores: b.threads})
	if err != nil {
		return nil, err
	}
	return &duckSystem{child: c, spill: spill}, nil
}

func (d *duckSystem) name() string        { return "duckdb" }
func (d *duckSystem) pids() []int         { return []int{d.child.pid()} }
func (d *duckSystem) spillDirs() []string { return []string{d.spill} }
func (d *duckSystem) stop()               { d.child.stop() }

func (d *duckSystem) call(ctx context.Context, rq duckRequest) (duckReply, error) {
	var reply duckReply
	if err := d.child.call(ctx, rq, &reply); err != nil {
		return reply, err
	}
	if reply.Error != "" {
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}

// exec runs statements.
func (d *duckSystem) exec(ctx context.Context, sql ...string) error {
	_, err := d.call(ctx, duckRequest{Exec: sql})
	return err
}

// query is a query's rows as text.
func (d *duckSystem) query(ctx context.Context, sql string) ([][]string, error) {
	reply, err := d.call(ctx, duckRequest{Query: sql})
	return reply.Rows, err
}

// pondSystem is a pond, a process a node, and a way into it.
type pondSystem struct {
	session *pond.Session
	nodes   []*child
	dir     string
	slots   int // of each node
}

const (
	joinPause = 10 * time.Millisecond
	joinMax   = 30 * time.Second
)

// startPond starts n nodes with a share of the threads and the memory each, but
// one slot at least.
func startPond(ctx context.Context, b *bench, label string, n int, memory int64) (*pondSystem, error) {
	p := &pondSystem{dir: filepath.Join(b.dir, label+"-pond-"+fmt.Sprint(n)), slots: max(b.threads/n, 1)}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, err
	}
	for range n {
		if err := p.start(ctx, b, label, n, memory); err != nil {
			p.stop()
			return nil, err
		}
	}
	var err error
	if p.session, err = pond.Connect(p.nodes[0].Addr, pond.Reuse(false)); err == nil {
		err = p.wait(ctx)
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// start starts one more node, of n that share the memory.
func (p *pondSystem) start(ctx context.Context, b *bench, label string, n int, memory int64) error {
	i := len(p.nodes)
	c := roleConfig{Name: fmt.Sprintf("node %d of %d", i+1, n), Threads: p.slots, Memory: memory / int64(n), Dir: p.nodeDir(i), Cores: b.threads}
	if i > 0 {
		c.Peers = []string{p.nodes[0].Addr}
	}
	if b.profile != "" {
		c.Profile = filepath.Join(b.profile, fmt.Sprintf("%s-%d-of-%d", label, i+1, n))
	}
	node, err := startChild(ctx, "node", c)
	if err != nil {
		return err
	}
	p.nodes = append(p.nodes, node)
	return nil
}

// wait returns when the node that jobs go to sees all others.
func (p *pondSystem) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, joinMax)
	defer cancel()
	for {
		m, err := p.session.Members(ctx)
		if err != nil {
			return err
		}
		if len(m) == len(p.nodes) {
			return nil
		}
		select {
		case <-time.After(joinPause):
		case <-ctx.Done():
			return fmt.Errorf("the pond has %d nodes of %d: %w", len(m), len(p.nodes), ctx.Err())
		}
	}
}

func (p *pondSystem) nodeDir(i int) string { return filepath.Join(p.dir, fmt.Sprintf("node-%d", i+1)) }
func (p *pondSystem) name() string         { return pondName(len(p.nodes)) }

func pondName(n int) string { return fmt.Sprintf("pond %d", n) }

func (p *pondSystem) pids() []int {
	var out []int
	for _, n := range p.nodes {
		out = append(out, n.pid())
	}
	return out
}

func (p *pondSystem) spillDirs() []string {
	var out []string
	for i := range p.nodes {
		out = append(out, filepath.Join(p.nodeDir(i), "spill"))
	}
	return out
}

// stop ends all nodes and removes their data.
func (p *pondSystem) stop() {
	if p.session != nil {
		p.session.Close()
	}
	for _, n := range slices.Backward(p.nodes) {
		n.stop()
	}
	os.RemoveAll(p.dir) // in the run's own folder: removing that one reports any failure
}

// shuffled is the bytes of blocks that the last job's stages wrote for others.
// Its own last stage writes files.
func (p *pondSystem) shuffled(ctx context.Context) (int64, error) {
	jobs, err := p.session.Jobs(ctx)
	if err != nil || len(jobs) == 0 {
		return 0, err
	}
	last := slices.MaxFunc(jobs, func(a, b *pond.Status) int { return a.Submitted.Compare(b.Submitted) })
	var sum int64
	for i, s := range last.Stages {
		if i < len(last.Stages)-1 {
			sum += s.Bytes
		}
	}
	return sum, nil
}
