// Package auth says who calls a node, and what that caller may do.
//
// A certificate tells it by one URI among its names:
//
//	pond://ROLE/USER      such as pond://submit/ann
//
// One without such a URI, from an authority that knows nothing of roles, is a node's
// if it may serve, and an admin's if it may only call; its user is its common name.
// Which certificates are to be trusted is TLS's affair, decided before. It is pure.
package auth

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Scheme begins the URI.
const Scheme = "pond"

// Role is what a caller may do. Each may do what those before it may.
type Role uint8

// The zero Role may do nothing.
const (
	Read   Role = iota + 1 // lists jobs and members, watches
	Submit                 // runs statements, reads their rows, ends them
	Admin                  // makes nodes leave; reads and ends the jobs of others
	Node                   // another node of the pond
)

var names = [...]string{"", "read", "submit", "admin", "node"}

func (r Role) String() string { return names[r] }

// Roles names every role, the mightiest first.
func Roles() []string {
	out := slices.Clone(names[1:])
	slices.Reverse(out)
	return out
}

// Identity is a caller.
type Identity struct {
	User string
	Role Role
}

// May says whether the caller may do what asks for a role.
func (i Identity) May(least Role) bool { return least != 0 && i.Role >= least }

// Owns says whether the caller may read, or end, what belongs to a user: that user may,
// and admins. What belongs to nobody is the admins'.
func (i Identity) Owns(owner string) bool {
	return i.May(Admin) || i.Role != 0 && owner != "" && i.User == owner
}

// URI is how a certificate names a user and the user's role.
func URI(role, user string) *url.URL { return &url.URL{Scheme: Scheme, Host: role, Path: "/" + user} }

// String is the caller's URI.
func (i Identity) String() string { return URI(i.Role.String(), i.User).String() }

// Parse reads a caller from its URI. A caller who may do everything needs no name: it
// owns nothing that others with its role do not.
func Parse(text string) (Identity, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Identity{}, fmt.Errorf("%.200q names no caller: %w", text, err)
	}
	return fromURI(u, Admin)
}

// fromURI takes a URI without a user from some role on.
func fromURI(u *url.URL, nameless Role) (Identity, error) {
	role := slices.Index(names[:], u.Host)
	id := Identity{strings.TrimPrefix(u.Path, "/"), Role(max(role, 0))}
	if u.Scheme != Scheme || id.Role == 0 || id.User == "" && id.Role < nameless {
		return Identity{}, fmt.Errorf("%.200q is not %s://ROLE/USER, with a ROLE of %s", u, Scheme, strings.Join(Roles(), ", "))
	}
	return id, nil
}

// FromCertificate reads the caller from a certificate that TLS has verified. It
// refuses one that names several roles, one that is not known, no user, or that a
// client is a node.
func FromCertificate(c *x509.Certificate) (Identity, error) {
	if c == nil {
		return Identity{}, errors.New("there is no certificate")
	}
	var id Identity
	for _, u := range c.URIs {
		if u.Scheme != Scheme {
			continue
		}
		if id.Role != 0 {
			return Identity{}, errors.New("the certificate names more than one role")
		}
		var err error
		if id, err = fromURI(u, Node+1); err != nil {
			return Identity{}, fmt.Errorf("the certificate's %w", err)
		}
	}
	switch {
	case id.Role == Node && !mayServe(c):
		return Identity{}, errors.New("the certificate is a client's, not a node's: it may not serve")
	case id.Role != 0:
		return id, nil
	case mayServe(c):
		return Identity{cmp.Or(c.Subject.CommonName, "node"), Node}, nil
	}
	return Identity{cmp.Or(c.Subject.CommonName, "admin"), Admin}, nil
}

// mayServe says whether a certificate is one of a server, as one that names no use is.
func mayServe(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage) == 0 || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}
