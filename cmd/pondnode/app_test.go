package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/actors/plan"
)

// outcome is what a run of the program left.
type outcome struct {
	code     int
	out, err string
}

// call runs a command with an environment of its own.
func call(t *testing.T, env map[string]string, args ...string) outcome {
	t.Helper()
	return callWith(t, env, make(chan os.Signal, signalsMax), args...)
}

func callWith(t *testing.T, env map[string]string, signals <-chan os.Signal, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), system{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs, signals: signals,
		env: func(k string) (string, bool) { v, ok := env[k]; return v, ok },
	}, args)
	return outcome{code, out.String(), errs.String()}
}

// fake is a node that answers with what a test says.
func fake(t *testing.T, routes map[string]http.HandlerFunc) (peer string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/job-id", reply(idA))
	for pattern, h := range routes {
		mux.HandleFunc(pattern, h)
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	host, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(port)
	return net.JoinHostPort(host, strconv.Itoa(n-2)) // the API is two above the base port
}

// reply answers with values, a line each.
func reply(lines ...any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, v := range lines {
			_ = json.NewEncoder(w).Encode(v)
		}
	}
}

func refuse(e *plan.Error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(api.StatusOf(e.Kind))
		_ = json.NewEncoder(w).Encode(api.FromError(e))
	}
}

const (
	idA = "aaaa0000000000000000000000000001"
	idB = "aaab0000000000000000000000000002"
)

// failedWith is a job that failed as e says.
func failedWith(e *plan.Error) *api.JobStatus {
	return &api.JobStatus{ID: idA, State: api.Failed, Error: api.FromError(e), Submitted: 1000, Ended: 2000}
}

// keepers is a pond of so many nodes that all keep registers, and of others that did.
func keepers(n int, missing ...string) map[string]http.HandlerFunc {
	m := api.Members{MissingKeepers: missing}
	for i := range n {
		m.Members = append(m.Members, api.MemberInfo{ID: fmt.Sprint("k", i), State: "alive", Keeper: true})
	}
	return map[string]http.HandlerFunc{"GET /v1/members": reply(m)}
}

