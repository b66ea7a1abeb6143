package report

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/mesh/delay"
)

// Bounds of a delivery.
const (
	callTimeout    = 10 * time.Second // one call
	callTriesMax   = 6
	callPauseLeast = 250 * time.Millisecond // doubled each try
)

// Courier takes messages to coordinators.
type Courier struct {
	Call   func(ctx context.Context, addr string, m proto.Message) (proto.Message, error) // see wire.Wire.Call
	Faults *faults.Injector
}

// Deliver hands a report to a coordinator, and returns the tasks that it grants in its
// reply. It tries again while the coordinator cannot be reached: a report that was heard
// twice changes nothing.
func (c *Courier) Deliver(ctx context.Context, addr string, report proto.Message) ([]*wire.Run, error) {
	switch c.Faults.At(faults.Report) {
	case faults.Drop:
		return nil, nil
	case faults.Double:
		if runs, err := c.deliver(ctx, addr, report); err != nil {
			return runs, err
		}
	}
	return c.deliver(ctx, addr, report)
}

func (c *Courier) deliver(ctx context.Context, addr string, report proto.Message) ([]*wire.Run, error) {
	pause := callPauseLeast
	for try := 1; ; try++ {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		reply, err := c.Call(call, addr, report)
		cancel()
		if err == nil || !errors.Is(err, plan.ErrUnavailable) || try == callTriesMax {
			return c.Granted(reply), err
		}
		if delay.For(ctx, pause) != nil {
			return nil, err
		}
		pause *= 2
	}
}

// Granted is the tasks of a reply, unless it is lost.
func (c *Courier) Granted(reply proto.Message) []*wire.Run {
	g, ok := reply.(*wire.Grant)
	if !ok || len(g.GetRuns()) == 0 || c.Faults.At(faults.Grant) == faults.Drop {
		return nil
	}
	return g.GetRuns()
}
