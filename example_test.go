//go:build duckdb_arrow

package pond_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond"
)

// exampleNode is a node with a folder of its own. A real program gives
// WithPeers, and a folder that stays.
func exampleNode(ctx context.Context, options ...pond.Option) (n *pond.Node, dir string, stop func()) {
	dir, err := os.MkdirTemp("", "pond-example-")
	if err != nil {
		log.Fatal(err)
	}
	n, err = pond.Join(ctx, append(options, pond.WithDir(filepath.Join(dir, "node")), pond.WithMemory(256<<20), pond.WithSlots(2))...)
	if err != nil {
		log.Fatal(err)
	}
	return n, dir, func() { n.Close(); os.RemoveAll(dir) }
}

// printRows prints two columns, a text and a number.
func printRows(rows *pond.Rows, err error) {
	if err != nil {
		fmt.Println(err)
		return
	}
	for batch, err := range rows.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		for i := range int(batch.NumRows()) {
			fmt.Println(batch.Column(0).ValueStr(i), batch.Column(1).ValueStr(i))
		}
	}
}

// A program joins the pond, or starts one, and asks in SQL. The pond splits the
// query by itself.
func ExampleJoin() {
	ctx := context.Background()
	node, dir, stop := exampleNode(ctx)
	defer stop()

	file := filepath.Join(dir, "visits.csv")
	if err := os.WriteFile(file, []byte("city,n\nOslo,3\nRome,5\nOslo,4\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	printRows(node.SQL(ctx, "SELECT city, sum(n) AS n FROM '"+file+"' GROUP BY city ORDER BY n DESC"))
	// Output:
	// Oslo 7
	// Rome 5
}

// A client is no node itself: it talks to one.
func ExampleConnect() {
	ctx := context.Background()
	node, _, stop := exampleNode(ctx)
	defer stop()

	client, err := pond.Connect(node.Addr())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	printRows(client.SQL(ctx, "SELECT 'answer' AS what, 42 AS n"))
	// Output:
	// answer 42
}

// A DataFrame says how rows are partitioned. SQL runs once a partition: {0} is
// the partition that it reads.
func ExampleDataFrame() {
	ctx := context.Background()
	node, _, stop := exampleNode(ctx)
	defer stop()

	visits := node.FromRows([]string{"city", "VARCHAR", "n", "INTEGER"}, []any{"Oslo", 3}, []any{"Rome", 5}, []any{"Oslo", 4})
	printRows(visits.
		Repartition(4, pond.ByHash("city")).
		SQL("SELECT city, sum(n) AS n FROM {0} GROUP BY city").
		Sort("n DESC").
		Collect(ctx))
	// Output:
	// Oslo 7
	// Rome 5
}

// A Go function runs where the rows are, on every node that registered it.
func ExampleWithBatchFunc() {
	ctx := context.Background()
	shout := func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		defer b.Release()
		words := in.Column(0).(*array.String)
		for i := range words.Len() {
			b.Append(strings.ToUpper(words.Value(i)) + "!")
		}
		out := b.NewArray()
		defer out.Release()
		return yield(array.NewRecordBatch(in.Schema(), []arrow.Array{out, in.Column(1)}, in.NumRows()))
	}
	node, _, stop := exampleNode(ctx, pond.WithBatchFunc("shout", "1", nil, shout))
	defer stop()

	words := node.FromRows([]string{"word", "VARCHAR", "n", "INTEGER"}, []any{"quack", 1}, []any{"splash", 2})
	printRows(words.MapBatches("shout", 1000).Sort("n").Collect(ctx))
	// Output:
	// QUACK! 1
	// SPLASH! 2
}

// limiter lets two calls of a key pass a minute.
type limiter struct{ passed int }

func (l *limiter) Receive(ctx pond.ActorContext, _ []byte) ([]byte, error) {
	if l.passed == 2 {
		return nil, &pond.Error{Code: "limit", Text: ctx.Key() + " has called twice within a minute"}
	}
	if l.passed++; l.passed == 1 {
		_, err := ctx.After(time.Minute, func(pond.ActorContext) error { l.passed = 0; return nil })
		return nil, err
	}
	return nil, nil
}

// An actor for each user limits the user's calls, whichever node they come to.
func ExampleWithActor() {
	ctx := context.Background()
	node, _, stop := exampleNode(ctx, pond.WithActor("limiter", func(user string) pond.Actor { return new(limiter) }))
	defer stop()

	for _, user := range []string{"alice", "alice", "bob", "alice"} {
		_, err := node.Actor("limiter", user).Call(ctx, nil)
		if e := (*pond.Error)(nil); errors.As(err, &e) && e.Code == "limit" {
			fmt.Println(e.Text)
			continue
		}
		fmt.Println(user, err)
	}
	// Output:
	// alice <nil>
	// alice <nil>
	// bob <nil>
	// alice has called twice within a minute
}

// visits counts a user's visits. The count is in a register of the pond, and goes on
// wherever the actor lives next.
type visits struct{}

func (visits) Receive(ctx pond.ActorContext, _ []byte) ([]byte, error) {
	state, err := ctx.Load()
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(string(state)) // of none, 0
	state = strconv.AppendInt(nil, int64(n+1), 10)
	return state, ctx.Save(state)
}

func ExampleSession_Actor() {
	ctx := context.Background()
	node, _, stop := exampleNode(ctx, pond.WithActor("visits", func(string) pond.Actor { return visits{} }))
	defer stop()

	client, err := pond.Connect(node.Addr())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for range 2 {
		count, err := client.Actor("visits", "alice").Call(ctx, nil)
		fmt.Println(string(count), err)
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
}

// Writing is atomic: who reads the folder sees the old files or the new ones.
func ExampleDataFrame_WriteParquet() {
	ctx := context.Background()
	node, dir, stop := exampleNode(ctx)
	defer stop()

	out := filepath.Join(dir, "squares")
	squares := node.Query("SELECT i AS n, i * i AS square FROM range(1000) t(i)")
	if err := squares.WriteParquet(ctx, out); err != nil {
		log.Fatal(err)
	}
	if err := squares.WriteParquet(ctx, out); errors.Is(err, pond.ErrExists) {
		fmt.Println("it is there already")
	}
	if err := squares.WriteParquet(ctx, out, pond.Overwrite()); err != nil {
		log.Fatal(err)
	}
	n, err := node.ReadParquet(out).Filter("square % 2 = 0").Count(ctx)
	fmt.Println(n, err)
	// Output:
	// it is there already
	// 500 <nil>
}
