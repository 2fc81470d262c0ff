package health

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/health/sketch"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Known is all that a process knows of health, to be told as one: to other replicas, and to its own next life.
type Known struct {
	Targets *Targets
	Rests   *Cooldowns
}

// Bounds of what is told and believed.
const (
	mostTold    = 512            // targets of a summary: those that are tried most
	leastWeight = 0.05           // below which a target has nothing to tell
	oldest      = 24 * time.Hour // a summary that is older is not worth reading
	mostWeight  = 1e7            // no figure rests on more than these attempts
)

// told is the form of a summary: JSON with members of one letter. Durations are milliseconds from when it was made. It
// holds what the process has learnt itself, and nothing that it was told.
type told struct {
	Version int          `json:"v"`
	At      int64        `json:"at"` // Unix milliseconds, by the clock of who tells
	Targets []toldTarget `json:"t,omitzero"`
	Rests   []toldRest   `json:"c,omitzero"`
}

const toldVersion = 1

type toldTarget struct {
	Provider string     `json:"p"`
	Model    string     `json:"m"`
	Success  toldMean   `json:"s,omitzero"`
	First    []int64    `json:"f,omitzero"` // bucket, weight in thousandths, and so on
	Total    []int64    `json:"d,omitzero"`
	Each     []int64    `json:"e,omitzero"`
	Output   toldMean   `json:"o,omitzero"`
	Cached   toldMean   `json:"c,omitzero"`
	Room     *toldRoom  `json:"r,omitzero"`
	Open     []toldOpen `json:"b,omitzero"`
	Quiet    int64      `json:"q,omitzero"` // since an attempt last began or ended
	Probe    *toldProbe `json:"x,omitzero"`
	Well     []toldWell `json:"w,omitzero"`
}

type toldMean struct {
	Value  float64 `json:"v"`
	Weight float64 `json:"w"`
}

type toldRoom struct {
	Requests float64 `json:"r"`
	Tokens   float64 `json:"t"`
	Reset    int64   `json:"e"`
}

// toldOpen is a breaker that opened by itself.
type toldOpen struct {
	Key   string `json:"k"`
	ID    int64  `json:"i"` // of the opening: when it was, in nanoseconds
	Times int    `json:"n"` // in a row
	Left  int64  `json:"l"`
}

type toldRest struct {
	Provider string `json:"p"`
	Key      string `json:"k"`
	Model    string `json:"m,omitzero"`
	Left     int64  `json:"l"`
}

// Summary tells what the process has learnt itself.
func (k Known) Summary(now time.Time) ([]byte, error) {
	s := told{Version: toldVersion, At: now.UnixMilli(), Rests: k.Rests.told(now)}
	for _, t := range k.Targets.all() {
		if one, ok := t.told(now); ok {
			s.Targets = append(s.Targets, one)
		}
	}
	if len(s.Targets) > mostTold {
		slices.SortStableFunc(s.Targets, func(a, b toldTarget) int {
			return cmp.Or(cmp.Compare(len(b.Open), len(a.Open)), cmp.Compare(b.Success.Weight, a.Success.Weight))
		})
		s.Targets = s.Targets[:mostTold]
	}
	return jsonx.Encode(&s)
}

func (t *Target) told(now time.Time) (toldTarget, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := toldTarget{
		Provider: t.provider, Model: t.model,
		Success: t.success.told(now, halfSuccess), Output: t.output.told(now, halfUsage), Cached: t.cached.told(now, halfUsage),
		First: shares(&t.first, now), Total: shares(&t.total, now), Each: shares(&t.each, now),
	}
	if left := t.room.Reset - now.Sub(t.roomAt); !t.roomAt.IsZero() && left > 0 {
		one.Room = &toldRoom{t.room.Requests, t.room.Tokens, left.Milliseconds()}
	}
	for key, b := range t.keys {
		if b.at(now) == Open && !b.heard {
			one.Open = append(one.Open, toldOpen{key, b.broke.UnixNano(), b.opened, b.until().Sub(now).Milliseconds()})
		}
	}
	slices.SortFunc(one.Open, func(a, b toldOpen) int { return cmp.Compare(a.Key, b.Key) })
	t.tellProbes(&one, now)
	return one, one.Success.Weight > 0 || one.Output.Weight > 0 || one.First != nil || one.Room != nil || one.Open != nil || one.Quiet > 0
}

func (m *mean) told(now time.Time, half time.Duration) toldMean {
	w := m.weight * m.fade(now, half)
	if w < leastWeight {
		return toldMean{}
	}
	return toldMean{math.Round(m.value(0)*1e4) / 1e4, math.Round(w*1e2) / 1e2}
}

func shares(s *sketch.Sketch, now time.Time) (out []int64) {
	if s.Weight(now) < leastWeight {
		return nil
	}
	for _, b := range s.Shares(now) {
		out = append(out, int64(b.Bucket), int64(math.Round(min(b.Weight, mostWeight)*1e3)))
	}
	return out
}

