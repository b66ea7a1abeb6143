package replicas

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/replica"
)

// Headers.
const (
	sizeHeader   = "Pond-Size"   // bytes of an upload
	digestHeader = "Pond-Digest" // fs.Digest of it
	attrsHeader  = "Pond-Attrs"  // what it says of itself, in base64
	kindHeader   = "Pond-Kind"   // what it is kept as; without it, a copy
	whyHeader    = "Pond-Copy"   // of an answer without bytes: whyCorrupt or whyDeleted
)

// Why there are no bytes, if it is not that there is no copy.
const (
	whyCorrupt = "corrupt"
	whyDeleted = "deleted"
)

// AttrsMax bounds what an upload says of itself, in bytes.
const AttrsMax = 32 << 10

// On the wire a frame has its CRC32C behind it, big-endian.
const (
	crcSize   = 4
	lineMax   = 4 << 10     // of what a node says of a copy
	beatEvery = time.Second // a node that has nothing to say yet says that it is alive
)

var errStalled = errors.New("nothing has moved for too long")

// order is a copy that is to be received, and passed on.
type order struct {
	id     fs.UploadID
	kind   string // kindCopy or kindSegment
	size   int64
	digest fs.Digest
	attrs  []byte
	chain  []replica.Node // those behind the receiver
}

func (o *order) path() string {
	p := "/v1/uploads/" + o.id.String()
	if len(o.chain) > 0 {
		names := make([]string, len(o.chain))
		for i, n := range o.chain {
			names[i] = string(n)
		}
		p += "?chain=" + url.QueryEscape(strings.Join(names, ","))
	}
	return p
}

// bodySize is how many bytes an upload has on the wire.
func bodySize(size int64) int64 { return size + crcSize*frames(size) }

func frames(size int64) int64 { return (size + fs.FrameSize - 1) / fs.FrameSize }

// frameLen is how many bytes a frame of an upload has.
func frameLen(size, frame int64) int {
	return int(min(fs.FrameSize, size-frame*fs.FrameSize))
}

// readOrder reads what path and headers say.
func readOrder(req *http.Request) (o order, err error) {
	var errs [4]error
	o.id, errs[0] = fs.ParseUploadID(req.PathValue("id"))
	o.size, errs[1] = strconv.ParseInt(req.Header.Get(sizeHeader), 10, 64)
	o.digest, errs[2] = fs.ParseDigest(req.Header.Get(digestHeader))
	o.attrs, errs[3] = readAttrs(req.Header)
	if err := errors.Join(errs[:]...); err != nil {
		return o, fmt.Errorf("%w: %w", fs.ErrInvalid, err)
	}
	if o.size < 0 || o.size > fs.SizeMax {
		return o, fmt.Errorf("%w: an upload of %d bytes", fs.ErrInvalid, o.size)
	}
	switch o.kind = req.Header.Get(kindHeader); o.kind {
	case "":
		o.kind = kindCopy
	case kindSegment:
	default:
		return o, fmt.Errorf("%w: an upload of kind %.32q", fs.ErrInvalid, o.kind)
	}
	if names := req.URL.Query().Get("chain"); names != "" {
		for _, n := range strings.Split(names, ",") {
			o.chain = append(o.chain, replica.Node(n))
		}
	}
	if len(o.chain) > chainMax || slices.Contains(o.chain, "") {
		return o, fmt.Errorf("%w: a chain of %d nodes", fs.ErrInvalid, len(o.chain))
	}
	return o, nil
}

func writeAttrs(h http.Header, attrs []byte) {
	if len(attrs) > 0 {
		h.Set(attrsHeader, base64.StdEncoding.EncodeToString(attrs))
	}
}

func readAttrs(h http.Header) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(h.Get(attrsHeader))
	if err == nil && len(b) > AttrsMax {
		err = fmt.Errorf("%w: %d bytes of attrs, at most %d", fs.ErrInvalid, len(b), AttrsMax)
	}
	return b, err
}

// saying is a line of the reply to a copy.
type saying struct {
	Node replica.Node    `json:"node"`
	Said replica.Outcome `json:"said"`
}

// lines are the reply: what each node of a chain says, and signs of life between. They
// wait until open: before it, the request is still being read.
type lines struct {
	mu      sync.Mutex
	out     io.Writer
	flush   func() error
	opened  bool
	waiting []byte // at most a line of each node of the chain
}

func newLines(w http.ResponseWriter) *lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return &lines{out: w, flush: http.NewResponseController(w).Flush}
}

func (l *lines) say(s replica.Said) {
	if b, err := json.Marshal(saying{s.Node, s.Outcome}); err == nil {
		l.write(append(b, '\n'))
	}
}

func (l *lines) write(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, b...)
	l.send()
}

func (l *lines) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = true
	l.send()
}

// send gives up in silence: the one who asked is gone, and notices.
func (l *lines) send() {
	if !l.opened || len(l.waiting) == 0 {
		return
	}
	_, err := l.out.Write(l.waiting)
	if l.waiting = nil; err == nil {
		_ = l.flush()
	}
}

// beat says that the node is alive, until stop is called.
func (l *lines) beat() (stop func()) {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(beatEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				l.write([]byte("\n"))
			case <-over:
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(over); <-ended })
}

// readLines yields what nodes of a chain say, and calls alive for every line.
func readLines(in io.Reader, chain []replica.Node, alive func(), heard func(replica.Said)) error {
	scan := bufio.NewScanner(in)
	scan.Buffer(make([]byte, 256), lineMax)
	for scan.Scan() {
		alive()
		if len(scan.Bytes()) == 0 {
			continue
		}
		var s saying
		if err := json.Unmarshal(scan.Bytes(), &s); err != nil {
			return err
		}
		if !slices.Contains(chain, s.Node) || s.Said < replica.Stored || s.Said > replica.Refused {
			return fmt.Errorf("node %q says %d", s.Node, s.Said)
		}
		heard(replica.Said{Node: s.Node, Outcome: s.Said})
	}
	return scan.Err()
}

// watchdog ends a request that stalls. It runs only while the other side is waited for.
type watchdog struct{ t *time.Timer }

func watch(cancel context.CancelCauseFunc) *watchdog {
	return &watchdog{time.AfterFunc(StallMax, func() { cancel(errStalled) })}
}

func (w *watchdog) moved() { w.t.Reset(StallMax) }
func (w *watchdog) rest()  { w.t.Stop() }
