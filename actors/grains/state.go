package grains

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/register"
)

// claimsMax bounds how often a register is claimed again because another came first.
const claimsMax = 8

// stored is a state as its register has it.
type stored struct {
	term  uint64 // counts the activations that have claimed it
	owner string // the activation of that term
	data  []byte
}

// held is the register of an activation that has claimed it.
type held struct {
	stored
	version uint64 // of the register: as long as it has that one, the activation is believed
}

func (s stored) encode() []byte {
	b := binary.AppendUvarint(nil, s.term)
	b = binary.AppendUvarint(b, uint64(len(s.owner)))
	return append(append(b, s.owner...), s.data...)
}

// decode reads a register; one that was never written has term 0.
func decode(b []byte) (s stored, err error) {
	if len(b) == 0 {
		return s, nil
	}
	term, n := binary.Uvarint(b)
	if n <= 0 {
		return s, errors.New("its term is not there")
	}
	b = b[n:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return s, errors.New("its owner is not there")
	}
	b = b[n:]
	return stored{term: term, owner: string(b[:size]), data: slices.Clone(b[size:])}, nil
}

func (t *turn) register() register.Key { return register.Key("actor/" + t.i.a.id.String()) }

// Load implements kinds.Context.
func (t *turn) Load() ([]byte, error) {
	if t.lost != nil {
		return nil, t.lost
	}
	if t.i.state == nil {
		if err := t.claim(); err != nil {
			return nil, t.lose(err)
		}
	}
	return slices.Clone(t.i.state.data), nil
}

// claim takes the register over from whichever activation has it, with the next term.
func (t *turn) claim() error {
	regs := t.i.a.h.cfg.Registers
	for range claimsMax {
		b, version, err := regs.Get(t, t.register())
		if err != nil {
			return t.unavailable("load", err)
		}
		s, err := decode(b)
		if err != nil {
			return &plan.Error{Kind: plan.KindInternal, Op: "load", Subject: t.i.a.id.String(), Text: err.Error()}
		}
		s.term, s.owner = s.term+1, t.i.a.name
		version, _, err = regs.CAS(t, t.register(), register.ChangeID(rand.Text()), version, s.encode())
		switch {
		case err == nil:
			t.i.state, t.saved = &held{s, version}, true
			return nil
		case !errors.Is(err, register.ErrConflict):
			return t.unavailable("load", err)
		}
	}
	return t.unavailable("load", fmt.Errorf("%d times another activation came first", claimsMax))
}

// Save implements kinds.Context.
func (t *turn) Save(data []byte) error {
	if len(data) > kinds.StateMax {
		return &plan.Error{Kind: plan.KindUser, Op: "save", Subject: t.i.a.id.String(), Text: fmt.Sprintf("%d bytes are more than the %d of a state", len(data), kinds.StateMax)}
	}
	if _, err := t.Load(); err != nil {
		return err
	}
	was := t.i.state
	next := was.stored
	next.data = slices.Clone(data)
	version, _, err := t.i.a.h.cfg.Registers.CAS(t, t.register(), register.ChangeID(rand.Text()), was.version, next.encode())
	switch {
	case err == nil:
		t.i.state, t.saved = &held{next, version}, true
		return nil
	case errors.Is(err, register.ErrConflict) && !errors.Is(err, register.ErrUnknown):
		return t.lose(t.fenced())
	}
	return t.lose(t.unavailable("save", err))
}

// confirm finds out whether the activation is still the one that is believed.
func (t *turn) confirm() {
	_, version, err := t.i.a.h.cfg.Registers.Get(t, t.register())
	switch {
	case err != nil:
		t.lose(t.unavailable("confirm", err))
	case version != t.i.state.version:
		t.lose(t.fenced())
	}
}

func (t *turn) fenced() error {
	return &plan.Error{Kind: plan.KindFenced, Op: "call", Subject: t.i.a.id.String(), Node: t.i.a.h.cfg.Self,
		Text: "another activation of the actor has taken over: nothing was saved", Hint: "call again"}
}

// unavailable is a register that could not be read or changed.
func (t *turn) unavailable(op string, err error) error {
	text := err.Error()
	if errors.Is(err, register.ErrUnknown) {
		text = "it is not known whether the state is stored: " + text
	}
	return &plan.Error{Kind: plan.KindUnavailable, Op: op, Subject: t.i.a.id.String(), Text: text}
}
