//go:build duckdb_arrow

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/mesh/delay"
)

// TestSecuredDatasets: on three nodes with certificates a dataset is made, added to and
// read on each of them; copies go between nodes over TLS, and outlive one that is killed.
func TestSecuredDatasets(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	keys := filepath.Join(t.TempDir(), "keys")
	must(t, shell(t, ".", "tls", "init", "--dir", keys))
	must(t, shell(t, ".", "tls", "issue", "n1", "n2", "n3", "--dir", keys))
	must(t, shell(t, ".", "tls", "issue", "ann", "--role", "submit", "--dir", keys))
	certs := func(name string) []string {
		return []string{"--tls-cert", filepath.Join(keys, name+".crt"), "--tls-key", filepath.Join(keys, name+".key"), "--tls-ca", filepath.Join(keys, "ca.crt")}
	}
	var nodes []*process
	for _, name := range []string{"n1", "n2", "n3"} {
		args := append(certs(name), "--gossip-key", filepath.Join(keys, "gossip.key"))
		if len(nodes) > 0 {
			args = append(args, "--peer", nodes[0].addr)
		}
		nodes = append(nodes, start(t, args...))
	}
	ann := tlsFlags{cert: filepath.Join(keys, "ann.crt"), key: filepath.Join(keys, "ann.key"), ca: filepath.Join(keys, "ca.crt")}
	conf, err := ann.config()
	if err != nil {
		t.Fatal(err)
	}
	session, err := pond.Connect(nodes[0].addr, pond.WithTLS(conf))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for keepers := 0; keepers < 3; { // which stand the death of one
		members, why := session.Members(ctx)
		keepers = 0
		for _, m := range members {
			if m.Keeper {
				keepers++
			}
		}
		if err := delay.For(ctx, 100*time.Millisecond); err != nil {
			t.Fatalf("no pond of three: %v, %v, %v", members, why, err)
		}
	}
	sql := func(node int, text string) string {
		t.Helper()
		return must(t, shell(t, ".", append([]string{"sql", "-q", "-o", "csv", "--peer", nodes[node].addr, text}, certs("ann")...)...))
	}
	sum := func(node int, want string) {
		t.Helper()
		if got := sql(node, "SELECT count(*) AS n, sum(i) AS s FROM sales"); got != "n,s\n"+want+"\n" {
			t.Errorf("node %d reads %q, want %s", node+1, got, want)
		}
	}
	sql(0, "CREATE TABLE sales AS SELECT i FROM range(1000) t(i)")
	sum(1, "1000,499500")
	sql(2, "INSERT INTO sales SELECT i FROM range(1000, 2000) t(i)")
	sum(1, "2000,1999000")
	for i, n := range nodes { // two files, two manifests
		named := conf.Clone()
		named.ServerName = fmt.Sprintf("n%d", i+1)
		if c := copies(t, named, n.addr); c < 4 {
			t.Errorf("node %d holds %d copies", i+1, c)
		}
	}
	if err := nodes[0].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	nodes[0].ends(t)
	sum(2, "2000,1999000")
	sql(1, "INSERT INTO sales SELECT i FROM range(2000, 3000) t(i)")
	sum(2, "3000,4498500")
}

// copies are as many as a node's metrics tell.
func copies(t *testing.T, conf *tls.Config, addr string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}
	defer client.CloseIdleConnections()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	base, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	r, err := client.Get(fmt.Sprintf("https://%s/metrics", net.JoinHostPort(host, strconv.Itoa(base+2))))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^pond_copies (\d+)$`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no copies are told:\n%s", text)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// TestCompleteTables: the prompt completes names of datasets as it does those of views.
func TestCompleteTables(t *testing.T) {
	session, err := pond.Connect(start(t).addr)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, sql := range []string{"CREATE TABLE sales AS SELECT 1 AS a", "CREATE VIEW sold AS FROM sales"} {
		if _, err := session.SQL(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	p := &prompt{runner: &runner{session: session}}
	c := &completer{tables: func() []string { return tablesOf(p.session) }}
	if got := c.complete("FROM sal", 8); got.line != "FROM sales " {
		t.Errorf("%+v", got)
	}
	if got := c.complete("FROM s", 6); !slices.Contains(got.choices, "sales") || !slices.Contains(got.choices, "sold") {
		t.Errorf("%+v", got)
	}
}
