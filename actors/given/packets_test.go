package given

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

var job = plan.JobID(strings.Repeat("0", 32))

// answers is a coordinator that answers each question so.
func answers(p *api.Packet, err error) Source {
	return Source{Fetch: func(_ int, _ uint64, done func(*api.Packet, error)) { done(p, err) }}
}

// asked is a question that a coordinator has not answered yet.
type asked struct {
	stage   int
	version uint64
	done    func(*api.Packet, error)
}

// open is a Packets whose coordinator answers when the test says so.
func open(t *testing.T) (*Packets, <-chan asked) {
	t.Helper()
	rules, err := access.New(access.Config{Own: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	questions := make(chan asked, 10)
	return New(job, Source{Fetch: func(stage int, version uint64, done func(*api.Packet, error)) {
		questions <- asked{stage, version, done}
	}}, rules), questions
}

// packet is one of a stage that reads nothing.
func packet(stage int, version uint64) *api.Packet {
	return &api.Packet{ID: job, Index: stage, Version: version, Job: &plan.Job{Stages: []*plan.Stage{{}, {}}}}
}

// Attempts that ask at the same time share one answer; a later version is another
// question, and an older one is answered by what is there.
func TestFetchedOnceAVersion(t *testing.T) {
	p, questions := open(t)
	const attempts = 5
	var all sync.WaitGroup
	var got [attempts]*api.Packet
	for i := range attempts {
		all.Go(func() { got[i], _ = p.For(i, 0).Get(t.Context(), 1, 3) })
	}
	q := <-questions
	want := packet(1, 4)
	q.done(want, nil)
	all.Wait()
	for i, p := range got {
		if p != want {
			t.Errorf("attempt %d was given %+v", i, p)
		}
	}
	if again, err := p.For(0, 0).Get(t.Context(), 1, 2); again != want || err != nil {
		t.Errorf("an older version: %+v, %v", again, err)
	}
	if len(questions) != 0 || q.stage != 1 || q.version != 3 {
		t.Errorf("asked for version %d of stage %d, and %d times more", q.version, q.stage, len(questions))
	}
	newer := packet(1, 5)
	all.Go(func() { got[0], _ = p.For(0, 0).Get(t.Context(), 1, 5) })
	if q = <-questions; q.version != 5 {
		t.Errorf("asked for version %d", q.version)
	}
	q.done(newer, nil)
	if all.Wait(); got[0] != newer {
		t.Errorf("given %+v", got[0])
	}
}

// A failed question is asked again by the next attempt, unless a newer one is on its
// way; an attempt that ends does not wait.
func TestFetchFails(t *testing.T) {
	p, questions := open(t)
	lost := errors.New("lost")
	ask := func(ctx context.Context, version uint64) <-chan error {
		end := make(chan error, 1)
		go func() {
			_, err := p.For(0, 0).Get(ctx, 0, version)
			end <- err
		}()
		return end
	}
	first := ask(t.Context(), 1)
	q1 := <-questions
	second := ask(t.Context(), 2)
	q2 := <-questions
	q1.done(nil, lost)
	if err := <-first; !errors.Is(err, lost) {
		t.Errorf("the first question: %v", err)
	}
	third := ask(t.Context(), 2) // by the one that is on its way
	q2.done(packet(0, 2), nil)
	if err := errors.Join(<-second, <-third); err != nil || len(questions) != 0 {
		t.Errorf("%v, and %d questions more", err, len(questions))
	}
	fourth := ask(t.Context(), 3)
	(<-questions).done(nil, lost)
	if err := <-fourth; !errors.Is(err, lost) {
		t.Errorf("the next version: %v", err)
	}
	ended, end := context.WithCancelCause(t.Context())
	fifth := ask(ended, 3)
	q := <-questions
	end(plan.ErrCancelled)
	if err := <-fifth; !errors.Is(err, plan.ErrCancelled) {
		t.Errorf("an attempt that has ended: %v", err)
	}
	q.done(packet(0, 3), nil)
	if _, err := p.For(0, 0).Get(t.Context(), 0, 3); err != nil || len(questions) != 0 {
		t.Errorf("the answer that it did not wait for: %v", err)
	}
	p.Close()
	last := ask(t.Context(), 1)
	(<-questions).done(packet(0, 1), nil)
	if err := <-last; err != nil {
		t.Errorf("after what was fetched is forgotten: %v", err)
	}
}

// A stage's schema is asked for until a segment of it answers.
func TestSchema(t *testing.T) {
	want := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int32}}, nil)
	lost, times := errors.New("lost"), 0
	p := New(job, Source{Schema: func(_ context.Context, addr, segment string) (*arrow.Schema, error) {
		if times++; addr+segment == "badbad" {
			return nil, lost
		}
		return want, nil
	}}, nil)
	for i, c := range []struct {
		at    string
		err   error
		times int
	}{{"bad", lost, 1}, {"good", nil, 2}, {"bad", nil, 2}} {
		got, err := p.For(i, 0).Schema(t.Context(), "s", c.at, c.at)
		if !errors.Is(err, c.err) || (err == nil) != (got == want) || times != c.times {
			t.Errorf("question %d: %v, %v, asked %d times", i, got, err, times)
		}
	}
}

// The rules are asked about all that a packet names once for attempts that begin
// together, and again for later ones: what a path leads to may have changed.
func TestJudgedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j judgement
		looked := 0
		look := func() error { looked++; return plan.ErrDenied }
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{0, 1}, {judgedFor, 1}, {1, 2}, {judgedFor / 2, 2}, {judgedFor, 3}} {
			time.Sleep(c.after) // of the bubble's clock
			if err := j.once(look); !errors.Is(err, plan.ErrDenied) || looked != c.want {
				t.Errorf("after %v: %v, looked %d times, want %d", c.after, err, looked, c.want)
			}
		}
	})
}
