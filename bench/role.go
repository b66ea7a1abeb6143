package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A child is this program in another role. The role's name and settings come in
// the environment, and it ends when its standard input does. It says hello on
// standard output, then answers requests, a line of JSON each.
const (
	roleEnv   = "POND_BENCH_ROLE"
	configEnv = "POND_BENCH_CONFIG"
)

const childStopMax = 15 * time.Second

// roleConfig is the settings of a child process; each role uses its own part.
type roleConfig struct {
	Name     string   `json:"name"`
	Threads  int      `json:"threads"`
	Memory   int64    `json:"memory"`
	Dir      string   `json:"dir"`
	Peers    []string `json:"peers,omitempty"`
	Segments []string `json:"segments,omitempty"` // files that the blocks role serves
	Cores    int      `json:"cores"`              // 0: all
	Profile  string   `json:"profile,omitempty"`  // path of a profile and a log, without their extensions
}

// hello is a child's first line.
type hello struct {
	Addr  string `json:"addr,omitempty"`
	Raw   string `json:"raw,omitempty"`
	Error string `json:"error,omitempty"`
}

// roles are the functions that a child process can run.
var roles = map[string]func(context.Context, roleConfig, *lines) error{
	"duck": duckRole, "node": nodeRole, "blocks": blocksRole,
}

// lines is a child's end of the talk.
type lines struct {
	in  *json.Decoder
	out *json.Encoder
}

// end waits for the parent to have no more to ask.
func (l *lines) end() {
	var nothing any
	for l.in.Decode(&nothing) == nil {
	}
}

// runRole is main of a child; it returns the exit code.
func runRole(role string) int {
	l := &lines{in: json.NewDecoder(bufio.NewReader(os.Stdin)), out: json.NewEncoder(os.Stdout)}
	var c roleConfig
	err := json.Unmarshal([]byte(os.Getenv(configEnv)), &c)
	f := roles[role]
	if err == nil && f == nil {
		err = fmt.Errorf("no role %q", role)
	}
	if err == nil {
		err = pin(c.Cores)
	}
	if err == nil {
		err = f(context.Background(), c, l)
	}
	if err != nil {
		_ = l.out.Encode(hello{Error: err.Error()})
		return 1
	}
	return 0
}

// child is the parent's end.
type child struct {
	hello
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
}

// startChild starts a child and waits for its hello.
func startChild(ctx context.Context, role string, c roleConfig) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	ch := &child{name: c.Name, cmd: exec.CommandContext(ctx, exe)}
	ch.cmd.Env = append(os.Environ(), roleEnv+"="+role, configEnv+"="+string(text))
	ch.cmd.Stderr = os.Stderr
	if ch.in, err = ch.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := ch.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := ch.cmd.Start(); err != nil {
		return nil, err
	}
	ch.out = json.NewDecoder(bufio.NewReader(stdout))
	err = ch.out.Decode(&ch.hello)
	if err == nil && ch.Error != "" {
		err = errors.New(ch.Error)
	}
	if err != nil {
		ch.stop()
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return ch, nil
}

// pid is the child's process.
func (c *child) pid() int { return c.cmd.Process.Pid }

// call asks and waits for the answer. A child takes one request at a time.
func (c *child) call(ctx context.Context, request, reply any) error {
	if err := json.NewEncoder(c.in).Encode(request); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	done := make(chan error, 1)
	go func() { done <- c.out.Decode(reply) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%s ended: %w", c.name, err)
		}
		return nil
	case <-ctx.Done():
		_ = c.cmd.Process.Kill()
		<-done
		return context.Cause(ctx)
	}
}

// stop ends the child, by force when asking does not help.
func (c *child) stop() {
	_ = c.in.Close()
	timer := time.AfterFunc(childStopMax, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	_ = c.cmd.Wait()
}

// quote is s as an SQL string.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// quoteAll is a list of texts in SQL.
func quoteAll(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
