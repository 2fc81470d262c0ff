// Package keeper keeps the counts of internal/slo over restarts, in a file, and shows them as metrics.
//
//	file ─ Restore ─► slo.Tracker ─ Run ─┬─► file, every minute and at the end
//	                                     └─► metrics, every second
//
// It counts nothing itself, and judges nothing.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/safefile"
	"github.com/signalbox-ai/signalbox/internal/slo"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// Keeper keeps the counts of a Tracker.
type Keeper struct {
	Path    string // "": nowhere
	Tracker *slo.Tracker
	Metrics *telemetry.SLOMeters
	Log     *slog.Logger

	mu   sync.Mutex // held while objectives change or are shown
	last string     // what the file holds
}

// Times of Run.
const (
	saveEvery = time.Minute
	showEvery = time.Second
)

// file is what is kept.
type file struct {
	Version    int        `json:"version"`
	Objectives []slo.Kept `json:"objectives"`
}

const version = 1

// Restore reads the file. One that cannot be read is of no harm: everything is counted anew.
func (k *Keeper) Restore(now time.Time) {
	if k.Path == "" {
		return
	}
	data, err := os.ReadFile(k.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var f file
	if err == nil {
		err = jsonx.Decode(data, &f)
	}
	if err == nil && f.Version != version {
		err = fmt.Errorf("its version is %d, and not %d", f.Version, version)
	}
	if err != nil {
		k.Log.Warn("what was counted for objectives cannot be read and is counted anew", "file", k.Path, "error", err)
		return
	}
	k.Tracker.Restore(f.Objectives, now)
}

// Set puts objectives in the place of those before.
func (k *Keeper) Set(objectives []slo.Objective, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.count() // what those before have left
	k.Tracker.Set(objectives, now)
	k.Metrics.Forget()
}

// Run shows and keeps until the context ends.
func (k *Keeper) Run(ctx context.Context) {
	save, show := time.NewTicker(saveEvery), time.NewTicker(showEvery)
	defer save.Stop()
	defer show.Stop()
	for {
		select {
		case <-ctx.Done():
			k.Show(time.Now())
			k.save()
			return
		case <-save.C:
			k.save()
		case <-show.C:
			k.Show(time.Now())
		}
	}
}

// Show finds anew how objectives stand, for routing and metrics.
func (k *Keeper) Show(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Tracker.Refresh(now)
	k.count()
	for _, s := range k.Tracker.Status(now) {
		attained := s.Attained
		if s.Kind == slo.Cost {
			attained = slo.Dollars(attained)
		}
		k.Metrics.Stands(s.Name, s.Kind.String(), attained, s.Left)
		for w, rate := range s.Burn {
			k.Metrics.Burns(s.Name, s.Kind.String(), slo.WindowName(w), rate)
		}
	}
}

// ServeHTTP tells how objectives stand, as JSON.
func (k *Keeper) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	b, err := jsonx.Encode(slo.Report(k.Tracker.Status(time.Now())))
	if err != nil {
		k.Log.Error("objectives cannot be told", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n')) // a client that went is no fault
}

// count tells metrics what is new.
func (k *Keeper) count() {
	for _, c := range k.Tracker.Delta() {
		if c.Kind == slo.Cost {
			c.Used, c.Granted = c.Used/1e9, c.Granted/1e9
		}
		k.Metrics.Counted(c.Name, c.Kind.String(), c.Used, c.Granted)
	}
}

// save writes the file where there is something new.
func (k *Keeper) save() {
	if k.Path == "" || !k.Tracker.On() {
		return
	}
	data, err := jsonx.Encode(&file{version, k.Tracker.Keep()})
	if err == nil && string(data) != k.last {
		if err = safefile.Write(k.Path, data); err == nil {
			k.last = string(data)
		}
	}
	if err != nil {
		k.Log.Warn("what was counted for objectives cannot be written", "file", k.Path, "error", err)
	}
}
