// Package certs makes what secures a pond beyond loopback: an authority, the
// certificates that it signs for nodes and clients, and a gossip key.
//
// It refuses names that no certificate can carry, authorities that have expired, and
// to touch files: PEM goes in and out, and whoever calls keeps it.
package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// pondName is among the DNS names of every certificate: each side asks for it of
	// the other, whatever address it called.
	pondName = "pond"
	// skew is how far back validity begins: clocks of machines differ.
	skew = time.Hour
	// gossipKeyBytes makes membership's packets AES-256.
	gossipKeyBytes = 32
)

// Pair is a certificate and its key, both PEM.
type Pair struct {
	Cert, Key []byte
	Until     time.Time
}

// Authority signs the certificates of one pond.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// Holder is whom a certificate is for.
type Holder struct {
	Name     string   // its common name
	Hosts    []string // names and addresses at which it is reached; none for a client
	Identity *url.URL // its role and user
	Node     bool     // a node serves as well as it calls; a client only calls
}

// NewAuthority makes an authority that is valid from now on.
func NewAuthority(now time.Time, valid time.Duration) (Pair, error) {
	t, err := template("pond authority", now, now.Add(valid))
	if err != nil {
		return Pair{}, err
	}
	t.IsCA, t.MaxPathLenZero, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	return sign(t, nil)
}

// ReadAuthority reads an authority that is still valid now.
func ReadAuthority(cert, key []byte, now time.Time) (*Authority, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	switch {
	case !ok:
		return nil, errors.New("its key cannot sign")
	case !pair.Leaf.IsCA || pair.Leaf.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, errors.New("its certificate is not an authority's")
	case now.Before(pair.Leaf.NotBefore):
		return nil, fmt.Errorf("it is valid from %s on: is this machine's clock right?", pair.Leaf.NotBefore.Format(time.DateOnly))
	case now.After(pair.Leaf.NotAfter):
		return nil, fmt.Errorf("it was valid until %s", pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	return &Authority{pair.Leaf, signer}, nil
}

// Issue makes a certificate. It ends with the authority's, if valid is longer.
func (a *Authority) Issue(h Holder, now time.Time, valid time.Duration) (Pair, error) {
	until := now.Add(valid)
	if until.After(a.cert.NotAfter) {
		until = a.cert.NotAfter
	}
	t, err := template(h.Name, now, until)
	if err != nil {
		return Pair{}, err
	}
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if h.Node {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if h.Identity != nil {
		t.URIs = []*url.URL{h.Identity}
	}
	t.DNSNames = []string{pondName}
	for _, host := range h.Hosts {
		ip := net.ParseIP(host)
		switch {
		case ip != nil:
			t.IPAddresses = append(t.IPAddresses, ip)
		case !IsHost(host):
			return Pair{}, fmt.Errorf("%q is neither an address nor a host's name", host)
		case !slices.Contains(t.DNSNames, host):
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	return sign(t, a)
}

// hostName is what DNS takes, a label of at most 63 each. The last is no number: such
// a name is an address with a mistake in it, which no certificate should be made for.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// hostBytesMax is DNS's.
const hostBytesMax = 253

// IsHost reports whether a certificate can name host: an address or a DNS name.
func IsHost(host string) bool {
	if net.ParseIP(host) != nil {
		return true
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	return len(host) <= hostBytesMax && hostName.MatchString(host) && strings.Trim(last, "0123456789") != ""
}

func template(name string, now, until time.Time) (*x509.Certificate, error) {
	if !until.After(now) {
		return nil, fmt.Errorf("valid until %s is in the past", until.Format(time.DateOnly))
	}
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name, Organization: []string{pondName}}, // x509 gives it a random serial number
		NotBefore: now.Add(-skew), NotAfter: until, BasicConstraintsValid: true,
	}, nil
}

// sign makes a key for a certificate, which by signs, or the key itself when there
// is no authority yet.
func sign(t *x509.Certificate, by *Authority) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	if by == nil {
		by = &Authority{t, key}
	}
	cert, err := x509.CreateCertificate(rand.Reader, t, by.cert, key.Public(), by.key)
	if err != nil {
		return Pair{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		Cert:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		Key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		Until: t.NotAfter,
	}, nil
}

// GossipKey makes a key for membership, in base64 and a line of its own.
func GossipKey() []byte {
	var key [gossipKeyBytes]byte
	rand.Read(key[:]) // never fails
	return []byte(base64.StdEncoding.EncodeToString(key[:]) + "\n")
}
