package mesh

import (
	"context"
	"log/slog"
	"strings"
)

// serfLog turns the lines that Serf and memberlist log, "[WARN] memberlist: …",
// into records.
type serfLog struct {
	log *slog.Logger
}

func (w *serfLog) Write(line []byte) (int, error) {
	level, text := parseLine(string(line))
	w.log.Log(context.Background(), level, text)
	return len(line), nil
}

// noise lists the libraries' complaints whenever a node dies, restarts or leaves,
// and those that Join reports itself.
var noise = []string{
	"Got ping for unexpected node", // an old boot's name, at the address of the new
	"Failed fallback TCP ping",
	"Failed to send UDP",
	"Failed to send indirect UDP ping",
	"Failed to send gossip",
	"Failed to send ack",
	"Failed to push local state",
	"Push/Pull with",
	"Shutdown without a Leave",
	"Refuting a suspect message",
	"Refuting a dead message",
	"Was able to connect to",
}

func parseLine(line string) (slog.Level, string) {
	line = strings.TrimSpace(line)
	tag, text, ok := strings.Cut(line, "] ")
	if !ok || !strings.HasPrefix(tag, "[") {
		return slog.LevelDebug, line
	}
	for _, n := range noise {
		if strings.Contains(text, n) {
			return slog.LevelDebug, text
		}
	}
	switch tag {
	case "[ERR", "[ERROR", "[WARN":
		// Neither is an error of ours: what matters shows in a View or is
		// returned.
		return slog.LevelWarn, text
	}
	// Joins and departures are logged where views are made.
	return slog.LevelDebug, text
}
