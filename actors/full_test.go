//go:build duckdb_arrow

package actors_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/setup"
)

// A node whose clients have all connections that it takes says so to others, serves
// nodes as ever, and clients again when some leave.
func TestFullOfClients(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const clients = 8 // of 64 files
	full, err := actors.Start(ctx, setup.Config{Dir: t.TempDir(), Memory: 256 << 20, Slots: 2, Files: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	other, err := actors.Start(ctx, setup.Config{Dir: t.TempDir(), Memory: 256 << 20, Slots: 2, Peers: []string{full.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	await(t, "the second node in the first one's view", func() bool { return len(full.Members().Members) == 2 })
	asked, through := api.NewClient(full.APIAddr(), nil), api.NewClient(other.APIAddr(), nil)
	defer asked.Close()
	defer through.Close()
	slow, err := through.Submit(ctx, &api.JobSpec{Query: api.Query{SQL: "SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b", Dir: "/"}})
	if err != nil {
		t.Fatal(err)
	}
	held, refused := watch(t, ctx, full, slow.ID)
	if len(held) != clients {
		t.Errorf("%d connections of clients", len(held))
	}
	if err := refused.Err(); plan.KindOf(err) != plan.KindUnavailable || refused.Op != api.OpReceive || !strings.Contains(refused.Text, fmt.Sprint(clients, " connections of clients, as many as it takes")) {
		t.Errorf("beyond: %+v", refused)
	}
	for _, st := range passed(t, ctx, through, full, other) {
		if st.State != api.Succeeded || st.Rows != 3 {
			t.Errorf("beside: %+v", st)
		}
	}
	answered := make(chan error, 1)
	go func() {
		_, err := asked.Version(ctx) // again and again, until there is room
		answered <- err
	}()
	for _, c := range held {
		c.Close()
	}
	if err := <-answered; err != nil {
		t.Errorf("once they have left: %v", err)
	}
	if _, err := through.Cancel(ctx, slow.ID); err != nil {
		t.Error(err)
	}
	if _, text := call(t, ctx, full, "GET", "/metrics", ""); !strings.Contains(text, `pond_http_connections_refused_total{party="client"}`) || strings.Contains(text, `pond_http_connections_refused_total{party="client"} 0`) {
		t.Errorf("nothing is counted: %s", text)
	}
}

// watch makes connections that watch a job on a node until one is refused.
func watch(t *testing.T, ctx context.Context, n *actors.Node, id plan.JobID) (held []net.Conn, refused *api.Error) {
	t.Helper()
	client := api.NewClient(n.APIAddr(), nil)
	defer client.Close()
	for {
		by, err := client.Authorization(n.APIAddr())
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", n.APIAddr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprintf(c, "GET /v1/jobs/%s/watch HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n\r\n", id, by)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusOK {
			held = append(held, c)
			continue
		}
		refused = new(api.Error)
		if err := json.NewDecoder(resp.Body).Decode(refused); err != nil {
			t.Fatal(err)
		}
		if refused.Op == api.OpReceive || ctx.Err() != nil {
			return held, refused
		}
		c.Close() // the job is not found yet
	}
}

// passed runs a job on a client's node for each of some nodes, which coordinates it.
func passed(t *testing.T, ctx context.Context, c *api.Client, nodes ...*actors.Node) (last []*api.JobStatus) {
	t.Helper()
	for i, n := range nodes {
		spec := &api.JobSpec{ID: n.OwnJobID(), Query: api.Query{SQL: fmt.Sprintf("SELECT %d AS x FROM range(3)", i), Dir: "/"}}
		var end *api.JobStatus
		for st, err := range c.Run(ctx, spec) {
			if err != nil {
				t.Fatal(err)
			}
			end = st
		}
		if end.Coordinator != n.ID() {
			t.Errorf("coordinated by %s, not %s", end.Coordinator, n.ID())
		}
		last = append(last, end)
	}
	return last
}
