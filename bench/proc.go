package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The kernel's counters of processes, from /proc.

const (
	clockTick     = 10 * time.Millisecond // of /proc/PID/stat, on every Linux that Go runs on
	samplePause   = 50 * time.Millisecond
	resetPeakRSS  = "5" // to clear_refs: see proc(5)
	statAfterName = 11  // fields between a process's name and its user time
)

func needProc() error {
	if _, err := os.Stat("/proc/self/clear_refs"); err != nil {
		return fmt.Errorf("processor time and memory are read from Linux's /proc: %w", err)
	}
	return nil
}

func procFile(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// cpuTime is the processor time of processes since their start.
func cpuTime(pids []int) (time.Duration, error) {
	var ticks int64
	for _, pid := range pids {
		b, err := os.ReadFile(procFile(pid, "stat"))
		if err != nil {
			return 0, err
		}
		n, err := parseStat(b)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// parseStat is the user and system ticks in a /proc/PID/stat.
func parseStat(b []byte) (int64, error) {
	end := bytes.LastIndexByte(b, ')') // the name may hold anything
	f := strings.Fields(string(b[end+1:]))
	if end < 0 || len(f) < statAfterName+2 {
		return 0, fmt.Errorf("not a stat: %q", b)
	}
	user, err := strconv.ParseInt(f[statAfterName], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(f[statAfterName+1], 10, 64)
	return user + system, err
}

// resetPeaks starts the processes' peak memory anew.
func resetPeaks(pids []int) error {
	for _, pid := range pids {
		if err := os.WriteFile(procFile(pid, "clear_refs"), []byte(resetPeakRSS), 0); err != nil {
			return err
		}
	}
	return nil
}

// peaks is the most resident memory that one process has had, and the sum over
// all, since resetPeaks.
func peaks(pids []int) (most, sum int64, err error) {
	for _, pid := range pids {
		b, err := os.ReadFile(procFile(pid, "status"))
		if err != nil {
			return 0, 0, err
		}
		n, err := parseStatus(string(b), "VmHWM:")
		if err != nil {
			return 0, 0, err
		}
		most, sum = max(most, n), sum+n
	}
	return most, sum, nil
}

// parseStatus is a line of a /proc/PID/status that is in kB, in bytes.
func parseStatus(text, name string) (int64, error) {
	for _, line := range strings.Split(text, "\n") {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no %s", name)
}

// openFiles counts the most files, and sockets among them, that one process has.
func openFiles(pids []int) (files, sockets int) {
	for _, pid := range pids {
		dir := procFile(pid, "fd")
		list, err := os.ReadDir(dir)
		if err != nil {
			continue // it has ended
		}
		n := 0
		for _, e := range list {
			if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(to, "socket:") {
				n++
			}
		}
		files, sockets = max(files, len(list)), max(sockets, n)
	}
	return files, sockets
}

// folderSize is the bytes of the files under dirs.
func folderSize(dirs []string) int64 {
	var sum int64
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // it has been removed meanwhile
			}
			if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
				sum += info.Size()
			}
			return nil
		})
	}
	return sum
}

// sampler looks at a system while it works; it owns one goroutine until stop.
type sampler struct {
	spill          int64
	files, sockets int
	count          bool // files and sockets too, which costs more
	quit           chan struct{}
	all            sync.WaitGroup
}

func startSampler(pids []int, spillDirs []string, count bool) *sampler {
	s := &sampler{quit: make(chan struct{}), count: count}
	s.all.Go(func() {
		t := time.NewTicker(samplePause)
		defer t.Stop()
		for {
			s.spill = max(s.spill, folderSize(spillDirs))
			if s.count {
				f, k := openFiles(pids)
				s.files, s.sockets = max(s.files, f), max(s.sockets, k)
			}
			select {
			case <-t.C:
			case <-s.quit:
				return
			}
		}
	})
	return s
}

// stop ends the sampler; its fields may then be read.
func (s *sampler) stop() {
	close(s.quit)
	s.all.Wait()
}
