// Package token lets a node without TLS, which listens on loopback alone, tell its own
// user's calls from those of the machine's other users.
//
// The nodes and commands of one user share a Secret: a file that only this user may
// read, made by the first node. Nobody sends it. What a request carries is a token made
// of it, which says who calls in the terms of package auth and can be checked by whoever
// has the secret; so tokens for users with less rights are made, not stored. The key of
// the nodes' gossip is made of it too.
//
// Another user of the machine may listen where no node does, and be called. So the token
// of a call is for one port and a short time, and worth nothing elsewhere.
//
// It refuses files that others may read, and knows no HTTP. Under TLS certificates say
// who calls, and nothing here is used. Read file.go for where the secret is.
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/auth"
)

// secretLen is the bytes of a secret, and of what is made of it.
const secretLen = sha256.Size

// textMax bounds a token: names of users are short.
const textMax = 1 << 10

// callFor is how long the token of a call holds: longer than a process that is starved, or
// is stopped for a while, lets a call wait. Each call has a token of its own.
const callFor = 10 * time.Minute

// Errors of a token.
var (
	ErrNone  = errors.New("the call has no token")
	ErrWrong = errors.New("the call's token is not made with this node's secret (if the token file was replaced, start the node again)")
	ErrOver  = errors.New("the time of the call's token is over")
	ErrPort  = errors.New("the call's token is for another port")
)

// Secret is random bytes; nil is none.
type Secret []byte

// Claim is what a token says.
type Claim struct {
	auth.Identity
	Port  string    // where it may be used; empty: wherever the secret is known
	Until time.Time // zero: until the secret is another
}

// The parameters of a claim, written behind the identity's URI.
const (
	portParam  = "port"
	untilParam = "until"
)

func (c Claim) String() string {
	q := url.Values{}
	if c.Port != "" {
		q.Set(portParam, c.Port)
	}
	if !c.Until.IsZero() {
		q.Set(untilParam, strconv.FormatInt(c.Until.Unix(), 10))
	}
	if len(q) == 0 {
		return c.Identity.String()
	}
	return c.Identity.String() + "?" + q.Encode()
}

var encoding = base64.RawURLEncoding

// Token is for others to use, as c says.
func (s Secret) Token(c Claim) string {
	text := c.String()
	return encoding.EncodeToString([]byte(text)) + "." + encoding.EncodeToString(s.sign("token "+text))
}

// Call is the header of a call that is made now of addr (host:port).
func (s Secret) Call(id auth.Identity, addr string) string {
	_, port, _ := net.SplitHostPort(addr) // an address without one cannot be called
	return Header(s.Token(Claim{id, port, time.Now().Add(callFor)}))
}

// Identify reads the Authorization header of a call that has come to a port.
func (s Secret) Identify(header, port string) (auth.Identity, error) {
	text, err := s.open(fromHeader(header))
	if err != nil {
		return auth.Identity{}, err
	}
	u, err := url.Parse(text)
	if err != nil {
		return auth.Identity{}, fmt.Errorf("%w: %w", ErrWrong, err)
	}
	q := u.Query()
	if at := q.Get(portParam); at != "" && at != port {
		return auth.Identity{}, fmt.Errorf("%w: %s, and this is %s (where a port is forwarded, use a token made with: pondnode token)", ErrPort, at, port)
	}
	if q.Has(untilParam) {
		until, err := strconv.ParseInt(q.Get(untilParam), 10, 64)
		if err != nil || time.Now().Unix() > until {
			return auth.Identity{}, ErrOver
		}
	}
	return auth.Parse(text)
}

// open is what a token says, if it was made with this secret.
func (s Secret) open(token string) (string, error) {
	if token == "" {
		return "", ErrNone
	}
	if len(token) > textMax || len(s) == 0 {
		return "", ErrWrong
	}
	first, second, _ := strings.Cut(token, ".")
	text, err1 := encoding.DecodeString(first)
	sum, err2 := encoding.DecodeString(second)
	if errors.Join(err1, err2) != nil || !hmac.Equal(sum, s.sign("token "+string(text))) {
		return "", ErrWrong
	}
	return string(text), nil
}

// GossipKey is what the nodes that share the secret encrypt their gossip with.
func (s Secret) GossipKey() []byte { return s.sign("gossip") }

func (s Secret) sign(text string) []byte {
	h := hmac.New(sha256.New, s)
	h.Write([]byte("pond " + text))
	return h.Sum(nil)
}

// scheme is how HTTP and gRPC carry a token.
const scheme = "Bearer "

// Header is the value of an Authorization header.
func Header(token string) string { return scheme + token }

// fromHeader is the token in one; empty: there is none.
func fromHeader(value string) string {
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return ""
	}
	return strings.TrimSpace(value[len(scheme):])
}
