// Package probe asks targets by itself whether they answer: those whose breaker waits for trials, so that no client's request
// has to be one, and those that nobody has asked for a time.
//
//	health ─ who rests, who is quiet ─► Prober ─ a request of its own ─► Envoy's own socket ─► plan, attempt, log ─► health
//
// It judges no answer: what comes of a probe is learnt as of every attempt, from Envoy's log. It holds no configuration: Set
// says what there is to ask, and how often.
package probe

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// When says which targets are probed. Each has those before it, too.
type When uint8

// Values of When.
const (
	Never   When = iota
	Resting      // whose breaker waits for trials
	Idle         // that nobody has asked for a time
	Always       // all, however often they are asked
)

// Rules say what is probed, and how often.
type Rules struct {
	When    When
	Every   time.Duration // a target that nobody asks
	Timeout time.Duration // of an answer
}

// Target is what can be probed, and what it is asked.
type Target struct {
	Provider, Model string
	Keys            []string // ids of the provider's keys; one that is "" where it needs none
	Method, Path    string
	Body            []byte // nil: there is none
}

// Result is what became of a probe.
type Result string

// Results.
const (
	Answered Result = "answered" // that the request was wrong is an answer, too
	Failed   Result = "failed"   // by the target's fault
	Spent    Result = "spent"    // what probes may cost in a day is spent
	Unpriced Result = "unpriced" // it is not known what it may cost
	Refused  Result = "refused"  // the gateway itself did not send it
	Unsent   Result = "unsent"   // Envoy could not be reached

	Elsewhere Result = "elsewhere" // it was answered, and what of it was learnt is known to another process
)

// Params of a Prober.
type Params struct {
	Client interface { // pass.Client
		Do(req *http.Request, who auth.Identity, about string, now time.Time) (*http.Response, error)
	}
	Known health.Known
	// Turn reports whether it is for this process to probe something for a time; if not, left is how long another does.
	// Who has it gets it again. nil: there are no others.
	Turn  func(ctx context.Context, what string, d time.Duration) (mine bool, left time.Duration, err error)
	Count func(provider, model string, r Result) // called for each probe
	Log   *slog.Logger
}

// Most is how many probes are under way at most.
const Most = 8

// Bounds.
const (
	tick    = 250 * time.Millisecond
	grace   = 3 * time.Second // trials are kept for probes that long beyond the last look
	hearing = 3 * time.Second // until the log has told of a probe that was answered
	spread  = 5               // what is probed regularly is put off at random by up to this part of the interval
)

// blocks is for how long a key is not probed after something else than an answer.
func (r Result) blocks() time.Duration {
	switch r {
	case Spent:
		return time.Minute
	case Unpriced:
		return 10 * time.Minute
	case Refused, Elsewhere:
		return 30 * time.Second
	case Unsent:
		return 5 * time.Second
	}
	return 0
}

// Prober is safe for concurrent use.
type Prober struct {
	p       Params
	who     auth.Identity
	changed chan struct{} // the rules are others

	mu     sync.Mutex
	rules  Rules
	all    []Target
	other  func(provider, model string) (Target, bool)
	states map[health.Subject]*state
	under  int
	turn   int       // that of the targets which is looked at first
	began  time.Time // since when it is known what to probe: what was not asked before is quiet since then
}

// state is that of a key at a target, or with the key anyKey of the target.
type state struct {
	busy    bool
	next    time.Time // it is not probed before
	blocked time.Time // it cannot be probed before
	said    Result    // in the log
	key     int       // of the target, used last
}

// anyKey stands for whichever key can be used.
const anyKey = "*"

// New makes a Prober, which probes once it runs and has been told what.
func New(p Params) *Prober {
	return &Prober{p: p, who: Who(), changed: make(chan struct{}, 1), states: map[health.Subject]*state{}}
}

