package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/plan"
)

// Errors of a message itself.
var (
	ErrTooLarge = errors.New("message too large")
	ErrInvalid  = errors.New("invalid message")
)

// decodeDepthMax is how deep messages may nest; ours nest four levels.
const decodeDepthMax = 8

// NewTask names one attempt at a task; stage is the stage's index in its job, lineage
// that of its inputs.
func NewTask(id plan.AttemptID, stage int, lineage uint64) *Task {
	return &Task{StageId: string(id.Task.Stage), Stage: int32(stage), Partition: int32(id.Task.Partition), Attempt: int32(id.Attempt), Lineage: lineage}
}

// AttemptID is the attempt that t names.
func (t *Task) AttemptID() plan.AttemptID {
	return plan.AttemptID{
		Task:    plan.TaskID{Stage: plan.StageID(t.GetStageId()), Partition: int(t.GetPartition())},
		Attempt: int(t.GetAttempt()),
	}
}

func typeOf(m proto.Message) Type {
	switch m.(type) {
	case *Ack:
		return Type_ACK
	case *TaskError:
		return Type_TASK_ERROR
	case *Work:
		return Type_WORK
	case *Pull:
		return Type_PULL
	case *Grant:
		return Type_GRANT
	case *Done:
		return Type_DONE
	case *Failed:
		return Type_FAILED
	case *Stop:
		return Type_STOP
	case *Copy:
		return Type_COPY
	case *Copied:
		return Type_COPIED
	}
	return Type_NONE
}

func newMessage(t Type) proto.Message {
	switch t {
	case Type_ACK:
		return new(Ack)
	case Type_TASK_ERROR:
		return new(TaskError)
	case Type_WORK:
		return new(Work)
	case Type_PULL:
		return new(Pull)
	case Type_GRANT:
		return new(Grant)
	case Type_DONE:
		return new(Done)
	case Type_FAILED:
		return new(Failed)
	case Type_STOP:
		return new(Stop)
	case Type_COPY:
		return new(Copy)
	case Type_COPIED:
		return new(Copied)
	}
	return nil
}

// encode checks a message and writes it down. The bytes are the wire's own: the
// caller may change the message afterwards.
func encode(m proto.Message) (Type, []byte, error) {
	t := typeOf(m)
	if t == Type_NONE {
		return t, nil, fmt.Errorf("%w: %T is not of this protocol", ErrInvalid, m)
	}
	if n := proto.Size(m); n > MessageBytesMax {
		return t, nil, fmt.Errorf("%w: %s of %d bytes, at most %d are allowed", ErrTooLarge, t, n, MessageBytesMax)
	}
	if err := Validate(m); err != nil {
		return t, nil, err
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return t, nil, fmt.Errorf("%w: encode %s: %w", ErrInvalid, t, err)
	}
	return t, b, nil
}

// decode is the inverse; it returns only checked messages.
func decode(t Type, b []byte) (proto.Message, error) {
	if len(b) > MessageBytesMax {
		return nil, fmt.Errorf("%w: %s of %d bytes, at most %d are allowed", ErrTooLarge, t, len(b), MessageBytesMax)
	}
	m := newMessage(t)
	if m == nil {
		return nil, fmt.Errorf("%w: type %d is not of this protocol", ErrInvalid, int32(t))
	}
	o := proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: decodeDepthMax}
	if err := o.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: decode %s: %w", ErrInvalid, t, err)
	}
	if err := Validate(m); err != nil {
		return nil, err
	}
	return m, nil
}
