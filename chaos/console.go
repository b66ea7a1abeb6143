package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"sync"
)

// consoleBytesMax bounds the output kept of a process: the beginning is dropped
// first.
const consoleBytesMax = 8 << 20

// console is the output of a process. It can be waited on.
type console struct {
	mu      sync.Mutex
	text    []byte
	changed chan struct{}
}

var _ io.Writer = (*console)(nil)

func newConsole() *console { return &console{changed: make(chan struct{})} }

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	if over := len(c.text) - consoleBytesMax; over > 0 {
		c.text = bytes.Clone(c.text[over:])
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return len(p), nil
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

// await waits until the text matches and returns the match's groups.
func (c *console) await(ctx context.Context, re *regexp.Regexp, ended <-chan struct{}) ([]string, error) {
	for last := false; ; {
		c.mu.Lock()
		m, changed := re.FindStringSubmatch(string(c.text)), c.changed
		c.mu.Unlock()
		if m != nil {
			return m, nil
		}
		if last {
			return nil, fmt.Errorf("the process ended before it wrote %q", re)
		}
		select {
		case <-changed:
		case <-ended:
			last = true
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %q: %w", re, context.Cause(ctx))
		}
	}
}
