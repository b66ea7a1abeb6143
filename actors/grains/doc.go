// Package grains runs the actors of users: kinds that a program has registered, of which
// each key is one activation somewhere in the pond (a virtual actor, or grain). Nobody
// makes or ends one: a call activates it, on the node that the ring ranks highest for
// kind and key among those that offer the kind, and it ends when it has been idle, or
// when the node that owns its key is another.
//
//	Call ─▶ owner by the ring ─┬─ here ──▶ activation: mailbox ─▶ Receive ─▶ reply
//	   ▲                       └─ another node: Config.Call ─▶ its Deliver ─▶ the same
//	   └── again, if the message was not begun: the owner is gone, or has changed
//
// A message is received at most once. What was perhaps received is not sent again: the
// error says so, and the caller knows better.
//
// Nodes may differ for a while in who owns a key, so ownership alone is best effort: two
// activations may run at once. An actor that loads its state asks for more. Its register
// (key actor/KIND/KEY: the term, the activation that has it, the state) is taken over
// by each activation that loads it, with the next term. Who was there before is refused
// from then on: what it saves is not stored, and its replies do not leave, since each
// that has saved nothing is confirmed by a read of the register. So the calls of one key
// are linearizable, whoever was paused or cut off.
//
// A panic goes to the caller as an error. protoactor's supervision then puts a new actor
// in the place of the old, after a pause that doubles; one that panics again and again is
// refused for a while.
//
// It refuses to know nodes: who is alive, how to call one, and registers are given.
//
// Read host.go, then activation.go, state.go and supervise.go; place.go is the pure part.
package grains
