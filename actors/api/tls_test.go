package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// certify makes a certificate for names, valid from and until some hours from now.
// It is its own authority.
func certify(t *testing.T, names []string, from, until int) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), DNSNames: names, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   now.Add(time.Duration(from) * time.Hour), NotAfter: now.Add(time.Duration(until) * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestOwnCertificate: one that nobody would take is refused where it is given.
func TestOwnCertificate(t *testing.T) {
	for _, test := range []struct {
		names       []string
		from, until int
		says        string
	}{
		{[]string{"host", "pond"}, -1, 1, ""},
		{[]string{"host"}, -1, 1, "it names host, not pond"},
		{nil, -1, 1, "it names nothing, not pond"},
		{[]string{"pond"}, -2, -1, "it was valid until"},
		{[]string{"pond"}, 1, 2, "it is valid from"},
	} {
		cert := certify(t, test.names, test.from, test.until)
		_, err := Secure(&tls.Config{Certificates: []tls.Certificate{cert}})
		switch {
		case test.says == "":
			if err != nil {
				t.Error(err)
			}
		case plan.KindOf(err) != plan.KindDenied || !strings.Contains(err.Error(), test.says) || plan.AsError(err).Hint == "":
			t.Errorf("%v, %d to %d: %v", test.names, test.from, test.until, err)
		}
	}
	if c, err := Secure(nil); c != nil || err != nil {
		t.Error("nothing is not nothing:", c, err)
	}
}

// TestOthersCertificate: a client's certificate must name the pond, as a server's
// must. The client here does not check its own.
func TestOthersCertificate(t *testing.T) {
	good := certify(t, []string{"pond"}, -1, 1)
	bad := certify(t, []string{"someone"}, -1, 1)
	pool := x509.NewCertPool()
	for _, c := range []tls.Certificate{good, bad} {
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		pool.AddCert(leaf)
	}

	conf, err := Secure(&tls.Config{Certificates: []tls.Certificate{good}, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	node := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"node":"n1"}`)) }))
	node.TLS = conf.Clone()
	node.StartTLS()
	defer node.Close()
	for _, test := range []struct {
		cert tls.Certificate
		says string
	}{{good, ""}, {bad, "does not trust our certificate"}} {
		client := NewClient(node.Listener.Addr().String(), &tls.Config{Certificates: []tls.Certificate{test.cert}, RootCAs: pool, ServerName: "pond"})
		_, err := client.Version(t.Context())
		client.Close()
		if (err == nil) != (test.says == "") || err != nil && (plan.KindOf(err) != plan.KindDenied || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("want %q: %v", test.says, err)
		}
	}
}
