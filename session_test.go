//go:build duckdb_arrow

package pond_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// clientProgram connects to a node and prints a query's rows.
const clientProgram = `package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pondmesh/pond"
)

func main() {
	s, err := pond.Connect(os.Args[1], pond.Force(true))
	if err != nil {
		panic(err)
	}
	defer s.Close()
	rows, err := s.SQL(context.Background(), "SELECT sum(i)::BIGINT AS n FROM range(10) t(i)")
	if err != nil {
		panic(err)
	}
	for rec, err := range rows.All() {
		if err != nil {
			panic(err)
		}
		fmt.Println(rec.Column(0).ValueStr(0))
	}
}
`

// clientBytesMax bounds a program that only connects.
const clientBytesMax = 30 << 20

// A program that only connects is built without cgo and without the tag, is small,
// and links no DuckDB, Serf, Pebble or protoactor. One that joins is told the tag.
func TestClientProgram(t *testing.T) {
	dir := t.TempDir()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, required, _ := strings.Cut(string(mod), "\n") // the module line stays behind
	writeFile(t, dir, "go.mod", "module example.com/client\n"+required+
		"\nrequire github.com/pondmesh/pond v0.0.0\nreplace github.com/pondmesh/pond => "+root+"\n")
	sum, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "go.sum", string(sum))
	writeFile(t, dir, "main.go", clientProgram)
	run := func(name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off")
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		return string(out) + errs.String(), err
	}

	if out, err := run("go", "build", "-o", "client", "."); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	deps, err := run("go", "list", "-deps", ".")
	if err != nil {
		t.Fatalf("%v\n%s", err, deps)
	}
	for _, lib := range []string{"duckdb", "hashicorp/serf", "cockroachdb/pebble", "protoactor", "pondmesh/pond/actors\n"} {
		if strings.Contains(deps, lib) {
			t.Errorf("the client depends on %s", lib)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "client"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > clientBytesMax {
		t.Errorf("the client has %d bytes, %d are allowed", info.Size(), clientBytesMax)
	}
	if out, err := run("./client", pondtest.New(t, 1)[0].Addr()); err != nil || out != "45\n" {
		t.Errorf("the client says %q, %v", out, err)
	}

	writeFile(t, dir, "main.go", strings.Replace(clientProgram, "pond.Connect(os.Args[1], ", "pond.Join(context.Background(), ", 1))
	if out, err := run("go", "build", "-o", "node", "."); err == nil || !strings.Contains(out, "duckdb_arrow") {
		t.Errorf("a program that joins, built without the tag: %v\n%s", err, out)
	}
}

// A setting that cannot be is refused where it is given, by its name.
func TestBadSettings(t *testing.T) {
	for name, option := range map[string]pond.JobOption{
		"partitions": pond.Partitions(-1), "codec": pond.Codec("gzip"), "deadline": pond.Deadline(-1), "lease": pond.Lease(1),
	} {
		_, err := pond.Connect("127.0.0.1", option)
		var pe *pond.Error
		if !errors.As(err, &pe) || !errors.Is(err, pond.ErrQuery) || pe.Subject != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestArgs: each value arrives as DuckDB writes it, and of the type it should be.
func TestArgs(t *testing.T) {
	node := pondtest.New(t, 1)[0]
	ctx := t.Context()
	huge, _ := new(big.Int).SetString("-170141183460469231731687303715884105728", 10)
	seven := 7
	values := []struct {
		v          any
		text, kind string
	}{
		{nil, "NULL", `"NULL"`},
		{true, "true", "BOOLEAN"},
		{-5, "-5", "INTEGER"},
		{&seven, "7", "INTEGER"},
		{int64(math.MinInt64), "-9223372036854775808", "BIGINT"},
		{uint64(math.MaxUint64), "18446744073709551615", "UBIGINT"},
		{huge, huge.String(), "HUGEINT"},
		{0.1, "0.1", "DOUBLE"},
		{5e-324, "5e-324", "DOUBLE"},
		{math.Inf(1), "inf", "DOUBLE"},
		{math.NaN(), "nan", "DOUBLE"},
		{float32(1.1), "1.1", "FLOAT"},
		{"it's \\ ; -- $1 ? 'é'", "it's \\ ; -- $1 ? 'é'", "VARCHAR"},
		{"", "", "VARCHAR"},
		{[]byte("a\x00'\xff"), `a\x00\x27\xFF`, "BLOB"},
		{[]byte{}, "", "BLOB"},
		{time.Date(2001, 2, 3, 4, 5, 6, 7000, time.FixedZone("", -3600)), "2001-02-03 05:05:06.000007", "TIMESTAMP"},
		{time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC), "2001-02-03 04:05:06.000000007", "TIMESTAMP_NS"},
		{time.Date(-43, 3, 15, 1, 2, 3, 0, time.UTC), "0044-03-15 (BC) 01:02:03", "TIMESTAMP"},
		{-90 * time.Second, "-00:01:30", "INTERVAL"},
		{[]string{"a,b", "c"}, "['a,b', c]", "VARCHAR[]"},
		{[]int64{1, 1 << 40}, "[1, 1099511627776]", "BIGINT[]"},
	}
	var query strings.Builder
	var args []any
	for i, v := range values {
		if i > 0 {
			query.WriteString(" UNION ALL ")
		}
		fmt.Fprintf(&query, "SELECT coalesce(CAST(x AS VARCHAR), 'NULL') AS v, typeof(x) AS t, %d AS i FROM (SELECT ? AS x)", i)
		args = append(args, v.v)
	}
	rows, err := node.SQL(ctx, query.String()+" ORDER BY i", pond.Args(args...))
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for rec, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		for r := range int(rec.NumRows()) {
			if text, kind := rec.Column(0).ValueStr(r), rec.Column(1).ValueStr(r); text != values[i].text || kind != values[i].kind {
				t.Errorf("%T %v: %s %s, want %s %s", values[i].v, values[i].v, text, kind, values[i].text, values[i].kind)
			}
			i++
		}
	}
	if i != len(values) {
		t.Errorf("%d rows", i)
	}
	rows, err = node.SQL(ctx, "SELECT CAST($Who || $who AS VARCHAR) AS w", pond.Args(sql.Named("who", "x")))
	if err != nil || rows.Len() != 1 {
		t.Errorf("by name: %v", err)
	}
	for _, bad := range []struct {
		query string
		args  []any
		says  string
	}{
		{"SELECT $1", nil, "no value for $1"},
		{"SELECT 1", []any{1}, "more values are given"},
		{"SELECT ?", []any{make(chan int)}, "chan int"},
		{"SELECT $a", []any{sql.Named("b", 1)}, "no value for $a"},
	} {
		_, err := node.SQL(ctx, bad.query, pond.Args(bad.args...))
		if !errors.Is(err, pond.ErrQuery) || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%s: %v", bad.query, err)
		}
	}
	job, err := node.Submit(ctx, "SELECT ? AS secret", pond.Args("hidden"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := job.Wait(ctx)
	if err != nil || st.Statement != "SELECT ? AS secret" || st.User == "" {
		t.Errorf("status: %+v, %v", st, err)
	}
}
