package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/plan"
)

// ActorBytesMax bounds a message to an actor, and its reply.
const ActorBytesMax = kinds.MessageMax

// WaitQuery is how long the caller waits; without it, some time.
const WaitQuery = "wait"

// raw is a body that is sent as it is.
type raw []byte

// Actor has the actor of that kind and key receive a message, and returns its reply. It
// is received at most once: when a node has perhaps had it, no other is asked, and the
// error (plan.ErrUnavailable) says so.
func (c *Client) Actor(ctx context.Context, kind, key string, msg []byte) (answer []byte, err error) {
	path := "/v1/actors/" + url.PathEscape(kind) + "/" + url.PathEscape(key)
	if d, ok := ctx.Deadline(); ok {
		path += "?" + WaitQuery + "=" + time.Until(d).String()
	}
	err = c.exchange(ctx, http.MethodPost, path, raw(msg), func(r *reply) error {
		b, err := io.ReadAll(io.LimitReader(r.Body, ActorBytesMax+1))
		if err != nil {
			return r.broken(err, true)
		}
		answer = b
		return nil
	})
	if Unsure(err) {
		pe := *plan.AsError(err)
		pe.Text += "; it is not known whether the actor has received the message"
		return nil, &pe
	}
	return answer, err
}
