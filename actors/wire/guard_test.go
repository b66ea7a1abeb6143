package wire

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// batch is one message as remote's own client would send it.
func batch(typ string, target *actor.PID, data []byte) *remote.MessageBatch {
	return &remote.MessageBatch{TypeNames: []string{typ}, Targets: []*actor.PID{target}, Envelopes: []*remote.MessageEnvelope{{MessageData: data}}}
}

func ofBatch(b *remote.MessageBatch) *remote.RemoteMessage {
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}
}

// hostile lists what a stranger may try against a node: everything here either
// harms a bare remote or reaches what is not to be reached.
func hostile(t testing.TB, addr, victim, elsewhere string) map[string]*remote.RemoteMessage {
	router, other := actor.NewPID(addr, routerName), actor.NewPID(addr, victim)
	env := &Envelope{Kind: Envelope_SEND, FromNode: "x", FromBoot: "x", FromAddr: elsewhere, Type: Type_ACK}
	good := marshal(t, env)
	change := func(f func(*remote.MessageBatch)) *remote.RemoteMessage {
		b := batch(envelopeName, router, good)
		f(b)
		return ofBatch(b)
	}
	return map[string]*remote.RemoteMessage{
		"an unknown type":       ofBatch(batch("no.such.Type", router, nil)),
		"a stop":                ofBatch(batch("actor.Stop", other, nil)),
		"a stop of the router":  ofBatch(batch("actor.Stop", router, nil)),
		"a poison pill":         ofBatch(batch("actor.PoisonPill", other, nil)),
		"a watch":               ofBatch(batch("actor.Watch", other, marshal(t, &actor.Watch{Watcher: actor.NewPID(elsewhere, "w")}))),
		"a termination":         ofBatch(batch("actor.Terminated", other, marshal(t, &actor.Terminated{Who: actor.NewPID(elsewhere, "w")}))),
		"an activation":         ofBatch(batch("remote.ActorPidRequest", actor.NewPID(addr, "activator"), nil)),
		"an event":              ofBatch(batch("actor.Unwatch", actor.NewPID(addr, "eventstream"), nil)),
		"ours to another actor": ofBatch(batch(envelopeName, other, good)),
		"ours to a future":      ofBatch(batch(envelopeName, &actor.PID{Address: addr, Id: routerName, RequestId: 7}, good)),
		"garbage":               ofBatch(batch(envelopeName, router, []byte{0xff, 0xff, 0xff})),
		"no target":             change(func(b *remote.MessageBatch) { b.Targets = nil }),
		"two targets":           change(func(b *remote.MessageBatch) { b.Targets = append(b.Targets, other) }),
		"two types":             change(func(b *remote.MessageBatch) { b.TypeNames = append(b.TypeNames, "actor.Stop") }),
		"no type":               change(func(b *remote.MessageBatch) { b.TypeNames = nil }),
		"a type out of range":   change(func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = 9 }),
		"a negative type":       change(func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = -1 }),
		"a target out of range": change(func(b *remote.MessageBatch) { b.Envelopes[0].Target = 9 }),
		"a sender out of range": change(func(b *remote.MessageBatch) { b.Envelopes[0].Sender = 9 }),
		"a sender":              change(func(b *remote.MessageBatch) { b.Senders = []*actor.PID{other}; b.Envelopes[0].Sender = 1 }),
		"another serializer":    change(func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = 1 }),
		"a serializer too many": change(func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = 77 }),
		"a header":              change(func(b *remote.MessageBatch) { b.Envelopes[0].MessageHeader = &remote.MessageHeader{} }),
		"too many at once":      change(func(b *remote.MessageBatch) { b.Envelopes = make([]*remote.MessageEnvelope, batchMessagesMax+1) }),
		"an empty batch":        ofBatch(nil),
		"nothing":               {},
		"a client":              {MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: &remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ClientConnection{ClientConnection: &remote.ClientConnection{}}}}},
		"a connection of none":  {MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: &remote.ConnectRequest{}}},
		"an answer":             {MessageType: &remote.RemoteMessage_ConnectResponse{ConnectResponse: &remote.ConnectResponse{}}},
		"a disconnect":          {MessageType: &remote.RemoteMessage_DisconnectRequest{DisconnectRequest: &remote.DisconnectRequest{}}},
		"more than a message": change(func(b *remote.MessageBatch) {
			b.Envelopes[0].MessageData = make([]byte, MessageBytesMax+envelopeOverheadMax+1)
		}),
		"more than a batch": change(func(b *remote.MessageBatch) { b.Envelopes[0].MessageData = make([]byte, batchBytesMax) }),
	}
}

