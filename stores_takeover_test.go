//go:build duckdb_arrow

package pond_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// TestStoreTakeover: the node that publishes dies between two files that it shows. Another
// shows the rest: each row is there once.
func TestStoreTakeover(t *testing.T) {
	b := newBucket(t)
	inner, reached, dead := b.Handler, make(chan struct{}), make(chan struct{})
	var once sync.Once
	var mu sync.Mutex
	shown := 0
	b.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
			mu.Lock()
			shown++
			late := shown == 3
			mu.Unlock()
			if late {
				once.Do(func() { close(reached) })
				<-dead
				panic(http.ErrAbortHandler)
			}
		}
		inner.ServeHTTP(w, r)
	})
	nodes := pondtest.New(t, 3)
	client, err := pond.Connect(nodes[0].Addr() + "," + nodes[1].Addr() + "," + nodes[2].Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := pondRows(t, client, "COPY (SELECT i, i % 8 AS k FROM range(20000) t(i)) TO 's3://bucket/out/' (FORMAT parquet, PARTITION_BY (k))", pond.Force(true), pond.Partitions(4))
		ended <- err
	}()
	select {
	case <-reached:
	case err := <-ended:
		t.Fatalf("nothing was shown: %v", err)
	}
	nodes[0].Close()
	close(dead)
	if err := <-ended; err != nil {
		t.Fatal(fullText(err))
	}
	if got, err := pondRows(t, nodes[1].Session, "SELECT count(*), count(DISTINCT i), sum(i)::BIGINT FROM 's3://bucket/out/*/*.parquet'"); err != nil || !slices.Equal(got, []string{"20000|20000|199990000"}) {
		t.Errorf("%q, %v", got, err)
	}
	b.tidy(t)
}
