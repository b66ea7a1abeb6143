package auth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"testing"
)

func TestFromCertificate(t *testing.T) {
	serve, call := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, test := range []struct {
		uris []string
		uses []x509.ExtKeyUsage
		want Identity // zero: refused
	}{
		{[]string{"pond://submit/ann"}, call, Identity{"ann", Submit}},
		{[]string{"pond://read/bob"}, serve, Identity{"bob", Read}}, // its uses do not make it more
		{[]string{"pond://admin/eve@x"}, call, Identity{"eve@x", Admin}},
		{[]string{"pond://node/n1"}, serve, Identity{"n1", Node}},
		{[]string{"pond://node/n1"}, call, Identity{}},
		{[]string{"pond://boss/ann"}, call, Identity{}},
		{[]string{"pond:///ann"}, call, Identity{}},
		{[]string{"pond:submit/ann"}, call, Identity{}},
		{[]string{"pond://submit"}, call, Identity{}},
		{[]string{"pond://submit/ann", "pond://admin/ann"}, call, Identity{}},
		{[]string{"spiffe://admin/ann", "pond://read/ann"}, call, Identity{"ann", Read}},
		{nil, serve, Identity{"cn", Node}},
		{nil, nil, Identity{"cn", Node}},
		{nil, call, Identity{"cn", Admin}},
	} {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: "cn"}, ExtKeyUsage: test.uses}
		for _, s := range test.uris {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, u)
		}
		if got, err := FromCertificate(c); got != test.want || (err == nil) != (test.want != Identity{}) {
			t.Errorf("%q for %v: %+v, %v; want %+v", test.uris, test.uses, got, err, test.want)
		}
	}
	if _, err := FromCertificate(nil); err == nil {
		t.Error("nobody is somebody")
	}
}

// TestOwns: a job is its user's and the admins'; one of nobody the admins' alone.
func TestOwns(t *testing.T) {
	for _, test := range []struct {
		who   Identity
		owner string
		want  bool
	}{
		{Identity{"ann", Submit}, "ann", true},
		{Identity{"ann", Read}, "ann", true}, // to see it; routes ask for more
		{Identity{"ann", Submit}, "bob", false},
		{Identity{"ann", Submit}, "an", false},
		{Identity{"ann", Submit}, "", false},
		{Identity{"", Submit}, "", false},
		{Identity{"eve", Admin}, "ann", true},
		{Identity{"eve", Admin}, "", true},
		{Identity{"n1", Node}, "ann", true},
		{Identity{"", Node}, "", true},
		{Identity{"ann", 0}, "ann", false},
		{Identity{}, "", false},
	} {
		if got := test.who.Owns(test.owner); got != test.want {
			t.Errorf("%v, of %q: %v", test.who, test.owner, got)
		}
	}
}

// TestParse: a caller is read as it was written, whatever the user's name is, and what
// is not one is refused.
func TestParse(t *testing.T) {
	for _, id := range []Identity{{"ann", Submit}, {"eve@x", Admin}, {"a b/c?d#e%2f", Read}, {"Ä\"", Node}, {"", Node}, {"", Admin}} {
		if got, err := Parse(id.String()); got != id || err != nil {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
	for _, text := range []string{"", "ann", "pond://boss/ann", "pond:///ann", "pond://submit", "pond://read/", "pond://submit/", "http://submit/ann", "pond://submit/%zz", Identity{}.String(), Identity{User: "ann"}.String()} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func TestMay(t *testing.T) {
	if (Identity{Role: Submit}).May(Node) || (Identity{}).May(Read) || (Identity{Role: Node}).May(0) || !(Identity{Role: Admin}).May(Submit) {
		t.Error("roles do not order what callers may do")
	}
}
