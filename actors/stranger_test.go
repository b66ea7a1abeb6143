//go:build duckdb_arrow

package actors_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/mesh/logtest"
)

// stranger is a client of a node's actor port that is no node, whatever token it has.
type stranger struct {
	addr   string
	stream remote.Remoting_ReceiveClient
}

func newStranger(t *testing.T, ctx context.Context, addr, authorization string) *stranger {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	s, err := remote.NewRemotingClient(cc).Receive(metadata.AppendToOutgoingContext(ctx, "authorization", authorization))
	if err != nil {
		t.Fatal(err)
	}
	return &stranger{addr, s}
}

// say sends a message as a node's router would.
func (s *stranger) say(t *testing.T, env *wire.Envelope) {
	t.Helper()
	data, err := proto.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	b := &remote.MessageBatch{TypeNames: []string{"pond.wire.Envelope"}, Targets: []*actor.PID{actor.NewPID(s.addr, "router")}, Envelopes: []*remote.MessageEnvelope{{MessageData: data}}}
	if err := s.stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}); err != nil {
		t.Fatal(err)
	}
}

// TestStranger: messages that are forged come to nothing: no work is begun, no address
// called, no job stopped. The log says so, and not each time.
func TestStranger(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	log := new(logtest.Buffer)
	n, err := actors.Start(ctx, setup.Config{Dir: t.TempDir(), Memory: 256 << 20, Slots: 2, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	called := make(chan struct{}, 1)
	go func() {
		if c, err := trap.Accept(); err == nil {
			c.Close()
			called <- struct{}{}
		}
	}()
	evil, own := trap.Addr().String(), n.WireAddr()
	job := strings.Repeat("a", 32)
	header := &wire.Header{Job: job, Term: 1}
	task := &wire.Task{StageId: "s", Attempt: 1}
	for _, wrong := range []string{"", n.Authorization()} { // none, and one of another port
		if _, err := newStranger(t, ctx, own, wrong).stream.Recv(); status.Code(err) != codes.PermissionDenied {
			t.Errorf("with %.20q: %v", wrong, err)
		}
	}
	s := newStranger(t, ctx, own, n.WireAuthorization())
	const rounds = 100
	for i := range rounds {
		for _, f := range []struct {
			node, addr string
			typ        wire.Type
			msg        proto.Message
		}{
			{"stranger", evil, wire.Type_WORK, &wire.Work{Header: header, CoordinatorAddr: evil}},
			{n.ID(), own, wire.Type_WORK, &wire.Work{Header: header, CoordinatorAddr: evil}}, // under the name of a member
			{n.ID(), evil, wire.Type_WORK, &wire.Work{Header: header, CoordinatorAddr: own}},
			{"stranger", own, wire.Type_STOP, &wire.Stop{Header: header}},
			{"stranger", own, wire.Type_COPY, &wire.Copy{Header: header, Task: task, Segment: make([]byte, 16), Want: 2}},
			{"stranger", evil, wire.Type_COPIED, &wire.Copied{Header: header, Task: task, Segment: make([]byte, 16), Nodes: []string{"x"}}},
			{"stranger", evil, wire.Type_PULL, &wire.Pull{Header: header, Slots: 1 << 15}},
			{"stranger", evil, wire.Type_PULL, &wire.Pull{Header: header, Slots: -1}},
			{"stranger", evil, wire.Type_DONE, &wire.Done{Header: header, Task: task, Files: &wire.Files{Manifest: "../../x", Count: 1}}},
			{"stranger", evil, wire.Type_FAILED, &wire.Failed{Header: header, Task: task, Error: &wire.TaskError{Text: "no"}}},
			{"stranger", evil, wire.Type_GRANT, &wire.Grant{Header: header, Runs: []*wire.Run{{Task: task, Memory: 1 << 62, Threads: 1 << 30}}}},
			{"stranger", evil, wire.Type(99), &wire.Ack{}},
		} {
			payload, err := proto.Marshal(f.msg)
			if err != nil {
				t.Fatal(err)
			}
			s.say(t, &wire.Envelope{Kind: wire.Envelope_SEND, FromNode: f.node, FromBoot: "b", FromAddr: f.addr, Type: f.typ, Payload: payload})
			if f.typ == wire.Type_GRANT { // as the answer to a pull that the node may have made
				s.say(t, &wire.Envelope{Kind: wire.Envelope_REPLY, Id: uint64(i), FromNode: n.ID(), FromBoot: "b", FromAddr: own, Type: f.typ, Payload: payload})
			}
		}
	}
	code, said := call(t, ctx, n, "POST", "/v1/jobs?watch", `{"sql":"SELECT 42 AS x"}`)
	if !strings.Contains(said, `"succeeded"`) || !strings.Contains(said, `"first"`) {
		t.Errorf("afterwards: HTTP %d: %s", code, said)
	}
	for wait := time.NewTicker(10 * time.Millisecond); !strings.Contains(log.String(), "no node of this pond"); <-wait.C {
		if ctx.Err() != nil {
			t.Fatalf("the log says nothing: %s", log)
		}
	}
	if jobs, err := n.Jobs(ctx); err != nil || len(jobs) != 1 {
		t.Errorf("jobs: %v, %v", jobs, err)
	}
	select {
	case <-called:
		t.Error("the node called an address that a stranger gave")
	default:
	}
	if lines := strings.Count(log.String(), "refused "); lines > 40 {
		t.Errorf("%d lines about %d messages", lines, rounds*11)
	}
}
