package isolate

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
)

// Requests of a node to an engine process.
const (
	methodRun = "run"
)

// Requests of an engine process to its node, while it runs an attempt.
const (
	methodPacket = "packet"
	methodSchema = "schema"
	methodDial   = "dial"
	methodDraft  = "draft"
	methodRoom   = "room"
	methodAbort  = "abort"
	methodDeaf   = "deaf"   // DuckDB plans, and hears nothing: the process is to be ended
	methodShape  = "shape"  // of a batch function's output
	methodBatch  = "batch"  // a call of a batch function
	methodScalar = "scalar" // a call of a scalar function
)

// settings are what an engine process is given when it starts.
type settings struct {
	Memory int64 // bytes, of one attempt
	Limits exec.Limits
	Scalar []scalarFunc
	Batch  []string // names
}

// scalarFunc is a scalar function as SQL sees it.
type scalarFunc struct {
	Name     string
	Args     []string
	Result   string
	Volatile bool
}

// runRequest is an attempt. Token names its packet, which is with it if it is small: a
// process asks for another, unless it has that from an attempt before.
type runRequest struct {
	Attempt exec.Attempt
	Token   string
	Packet  []byte
	Segment bool // it writes one
}

// packetSent is the largest packet, in bytes, that goes with each attempt.
const packetSent = 32 << 10

// runReply is what has become of an attempt. Sums are those of its segment, which the
// node commits.
type runReply struct {
	Outcome exec.Outcome
	Sums    fs.Sums
}

// packetRequest asks for a stage's packet.
type packetRequest struct {
	Stage   int
	Version uint64
}

type schemaRequest struct {
	Stage         plan.StageID
	Addr, Segment string
}

// inlineMax is the largest body of bytes without a bound that goes in a message: more
// goes in a file beside it.
const inlineMax = 1 << 20

// pack has write fill a message's body, or a file in dir that nobody else can open.
func pack(dir string, write func(io.Writer) error) (body []byte, files []*os.File, err error) {
	p := &packer{dir: dir}
	if err := write(p); err != nil {
		p.close()
		return nil, nil, err
	}
	if p.file == nil {
		return p.buf.Bytes(), nil, nil
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		p.close()
		return nil, nil, fmt.Errorf("isolate: pack: %w", err)
	}
	return nil, []*os.File{p.file}, nil
}

// packer is a buffer that becomes a file.
type packer struct {
	dir  string
	buf  bytes.Buffer
	file *os.File
}

func (p *packer) Write(b []byte) (int, error) {
	if p.file == nil && p.buf.Len()+len(b) <= inlineMax {
		return p.buf.Write(b)
	}
	if p.file == nil {
		f, err := os.CreateTemp(p.dir, "message-*")
		if err != nil {
			return 0, fmt.Errorf("isolate: pack: %w", err)
		}
		if p.file = f; os.Remove(f.Name()) != nil {
			return 0, fmt.Errorf("isolate: pack: cannot remove %s", f.Name())
		}
		if _, err := f.Write(p.buf.Bytes()); err != nil {
			return 0, fmt.Errorf("isolate: pack: %w", err)
		}
		p.buf = bytes.Buffer{}
	}
	return p.file.Write(b)
}

func (p *packer) close() {
	if p.file != nil {
		p.file.Close()
	}
}

// unpack is what pack has packed. It owns the file.
func unpack(body []byte, files []*os.File) io.ReadCloser {
	if len(files) == 0 {
		return io.NopCloser(bytes.NewReader(body))
	}
	return files[0]
}

func encode(v any) func(io.Writer) error {
	return func(w io.Writer) error { return gob.NewEncoder(w).Encode(v) }
}

var errNoReply = errors.New("isolate: the reply has nothing in it")
