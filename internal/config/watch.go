package config

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long changes are waited for to end: an editor's save is several events.
const settle = 100 * time.Millisecond

// Watch calls onChange after the content of path or of one of the extra files (authorities, certificates,
// file: references) has changed, until the context ends; then it returns nil. Calls do not overlap. It
// watches folders, so that a file that is replaced by a rename, or that is a link which is set anew as in a
// Kubernetes volume, is seen too. extra is asked again after each change; nil: there are none.
func Watch(ctx context.Context, path string, onChange func(), extra func() []string) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching %s: %w", path, err)
	}
	defer w.Close()
	current := func() []string {
		if extra == nil {
			return []string{path}
		}
		return append([]string{path}, extra()...)
	}
	files := current()
	for folder := range folders(files) {
		if err := w.Add(folder); err != nil {
			return fmt.Errorf("watching %s: %w", folder, err)
		}
	}
	seen := contents(files)
	events := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		debounce(ctx, events, settle, func() {
			files := current()
			again(w, files)
			if now := contents(files); !maps.Equal(now, seen) {
				seen = now
				onChange()
				again(w, current())
			}
		})
	}()
	defer func() { <-done }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-w.Events:
			if !ok {
				return nil
			}
		case _, ok := <-w.Errors: // an overflow: something has changed
			if !ok {
				return nil
			}
		}
		select {
		case events <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
	}
}

// again watches the folders of files. One may have been made anew; adding one twice does nothing.
func again(w *fsnotify.Watcher, files []string) {
	for folder := range folders(files) {
		_ = w.Add(folder)
	}
}

// debounce calls f once no event has come for the time d. It takes events while it waits, not while f runs.
func debounce(ctx context.Context, events <-chan struct{}, d time.Duration, f func()) {
	quiet := time.NewTimer(d)
	quiet.Stop()
	var first time.Time // of the events that wait
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			if first.IsZero() {
				first = time.Now()
			}
			quiet.Reset(max(0, min(d, longest*d-time.Since(first)))) // a folder that is never quiet is looked at all the same
		case <-quiet.C:
			first = time.Time{}
			f()
		}
	}
}

// longest is how many times the quiet time events may put off what they ask for.
const longest = 10

// folders gives the folders in which something happens when one of the files changes: where its name stands,
// and where a link leads in the end.
func folders(files []string) map[string]bool {
	out := map[string]bool{}
	for _, f := range files {
		out[filepath.Dir(f)] = true
		if target, err := filepath.EvalSymlinks(f); err == nil {
			out[filepath.Dir(target)] = true
		}
	}
	return out
}

// contents gives the sums of files. A file that cannot be read has none.
func contents(files []string) map[string][sha256.Size]byte {
	out := map[string][sha256.Size]byte{}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			out[f] = sha256.Sum256(b)
		}
	}
	return out
}

// Files lists the files that the configuration names and whose change is a change of the configuration.
func (c *Config) Files() []string {
	var out []string
	add := func(f string) {
		if f != "" {
			out = append(out, f)
		}
	}
	add(c.Listen.TLS.Cert)
	add(c.Listen.TLS.Key)
	add(c.Listen.TLS.ClientCA)
	for _, f := range append(c.Health.Files(), c.Quota.CA, c.Quota.Cert, c.Quota.Key) {
		add(f)
	}
	out = append(out, c.Telemetry.Files()...)
	out = append(out, c.Alerts.Files()...)
	for i := range c.Auth.JWT {
		add(c.Auth.JWT[i].JWKSFile)
		add(c.Auth.JWT[i].CA)
	}
	for i := range c.Providers {
		p := &c.Providers[i]
		add(p.CA)
		for _, r := range append(p.ParamRefs(), p.Refs()...) {
			if f, ok := r.File(); ok {
				add(f)
			}
		}
	}
	return out
}
