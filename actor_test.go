//go:build duckdb_arrow

package pond_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// actorFunc is an actor that is a function.
type actorFunc func(ctx pond.ActorContext, msg []byte) ([]byte, error)

func (f actorFunc) Receive(ctx pond.ActorContext, msg []byte) ([]byte, error) { return f(ctx, msg) }

// counter counts in its state: its reply is the new count.
func counter(string) pond.Actor {
	return actorFunc(func(ctx pond.ActorContext, msg []byte) ([]byte, error) {
		state, err := ctx.Load()
		if err != nil {
			return nil, err
		}
		n := uint64(0)
		if state != nil {
			n = binary.BigEndian.Uint64(state)
		}
		state = binary.BigEndian.AppendUint64(nil, n+1)
		return fmt.Append(nil, n+1), ctx.Save(state)
	})
}

// callActor wants a reply. A pond whose keeper has just died may not have registers for a
// moment: such calls are made again, as is one whose activation was taken over.
func callActor(t *testing.T, s *pond.Session, kind, key, msg string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for {
		reply, err := s.Actor(kind, key).Call(ctx, []byte(msg))
		switch {
		case err == nil:
			return string(reply)
		case ctx.Err() == nil && (errors.Is(err, pond.ErrUnavailable) || errors.Is(err, pond.ErrFenced)):
			t.Log(err)
		default:
			t.Fatalf("%s/%s: %v", kind, key, err)
		}
	}
}

