package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/mesh/logtest"
)

// TestMain makes this program an engine process when it is started as one.
func TestMain(m *testing.M) {
	if process.Main(openToy) {
		return
	}
	os.Exit(m.Run())
}

// toy stands for DuckDB.
type toy struct {
	process.Child
	access string
	held   []byte
}

func openToy(_ context.Context, c process.Child) (process.Handler, error) {
	t := &toy{Child: c}
	return t.handle, nil
}

func (t *toy) handle(ctx context.Context, method string, body []byte, files []*os.File) ([]byte, []*os.File, error) {
	switch method {
	case process.MethodConfine:
		t.access = string(body)
		return nil, nil, nil
	case "access":
		return []byte(t.access), nil, nil
	case "echo":
		return body, nil, nil
	case "pid":
		return fmt.Append(nil, os.Getpid()), nil, nil
	case "env":
		return []byte(strings.Join(os.Environ(), "\n")), nil, nil
	case "ask": // the node, as often at once as the body is long
		return t.ask(ctx, body)
	case "log":
		t.Log.Warn("it says", "what", string(body))
		return nil, nil, nil
	case "fail":
		return nil, nil, &plan.Error{Kind: plan.KindUser, Text: string(body), Hint: "a hint", Lost: []plan.TaskID{{Stage: "s", Partition: 3}}}
	case "panic":
		panic(string(body))
	case "die":
		syscall.Kill(os.Getpid(), syscall.Signal(body[0])) //nolint:errcheck // it is the end
		select {}
	case "exit":
		os.Exit(7)
	case "eat":
		var all [][]byte
		for {
			all = append(all, bytes.Repeat([]byte("x"), 1<<20))
			if len(all) > 4<<10 {
				return nil, nil, errors.New("nobody minds")
			}
		}
	case "hold": // so many MiB, for good
		mib, err := strconv.Atoi(string(body))
		t.held = bytes.Repeat([]byte("x"), mib<<20)
		return nil, nil, err
	case "wait":
		<-ctx.Done()
		return nil, nil, ctx.Err()
	case "hang":
		t.Node.Call(ctx, "hangs", nil) //nolint:errcheck // only tells
		select {}
	}
	return nil, nil, fmt.Errorf("no method %s", method)
}

func (t *toy) ask(ctx context.Context, body []byte) ([]byte, []*os.File, error) {
	out := make([]byte, len(body))
	var wg sync.WaitGroup
	for i := range body {
		wg.Go(func() {
			b, files, err := t.Node.Call(ctx, "twice", body[i:i+1])
			if err != nil || len(files) != 1 {
				return
			}
			defer files[0].Close()
			more, err := io.ReadAll(files[0])
			if err == nil && bytes.Equal(more, b) {
				out[i] = b[0]
			}
		})
	}
	wg.Wait()
	return out, nil, nil
}

