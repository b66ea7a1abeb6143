package process

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/actors/plan"
)

// tb is what tests and properties have in common.
type tb interface {
	Fatal(...any)
	Helper()
}

// half is a Conn and the bare socket of its other side.
func half(t tb, h Handler) (*Conn, *net.UnixConn) {
	t.Helper()
	mine, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	other, err := unixConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	return NewConn(mine, h, slog.New(slog.DiscardHandler)), other
}

// two are Conns with one another.
func two(t tb, a, b Handler) (*Conn, *Conn) {
	t.Helper()
	one, sock := half(t, a)
	return one, NewConn(sock, b, slog.New(slog.DiscardHandler))
}

func echo(_ context.Context, method string, body []byte, files []*os.File) ([]byte, []*os.File, error) {
	return append([]byte(method), body...), files, nil
}

// head is a message's header as another program could write it.
func head(size uint32, kind, files byte, method uint16, id uint64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, size)
	b = binary.LittleEndian.AppendUint16(append(b, kind, files), method)
	return binary.LittleEndian.AppendUint64(b, id)
}

// TestMessages: calls of any size, with files or without, in both directions at once,
// come back as they were made.
func TestMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := openFiles(t)
	rapid.Check(t, func(rt *rapid.T) {
		one, other := two(rt, echo, echo)
		defer other.Close()
		defer one.Close()
		var calls sync.WaitGroup
		for i := range rapid.IntRange(1, 8).Draw(rt, "calls") {
			c := []*Conn{one, other}[i%2]
			method := rapid.StringN(0, 16, methodMax).Draw(rt, "method")
			size := rapid.SampledFrom([]int{0, 1, smallBody - 1, smallBody, smallBody + 1, 300_000}).Draw(rt, "bytes")
			n := rapid.IntRange(0, FilesMax).Draw(rt, "files")
			calls.Go(func() {
				if err := echoed(c, path, method, size, n); err != nil {
					rt.Error(err)
				}
			})
		}
		calls.Wait()
	})
	if after := openFiles(t); after > before {
		t.Errorf("%d files were open before, and %d are after", before, after)
	}
}

// echoed makes a call with n files and looks at its reply.
func echoed(c *Conn, path, method string, size, n int) error {
	files := make([]*os.File, n)
	defer func() { CloseAll(files) }()
	for i := range files {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		files[i] = f
	}
	body := bytes.Repeat([]byte("x"), size)
	reply, back, err := c.Call(context.Background(), method, body, files...)
	defer CloseAll(back)
	if err != nil || len(back) != n || string(reply) != method+string(body) {
		return fmt.Errorf("%q with %d bytes and %d files: %d bytes, %d files: %w", method, size, n, len(reply), len(back), err)
	}
	for _, f := range back {
		if text, err := io.ReadAll(io.NewSectionReader(f, 0, 100)); string(text) != "content" {
			return fmt.Errorf("a file has %q: %w", text, err)
		}
	}
	return nil
}

// openFiles is how many this process has.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(list)
}

// TestNonsense: a side that sends what is no message, or none that is due, loses the
// connection, and who waits for it hears so.
func TestNonsense(t *testing.T) {
	for name, sent := range map[string][]byte{
		"too large":              head(MessageMax+1, kindCall, 0, 0, 1),
		"a long method":          append(head(0, kindCall, 0, methodMax+1, 1), make([]byte, methodMax+1)...),
		"files that do not come": head(0, kindCall, 3, 0, 1),
		"no kind":                head(0, 9, 0, 0, 1),
		"kind 0":                 head(0, 0, 0, 0, 1),
		"a reply to nobody":      head(0, kindReply, 0, 0, 7),
		"an error to nobody":     head(0, kindError, 0, 0, 7),
		"two calls of an id":     append(head(0, kindCall, 0, 0, 1), head(0, kindCall, 0, 0, 1)...),
		"text":                   []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
	} {
		c, other := half(t, func(ctx context.Context, _ string, _ []byte, _ []*os.File) ([]byte, []*os.File, error) {
			<-ctx.Done()
			return nil, nil, ctx.Err()
		})
		called := make(chan error, 1)
		go func() {
			_, _, err := c.Call(context.Background(), "waits", nil)
			called <- err
		}()
		if _, err := io.ReadFull(other, make([]byte, headerLen+len("waits"))); err != nil { // it waits now
			t.Fatal(name, err)
		}
		if _, err := other.Write(sent); err != nil {
			t.Fatal(name, err)
		}
		if err := <-called; !errors.Is(err, ErrEnded) {
			t.Errorf("%s: the call that waited: %v", name, err)
		}
		<-c.Done()
		c.Close()
		if _, _, err := c.Call(context.Background(), "late", nil); !errors.Is(err, ErrEnded) {
			t.Errorf("%s: a later call: %v", name, err)
		}
		other.Close()
	}
}

