package api

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/actors/plan"
)

// drawPacket is one of a stage that reads others.
func drawPacket(rt *rapid.T) *Packet {
	sizes := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) plan.SegmentInfo {
		ints := rapid.SliceOfN(rapid.Int64(), 1, 5)
		return plan.SegmentInfo{Rows: ints.Draw(rt, "rows"), Bytes: ints.Draw(rt, "bytes")}
	}), 1, 4)
	p := &Packet{
		ID: "0a", Version: rapid.Uint64().Draw(rt, "version"), Index: 1, Tasks: 3, Lineage: rapid.Uint64().Draw(rt, "lineage"), Codec: "zstd", Access: []string{"/a", "/b/"},
		Job: &plan.Job{Stages: []*plan.Stage{
			{Name: "scan", Ordered: true},
			{Name: "sum", Query: rapid.String().Draw(rt, "query"), Inputs: []plan.Input{{Read: &plan.Read{}}}, Memory: 1 << 40},
		}},
		Up: map[int][]plan.SegmentInfo{}, Where: map[int][]Location{},
	}
	for _, up := range rapid.SliceOfNDistinct(rapid.IntRange(0, 300), 0, 3, rapid.ID).Draw(rt, "stages") {
		p.Up[up] = sizes.Draw(rt, "segments")
		p.Where[up] = []Location{{Addr: "h:1", Segment: "s"}}
	}
	return p
}

// TestPacket: a packet comes through as it was sent; one that is cut short or goes on is
// refused.
func TestPacket(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sent := drawPacket(rt)
		whole, err := sent.MarshalBinary()
		if err != nil {
			rt.Fatal(err)
		}
		got := new(Packet)
		if err := got.UnmarshalBinary(whole); err != nil {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(sent, got) {
			rt.Fatalf("%+v became %+v", sent, got)
		}
		if err := new(Packet).UnmarshalBinary(whole[:rapid.IntRange(0, len(whole)-1).Draw(rt, "cut")]); err == nil {
			rt.Fatal("a packet that is cut short is read")
		}
		if err := new(Packet).UnmarshalBinary(append(whole, 0)); err == nil {
			rt.Fatal("what follows a packet is not seen")
		}
	})
}

// FuzzPacket: whatever comes is read or refused, in memory of its own length.
func FuzzPacket(f *testing.F) {
	rapid.Check(f, func(rt *rapid.T) {
		b, err := drawPacket(rt).MarshalBinary()
		if err != nil {
			rt.Fatal(err)
		}
		f.Add(b)
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		if p.UnmarshalBinary(b) != nil {
			return
		}
		if _, err := p.MarshalBinary(); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkPacket(b *testing.B) {
	for name, segments := range map[string]int{"short": 0, "500 segments of 500": 500} {
		p := &Packet{ID: "0a", Job: &plan.Job{Stages: []*plan.Stage{{Name: "s", Query: "SELECT 1"}}}, Up: map[int][]plan.SegmentInfo{}}
		for range segments {
			p.Up[0] = append(p.Up[0], plan.SegmentInfo{Rows: make([]int64, 500), Bytes: make([]int64, 500)})
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				text, err := p.MarshalBinary()
				if err != nil {
					b.Fatal(err)
				}
				if err := new(Packet).UnmarshalBinary(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
