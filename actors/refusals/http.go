package refusals

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"strings"
)

// ErrorLog is for an http.Server. Failed handshakes are noted, panics of handlers are
// errors of ours, and the rest, connections that end, is for who debugs.
func (l *Log) ErrorLog() *log.Logger { return log.New(serverLog{l}, "", 0) }

type serverLog struct{ l *Log }

// What net/http begins its lines with.
const (
	handshakeLine = "http: TLS handshake error from "
	panicLine     = "http: panic serving "
)

func (s serverLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	if rest, ok := strings.CutPrefix(text, handshakeLine); ok {
		from, why, _ := strings.Cut(rest, ": ")
		s.l.Note("a TLS handshake", "from", from, "err", why)
		return len(line), nil
	}
	level := slog.LevelDebug
	if strings.HasPrefix(text, panicLine) {
		level = slog.LevelError
	}
	s.l.log.Log(context.Background(), level, text)
	return len(line), nil
}