func TestStrangersAreRefused(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	conn, err := grpc.NewClient(far.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := remote.NewRemotingClient(conn)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()

	for name, m := range hostile(t, far.addr, far.victim, here().Addr()) {
		s, err := client.Receive(ctx)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := s.Send(m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r, err := s.Recv(); err == nil || errors.Is(err, io.EOF) || status.Code(err) == codes.DeadlineExceeded {
			t.Errorf("%s was not refused: %v, %v", name, r, err)
		}
		if !far.order(order{Op: "alive"}).Alive {
			t.Fatalf("%s stopped an actor", name)
		}
	}
	if _, err := client.ListProcesses(ctx, &remote.ListProcessesRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("ListProcesses: %v", err)
	}
	if _, err := client.GetProcessDiagnostics(ctx, &remote.GetProcessDiagnosticsRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("GetProcessDiagnostics: %v", err)
	}
	if _, err := here().Call(t.Context(), far.addr, build("pull", 1)); err != nil {
		t.Errorf("a call afterwards: %v", err)
	}
	if n := far.order(order{Op: "alive"}).Handled; n != 1 {
		t.Errorf("the handler has seen %d messages, not 1", n)
	}
}

// What is in a good envelope is checked too: such messages are dropped, and the
// stream goes on.
func TestBadPayloadsAreDropped(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	conn, err := grpc.NewClient(far.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	s, err := remote.NewRemotingClient(conn).Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	send := func(e *Envelope) {
		t.Helper()
		// The relay to elsewhere must end at this node's router.
		if err := s.Send(ofBatch(batch(envelopeName, actor.NewPID("192.0.2.1:1", routerName), marshal(t, e)))); err != nil {
			t.Fatal(err)
		}
	}
	from := Envelope{FromNode: "x", FromBoot: "x", FromAddr: here().Addr(), TimeoutMs: 1000, Id: 99}
	for _, kind := range []Envelope_Kind{Envelope_UNKNOWN, Envelope_SEND, Envelope_CALL, Envelope_REPLY, Envelope_ERROR, 77, -1} {
		for _, typ := range []Type{Type_NONE, Type_STOP, Type_DONE, 99, -1} {
			e := proto.CloneOf(&from)
			e.Kind, e.Type, e.Payload = kind, typ, []byte{0xff, 0x01}
			send(e)
			e.FromAddr = "nowhere"
			send(e)
			e.FromNode = ""
			send(e)
		}
	}
	last := proto.CloneOf(&from)
	last.Kind, last.Type, last.Payload = Envelope_SEND, Type_STOP, marshal(t, build("stop", 0))
	send(last)
	eventually(t, "the one good message is handled", func() bool { return far.order(order{Op: "alive"}).Handled == 1 })
}

func TestEnvelopeName(t *testing.T) {
	if n := proto.MessageName(&Envelope{}); n != envelopeName {
		t.Errorf("the envelope is called %s on the wire", n)
	}
}

func FuzzGuard(f *testing.F) {
	for _, m := range hostile(f, "127.0.0.1:1", "$1", "127.0.0.1:2") {
		f.Add(marshal(f, m))
	}
	f.Add(marshal(f, ofBatch(batch(envelopeName, actor.NewPID("x", routerName), nil))))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m remote.RemoteMessage
		if proto.Unmarshal(b, &m) != nil || allow(&m, "own:1") != nil {
			return
		}
		// What is let in, remote reads without an index out of range.
		got := m.GetMessageBatch()
		if got == nil {
			if m.GetConnectRequest().GetServerConnection() == nil {
				t.Fatalf("let in %v", &m)
			}
			return
		}
		for _, e := range got.Envelopes {
			if got.Targets[e.Target].Address != "own:1" || got.Targets[e.Target].Id != routerName || got.TypeNames[e.TypeId] != envelopeName {
				t.Fatalf("let in %v", got)
			}
		}
	})
}
