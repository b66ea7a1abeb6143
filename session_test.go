//go:build duckdb_arrow

package pond_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
