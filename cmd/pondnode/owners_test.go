//go:build duckdb_arrow

package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
)

// TestOwners: on three nodes with certificates, only who handed a job in and admins end
// it, read its rows or see what it runs, whichever node they ask, and also when another
// node has taken the job over.
func TestOwners(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	keys := filepath.Join(t.TempDir(), "keys")
	must(t, shell(t, ".", "tls", "init", "--dir", keys))
	must(t, shell(t, ".", "tls", "issue", "n1", "n2", "n3", "--dir", keys))
	for user, role := range map[string]string{"alice": "submit", "bob": "submit", "eve": "admin"} {
		must(t, shell(t, ".", "tls", "issue", user, "--role", role, "--dir", keys))
	}
	files := func(name string) tlsFlags {
		return tlsFlags{cert: filepath.Join(keys, name+".crt"), key: filepath.Join(keys, name+".key"), ca: filepath.Join(keys, "ca.crt")}
	}
	nodes := map[string]*process{} // by identity
	var addrs []string
	for _, name := range []string{"n1", "n2", "n3"} {
		f := files(name)
		args := []string{"--slots", "1", "--gossip-key", filepath.Join(keys, "gossip.key"), "--tls-cert", f.cert, "--tls-key", f.key, "--tls-ca", f.ca}
		if len(addrs) > 0 {
			args = append(args, "--peer", addrs[0])
		}
		p := start(t, args...)
		addrs = append(addrs, p.addr)
		nodes[p.addr] = p
	}
	as := func(user string, node int) *pond.Session {
		f := files(user)
		conf, err := f.config()
		if err != nil {
			t.Fatal(err)
		}
		s, err := pond.Connect(addrs[node], pond.WithTLS(conf))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	alice, bob, eve := as("alice", 0), as("bob", 1), as("eve", 2)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for { // three keepers stand the death of one
		members, err := eve.Members(ctx)
		keepers := 0
		for _, m := range members {
			if m.Keeper {
				keepers++
			}
		}
		if err == nil && keepers == 3 {
			break
		}
		if <-tick.C; ctx.Err() != nil {
			t.Fatalf("no pond of three: %v, %v", members, err)
		}
	}
	begin := func(sql string) string {
		t.Helper()
		j, err := alice.Submit(ctx, sql)
		if err != nil {
			t.Fatal(err)
		}
		return j.ID()
	}
	small := begin("SELECT 42 AS secret")
	if _, err := alice.Job(small).Wait(ctx); err != nil {
		t.Fatal(err)
	}
	long := begin("SELECT sum(a.range * b.range) AS secret FROM range(3000000) a, range(3000000) b")
	refused := func() {
		t.Helper()
		for _, id := range []string{small, long} {
			if err := bob.Job(id).Cancel(ctx); !errors.Is(err, pond.ErrDenied) || !strings.Contains(err.Error(), "another user's") {
				t.Errorf("bob ends a job: %v", err)
			}
			if text, err := bob.Job(id).Explain(ctx, "text"); !errors.Is(err, pond.ErrDenied) {
				t.Errorf("bob has it explained: %s, %v", text, err)
			}
			st, err := bob.Job(id).Status(ctx)
			if err != nil || st.Owner != "alice" || !st.Hidden || st.Statement != "" {
				t.Errorf("bob sees %+v, %v", st, err)
			}
		}
		if _, err := bob.Job(small).Rows(ctx); !errors.Is(err, pond.ErrDenied) {
			t.Errorf("bob reads the rows: %v", err)
		}
	}
	refused()
	for _, s := range []*pond.Session{alice, as("alice", 2), eve} {
		rows, err := s.Job(small).Rows(ctx)
		if err != nil || rows.Len() != 1 {
			t.Errorf("an owner or an admin reads no rows: %v", err)
		}
	}
	list := must(t, shell(t, ".", append([]string{"jobs", "-o", "jsonl", "--peer", addrs[1]}, "--tls-cert", files("bob").cert, "--tls-key", files("bob").key, "--tls-ca", files("bob").ca)...))
	if strings.Count(list, `"owner":"alice"`) != 2 || strings.Contains(list, "secret") {
		t.Errorf("bob's list:\n%s", list)
	}

	st, err := alice.Job(long).Status(ctx)
	if err != nil || st.Statement == "" {
		t.Fatalf("%+v, %v", st, err)
	}
	members, err := eve.Members(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var dead string
	for _, m := range members {
		if m.ID == st.Coordinator {
			dead = m.Addr
		}
	}
	if nodes[dead] == nil {
		t.Fatalf("no node coordinates %+v", st)
	}
	_ = nodes[dead].cmd.Process.Kill()
	nodes[dead].ends(t)
	for { // the sessions go on by other nodes
		now, err := alice.Job(long).Status(ctx)
		if err == nil && now.Term > st.Term {
			break
		}
		if <-tick.C; ctx.Err() != nil {
			t.Fatalf("nobody takes the job over: %+v, %v", now, err)
		}
	}
	st, err = bob.Job(long).Status(ctx)
	if err != nil || st.Owner != "alice" || !st.Hidden {
		t.Errorf("after the takeover bob sees %+v, %v", st, err)
	}
	if err := bob.Job(long).Cancel(ctx); !errors.Is(err, pond.ErrDenied) {
		t.Errorf("after the takeover bob ends the job: %v", err)
	}
	if err := alice.Job(long).Cancel(ctx); err != nil {
		t.Errorf("after the takeover alice cannot end her job: %v", err)
	}
	if st, err := eve.Job(long).Status(ctx); err != nil || st.State != "cancelled" || st.Owner != "alice" {
		t.Errorf("in the end: %+v, %v", st, err)
	}
}
