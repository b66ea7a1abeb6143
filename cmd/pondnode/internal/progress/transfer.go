package progress

import (
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/pondmesh/pond"
)

// transferEvery is how often a line tells how far files have come, at most.
const transferEvery = 10 * time.Second

// Transfers shows how far the carrying of files has come: a bar on a terminal of so many
// columns, lines for 0. Update is called by one goroutine at a time, and after Close never.
type Transfers struct {
	w     io.Writer
	p     *mpb.Progress
	bar   *mpb.Bar
	last  pond.Transfer
	told  time.Time
	begun time.Time
}

// NewTransfers returns one that has drawn nothing yet.
func NewTransfers(w io.Writer, columns int) *Transfers {
	t := &Transfers{w: w, begun: time.Now(), told: time.Now()}
	if columns > 0 {
		t.p = mpb.New(mpb.WithOutput(w), mpb.WithWidth(columns), mpb.WithAutoRefresh(), mpb.WithRefreshRate(redraw))
	}
	return t
}

// Update shows how far it has come.
func (t *Transfers) Update(p pond.Transfer) {
	t.last = p
	switch {
	case t.p != nil && t.bar == nil:
		t.bar = t.p.New(max(p.Bytes, 1), barStyle(), mpb.BarWidth(barWidth), mpb.BarRemoveOnComplete(),
			mpb.AppendDecorators(decor.CountersKibiByte(" % .1f of % .1f"), decor.AverageSpeed(decor.SizeB1024(0), ", % .1f"), decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace)))
		fallthrough
	case t.bar != nil:
		t.bar.SetCurrent(p.Have)
	case time.Since(t.told) >= transferEvery:
		t.told = time.Now()
		fmt.Fprintf(t.w, "%s of %s, %d of %s\n", size(p.Have), size(p.Bytes), p.Done, Count(p.Files, "file"))
	}
}

// Close ends the drawing, and tells what was carried.
func (t *Transfers) Close() string {
	if t.bar != nil {
		t.bar.Abort(true)
	}
	if t.p != nil {
		t.p.Wait()
	}
	text := Count(t.last.Done, "file") + ", " + size(t.last.Have) + ", in " + Duration(time.Since(t.begun))
	if t.last.Kept > 0 {
		text += fmt.Sprintf(" (%d were there from a run before)", t.last.Kept)
	}
	return text
}
