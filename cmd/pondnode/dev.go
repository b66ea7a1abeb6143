package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/cmd/pondnode/sample"
	"github.com/pondmesh/pond/duck/lexer"
)

// Measures of a pond in one process.
const (
	devNodesMax   = 16
	devMemory     = "1GiB"
	portsPerNode  = 3
	meetTimeout   = 20 * time.Second
	meetPoll      = 20 * time.Millisecond
	sampleMark    = "{flights}"
	queryIsSample = "-" // --query without SQL
)

// devFlags are the settings of a pond in one process.
type devFlags struct {
	port, nodes, slots int
	memory             string
	query              string
	sample             bool
	sub                submission
}

func (a *app) devCommand() *cobra.Command {
	var d devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a pond of three nodes in this process, to try things out",
		Long: "Run a pond of three nodes in this process, with data that is gone afterwards,\n" +
			"until Ctrl-C. With --sample or --query it runs a job, prints the result and ends.\n" +
			"In the SQL of --query, {flights} stands for the sample's 24,000 rows.",
		Example: "  pondnode dev\n  pondnode dev --sample\n" +
			"  pondnode dev --query \"SELECT destination, max(distance) FROM {flights} GROUP BY 1 ORDER BY 2 DESC LIMIT 3\"",
		Args: func(cmd *cobra.Command, list []string) error {
			if d.query == queryIsSample && len(list) == 1 {
				d.query = list[0]
				return nil
			}
			return args(0, 0, "")(cmd, list)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := d.sub.check(cmd, a); err != nil {
				return err
			}
			return a.dev(cmd.Context(), &d)
		},
	}
	f := cmd.Flags()
	f.IntVar(&d.port, "port", 7946, "base port of the first node, if it is free")
	f.IntVar(&d.nodes, "nodes", 3, "how many nodes")
	f.IntVar(&d.slots, "slots", max(1, runtime.GOMAXPROCS(0)/3), "tasks at once, a node")
	f.StringVar(&d.memory, "memory", devMemory, "memory for tasks, a node")
	f.BoolVar(&d.sample, "sample", false, "run a job over the sample of flights and end")
	f.StringVar(&d.query, "query", "", "run an SQL statement and end; without one: as --sample")
	f.Lookup("query").NoOptDefVal = queryIsSample
	d.sub.add(cmd)
	return cmd
}

func (a *app) dev(ctx context.Context, d *devFlags) (err error) {
	if d.nodes < 1 || d.nodes > devNodesMax {
		return usageError{fmt.Sprintf("--nodes %d is out of range", d.nodes), fmt.Sprintf("use 1 to %d", devNodesMax)}
	}
	if d.slots < 1 {
		return usageError{fmt.Sprintf("--slots %d is out of range", d.slots), "each node needs at least 1 to run a task"}
	}
	if d.port < 0 || d.port > portMax {
		return badPort(d.port)
	}
	memory, err := byteSize("--memory", d.memory)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pond-sample-")
	if err != nil {
		return fmt.Errorf("a folder for the sample: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := sample.Write(dir); err != nil {
		return err
	}
	begun := time.Now()
	nodes, err := a.startDev(ctx, d, memory)
	defer func() { err = errors.Join(err, closeAll(nodes)) }()
	if err != nil {
		return err
	}
	a.peer = nodes[0].Addr()
	if d.sample || d.query != "" {
		if !d.sub.quiet {
			fmt.Fprintf(a.stderr, "a pond of %d nodes is up after %d ms\n", len(nodes), time.Since(begun).Milliseconds())
		}
		return a.devJob(ctx, nodes, dir, d)
	}
	a.sayHow(nodes, dir)
	select {
	case <-a.signals:
		fmt.Fprintln(a.stderr, "stopping")
	case <-ctx.Done():
	}
	return nil
}

// startDev starts the nodes and waits until each knows all. It returns those
// that were started, in any case.
func (a *app) startDev(ctx context.Context, d *devFlags, memory int64) ([]*pond.Node, error) {
	ctx, stop := a.until(ctx)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, meetTimeout)
	defer cancel()
	var nodes []*pond.Node
	for i := range d.nodes {
		options := []pond.Option{pond.WithMemory(memory), pond.WithSlots(d.slots), pond.WithVersion(ownVersion()), pond.WithLabel("pond-dev")}
		if i == 0 && free(d.port) {
			options = append(options, pond.WithPort(d.port))
		}
		if i > 0 {
			options = append(options, pond.WithPeers(nodes[0].Addr()))
		}
		n, err := pond.Join(ctx, options...)
		if err != nil {
			return nodes, cause(ctx, err)
		}
		nodes = append(nodes, n)
	}
	tick := time.NewTicker(meetPoll)
	defer tick.Stop()
	for _, n := range nodes {
		for {
			m, err := n.Members(ctx)
			if err != nil {
				return nodes, cause(ctx, err)
			}
			if len(m) >= len(nodes) {
				break
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}
	return nodes, nil
}

// cause is errInterrupted where that is behind err.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); errors.Is(c, errInterrupted) {
		return c
	}
	return err
}

