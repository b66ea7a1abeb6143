package isolate

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
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
			n, err := sendsFiles(mine).(io.ReaderFrom).ReadFrom(part)
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
	if err := mine.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	to := sendsFiles(mine).(io.ReaderFrom)
	if n, err := to.ReadFrom(io.LimitReader(f, 5<<20)); !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	theirs.Close()
	if err := mine.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := to.ReadFrom(io.LimitReader(f, 1<<20)); err == nil {
		t.Error("no error, though nobody is there")
	}
}
