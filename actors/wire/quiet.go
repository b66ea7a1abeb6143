package wire

import (
	"context"
	"log/slog"
)

// quiet makes debug notes of all that the actor library logs: it calls a peer
// that went away an error, and says so many times.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }

func quietLogger(log *slog.Logger) *slog.Logger {
	return slog.New(quiet{log.Handler()}).With("lib", "protoactor")
}
