//go:build duckdb_arrow

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/cmd/pondnode/sample"
)

// issue writes NAME.crt and NAME.key into a folder: of a node when by is given,
// else of an authority.
func issue(t *testing.T, dir, name string, by *authority) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true}
	if by == nil {
		cert.IsCA, cert.KeyUsage = true, x509.KeyUsageCertSign
		by = &authority{cert, key}
	} else {
		if name != "nameless" {
			cert.DNSNames = []string{"pond"}
		}
		cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, b := range map[string]*pem.Block{name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &authority{cert, key}
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// TestSecured: nodes with keys and certificates run a shuffled job for a client
// that has one too, and turn away all others, who are told why.
func TestSecured(t *testing.T) {
	dir := t.TempDir()
	if err := sample.Write(dir); err != nil {
		t.Fatal(err)
	}
	ca := issue(t, dir, "ca", nil)
	issue(t, dir, "node", ca)
	issue(t, dir, "nameless", ca)
	issue(t, dir, "stranger", issue(t, dir, "other-ca", nil))
	for _, name := range []string{"gossip.key", "other.key"} {
		key := make([]byte, 32)
		_, _ = rand.Read(key)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	certs := func(name, ca string) []string {
		return []string{"--tls-cert", file(name + ".crt"), "--tls-key", file(name + ".key"), "--tls-ca", file(ca + ".crt")}
	}
	member := append(certs("node", "ca"), "--gossip-key", file("gossip.key"))
	first := start(t, member...)
	second := start(t, append(member, "--peer", first.addr)...)

	plain := start(t)
	want := must(t, shell(t, dir, "submit", "-q", "-o", "csv", "--peer", plain.addr, oneDuckDB))
	client := append([]string{"submit", "-o", "csv", "--force", "--partitions", "3", "--peer", second.addr, oneDuckDB}, certs("node", "ca")...)
	got := shell(t, dir, client...)
	if must(t, got) != want || !strings.Contains(got.err, "stage 2 of") {
		t.Errorf("%s%s\nwant\n%s", got.err, got.out, want)
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"a client without a certificate", []string{"members", "--peer", first.addr}, exitDenied, []string{"TLS", "--tls-cert"}},
		{"a client of another authority", append([]string{"members", "--peer", first.addr}, certs("stranger", "other-ca")...), exitDenied, []string{"not trusted", "--tls-ca"}},
		{"a client whose certificate the node does not trust", append([]string{"members", "--peer", first.addr}, certs("stranger", "ca")...), exitDenied, []string{"does not trust", "--tls-cert"}},
		{"a client with TLS, a node without", append([]string{"members", "--peer", plain.addr}, certs("node", "ca")...), exitDenied, []string{"without TLS"}},
		{"a client whose certificate does not name the pond", append([]string{"members", "--peer", first.addr}, certs("nameless", "ca")...), exitDenied, []string{"not pond", "DNS names"}},
		{"a node without TLS", []string{"join", "--port", "0", "--data", t.TempDir(), "--peer", first.addr, "--gossip-key", file("gossip.key")}, exitDenied, []string{first.addr, "TLS", "--tls-cert"}},
		{"a node of another authority", append([]string{"join", "--port", "0", "--data", t.TempDir(), "--peer", first.addr, "--gossip-key", file("gossip.key")}, certs("stranger", "other-ca")...), exitDenied, []string{first.addr, "not trusted", "--tls-ca"}},
		{"a node that is not trusted", append([]string{"join", "--port", "0", "--data", t.TempDir(), "--peer", first.addr, "--gossip-key", file("gossip.key")}, certs("stranger", "ca")...), exitDenied, []string{first.addr, "does not trust", "--tls-cert"}},
		{"a node with TLS, a peer without", append([]string{"join", "--port", "0", "--data", t.TempDir(), "--peer", plain.addr}, certs("node", "ca")...), exitDenied, []string{plain.addr, "without TLS"}},
		{"a node with another gossip key", append([]string{"join", "--port", "0", "--data", t.TempDir(), "--peer", first.addr, "--gossip-key", file("other.key")}, certs("node", "ca")...), exitDenied, []string{"key"}},
		{"a node without a gossip key", append([]string{"join", "--port", "0", "--data", t.TempDir(), "--peer", first.addr}, certs("node", "ca")...), exitDenied, []string{"key"}},
	} {
		got := shell(t, dir, test.args...)
		if got.code != test.code {
			t.Errorf("%s: exit code %d\n%s", test.name, got.code, got.err)
		}
		for _, s := range append(test.says, "error: ", "next: ") {
			if !strings.Contains(got.err, s) {
				t.Errorf("%s: lacks %q:\n%s", test.name, s, got.err)
			}
		}
	}
}
