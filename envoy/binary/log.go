package binary

import (
	"context"
	"log/slog"
	"strings"
)

// logLine logs one line of Envoy's at its own level. Notices that concern no operator are debug lines:
// that a part of the API which we use is new, and that a field is about to be renamed.
func logLine(log *slog.Logger, line string) {
	level, logger, text := slog.LevelInfo, "", strings.TrimRight(line, "\r\n")
	if parts := strings.SplitN(text, "|", 3); len(parts) == 3 {
		if l, ok := levels(parts[0]); ok {
			level, logger, text = l, parts[1], parts[2]
		}
	}
	if text == "" {
		return
	}
	if strings.Contains(text, "marked as work-in-progress") {
		level = slog.LevelDebug
	}
	log.Log(context.Background(), level, "envoy: "+text, "logger", logger)
}

func levels(s string) (slog.Level, bool) {
	switch s {
	case "trace", "debug":
		return slog.LevelDebug, true
	case "info":
		return slog.LevelInfo, true
	case "warning":
		return slog.LevelWarn, true
	case "error", "critical":
		return slog.LevelError, true
	}
	return 0, false
}
