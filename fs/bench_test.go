package fs

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// BenchmarkCommit commits small uploads, as a map stage with many segments does.
func BenchmarkCommit(b *testing.B) {
	for _, durable := range []bool{false, true} {
		for _, writers := range []int{1, 16} {
			b.Run(fmt.Sprintf("durable=%v/writers=%d", durable, writers), func(b *testing.B) {
				s := open(b, b.TempDir(), Options{})
				data := content(1, 4<<10)
				work := make(chan struct{}, b.N)
				for range b.N {
					work <- struct{}{}
				}
				close(work)
				b.ResetTimer()
				var wg sync.WaitGroup
				for range writers {
					wg.Go(func() {
						for range work {
							u, err := s.Create("segment")
							if err == nil {
								u.Write(data)
								_, err = u.Commit(nil, durable)
							}
							if err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			})
		}
	}
}

// BenchmarkBareFile is what BenchmarkCommit's files cost without a store.
func BenchmarkBareFile(b *testing.B) {
	dir := b.TempDir()
	data := content(1, 4<<10)
	for i := range b.N {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), data, 0o666); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

func BenchmarkWrite(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	data := content(1, 1<<20)
	b.SetBytes(64 << 20)
	for range b.N {
		u, err := s.Create("segment")
		if err != nil {
			b.Fatal(err)
		}
		for range 64 {
			if _, err := u.Write(data); err != nil {
				b.Fatal(err)
			}
		}
		info, err := u.Commit(nil, false)
		if err == nil {
			err = s.Delete(info.ID)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead reads 64 MiB from the page cache with checks, in pieces of three
// sizes, against the bare file.
func BenchmarkRead(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	info := mustPut(b, s, content(1, 64<<20), false)
	r, err := s.Reader(info.ID)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	for _, piece := range []int{4 << 10, FrameSize, 1 << 20} {
		for name, from := range map[string]io.ReaderAt{"checked": r, "bare": r.File()} {
			b.Run(fmt.Sprintf("%s/piece=%d", name, piece), func(b *testing.B) {
				buf := make([]byte, piece)
				b.SetBytes(info.Size)
				for range b.N {
					for off := int64(0); off < info.Size; off += int64(piece) {
						if _, err := from.ReadAt(buf, off); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}
