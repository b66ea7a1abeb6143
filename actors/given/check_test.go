package given

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// TestGiven: a node looks at what a coordinator has sent before an engine reads or
// writes a byte.
func TestGiven(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"own", "in", "out/.new.pond-" + string(job) + "/work"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(root+"/own", root+"/out/.link.pond-"+string(job)); err != nil {
		t.Fatal(err)
	}
	rules, err := access.New(access.Config{Own: root + "/own", Read: []string{root + "/in"}, Write: []string{root + "/out", "pond://sales"}})
	if err != nil {
		t.Fatal(err)
	}
	staging := root + "/out/.new.pond-" + string(job) + "/work"
	for name, c := range map[string]struct {
		change func(p *api.Packet)
		want   error // nil: it is given
	}{
		"as it should be":     {func(*api.Packet) {}, nil},
		"no job":              {func(p *api.Packet) { p.Job = nil }, plan.ErrInternal},
		"another job":         {func(p *api.Packet) { p.ID = "x" }, plan.ErrInternal},
		"another stage":       {func(p *api.Packet) { p.Index = 1 }, plan.ErrInternal},
		"no stages":           {func(p *api.Packet) { p.Job.Stages = nil }, plan.ErrInternal},
		"a missing stage":     {func(p *api.Packet) { p.Job.Stages = append(p.Job.Stages, nil) }, plan.ErrInternal},
		"a stage that is not": {func(p *api.Packet) { p.Stage().Inputs[0] = plan.Input{Read: &plan.Read{Stages: []int{7}}} }, plan.ErrInternal},
		"a part of a stage": {func(p *api.Packet) {
			p.Stage().Inputs[0] = plan.Input{Read: &plan.Read{Stages: []int{1}}}
			p.Job.Stages = append(p.Job.Stages, &plan.Stage{Tasks: plan.Tasks{N: 3}})
			p.Up, p.Where = map[int][]plan.SegmentInfo{1: make([]plan.SegmentInfo, 2)}, map[int][]api.Location{1: make([]api.Location, 2)}
		}, plan.ErrInternal},
		"a whole stage": {func(p *api.Packet) {
			p.Stage().Inputs[0] = plan.Input{Read: &plan.Read{Stages: []int{1}}}
			p.Job.Stages = append(p.Job.Stages, &plan.Stage{Tasks: plan.Tasks{N: 2}})
			p.Up, p.Where = map[int][]plan.SegmentInfo{1: make([]plan.SegmentInfo, 2)}, map[int][]api.Location{1: make([]api.Location, 2)}
		}, nil},
		"of another lineage":     {func(p *api.Packet) { p.Lineage = 7 }, plan.ErrCancelled},
		"a whole folder":         {func(p *api.Packet) { p.Access = append(p.Access, root+"/in/") }, plan.ErrDenied},
		"everything":             {func(p *api.Packet) { p.Access = []string{"/"} }, plan.ErrDenied},
		"outside of the roots":   {func(p *api.Packet) { p.Access = append(p.Access, "/etc/passwd") }, plan.ErrDenied},
		"the data folder":        {func(p *api.Packet) { p.Access = append(p.Access, root+"/own/node.id") }, plan.ErrDenied},
		"a process":              {func(p *api.Packet) { p.Access = append(p.Access, "/proc/self/environ") }, plan.ErrDenied},
		"a piece elsewhere":      {func(p *api.Packet) { p.Stage().Inputs[0].Scan.Splits[0][0].Path = "/etc/passwd" }, plan.ErrDenied},
		"another task's piece":   {func(p *api.Packet) { p.Stage().Inputs[0].Scan.Splits[1][0].Path = "/etc/passwd" }, nil},
		"columns of elsewhere":   {func(p *api.Packet) { p.Stage().Inputs[0].Scan.Like = "/etc/passwd" }, plan.ErrDenied},
		"no staging folder":      {func(p *api.Packet) { p.Staging = root + "/out" }, plan.ErrDenied},
		"another job's":          {func(p *api.Packet) { p.Staging = root + "/out/.new.pond-other/work" }, plan.ErrDenied},
		"outside of write roots": {func(p *api.Packet) { p.Staging = root + "/in/.new.pond-" + string(job) + "/work" }, plan.ErrDenied},
		"by dots":                {func(p *api.Packet) { p.Staging = root + "/out/../in/.new.pond-" + string(job) + "/work" }, plan.ErrDenied},
		"by a link":              {func(p *api.Packet) { p.Staging = root + "/out/.link.pond-" + string(job) + "/work" }, plan.ErrDenied},
		"a dataset":              {uploaded("pond://sales", string(job)+".x"), nil},
		"without a lease":        {uploaded("pond://sales", ""), plan.ErrDenied},
		"another job's lease":    {uploaded("pond://sales", "other.x"), plan.ErrDenied},
		"a version of a dataset": {uploaded("pond://sales/3", string(job)+".x"), plan.ErrDenied},
		"another dataset":        {uploaded("pond://salaries", string(job)+".x"), plan.ErrDenied},
		"no dataset":             {uploaded("pond://sales/../salaries", string(job)+".x"), plan.ErrDenied},
	} {
		p := &api.Packet{ID: job, Access: []string{root + "/in/a.csv", root + "/in/*.csv"}, Staging: staging, Job: &plan.Job{Stages: []*plan.Stage{{
			Inputs:   []plan.Input{{View: "v", Scan: &plan.Scan{Splits: [][]plan.Piece{{{Path: root + "/in/a.csv"}}, {{Path: root + "/in/b.csv"}}}}}},
			Exchange: plan.Exchange{Kind: plan.Files, Write: &plan.Write{}},
		}}}}
		c.change(p)
		g := New(job, answers(p, nil), rules).For(0, 0)
		if _, err := g.Get(t.Context(), 0, 0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// uploaded has a packet's files uploaded for a dataset.
func uploaded(to, lease string) func(*api.Packet) {
	return func(p *api.Packet) { p.Staging, p.Lease = to, lease }
}
