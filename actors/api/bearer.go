package api

import (
	"errors"
	"io/fs"
	"net/http"
	"sync"

	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/token"
)

// TokenHint says where a call without TLS gets its token from.
const TokenHint = "run this as the user that runs the node; or set POND_TOKEN (pond.WithToken in a program) to a token that this user makes with: pondnode token (with curl: -H \"Authorization: Bearer TOKEN\"); or give the node's --token-file (pond.WithTokenFile)"

// bearer knows the tokens of a caller without TLS. The secret is looked for when it is
// first needed, and until it is found: a client may be there before the user's first
// node has made it.
type bearer struct {
	text string // a token for all calls; empty: each has one, made of the secret
	file string // of the secret; empty: the user's own
	role auth.Role

	mu     sync.Mutex
	secret token.Secret
}

// Authorization is the header by which a call of addr says who makes it; empty: there is
// none, and the node says what it wants.
func (c *Client) Authorization(addr string) (string, error) {
	if c.by == nil {
		return "", nil
	}
	return c.by.header(addr)
}

func (c *Client) authorize(req *http.Request) error {
	text, err := c.Authorization(req.URL.Host)
	if text != "" {
		req.Header.Set("Authorization", text)
	}
	return err
}

func (b *bearer) header(addr string) (string, error) {
	if b.text != "" {
		return token.Header(b.text), nil
	}
	secret, err := b.find()
	if err != nil || secret == nil {
		return "", err
	}
	return secret.Call(auth.Identity{Role: b.role}, addr), nil
}

// find is the secret; nil: the user has none yet.
func (b *bearer) find() (_ token.Secret, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.secret != nil:
	case b.file != "":
		b.secret, err = token.Load(b.file)
	default:
		if b.secret, err = token.Find(); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	return b.secret, err
}
