package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/pondmesh/pond"
)

// nodeFlags are a node's settings.
type nodeFlags struct {
	bind, advertise, data   string
	port, slots             int
	jobs, userJobs, queue   int
	peers, disks            []string
	keeperGrace             time.Duration
	retention               time.Duration
	joinTimeout, keep       time.Duration
	readRoots, writeRoots   []string
	memory, label, zone     string
	gossipKey, tokenFile    string
	tls                     tlsFlags
	logLevel, logFormat     string
	cache                   string
	spill, result, output   string
	records                 string
	memoryBytes, cacheBytes int64
	given                   func(flag string) bool // on the command line or in the environment
}

func (a *app) joinCommand() *cobra.Command {
	var n nodeFlags
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Start a node here and join it to the pond of its peers",
		Long: "Start a node in the foreground and join it to the pond of its peers; without\n" +
			"peers it begins a pond of its own. It says when it is ready.\n\n" +
			"One peer that answers is enough. While none does, the node goes on calling them,\n" +
			"and says so: nodes that are started together, each with the others as peers, find\n" +
			"one another. A name means all the addresses that it has.\n\n" +
			"Ctrl-C or SIGTERM makes it finish what it runs and leave; a second one stops it\n" +
			"at once.",
		Example: "  pondnode join\n  pondnode join --port 0 --peer 127.0.0.1 --data /tmp/second",
		Args:    args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			n.given = cmd.Flags().Changed
			return a.join(cmd.Context(), &n)
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.bind, "bind", "127.0.0.1", "`HOST` to listen on; any but loopback needs keys and certificates")
	f.IntVar(&n.port, "port", 7946, "base port: gossip on it, actors on +1, API and data on +2; 0: free ones")
	f.StringVar(&n.advertise, "advertise", "", "`HOST` at which others reach this node (default that of --bind)")
	f.StringVar(&n.data, "data", ".pond", "`DIR` for segments, job records and spilled rows")
	f.StringArrayVar(&n.disks, "disk", nil, "`DIR` on another disk, for copies of datasets beside those in --data; may be repeated")
	f.StringSliceVar(&n.peers, "peer", nil, "`HOST[:PORT]` of any node to join, its base port; may be repeated, or a list with commas (environment: POND_JOIN_PEER)")
	_ = f.SetAnnotation("peer", envAnnotation, []string{"POND_JOIN_PEER"})
	f.DurationVar(&n.joinTimeout, "join-timeout", 0, "give up when no peer has answered for so long (default never)")
	f.StringSliceVar(&n.readRoots, "read-root", nil, "`DIR` or URL, such as s3://bucket/folder, below which jobs may read; may be repeated (default whatever this user may)")
	f.StringSliceVar(&n.writeRoots, "write-root", nil, "`DIR`, or URL such as pond://sales, below which jobs may write; may be repeated (default whatever this user may)")
	f.StringVar(&n.memory, "memory", "", "memory for tasks, such as 4GiB (default 60 % of the machine's)")
	f.IntVar(&n.slots, "slots", runtime.GOMAXPROCS(0), "tasks at once, one a core as a rule; 0: none, only submit and coordinate")
	f.StringVar(&n.label, "label", "", "name of the pond: nodes with another do not join (default pond)")
	f.StringVar(&n.gossipKey, "gossip-key", "", "16, 24 or 32 bytes that all nodes share: a `FILE`, or in base64")
	n.tls.add(cmd)
	addTokenFile(cmd, &n.tokenFile)
	f.StringVar(&n.zone, "zone", "", "what fails together with this node: a rack, a site")
	f.DurationVar(&n.keeperGrace, "keeper-grace", time.Minute, "replace a keeper of the pond's registers that is dead for so long")
	f.DurationVar(&n.retention, "retention", 24*time.Hour, "how long versions of datasets that are not the newest can be read; the same for all nodes")
	f.StringVar(&n.cache, "cache", "", "disk for rows kept for reuse, such as 20GiB; 0: keep none (default 8GiB)")
	f.DurationVar(&n.keep, "keep", 7*24*time.Hour, "how long what ended jobs leave is kept, rows and records; 0: as long as there is room")
	f.StringVar(&n.records, "records-max", "", "disk for records of ended jobs (default 1GiB)")
	f.StringVar(&n.spill, "spill-max", "", "disk that one task may spill rows to, such as 20GiB (default what is free)")
	f.StringVar(&n.result, "result-max", "", "size of a job's result, as stored until it is read (default what is free)")
	f.StringVar(&n.output, "output-max", "", "size of the files that a job writes (default what is free)")
	f.IntVar(&n.jobs, "jobs-max", 32, "jobs that this node drives at once; a quarter more of those that a client waits for")
	f.IntVar(&n.userJobs, "user-jobs-max", 0, "the same of one user's jobs (default no bound)")
	f.IntVar(&n.queue, "queue-max", 1000, "jobs that may wait for this node to drive them; it refuses more")
	f.StringVar(&n.logLevel, "log-level", "warn", "debug, info, warn or error")
	f.StringVar(&n.logFormat, "log-format", "text", "text or json")
	return cmd
}

