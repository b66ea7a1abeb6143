//go:build duckdb_arrow

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/cmd/pondnode/sample"
)

// nameless makes a certificate of the authority in dir that does not name the pond,
// which no command of ours does.
func nameless(t *testing.T, dir string) {
	t.Helper()
	ca, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, ca.Leaf, key.Public(), ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, b := range map[string]*pem.Block{"nameless.crt": {Type: "CERTIFICATE", Bytes: der}, "nameless.key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTLSFiles: two commands make keys that only their owner reads, and no command
// touches what is there.
func TestTLSFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	run := func(args ...string) outcome {
		return call(t, nil, append(append([]string{"tls"}, args...), "--dir", dir)...)
	}
	none := run("issue", "10.0.0.5")
	if none.code != exitUsage || !strings.Contains(none.err, "pondnode tls init") {
		t.Errorf("without an authority: %+v", none)
	}
	if got := must(t, run("init")); !strings.Contains(got, "pondnode tls issue") {
		t.Errorf("init: %s", got)
	}
	got := must(t, run("issue", "10.0.0.5", "db1.example"))
	for _, s := range []string{"pondnode join --bind 10.0.0.5 --peer db1.example --gossip-key " + dir + "/gossip.key --tls-cert " + dir + "/10.0.0.5.crt --tls-key " + dir + "/10.0.0.5.key --tls-ca " + dir + "/ca.crt"} {
		if !strings.Contains(got, s) {
			t.Errorf("lacks %q:\n%s", s, got)
		}
	}
	if got := must(t, run("issue", "ann", "--role", "submit", "--days", "36500")); !strings.Contains(got, "--tls-cert "+dir+"/ann.crt") {
		t.Errorf("a client's: %s", got)
	}
	must(t, run("issue", "db2", "--host", "10.0.0.7,fd00::7"))
	before := contents(t, dir)
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"init"}, "ca.key is there already"},
		{[]string{"issue", "new", "db1.example"}, "db1.example.key is there already"},
		{[]string{"issue", "ann", "--role", "admin"}, "ann.key is there already"},
		{[]string{"issue", "bob", "--role", "boss"}, "use node, admin, submit, read"},
		{[]string{"issue", "../bob", "--role", "read"}, "cannot be a user's name"},
		{[]string{"issue", "a/b"}, "neither an address nor a host's name"},
		{[]string{"issue", "a", "a"}, "given twice"},
		{[]string{"issue", "a", "b", "--host", "c"}, "--host is about one node"},
		{[]string{"issue", "a", "--host", "c d"}, "neither an address nor a host's name"},
		{[]string{"issue", "a", "--days", "0"}, "--days 0 is out of range"},
	} {
		if got := run(test.args...); got.code != exitUsage || !strings.Contains(got.err, test.says) {
			t.Errorf("%v: lacks %q: %+v", test.args, test.says, got)
		}
	}
	if after := contents(t, dir); !maps.Equal(before, after) {
		t.Error("commands that are refused have changed files")
	}
	checkIssued(t, dir)
	if err := os.Chmod(filepath.Join(dir, "ca.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := run("issue", "new"); got.code != exitUsage || !strings.Contains(got.err, "others may use the key") {
		t.Errorf("an authority that others can use: %+v", got)
	}
}

// contents reads a folder, and checks who may read what.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name()] = string(b)
		info, err := f.Info()
		if secret := filepath.Ext(f.Name()) == ".key"; err != nil || secret != (info.Mode().Perm() == 0o600) {
			t.Errorf("%s: mode %v, %v", f.Name(), info.Mode(), err)
		}
	}
	return all
}

// checkIssued checks what certificates say, and that those of clients cannot serve.
func checkIssued(t *testing.T, dir string) {
	t.Helper()
	load := func(name string) *x509.Certificate {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf
	}
	ca, pool := load("ca"), x509.NewCertPool()
	pool.AddCert(ca)
	for name, serves := range map[string]bool{"10.0.0.5": true, "db1.example": true, "db2": true, "ann": false} {
		leaf := load(name)
		for usage, want := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageClientAuth: true, x509.ExtKeyUsageServerAuth: serves} {
			_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "pond", KeyUsages: []x509.ExtKeyUsage{usage}})
			if want != (err == nil) {
				t.Errorf("%s, usage %d: %v", name, usage, err)
			}
		}
		if err := leaf.VerifyHostname(name); serves && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if leaf.NotAfter.After(ca.NotAfter) {
			t.Errorf("%s outlives its authority", name)
		}
	}
	if db2 := load("db2"); db2.VerifyHostname("10.0.0.7") != nil || db2.VerifyHostname("fd00::7") != nil {
		t.Errorf("db2 lacks addresses: %v", db2.IPAddresses)
	}
}

