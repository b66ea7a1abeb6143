package progress

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/pondmesh/pond"
)

// Measures of bars.
const (
	nameWidthMax = 28
	barWidth     = 24
	redraw       = 120 * time.Millisecond
)

// bars draws a bar a stage, in place.
type bars struct {
	p      *mpb.Progress
	stages map[int]*stageBar
}

func newBars(w io.Writer, columns int) *bars {
	return &bars{
		p:      mpb.New(mpb.WithOutput(w), mpb.WithWidth(columns), mpb.WithAutoRefresh(), mpb.WithRefreshRate(redraw)),
		stages: map[int]*stageBar{},
	}
}

// stageBar is a bar and what its goroutine draws beside it.
type stageBar struct {
	bar *mpb.Bar
	mu  sync.Mutex
	s   pond.Stage
}

func (b *stageBar) get() pond.Stage {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.s
}

func (b *bars) Update(s *pond.Status) {
	for _, st := range s.Stages {
		sb := b.stages[st.Index]
		if sb == nil {
			sb = b.add(st, len(s.Stages))
			b.stages[st.Index] = sb
		}
		sb.mu.Lock()
		sb.s = st
		sb.mu.Unlock()
		sb.bar.SetTotal(int64(max(st.Tasks, 1)), false)
		sb.bar.SetCurrent(int64(st.Done))
		if finished(st) && s.Done() { // until then a lost segment may make it go back
			sb.bar.SetTotal(int64(st.Tasks), true)
		}
	}
}

func (b *bars) add(st pond.Stage, of int) *stageBar {
	sb := &stageBar{s: st}
	name := st.Name
	if r := []rune(name); len(r) > nameWidthMax {
		name = string(r[:nameWidthMax-1]) + "…"
	}
	sb.bar = b.p.New(int64(max(st.Tasks, 1)), mpb.BarStyle().Lbound("").Filler("█").Tip("█").Padding("░").Rbound(""),
		mpb.BarWidth(barWidth), mpb.BarPriority(st.Index),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%d/%d %s", st.Index+1, of, name), decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + facts(sb.get()) })),
	)
	return sb
}

func (b *bars) Close() {
	for _, sb := range b.stages {
		if !sb.bar.Completed() {
			sb.bar.Abort(false)
		}
	}
	b.p.Wait()
}
