//go:build duckdb_arrow

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
)

// inEnv runs a command with other variables; NAME without = is unset.
func inEnv(t *testing.T, as *syscall.Credential, vars []string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := command(ctx, args...)
	for _, v := range vars {
		name, _, set := strings.Cut(v, "=")
		var env []string
		for _, old := range cmd.Env {
			if !strings.HasPrefix(old, name+"=") {
				env = append(env, old)
			}
		}
		if cmd.Env = env; set {
			cmd.Env = append(cmd.Env, v)
		}
	}
	if as != nil {
		cmd.Path, cmd.Dir = "/proc/self/exe", "/" // the test's own folder is closed to other users
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%v: %v", args, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// refusedAs checks that a command was denied, and told what to do.
func refusedAs(t *testing.T, what string, got outcome, says ...string) {
	t.Helper()
	if got.code != exitDenied {
		t.Errorf("%s: exit code %d\n%s%s", what, got.code, got.out, got.err)
	}
	for _, text := range says {
		if !strings.Contains(got.err, text) {
			t.Errorf("%s: it does not say %q:\n%s", what, text, got.err)
		}
	}
}

const answer = "SELECT 41 + 1 AS answer"

// TestOtherUsers: a node without TLS, of which nothing was said of tokens, takes calls of
// its own user, wherever that one's home is said to be, and of nobody else on the
// machine, unless by a token that its user has made.
func TestOtherUsers(t *testing.T) {
	p := start(t)
	ask := []string{"submit", "-q", "-o", "csv", "--peer", p.addr, answer}
	own := func(what string, vars ...string) {
		t.Helper()
		if got := inEnv(t, nil, vars, ask...); got.code != 0 || !strings.Contains(got.out, "42") {
			t.Errorf("%s: exit code %d\n%s%s", what, got.code, got.out, got.err)
		}
	}
	own("the same user")
	own("another home", "HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
	own("no home", "HOME", "XDG_CONFIG_HOME")

	addr, err := api.Addr(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path, authorization string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", authorization)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for _, path := range []string{"/v1/members", "/v1/jobs", "/metrics", "/v1/specs"} {
		if code, text := get(path, ""); code != http.StatusUnauthorized || !strings.Contains(text, "pondnode token") {
			t.Errorf("%s without a token: %d %s", path, code, text)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, text := get(path, ""); code != http.StatusOK {
			t.Errorf("%s, which needs no token: %d %s", path, code, text)
		}
	}
	made := strings.TrimSpace(must(t, shell(t, ".", "token", "ann", "--role", "read", "--for", "1h")))
	if code, text := get("/v1/members", "Bearer "+made); code != http.StatusOK {
		t.Errorf("with a token: %d %s", code, text)
	}
	over := strings.TrimSpace(must(t, shell(t, ".", "token", "ann", "--for", "-1h")))
	if code, text := get("/v1/members", "Bearer "+over); code != http.StatusUnauthorized || !strings.Contains(text, "over") {
		t.Errorf("with an old token: %d %s", code, text)
	}
	anns := []string{tokenVariable + "=" + made}
	refusedAs(t, "ann, who may read", inEnv(t, nil, anns, ask...), "role submit", "pondnode token --role submit")
	file := filepath.Join(t.TempDir(), "other")
	refusedAs(t, "ann, with a file in the environment", inEnv(t, nil, append(anns, tokenFileVariable+"="+file), ask...), "role submit")
	refusedAs(t, "a file by its flag", inEnv(t, nil, anns, append(ask, "--token-file", file)...), file)

	if os.Geteuid() != 0 {
		t.Skip("only root can run processes of another user")
	}
	tmp := t.TempDir()
	for dir := tmp; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	nobody, vars := &syscall.Credential{Uid: 65534, Gid: 65534}, []string{"HOME=" + tmp, "TMPDIR=" + tmp}
	refusedAs(t, "another user", inEnv(t, nobody, vars, ask...), "run this as the user that runs the node", "POND_TOKEN")
	join := []string{"join", "--port", "0", "--memory", "256MiB", "--data", filepath.Join(tmp, "data"), "--peer", p.addr, "--join-timeout", "1m"}
	refusedAs(t, "another user's node", inEnv(t, nobody, vars, join...), "join", p.addr, "token")
	refusedAs(t, "another user with a secret", inEnv(t, nobody, vars, ask...), "secret", "run this as the user that runs the node")
	hers := strings.TrimSpace(must(t, shell(t, ".", "token", "ann")))
	if got := inEnv(t, nobody, append(vars, tokenVariable+"="+hers), ask...); got.code != 0 || !strings.Contains(got.out, "42") {
		t.Errorf("another user with a token of ours: exit code %d\n%s%s", got.code, got.out, got.err)
	}
}

// TestTokenFile: nodes that start at once with a token file that is not there make one,
// and know those that have it, whatever becomes of the file; a command says what is wrong
// with it.
func TestTokenFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "of", "mine", "token")
	var nodes [2]*process
	var started sync.WaitGroup
	for i := range nodes {
		started.Go(func() { nodes[i] = start(t, "--token-file", file) })
	}
	started.Wait()
	if t.Failed() {
		t.FailNow()
	}
	with := func(p *process, more ...string) []string {
		return append([]string{"submit", "-q", "-o", "csv", "--peer", p.addr, answer}, more...)
	}
	for _, p := range nodes {
		if got := must(t, shell(t, ".", with(p, "--token-file", file)...)); !strings.Contains(got, "42") {
			t.Errorf("%s", got)
		}
		refusedAs(t, "without the file", shell(t, ".", with(p)...), "--token-file")
	}
	s, err := pond.Connect(nodes[0].addr, pond.WithTokenFile(file))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Members(t.Context()); err != nil {
		t.Fatal(err)
	}

	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	refusedAs(t, "a file that others may read", shell(t, ".", with(nodes[0], "--token-file", file)...), "chmod 600 "+file)
	if got := shell(t, ".", "join", "--port", "0", "--data", t.TempDir(), "--token-file", file); got.code != exitUsage || !strings.Contains(got.err, "chmod 600 "+file) {
		t.Errorf("a node with it: exit code %d\n%s", got.code, got.err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	refusedAs(t, "a file that is gone", shell(t, ".", with(nodes[0], "--token-file", file)...), file, "no such file")
	late := start(t, "--token-file", file) // makes it anew
	refusedAs(t, "a file that was replaced", shell(t, ".", with(nodes[0], "--token-file", file)...), "secret", "start the node again")
	must(t, shell(t, ".", with(late, "--token-file", file)...))
	if _, err := s.Members(t.Context()); err != nil {
		t.Errorf("nodes and sessions go on with what they have read: %v", err)
	}
	foreign, err := pond.Connect(nodes[0].addr, pond.WithToken("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	if _, err := foreign.Members(t.Context()); !errors.Is(err, pond.ErrDenied) {
		t.Errorf("a token of nobody: %v", err)
	}
	if _, err := pond.Join(t.Context(), pond.WithToken("x")); err == nil {
		t.Error("a node with a token alone")
	}
	for _, f := range []string{file, filepath.Join(filepath.Dir(file), "..", "mine", "token")} {
		sql := fmt.Sprintf("SELECT * FROM read_csv('%s', header = false)", f)
		if got := shell(t, ".", "submit", "-q", "--peer", late.addr, "--token-file", file, sql); got.code == 0 || !strings.Contains(got.err, "a key of the node") {
			t.Errorf("a job reads %s: exit code %d\n%s%s", f, got.code, got.out, got.err)
		}
	}
}