func newPool(t *testing.T, edit func(*process.Config)) *process.Pool {
	t.Helper()
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := process.Config{Program: []string{me}, Dir: t.TempDir(), Blank: 1, Idle: 2, Log: slog.New(slog.DiscardHandler)}
	if edit != nil {
		edit(&c)
	}
	p := process.NewPool(c)
	t.Cleanup(func() {
		p.Close()
		if left, _ := filepath.Glob(filepath.Join(c.Dir, "*")); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
	return p
}

func get(t *testing.T, p *process.Pool, n process.Need) *process.Process {
	t.Helper()
	pr, err := p.Get(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return pr
}

// run runs one request in a process of its own choice.
func run(ctx context.Context, t *testing.T, p *process.Pool, n process.Need, method string, body []byte) (string, error) {
	t.Helper()
	pr := get(t, p, n)
	defer p.Put(pr)
	out, err := pr.Run(ctx, method, body, nil)
	return string(out), err
}

// Messages of all sizes come back as they were, and errors with all they have.
func TestCalls(t *testing.T) {
	p := newPool(t, nil)
	pr := get(t, p, process.Need{})
	defer p.Put(pr)
	for _, n := range []int{0, 1, 100, 16 << 10, 16<<10 + 1, 1 << 20, process.MessageMax} {
		body := bytes.Repeat([]byte("ab"), n/2+1)[:n]
		if out, err := pr.Run(t.Context(), "echo", body, nil); err != nil || !bytes.Equal(out, body) {
			t.Errorf("%d bytes: %d, %v", n, len(out), err)
		}
	}
	if _, err := pr.Run(t.Context(), "echo", make([]byte, process.MessageMax+1), nil); !errors.Is(err, plan.ErrResource) {
		t.Errorf("too many bytes: %v", err)
	}
	_, err := pr.Run(t.Context(), "fail", []byte("oh"), nil)
	if te := plan.AsError(err); !errors.Is(err, plan.ErrQuery) || te.Text != "oh" || te.Hint != "a hint" || len(te.Lost) != 1 || te.Lost[0].Partition != 3 {
		t.Errorf("an error: %#v", err)
	}
	if _, err := pr.Run(t.Context(), "panic", []byte("oh"), nil); !errors.Is(err, plan.ErrInternal) || !strings.Contains(err.Error(), "panic: oh") {
		t.Errorf("a panic: %v", err)
	}
	if out, err := pr.Run(t.Context(), "echo", []byte("x"), nil); err != nil || string(out) != "x" {
		t.Errorf("afterwards: %q, %v", out, err)
	}
}

// A process asks the node while it works, many times at once, and gets files.
func TestAsks(t *testing.T) {
	p := newPool(t, nil)
	pr := get(t, p, process.Need{})
	defer p.Put(pr)
	path := filepath.Join(t.TempDir(), "f")
	h := func(_ context.Context, _ string, body []byte, _ []*os.File) ([]byte, []*os.File, error) {
		name := path + string(body)
		if err := os.WriteFile(name, bytes.ToUpper(body), 0o600); err != nil {
			return nil, nil, err
		}
		f, err := os.Open(name)
		return bytes.ToUpper(body), []*os.File{f}, err
	}
	if out, err := pr.Run(t.Context(), "ask", []byte("abcdefghijklmnop"), h); err != nil || string(out) != "ABCDEFGHIJKLMNOP" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := pr.Run(t.Context(), "ask", []byte("ab"), nil); err != nil || string(out) != "\x00\x00" {
		t.Errorf("when nobody answers: %q, %v", out, err)
	}
}

// However a process ends, its request fails with an error of the right kind, and the
// next one is answered.
func TestDeath(t *testing.T) {
	p := newPool(t, nil)
	for _, c := range []struct {
		method string
		body   byte
		limit  int64
		kind   error
		text   string
	}{
		{"die", byte(syscall.SIGSEGV), 0, plan.ErrCrash, "DuckDB crashed: signal 11 (segmentation fault)"},
		{"die", byte(syscall.SIGABRT), 0, plan.ErrCrash, "signal 6"},
		{"die", byte(syscall.SIGFPE), 0, plan.ErrCrash, "signal 8"},
		{"die", byte(syscall.SIGKILL), 0, plan.ErrUnavailable, "killed from outside"},
		{"exit", 0, 0, plan.ErrCrash, "status 7"},
		{"eat", 0, 256 << 20, plan.ErrMemory, "and may have 256"},
	} {
		if _, err := run(t.Context(), t, p, process.Need{Memory: c.limit}, c.method, []byte{c.body}); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s %d: %v", c.method, c.body, err)
		}
		if out, err := run(t.Context(), t, p, process.Need{}, "echo", []byte("x")); err != nil || out != "x" {
			t.Errorf("after %s %d: %q, %v", c.method, c.body, out, err)
		}
	}
}

// TestNoneLives: a program whose processes all die as they start is given up, with the
// reason, for good.
func TestNoneLives(t *testing.T) {
	p := process.NewPool(process.Config{Program: []string{"/bin/false"}, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	defer p.Close()
	if _, err := p.Get(t.Context(), process.Need{}); plan.KindOf(err) != plan.KindResource || !strings.Contains(err.Error(), "died") {
		t.Errorf("%v", err)
	}
}

// A request that is cancelled ends; a process that does not hear is ended.
func TestCancel(t *testing.T) {
	p := newPool(t, nil)
	pr := get(t, p, process.Need{})
	defer p.Put(pr)
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(time.Millisecond, func() { cancel(why) })
	if _, err := pr.Run(ctx, "wait", nil, nil); !errors.Is(err, why) {
		t.Errorf("one that hears: %v", err)
	}
	if out, err := pr.Run(t.Context(), "echo", []byte("x"), nil); err != nil || string(out) != "x" {
		t.Errorf("it is not used again: %q, %v", out, err)
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	h := func(context.Context, string, []byte, []*os.File) ([]byte, []*os.File, error) {
		cancel(why)
		return nil, nil, nil
	}
	if _, err := pr.Run(ctx, "hang", nil, h); !errors.Is(err, why) {
		t.Errorf("one that does not: %v", err)
	}
	if _, err := pr.Run(t.Context(), "echo", nil, nil); err == nil {
		t.Error("a process that did not hear lives")
	}
}

// A process serves one user and one Access, for as long as its names mean the same files.
func TestAccess(t *testing.T) {
	p := newPool(t, func(c *process.Config) { c.Idle = 8 })
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	one, two := process.Need{Access: process.Access{Read: []string{file}}}, process.Need{Access: process.Access{Write: []string{file}}}
	pid := func(n process.Need) string {
		out, err := run(t.Context(), t, p, n, "pid", nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := pid(one)
	if again := pid(one); again != first {
		t.Error("another process for the same access")
	}
	if other := pid(two); other == first {
		t.Error("one process for two accesses")
	}
	if hers := pid(process.Need{Access: one.Access, User: "ann"}); hers == first || pid(process.Need{Access: one.Access, User: "ann"}) != hers || pid(process.Need{Access: one.Access, User: "bob"}) == hers {
		t.Error("one process for two users, or two for one")
	}
	if out, err := run(t.Context(), t, p, one, "access", nil); err != nil || !strings.Contains(out, file) {
		t.Errorf("it was told %q, %v", out, err)
	}
	os.Rename(file, file+"-old")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if later := pid(one); later == first {
		t.Error("one process for two files of a name")
	}
}

// The node's keys are not in the environment of its engine processes.
func TestEnvironment(t *testing.T) {
	t.Setenv("POND_SECRET", "hidden")
	p := newPool(t, nil)
	if out, err := run(t.Context(), t, p, process.Need{}, "env", nil); err != nil || strings.Contains(out, "hidden") || strings.Contains(out, "HOME=") {
		t.Errorf("%s, %v", out, err)
	}
}

// What a process logs is in the node's log.
func TestLog(t *testing.T) {
	var out logtest.Buffer
	p := newPool(t, func(c *process.Config) { c.Log = slog.New(slog.NewTextHandler(&out, nil)) })
	if _, err := run(t.Context(), t, p, process.Need{}, "log", []byte("a word")); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if got := out.String(); !strings.Contains(got, `level=WARN msg="it says" what="a word"`) {
		t.Errorf("%s", got)
	}
}

// An idle process stays while others may have all memory, and gives way when one takes
// most of it.
func TestSpare(t *testing.T) {
	const all = 256 << 20
	p := newPool(t, func(c *process.Config) { c.Memory, c.Blank = all, 0 })
	a, b := process.Need{Access: process.Access{Read: []string{"/a"}}}, process.Need{Access: process.Access{Read: []string{"/b"}}, Memory: all}
	idle := get(t, p, a)
	p.Put(idle)
	big := get(t, p, b)
	defer p.Put(big)
	again := get(t, p, a)
	if again != idle {
		t.Fatal("an idle process of little memory was ended")
	}
	p.Put(idle)
	if _, err := big.Run(t.Context(), "hold", []byte("200"), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // before it is ended for being idle
	defer cancel()
	if _, err := idle.Run(ctx, "wait", nil, nil); !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("an idle process ended with %v", err)
	}
	if big.Dead() {
		t.Error("a process within its memory was ended")
	}
}

// Idle processes that have much memory make room before another may have all of it.
func TestSpareFirst(t *testing.T) {
	const all = 512 << 20
	p := newPool(t, func(c *process.Config) { c.Memory, c.Blank = all, 0 })
	a, b := process.Need{Access: process.Access{Read: []string{"/a"}}, Memory: all}, process.Need{Access: process.Access{Read: []string{"/b"}}, Memory: all}
	idle := get(t, p, a)
	if _, err := idle.Run(t.Context(), "hold", []byte("200"), nil); err != nil {
		t.Fatal(err)
	}
	for p.Stats().Memory < 200<<20 { // until it has been looked at
		runtime.Gosched()
	}
	p.Put(idle)
	defer p.Put(get(t, p, b))
	again := get(t, p, a)
	defer p.Put(again)
	if again == idle {
		t.Error("an idle process of much memory stays though another may have all")
	}
}

// Closing ends processes that are out, and says so to who waits for them.
func TestClose(t *testing.T) {
	p := newPool(t, nil)
	pr := get(t, p, process.Need{})
	h := func(context.Context, string, []byte, []*os.File) ([]byte, []*os.File, error) {
		go p.Close()
		return nil, nil, nil
	}
	if _, err := pr.Run(t.Context(), "hang", nil, h); !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	p.Put(pr)
	p.Close()
	if _, err := p.Get(t.Context(), process.Need{}); !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}

func BenchmarkCall(b *testing.B) {
	me, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	p := process.NewPool(process.Config{Program: []string{me}, Dir: b.TempDir(), Blank: 1, Log: slog.New(slog.DiscardHandler)})
	defer p.Close()
	pr, err := p.Get(b.Context(), process.Need{})
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{256, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			body := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				if _, err := pr.Run(b.Context(), "echo", body, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A process that somebody has stopped does not hold its request for ever.
func TestStopped(t *testing.T) {
	p := newPool(t, func(c *process.Config) { c.Tick = 20 * time.Millisecond })
	pr, err := p.Get(t.Context(), process.Need{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Put(pr)
	_, err = pr.Run(t.Context(), "hang", nil, func(context.Context, string, []byte, []*os.File) ([]byte, []*os.File, error) {
		return nil, nil, syscall.Kill(pr.Pid(), syscall.SIGSTOP)
	})
	if !errors.Is(err, plan.ErrUnavailable) || !strings.Contains(err.Error(), "stood still") || !pr.Dead() {
		t.Error(err)
	}
}
