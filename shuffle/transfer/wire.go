package transfer

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/pondmesh/pond/shuffle"
)

const (
	requestMagic     = "PBQ1"
	requestHeaderLen = 16
	idLen            = len(shuffle.SegmentID{})
	wantLen          = 16
	frameHeaderLen   = 32

	requestType  = "application/x-pond-wants"
	responseType = "application/x-pond-blocks"
)

const (
	// maxWantBytes is the most bytes of a want: far more than a disk holds, and
	// small enough that sums of them do not overflow.
	maxWantBytes = 1 << 44
	// maxText bounds a status text on the wire.
	maxText = 256
)

const flagCareful = 1 // of a request

// ask is one want of a request, as it travels.
type ask struct {
	segment   uint32 // index in request.segments
	partition int32
	offset    int64
}

type request struct {
	careful  bool
	segments []shuffle.SegmentID
	asks     []ask
}

// newRequest asks for the wants that todo picks, the first of them from offset
// on.
func newRequest(wants []Want, todo []int, offset int64, careful bool) *request {
	r := &request{careful: careful, asks: make([]ask, 0, len(todo))}
	index := make(map[shuffle.SegmentID]uint32)
	for _, i := range todo {
		w := wants[i]
		at, ok := index[w.Segment]
		if !ok {
			at = uint32(len(r.segments))
			index[w.Segment] = at
			r.segments = append(r.segments, w.Segment)
		}
		r.asks = append(r.asks, ask{segment: at, partition: int32(w.Partition), offset: offset})
		offset = 0
	}
	return r
}

func requestLen(segments, asks int) int64 {
	return requestHeaderLen + int64(segments)*int64(idLen) + int64(asks)*wantLen
}

func (r *request) encode() []byte {
	b := make([]byte, 0, requestLen(len(r.segments), len(r.asks)))
	b = append(b, requestMagic...)
	var flags uint32
	if r.careful {
		flags |= flagCareful
	}
	b = binary.LittleEndian.AppendUint32(b, flags)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.segments)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.asks)))
	for i := range r.segments {
		b = append(b, r.segments[i][:]...)
	}
	for _, a := range r.asks {
		b = binary.LittleEndian.AppendUint32(b, a.segment)
		b = binary.LittleEndian.AppendUint32(b, uint32(a.partition))
		b = binary.LittleEndian.AppendUint64(b, uint64(a.offset))
	}
	return b
}

// parseRequest reads what encode wrote: at most maxAsks wants. It keeps nothing
// of b.
func parseRequest(b []byte, maxAsks int) (*request, error) {
	if len(b) < requestHeaderLen || string(b[:4]) != requestMagic {
		return nil, fmt.Errorf("request of %d bytes: no header: %w", len(b), ErrProtocol)
	}
	flags, segments, asks := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
	if flags&^flagCareful != 0 {
		return nil, fmt.Errorf("request flags %#x: not known here: %w", flags, ErrProtocol)
	}
	if int64(asks) > int64(maxAsks) || segments > asks {
		return nil, fmt.Errorf("request for %d wants of %d segments, at most %d: %w", asks, segments, maxAsks, ErrProtocol)
	}
	if int64(len(b)) != requestLen(int(segments), int(asks)) {
		return nil, fmt.Errorf("request for %d wants of %d segments in %d bytes: %w", asks, segments, len(b), ErrProtocol)
	}
	r := &request{
		careful:  flags&flagCareful != 0,
		segments: make([]shuffle.SegmentID, segments),
		asks:     make([]ask, asks),
	}
	b = b[requestHeaderLen:]
	for i := range r.segments {
		b = b[copy(r.segments[i][:], b):]
	}
	for i := range r.asks {
		a := ask{
			segment:   binary.LittleEndian.Uint32(b),
			partition: int32(binary.LittleEndian.Uint32(b[4:])),
			offset:    int64(binary.LittleEndian.Uint64(b[8:])),
		}
		if a.segment >= segments || a.partition < AllPartitions || a.partition >= shuffle.MaxPartitions || a.offset < 0 || a.offset > maxWantBytes {
			return nil, fmt.Errorf("want %d: segment %d of %d, partition %d, offset %d: %w", i, a.segment, segments, a.partition, a.offset, ErrProtocol)
		}
		r.asks[i], b = a, b[wantLen:]
	}
	return r, nil
}

type kind uint8

const (
	kindData kind = 1
	kindEnd  kind = 2
)

type status uint8

const (
	statusOK status = iota
	statusGone
	statusCorrupt
	statusInternal
	statusDenied
	statusCount
)

// frame is a frame's header.
type frame struct {
	want   uint32
	kind   kind
	status status
	offset int64
	length int64
	total  int64
}

func (f *frame) put(b []byte) {
	binary.LittleEndian.PutUint32(b, f.want)
	b[4], b[5], b[6], b[7] = byte(f.kind), byte(f.status), 0, 0
	binary.LittleEndian.PutUint64(b[8:], uint64(f.offset))
	binary.LittleEndian.PutUint64(b[16:], uint64(f.length))
	binary.LittleEndian.PutUint64(b[24:], uint64(f.total))
}

// parseFrame reads a header and checks what can be without its context: after
// it 0 <= offset <= offset+length <= total <= maxWantBytes for data.
func parseFrame(b []byte) (frame, error) {
	f := frame{
		want: binary.LittleEndian.Uint32(b), kind: kind(b[4]), status: status(b[5]),
		offset: int64(binary.LittleEndian.Uint64(b[8:])),
		length: int64(binary.LittleEndian.Uint64(b[16:])),
		total:  int64(binary.LittleEndian.Uint64(b[24:])),
	}
	ok := b[6] == 0 && b[7] == 0 && f.total >= 0 && f.total <= maxWantBytes
	switch f.kind {
	case kindData:
		ok = ok && f.status == statusOK && f.length > 0 && f.offset >= 0 && f.offset <= f.total && f.length <= f.total-f.offset
	case kindEnd:
		ok = ok && f.status < statusCount && f.length >= 0 && f.length <= maxText
		if f.status == statusOK {
			ok = ok && f.length == 0 && f.offset == f.total
		} else {
			ok = ok && f.offset == 0 && f.total == 0
		}
	default:
		ok = false
	}
	if !ok {
		return frame{}, fmt.Errorf("frame %x: %w", b[:frameHeaderLen], ErrProtocol)
	}
	return f, nil
}

// statusText makes an error's text fit to travel and to be logged: short, one
// line, valid UTF-8.
func statusText(err error) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "?"))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText-1], "")
	}
	return s
}
