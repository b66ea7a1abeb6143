package replicas

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/pondmesh/pond/fs/replica"
)

// replyMax bounds the JSON of an answer.
const replyMax = 16 << 20

// call asks another node, and decodes what it answers.
func (r *Replicas) call(ctx context.Context, n replica.Node, path string, in, out any) error {
	body := []byte("{}")
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url(n, path), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	err = r.exchange(req, func(in io.Reader) error { return json.NewDecoder(io.LimitReader(in, replyMax)).Decode(out) })
	if err != nil && ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	return err
}

// do makes a request, which says who makes it.
func (r *Replicas) do(req *http.Request) (*http.Response, error) {
	if r.cfg.Authorization != nil {
		text, err := r.cfg.Authorization(req.URL.Host)
		if err != nil {
			return nil, err
		}
		if text != "" {
			req.Header.Set("Authorization", text)
		}
	}
	return r.http.RoundTrip(req)
}
