package chaos

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Fields of a process's stat behind its name.
const (
	parentAt    = 1
	processorAt = 11 // ticks of user time; those of the system follow
)

// Engines are the node's engine processes, with the ticks of the processor that each
// has used.
func (n *Node) Engines() (map[int]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	out, own := map[int]int{}, strconv.Itoa(n.PID())
	for _, path := range stats {
		text, err := os.ReadFile(path) // gone: it has ended
		_, fields, ok := bytes.Cut(text, []byte(") "))
		f := strings.Fields(string(fields))
		if err != nil || !ok || len(f) <= processorAt+1 || f[parentAt] != own {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		user, _ := strconv.Atoi(f[processorAt])
		system, _ := strconv.Atoi(f[processorAt+1])
		out[pid] = user + system
	}
	return out, nil
}
