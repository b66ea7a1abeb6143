package journal

import (
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
)

// TestCounts: whatever comes and goes, the sums are those of what is here, and every copy
// is found by its job.
func TestCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		segs, err := OpenSegments(new(Memory), rapid.Int64Range(0, 100).Draw(t, "room"), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		jobs := rapid.SampledFrom([]plan.JobID{"a", "b", "c"})
		stages := rapid.SampledFrom([]plan.StageID{"s", "t", "u", "v"})
		var all []api.Held
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				h := api.Held{Segment: fs.UploadID{byte(len(all) >> 8), byte(len(all))}.String(), Job: jobs.Draw(t, "job"), Stage: stages.Draw(t, "stage"), Bytes: rapid.Int64Range(0, 50).Draw(t, "bytes"),
					Copy: rapid.Bool().Draw(t, "copy"), Partitions: rapid.IntRange(1, 2).Draw(t, "partitions"), Created: time.Now().UnixMilli()}
				segs.add(h)
				all = append(all, h)
			},
			"drop": func(t *rapid.T) {
				if len(all) > 0 {
					h := rapid.SampledFrom(all).Draw(t, "held")
					segs.Drop(h.Stage, h.Segment)
				}
			},
			"pin":     func(t *rapid.T) { segs.Pin(jobs.Draw(t, "job"), stages.Draw(t, "stage")) },
			"claim":   func(t *rapid.T) { segs.Claim(jobs.Draw(t, "job")) },
			"unpin":   func(t *rapid.T) { segs.Unpin(jobs.Draw(t, "job")) },
			"reclaim": func(t *rapid.T) { segs.Reclaim(time.Now().Add(time.Second)) },
			"later":   func(*rapid.T) { segs.full = time.Time{} },
			"": func(t *rapid.T) {
				bytes, copies := int64(0), map[string]int{}
				for _, hs := range segs.byStage {
					for _, h := range hs {
						if bytes += h.Bytes; h.Copy {
							copies[fmt.Sprint(h.Job, h.Stage)]++
						}
					}
				}
				got := map[string]int{}
				for job, of := range segs.copies {
					for stage, n := range of {
						got[fmt.Sprint(job, stage)] = n
					}
				}
				if segs.bytes != bytes || !maps.Equal(got, copies) {
					t.Fatalf("%d bytes, copies %v; there are %d bytes, copies %v", segs.bytes, got, bytes, copies)
				}
			},
		})
	})
}