// TestSecured: nodes with keys and certificates run a shuffled job for a client
// that has one too, and turn away all others, who are told why.
func TestSecured(t *testing.T) {
	dir := t.TempDir()
	if err := sample.Write(dir); err != nil {
		t.Fatal(err)
	}
	ours, theirs := filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
	for _, d := range []string{ours, theirs} {
		must(t, shell(t, dir, "tls", "init", "--dir", d))
		must(t, shell(t, dir, "tls", "issue", "n1", "n2", "n3", "--dir", d))
	}
	for _, role := range []string{"admin", "submit", "read"} {
		must(t, shell(t, dir, "tls", "issue", role, "--role", role, "--dir", ours))
	}
	nameless(t, ours)
	certs := func(dir, name, ca string) []string {
		return []string{"--tls-cert", filepath.Join(dir, name+".crt"), "--tls-key", filepath.Join(dir, name+".key"), "--tls-ca", filepath.Join(ca, "ca.crt")}
	}
	member := func(name, peer string) []string {
		args := append(certs(ours, name, ours), "--gossip-key", filepath.Join(ours, "gossip.key"))
		if peer != "" {
			args = append(args, "--peer", peer)
		}
		return args
	}
	first := start(t, member("n1", "")...)
	second := start(t, member("n2", first.addr)...)
	third := start(t, member("n3", second.addr)...)

	plain := start(t)
	want := must(t, shell(t, dir, "submit", "-q", "-o", "csv", "--peer", plain.addr, oneDuckDB))
	for _, role := range []string{"submit", "admin"} {
		client := append([]string{"submit", "-o", "csv", "--force", "--no-reuse", "--partitions", "3", "--peer", third.addr, oneDuckDB}, certs(ours, role, ours)...)
		got := shell(t, dir, client...)
		if must(t, got) != want || !strings.Contains(got.err, "stage 2 of") {
			t.Errorf("%s: %s%s\nwant\n%s", role, got.err, got.out, want)
		}
	}
	listing := append([]string{"members", "-o", "jsonl", "--peer", second.addr}, certs(ours, "read", ours)...)
	if got := must(t, shell(t, dir, listing...)); strings.Count(got, "alive") != 3 {
		t.Errorf("members: %s", got)
	}
	if got := shell(t, dir, append([]string{"submit", "--peer", second.addr, "SELECT 1"}, certs(ours, "read", ours)...)...); got.code != exitDenied || !strings.Contains(got.err, "role submit") {
		t.Errorf("a reader submits: %d %s%s", got.code, got.err, got.out)
	}
	joining := func(peer, key string, certs []string) []string {
		return append([]string{"join", "--port", "0", "--data", t.TempDir(), "--peer", peer, "--gossip-key", filepath.Join(key, "gossip.key")}, certs...)
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"a client without a certificate", []string{"members", "--peer", first.addr}, exitDenied, []string{"TLS", "--tls-cert"}},
		{"a client of another authority", append([]string{"members", "--peer", first.addr}, certs(theirs, "n1", theirs)...), exitDenied, []string{"not trusted", "--tls-ca"}},
		{"a client whose certificate the node does not trust", append([]string{"members", "--peer", first.addr}, certs(theirs, "n1", ours)...), exitDenied, []string{"does not trust", "--tls-cert"}},
		{"a client with TLS, a node without", append([]string{"members", "--peer", plain.addr}, certs(ours, "admin", ours)...), exitDenied, []string{"without TLS"}},
		{"a client whose certificate does not name the pond", append([]string{"members", "--peer", first.addr}, certs(ours, "nameless", ours)...), exitDenied, []string{"not pond", "DNS names"}},
		{"a node without TLS", joining(first.addr, ours, nil), exitDenied, []string{first.addr, "TLS", "--tls-cert"}},
		{"a node of another authority", joining(first.addr, ours, certs(theirs, "n1", theirs)), exitDenied, []string{first.addr, "not trusted", "--tls-ca"}},
		{"a node that is not trusted", joining(first.addr, ours, certs(theirs, "n1", ours)), exitDenied, []string{first.addr, "does not trust", "--tls-cert"}},
		{"a node with TLS, a peer without", append([]string{"join", "--port", "0", "--data", t.TempDir(), "--peer", plain.addr}, certs(ours, "n3", ours)...), exitDenied, []string{plain.addr, "without TLS"}},
		{"a node with another gossip key", joining(first.addr, theirs, certs(ours, "n3", ours)), exitDenied, []string{"key"}},
		{"a node without a gossip key", append([]string{"join", "--port", "0", "--data", t.TempDir(), "--peer", first.addr}, certs(ours, "n3", ours)...), exitDenied, []string{"key"}},
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
	for _, says := range []string{"refused a TLS handshake", "certificate"} { // the other side's word of strangers
		if !strings.Contains(first.String(), says) {
			t.Errorf("the node's log lacks %q:\n%s", says, first)
		}
	}
}
