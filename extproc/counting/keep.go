package counting

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/signalbox-ai/signalbox/internal/safefile"
)

// Keeper keeps what was learnt in a file.
type Keeper struct {
	Path    string // "": nowhere
	Counter *Counter
	Log     *slog.Logger

	last string // what the file holds
}

// saveEvery is how often what was learnt is written.
const saveEvery = time.Minute

// Restore reads the file. One that cannot be read is of no harm: everything is learnt again.
func (l *Keeper) Restore() {
	if l.Path == "" {
		return
	}
	data, err := os.ReadFile(l.Path)
	if err == nil {
		err = l.Counter.Book().Restore(data)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		l.Log.Warn("what was learnt of tokens cannot be read and is learnt anew", "file", l.Path, "error", err)
	default:
		l.last = string(data)
	}
}

// Run learns until the context ends, and writes from time to time, and at the end.
func (l *Keeper) Run(ctx context.Context) {
	done := make(chan struct{})
	go func() { // ends with the context, and is waited for
		defer close(done)
		l.Counter.Run(ctx)
	}()
	t := time.NewTicker(saveEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			l.save()
		case <-done:
			l.save()
			return
		}
	}
}

// save writes the file where there is something new.
func (l *Keeper) save() {
	if l.Path == "" || l.Counter.Book().Len() == 0 {
		return
	}
	data, err := l.Counter.Book().Save()
	if err == nil && string(data) != l.last {
		if err = safefile.Write(l.Path, data); err == nil {
			l.last = string(data)
		}
	}
	if err != nil {
		l.Log.Warn("what was learnt of tokens cannot be written", "file", l.Path, "error", err)
	}
}
