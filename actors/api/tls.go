package api

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// certificateName is among the names of every certificate of a pond.
const certificateName = "pond"

// Secure returns t as both sides of a pond's connections use it: TLS 1.3, and a
// certificate from the other side, client or server, that is of the pond's
// authority and names the pond. nil stays nil. It refuses a certificate of our own
// that no other side would take.
func Secure(t *tls.Config) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	t = t.Clone()
	if t.ServerName == "" {
		t.ServerName = certificateName
	}
	t.MinVersion = max(t.MinVersion, tls.VersionTLS13)
	for _, c := range t.Certificates {
		if err := acceptable(c, t.ServerName, time.Now()); err != nil {
			return nil, err
		}
	}
	name, also := t.ServerName, t.VerifyConnection
	t.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) > 0 {
			if err := s.PeerCertificates[0].VerifyHostname(name); err != nil {
				return fmt.Errorf("the other side's certificate does not name %s: %w", name, err)
			}
		}
		if also != nil {
			return also(s)
		}
		return nil
	}
	return t, nil
}

// acceptable says why others would turn a certificate away.
func acceptable(c tls.Certificate, name string, now time.Time) error {
	leaf := c.Leaf
	if leaf == nil {
		if len(c.Certificate) == 0 {
			return badCertificate("make one", "there is no certificate in it")
		}
		var err error
		if leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return badCertificate("give a PEM file with an X.509 certificate", "it cannot be read: %v", err)
		}
	}
	const day = time.DateTime + " MST"
	switch {
	case leaf.VerifyHostname(name) != nil:
		return badCertificate("have one made with "+name+" among its DNS names", "it names %s, not %s", namesOf(leaf), name)
	case now.Before(leaf.NotBefore):
		return badCertificate("set this machine's clock, or wait", "it is valid from %s, and this machine's clock says %s", leaf.NotBefore.UTC().Format(day), now.UTC().Format(day))
	case now.After(leaf.NotAfter):
		return badCertificate("have a new one made, or set this machine's clock", "it was valid until %s, and this machine's clock says %s", leaf.NotAfter.UTC().Format(day), now.UTC().Format(day))
	}
	return nil
}

func namesOf(c *x509.Certificate) string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

func badCertificate(hint, format string, args ...any) error {
	return &plan.Error{Kind: plan.KindDenied, Op: "use our certificate", Text: fmt.Sprintf(format, args...), Hint: hint}
}
