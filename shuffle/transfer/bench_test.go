package transfer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/shuffle"
)

// childEnv makes the test binary a server: its value is plain, tls or memory.
const childEnv = "POND_TRANSFER_TEST_CHILD"

const (
	benchSegments = 4
	benchBlocks   = 64 // of 1 MiB, in 8 partitions
	tinySegments  = 256
	tinyParts     = 64
)

// benchSource is benchSegments large segments and tinySegments of small blocks.
func benchSource(dir string) (*memSource, error) {
	r := rand.New(rand.NewPCG(1, 2))
	src := &memSource{segs: map[shuffle.SegmentID]*memSegment{}}
	for i := range benchSegments + tinySegments {
		m := &memSegment{parts: make([][]shuffle.Extent, 8)}
		if i < benchSegments {
			for p := range m.parts {
				at := len(m.data)
				for range benchBlocks / len(m.parts) {
					m.data = append(m.data, block(r, 1<<20)...)
				}
				m.parts[p] = []shuffle.Extent{{Offset: int64(at), Length: int64(len(m.data) - at)}}
			}
		} else {
			m = makeSegment(r, 1, tinyParts, 1, 400)
		}
		src.segs[id(i)] = m
		if dir != "" {
			m.path = filepath.Join(dir, id(i).String())
			if err := os.WriteFile(m.path, m.data, 0o600); err != nil {
				return nil, err
			}
		}
	}
	return src, nil
}

// child serves until its standard input ends.
func child() {
	err := func() error {
		mode, dir := os.Getenv(childEnv), ""
		if mode != "memory" {
			var err error
			if dir, err = os.MkdirTemp("", "transfer"); err != nil {
				return err
			}
			defer os.RemoveAll(dir)
		}
		src, err := benchSource(dir)
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		srv := NewServer(Handler(Everyone(src), Limits{}, slog.New(slog.DiscardHandler)), nil)
		if mode == "raw" {
			fmt.Println(l.Addr())
			conn, err := l.Accept()
			if err != nil {
				return err
			}
			buf := make([]byte, 512<<10)
			for {
				if _, err := conn.Write(buf); err != nil {
					return nil
				}
			}
		}
		if mode == "tls" {
			cert, err := selfSigned()
			if err != nil {
				return err
			}
			srv = NewServer(srv.Handler, &tls.Config{Certificates: []tls.Certificate{cert}})
			go srv.ServeTLS(l, "", "")
		} else {
			go srv.Serve(l)
		}
		fmt.Println(l.Addr())
		_, err = io.Copy(io.Discard, os.Stdin)
		return errors.Join(err, srv.Close())
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// startChild is the address of a server in another process.
func startChild(b *testing.B, mode string) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+mode)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(addr)
}

// drain reads a stream and counts its bytes.
func drain(b *testing.B, c *Client, addr string, wants []Want) (n int64) {
	s, err := c.Fetch(context.Background(), addr, wants)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for {
		bl, err := s.Next()
		if err == io.EOF {
			return n
		}
		if err != nil {
			b.Fatal(err)
		}
		n += int64(len(bl.Data))
		bl.Release()
	}
}

// BenchmarkRaw is a bare TCP connection between two processes: what there is.
func BenchmarkRaw(b *testing.B) {
	conn, err := net.Dial("tcp", startChild(b, "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 256<<10)
	b.SetBytes(256 << 20)
	for b.Loop() {
		for n := 0; n < 256<<20; {
			k, err := conn.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			n += k
		}
	}
}

func benchLarge(b *testing.B, mode string) {
	cfg := ClientConfig{}
	if mode == "tls" {
		cfg.TLS = &tls.Config{InsecureSkipVerify: true} // speed, not trust, is measured
	}
	var wants []Want
	for i := range benchSegments {
		wants = append(wants, Want{id(i), AllPartitions})
	}
	addr := ""
	if mode == "local" {
		src, err := benchSource(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		addr, cfg.LocalAddr, cfg.Local = "here", "here", src
	} else {
		addr = startChild(b, mode)
	}
	c := newTestClient(b, cfg)
	b.SetBytes(drain(b, c, addr, wants))
	for b.Loop() {
		drain(b, c, addr, wants)
	}
}

// One stream, 256 MiB a request in blocks of 1 MiB, producer in another process.
func BenchmarkSendfile(b *testing.B) { benchLarge(b, "plain") }
func BenchmarkMemory(b *testing.B)   { benchLarge(b, "memory") }
func BenchmarkTLS(b *testing.B)      { benchLarge(b, "tls") }
func BenchmarkLocal(b *testing.B)    { benchLarge(b, "local") }

// One block of about 200 bytes a want: a consumer's partition of 256 segments
// (column), or all partitions of 256 segments one by one (row).
func BenchmarkTiny(b *testing.B) {
	var column, row []Want
	for i := range tinySegments {
		column = append(column, Want{id(benchSegments + i), 7})
		for p := range tinyParts {
			row = append(row, Want{id(benchSegments + i), p})
		}
	}
	for name, wants := range map[string][]Want{"column": column, "row": row} {
		b.Run(name, func(b *testing.B) {
			addr := startChild(b, "plain")
			c := newTestClient(b, ClientConfig{})
			drain(b, c, addr, wants)
			b.ReportAllocs()
			for b.Loop() {
				drain(b, c, addr, wants)
			}
			b.ReportMetric(float64(b.N)*float64(len(wants))/b.Elapsed().Seconds(), "wants/s")
		})
	}
}