// TestTooManyCalls: a side may have only so many calls under way.
func TestTooManyCalls(t *testing.T) {
	c, other := half(t, func(ctx context.Context, _ string, _ []byte, _ []*os.File) ([]byte, []*os.File, error) {
		<-ctx.Done()
		return nil, nil, nil
	})
	defer other.Close()
	go func() {
		for id := range uint64(callsMax + 1) {
			if _, err := other.Write(head(0, kindCall, 0, 0, id)); err != nil {
				return
			}
		}
	}()
	<-c.Done()
	c.Close()
}

// TestUnderWay: what the other side's calls hold at once is bounded, and those beyond it
// wait until others have ended, or the Conn has.
func TestUnderWay(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const most = underWayMax / fileWeight
	began, end := make(chan struct{}, 2*most), make(chan struct{})
	c, other := half(t, func(ctx context.Context, _ string, _ []byte, files []*os.File) ([]byte, []*os.File, error) {
		CloseAll(files)
		began <- struct{}{}
		<-end
		return nil, nil, nil
	})
	defer other.Close()
	go func() {
		for id := range uint64(most + 1) {
			if _, _, err := other.WriteMsgUnix(head(0, kindCall, 1, 0, id), syscall.UnixRights(int(file.Fd())), nil); err != nil {
				return
			}
		}
	}()
	for range most {
		<-began
	}
	c.mu.Lock()
	taken, serving := c.taken, len(c.serving)
	c.mu.Unlock()
	if taken != underWayMax || serving != most {
		t.Errorf("%d calls take %d", serving, taken)
	}
	end <- struct{}{}
	<-began // the one that waited
	close(end)
	c.Close()
	if c.taken != 0 {
		t.Errorf("%d are taken by calls that have ended", c.taken)
	}
	full, sock := half(t, nil)
	defer sock.Close()
	full.taken = underWayMax
	if _, err := sock.Write(head(1, kindCall, 0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	full.Close() // though nothing ends
}

// TestUnwantedFiles: files beside messages that need none are closed, however many come.
func TestUnwantedFiles(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c, other := half(t, func(_ context.Context, _ string, _ []byte, files []*os.File) ([]byte, []*os.File, error) {
		CloseAll(files)
		return nil, nil, nil
	})
	before := openFiles(t)
	rights := syscall.UnixRights(int(file.Fd()), int(file.Fd()))
	for range 100 {
		if _, _, err := other.WriteMsgUnix(head(0, kindCancel, 2, 0, 5), rights, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Write(head(0, kindCall, 0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(other, make([]byte, headerLen)); err != nil { // all before has been read
		t.Fatal(err)
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files were open before, and %d are after", before, after)
	}
	other.Close()
	c.Close()
}

// TestErrorsCross: an error is the same on the other side, and one of a context keeps its
// kind.
func TestErrorsCross(t *testing.T) {
	for _, test := range []struct{ sent, want error }{
		{&plan.Error{Kind: plan.KindFetch, Op: "o", Subject: "s", Node: "n", Text: "t\x00\xff", Hint: "h", Lost: []plan.TaskID{{Stage: "a", Partition: 2}}}, plan.ErrFetch},
		{fmt.Errorf("within: %w", plan.ErrMemory), plan.ErrMemory},
		{fmt.Errorf("within: %w", context.Canceled), plan.ErrCancelled},
		{context.DeadlineExceeded, plan.ErrDeadline},
		{errors.New("plain"), plan.ErrInternal},
		{&plan.Error{Kind: plan.KindUser, Text: strings.Repeat("é", 1<<20), Lost: make([]plan.TaskID, 2*lostMax)}, plan.ErrQuery},
	} {
		got := decodeError(encodeError(test.sent))
		if !errors.Is(got, test.want) || got.Error() == "" || len(got.Error()) > 2*textMax || len(plan.AsError(got).Lost) > lostMax {
			t.Errorf("%.100v became %.100v", test.sent, got)
		}
	}
	for kind, want := range map[plan.Kind]plan.Kind{plan.KindFenced: plan.KindInternal, plan.Kind(200): plan.KindInternal, plan.KindStorage: plan.KindStorage, plan.KindUser: plan.KindUser, plan.KindCrash: plan.KindCrash} {
		if got := plan.AsError(told(&plan.Error{Kind: kind, Text: "t"})); got.Kind != want || got.Text != "t" {
			t.Errorf("a process that fails by %v has said %v", kind, got.Kind)
		}
	}
	if err := decodeError([]byte("{")); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("nonsense: %v", err)
	}
}

// FuzzConn: whatever comes, the Conn ends when the other side does, and its handlers
// with it.
func FuzzConn(f *testing.F) {
	f.Add([]byte{})
	f.Add(head(0, kindCall, 0, 0, 1))
	f.Add(append(head(3, kindCall, 0, 2, 1), "mebod"...))
	f.Add(append(append(head(0, kindCall, 0, 0, 1), head(0, kindCancel, 0, 0, 1)...), 1, 2, 3))
	f.Add(head(MessageMax, kindReply, 1, 1, 0))
	f.Fuzz(func(t *testing.T, sent []byte) {
		c, other := half(t, echo)
		go io.Copy(io.Discard, other) //nolint:errcheck // replies
		if _, err := other.Write(sent); err == nil {
			_ = other.CloseWrite()
		}
		<-c.Done()
		c.Close()
		other.Close()
	})
}

// TestLastWords: of what a process says, lines of its log go on to the node's, and of the
// rest the beginning and the end are kept; the signal that ended it is found there.
func TestLastWords(t *testing.T) {
	for _, test := range []struct {
		said   string
		first  string
		signal syscall.Signal
		logged string
	}{
		{"", "", 0, ""},
		{"SIGSEGV: segmentation violation\nPC=0x0\n", "SIGSEGV: segmentation violation", syscall.SIGSEGV, ""},
		{"fatal error: unexpected signal\n[signal SIGBUS: bus error code=0x2]\n", "fatal error: unexpected signal", syscall.SIGBUS, ""},
		{"terminate called\nSIGABRT: abort\n", "terminate called", syscall.SIGABRT, ""},
		{"it met SIGSEGV: but only says so\n", "it met SIGSEGV: but only says so", 0, ""},
		{"SIGWHAT: unknown\n", "SIGWHAT: unknown", 0, ""},
		{`{"time":"x","level":"WARN","msg":"a word","n":7,"a":"b"}` + "\nrest", "rest", 0, `level=WARN msg="a word" a=b n=7`},
		{`{"level":"LOUD","msg":"no level"}` + "\n", `{"level":"LOUD","msg":"no level"}`, 0, ""},
		{"{not JSON\n", "{not JSON", 0, ""},
	} {
		for _, piece := range []int{1, 7, 1000} {
			var log bytes.Buffer
			said := &tail{log: slog.New(slog.NewTextHandler(&log, nil))}
			for b := []byte(test.said); len(b) > 0; b = b[min(piece, len(b)):] {
				if n, err := said.Write(b[:min(piece, len(b))]); n != min(piece, len(b)) || err != nil {
					t.Fatal(n, err)
				}
			}
			if said.first() != test.first || said.signal() != test.signal || !strings.Contains(log.String(), test.logged) || test.logged == "" && log.Len() > 0 {
				t.Errorf("%q in pieces of %d: %q, signal %d, logged %s", test.said, piece, said.first(), said.signal(), &log)
			}
		}
	}
	said := &tail{log: slog.New(slog.DiscardHandler)}
	for i := range 10_000 {
		fmt.Fprintf(said, "line %d\n", i)
	}
	fmt.Fprint(said, strings.Repeat("no end", 10_000))
	if text := said.String(); len(text) > 4*tailMax || !strings.HasPrefix(text, "line 0\n") || !strings.HasSuffix(strings.TrimSpace(text), "no end") {
		t.Errorf("%d bytes are kept: %.20q … %q", len(text), text, text[len(text)-20:])
	}
	var log bytes.Buffer
	said = &tail{log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 3 * saidMax {
		fmt.Fprintln(said, `{"level":"INFO","msg":"again"}`)
	}
	if n := strings.Count(log.String(), "msg=again"); n != saidMax {
		t.Errorf("%d lines are logged", n)
	}
	said.since = said.since.Add(-saidWindow)
	fmt.Fprintln(said, `{"level":"INFO","msg":"later"}`)
	if text := log.String(); !strings.Contains(text, fmt.Sprintf("left_out=%d", 2*saidMax)) || !strings.Contains(text, "msg=later") {
		t.Errorf("in the next window: %s", text[len(text)-200:])
	}
}
