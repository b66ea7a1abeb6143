package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	grpcpeer "google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/refusals"
	"github.com/pondmesh/pond/actors/token"
	"github.com/pondmesh/pond/mesh/bounded"
)

// receiveMethod is the only method that is served.
const receiveMethod = "/remote.Remoting/Receive"

// routerName is the one actor that other nodes can address.
const routerName = "router"

// guard stands between the network and remote's server, which trusts every client:
// it would stop any actor, relay to any address and crash on an unknown type. The
// guard lists the allowed messages; any other ends the stream.
type guard struct {
	addr    string // this node's, put into every target so that nothing is relayed
	log     *slog.Logger
	refused *refusals.Log
	secret  token.Secret  // of those that may call; nil: TLS says who may
	ready   chan struct{} // closed when the node can answer
	streams atomic.Int64
}

func (g *guard) serverOptions(conf *tls.Config) []grpc.ServerOption {
	opts := []grpc.ServerOption{
		grpc.StreamInterceptor(g.stream),
		grpc.UnaryInterceptor(g.unary),
		grpc.MaxRecvMsgSize(batchBytesMax),
		grpc.MaxSendMsgSize(connectAnswerMax),
		grpc.MaxConcurrentStreams(4),
		grpc.MaxHeaderListSize(8 << 10),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: connIdleMax, Time: keepaliveEvery, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveMinAllowed}),
	}
	creds := insecure.NewCredentials()
	if conf != nil {
		creds = notedCreds{credentials.NewTLS(nodesOnly(conf)), g.refused}
	}
	return append(opts, grpc.Creds(boundCreds{creds, &bounded.Conns{Most: connsMax}, g.refused}))
}

// nodesOnly is conf for a server that takes certificates of nodes alone.
func nodesOnly(conf *tls.Config) *tls.Config {
	conf = conf.Clone()
	also := conf.VerifyConnection
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the other side has no certificate")
		}
		switch id, err := auth.FromCertificate(s.PeerCertificates[0]); {
		case err != nil:
			return err
		case !id.May(auth.Node):
			return errors.New("the other side's certificate is a client's, not a node's")
		case also != nil:
			return also(s)
		}
		return nil
	}
	return conf
}

// notedCreds are credentials whose failed handshakes are logged: gRPC says nothing.
type notedCreds struct {
	credentials.TransportCredentials
	refused *refusals.Log
}

func (c notedCreds) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		c.refused.Note("a TLS handshake of a node", "from", raw.RemoteAddr(), "err", err)
	}
	return conn, info, err
}

func (c notedCreds) Clone() credentials.TransportCredentials {
	return notedCreds{c.TransportCredentials.Clone(), c.refused}
}

// unary refuses ListProcesses and GetProcessDiagnostics, which panic in remote.
func (g *guard) unary(ctx context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
	return nil, g.refuse(ctx, status.Errorf(codes.PermissionDenied, "%s is not served here", info.FullMethod))
}

// refuse notes an error that a peer gets.
func (g *guard) refuse(ctx context.Context, err error) error {
	from := "?"
	if p, ok := grpcpeer.FromContext(ctx); ok {
		from = p.Addr.String()
	}
	g.refused.Note("a node's message", "from", from, "err", status.Convert(err).Message())
	return err
}

func (g *guard) stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	if info.FullMethod != receiveMethod {
		return g.refuse(s.Context(), status.Errorf(codes.PermissionDenied, "%s is not served here", info.FullMethod))
	}
	if err := g.known(s.Context()); err != nil {
		return g.refuse(s.Context(), status.Error(codes.PermissionDenied, err.Error()))
	}
	if g.streams.Add(1) > streamsMax {
		g.streams.Add(-1)
		return g.refuse(s.Context(), status.Error(codes.ResourceExhausted, "too many peers"))
	}
	defer g.streams.Add(-1)
	defer func() {
		if r := recover(); r != nil {
			g.log.Debug("wire: a peer's message made remote panic", "panic", r, "stack", string(debug.Stack()))
			err = g.refuse(s.Context(), status.Error(codes.Internal, fmt.Sprintf("message not understood: %v", r)))
		}
	}()
	select {
	case <-g.ready:
	case <-s.Context().Done():
		return status.FromContextError(s.Context().Err()).Err()
	}
	return next(srv, &inStream{ServerStream: s, guard: g})
}

// known refuses callers that have not the secret of this node's user.
func (g *guard) known(ctx context.Context) error {
	if g.secret == nil {
		return nil
	}
	header := ""
	if values := metadata.ValueFromIncomingContext(ctx, authorizationKey); len(values) > 0 {
		header = values[0]
	}
	port := ""
	if p, ok := grpcpeer.FromContext(ctx); ok && p.LocalAddr != nil {
		_, port, _ = net.SplitHostPort(p.LocalAddr.String())
	}
	id, err := g.secret.Identify(header, port)
	if err == nil && !id.May(auth.Node) {
		err = errors.New("the call's token is a client's, not a node's")
	}
	return err
}

// authorizationKey is where a stream carries its token.
const authorizationKey = "authorization"

// inStream is the stream on which one peer's messages come in.
type inStream struct {
	grpc.ServerStream
	guard *guard
}

func (s *inStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	rm, ok := m.(*remote.RemoteMessage)
	if !ok {
		return status.Errorf(codes.Internal, "unexpected %T", m)
	}
	if err := allow(rm, s.guard.addr); err != nil {
		return s.guard.refuse(s.Context(), status.Error(codes.PermissionDenied, err.Error()))
	}
	return nil
}

// allow says whether remote may see a message: the greeting, or envelopes of
// ours to this node's router. Targets are made to name this node.
func allow(rm *remote.RemoteMessage, own string) error {
	switch t := rm.GetMessageType().(type) {
	case *remote.RemoteMessage_ConnectRequest:
		if t.ConnectRequest.GetServerConnection() == nil {
			return fmt.Errorf("%w: only servers may connect", ErrInvalid)
		}
		return nil
	case *remote.RemoteMessage_MessageBatch:
		return allowBatch(t.MessageBatch, own)
	}
	return fmt.Errorf("%w: %T is not for a server", ErrInvalid, rm.GetMessageType())
}

// envelopeName is Envelope's name on the wire.
const envelopeName = "pond.wire.Envelope"

func allowBatch(b *remote.MessageBatch, own string) error {
	switch {
	case b == nil:
		return fmt.Errorf("%w: no batch", ErrInvalid)
	case len(b.Envelopes) > batchMessagesMax:
		return fmt.Errorf("%w: %d messages at once", ErrInvalid, len(b.Envelopes))
	case len(b.TypeNames) != 1 || b.TypeNames[0] != envelopeName:
		return fmt.Errorf("%w: types %.100q", ErrInvalid, b.TypeNames)
	case len(b.Targets) != 1 || b.Targets[0].GetId() != routerName || b.Targets[0].GetRequestId() != 0:
		return fmt.Errorf("%w: targets other than the router", ErrInvalid)
	case len(b.Senders) != 0:
		return fmt.Errorf("%w: a message with a sender", ErrInvalid)
	}
	b.Targets[0].Address = own
	for _, e := range b.Envelopes {
		if e == nil || e.TypeId != 0 || e.Target != 0 || e.Sender != 0 || e.SerializerId != 0 ||
			e.TargetRequestId != 0 || e.SenderRequestId != 0 || e.MessageHeader != nil {
			return fmt.Errorf("%w: an envelope that is not ours", ErrInvalid)
		}
		if len(e.MessageData) > MessageBytesMax+envelopeOverheadMax {
			return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(e.MessageData))
		}
	}
	return nil
}
