package process

import (
	"os"
	"os/exec"
	"testing"
)

func TestParseStatm(t *testing.T) {
	t.Parallel()
	page := int64(os.Getpagesize())
	for line, want := range map[string]int64{
		"5000 300 100 20 0 400 0\n": 200 * page,
		"5000 300 100 ":             200 * page,
		"5000 300 100":              0, // cut off, perhaps within a number
		"5000 300":                  0,
		"":                          0,
		"a b c d":                   0,
	} {
		if got := parseStatm([]byte(line)); got != want {
			t.Errorf("%q: %d, want %d", line, got, want)
		}
	}
}

// A meter sees memory come, and knows nothing of a process that has ended.
func TestMeter(t *testing.T) {
	t.Parallel()
	m := newMeter(os.Getpid())
	defer m.close()
	before := m.resident()
	const much = 64 << 20
	b := make([]byte, much)
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	if after := m.resident(); before == 0 || after < much {
		t.Errorf("%d bytes, then %d with %d more", before, after, len(b))
	}
	c := exec.Command("true")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	gone := newMeter(c.Process.Pid)
	defer gone.close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := gone.resident(); got != 0 {
		t.Errorf("an ended process has %d bytes", got)
	}
}