// chaosKeyVariable names the variable of the environment that has the key for faults: a
// flag would show it to every user of the machine.
const chaosKeyVariable = "POND_CHAOS_KEY"

// portMax is the last base port: a node takes the two after it as well.
const portMax = 65532

func badPort(port int) error {
	return usageError{fmt.Sprintf("--port %d is out of range", port), fmt.Sprintf("use 1 to %d, or 0 for a free one", portMax)}
}

// options turns the flags into a node's options.
func (n *nodeFlags) options(log *slog.Logger) ([]pond.Option, error) {
	var err error
	if n.memoryBytes, err = byteSize("--memory", n.memory); err != nil {
		return nil, err
	}
	if n.cache != "0" {
		if n.cacheBytes, err = byteSize("--cache", n.cache); err != nil {
			return nil, err
		}
	}
	bounds, err := n.bounds()
	if err != nil {
		return nil, err
	}
	if n.slots < 0 {
		return nil, usageError{fmt.Sprintf("--slots %d is out of range", n.slots), "use 0 for none, or leave it out for one a core"}
	}
	if n.port < 0 || n.port > portMax {
		return nil, badPort(n.port)
	}
	conf, err := n.tls.config()
	if err != nil {
		return nil, err
	}
	key, err := gossipKey(n.gossipKey)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(n.data)
	if err != nil {
		return nil, fmt.Errorf("--data: %w", err)
	}
	n.data = dir
	disks := make([]string, len(n.disks))
	for i, d := range n.disks {
		if disks[i], err = filepath.Abs(d); err != nil || d == "" {
			return nil, usageError{fmt.Sprintf("--disk %q names no folder", d), "name one on another disk, such as /mnt/disk2"}
		}
	}
	options := []pond.Option{
		pond.WithBind(n.bind), pond.WithAdvertise(n.advertise), pond.WithPort(n.port), pond.WithPeers(n.peers...), pond.WithJoinTimeout(n.joinTimeout), pond.WithDir(dir), pond.WithDisks(disks...),
		pond.WithMemory(n.memoryBytes), pond.WithSlots(n.slots), pond.WithLabel(n.label), pond.WithGossipKey(key), pond.WithTLS(conf),
		pond.WithZone(n.zone), pond.WithKeeperGrace(n.keeperGrace), pond.WithRetention(n.retention), pond.WithLogger(log), pond.WithVersion(ownVersion()),
		pond.WithReadRoots(n.readRoots...), pond.WithWriteRoots(n.writeRoots...), pond.WithKeyFiles(n.keyFiles()...),
		pond.WithJobsMax(n.jobs), pond.WithUserJobsMax(n.userJobs), pond.WithQueueMax(n.queue), pond.WithKeep(n.keep),
	}
	options = append(options, bounds...)
	if n.tokenFile != "" {
		options = append(options, pond.WithTokenFile(n.tokenFile))
	}
	if n.given("cache") {
		options = append(options, pond.WithCache(n.cacheBytes))
	}
	return options, nil
}