func TestExitCodes(t *testing.T) {
	sql := "SELECT 1 AS x"
	job := func(s *api.JobStatus) map[string]http.HandlerFunc {
		return map[string]http.HandlerFunc{
			"POST /v1/jobs":           reply(&api.JobStatus{ID: idA, State: api.Queued}, s),
			"GET /v1/jobs/{id}/watch": reply(s), "GET /v1/jobs/{id}": reply(s), "/": reply(s),
		}
	}
	for _, test := range []struct {
		name   string
		routes map[string]http.HandlerFunc
		args   []string
		code   int
		says   []string // on standard error
	}{
		{"help", nil, []string{"--help"}, exitOK, nil},
		{"nothing", nil, nil, exitOK, nil},
		{"mistyped", nil, []string{"memebrs"}, exitUsage, []string{`error: unknown command "memebrs"`, "did you mean: pondnode members"}},
		{"mistyped below", nil, []string{"job", "stauts", "x"}, exitUsage, []string{"did you mean: pondnode job status"}},
		{"unlike any", nil, []string{"frobnicate"}, exitUsage, []string{"pondnode --help"}},
		{"flag", nil, []string{"members", "--peeer", "x"}, exitUsage, []string{"did you mean --peer?"}},
		{"flag value", nil, []string{"join", "--slots", "many"}, exitUsage, []string{"--slots"}},
		{"too many", nil, []string{"members", "x"}, exitUsage, []string{"too many", "usage: pondnode members"}},
		{"too few", nil, []string{"job", "status"}, exitUsage, []string{"a job's id is missing"}},
		{"format", nil, []string{"members", "-o", "xml"}, exitUsage, []string{"unknown format"}},
		{"codec", nil, []string{"submit", sql, "--codec", "gzip"}, exitUsage, []string{"s2, zstd"}},
		{"partitions", nil, []string{"submit", sql, "--partitions", "-1"}, exitUsage, []string{"out of range"}},
		{"out and detach", nil, []string{"submit", sql, "--detach", "--out", "x.csv"}, exitUsage, nil},
		{"no such job file", nil, []string{"submit", "no.yaml"}, exitUsage, []string{"no.yaml: no such file"}},
		{"neither", nil, []string{"submit", "no.parquet"}, exitUsage, []string{"neither a job file nor SQL"}},
		{"peer", nil, []string{"members", "--peer", "a:b:c"}, exitUsage, []string{"not an address"}},
		{"peer port", nil, []string{"members", "--peer", "a:0"}, exitUsage, []string{"not an address"}},
		{"half of TLS", nil, []string{"members", "--tls-ca", "x"}, exitUsage, []string{"together"}},
		{"data empty", nil, []string{"join", "--data", ""}, exitUsage, []string{"--data is empty", "next: "}},
		{"key empty", nil, []string{"join", "--gossip-key", ""}, exitUsage, []string{"--gossip-key is empty"}},
		{"certificate empty", nil, []string{"members", "--tls-cert", " "}, exitUsage, []string{"--tls-cert is empty"}},
		{"one peer of several empty", nil, []string{"join", "--peer", "a,,b"}, exitUsage, []string{"--peer is empty"}},
		{"peer with a scheme", nil, []string{"join", "--data", "DIR", "--peer", "http://127.0.0.1:7946"}, exitUsage, []string{"not an address", "HOST:PORT"}},
		{"negative slots", nil, []string{"join", "--slots", "-1"}, exitUsage, []string{"--slots -1", "0 for none"}},
		{"absurd slots", nil, []string{"join", "--data", "DIR", "--slots", "1000000"}, exitUsage, []string{"--slots", "512"}},
		{"absurd memory", nil, []string{"join", "--data", "DIR", "--memory", "1PiB"}, exitUsage, []string{"--memory", "this machine has"}},
		{"unreachable address", nil, []string{"join", "--data", "DIR", "--peer", "192.0.2.1"}, exitUsage, []string{"--advertise", "192.0.2.1 could not call"}},
		{"long zone", nil, []string{"join", "--data", "DIR", "--zone", strings.Repeat("z", 65)}, exitUsage, []string{"zone"}},
		{"no time", nil, []string{"leave", "--timeout", "0s"}, exitUsage, []string{"--timeout 0s"}},
		{"dev without slots", nil, []string{"dev", "--slots", "0"}, exitUsage, []string{"--slots 0"}},
		{"gossip key", nil, []string{"join", "--gossip-key", "hunter2"}, exitUsage, []string{"base64"}},
		{"memory", nil, []string{"join", "--memory", "lots"}, exitUsage, []string{"512MiB"}},
		{"log level", nil, []string{"join", "--log-level", "loud"}, exitUsage, nil},
		{"off loopback", nil, []string{"join", "--bind", "0.0.0.0", "--data", "DIR"}, exitDenied, []string{"error: denied", "--gossip-key"}},
		{"unreachable", nil, []string{"members", "--peer", "127.0.0.1:1"}, exitUnreachable, []string{"no node reached at 127.0.0.1:1", "why:", "next: start a node"}},
		{"not a node", map[string]http.HandlerFunc{"/": http.NotFound}, []string{"members"}, exitUnreachable, []string{"is this the port of a Pond node?"}},
		{"denied", map[string]http.HandlerFunc{"/": refuse(&plan.Error{Kind: plan.KindDenied, Op: "leave", Text: "no"})}, []string{"members"}, exitDenied, []string{"why:  no"}},
		{"unknown job", map[string]http.HandlerFunc{"GET /v1/jobs": reply([]api.JobStatus{{ID: idA}})}, []string{"job", "status", "b"}, exitFailed, []string{"error: not found (job b)", "pondnode jobs"}},
		{"ambiguous job", map[string]http.HandlerFunc{"GET /v1/jobs": reply([]api.JobStatus{{ID: idA}, {ID: idB}})}, []string{"job", "status", "aaa"}, exitUsage, []string{"2 jobs", idA}},
		{"job failed", job(failedWith(&plan.Error{Kind: plan.KindUser, Op: "run", Subject: "stage 0 task 1", Node: "n1", Text: "Binder Error: no column\nLINE 1", Hint: "look"})),
			[]string{"submit", sql}, exitFailed, []string{"error: job aaaa0000 failed: query error (run stage 0 task 1, node n1)\n  why:  Binder Error: no column\n        LINE 1\n  next: look\n"}},
		{"job out of nodes", job(failedWith(&plan.Error{Kind: plan.KindUnavailable, Op: "call", Text: "gone"})), []string{"submit", sql}, exitFailed, nil},
		{"deadline", job(failedWith(&plan.Error{Kind: plan.KindDeadline, Text: "late"})), []string{"submit", sql, "--deadline", "1s"}, exitTimeout, []string{"--deadline"}},
		{"watched job failed", job(failedWith(&plan.Error{Kind: plan.KindMemory, Text: "full"})), []string{"job", "watch", idA}, exitFailed, []string{"out of memory"}},
		{"watched job succeeded", job(&api.JobStatus{ID: idA, State: api.Succeeded}), []string{"job", "watch", idA}, exitOK, []string{"succeeded"}},
		{"status of a failed job", job(failedWith(&plan.Error{Kind: plan.KindMemory, Text: "full"})), []string{"job", "status", idA}, exitOK, nil},
		{"a keeper gone", keepers(2, "n3"), []string{"members"}, exitOK, []string{"warning: 1 of the 3 nodes that keep the pond's registers are gone: n3; others take their place"}},
		{"most keepers gone", keepers(1, "n2", "n3"), []string{"members"}, exitOK, []string{"warning: 2 of the 3 nodes", "n2, n3; no job begins", "next: start them", "pondnode registers recover"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := map[string]string{}
			if test.routes != nil {
				env["POND_PEER"] = fake(t, test.routes)
			}
			args := strings.Split(strings.ReplaceAll(strings.Join(test.args, "\x00"), "DIR", t.TempDir()), "\x00")
			if len(test.args) == 0 {
				args = nil
			}
			got := call(t, env, args...)
			if got.code != test.code {
				t.Errorf("exit code %d, want %d\n%s", got.code, test.code, got.err)
			}
			for _, s := range test.says {
				if !strings.Contains(got.err, s) {
					t.Errorf("standard error lacks %q:\n%s", s, got.err)
				}
			}
			if strings.Contains(got.err, "hunter2") {
				t.Error("a key is shown")
			}
			if test.code != exitOK && got.out != "" {
				t.Errorf("standard output has %q", got.out)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"version"}} {
		if got := call(t, map[string]string{"POND_VERSION": "9"}, args...); got.code != exitOK || !strings.HasPrefix(got.out, "pondnode "+ownVersion()) {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// TestFlagValues: what is wrong with a value is said in plain words.
func TestFlagValues(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		args []string
		says string
	}{
		{nil, []string{"sql", "SELECT 1", "--partitions", "abc"}, `error: --partitions: "abc" is no whole number` + "\n"},
		{nil, []string{"sql", "SELECT 1", "--partitions", "99999999999999999999"}, `error: --partitions: "99999999999999999999" is out of range` + "\n"},
		{nil, []string{"token", "ann", "--for", "5x"}, `error: --for: "5x" is no duration such as 30s or 5m` + "\n"},
		{nil, []string{"chaos", "run", "x", "--seed=-1"}, `error: --seed: "-1" is no whole number from 0 on` + "\n"},
		{nil, []string{"sql", "SELECT 1", "-q=maybe"}, `error: --quiet: "maybe" is neither true nor false` + "\n"},
		{map[string]string{"POND_MAX_ROWS": "abc"}, []string{"sql", "SELECT 1"}, `error: POND_MAX_ROWS: "abc" is no whole number` + "\n"},
		{map[string]string{"POND_DEADLINE": "5"}, []string{"sql", "SELECT 1"}, `error: POND_DEADLINE: "5" is no duration such as 30s or 5m` + "\n"},
	} {
		if got := call(t, c.env, c.args...); got.code != exitUsage || !strings.HasPrefix(got.err, c.says) {
			t.Errorf("%q: exit code %d, %s", c.args, got.code, got.err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	members := map[string]http.HandlerFunc{"GET /v1/members": reply(api.Members{Members: []api.MemberInfo{{ID: "n1", Addr: "h:1", State: "alive", Slots: 2, Memory: 4 << 30, Keeper: true, Self: true}}})}
	peer := fake(t, members)
	env := map[string]string{"POND_PEER": peer, "POND_OUTPUT": "csv"}
	want := "id,boot,addr,api,state,zone,slots,memory,keeper,self\nn1,\"\",h:1,\"\",alive,,2,4294967296,true,true\n"
	if got := call(t, env, "members"); got.code != 0 || got.out != want {
		t.Errorf("from the environment: %+v", got)
	}
	if got := call(t, env, "members", "-o", "table"); got.out != "NODE  ADDRESS  STATE  SLOTS  MEMORY   ZONE  KEEPER\nn1    h:1      alive      2  4.0 GiB  -     yes     (answers)\n" {
		t.Errorf("a flag goes before the environment: %+v", got)
	}
	if got := call(t, map[string]string{"POND_OUT": "x", "POND_PEER": peer}, "members"); got.code != 0 {
		t.Errorf("what is said once is taken from the environment: %+v", got)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0") // so that no node starts here
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	if got := call(t, map[string]string{"POND_PEER": peer}, "join", "--data", t.TempDir(), "--port", port); got.code != exitFailed || !strings.Contains(got.err, "the port is in use") {
		t.Errorf("join takes POND_PEER: %+v", got)
	}
	if got := call(t, map[string]string{"POND_JOIN_PEER": "a b"}, "join", "--data", t.TempDir(), "--port", port); got.code != exitUsage || !strings.Contains(got.err, "not an address") {
		t.Errorf("join does not take POND_JOIN_PEER: %+v", got)
	}
	if got := call(t, map[string]string{"POND_SLOTS": "x"}, "join"); got.code != exitUsage || !strings.Contains(got.err, "POND_SLOTS") {
		t.Errorf("a bad value: %+v", got)
	}
}

func TestListings(t *testing.T) {
	now := time.UnixMilli(100_000)
	jobs := []*pond.Status{
		{ID: idA, Name: "first", User: "ada", Statement: "SELECT *\nFROM 'a long name of a file/*.parquet'", State: "succeeded", Submitted: time.UnixMilli(40_000), Ended: time.UnixMilli(41_500), Rows: 7, Stages: []pond.Stage{{Tasks: 2, Done: 2, Rows: 9, Bytes: 2048}}},
		{ID: idA, State: "failed", Submitted: time.UnixMilli(1000), Ended: time.UnixMilli(2000), Error: &pond.Error{Kind: "user", Text: "bad\nworse"}},
		{ID: idB, State: "queued", Submitted: time.UnixMilli(99_000), Place: 3, InQueue: 12, WaitsFor: "a place"},
	}
	var out bytes.Buffer
	a := &app{system: system{stdout: &out, stderr: &out}}
	if err := a.listJobs(output.Table, jobs, now); err != nil {
		t.Fatal(err)
	}
	want := "JOB       NAME   STATE             SUBMITTED     TOOK  STAGES  ROWS  USER  STATEMENT                                 ERROR\n" +
		"aaaa0000  first  succeeded         1 minute ago  1.5s  1/1        7  ada   SELECT * FROM 'a long name of a file/*.…  -\n" +
		"aaaa0000  -      failed            1 minute ago  1.0s  0/0        -  -     -                                         bad\n" +
		"aaab0000  -      queued (3 of 12)  1 second ago  1.0s  0/0        -  -     -                                         -\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	out.Reset()
	if err := a.printStatus(output.Table, jobs[0], now); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"user         ada\n", "statement    SELECT *\n             FROM 'a", "state        succeeded in 1.5s\n", "result       7 rows\n", "    0        2/2       9  2.0 KiB"} {
		if !strings.Contains(out.String(), s) {
			t.Errorf("lacks %q:\n%s", s, out.String())
		}
	}
	out.Reset()
	if err := a.printStatus(output.Table, jobs[2], now); err != nil || !strings.Contains(out.String(), "waits        at place 3 of 12 for a place\n") {
		t.Errorf("%v: %s", err, out.String())
	}
	out.Reset()
	if err := a.printStatus(output.JSON, jobs[0], now); err != nil || !json.Valid(out.Bytes()) {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestInterrupt: the first signal cancels the job and waits, the second does not. Where
// the job's files were there before, that is said.
func TestInterrupt(t *testing.T) {
	for _, test := range []struct {
		name    string
		obeys   bool // the node cancels when asked
		signals int
		end     api.JobStatus
		says    string
	}{
		{"cancelled", true, 1, api.JobStatus{State: api.Cancelled, Output: "/d"}, "error: interrupted\n"},
		{"left", false, 2, api.JobStatus{}, "error: interrupted\n"},
		{"late", true, 1, api.JobStatus{State: api.Succeeded, Rows: 3, Output: "/d", Files: []string{"a.csv", "b.csv"}}, "error: interrupted, but the job had succeeded already: 3 rows in 2 files in /d\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			signals := make(chan os.Signal, signalsMax)
			cancelled, left := make(chan struct{}), make(chan struct{})
			peer := fake(t, map[string]http.HandlerFunc{
				"POST /v1/jobs/{id}/cancel": func(w http.ResponseWriter, r *http.Request) {
					if !test.obeys {
						_, _ = io.Copy(io.Discard, r.Body) // the server notices a lost client only then
						signals <- syscall.SIGINT          // an impatient user
						<-left
						return
					}
					close(cancelled)
					end := test.end
					end.ID = idA
					reply(&end)(w, r)
				},
				"POST /v1/jobs": func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					reply(&api.JobStatus{ID: idA, State: api.Queued, NextID: idB}, &api.JobStatus{ID: idA, State: api.Running})(w, r)
					_ = http.NewResponseController(w).Flush()
					select {
					case <-cancelled:
						reply(&api.JobStatus{ID: idA, State: api.Cancelled, Error: &api.Error{Kind: "cancelled"}})(w, r)
					case <-r.Context().Done():
					}
				},
			})
			file := filepath.Join(t.TempDir(), "job.yaml")
			if err := os.WriteFile(file, []byte("steps: [{read: /x.parquet}]"), 0o644); err != nil {
				t.Fatal(err)
			}
			errs := &shared{running: func() { signals <- syscall.SIGINT }}
			code := run(t.Context(), system{stdin: strings.NewReader(""), stdout: io.Discard, stderr: errs, signals: signals,
				env: func(string) (string, bool) { return "", false }}, []string{"submit", "--peer", peer, file})
			close(left)
			if said := errs.String(); code != exitInterrupted || !strings.Contains(said, "cancelling job") || !strings.HasSuffix(said, test.says) {
				t.Errorf("exit code %d\n%s", code, said)
			}
		})
	}
}

func TestGossipKey(t *testing.T) {
	dir := t.TempDir()
	file := func(content string) string {
		p := filepath.Join(dir, fmt.Sprintf("k%d", len(content)))
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	key := strings.Repeat("k\x00", 16) // not base64 itself
	for name, in := range map[string]string{
		"base64": base64.StdEncoding.EncodeToString([]byte(key)),
		"file":   file(base64.StdEncoding.EncodeToString([]byte(key)) + "\n"),
		"raw":    file(key),
	} {
		if got, err := gossipKey(in); err != nil || string(got) != key {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, in := range []string{"short", file("short"), filepath.Join(dir, "none")} {
		if _, err := gossipKey(in); err == nil {
			t.Errorf("%s is a key", in)
		}
	}
}

// TestOut: a file appears when it is whole, or not at all.
func TestOut(t *testing.T) {
	dir := t.TempDir()
	rec := func() *output.Listing { l := output.NewListing(col("x", 0)); l.Add(1); return l }
	a := &app{system: system{stdout: &bytes.Buffer{}}}
	batch := rec().Batch()
	good := filepath.Join(dir, "good.csv")
	if err := a.emit(output.CSV, &outputFlags{out: good}, batch.Schema(), 1, one(batch)); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(good); err != nil || string(b) != "x\n1\n" {
		t.Errorf("%q, %v", b, err)
	}
	bad := filepath.Join(dir, "bad.csv")
	err := a.emit(output.CSV, &outputFlags{out: bad}, batch.Schema(), 1, failing(batch))
	if err == nil {
		t.Error("no error")
	}
	if list, _ := filepath.Glob(filepath.Join(dir, "bad*")); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
}

// TestCompletion: cobra's scripts are there for every shell.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := call(t, nil, "completion", shell); got.code != 0 || !strings.Contains(got.out, "pondnode") {
			t.Errorf("%s: %d %.100s", shell, got.code, got.err)
		}
	}
}

// failing yields a batch and then an error.
func failing(rec arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		if yield(rec, nil) {
			yield(nil, errors.New("lost"))
		}
	}
}

// What an error of each kind is told as has the kind's words, what to do where the error
// itself does not say, and never another kind's.
func TestExplainKinds(t *testing.T) {
	silent := map[plan.Kind]bool{plan.KindUser: true, plan.KindCancelled: true, plan.KindNotFound: true, plan.KindActor: true} // their texts say it
	for k := plan.Kind(0); (&plan.Error{Kind: k}).Unwrap() != nil; k++ {
		e := &pond.Error{Kind: k.String(), Op: "read", Subject: "x", Node: "n1", Text: "why"}
		what, why, next := new(app).explain(fmt.Errorf("while testing: %w", e))
		if want := errors.Unwrap(e).Error() + " (read x, node n1)"; what != want || why != "why" || (next == "") != silent[k] {
			t.Errorf("kind %s: %q, %q, %q", k, what, why, next)
		}
		if defect := strings.Contains(next, "defect in Pond"); defect != (k == plan.KindInternal) {
			t.Errorf("kind %s is told as a defect of Pond: %t", k, defect)
		}
		e.Hint = "do that"
		if _, _, next := new(app).explain(e); next != "do that" {
			t.Errorf("kind %s: its own hint became %q", k, next)
		}
	}
}

// Bytes that are no text are refused to a terminal, also to one that tells no size.
func TestBinaryToTerminal(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer tty.Close()
	if columns(tty) != 0 {
		t.Fatal("the terminal has a size")
	}
	for _, format := range []string{"arrow", "parquet"} {
		var errs bytes.Buffer
		code := run(t.Context(), system{stdin: strings.NewReader(""), stdout: tty, stderr: &errs, env: func(string) (string, bool) { return "", false }},
			[]string{"sql", "-o", format, "SELECT 1"})
		if code != exitUsage || !strings.Contains(errs.String(), format+" is not for a terminal") || !strings.Contains(errs.String(), "--out") {
			t.Errorf("%s: exit %d: %s", format, code, &errs)
		}
	}
}
