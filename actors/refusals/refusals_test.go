package refusals

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What is turned away again and again is logged a few times, and then counted.
func TestNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := New(slog.New(slog.NewTextHandler(&out, nil)))
		lines := func() []string {
			synctest.Wait()
			all := strings.Split(strings.TrimSpace(out.String()), "\n")
			out.Reset()
			return all
		}
		for i := range 1000 {
			l.Note("a message", "from", i)
		}
		l.Note("a request", "from", "h")
		got := lines()
		if len(got) != perWindow+1 || !strings.Contains(got[0], `msg="refused a message" from=0`) || !strings.Contains(got[perWindow], "a request") {
			t.Errorf("%q", got)
		}
		time.Sleep(window)
		if got := lines(); len(got) != 1 || !strings.Contains(got[0], "left_out=995") {
			t.Errorf("at the window's end: %q", got)
		}
		l.Note("a message", "from", "again")
		if got := lines(); !strings.Contains(got[0], "from=again") {
			t.Errorf("afterwards: %q", got)
		}
		time.Sleep(window)
		if got := lines(); got[0] != "" {
			t.Errorf("nothing was left out: %q", got)
		}
		for i := range 1000 { // what a stranger may say is no kind, but should it be
			l.Note(fmt.Sprint("kind ", i))
		}
		if got := lines(); len(got) != kindsMax+perWindow {
			t.Errorf("%d lines of 1000 kinds", len(got))
		}
		l.Close()
		l.Note("a message")
		time.Sleep(window)
		if got := lines(); got[0] != "" {
			t.Errorf("after Close: %q", got)
		}
		(*Log)(nil).Note("a message")
	})
}

// What net/http says is told apart.
func TestErrorLog(t *testing.T) {
	var out bytes.Buffer
	l := New(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer l.Close()
	for line, want := range map[string]string{
		"http: TLS handshake error from [::1]:5: remote error: tls: bad certificate": `level=WARN msg="refused a TLS handshake" from=[::1]:5 err="remote error: tls: bad certificate"`,
		"http: panic serving 1.2.3.4:5: boom":                                        `level=ERROR msg="http: panic serving`,
		"http: URL query contains semicolon":                                         `level=DEBUG`,
	} {
		out.Reset()
		l.ErrorLog().Print(line)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: %s", line, out.String())
		}
	}
}