// bounds are the limits of what queries put on disk.
func (n *nodeFlags) bounds() (options []pond.Option, err error) {
	for _, b := range []struct {
		flag, size string
		option     func(int64) pond.Option
	}{{"--spill-max", n.spill, pond.WithSpillMax}, {"--result-max", n.result, pond.WithResultMax}, {"--output-max", n.output, pond.WithOutputMax}, {"--records-max", n.records, pond.WithRecordsMax}} {
		bytes, err := byteSize(b.flag, b.size)
		if err != nil {
			return nil, err
		}
		options = append(options, b.option(bytes))
	}
	return options, nil
}

// keyFiles are those that flags name.
func (n *nodeFlags) keyFiles() (files []string) {
	for _, f := range []string{n.tls.key, n.gossipKey} {
		if abs, err := filepath.Abs(f); err == nil && f != "" {
			files = append(files, abs)
		}
	}
	return files
}

func byteSize(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(s)
	if err != nil || n == 0 || n > 1<<60 {
		return 0, usageError{flag + " " + quote(s) + " is not a size", "write it like 512MiB or 4GiB"}
	}
	return int64(n), nil
}

// keyLengths are those of AES.
var keyLengths = []int{16, 24, 32}

// gossipKey reads a key from a file or from base64. No error shows it.
func gossipKey(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	bad := usageError{"--gossip-key is neither a readable file nor base64 of 16, 24 or 32 bytes", "make one with: pondnode tls init"}
	if err := private("--gossip-key", s); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(s)
	if err != nil {
		raw = []byte(s)
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(raw))); err == nil && slices.Contains(keyLengths, len(key)) {
		return key, nil
	}
	if err == nil && slices.Contains(keyLengths, len(raw)) {
		return raw, nil
	}
	return nil, bad
}

// logger is where a node logs.
func (a *app) logger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usageError{"--log-level " + quote(level) + " is not known", "use debug, info, warn or error"}
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(a.stderr, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.stderr, o)), nil
	}
	return nil, usageError{"--log-format " + quote(format) + " is not known", "use text or json"}
}

func (a *app) join(ctx context.Context, n *nodeFlags) error {
	log, err := a.logger(n.logLevel, n.logFormat)
	if err != nil {
		return err
	}
	options, err := n.options(log)
	if err != nil {
		return err
	}
	if peer, set := a.env("POND_PEER"); set && peer != "" && len(n.peers) == 0 {
		n.say(a, "no --peer: this node begins a pond of its own (POND_PEER is for commands that ask a node; a node to join is named with --peer or POND_JOIN_PEER)")
	}
	if key, _ := a.env(chaosKeyVariable); key != "" {
		options = append(options, pond.WithChaosKey(key))
		n.say(a, "faults can be armed at this node ("+chaosKeyVariable+" is set): it is one for fault runs")
	}
	node, err := a.starting(ctx, options)
	if err != nil {
		return err
	}
	n.say(a, "jobs may read "+below(n.readRoots)+", and write "+below(n.writeRoots)+" (--read-root and --write-root confine them)")
	if err := a.sayReady(ctx, node, n); err != nil {
		return errors.Join(err, node.Close())
	}
	return a.stay(ctx, node, n)
}

// below says what roots leave to jobs.
func below(roots []string) string {
	if len(roots) == 0 {
		return "whatever this user may"
	}
	return "below " + strings.Join(roots, ", ")
}

