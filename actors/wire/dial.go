package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/token"
)

func dialOptions(l *links, conf *tls.Config, secret token.Secret) []grpc.DialOption {
	creds := insecure.NewCredentials()
	if conf != nil {
		creds = credentials.NewTLS(conf)
	}
	d := dialer{links: l, secure: conf != nil, secret: secret}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveEvery, Timeout: keepaliveTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(connectAnswerMax), grpc.MaxCallSendMsgSize(batchBytesMax)),
		grpc.WithStreamInterceptor(d.stream),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
	}
}

// dialer sees every stream that remote opens, and so knows of a failure, and
// its cause, at once; remote itself would tell seconds later, without a cause.
type dialer struct {
	links  *links
	secure bool
	secret token.Secret // nil: calls carry no token
}

func (d dialer) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	p, err := d.links.attach(cc.Target(), cancel)
	if err != nil {
		cancel()
		return nil, err
	}
	if d.secret != nil {
		ctx = metadata.AppendToOutgoingContext(ctx, authorizationKey, d.secret.Call(auth.Identity{Role: auth.Node}, cc.Target()))
	}
	s, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		d.links.down(p, d.explain("no connection", err))
		return nil, err
	}
	out := &outStream{ClientStream: s, dialer: d, peer: p}
	d.links.opened(p, out)
	return out, nil
}

// explain turns gRPC's error into a sentence for people.
func (d dialer) explain(what string, err error) error {
	text := status.Convert(err).Message()
	switch {
	case !d.secure && strings.Contains(text, "server preface"):
		text = "the peer does not speak plain gRPC; does it require TLS, and this node has no certificate? (" + text + ")"
	case d.secure && strings.Contains(text, "does not look like a TLS handshake"):
		text = "the peer does not speak TLS, and this node requires it (" + text + ")"
	}
	return fmt.Errorf("%s: %s", what, text)
}

// outStream is the stream on which this node's messages go to one peer.
type outStream struct {
	grpc.ClientStream
	dialer   dialer
	peer     *peer
	answered bool       // the server has said its one word
	mu       sync.Mutex // gRPC wants SendMsg and CloseSend one after another
}

func (s *outStream) SendMsg(m any) error {
	size := 0
	if rm, ok := m.(*remote.RemoteMessage); ok {
		for _, e := range rm.GetMessageBatch().GetEnvelopes() {
			size += len(e.MessageData)
		}
	}
	s.mu.Lock()
	err := s.ClientStream.SendMsg(m)
	s.mu.Unlock()
	s.dialer.links.sent(s.peer, size)
	return err
}

func (s *outStream) CloseSend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ClientStream.CloseSend()
}

// RecvMsg lets the server's answer to the connect request pass and makes an
// error of all that follows, the stream's orderly end included: remote ends an
// endpoint upon an error, once, but would wait for ever after an end and fail
// the address's next endpoint too after a disconnect request.
func (s *outStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	switch {
	case errors.Is(err, io.EOF):
		err = status.Error(codes.Unavailable, "the peer closed the connection")
	case err == nil && s.answered:
		err = status.Error(codes.Aborted, "the peer said more than is allowed")
	case err == nil:
		s.answered = true
		return nil
	}
	what := "connection lost"
	if !s.answered {
		what = "connection refused"
	}
	s.dialer.links.down(s.peer, s.dialer.explain(what, err))
	return err
}
