package wire

import "time"

// Bounds of a message, checked before it is sent and when it is received.
const (
	MessageBytesMax      = 64 << 10 // of a message, encoded
	PartitionsInlineMax  = 1024     // entries of Segment.partition_bytes
	CopiesMax            = 16       // entries of Segment.copies
	RunsMax              = 256      // entries of Grant.runs
	RunningMax           = 512      // entries of Pull.running: no node has more slots
	StageIDsMax          = 256      // stages that a TaskError names
	LostPartitionsMax    = 4096     // of a TaskError, over all stages
	ErrorTextBytesMax    = 16 << 10 // of a TaskError's text
	envelopeOverheadMax  = 2 << 10  // of an Envelope beside its payload
	jobIDBytes           = 32       // hex digits of a JobID
	stageIDBytesMax      = 64
	nodeBytesMax         = 128 // of a node's id, a boot, a manifest
	userBytesMax         = 512
	addrBytesMax         = 262 // [host]:port
	segmentIDBytes       = 16
	partitionsMax        = 1 << 20
	stagesMax            = 1 << 16
	attemptsMax          = 1 << 16
	slotsMax             = 1 << 16
	errorSubjectBytesMax = 1024
)

// Bounds of the machinery.
const (
	callTimeoutDefault  = 10 * time.Second
	callsMax            = 8192           // of this node, unanswered
	peersMax            = 1024           // addresses with a connection
	outboundBytesMax    = 8 << 20        // waiting for one peer's stream
	handlersMax         = 64             // running at once
	handlersQueueMax    = 1024           // received and waiting for a handler
	streamsMax          = 1024           // incoming
	connsMax            = 2 * streamsMax // incoming: a node that calls again may have an old one yet
	connIdleMax         = time.Minute    // without a stream; nodes have one for as long as they are connected
	batchMessages       = 16             // envelopes that remote writes as one gRPC message
	batchMessagesMax    = 64             // that the guard lets in
	batchBytesMax       = batchMessages*(MessageBytesMax+envelopeOverheadMax) + 4<<10
	connectAnswerMax    = 4 << 10 // bytes of all that a server says to its dialer
	writerQueueStart    = 1024    // entries a peer's queue starts with
	connectTimeout      = 2 * time.Second
	hangUpTimeout       = time.Second // for each step of Close that nobody's work depends on
	handshakeTimeout    = 5 * time.Second
	keepaliveEvery      = 10 * time.Second
	keepaliveTimeout    = 5 * time.Second
	keepaliveMinAllowed = 5 * time.Second
	freePortTries       = 8
)
