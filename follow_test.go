package pond

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// TestVerdict: what is done when nothing is heard of a job, by what is known of it.
func TestVerdict(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	_, broken := api.NewClient(closed.Addr().String(), nil).Version(t.Context())
	moving, nobody, user := error(&plan.Error{Kind: plan.KindUnavailable}), error(&plan.Error{Kind: plan.KindNotFound}), error(&plan.Error{Kind: plan.KindUser})
	for _, test := range []struct {
		name          string
		err           error
		news          bool
		taken, unsure bool
		since         time.Duration
		again         bool
		unknown       bool // the error, if it ends
	}{
		{"the connection broke after some lines", broken, true, true, false, 0, true, false},
		{"and so for too long", broken, true, true, false, time.Hour, false, true},
		{"no node answers", broken, false, true, false, 0, false, true},
		{"no node answers, and none has heard of it", broken, false, false, false, 0, false, false},
		{"no node answers, and one may have heard of it", broken, false, false, true, 0, false, true},
		{"it moves", moving, false, true, false, time.Second, true, false},
		{"it moves for too long", moving, false, true, false, time.Hour, false, true},
		{"no node takes it", moving, false, false, false, 0, false, false},
		{"no node takes it, though one may have", moving, false, false, true, 0, true, false},
		{"who knew it is silent", nobody, false, true, false, time.Second, true, false},
		{"all that knew it are gone", nobody, false, true, false, time.Minute, true, false},
		{"and do not come back", nobody, false, true, false, time.Hour, false, true},
		{"nobody knows it", nobody, false, false, false, 0, false, false},
		{"a mistake", user, false, true, false, 0, false, false},
	} {
		f := &following{j: &Job{id: "0a"}, taken: test.taken, unsure: test.unsure}
		_, again := f.verdict(test.err, test.news, test.since, 2*time.Minute)
		if again != test.again {
			t.Errorf("%s: again: %v", test.name, again)
		}
		if end := f.end(test.err); !again && errors.Is(end, ErrUnknown) != test.unknown {
			t.Errorf("%s: %v", test.name, end)
		}
	}
}

// TestHandedInAgain: the node that is asked dies before it is known whether it has
// taken the job: the same job, by the same id, is handed in to another, whose answer
// counts. Nobody is asked for the id of another job.
func TestHandedInAgain(t *testing.T) {
	const first, second = "000000000000000000000000000000aa", "000000000000000000000000000000bb"
	handed := make(chan api.JobSpec, 8)
	var dies atomic.Bool
	serve := func(id string, mortal bool, others func() string) (*httptest.Server, string) {
		mux := http.NewServeMux()
		srv := httptest.NewServer(mux)
		t.Cleanup(srv.Close)
		mux.HandleFunc("GET /v1/job-id", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(api.NodesHeader, others())
			_ = json.NewEncoder(w).Encode(id)
		})
		mux.HandleFunc("GET /v1/version", func(http.ResponseWriter, *http.Request) {})
		mux.HandleFunc("POST /v1/jobs", func(w http.ResponseWriter, r *http.Request) {
			var spec api.JobSpec
			_ = json.NewDecoder(r.Body).Decode(&spec)
			handed <- spec
			_ = json.NewEncoder(w).Encode(&api.JobStatus{ID: spec.ID, NextID: plan.JobID(id), State: api.Queued})
			_ = http.NewResponseController(w).Flush()
			if mortal && dies.Load() {
				panic(http.ErrAbortHandler)
			}
			_ = json.NewEncoder(w).Encode(&api.JobStatus{ID: spec.ID, State: api.Succeeded, Rows: 1, Result: &api.ResultInfo{}})
		})
		port := srv.Listener.Addr().(*net.TCPAddr).Port
		return srv, net.JoinHostPort("127.0.0.1", strconv.Itoa(port-api.PortOffset))
	}
	b, _ := serve(second, false, func() string { return "" })
	a, peer := serve(first, true, func() string { return b.Listener.Addr().String() })
	s, err := Connect(peer)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dies.Store(true)
	a.Config.SetKeepAlivesEnabled(false)
	done := make(chan error, 1)
	go func() {
		_, err := s.SQL(context.Background(), "SELECT 1")
		done <- err
	}()
	one := <-handed
	a.Listener.Close() // it is gone
	two := <-handed
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if one.ID != first || two.ID != first || one.SQL != two.SQL || len(handed) > 0 {
		t.Errorf("handed in were %s and %s", one.ID, two.ID)
	}
	if got, _ := api.Addr(s.Peer()); got != b.Listener.Addr().String() {
		t.Errorf("it asks %s", got)
	}
}

// TestNobodySaysAgain: when it is not known what became of a job, nobody is told to
// hand it in once more.
func TestNobodySaysAgain(t *testing.T) {
	err := (&Job{id: "0a"}).unknown(errUnseen.Error())
	if !errors.Is(err, ErrUnknown) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v is not what it says", err)
	}
	for _, no := range []string{"submit", "again", "rerun"} {
		if strings.Contains(err.Error(), no) {
			t.Errorf("%q: %v", no, err)
		}
	}
	if !strings.Contains(err.Error(), "pondnode job watch 0a") {
		t.Error(err)
	}
}
