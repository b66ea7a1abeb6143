package wire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/pondmesh/pond/actors/plan"
)

// ErrClosed is the error of a closed Wire. It is a kind of plan.ErrUnavailable.
var ErrClosed = fmt.Errorf("wire is closed: %w", plan.ErrUnavailable)

// ErrPortInUse: another process listens on the address.
var ErrPortInUse = errors.New("port in use")

// ToProto writes a TaskError for the wire. Long texts are cut, and of more than
// LostPartitionsMax lost partitions the first are named: whoever misses the
// others says so again. Nil stays nil.
func ToProto(e *plan.Error) *TaskError {
	if e == nil {
		return nil
	}
	out := &TaskError{
		Kind:    uint32(e.Kind),
		Op:      cut(e.Op, nodeBytesMax),
		Subject: cut(e.Subject, errorSubjectBytesMax),
		Node:    cut(e.Node, nodeBytesMax),
		Text:    cut(e.Text, ErrorTextBytesMax),
		Hint:    cut(e.Hint, errorSubjectBytesMax),
	}
	at := map[plan.StageID]*Lost{}
	for _, id := range e.Lost[:min(len(e.Lost), LostPartitionsMax)] {
		l := at[id.Stage]
		if l == nil {
			if len(at) == StageIDsMax {
				break
			}
			l = &Lost{StageId: string(id.Stage)}
			at[id.Stage] = l
			out.Lost = append(out.Lost, l)
		}
		l.Partitions = append(l.Partitions, int32(id.Partition))
	}
	return out
}

// FromProto reads a TaskError off the wire; errors.Is matches the sentinel of
// its kind. A kind that this version does not know matches none. Nil stays nil.
func FromProto(e *TaskError) *plan.Error {
	if e == nil {
		return nil
	}
	kind := plan.KindInternal
	if e.Kind <= math.MaxUint8 {
		kind = plan.Kind(e.Kind)
	}
	out := &plan.Error{Kind: kind, Op: e.Op, Subject: e.Subject, Node: e.Node, Text: e.Text, Hint: e.Hint}
	for _, l := range e.Lost {
		for _, p := range l.Partitions {
			out.Lost = append(out.Lost, plan.TaskID{Stage: plan.StageID(l.StageId), Partition: int(p)})
		}
	}
	return out
}

// taskError makes a handler's error fit to cross nodes. A context's end in the
// handler is this node being too slow or closing, not the job's.
func taskError(err error, node string) *plan.Error {
	var te *plan.Error
	if errors.As(err, &te) {
		return te
	}
	kind := plan.KindOf(err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		kind = plan.KindUnavailable
	}
	return &plan.Error{Kind: kind, Node: node, Text: err.Error()}
}

// unavailable is the error of a message that did not get through.
func unavailable(op, addr, text string) *plan.Error {
	return &plan.Error{Kind: plan.KindUnavailable, Op: op, Subject: addr, Text: text}
}

// cut shortens s to at most n bytes of valid UTF-8.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
