package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Process is a running program with its output. It is killed when the context of
// its start ends.
type Process struct {
	cmd            *exec.Cmd
	stdout, stderr *console
	begun          time.Time
	done           chan struct{}
	exit           Exit // once done is closed
}

// Exit is how a process ended.
type Exit struct {
	Code           int            // -1 when a signal ended it
	Signal         syscall.Signal // that ended it, or 0
	Took           time.Duration
	Stdout, Stderr string
}

func (e Exit) String() string {
	how := fmt.Sprintf("exit code %d", e.Code)
	if e.Signal != 0 {
		how = "killed by " + e.Signal.String()
	}
	return fmt.Sprintf("%s after %v\n-- stdout\n%s-- stderr\n%s", how, e.Took.Round(time.Millisecond), e.Stdout, e.Stderr)
}

// outputDelay is how long output is read of a process that has ended, when
// another still holds its end.
const outputDelay = 2 * time.Second

// Spawn starts a program in dir (empty: here), without the POND_ variables of this
// process's environment.
func Spawn(ctx context.Context, dir, binary string, args ...string) (*Process, error) {
	return spawn(ctx, nil, dir, binary, args...)
}

// spawn is Spawn with variables beside those of the program's environment.
func spawn(ctx context.Context, env []string, dir, binary string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.CommandContext(ctx, binary, args...), stdout: newConsole(), stderr: newConsole(), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p.stdout, p.stderr
	p.cmd.Env = append(environ(), env...)
	p.cmd.SysProcAttr = ownGroup()
	p.cmd.WaitDelay = outputDelay
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("chaos: start %s: %w", binary, err)
	}
	go p.wait()
	return p, nil
}

// environ is this process's environment without the variables that pondnode takes flags
// from: they are of the caller's own ponds, and a token or the secret in them is not what
// clients of a cluster have.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "POND_") })
}

func (p *Process) wait() {
	defer close(p.done)
	_ = p.cmd.Wait() // the exit says more
	p.exit = Exit{Code: p.cmd.ProcessState.ExitCode(), Took: time.Since(p.begun), Stdout: p.stdout.String(), Stderr: p.stderr.String()}
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		p.exit.Signal = ws.Signal()
	}
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("chaos: %v to process %d: %w", sig, p.PID(), err)
	}
	return nil
}

// Stop freezes the process, and returns when it is frozen: of a busy machine, threads
// run on for a while after the signal.
func (p *Process) Stop() error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	if err := awaitStopped(p.PID()); err != nil {
		return fmt.Errorf("chaos: process %d, which was told to stop: %w", p.PID(), err)
	}
	return nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the process to end. When ctx ends first the process goes on.
func (p *Process) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-p.done:
		return p.exit, nil
	case <-ctx.Done():
		return Exit{}, fmt.Errorf("chaos: process %d has not ended: %w; it wrote:\n%s", p.PID(), context.Cause(ctx), p.stderr)
	}
}

// Await waits until standard error matches, and returns the match's groups.
func (p *Process) Await(ctx context.Context, re *regexp.Regexp) ([]string, error) {
	m, err := p.stderr.await(ctx, re, p.done)
	if err != nil {
		return nil, fmt.Errorf("chaos: process %d: %w; it wrote:\n%s", p.PID(), err, p.stderr)
	}
	return m, nil
}

// Stderr returns the text that the process has written to standard error.
func (p *Process) Stderr() string { return p.stderr.String() }

// Command runs a program to its end. An exit code other than 0 is no error.
func Command(ctx context.Context, dir, binary string, args ...string) (Exit, error) {
	p, err := Spawn(ctx, dir, binary, args...)
	if err != nil {
		return Exit{}, err
	}
	<-p.done
	if ctx.Err() != nil {
		return p.exit, fmt.Errorf("chaos: %s %q: %w: %v", binary, args, context.Cause(ctx), p.exit)
	}
	return p.exit, nil
}
