//go:build duckdb_arrow

package isolate

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/plan"
)

// A process that does not keep to its limits is measured by the node, whatever it says.
func TestQuota(t *testing.T) {
	t.Parallel()
	r := newRunning(t, new(funcs.Registry))
	r.Limits = exec.Limits{Spill: 1 << 20, Result: 1 << 20, Output: 1 << 20}
	r.job.Stages = r.job.Stages[:1] // whose rows are the result
	packet, err := r.Get(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	packet.Staging = t.TempDir()
	dir, a := t.TempDir(), exec.Attempt{Job: packet.ID, ID: plan.AttemptID{Task: plan.TaskID{Stage: "s0"}, Attempt: 1}}
	s := &session{m: r.Machine, a: a, packet: packet, packets: r, dir: dir}
	defer s.close()
	const much = 1<<20 + 1
	_, files, err := s.serve(t.Context(), methodDraft, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer files[0].Close()
	if err := s.measure(dir, 0, 0); err != nil {
		t.Errorf("nothing is written: %v", err)
	}
	if _, err := files[0].Write(make([]byte, much)); err != nil {
		t.Fatal(err)
	}
	says := func(what string, err error, flag string, kind error) {
		t.Helper()
		if !errors.Is(err, kind) || !strings.Contains(err.Error(), flag) {
			t.Errorf("%s: %v", what, err)
		}
	}
	says("a segment, while it is written", s.measure(dir, 0, 0), "--result-max", plan.ErrQuery)
	if err := s.measure(dir, 0, quotaSlack); err != nil {
		t.Errorf("within the slack: %v", err)
	}
	_, err = s.end(new(runReply), time.Second)
	says("a segment that is committed", err, "--result-max", plan.ErrQuery)
	if _, _, err := s.serve(t.Context(), methodAbort, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(exec.AttemptDir(packet.Staging, a), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(path string) {
		t.Helper()
		if err := os.WriteFile(path, make([]byte, much), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(exec.AttemptDir(packet.Staging, a), "x"))
	says("files, while they are written", s.measure(dir, 0, 0), "--output-max", plan.ErrQuery)
	write(filepath.Join(dir, "spilled"))
	write(filepath.Join(dir, "spooled"))
	says("what is spilled", s.measure(dir, 0, 0), "--spill-max", plan.ErrResource)
	if runtime.GOOS != "linux" {
		return
	}
	s.m.Limits = exec.Limits{Spill: 8 << 20} // other tests of this process have small files without a name
	f, err := os.CreateTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(os.Remove(f.Name()), f.Sync()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 20<<20)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil { // some file systems count blocks then
		t.Fatal(err)
	}
	says("a file without a name", s.measure(dir, os.Getpid(), 0), "--spill-max", plan.ErrResource)
}
