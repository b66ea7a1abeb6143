package intake

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// What a web page of another origin can make a browser send is refused, and what
// the command line and curl send is not.
func TestOrigin(t *testing.T) {
	o := NewOrigin("127.0.0.1", "db.example")
	for _, c := range []struct {
		name, method, host, header, value string
		taken                             bool
	}{
		{"curl", "POST", "127.0.0.1:7780", "", "", true},
		{"IPv6", "POST", "[::1]:7780", "", "", true},
		{"localhost", "GET", "localhost:7780", "", "", true},
		{"advertised", "POST", "DB.example:7780", "", "", true},
		{"its own page", "POST", "localhost:7780", "Origin", "http://localhost:7780", true},
		{"foreign name", "POST", "evil.example:7780", "", "", false},
		{"foreign name reads", "GET", "evil.example", "", "", false},
		{"rebound, so of the same origin", "POST", "evil.example:7780", "Origin", "http://evil.example:7780", false},
		{"no host", "GET", "", "", "", false},
		{"an address in a foreign name", "GET", "127.0.0.1.evil.example:7780", "", "", false},
		{"cross-origin", "POST", "127.0.0.1:7780", "Origin", "http://evil.example", false},
		{"cross-origin delete", "DELETE", "127.0.0.1:7780", "Origin", "http://evil.example", false},
		{"cross-origin read", "GET", "127.0.0.1:7780", "Origin", "http://evil.example", false},
		{"an image of another site", "GET", "127.0.0.1:7780", "Sec-Fetch-Site", "cross-site", false},
		{"opaque origin", "POST", "127.0.0.1:7780", "Origin", "null", false},
	} {
		r := httptest.NewRequest(c.method, "/v1/jobs", nil)
		r.Host = c.host
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		if err := o.Check(r); c.taken != (err == nil) || err != nil && !errors.Is(err, plan.ErrDenied) {
			t.Errorf("%s: %v, taken: %t", c.name, err, c.taken)
		}
	}
}