// Set says what is probed from now on. other makes a target of a model that is not among them, which routes pass on by the
// client's name for it; it may be nil.
func (p *Prober) Set(r Rules, targets []Target, other func(provider, model string) (Target, bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.all, p.other, p.began = r, targets, other, time.Now()
	select {
	case p.changed <- struct{}{}:
	default:
	}
	for s, st := range p.states {
		if st.blocked, st.said = (time.Time{}), ""; !st.busy {
			delete(p.states, s)
		}
	}
}

// Run probes until the context ends, which ends what is under way. It returns when everything has ended.
func (p *Prober) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.changed: // no timer runs where nothing is probed: a process that is idle would wake for it
			if p.probes() {
				t.Reset(tick)
			} else {
				t.Stop()
			}
		case <-t.C:
			for _, x := range p.due(time.Now()) {
				wg.Go(func() { p.probe(ctx, x) })
			}
		}
	}
}

func (p *Prober) probes() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules.When != Never
}

// job is a probe that is to be sent.
type job struct {
	Target
	key   string         // that it is for
	at    health.Subject // that it is counted for: with anyKey where it is no trial
	of    *health.Target
	trial bool
	rules Rules
}

// due looks at all targets, keeps the trials of those that it probes, and returns what is to be sent now.
func (p *Prober) due(now time.Time) (out []job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rules.When == Never {
		return nil
	}
	all := p.all
	for _, s := range p.known().Ill(now) {
		if slices.ContainsFunc(p.all, func(t Target) bool { return t.Provider == s.Provider && t.Model == s.Model }) || p.other == nil {
			continue
		}
		if t, ok := p.other(s.Provider, s.Model); ok {
			all = append(slices.Clip(all), t)
		}
	}
	p.turn++
	for i := range all {
		t := &all[(i+p.turn)%len(all)]
		h := p.known().Of(t.Provider, t.Model)
		var well []string
		for _, key := range t.Keys {
			at := health.Subject{Provider: t.Provider, Model: t.Model, Key: key}
			cools, asked := p.p.Known.Rests.Cooling(at, now) // the provider asks for it
			switch s := h.Stand(key, now); s.State {
			case health.Closed, health.Closing:
				if !asked {
					well = append(well, key)
				}
			default:
				if p.tries(at, h, s, cools, now) {
					out = append(out, p.begin(job{Target: *t, key: key, at: at, of: h, trial: true}))
				}
			}
		}
		if key, ok := p.quiet(t, h, well, now); ok {
			out = append(out, p.begin(job{Target: *t, key: key, at: health.Subject{Provider: t.Provider, Model: t.Model, Key: anyKey}, of: h}))
		}
	}
	return out
}

func (p *Prober) known() *health.Targets { return p.p.Known.Targets }

// tries reports whether a key that rests is to be tried now, and keeps its trials while that is for probes. cools is until when
// the provider asks for rest.
func (p *Prober) tries(at health.Subject, h *health.Target, s health.Stand, cools, now time.Time) bool {
	st := p.of(at)
	switch {
	case now.Before(st.blocked):
		h.Keep(at.Key, time.Time{}, now)
		return false
	case s.State == health.Open, cools.After(now):
		h.Keep(at.Key, slices.MaxFunc([]time.Time{s.Until, cools, now}, time.Time.Compare).Add(grace), now)
		return false
	}
	h.Keep(at.Key, now.Add(grace), now)
	return !st.busy && !s.Full && !now.Before(st.next) && p.under < Most
}

// quiet reports whether a target is to be asked though it does not rest, and with which of its keys.
func (p *Prober) quiet(t *Target, h *health.Target, keys []string, now time.Time) (key string, due bool) {
	if p.rules.When < Idle || len(keys) == 0 || p.under >= Most {
		return "", false
	}
	since, last := h.Quiet()
	if p.rules.When == Always {
		since = last.At
	}
	if since.Before(p.began) {
		since = p.began
	}
	st := p.of(health.Subject{Provider: t.Provider, Model: t.Model, Key: anyKey})
	if now.Sub(since) < p.rules.Every || st.busy || now.Before(st.blocked) {
		return "", false
	}
	if due := since.Add(p.rules.Every); st.next.Before(due) { // it has become due
		st.next = due.Add(rand.N(p.rules.Every/spread + 1))
	}
	if now.Before(st.next) {
		return "", false
	}
	st.key++
	return keys[st.key%len(keys)], true
}

