package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

const year = 365 * 24 * time.Hour

var now = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

func authority(t *testing.T, at time.Time, valid time.Duration) (Pair, *Authority) {
	t.Helper()
	pair, err := NewAuthority(at, valid)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ReadAuthority(pair.Cert, pair.Key, at)
	if err != nil {
		t.Fatal(err)
	}
	return pair, a
}

func issue(t *testing.T, a *Authority, h Holder, valid time.Duration) Pair {
	t.Helper()
	pair, err := a.Issue(h, now, valid)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// config is how a node or a client uses a pair, at a time.
func config(t *testing.T, p Pair, ca Pair, at time.Time) *tls.Config {
	t.Helper()
	cert, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca.Cert) {
		t.Fatal("the authority is no PEM")
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, ServerName: pondName, Time: func() time.Time { return at }}
}

// meet lets a client call a server, and gives the error of each.
func meet(client, server *tls.Config) (asked, served error) {
	a, b := net.Pipe()
	done := make(chan error)
	go func() {
		s := tls.Server(b, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		b.Close()
		done <- err
	}()
	c := tls.Client(a, client)
	_, asked = c.Read(make([]byte, 1)) // a server's refusal comes after the handshake
	a.Close()
	return asked, <-done
}

// TestMeet: who may call whom, when, and under which authority.
func TestMeet(t *testing.T) {
	ca, own := authority(t, now, 10*year)
	otherCA, other := authority(t, now, 10*year)
	node := issue(t, own, Holder{Name: "db1", Hosts: []string{"db1", "10.0.0.5"}, Node: true}, year)
	ann := issue(t, own, Holder{Name: "ann"}, year)
	stranger := issue(t, other, Holder{Name: "db1", Hosts: []string{"db1"}, Node: true}, year)
	for _, c := range []struct {
		name           string
		client, server *tls.Config
		asked, served  any // the error that a side sees, nil for none
	}{
		{"node to node", config(t, node, ca, now), config(t, node, ca, now), nil, nil},
		{"client to node", config(t, ann, ca, now), config(t, node, ca, now), nil, nil},
		{"clocks differ", config(t, node, ca, now.Add(-skew/2)), config(t, node, ca, now), nil, nil},
		{"the last moment", config(t, ann, ca, now.Add(year)), config(t, node, ca, now.Add(year)), nil, nil},
		{"nobody calls a client", config(t, node, ca, now), config(t, ann, ca, now), new(*tls.CertificateVerificationError), new(error)},
		{"another authority's node", config(t, node, ca, now), config(t, stranger, otherCA, now), new(*tls.CertificateVerificationError), new(error)},
		{"another authority's caller", config(t, stranger, ca, now), config(t, node, ca, now), new(error), new(*tls.CertificateVerificationError)},
		{"expired node", config(t, node, ca, now.Add(year+time.Second)), config(t, node, ca, now), new(x509.CertificateInvalidError), new(error)},
		{"expired caller", config(t, ann, ca, now), config(t, node, ca, now.Add(year+time.Second)), new(error), new(x509.CertificateInvalidError)},
		{"before it was made", config(t, node, ca, now.Add(-2*skew)), config(t, node, ca, now), new(x509.CertificateInvalidError), new(error)},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked, served := meet(c.client, c.server)
			for _, side := range []struct {
				err  error
				want any
			}{{asked, c.asked}, {served, c.served}} {
				if (side.err == nil) != (side.want == nil) || side.want != nil && !errors.As(side.err, side.want) {
					t.Errorf("got %v, not %T", side.err, side.want)
				}
			}
		})
	}
}

