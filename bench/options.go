package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// options are the flags of the command line.
type options struct {
	size    int64 // raw bytes of a data set
	memory  int64 // bytes each system may use, over all its nodes
	threads int   // of DuckDB, and slots over all nodes
	runs    int
	nodes   []int
	only    []string
	dir     string
	flights string
	output  string
	profile string
	tpch    string // folder of TPC-H's tables; none: TPC-H is not measured
	queries string
	answers string
}

const (
	defaultSize   = "256MB"
	defaultMemory = "2GB"
	nodesMax      = 16
	runsMax       = 100
	nodeMemoryMin = 64 << 20 // a node takes no less
)

func parseOptions(args []string, usage io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(usage)
	size := f.String("size", defaultSize, "raw bytes of each data set")
	memory := f.String("memory", defaultMemory, "memory of each system, all its nodes together")
	nodes := f.String("nodes", "1,2,4", "sizes of the ponds")
	only := f.String("only", "", "measure only these, by name, with commas between: "+strings.Join(names(), ", "))
	f.IntVar(&o.threads, "threads", 2, "threads of DuckDB, and slots of a pond, all its nodes together")
	f.IntVar(&o.runs, "runs", 3, "runs after the first, which warms up; their median counts")
	f.StringVar(&o.dir, "dir", "", "folder for data, kept and used again; default: a temporary one")
	f.StringVar(&o.flights, "flights", "cmd/pondnode/sample/*.parquet", "Parquet files of flights to scale up")
	f.StringVar(&o.output, "o", "table", "output: table or json")
	f.StringVar(&o.profile, "profile", "", "folder for the nodes' logs and processor profiles")
	f.StringVar(&o.tpch, "tpch", "", "folder with TPC-H's tables, a Parquet file each; none: TPC-H is left out")
	f.StringVar(&o.queries, "queries", "duck/logical/testdata/tpch", "folder with TPC-H's queries, q01.sql to q22.sql")
	f.StringVar(&o.answers, "answers", "", "folder with the published answers for that data, q01.csv to q22.csv; none: only DuckDB's are compared with")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var errs [5]error
	o.size, errs[0] = parseSize(*size)
	o.memory, errs[1] = parseSize(*memory)
	o.nodes, errs[2] = parseNodes(*nodes)
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	errs[3] = o.check()
	if f.NArg() > 0 {
		errs[4] = fmt.Errorf("%q: no arguments are taken, only flags", f.Arg(0))
	}
	return o, errors.Join(errs[:]...)
}

func (o *options) check() error {
	for _, n := range o.only {
		if !slices.Contains(names(), n) {
			return fmt.Errorf("--only %s: there is no such measurement; there are %s", n, strings.Join(names(), ", "))
		}
	}
	if o.tpch == "" && (slices.Contains(o.only, tpchName) || o.answers != "") {
		return errors.New("--tpch: TPC-H needs its tables; bench/README.md says how to make them")
	}
	if o.threads < 1 || o.threads > runtime.NumCPU() {
		return fmt.Errorf("--threads %d: this machine has %d", o.threads, runtime.NumCPU())
	}
	if o.runs < 1 || o.runs > runsMax {
		return fmt.Errorf("--runs %d: 1 to %d", o.runs, runsMax)
	}
	if o.output != "table" && o.output != "json" {
		return fmt.Errorf("-o %s: table or json", o.output)
	}
	if n := int64(slices.Max(append([]int{1}, o.nodes...))); o.memory < n*nodeMemoryMin {
		return fmt.Errorf("--memory: a node takes no less than %s, so %d need %s", bytesText(nodeMemoryMin), n, bytesText(n*nodeMemoryMin))
	}
	return nil
}

// names are those that --only takes.
func names() []string {
	var out []string
	for _, w := range workloads() {
		out = append(out, w.name)
	}
	for _, f := range figures() {
		out = append(out, f.name)
	}
	return append(out, tpchName)
}

// tpchName is TPC-H's name for --only.
const tpchName = "tpch"

func parseNodes(s string) ([]int, error) {
	var out []int
	for _, p := range strings.Split(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(p))
		if err != nil || n < 1 || n > nodesMax {
			return nil, fmt.Errorf("--nodes %s: numbers from 1 to %d with commas between", s, nodesMax)
		}
		out = append(out, n)
	}
	return out, nil
}

// units of sizes, the longest names first.
var units = []struct {
	name  string
	bytes float64
}{
	{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// parseSize reads 1GB, 512MiB, 1.5gb or plain bytes.
func parseSize(s string) (int64, error) {
	text, by := strings.ToUpper(strings.TrimSpace(s)), 1.0
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			text, by = n, u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(n*by >= 1 && n*by < 1<<60) {
		return 0, fmt.Errorf("%q is no size: write 1GB or 512MiB", s)
	}
	return int64(n * by), nil
}
