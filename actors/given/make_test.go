package given

import (
	"errors"
	"reflect"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
)

// TestFill: a packet is made once all that its stage reads is, is one that nodes take, and
// has of the other stages no more than what runs a task of this one.
func TestFill(t *testing.T) {
	scan := plan.Input{Scan: &plan.Scan{Splits: [][]plan.Piece{{{Path: "/a"}}, {{Path: "/b"}}}}}
	exchange := plan.Exchange{Kind: plan.Hash, Partitions: 2, Keys: []string{"k"}}
	j := &plan.Job{Stages: []*plan.Stage{
		{ID: "s0", Name: "scan", Query: "SELECT 1", Inputs: []plan.Input{scan}, Exchange: exchange, Tasks: plan.Tasks{N: 2}},
		{ID: "s1", Name: "sum", Query: "SELECT 2", Inputs: []plan.Input{{View: "v", Read: &plan.Read{Stages: []int{0}, How: plan.ReadPartition}}},
			Exchange: plan.Exchange{Kind: plan.Single, Partitions: 1}, Tasks: plan.Tasks{N: 2}},
	}}
	d := sched.New(j, sched.Config{Term: 1})
	holders := func(w sched.Winner) []string { return []string{string(w.Holders[0]) + ":7948", "m:7948"} }
	fill := func() (*api.Packet, error) {
		p := &api.Packet{ID: job, Codec: "zstd"}
		return p, Fill(p, j, 1, d, holders)
	}
	d.Step(sched.NodeUp{Node: "n", Boot: "1", Slots: 2, Memory: 1 << 30})
	hold := func(partition int, segment string) {
		d.Step(sched.Held{Node: "n", Boot: "1", Segments: []sched.HeldSegment{{
			Task: plan.TaskID{Stage: "s0", Partition: partition}, Attempt: 1, Tasks: 2,
			Output: sched.Output{Segment: segment, Rows: 3, Parts: plan.SegmentInfo{Rows: []int64{1, 2}, Bytes: []int64{10, 20}}},
		}}})
	}
	hold(0, "x")
	d.Step(sched.Tick{Now: 0})
	if _, err := fill(); !errors.Is(err, plan.ErrCancelled) {
		t.Errorf("half of what it reads is there: %v", err)
	}
	hold(1, "y")
	p, err := fill()
	if err != nil {
		t.Fatal(err)
	}
	if err := wellFormed(p, job, 1); err != nil {
		t.Error(err)
	}
	if p.Codec != "zstd" || p.Tasks != 2 || p.Version != uint64(d.Version(1)) || len(p.Where[0]) != 2 || !reflect.DeepEqual(p.Where[0][1], api.Location{Addr: "n:7948", Others: []string{"m:7948"}, Segment: "y"}) || p.Up[0][0].Bytes[1] != 20 {
		t.Errorf("%+v", p)
	}
	if p.Prefer("m:7948"); p.Where[0][1].Addr != "m:7948" || p.Where[0][1].Others[0] != "n:7948" {
		t.Errorf("on a node that holds it: %+v", p.Where[0][1])
	}
	if other := p.Job.Stages[0]; other.ID != "s0" || other.Tasks.N != 2 || other.Exchange.Partitions != 2 || other.Inputs != nil || other.Query != "" {
		t.Errorf("the other stage: %+v", other)
	}
	if own := p.Stage(); own.Query != "SELECT 2" || len(own.Inputs) != 1 {
		t.Errorf("its stage: %+v", own)
	}
	if j.Stages[0].Query == "" {
		t.Error("the job itself is stripped")
	}
}
