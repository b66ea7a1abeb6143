package chaos

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// noStrays wants every process of the cluster in dir to be one of those that live, or a
// child of one: what a node that has ended has left.
func noStrays(dir string, live map[int]bool) error {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, p := range procs {
		pid, _ := strconv.Atoi(filepath.Base(p))
		if live[pid] || !ofCluster(p, dir) {
			continue
		}
		stat, err := os.ReadFile(p + "/stat")
		_, fields, ok := bytes.Cut(stat, []byte(") "))
		f := strings.Fields(string(fields))
		if err != nil || !ok || len(f) <= parentAt || f[0] == "Z" { // it is ending
			continue
		}
		if parent, _ := strconv.Atoi(f[parentAt]); !live[parent] {
			return fmt.Errorf("process %d is left of a node that has ended", pid)
		}
	}
	return nil
}

// ofCluster reports whether a process is an engine or a node whose folder is in dir.
func ofCluster(proc, dir string) bool {
	env, err := os.ReadFile(proc + "/environ")
	if err == nil && bytes.Contains(env, []byte("POND_ENGINE_DIR="+dir+"/")) {
		return true
	}
	line, err := os.ReadFile(proc + "/cmdline")
	return err == nil && bytes.Contains(line, []byte("--data\x00"+dir+"/"))
}

// openFiles is how many files a process has open.
func openFiles(pid int) (int, bool) {
	found, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(found), err == nil
}
