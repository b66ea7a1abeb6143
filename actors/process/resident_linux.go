package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// meter tells the memory that a process has of its own: what it shares, such as its
// program and files that it maps, is left out. The kernel's file stays open, since it is
// read up to 250 times a second.
type meter struct{ file *os.File }

func newMeter(pid int) meter {
	f, _ := os.Open(fmt.Sprintf("/proc/%d/statm", pid)) // without it nothing is known
	return meter{f}
}

// resident is how many bytes it has now; 0: unknown.
func (m meter) resident() int64 {
	var text [128]byte // seven numbers
	n, _ := m.file.ReadAt(text[:], 0)
	return parseStatm(text[:n])
}

func (m meter) close() { m.file.Close() }

// parseStatm reads the kernel's line: the pages of all, those in memory, those of them
// that are shared, and others. 0: it is none.
func parseStatm(line []byte) int64 {
	var pages [3]int64
	for i := range pages {
		word, rest, ok := bytes.Cut(line, []byte(" "))
		n, err := strconv.ParseInt(string(word), 10, 64)
		if !ok || err != nil {
			return 0
		}
		pages[i], line = n, rest
	}
	return (pages[1] - pages[2]) * int64(os.Getpagesize())
}
