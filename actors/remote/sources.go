package remote

import (
	"context"
	"io"
	"sync"

	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/object/s3"
	"github.com/pondmesh/pond/fs/object/web"
)

// Rules are a node's rules of what jobs may read.
type Rules interface {
	ReadURL(name string) error // why not; nil: they may
	Names(name string) bool    // the operator has named the place
}

// Sources are the places that a node reads objects from: web servers, and S3 with what
// env says of it when it is first asked for.
func Sources(rules Rules, env func(string) string) map[string]object.Source {
	servers := web.Open(web.Config{Named: rules.Names, Allow: rules.ReadURL})
	return map[string]object.Source{
		"http": servers, "https": servers,
		"s3": lazy(func() (object.Source, error) {
			c, err := s3.ConfigFrom(env)
			if err != nil {
				return nil, err
			}
			return s3.Open(c)
		}),
	}
}

// lazy is a place that is opened when it is first asked for.
func lazy(open func() (object.Source, error)) object.Source { return later(sync.OnceValues(open)) }

type later func() (object.Source, error)

func (l later) Find(ctx context.Context, pattern string) ([]object.Object, error) {
	s, err := l()
	if err != nil {
		return nil, &object.Error{Op: "find", Name: pattern, Kind: object.ErrDenied, Detail: err.Error()}
	}
	return s.Find(ctx, pattern)
}

func (l later) Open(ctx context.Context, o object.Object, off, n int64) (io.ReadCloser, error) {
	s, err := l()
	if err != nil {
		return nil, &object.Error{Op: "read", Name: o.Name, Kind: object.ErrDenied, Detail: err.Error()}
	}
	return s.Open(ctx, o, off, n)
}
