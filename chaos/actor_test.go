//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/chaos"
)

// actorNode is the first argument that makes this test's binary a node with actors. The
// others are its data folder and its peers.
const actorNode = "actor-node"

// runActorNode is that node, until it is killed. Its actors tell where they live, and
// count in their state.
func runActorNode(args []string) int {
	var id string
	count := pond.WithActor("count", func(string) pond.Actor { return counting{&id} })
	node, err := pond.Join(context.Background(), count, pond.WithDir(args[0]), pond.WithPeers(args[1:]...), pond.WithMemory(256<<20), pond.WithSlots(1))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	id = node.ID()
	fmt.Fprintf(os.Stderr, "ready node=%s addr=%s \n", id, node.Addr())
	<-node.Done()
	return 0
}

type counting struct{ node *string }

func (c counting) Receive(ctx pond.ActorContext, _ []byte) ([]byte, error) {
	state, err := ctx.Load()
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(string(state))
	state = strconv.AppendInt(nil, int64(n+1), 10)
	return []byte(*c.node + " " + string(state)), ctx.Save(state)
}

// The node on which an actor lives is stopped, another takes the actor over with its
// count, and the first one wakes: whoever is asked, no count is told twice.
func TestActorOwnerSleeps(t *testing.T) {
	long(t)
	ctx := testContext(t)
	type member struct {
		proc    *chaos.Process
		session *pond.Session
		id      string
	}
	var nodes []*member
	var peers []string
	for i := range 3 {
		p, err := chaos.Spawn(ctx, "", os.Args[0], append([]string{actorNode, filepath.Join(t.TempDir(), fmt.Sprint(i))}, peers...)...)
		must(t, err)
		t.Cleanup(func() { _ = p.Signal(syscall.SIGKILL); <-p.Done() })
		m, err := p.Await(ctx, regexp.MustCompile(`(?m)^ready node=(\S+) addr=(\S+) `))
		must(t, err)
		s, err := pond.Connect(m[2], pond.Reconnect(0))
		must(t, err)
		t.Cleanup(func() { s.Close() })
		if nodes = append(nodes, &member{p, s, m[1]}); peers == nil {
			peers = []string{m[2]}
		}
	}
	awaitKeepers(t, ctx, peers[0], len(nodes))
	last := 0
	// ask calls the actor until it replies, and returns the node on which it lives.
	ask := func(s *pond.Session) string {
		t.Helper()
		for {
			call, cancel := context.WithTimeout(ctx, 20*time.Second)
			reply, err := s.Actor("count", "k").Call(call, nil)
			cancel()
			switch {
			case err == nil:
				node, count, _ := strings.Cut(string(reply), " ")
				n, err := strconv.Atoi(count)
				if err != nil || n <= last {
					t.Fatalf("%s counts %s after %d was told", node, count, last)
				}
				last = n
				return node
			case ctx.Err() != nil || !errors.Is(err, pond.ErrUnavailable) && !errors.Is(err, pond.ErrFenced) && !errors.Is(err, pond.ErrDeadline) && !errors.Is(err, context.DeadlineExceeded):
				t.Fatal(err)
			}
			t.Log(err)
		}
	}
	for range 5 {
		ask(nodes[0].session)
	}
	where := ask(nodes[1].session)
	var owner *member
	var others []*member
	for _, m := range nodes {
		if m.id == where {
			owner = m
		} else {
			others = append(others, m)
		}
	}
	must(t, owner.proc.Stop())
	if now := ask(others[0].session); now == owner.id {
		t.Fatalf("%s counts while it is stopped", now)
	}
	told := last
	must(t, owner.proc.Signal(syscall.SIGCONT))
	for range 5 {
		for _, m := range []*member{owner, others[0], others[1]} {
			ask(m.session)
		}
	}
	t.Logf("%d when it woke, %d at the end", told, last)
}

// awaitKeepers waits until a pond has so many keepers of its registers, and is not about
// to change them: until then the only one may be the one that the test stops.
func awaitKeepers(t *testing.T, ctx context.Context, node string, keepers int) {
	t.Helper()
	addr, err := api.Addr(node)
	must(t, err)
	peer := api.NewPeer(nil, nil, nil).At(addr)
	must(t, chaos.Await(ctx, func(ctx context.Context) error {
		reply, err := peer.Registers(ctx, &api.RegisterCall{})
		if err == nil && (reply.Roster.Joint() || len(reply.Roster.Keepers) != keepers) {
			err = fmt.Errorf("the keepers are %v, and to be %v", reply.Roster.Keepers, reply.Roster.Next)
		}
		return err
	}))
}
