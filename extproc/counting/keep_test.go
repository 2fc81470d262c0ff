package counting

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/tokenizer"
	"github.com/signalbox-ai/signalbox/tokenizer/calibrate"
)

func TestWhatWasLearntSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "tokens.json")
	start := func() (*Keeper, *bytes.Buffer) {
		var log bytes.Buffer
		l := &Keeper{Path: path, Counter: New(tokenizer.NewSet(nil)), Log: slog.New(slog.NewTextHandler(&log, nil))}
		l.Restore()
		return l, &log
	}
	key := calibrate.Key{Provider: "p", Model: "m"}
	l, _ := start()
	for i := range int64(8) {
		l.Counter.Book().Learn(key, 100+i, 150+i)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	l.Run(ctx)
	again, log := start()
	if a, ok := again.Counter.Book().Adjust(key, 10); !ok || a.Tokens != 60 || log.Len() > 0 {
		t.Errorf("got %+v, %v; log: %s", a, ok, log)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}

	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, log = start(); l.Counter.Book().Len() != 0 || !strings.Contains(log.String(), "is learnt anew") {
		t.Errorf("of a damaged file %d keys were read; log: %s", l.Counter.Book().Len(), log)
	}
}

func TestWhereNothingCanBeWrittenItIsSaid(t *testing.T) {
	var log bytes.Buffer
	l := &Keeper{Path: filepath.Join(t.TempDir(), "file", "x"), Counter: New(tokenizer.NewSet(nil)), Log: slog.New(slog.NewTextHandler(&log, nil))}
	if err := os.WriteFile(filepath.Dir(l.Path), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.Counter.Book().Learn(calibrate.Key{Provider: "p", Model: "m"}, 10, 12)
	l.save()
	if !strings.Contains(log.String(), "cannot be written") {
		t.Errorf("the log says %q", log.String())
	}
}