// Each key counts on, wherever it is called from and wherever it lives: on whichever node
// offers the kind, and elsewhere when that is killed.
func TestActorsMove(t *testing.T) {
	where := func(id *string) pond.Option { // an actor that tells its node
		return pond.WithActor("where", func(string) pond.Actor {
			return actorFunc(func(pond.ActorContext, []byte) ([]byte, error) { return []byte(*id), nil })
		})
	}
	ids := make([]string, 3)
	nodes := pondtest.New(t, 1, pond.WithActor("count", counter), where(&ids[0]))
	for i := 1; i < 3; i++ {
		nodes = append(nodes, pondtest.Join(t, nodes, pond.WithActor("count", counter), where(&ids[i])))
	}
	for i, n := range nodes {
		ids[i] = n.ID()
	}
	client, err := pond.Connect(nodes[0].Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	owners, used := map[string]string{}, map[string]bool{}
	keys := []string{"alice", "bob", "a/b c%20?", "..x", "名"}
	for i := 0; i < len(keys); i++ {
		key := keys[i]
		for turn, s := range []*pond.Session{nodes[i%3].Session, client, nodes[(i+1)%3].Session} {
			if got := callActor(t, s, "count", key, ""); got != fmt.Sprint(turn+1) {
				t.Fatalf("%s counts %s at call %d", key, got, turn+1)
			}
		}
		owners[key] = callActor(t, client, "where", key, "")
		used[owners[key]] = true
		if i < 12 || len(used) < 3 && i < 200 { // nodes' ids are random: some keys may leave one out
			keys = append(keys, fmt.Sprint("k", i))
		}
	}
	if len(used) != 3 {
		t.Errorf("the keys live on %d of 3 nodes: %v", len(used), owners)
	}
	dead := nodes[2]
	if err := dead.Close(); err != nil { // as a crash is, to the others
		t.Fatal(err)
	}
	for i, key := range keys {
		if got := callActor(t, nodes[i%2].Session, "count", key, ""); got != "4" {
			t.Errorf("%s, which lived on %s, counts %s after %s was killed", key, owners[key], got, dead.ID())
		}
	}
}

// A kind that one node has is called there, and one that none has is said to be missing.
// The errors of actors reach a client that only connects as they are.
func TestActorErrors(t *testing.T) {
	release := make(chan struct{})
	only := pond.WithActor("only", func(string) pond.Actor {
		return actorFunc(func(ctx pond.ActorContext, msg []byte) ([]byte, error) {
			switch string(msg) {
			case "fail":
				return nil, errors.New("no luck")
			case "code":
				return nil, &pond.Error{Code: "limit", Text: "too many", Hint: "wait"}
			case "panic":
				panic("boom")
			case "wait":
				<-release
			}
			return slices.Concat([]byte(ctx.Key()+" "), msg), nil
		})
	})
	nodes := pondtest.New(t, 2)
	nodes = append(nodes, pondtest.Join(t, nodes, only, pond.WithActorIdle(time.Hour)))
	client, err := pond.Connect(nodes[0].Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if got := callActor(t, client, "only", "k", "hello"); got != "k hello" {
		t.Errorf("%q", got)
	}
	large := strings.Repeat("x", pond.ActorMessageMax-2)
	if got := callActor(t, client, "only", "k", large); got != "k "+large {
		t.Errorf("a large message comes back with %d bytes", len(got))
	}
	for msg, want := range map[string]struct {
		is               error
		code, text, hint string
	}{
		"fail":        {pond.ErrActor, "", "no luck", ""},
		"code":        {pond.ErrActor, "limit", "too many", "wait"},
		"panic":       {pond.ErrActor, "panic", "the actor panicked: boom (the node's log has the stack)", ""},
		large + "xxx": {pond.ErrQuery, "", "1048577 bytes are more than the 1048576 of a message", ""},
		large + "xx":  {pond.ErrActor, "", "its reply is too large: call message: 1048578 bytes are more than the 1048576 of a message", ""},
	} {
		_, err := client.Actor("only", "k").Call(t.Context(), []byte(msg))
		var e *pond.Error
		if !errors.Is(err, want.is) || !errors.As(err, &e) || e.Code != want.code || e.Text != want.text || e.Hint != want.hint {
			t.Errorf("%.10q: %#v", msg, err)
		}
	}
	for _, bad := range []*pond.ActorRef{client.Actor("only", ""), client.Actor("only", ".."), client.Actor("a b", "k")} {
		if _, err := bad.Call(t.Context(), nil); !errors.Is(err, pond.ErrQuery) {
			t.Errorf("a wrong name: %v", err)
		}
	}
	if _, err := client.Actor("none", "k").Call(t.Context(), nil); !errors.Is(err, pond.ErrNotFound) {
		t.Errorf("a kind that nobody has: %v", err)
	}

	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Actor("only", "slow").Call(short, []byte("wait")); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, pond.ErrDeadline) {
		t.Errorf("a caller whose time is up: %v", err)
	}
	close(release)
	if got := callActor(t, client, "only", "slow", "again"); got != "slow again" {
		t.Errorf("%q", got)
	}
}

func TestActorOptions(t *testing.T) {
	for name, o := range map[string]pond.Option{
		"no name": pond.WithActor("", counter), "a wrong name": pond.WithActor("a b", counter), "no function": pond.WithActor("x", nil), "idle": pond.WithActorIdle(0),
	} {
		if n, err := pond.Join(t.Context(), o); err == nil {
			n.Close()
			t.Errorf("%s is taken", name)
		}
	}
	var many []pond.Option
	for i := range 49 {
		many = append(many, pond.WithActor(fmt.Sprint("k", i), counter))
	}
	if n, err := pond.Join(t.Context(), many...); err == nil || !strings.Contains(err.Error(), "49") {
		n.Close()
		t.Errorf("more kinds than others can be told of: %v", err)
	}
}

// A job's batch function calls actors: each word is numbered by one, wherever its task
// runs, and wherever the actor lives.
func TestJobCallsActors(t *testing.T) {
	ids := pond.WithActor("ids", func(string) pond.Actor {
		known := map[string]int{}
		return actorFunc(func(_ pond.ActorContext, word []byte) ([]byte, error) {
			if _, ok := known[string(word)]; !ok {
				known[string(word)] = len(known)
			}
			return fmt.Append(nil, known[string(word)]), nil
		})
	})
	var node *pond.Node
	ready := make(chan struct{})
	schema := arrow.NewSchema([]arrow.Field{{Name: "word", Type: arrow.BinaryTypes.String}, {Name: "id", Type: arrow.PrimitiveTypes.Int64}}, nil)
	number := func(ctx context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		<-ready
		b := array.NewInt64Builder(memory.DefaultAllocator)
		defer b.Release()
		for i := range int(in.NumRows()) {
			reply, err := node.Actor("ids", "words").Call(ctx, []byte(in.Column(0).ValueStr(i)))
			if err != nil {
				return err
			}
			if err := b.AppendValueFromString(string(reply)); err != nil {
				return err
			}
		}
		id := b.NewArray()
		defer id.Release()
		return yield(array.NewRecordBatch(schema, []arrow.Array{in.Column(0), id}, in.NumRows()))
	}
	nodes := pondtest.New(t, 2, ids, pond.WithBatchFunc("number", "", func(*arrow.Schema) (*arrow.Schema, error) { return schema, nil }, number))
	node = nodes[0]
	close(ready)
	words := node.Query("SELECT 'w' || (i % 50) AS word FROM range(2000) t(i)").Repartition(4, pond.ByRows()).MapBatches("number", 100)
	rows, err := words.Repartition(1, pond.ByRows()).SQL("SELECT count(DISTINCT word) AS words, count(DISTINCT id) AS ids, max(id) AS most, count(DISTINCT (word, id)) AS pairs, count(*) AS n FROM {0}").Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for batch, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		for c, want := range []string{"50", "50", "49", "50", "2000"} {
			if got := batch.Column(c).ValueStr(0); got != want {
				t.Errorf("%s is %s, want %s", batch.ColumnName(c), got, want)
			}
		}
	}
}

