// Package wire is the control plane between the nodes of a pond: small typed
// messages, from the router of one node to the router of another, over
// protoactor's remote (gRPC, mutual TLS).
//
//	Call ─▶ Envelope ─▶ writer of remote ══ stream ══▶ guard ─▶ router ─▶ pool ─▶ Handler
//	  ▲                                                                             │
//	  └── router ◀─ guard ◀══ the peer's own stream, the other way ══ writer ◀──────┘
//
// There is one stream a peer and direction, so both ends must be able to dial
// one another. A message is delivered at most once; the order of two messages,
// also from one sender, is not promised. A call ends with the reply, with the
// other side's typed error, with its context, or with [plan.ErrUnavailable] as
// soon as the connection drops or [Wire.Lost] says that the peer is dead.
//
// It refuses bulk (a message is at most [MessageBytesMax]; rows and blocks go
// over HTTP), messages of types it does not know, everything that protoactor
// would let a stranger do to a process (stop or watch its actors, publish to
// its event stream, crash it with an unknown type), and to listen outside
// loopback without TLS. It decides nothing: terms are compared by the Handler.
// It does check to_boot and deadline_unix_ms of a [Header].
//
// The router is a protoactor process named "router" rather than an actor with a
// mailbox, because remote's mailboxes are unbounded: a message goes straight
// from its stream into the bounded pool, and what does not fit is refused.
//
// Nodes that share a process, in tests above all, can be joined by a [Switch]
// instead of the network.
//
// Read pond.proto for the messages, then wire.go, call.go, route.go, and
// links.go for how a lost connection ends its calls; network.go, guard.go and
// dial.go are all that touches remote.
package wire

//go:generate protoc --go_out=. --go_opt=paths=source_relative pond.proto
