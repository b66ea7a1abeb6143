// Package refusals logs what a node turns away: at a limited rate, so that whoever
// knocks a thousand times a second fills no disk, with a count of what was left out,
// so that it shows.
//
// It refuses to decide what is turned away. Read Note.
package refusals

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Bounds.
const (
	window    = 10 * time.Second
	perWindow = 5  // lines of one kind in a window
	kindsMax  = 32 // kinds told apart at once; those beyond share one
)

// otherKind is shared by the kinds beyond kindsMax.
const otherKind = "others"

// Log is one node's. It is safe for concurrent use; a nil *Log notes nothing.
type Log struct {
	log *slog.Logger

	mu    sync.Mutex
	kinds map[string]*kind // with a window that is open
	over  bool             // Close was called
}

// kind is a kind's window, from its first note on.
type kind struct {
	noted, left int // lines written, and left out
	timer       *time.Timer
}

// New returns a Log that writes to log.
func New(log *slog.Logger) *Log { return &Log{log: log, kinds: map[string]*kind{}} }

// Note logs that something of a kind, a fixed text, was turned away, unless too much of
// that kind was of late. Args are as those of slog.
func (l *Log) Note(what string, args ...any) {
	if l == nil || !l.admit(what) {
		return
	}
	l.log.Log(context.Background(), slog.LevelWarn, "refused "+what, args...)
}

// admit counts a note, and reports whether it is to be written.
func (l *Log) admit(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	k := l.kinds[what]
	if k == nil && len(l.kinds) >= kindsMax {
		what = otherKind
		k = l.kinds[what]
	}
	if k == nil {
		k = new(kind)
		l.kinds[what] = k
		k.timer = time.AfterFunc(window, func() { l.end(what) })
	}
	if k.noted == perWindow {
		k.left++
		return false
	}
	k.noted++
	return true
}

// end closes a kind's window. What was left out in it is told of in one line.
func (l *Log) end(what string) {
	l.mu.Lock()
	k := l.kinds[what]
	delete(l.kinds, what)
	over := l.over
	l.mu.Unlock()
	if k != nil && k.left > 0 && !over {
		l.log.Warn("refused "+what+", more than is logged", "left_out", k.left, "in", window)
	}
}

// Close ends all windows. What is noted later is dropped.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	for _, k := range l.kinds {
		k.timer.Stop()
	}
}