// TestIssue: a certificate says who holds it, and outlives no authority.
func TestIssue(t *testing.T) {
	_, a := authority(t, now, year)
	role := &url.URL{Scheme: "pond", Host: "submit", Path: "/ann"}
	for _, c := range []struct {
		holder Holder
		names  string
		serves bool
	}{
		{Holder{Name: "ann", Identity: role}, "pond", false},
		{Holder{Name: "db1", Hosts: []string{"db1", "db1.example", "db1"}, Node: true}, "pond db1 db1.example", true},
		{Holder{Name: "pond", Hosts: []string{"pond"}, Node: true}, "pond", true},
		{Holder{Name: "n", Hosts: []string{"10.0.0.5", "fd00::7", strings.Repeat("a", 63) + ".b"}, Node: true}, "pond " + strings.Repeat("a", 63) + ".b 10.0.0.5 fd00::7", true},
	} {
		pair := issue(t, a, c.holder, 2*year)
		cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		leaf := cert.Leaf
		names := leaf.DNSNames
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
		if got := strings.Join(names, " "); got != c.names || leaf.Subject.CommonName != c.holder.Name || leaf.IsCA {
			t.Errorf("%s: names %s, not %s; authority: %v", leaf.Subject, got, c.names, leaf.IsCA)
		}
		if !leaf.NotAfter.Equal(now.Add(year)) || !pair.Until.Equal(leaf.NotAfter) {
			t.Errorf("%s: valid until %v, the authority %v", leaf.Subject, leaf.NotAfter, now.Add(year))
		}
		if got := len(leaf.ExtKeyUsage) == 2; got != c.serves {
			t.Errorf("%s may serve: %v", leaf.Subject, got)
		}
		if c.holder.Identity != nil && (len(leaf.URIs) != 1 || leaf.URIs[0].String() != "pond://submit/ann") {
			t.Errorf("%s: identity %v", leaf.Subject, leaf.URIs)
		}
	}
	if _, err := a.Issue(Holder{Name: "a", Hosts: []string{"a b"}, Node: true}, now, year); err == nil || !strings.Contains(err.Error(), `"a b" is neither`) {
		t.Errorf("a host with a space: %v", err)
	}
	if _, err := a.Issue(Holder{Name: "a"}, now, 0); err == nil || !strings.Contains(err.Error(), "in the past") {
		t.Errorf("valid for no time: %v", err)
	}
	if _, err := NewAuthority(now, -time.Hour); err == nil || !strings.Contains(err.Error(), "2031-05-06 is in the past") {
		t.Errorf("an authority of the past: %v", err)
	}
}

// TestReadAuthority: what cannot sign is refused before anything is signed.
func TestReadAuthority(t *testing.T) {
	ca, a := authority(t, now, year)
	otherCA, _ := authority(t, now, year)
	node := issue(t, a, Holder{Name: "db1", Hosts: []string{"db1"}, Node: true}, year)
	for _, c := range []struct {
		name      string
		cert, key []byte
		at        time.Time
		want      string
	}{
		{"no certificate", nil, ca.Key, now, "failed to find any PEM data"},
		{"no key", ca.Cert, nil, now, "failed to find any PEM data"},
		{"the other way round", ca.Key, ca.Cert, now, "PEM"},
		{"cut short", ca.Cert[:len(ca.Cert)/2], ca.Key, now, "failed to find any PEM data"},
		{"damaged", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("nothing")}), ca.Key, now, "x509"},
		{"another's key", ca.Cert, otherCA.Key, now, "does not match"},
		{"a node's", node.Cert, node.Key, now, "not an authority's"},
		{"expired", ca.Cert, ca.Key, now.Add(year + time.Second), "it was valid until 2032-05-05"},
		{"of the future", ca.Cert, ca.Key, now.Add(-2 * skew), "it is valid from 2031-05-06"},
	} {
		if _, err := ReadAuthority(c.cert, c.key, c.at); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %s", c.name, err, c.want)
		}
	}
}

func TestIsHost(t *testing.T) {
	long := strings.Repeat("a.", hostBytesMax/2)
	for host, want := range map[string]bool{
		"a": true, "db-1.example": true, "10.0.0.5": true, "::1": true, "1a": true, "3com.com": true, long + "a": true, long + "ab": false,
		"": false, ".": false, "a.": false, "-a": false, "a-": false, "a..b": false, "a_b": false, "a/b": false, "a b": false, "*.a": false, strings.Repeat("a", 64): false,
		"10.0.0.256": false, "10.0.0": false, "7": false, "10.0.0.5:7946": false, "[::1]": false, "fd00::7%eth0": false, // none can be an address
	} {
		if got := IsHost(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// TestGossipKey: a key is what AES-256 takes, and another one each time.
func TestGossipKey(t *testing.T) {
	a, b := string(GossipKey()), string(GossipKey())
	for _, k := range []string{a, b} {
		line, rest, _ := strings.Cut(k, "\n")
		if key, err := base64.StdEncoding.DecodeString(line); err != nil || len(key) != 32 || rest != "" {
			t.Errorf("%q: %d bytes, %v", k, len(key), err)
		}
	}
	if a == b {
		t.Error("two keys are one")
	}
}
