package sched

import (
	"errors"
	"fmt"

	"github.com/pondmesh/pond/actors/plan"
)

// publishing is the end of a job that writes files. While it is active the
// outcome is the storage's to say: a cancelled job must not turn out to have
// published, so that Cancel and Deadline wait for Published.
type publishing struct {
	active  bool
	try     int   // of Publish
	failed  int   // tries that failed or went unanswered
	unsure  bool  // an earlier try was never answered: it may have succeeded
	sentAt  int64 // of the try under way
	retryAt int64 // when the next one is due; 0: one is under way
	then    Status
	because *plan.Error // how to end when this try fails: Cancel or Deadline came
}

// complete is called when the last stage is.
func (d *Decider) complete() {
	switch {
	case d.finish != nil || d.publish.active:
	case d.job.Result.Write == nil:
		d.end(Succeeded, nil)
	default:
		d.publish.active = true
		d.sendPublish()
	}
}

func (d *Decider) sendPublish() {
	p := &d.publish
	p.try++
	p.sentAt, p.retryAt = d.now, 0
	d.emit(Publish{Try: p.try, Winners: d.Segments(len(d.stages) - 1)})
}

// interrupt is Cancel and Deadline.
func (d *Decider) interrupt(status Status, err *plan.Error) {
	p := &d.publish
	if p.active && (p.retryAt == 0 || p.unsure) {
		if p.because == nil {
			p.then, p.because = status, err
		}
		return
	}
	d.end(status, p.doubt(err))
}

// doubt warns of a try whose outcome is not known.
func (p *publishing) doubt(err *plan.Error) *plan.Error {
	if !p.unsure {
		return err
	}
	e := *err
	e.Hint = "an earlier try to publish went unanswered: look whether the output is there before running the job again"
	return &e
}

func (d *Decider) onPublished(e Published) {
	p := &d.publish
	if e.Try < 1 || e.Try > p.try {
		return
	}
	if e.Err == nil {
		// A late answer too: that try published a complete set of attempts.
		d.end(Succeeded, nil)
		return
	}
	if e.Try == p.try && p.active && p.retryAt == 0 {
		d.publishFailed(asPlanError(e.Err))
	}
}

func asPlanError(err error) *plan.Error {
	var pe *plan.Error
	if errors.As(err, &pe) {
		return pe
	}
	return &plan.Error{Kind: plan.KindOf(err), Op: "publish", Text: err.Error()}
}

func (d *Decider) publishFailed(err *plan.Error) {
	p := &d.publish
	p.failed++
	last := p.failed >= publishTriesMax
	switch {
	case err.Kind == plan.KindFenced:
		d.end(Fenced, err)
	case p.because != nil && !p.unsure:
		d.end(p.then, p.because)
	case err.Kind == plan.KindFetch && !last && p.because == nil && d.remakeFiles(err.Lost):
		p.active = false
	case last || err.Kind != plan.KindFetch && !transient(err.Kind):
		d.fail(p.doubt(err))
	default:
		p.retryAt = d.now + d.cfg.backoff(p.failed)
	}
}

// transient: trying the same again may help.
func transient(k plan.Kind) bool {
	return k == plan.KindInternal || k == plan.KindResource || k == plan.KindStorage || k == plan.KindUnavailable || k == plan.KindMemory
}

// remakeFiles runs tasks of the last stage again whose files are gone.
func (d *Decider) remakeFiles(lost []plan.TaskID) bool {
	any := false
	for _, id := range lost {
		if t := d.task(id); t != nil && t.state == done && t.stage.index == len(d.stages)-1 {
			d.discard(t, true)
			any = true
		}
	}
	return any
}

// tickPublish sends a try that is due, and treats one without an answer as one whose
// outcome is unknown.
func (d *Decider) tickPublish() {
	p := &d.publish
	switch {
	case !p.active || d.finish != nil:
	case p.retryAt > 0 && d.now >= p.retryAt:
		d.sendPublish()
	case p.retryAt == 0 && d.now-p.sentAt >= d.cfg.PublishMillis:
		p.unsure = true
		d.publishFailed(&plan.Error{Kind: plan.KindUnavailable, Op: "publish", Subject: "try",
			Text: fmt.Sprintf("try %d was not answered within %d ms", p.try, d.cfg.PublishMillis)})
	}
}