// A Go function that one node of three has runs there, whichever node is asked and
// coordinates; so does a scalar function in a DataFrame's SQL. What nobody has is an
// error at once.
func TestFunctionsOfOneNode(t *testing.T) {
	var calls atomic.Int64
	double := func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		calls.Add(1)
		b := array.NewInt64Builder(memory.DefaultAllocator)
		defer b.Release()
		for i := range int(in.NumRows()) {
			b.Append(2 * in.Column(0).(*array.Int64).Value(i))
		}
		out := b.NewArray()
		defer out.Release()
		return yield(array.NewRecordBatch(in.Schema(), []arrow.Array{out}, in.NumRows()))
	}
	half := pond.ScalarFunc{Name: "half", Args: []string{"BIGINT"}, Result: "BIGINT", Version: "1", Call: func(_ context.Context, args arrow.RecordBatch) (arrow.Array, error) {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		defer b.Release()
		for i := range int(args.NumRows()) {
			b.Append(args.Column(0).(*array.Int64).Value(i) / 2)
		}
		return b.NewArray(), nil
	}}
	nodes := pondtest.New(t, 2)
	nodes = append(nodes, pondtest.Join(t, nodes, pond.WithBatchFunc("double", "1", nil, double), pond.WithScalarFunc(half)))
	for _, n := range nodes {
		numbers := n.Query("SELECT i FROM range(1000) t(i)").Repartition(8, pond.ByRows())
		count, err := numbers.MapBatches("double", 10).Filter("i >= 1000").Count(t.Context())
		if err != nil || count != 500 {
			t.Errorf("%d rows of a batch function, %v", count, err)
		}
		count, err = numbers.SQL("SELECT half(i) AS i FROM {0}").Filter("i < 250").Count(t.Context())
		if err != nil || count != 500 {
			t.Errorf("%d rows of a scalar function, %v", count, err)
		}
		if _, err := numbers.MapBatches("triple", 10).Count(t.Context()); !errors.Is(err, pond.ErrQuery) || !strings.Contains(err.Error(), "no node has a Go function") {
			t.Errorf("a function that nobody has: %v", err)
		}
	}
	if calls.Load() < 3*100 {
		t.Errorf("%d batches of 10 of 1000 rows for each of three jobs", calls.Load())
	}
}
