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
	w      io.Writer
	p      *mpb.Progress
	stages map[int]*stageBar
	plan   *mpb.Bar // nil until there is something to tell
	waits  string   // what for, last told
}

func newBars(w io.Writer, columns int) *bars {
	return &bars{
		w:      w,
		p:      mpb.New(mpb.WithOutput(w), mpb.WithWidth(columns), mpb.WithAutoRefresh(), mpb.WithRefreshRate(redraw)),
		stages: map[int]*stageBar{},
	}
}

// stageBar is a bar and the text that its goroutine draws beside it.
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
	if s.WaitsFor != "" && s.WaitsFor != b.waits {
		b.waits = s.WaitsFor
		b.Say(Waits(s))
	}
	b.planning(s)
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

// Say has the bars drawn below the line; behind their end it is a line like others.
func (b *bars) Say(line string) {
	if _, err := fmt.Fprintln(b.p, line); err != nil {
		fmt.Fprintln(b.w, line)
	}
}

// planning draws a bar while a job over many files is planned.
func (b *bars) planning(s *pond.Status) {
	switch {
	case s.ToPlan >= planningMin && b.plan == nil:
		b.plan = b.p.New(int64(s.ToPlan), barStyle(), mpb.BarWidth(barWidth), mpb.BarPriority(-1), mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name("planning", decor.WCSyncSpaceR)), mpb.AppendDecorators(decor.CountersNoUnit(" %d of %d files")))
	case b.plan == nil:
		return
	case s.ToPlan == 0:
		b.plan.Abort(true)
		return
	}
	b.plan.SetCurrent(int64(s.Planned))
}

func barStyle() mpb.BarStyleComposer {
	return mpb.BarStyle().Lbound("").Filler("█").Tip("█").Padding("░").Rbound("")
}

func (b *bars) add(st pond.Stage, of int) *stageBar {
	sb := &stageBar{s: st}
	name := st.Name
	if r := []rune(name); len(r) > nameWidthMax {
		name = string(r[:nameWidthMax-1]) + "…"
	}
	sb.bar = b.p.New(int64(max(st.Tasks, 1)), barStyle(),
		mpb.BarWidth(barWidth), mpb.BarPriority(st.Index),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%d/%d %s", st.Index+1, of, name), decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + facts(sb.get()) })),
	)
	return sb
}

func (b *bars) Close() {
	if b.plan != nil {
		b.plan.Abort(true)
	}
	for _, sb := range b.stages {
		if !sb.bar.Completed() {
			sb.bar.Abort(false)
		}
	}
	b.p.Wait()
}
