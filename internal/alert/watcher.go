package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/slo"
	"github.com/signalbox-ai/signalbox/internal/trouble"
)

// Alert is something to look at, before anybody is told.
type Alert struct {
	channel.Message // ID is of what it is about, and At when it was found
	budgets.Party
	Height int64 // see book.Notice
}

// message returns what is sent. Its id is the same in every process, for the same alert at the same height.
func (a *Alert) message() *channel.Message {
	m := a.Message
	sum := sha256.Sum256([]byte(a.Organization + "\x00" + a.ID + "\x00" + strconv.FormatInt(a.Height, 10)))
	m.ID = hex.EncodeToString(sum[:16])
	for _, f := range []channel.Fact{{Name: "end_user", Value: a.EndUser}, {Name: "key", Value: a.Key}, {Name: "project", Value: a.Project}, {Name: "team", Value: a.Team}, {Name: "organization", Value: a.Organization}} {
		if f.Value != "" {
			m.Facts = append([]channel.Fact{f}, m.Facts...)
		}
	}
	return &m
}

// Ledger is what is read, and where it is kept what was said.
type Ledger interface {
	Usage(ctx context.Context, q book.Query) ([]book.Row, error)
	ChargedOf(ctx context.Context, organization string, budgets []string, since time.Time) ([]book.Charged, error)
	book.Noticer
}

// Params of a Watcher.
type Params struct {
	Ledger   Ledger
	Counters Counters // nil: what is reserved is not known, and counts when it is settled
	Trouble  *trouble.Log
	Sender   *channel.Sender
	Log      *slog.Logger
}

// Counters are those of limits.
type Counters interface {
	Peek(ctx context.Context, organization string, budgets []*quota.Budget) ([]quota.Counter, error)
}

// State is what holds at one time.
type State struct {
	Settings *Settings
	Table    *budgets.Table // nil: there are no limits
	Keys     []*auth.Key    // of the configuration
	Issued   []*auth.Key    // of a store, those that end soon; its audit log says how they change
	SLOs     []slo.Status   // how what was promised stands
	Canaries []Canary       // that have come to an end
}

// Watcher finds alerts and has them delivered.
type Watcher struct {
	Params
	views   map[string]*view
	loaded  int64 // the hour that series were last read in
	keys    map[string]*auth.Key
	pending []*Alert // events of keys, which are found once

	deliveries sync.WaitGroup
	mu         sync.Mutex
	busy       map[string]*atomic.Bool // by channel
	told       map[book.Notice]time.Time
	last       string // error
}

// New makes a Watcher.
func New(p Params) *Watcher {
	return &Watcher{Params: p, views: map[string]*view{}, busy: map[string]*atomic.Bool{}, told: map[book.Notice]time.Time{}}
}

// Run looks until the context ends, and waits for what is being sent.
func (w *Watcher) Run(ctx context.Context, state func() State) {
	defer w.deliveries.Wait()
	for {
		s := state()
		if s.Settings.On() {
			w.Look(ctx, &s, time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(s.Settings.Every):
		}
	}
}

// Look finds what there is at a time, and begins to deliver it. It is not safe for concurrent use.
func (w *Watcher) Look(ctx context.Context, s *State, now time.Time) {
	found, err := w.find(ctx, s, now)
	w.report(ctx, err)
	w.deliver(ctx, s.Settings, found, now)
}

// Wait waits for what is being sent.
func (w *Watcher) Wait() { w.deliveries.Wait() }

// find returns all that is to be said now, whether or not it was.
func (w *Watcher) find(ctx context.Context, s *State, now time.Time) ([]*Alert, error) {
	w.watchKeys(s, now)
	found := slices.Clone(w.pending)
	found = append(found, endings(s, now)...)
	found = append(found, unkept(s.SLOs, now)...)
	found = append(found, ended(s.Canaries, now)...)
	found = append(found, faulty(w.Trouble, s.Table, now)...)
	limits, err := w.limits(ctx, s.Table, now)
	if err != nil {
		return found, err
	}
	found = append(found, thresholds(limits, now, 2*s.Settings.Every)...)
	if err := w.load(ctx, limits, now); err != nil {
		return found, err
	}
	found = append(found, w.anomalies(s.Settings.least(), now)...)
	ahead, err := w.ahead(ctx, limits, now)
	return append(found, ahead...), err
}

// report says once that the ledger cannot be read, and once that it can again.
func (w *Watcher) report(ctx context.Context, err error) {
	text := ""
	if err != nil && ctx.Err() == nil {
		text = err.Error()
	}
	if text == w.last {
		return
	}
	if w.last = text; text != "" {
		w.Log.Error("the ledger does not say what to alert of", "error", err)
	} else {
		w.Log.Info("the ledger says again what to alert of")
	}
}

// deliver hands alerts to their channels, each in its own time: one that hangs keeps no other waiting, and is left out
// until it has ended.
func (w *Watcher) deliver(ctx context.Context, s *Settings, found []*Alert, now time.Time) {
	by := make([][]*Alert, len(s.Channels))
	for _, a := range found {
		for _, i := range s.receivers(a) {
			by[i] = append(by[i], a)
		}
	}
	for i, alerts := range by {
		if len(alerts) == 0 {
			continue
		}
		to := &s.Channels[i]
		busy := w.busy[to.Name]
		if busy == nil {
			busy = new(atomic.Bool)
			w.busy[to.Name] = busy
		}
		if busy.Swap(true) {
			continue
		}
		w.deliveries.Go(func() {
			defer busy.Store(false)
			for _, a := range alerts {
				if !w.send(ctx, to, a, now) {
					return
				}
			}
		})
	}
}

// retold bounds what is remembered in the process, which only saves questions to the ledger.
const retold = 100_000

// send tells a channel, if nobody has. It reports whether to go on with the next.
func (w *Watcher) send(ctx context.Context, to *channel.Settings, a *Alert, now time.Time) bool {
	n := book.Notice{Organization: a.Organization, ID: a.ID + "/" + to.Name, Height: a.Height}
	w.mu.Lock()
	until, known := w.told[n]
	w.mu.Unlock()
	if known && now.Before(until) {
		return true
	}
	claim := n
	claim.At = time.Now()
	mine, err := w.Ledger.Claim(ctx, claim)
	if err != nil {
		w.Log.Error("an alert waits for the ledger", "channel", to.Name, "error", err)
		return false
	}
	if !mine { // another replica is at it, or it was said
		w.remember(n, now.Add(book.Lease))
		return true
	}
	leased, cancel := context.WithDeadline(ctx, claim.At.Add(book.Lease)) // then another may be at it
	defer cancel()
	if err := w.Sender.Deliver(leased, to, a.message()); err != nil {
		w.Log.Error("an alert cannot be delivered", "channel", to.Name, "kind", a.Kind, "alert", a.Title, "error", err)
		return false // the others would hardly fare better now
	}
	w.Log.Info("alert", "channel", to.Name, "kind", a.Kind, "severity", a.Severity, "alert", a.Title)
	if err := w.Ledger.Said(context.WithoutCancel(ctx), n); err != nil {
		w.Log.Error("an alert may come twice", "channel", to.Name, "error", err)
	}
	w.remember(n, now.Add(24*time.Hour))
	return true
}

func (w *Watcher) remember(n book.Notice, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.told) >= retold {
		clear(w.told)
	}
	w.told[n] = until
}
