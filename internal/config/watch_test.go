package config

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

func TestABurstOfEventsIsOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		events := make(chan struct{})
		calls := make(chan time.Time, 10)
		start := time.Now()
		go debounce(ctx, events, 100*time.Millisecond, func() { calls <- time.Now() })
		for range 5 {
			events <- struct{}{}
			time.Sleep(60 * time.Millisecond)
		}
		time.Sleep(time.Second)
		events <- struct{}{}
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		if len(calls) != 2 {
			t.Fatalf("got %d calls, want 2", len(calls))
		}
		if at := (<-calls).Sub(start); at != 340*time.Millisecond {
			t.Errorf("first call after %v, want 340ms: the last of five events is at 240ms", at)
		}
	})
}

// watching starts Watch and returns what it reports, with a function that waits for one call.
func watching(t *testing.T, path string, extra ...string) (wait func(what string)) {
	t.Helper()
	return watchingWith(t, path, func() []string { return extra })
}

func watchingWith(t *testing.T, path string, extra func() []string) (wait func(what string)) {
	t.Helper()
	calls := make(chan struct{}, 100)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- Watch(ctx, path, func() { calls <- struct{}{} }, extra) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("watch: %v", err)
		}
	})
	// The watcher is up once it answers to changes of a file beside the one that is watched for.
	probe := path + ".probe"
	for up := false; !up; {
		write(t, path, probe)
		select {
		case <-calls:
			up = true
		case <-time.After(250 * time.Millisecond):
			probe += "."
		}
	}
	return func(what string) {
		t.Helper()
		select {
		case <-calls:
		case <-time.After(30 * time.Second):
			t.Fatalf("no call after %s", what)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWatchSeesWritesRenamesAndExtraFiles(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	path, ca := filepath.Join(dir, "signalbox.yaml"), filepath.Join(other, "ca.pem")
	write(t, path, "one")
	write(t, ca, "one")
	wait := watching(t, path, ca)

	write(t, path, "two")
	wait("a write")

	write(t, path+".new", "three")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	wait("a rename")

	write(t, ca, "two")
	wait("a write of an extra file")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wait("a removal")
}

// TestWatchPassesOverWritesBeside has a database in the folder. Whether it is written to is nobody's business here: each look reads all
// files.
func TestWatchPassesOverWritesBeside(t *testing.T) {
	dir := t.TempDir()
	path, beside := filepath.Join(dir, "signalbox.yaml"), filepath.Join(dir, "ledger.db-wal")
	write(t, path, "one")
	write(t, beside, "")
	var looks atomic.Int64
	wait := watchingWith(t, path, func() []string { looks.Add(1); return nil })
	before := int64(-1)
	for before != looks.Load() { // until nothing of the beginning is left
		before = looks.Load()
		time.Sleep(3 * settle)
	}
	for i := range 3 {
		write(t, beside, strconv.Itoa(i))
		time.Sleep(2 * settle)
	}
	write(t, path, "two")
	wait("a write")
	time.Sleep(2 * settle)
	if got := looks.Load() - before; got > 2 { // one before it says that there is a change, one behind
		t.Errorf("it looked %d times for one change", got)
	}
}

func TestWhichEventsConcernTheFiles(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	target, link := filepath.Join(other, "target.pem"), filepath.Join(dir, "link.pem")
	write(t, target, "one")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	w := watched{path: "signalbox.yaml", extra: func() []string { return []string{link, filepath.Join(dir, "not-there.pem")} }}
	w.files()
	for _, c := range []struct {
		name string
		op   fsnotify.Op
		want bool
	}{
		{"./signalbox.yaml", fsnotify.Write, true},
		{filepath.Join(dir, "signalbox.yaml"), fsnotify.Chmod, true}, // the folder's other name
		{link, fsnotify.Write, true},
		{target, fsnotify.Write, true},
		{filepath.Join(dir, "not-there.pem"), fsnotify.Write, true},
		{filepath.Join(dir, "ledger.db-wal"), fsnotify.Write, false},
		{filepath.Join(dir, "ledger.db-wal"), fsnotify.Write | fsnotify.Chmod, false},
		{filepath.Join(dir, "..data"), fsnotify.Create, true}, // a link that a Kubernetes volume sets anew
		{filepath.Join(dir, "new@1.yaml"), fsnotify.Create | fsnotify.Write, true},
		{filepath.Join(dir, "old@1.yaml"), fsnotify.Remove, true},
		{filepath.Join(dir, "old@1.yaml"), fsnotify.Rename, true},
	} {
		if got := w.concerns(fsnotify.Event{Name: c.name, Op: c.op}); got != c.want {
			t.Errorf("%s of %s: got %v", c.op, c.name, got)
		}
	}
}

func TestWatchSeesAKubernetesVolumeChange(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "signalbox.yaml")
	link := func(version, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "signalbox.yaml"), text)
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "one")
	if err := os.Symlink("..data/signalbox.yaml", path); err != nil {
		t.Fatal(err)
	}
	wait := watching(t, path)
	link("..2", "two")
	wait("a swap of links")
	link("..3", "three")
	wait("a second swap of links")
}

func TestWatchRefusesAFolderThatIsNotThere(t *testing.T) {
	if err := Watch(t.Context(), filepath.Join(t.TempDir(), "none", "signalbox.yaml"), func() {}, nil); err == nil {
		t.Fatal("want an error")
	}
}
