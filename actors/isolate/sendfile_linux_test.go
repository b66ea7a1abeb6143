package isolate

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/process"
)

// fileOf is a file of that many random bytes.
func fileOf(t *testing.T, size int) (*os.File, []byte) {
	t.Helper()
	content := make([]byte, size)
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range content {
		content[i] = byte(r.Uint32())
	}
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, content
}

// A part of a file, more than a socket takes at once, comes as it is, with the kernel's help
// and without; the position and the limit have moved; what ends early is told by its length.
func TestSendFile(t *testing.T) {
	const size, skip = 5 << 20, 12345
	f, content := fileOf(t, size)
	for name, c := range map[string]struct {
		limit, want int64
		plain       bool // not a file
	}{
		"a part": {limit: 3 << 20, want: 3 << 20}, "nothing": {}, "more than there is": {limit: size, want: size - skip},
		"no file": {limit: 3 << 20, want: 3 << 20, plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			mine, theirs, err := process.Pair()
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			if _, err := f.Seek(skip, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			got := make(chan []byte, 1)
			go func() {
				b, _ := io.ReadAll(theirs)
				got <- b
			}()
			part := &io.LimitedReader{R: f, N: c.limit}
			if c.plain {
				part.R = struct{ io.Reader }{f}
			}
			to := sendsFiles(mine).(fileConn)
			n, err := to.ReadFrom(part)
			if err != nil || n != c.want || part.N != c.limit-c.want {
				t.Errorf("%d of %d, %d left: %v", n, c.want, part.N, err)
			}
			if at, err := f.Seek(0, io.SeekCurrent); err != nil || at != skip+c.want {
				t.Errorf("the file is at %d: %v", at, err)
			}
			mine.Close()
			if b := <-got; !bytes.Equal(b, content[skip:skip+c.want]) {
				t.Errorf("%d other bytes came", len(b))
			}
		})
	}
}

// A deadline ends what nobody takes, and one that is gone is an error.
func TestSendFileCut(t *testing.T) {
	f, _ := fileOf(t, 5<<20)
	mine, theirs, err := process.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	to := sendsFiles(mine).(fileConn)
	cut := time.AfterFunc(50*time.Millisecond, func() { _ = mine.SetWriteDeadline(time.Now()) })
	defer cut.Stop()
	if n, err := to.send(f, 5<<20); !errors.Is(err, os.ErrDeadlineExceeded) || n == 5<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	theirs.Close()
	if err := mine.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := to.send(f, 1<<20); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("nobody is there, but: %v", err)
	}
}

// counted counts the files that it is given to send.
type counted struct {
	fileConn
	files *atomic.Int64
}

func (c counted) ReadFrom(r io.Reader) (int64, error) {
	if part, ok := r.(*io.LimitedReader); ok {
		if _, ok := part.R.(*os.File); ok {
			c.files.Add(1)
		}
	}
	return c.fileConn.ReadFrom(r)
}

// What a relay answers from a file goes by way of the kernel.
func TestRelaySendsFiles(t *testing.T) {
	const size = 1 << 20
	f, content := fileOf(t, size)
	r := newRelay(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		if _, err := w.Write(content[:1000]); err != nil { // a frame's header
			t.Error(err)
		}
		if _, err := f.Seek(1000, io.SeekStart); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(w, io.LimitReader(f, size-1000)); err != nil {
			t.Error(err)
		}
	}))
	defer r.close()
	mine, theirs, err := process.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	var files atomic.Int64
	if !r.take(counted{sendsFiles(mine).(fileConn), &files}) {
		t.Fatal("the relay takes no connection")
	}
	if _, err := io.WriteString(theirs, "POST / HTTP/1.1\r\nHost: node\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(theirs), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d other bytes came: %v", len(got), err)
	}
	if files.Load() != 1 {
		t.Errorf("%d files were sent", files.Load())
	}
}
