package isolate

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/actors/sandbox"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// bufferShare is how much of its memory a process keeps in free buffers, in percent.
const bufferShare = 5

// server answers a node in its engine process.
type server struct {
	c       process.Child
	engines *engines.Pool
	machine *exec.Machine
	packets *remotePackets
	journal *remoteJournal
	open    bool // the kernel confines nothing: see Unconfined
}

// Serve makes an engine process ready: it is what process.Main is given.
func Serve(ctx context.Context, c process.Child) (process.Handler, error) {
	return serve(ctx, c, false)
}

// Unconfined is Serve for tests: it leaves out what the kernel enforces, as where the
// kernel can enforce nothing, so that the other walls are seen to hold.
func Unconfined(ctx context.Context, c process.Child) (process.Handler, error) {
	return serve(ctx, c, true)
}

func serve(ctx context.Context, c process.Child, open bool) (process.Handler, error) {
	var s settings
	if err := json.Unmarshal([]byte(c.Config), &s); err != nil {
		return nil, fmt.Errorf("isolate: the settings of an engine process: %w", err)
	}
	f, err := remoteFuncs(c, s)
	if err != nil {
		return nil, err
	}
	// What comes after the first request is mostly like it, and is given the same engine: a
	// second one, ready for something else, would take half of what the process's start took.
	pool, err := engines.Open(ctx, engines.Config{Memory: s.Memory, Slots: 1, Warm: true, SpillMax: s.Limits.Spill, Dir: c.Dir, Funcs: f, Log: c.Log})
	if err != nil {
		return nil, err
	}
	if err := sandbox.Expend(); err != nil {
		c.Log.Debug("an engine process is not the first that the kernel kills for memory", "err", err)
	}
	if !open {
		if err := sandbox.Renounce(); err != nil {
			return nil, err
		}
	}
	if err := rehearse(); err != nil {
		return nil, err
	}
	srv := &server{c: c, open: open, engines: pool, packets: &remotePackets{node: c.Node}, journal: &remoteJournal{node: c.Node}}
	srv.machine = &exec.Machine{
		Engines: pool, Journal: srv.journal, Mem: engines.NewAllocator(),
		Buffers:  vec.NewPool(engines.NewAllocator(), s.Memory*bufferShare/100),
		Blocks:   transfer.NewClient(transfer.ClientConfig{Window: exec.FetchWindow(s.Memory), Dial: dialer(c.Node)}),
		SpoolDir: filepath.Join(c.Dir, "spools"), Limits: s.Limits, Log: c.Log,
		Deaf: func() { _, _, _ = c.Node.Call(ctx, methodDeaf, nil) },
	}
	return srv.handle, nil
}

// rehearse encodes and decodes an attempt's messages: encoding/json looks at types when it
// meets them first, for a millisecond or two of what somebody would wait for.
func rehearse() error {
	packet, err := (&api.Packet{Job: &plan.Job{Stages: []*plan.Stage{{Inputs: []plan.Input{{}}, Steps: []plan.Step{{}}}}}}).MarshalBinary()
	if err != nil {
		return err
	}
	request, err := jsonOf(runRequest{Token: "rehearsal", Packet: packet})
	if err != nil {
		return err
	}
	var r runRequest
	if err := fromBytes(request, &r); err != nil {
		return err
	}
	if err := new(remotePackets).begin(&r); err != nil {
		return err
	}
	_, err = jsonOf(runReply{})
	return err
}

func (s *server) handle(ctx context.Context, method string, body []byte, files []*os.File) ([]byte, []*os.File, error) {
	process.CloseAll(files) // no request has any
	switch method {
	case process.MethodConfine:
		return nil, nil, s.confine(body)
	case methodRun:
		out, err := s.run(ctx, body)
		return out, nil, err
	}
	out, err := answer(ctx, s.c, prepare.Local{Engines: s.engines}, method, body)
	return out, nil, err
}

func (s *server) run(ctx context.Context, body []byte) ([]byte, error) {
	var r runRequest
	if err := fromBytes(body, &r); err != nil {
		return nil, err
	}
	if err := s.packets.begin(&r); err != nil {
		return nil, err
	}
	s.journal.begin(r.Segment)
	defer s.journal.end()
	out, err := s.machine.Run(ctx, r.Attempt, s.packets)
	if err != nil {
		return nil, err
	}
	return jsonOf(runReply{*out, s.journal.sums})
}

// confine has the kernel hold this process to what its node tells it that it may reach.
func (s *server) confine(body []byte) error {
	var a process.Access
	if err := json.Unmarshal(body, &a); err != nil {
		return err
	}
	if s.open {
		return nil
	}
	return sandbox.Confine(sandbox.Access{Read: a.Read, Write: a.Write}, s.c.Dir)
}

func jsonOf(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("isolate: %w", err)
	}
	return body, nil
}