// free reports whether a node's ports are free.
func free(base int) bool {
	for p := base; p < base+portsPerNode; p++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err != nil {
			return false
		}
		l.Close()
	}
	return base > 0
}

// closeAll stops the nodes, all at once. The process ends soon after, so that one
// that takes too long is left to that.
func closeAll(nodes []*pond.Node) error {
	closed := make(chan error, len(nodes))
	for _, n := range nodes {
		go func() { closed <- n.Close() }()
	}
	late := time.After(stopMax)
	var errs []error
	for range nodes {
		select {
		case err := <-closed:
			errs = append(errs, err)
		case <-late:
			return errors.Join(errs...)
		}
	}
	return errors.Join(errs...)
}

// devJob runs the sample's job, or the user's SQL, submitted to the last node:
// any will do.
func (a *app) devJob(ctx context.Context, nodes []*pond.Node, dir string, d *devFlags) error {
	j, err := devPlan(dir, d)
	if err != nil {
		return err
	}
	n := nodes[len(nodes)-1]
	if !d.sub.quiet {
		fmt.Fprintf(a.stderr, "submitting to node %s at %s\n", n.ID(), n.Addr())
	}
	return a.submit(ctx, n.Session, j, &d.sub)
}

func devPlan(dir string, d *devFlags) (*job, error) {
	if d.query != "" && d.query != queryIsSample {
		files := "read_parquet(" + lexer.QuoteText(filepath.Join(dir, sample.Files)) + ")"
		return &job{sql: strings.ReplaceAll(d.query, sampleMark, files)}, nil
	}
	path := filepath.Join(dir, sample.Job)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the sample: %w", err)
	}
	return parseJob(path, data, dir)
}

// sayHow prints how to talk to the pond.
func (a *app) sayHow(nodes []*pond.Node, dir string) {
	fmt.Fprintf(a.stdout, "a pond of %d nodes is up:\n", len(nodes))
	for _, n := range nodes {
		fmt.Fprintf(a.stdout, "  node %s at %s\n", n.ID(), n.Addr())
	}
	peer := ""
	if nodes[0].Addr() != defaultPeer {
		peer = " --peer " + nodes[0].Addr()
	}
	fmt.Fprintf(a.stdout, "\nin another terminal, try:\n")
	fmt.Fprintf(a.stdout, "  pondnode members%s\n", peer)
	fmt.Fprintf(a.stdout, "  pondnode submit%s \"SELECT origin, count(*) AS flights FROM '%s' GROUP BY origin ORDER BY flights DESC LIMIT 5\"\n", peer, filepath.Join(dir, sample.Files))
	fmt.Fprintf(a.stdout, "  cd %s && pondnode submit%s %s\n", dir, peer, sample.Job)
	fmt.Fprintf(a.stdout, "\nCtrl-C ends it and removes its data.\n")
}
