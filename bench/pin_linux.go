package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pinnedEnv says that the process has been through pin.
const pinnedEnv = "POND_BENCH_PINNED"

// pin keeps the process on the first cores of those that it may use, so that a
// pond of many processes has no more than DuckDB's threads have. Threads that
// have been started stay where they are: the program starts itself again.
func pin(cores int) error {
	var set, want unix.CPUSet
	if os.Getenv(pinnedEnv) != "" || cores == 0 {
		return nil
	}
	runtime.LockOSThread()
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	if set.Count() <= cores {
		return nil
	}
	for i := 0; want.Count() < cores; i++ {
		if set.IsSet(i) {
			want.Set(i)
		}
	}
	if err := unix.SchedSetaffinity(0, &want); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(exe, os.Args, append(os.Environ(), pinnedEnv+"=1"))
}

// threadTime is the processor time of the calling thread.
func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0 // there is no Linux without this clock
	}
	return time.Duration(t.Nano())
}