// of returns the state of a key. The caller holds the lock.
func (p *Prober) of(s health.Subject) *state {
	st := p.states[s]
	if st == nil {
		st = &state{}
		p.states[s] = st
	}
	return st
}

func (p *Prober) begin(x job) job {
	p.of(x.at).busy = true
	p.under++
	x.rules = p.rules
	return x
}

// outcome is what came of a job.
type outcome struct {
	Result               // "": it was not for this process
	wait   time.Duration // until the next
	block  time.Duration // until it can be sent again: clients' requests are the trials until then
	why    string        // for the log
}

// probe sends a probe, if it is for this process to do so, and waits until it is known what came of it.
func (p *Prober) probe(ctx context.Context, x job) {
	r := p.ask(ctx, &x)
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.under--
	st := p.of(x.at)
	st.busy, st.next, st.blocked = false, now.Add(r.wait), now.Add(r.block)
	if ctx.Err() != nil || r.Result == "" {
		return
	}
	if r.block > 0 && st.said != r.Result {
		p.p.Log.Warn("a target is not probed", "target", x.Provider+"/"+x.Model, "key", x.key, "result", string(r.Result), "why", r.why, "again_in", r.block)
	}
	st.said = r.Result
	p.p.Count(x.Provider, x.Model, r.Result)
}

// ask does what probe says.
func (p *Prober) ask(ctx context.Context, x *job) outcome {
	if p.p.Turn != nil {
		what, d := x.at.Provider+"/"+x.at.Model+" "+x.at.Key, x.rules.Timeout+hearing+grace
		if !x.trial {
			d = max(d, x.rules.Every-x.rules.Every/10)
		}
		mine, left, err := p.p.Turn(ctx, what, d)
		if err == nil && !mine {
			return outcome{wait: min(max(left, tick), time.Second)}
		}
	}
	sent := time.Now()
	r := p.send(ctx, x)
	if r.Result == Unsent {
		return r
	}
	for end := time.Now().Add(hearing); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(tick / 10) {
		if _, last := x.of.Quiet(); last.Key == x.key && !last.At.Before(sent) {
			if last.Harm {
				return outcome{Result: Failed, wait: tick}
			}
			return outcome{Result: Answered, wait: tick}
		}
	}
	if r.Result == Elsewhere && !x.trial { // it is not known here that it is quiet no more
		r.wait, r.block = x.rules.Every, 0
	}
	return r
}

// send sends it, and says what came of it if no attempt is heard of: then the gateway itself refused it, or it was learnt
// elsewhere.
func (p *Prober) send(ctx context.Context, x *job) outcome {
	ctx, cancel := context.WithTimeout(ctx, x.rules.Timeout+grace)
	defer cancel()
	came := func(r Result, why string) outcome { return outcome{Result: r, wait: tick, block: r.blocks(), why: why} }
	req, err := http.NewRequestWithContext(ctx, x.Method, x.Path, bytes.NewReader(x.Body))
	if err != nil {
		return came(Unsent, err.Error())
	}
	if len(x.Body) > 0 {
		req.Header.Set("content-type", "application/json")
	}
	res, err := p.p.Client.Do(req, p.who, About(health.Subject{Provider: x.Provider, Model: x.Model, Key: x.key}), time.Now())
	if err != nil {
		return came(Unsent, err.Error())
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	_, _ = io.Copy(io.Discard, res.Body) // a list may be long
	if res.StatusCode < http.StatusBadRequest {
		return came(Elsewhere, "")
	}
	code, message := said(body)
	switch {
	case code == "unknown_price":
		return came(Unpriced, message)
	case pass.Spent(res):
		return came(Spent, message)
	}
	return came(Refused, cmp.Or(message, res.Status))
}

// said reads the code and the message of an error, as far as there are any.
func said(body []byte) (code, message string) {
	if _, err := jsonx.Scan(body); err != nil {
		return "", ""
	}
	e := jsonx.Get(body, "error")
	if len(e) == 0 || e[0] != '{' {
		return "", ""
	}
	code, _ = jsonx.String(jsonx.Get(e, "code"))
	message, _ = jsonx.String(jsonx.Get(e, "message"))
	return code, message
}

// mostAnswer is how much of an answer is looked at.
const mostAnswer = 16 << 10
