package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// lineReader is where a prompt's lines come from.
type lineReader interface {
	// ReadLine shows the prompt and returns a line without its end: io.EOF at
	// Ctrl-D or the end of the input, errCleared at Ctrl-C, errInterrupted when the
	// program is asked to stop.
	ReadLine(prompt string) (string, error)
	// Remember puts a line into the history.
	Remember(line string)
}

// errCleared is a line that was given up.
var errCleared = errors.New("line cleared")

// terminalOf is the file that r is, if it is a terminal.
func terminalOf(r io.Reader) (*os.File, bool) {
	f, ok := r.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// isTerminal reports whether what is written to w is for eyes: a terminal, also one that
// tells no size.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// promptLines edits lines on a terminal. The terminal is raw only while a line is
// read, so that Ctrl-C is a signal while a statement runs. One goroutine reads the
// terminal, a line at a time and only when asked: it may stay behind in a read
// that cannot be ended, when the program is asked to stop.
type promptLines struct {
	in      *os.File
	t       *term.Terminal
	keys    *keyReader
	history *history
	signals <-chan os.Signal
}

func newPromptLines(in *os.File, out io.Writer, signals <-chan os.Signal, h *history, words *completer) *promptLines {
	keys := &keyReader{in: in}
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, out}, "")
	t.History = h
	t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' || words == nil {
			return "", 0, false
		}
		c := words.complete(line, pos)
		showChoices(t, c.choices)
		return c.line, c.pos, true
	}
	return &promptLines{in: in, t: t, keys: keys, history: h, signals: signals}
}

func (p *promptLines) ReadLine(prompt string) (string, error) {
	fd := int(p.in.Fd())
	was, err := term.MakeRaw(fd)
	if err != nil {
		return "", err
	}
	defer term.Restore(fd, was)
	if w, h, err := term.GetSize(fd); err == nil && w > 0 {
		if err := p.t.SetSize(w, h); err != nil {
			return "", err
		}
	}
	p.t.SetPrompt(prompt)
	p.t.SetBracketedPasteMode(true) // a Tab that is pasted completes nothing
	defer p.t.SetBracketedPasteMode(false)
	type read struct {
		line string
		err  error
	}
	done := make(chan read, 1)
	go func() {
		line, err := p.t.ReadLine()
		done <- read{line, err}
	}()
	select {
	case r := <-done:
		if errors.Is(r.err, term.ErrPasteIndicator) {
			r.err = nil
		}
		if p.keys.interrupted() && r.err == nil {
			r.err = errCleared
		}
		return r.line, r.err
	case <-p.signals:
		return "", errInterrupted
	}
}

func (p *promptLines) Remember(line string) { p.history.remember(line) }

// showChoices lists the continuations of a line above it.
func showChoices(w io.Writer, choices []string) {
	if len(choices) == 0 {
		return
	}
	more := ""
	if over := len(choices) - choicesShown; over > 0 {
		choices, more = choices[:choicesShown], fmt.Sprintf("  … and %d more", over)
	}
	fmt.Fprintf(w, "%s%s\n", strings.Join(choices, "  "), more)
}

// Keys as a raw terminal sends them.
const (
	keyInterrupt = 3  // Ctrl-C
	keyLineEnd   = 5  // Ctrl-E
	keyLineKill  = 21 // Ctrl-U
)

// keyReader turns Ctrl-C into keys that clear the line and end it: the editor
// would take it for the end of the input.
type keyReader struct {
	in      io.Reader
	hit     bool
	pending []byte
}

func (k *keyReader) Read(b []byte) (int, error) {
	if len(k.pending) == 0 {
		buf := make([]byte, len(b))
		n, err := k.in.Read(buf)
		if n == 0 {
			return 0, err
		}
		for _, c := range buf[:n] {
			if c == keyInterrupt {
				k.hit = true
				k.pending = append(k.pending, keyLineEnd, keyLineKill, '\r')
				continue
			}
			k.pending = append(k.pending, c)
		}
	}
	n := copy(b, k.pending)
	k.pending = k.pending[n:]
	return n, nil
}

// interrupted reports whether Ctrl-C was pressed since it was last asked.
func (k *keyReader) interrupted() bool {
	hit := k.hit
	k.hit = false
	return hit
}

// historyMax is how many lines are remembered.
const historyMax = 1000

// history is the lines that were typed, latest first, as the editor asks for them.
// Its file is readable by the user alone.
type history struct {
	path  string
	lines []string // latest last
}

// openHistory reads what earlier runs left. Without a file there is none.
func openHistory(path string) *history {
	h := &history{path: path}
	if path == "" {
		return h
	}
	f, err := os.Open(path)
	if err != nil {
		return h
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		h.push(s.Text())
	}
	return h
}

func (h *history) push(line string) {
	h.lines = append(h.lines, line)
	if over := len(h.lines) - historyMax; over > 0 {
		h.lines = h.lines[over:]
	}
}

// remember keeps a line, unless it repeats the last one. That the file cannot be
// written is no reason to disturb the user.
func (h *history) remember(line string) {
	if line == "" || strings.ContainsAny(line, "\r\n") || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.push(line)
	if h.path == "" {
		return
	}
	f, err := os.OpenFile(h.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	_, _ = f.WriteString(line + "\n")
	_ = f.Close()
}

// Add is the editor's: whole statements are remembered, not lines of them.
func (h *history) Add(string) {}

// Len is how many lines there are.
func (h *history) Len() int { return len(h.lines) }

// At is a line; 0 is the latest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