// Restore takes back what a summary of this process's earlier life says, as old as it is by now.
func (k Known) Restore(data []byte, now time.Time) error {
	s, err := readTold(data)
	if err != nil {
		return err
	}
	at := time.UnixMilli(s.At)
	if at.After(now) {
		at = now // the clock was set back: nothing is younger than now
	}
	age := now.Sub(at)
	if age > oldest {
		return nil
	}
	k.Rests.hear(s.Rests, age, now, false)
	for i := range s.Targets {
		one := &s.Targets[i]
		t := k.Targets.Of(one.Provider, one.Model)
		if t == nil {
			continue
		}
		t.mu.Lock()
		if t.success.weight == 0 { // what is learnt by now counts more
			t.learnt.forget()
			t.learnt.hear(one, at)
		}
		for _, o := range one.Open {
			t.breaker(o.Key, now).adopt(o.Times, time.Duration(o.Left)*time.Millisecond-age, now)
		}
		t.publish(now)
		t.mu.Unlock()
	}
	return nil
}

// Heard is a summary of another replica, and how old it is.
type Heard struct {
	Summary []byte
	Age     time.Duration
}

// Hear takes what all other replicas tell, in place of what they told before. Their figures count with their weights,
// their open breakers and the keys that they let rest are taken over with their ends. A summary that cannot be read is
// left out, and the error says so.
func (k Known) Hear(others []Heard, now time.Time) error {
	var errs []error
	told := map[*Target]*learnt{}
	for _, o := range others {
		s, err := readTold(o.Summary)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		age := min(max(o.Age, 0), oldest)
		k.Rests.hear(s.Rests, age, now, true)
		for i := range s.Targets {
			one := &s.Targets[i]
			t := k.Targets.Of(one.Provider, one.Model)
			if t == nil {
				continue
			}
			l := told[t]
			if l == nil {
				l = &learnt{}
				l.forget()
				told[t] = l
			}
			l.hear(one, now.Add(-age))
			for _, o := range one.Open {
				t.takeOver(o, age, now)
			}
			for _, o := range one.Well {
				t.follow(o, age, now)
			}
		}
	}
	for _, t := range k.Targets.all() {
		l := told[t]
		t.mu.Lock()
		if l != nil || t.others != nil {
			t.others = l
			t.publish(now)
		}
		t.mu.Unlock()
	}
	return errors.Join(errs...)
}

// takeOver opens a breaker that opened elsewhere, once for each opening.
func (t *Target) takeOver(o toldOpen, age time.Duration, now time.Time) {
	t.mu.Lock()
	b := t.breaker(o.Key, now)
	changed := o.ID != b.from && b.adopt(o.Times, time.Duration(o.Left)*time.Millisecond-age, now)
	if b.from = o.ID; changed {
		b.heard = true
	}
	t.mu.Unlock()
	if changed {
		t.tell(o.Key, Open)
	}
}

// hear adds what somebody told at a time.
func (l *learnt) hear(o *toldTarget, at time.Time) {
	l.success.hear(o.Success, 1, at, halfSuccess)
	l.output.hear(o.Output, math.MaxInt32, at, halfUsage)
	l.cached.hear(o.Cached, 1, at, halfUsage)
	put(&l.first, o.First, at)
	put(&l.total, o.Total, at)
	put(&l.each, o.Each, at)
	l.hearProbes(o, at)
	if r := o.Room; r != nil && at.After(l.roomAt) && r.Requests <= 1 && r.Tokens <= 1 && r.Reset > 0 && r.Reset < oldest.Milliseconds() {
		l.room, l.roomAt = Room{max(r.Requests, -1), max(r.Tokens, -1), time.Duration(r.Reset) * time.Millisecond}, at
	}
}

func (m *mean) hear(o toldMean, most float64, at time.Time, half time.Duration) {
	if o.Weight > 0 && o.Weight <= mostWeight*1e3 && o.Value >= 0 && o.Value <= most {
		m.add(o.Value, o.Weight, at, half)
	}
}

func put(s *sketch.Sketch, shares []int64, at time.Time) {
	for i := 0; i+1 < len(shares); i += 2 {
		s.Put(sketch.Share{Bucket: int(min(max(shares[i], -1), math.MaxInt16)), Weight: min(float64(shares[i+1])/1e3, mostWeight)}, at)
	}
}

func readTold(data []byte) (*told, error) {
	s := &told{}
	if err := jsonx.Decode(data, s); err != nil {
		return nil, fmt.Errorf("a summary of health: %w", err)
	}
	if s.Version != toldVersion {
		return nil, fmt.Errorf("a summary of health of version %d", s.Version)
	}
	return s, nil
}
