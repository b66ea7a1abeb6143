package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The kernel's counters of processes, from /proc.

const (
	clockTick   = 10 * time.Millisecond // of /proc/PID/stat, on every Linux that Go runs on
	samplePause = 50 * time.Millisecond
	statParent  = 1  // of the fields behind a process's name in its stat: its parent's id
	statUser    = 11 // its user time, followed by its system time, and both of its children that have ended
	statFields  = statUser + 4
)

func needProc() error {
	if _, err := os.Stat("/proc/self/statm"); err != nil {
		return fmt.Errorf("processor time and memory are read from Linux's /proc: %w", err)
	}
	return nil
}

func procFile(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// stat is a part of a /proc/PID/stat.
type stat struct {
	parent int
	own    time.Duration // processor time since its start
	ended  time.Duration // the same of its children that have ended
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

func parseStat(b []byte) (stat, error) {
	end := bytes.LastIndexByte(b, ')') // the name may hold anything
	f := strings.Fields(string(b[end+1:]))
	if end < 0 || len(f) < statFields {
		return stat{}, fmt.Errorf("not a stat: %q", b)
	}
	var n [5]int64
	for i, at := range []int{statParent, statUser, statUser + 1, statUser + 2, statUser + 3} {
		var err error
		if n[i], err = strconv.ParseInt(f[at], 10, 64); err != nil {
			return stat{}, err
		}
	}
	return stat{int(n[0]), time.Duration(n[1]+n[2]) * clockTick, time.Duration(n[3]+n[4]) * clockTick}, nil
}

// children are the processes that each of pids has started and that run: a node's
// engine processes.
func children(pids []int) map[int][]int {
	out := map[int][]int{}
	all, _ := os.ReadDir("/proc")
	for _, e := range all {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil && slices.Contains(pids, s.parent) {
			out[s.parent] = append(out[s.parent], pid)
		}
	}
	return out
}

// cpuTime is the processor time of processes since their start, with that of their
// children.
func cpuTime(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		s, err := readStat(pid)
		if err != nil {
			return 0, err
		}
		sum += s.own + s.ended
	}
	for _, list := range children(pids) {
		for _, pid := range list {
			if s, err := readStat(pid); err == nil { // else it has ended just now
				sum += s.own
			}
		}
	}
	return sum, nil
}

// resident is the memory of a process in bytes, without what it shares with others: the
// program; 0 if it has ended.
func resident(pid int) int64 {
	b, err := os.ReadFile(procFile(pid, "statm"))
	f := strings.Fields(string(b))
	if err != nil || len(f) < 3 {
		return 0
	}
	all, err1 := strconv.ParseInt(f[1], 10, 64)
	shared, err2 := strconv.ParseInt(f[2], 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return (all - shared) * int64(os.Getpagesize())
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
	pids           []int
	memory         map[int]int64 // the most that each has had at a look, its children included
	spill          int64
	files, sockets int
	count          bool          // files and sockets too, which costs more
	cost           time.Duration // processor time of the looks
	quit           chan struct{}
	all            sync.WaitGroup
}

func startSampler(pids []int, spillDirs []string, count bool) *sampler {
	s := &sampler{pids: pids, memory: map[int]int64{}, quit: make(chan struct{}), count: count}
	s.all.Go(func() {
		runtime.LockOSThread() // its processor time is then that of the looks
		defer runtime.UnlockOSThread()
		since := threadTime()
		defer func() { s.cost = threadTime() - since }()
		t := time.NewTicker(samplePause)
		defer t.Stop()
		for {
			s.look(spillDirs)
			select {
			case <-t.C:
			case <-s.quit:
				return
			}
		}
	})
	return s
}

func (s *sampler) look(spillDirs []string) {
	started := children(s.pids)
	for _, pid := range s.pids {
		now := resident(pid)
		for _, child := range started[pid] {
			now += resident(child)
		}
		s.memory[pid] = max(s.memory[pid], now)
	}
	s.spill = max(s.spill, folderSize(spillDirs))
	if s.count {
		f, k := openFiles(s.pids)
		s.files, s.sockets = max(s.files, f), max(s.sockets, k)
	}
}

// stop ends the sampler; its fields may then be read.
func (s *sampler) stop() {
	close(s.quit)
	s.all.Wait()
}