// say writes a notice for the operator of a node, in the form of the log.
func (n *nodeFlags) say(a *app, text string) {
	if n.logFormat == "json" {
		slog.New(slog.NewJSONHandler(a.stderr, nil)).Info(text)
		return
	}
	fmt.Fprintln(a.stderr, text)
}

// starting joins, unless a signal comes first.
func (a *app) starting(ctx context.Context, options []pond.Option) (*pond.Node, error) {
	ctx, stop := a.until(ctx)
	defer stop()
	node, err := pond.Join(ctx, options...)
	if err != nil && errors.Is(context.Cause(ctx), errInterrupted) {
		return nil, errInterrupted
	}
	return node, err
}

// sayReady writes the one line that scripts wait for.
func (a *app) sayReady(ctx context.Context, node *pond.Node, n *nodeFlags) error {
	ctx, stop := within(ctx)
	defer stop()
	members, err := node.Members(ctx)
	if err != nil {
		return err
	}
	var self pond.Member
	for _, x := range members {
		if x.Self {
			self = x
		}
	}
	peers := len(members) - 1
	if n.logFormat == "json" {
		slog.New(slog.NewJSONHandler(a.stderr, nil)).Info("ready", "node", node.ID(), "addr", node.Addr(), "slots", self.Slots, "memory", self.Memory, "data", n.data, "peers", peers)
		return nil
	}
	fmt.Fprintf(a.stderr, "ready node=%s addr=%s slots=%d memory=%s data=%s peers=%d\n", node.ID(), node.Addr(), self.Slots, strings.ReplaceAll(size(self.Memory), " ", ""), n.data, peers)
	return nil
}

// stopMax is how long a node that stops at once may take over it: the process
// ends then in any case.
const stopMax = 3 * time.Second

// stay runs a node until it has left.
func (a *app) stay(ctx context.Context, node *pond.Node, n *nodeFlags) error {
	select {
	case <-node.Done():
		n.say(a, "left the pond, as asked")
		return node.Close()
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), node.Close())
	case <-a.signals:
	}
	n.say(a, "leaving: finishing what runs here; once more stops at once")
	left := make(chan error, 1)
	go func() { left <- node.Leave(ctx) }()
	select {
	case err := <-left:
		if err == nil {
			n.say(a, "left the pond")
		}
		return err
	case <-a.signals:
		n.say(a, "stopping at once")
		go node.Close()
		select {
		case <-node.Done():
		case <-time.After(stopMax):
		}
		return errInterrupted
	}
}

// leavePoll is how often a leaving node is asked whether it is still there.
const leavePoll = 100 * time.Millisecond

func (a *app) leaveCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "leave",
		Short: "Make the node at --peer finish what it runs and leave the pond",
		Args:  args(0, 0, ""),
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait until the node is gone; it leaves all the same")
	var c clientFlags
	c.add(cmd)
	_ = cmd.Flags().MarkHidden("reconnect") // another node would not do
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(c.peers) > 1 {
			return usageError{"leave is about one node, and --peer names several", "name the node that is to leave"}
		}
		if timeout <= 0 {
			return usageError{fmt.Sprintf("--timeout %v is no time to wait", timeout), "write a length of time, such as 90s or 5m"}
		}
		c.reconnect = 0
		s, err := a.connect(&c)
		if err != nil {
			return err
		}
		defer s.Close()
		ctx, cancel := a.until(cmd.Context())
		defer cancel()
		ctx, stop := context.WithTimeout(ctx, timeout)
		defer stop()
		return a.leave(ctx, s)
	}
	return cmd
}

func (a *app) leave(ctx context.Context, s *pond.Session) error {
	before, err := s.Version(ctx)
	if err != nil {
		return err
	}
	if err := s.Leave(ctx); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "node %s is leaving\n", before.Node)
	tick := time.NewTicker(leavePoll)
	defer tick.Stop()
	for {
		v, err := s.Version(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil || v.Node != before.Node:
			fmt.Fprintf(a.stdout, "node %s has left\n", before.Node)
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
