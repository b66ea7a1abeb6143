// Package kinds holds the kinds of actors that a program offers, by name, and what an
// actor is to its program: [Actor] and [Context].
//
// It refuses to run them: package grains does.
package kinds

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of names, messages and state, in bytes.
const (
	NameMax    = 64  // of a kind
	KeyMax     = 128 // of an actor
	MessageMax = 1 << 20
	StateMax   = 60 << 10
)

// OpActivate is the Op of errors (plan.KindUnavailable) that say that no actor has begun
// to receive the message: it may be sent again.
const OpActivate = "activate"

// Actor is one activation of a key. Receive is called for one message at a time; msg and
// the reply belong to whoever gets them. An error goes to the caller; so does a panic,
// after which a new Actor takes its place.
type Actor interface {
	Receive(ctx Context, msg []byte) (reply []byte, err error)
}

// Context is what an Actor has of the world, for the time of one call. It ends when the
// caller no longer waits, or the activation has to end at once.
type Context interface {
	context.Context
	Key() string
	// Load is the state that the key's activations have saved, nil if none has. It makes
	// this activation the one that is believed: what others save from then on is refused.
	Load() ([]byte, error)
	// Save stores the state. plan.ErrFenced: another activation has taken over, and
	// nothing is stored. plan.ErrUnavailable: it may be stored or not. After an error of
	// either kind the activation ends with the call; the next begins from what is stored.
	Save(state []byte) error
	// After calls f once that time has passed, between messages. stop keeps f from being
	// called. The end of the activation does as well; an idle one with timers does not end.
	After(d time.Duration, f func(Context) error) (stop func(), err error)
}

// Kind is a registered kind.
type Kind struct {
	Name string
	New  func(key string) Actor // called for each activation; may be called from several goroutines
}

// Registry holds kinds by name. The zero value is empty and ready; it is safe for
// concurrent use.
type Registry struct {
	mu    sync.RWMutex
	kinds map[string]Kind
}

// Add registers a kind, in place of another of its name.
func (r *Registry) Add(k Kind) error {
	if err := CheckKind(k.Name); err != nil {
		return err
	}
	if k.New == nil {
		return fmt.Errorf("kinds: register %q: it needs a function that makes actors", k.Name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kinds == nil {
		r.kinds = map[string]Kind{}
	}
	r.kinds[k.Name] = k
	return nil
}

// Get is the kind of that name.
func (r *Registry) Get(name string) (Kind, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.kinds[name]
	return k, ok
}

// Names are those of all kinds, sorted.
func (r *Registry) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.kinds))
}

// CheckKind refuses what is no name of a kind: 1 to NameMax letters, digits, '-' and '_'.
func CheckKind(name string) error {
	ok := name != "" && len(name) <= NameMax
	for _, c := range name {
		ok = ok && (c < utf8.RuneSelf && (unicode.IsLetter(c) || unicode.IsDigit(c)) || c == '-' || c == '_')
	}
	if !ok {
		return mistake(fmt.Sprintf("%.80q", name), fmt.Sprintf("the name of a kind of actors is 1 to %d letters, digits, '-' and '_'", NameMax))
	}
	return nil
}

// CheckKey refuses what is no key: 1 to KeyMax bytes of printable UTF-8. "." and ".."
// are none, since they mean something else in a path.
func CheckKey(key string) error {
	ok := key != "" && len(key) <= KeyMax && utf8.ValidString(key) && key != "." && key != ".."
	for _, c := range key {
		ok = ok && unicode.IsPrint(c)
	}
	if !ok {
		return mistake(fmt.Sprintf("%.160q", key), fmt.Sprintf("the key of an actor is 1 to %d bytes of printable text, and neither . nor ..", KeyMax))
	}
	return nil
}

// CheckMessage refuses one that is too large.
func CheckMessage(msg []byte) error {
	if len(msg) > MessageMax {
		return mistake("message", fmt.Sprintf("%d bytes are more than the %d of a message", len(msg), MessageMax))
	}
	return nil
}

func mistake(subject, text string) error {
	return &plan.Error{Kind: plan.KindUser, Op: "call", Subject: subject, Text: text}
}
