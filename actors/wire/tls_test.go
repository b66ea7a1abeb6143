package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/refusals"
	"github.com/pondmesh/pond/mesh/logtest"
)

// authority is a certificate authority of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newCA(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// issue makes a certificate for a name, valid until then, a node's unless uses are given.
func (a authority) issue(t *testing.T, name string, until time.Time, uses ...x509.ExtKeyUsage) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: uses}
	if len(uses) == 0 {
		tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, k.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	kder, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: kder}))
}

func tlsConfigOf(t *testing.T, a authority) *tls.Config {
	t.Helper()
	cert, key := a.issue(t, "pond", time.Now().Add(time.Hour))
	return tlsConfig(cert, key, a.pem)
}

func TestMutualTLS(t *testing.T) {
	ours, theirs := newCA(t), newCA(t)
	soon := time.Now().Add(time.Hour)
	secure := func(name string, issuer authority, san string, until time.Time, trust string) *node {
		cert, key := issuer.issue(t, san, until)
		return startNode(t, nodeSpec{Node: name, Boot: "b1", Cert: cert, Key: key, CA: trust})
	}
	server := secure("server", ours, "pond", soon, ours.pem)
	member := secure("member", ours, "pond", soon, ours.pem)
	if r := member.order(order{Op: "call", Addr: server.addr, What: "pull", N: 1, Count: 50}); r.OK != 50 {
		t.Fatalf("a member's calls: %+v", r)
	}
	plain := startNode(t, nodeSpec{Node: "plain", Boot: "b1"})
	for _, c := range []struct {
		name     string
		from, to *node
		want     string // in the error
	}{
		{"a dialer without TLS", plain, server, "does it require TLS"},
		{"a server without TLS", member, plain, "does not speak TLS"},
		{"a certificate of another CA", secure("stranger", theirs, "pond", soon, ours.pem), server, "no connection"},
		{"a server of another CA", secure("victim", ours, "pond", soon, theirs.pem), server, "signed by unknown authority"},
		{"an expired certificate", secure("late", ours, "pond", time.Now().Add(-time.Hour), ours.pem), server, "no connection"},
		{"a server of another name", member, secure("web", ours, "example.org", soon, ours.pem), "not pond"},
	} {
		r := c.from.order(order{Op: "call", Addr: c.to.addr, What: "pull", N: 1})
		if r.Kind != plan.KindUnavailable || !strings.Contains(r.Err, c.want) || r.Handled != 0 {
			t.Errorf("%s: %+v", c.name, r)
		}
		if r.Millis > 1500 {
			t.Errorf("%s: took %d ms", c.name, r.Millis)
		}
		t.Logf("%s: %s (%d ms)", c.name, r.Err, r.Millis)
	}
	// The server still serves its members, and no stranger got through.
	if r := member.order(order{Op: "call", Addr: server.addr, What: "pull", N: 1}); r.OK != 1 {
		t.Errorf("a member's call afterwards: %+v", r)
	}
	if r := server.order(order{Op: "alive"}); r.Handled != 51 {
		t.Errorf("the server handled %d messages, not 51", r.Handled)
	}
}

// TestRefusedIsNoted: whoever fails to prove that it is a node, or says what no node
// says, is in the log: a few times, however often it tries.
func TestRefusedIsNoted(t *testing.T) {
	ours, theirs := newCA(t), newCA(t)
	for _, c := range []struct {
		name string
		tls  *tls.Config
		try  func(addr string) error
		says string
	}{
		{"a certificate of another authority", tlsConfigOf(t, ours), func(addr string) error {
			conf := tlsConfigOf(t, theirs)
			conf.InsecureSkipVerify = true
			conn, err := tls.Dial("tcp", addr, conf)
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = conn.Read(make([]byte, 1)) // in TLS 1.3 the server's verdict comes here
			return err
		}, "refused a TLS handshake of a node"},
		{"a client's certificate", tlsConfigOf(t, ours), func(addr string) error {
			cert, key := ours.issue(t, "pond", time.Now().Add(time.Hour), x509.ExtKeyUsageClientAuth)
			conf := tlsConfig(cert, key, ours.pem)
			conf.ServerName = "pond"
			conn, err := tls.Dial("tcp", addr, conf)
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = conn.Read(make([]byte, 1))
			return err
		}, "is a client's"},
		{"no TLS", tlsConfigOf(t, ours), func(addr string) error { return strangerSays(addr, "actor.Stop") }, "refused a TLS handshake of a node"},
		{"a stop", nil, func(addr string) error { return strangerSays(addr, "actor.Stop") }, "refused a node's message"},
	} {
		log := new(logtest.Buffer)
		r := refusals.New(slog.New(slog.NewTextHandler(log, nil)))
		defer r.Close()
		w, err := Open(t.Context(), Config{Node: "n", Boot: "b", TLS: c.tls, Refused: r, Handle: func(context.Context, Peer, proto.Message) (proto.Message, error) { return nil, nil }})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := c.try(w.Addr()); err == nil {
				t.Errorf("%s: it is let in", c.name)
			}
		}
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), c.says); n < 1 || n > 10 || !strings.Contains(log.String(), "from=127.0.0.1:") {
			t.Errorf("%s: %d lines have %q:\n%s", c.name, n, c.says, log)
		}
	}
}

// strangerSays sends one message of a type, and returns what comes of it.
func strangerSays(addr, typ string) error {
	cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := remote.NewRemotingClient(cc).Receive(ctx)
	if err != nil {
		return err
	}
	_ = s.Send(ofBatch(batch(typ, actor.NewPID(addr, "x"), nil))) // its end tells
	_, err = s.Recv()
	return err
}
