//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

// replacedTimeout is for dead nodes to be given up, which takes minutes, and for the queries.
const replacedTimeout = 40 * time.Minute

// TPC-H's tables are datasets on four nodes. Two nodes are killed for good while queries run,
// and fresh ones come in their place: all answers are right, no file is out of reach
// meanwhile, and at the end every file has all its copies again, on nodes that live.
func TestTPCHReplaced(t *testing.T) {
	if *tpch == "" {
		t.Skip("takes a folder of TPC-H's tables, and minutes: -tpch FOLDER -timeout 0")
	}
	for name, together := range map[string]bool{"one after the other": false, "at once": true} {
		t.Run(name, func(t *testing.T) { replaced(t, together) })
	}
}

func replaced(t *testing.T, together bool) {
	begun := time.Now()
	_, c := newCluster(t, 4)
	ctx, cancel := context.WithTimeout(context.Background(), replacedTimeout)
	defer cancel()
	first := c.Nodes()[0]
	o, err := chaos.NewOracle(ctx, oracleConfig(t))
	must(t, err)
	defer o.Close()
	for _, view := range drawnViews(t) {
		must(t, o.Exec(ctx, view))
	}
	files, err := filepath.Glob(*tpch + "/*.parquet")
	must(t, err)
	for _, f := range files {
		f, err := filepath.Abs(f)
		must(t, err)
		table := strings.TrimSuffix(filepath.Base(f), ".parquet")
		statement(t, ctx, first, fmt.Sprintf("CREATE TABLE %s AS FROM '%s'", table, f))
	}
	must(t, chaos.Await(ctx, func(ctx context.Context) error { return whole(ctx, first, 4) }))
	t.Logf("%v: %d tables are datasets, with all copies", time.Since(begun).Round(time.Second), len(files))

	dead := map[string]bool{}
	kill := func(n *chaos.Node) *chaos.Fault {
		return &chaos.Fault{Name: "kill " + n.ID(), When: chaos.Started(0), Do: func(ctx context.Context, _ *pond.Status) error {
			dead[n.ID()] = true
			return n.Kill9(ctx)
		}}
	}
	queries := 0
	for _, j := range drawnJobs(t) {
		if !strings.HasPrefix(j.name, "q") {
			continue
		}
		var faults []*chaos.Fault
		switch {
		case j.name == "q05":
			if faults = append(faults, kill(c.Nodes()[1])); together { // the other keeps no register: most keepers live
				faults = append(faults, kill(notKeeping(t, ctx, c)))
			}
		case j.name == "q13" && !together:
			faults = append(faults, kill(c.Nodes()[2]))
		}
		job, err := first.Session().Submit(ctx, j.sql, pond.Reuse(false), pond.Partitions(6))
		must(t, err)
		r, err := chaos.Run(ctx, job, faults...)
		if err != nil || r.Status.State != "succeeded" {
			t.Fatalf("%s: %v\n%v", j.name, err, r)
		}
		rows, err := job.Rows(ctx)
		must(t, err)
		if err := o.Compare(ctx, rows, j.sql); err != nil {
			t.Fatalf("%s: %v", j.name, err)
		}
		queries++
		for range faults {
			_, err := c.Add(ctx)
			must(t, err)
		}
		st, err := first.Session().Storage(ctx)
		if err != nil || st.Files.Lost+st.Files.Away > 0 {
			t.Errorf("after %s: %+v, %v", j.name, st, err)
		}
	}
	if queries != 22 || len(dead) != 2 {
		t.Fatalf("%d queries, %d nodes killed", queries, len(dead))
	}
	t.Logf("%v: all queries are answered", time.Since(begun).Round(time.Second))
	must(t, chaos.Await(ctx, func(ctx context.Context) error { return whole(ctx, first, 4) }))
	st, err := first.Session().Storage(ctx)
	must(t, err)
	made, bytes := int64(0), int64(0)
	for _, n := range st.Nodes {
		made, bytes = made+n.Repaired, bytes+n.RepairBytes
	}
	t.Logf("%v: every file has all its copies again; %d were made anew, of %d MiB", time.Since(begun).Round(time.Second), made, bytes>>20)
	for _, table := range files {
		holders(t, ctx, first, strings.TrimSuffix(filepath.Base(table), ".parquet"), dead)
	}
}

// statement runs one that gives no rows.
func statement(t *testing.T, ctx context.Context, n *chaos.Node, sql string) {
	t.Helper()
	e, err := chaos.Command(ctx, "", binary, "sql", sql, "-q", "--peer", n.Addr())
	must(t, err)
	if e.Code != 0 {
		t.Fatalf("%s: %v", sql, e)
	}
}

// whole is an error unless fs status says that all is well: no upload and no file lacks a
// copy, and so many nodes, which all answer, are given something by one layout.
func whole(ctx context.Context, n *chaos.Node, members int) error {
	e, err := chaos.Command(ctx, "", binary, "fs", "status", "-o", "json", "--peer", n.Addr())
	if err != nil {
		return err
	}
	var st struct {
		Lacks    int    `json:"lacks"`
		Error    string `json:"error"`
		Datasets string `json:"datasets_error"`
		Unwell   int    `json:"unwell"`
		Files    struct {
			Files int `json:"files"`
		} `json:"files"`
		Nodes []struct {
			Node    string `json:"node"`
			Error   string `json:"error"`
			Members int    `json:"members"`
			Older   int    `json:"layouts_under_way"`
			Layout  uint64 `json:"layout"`
			Synced  uint64 `json:"synced"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal([]byte(e.Stdout), &st); err != nil {
		return fmt.Errorf("fs status: %w: %v", err, e)
	}
	if e.Code != 0 || st.Error != "" || st.Datasets != "" || st.Lacks > 0 || st.Unwell > 0 || st.Files.Files == 0 {
		return fmt.Errorf("fs status: exit code %d, %d uploads lack copies, %d datasets are not well, of %d files: %s %s", e.Code, st.Lacks, st.Unwell, st.Files.Files, st.Error, st.Datasets)
	}
	live := 0
	for _, m := range st.Nodes {
		if m.Error != "" { // dead, and not forgotten yet
			continue
		}
		if live++; m.Members != members || m.Older > 0 || m.Synced < m.Layout {
			err = errors.Join(err, fmt.Errorf("node %s: layout %d of %d members, %d before it, synced to %d", m.Node, m.Layout, m.Members, m.Older, m.Synced))
		}
	}
	if live != members {
		err = errors.Join(err, fmt.Errorf("%d nodes answer", live))
	}
	return err
}

// holders wants the files of a dataset on three nodes each, none of which is dead.
func holders(t *testing.T, ctx context.Context, n *chaos.Node, name string, dead map[string]bool) {
	t.Helper()
	d, err := n.Session().DatasetNow(ctx, "pond://"+name)
	must(t, err)
	for _, f := range d.Files {
		if len(f.Holders) < 3 || f.Want != 3 {
			t.Errorf("%s: %s is on %v", name, f.Path, f.Holders)
		}
		for _, h := range f.Holders {
			if dead[h] {
				t.Errorf("%s: %s is on %s, which is dead", name, f.Path, h)
			}
		}
	}
}

// notKeeping is a node that keeps no registers.
func notKeeping(t *testing.T, ctx context.Context, c *chaos.Cluster) *chaos.Node {
	t.Helper()
	members, err := c.Nodes()[0].Session().Members(ctx)
	must(t, err)
	for _, m := range members {
		for _, n := range c.Nodes() {
			if n.ID() == m.ID && !m.Keeper {
				return n
			}
		}
	}
	t.Fatalf("all keep registers: %+v", members)
	return nil
}
