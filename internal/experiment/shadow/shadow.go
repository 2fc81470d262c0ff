// Package shadow sends copies of requests to the shadow arms of experiments: as traffic of the gateway's own, through Envoy,
// like everybody's. It keeps nothing of the answers; what they took and cost is in the ledger.
//
//	exchange ─ Admit, Offer ─► queue, bounded in copies and bytes ─► workers ─► Envoy's own socket ─► plan, attempt, ledger
//
// Nobody waits for it: what it has no room for is not sent, and counted.
package shadow

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
)

// Copy is a copy of a request for one arm.
type Copy struct {
	Arm      string // EXPERIMENT/ARM
	Exchange string // the exchange that it is a copy of, ORGANIZATION/ID
	Method   string
	Path     string // with query, without credentials
	Header   http.Header
	Body     []byte // is not changed
	Who      auth.Identity
	Timeout  time.Duration // of its answer; 0: the longest
}

// Result is what became of a copy.
type Result string

// Results.
const (
	Answered Result = "answered"
	Failed   Result = "failed"    // it got an error, or no answer
	Spent    Result = "spent"     // what may be spent in a day is spent, or reserved
	Full     Result = "full"      // too many copies wait, or too much memory is held
	Large    Result = "too_large" // its body is over the bound
	Stateful Result = "stateful"  // sent twice, it would do something twice
)

// Bounds.
const (
	MostBody = 4 << 20  // bytes of a body that is copied
	mostHeld = 64 << 20 // bytes of all that wait or are under way
	queued   = 1024     // copies that wait
	workers  = 64       // copies that are under way
	rest     = 30 * time.Second
	longest  = 30 * time.Minute // until an answer is complete
)

// Params of a Sender.
type Params struct {
	Socket string // of Envoy's listener for own traffic
	Passes *pass.Issuer
	Count  func(arm string, r Result) // called for each copy
	Held   func(bytes int64)          // called when the bytes that are held have changed
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Sender is safe for concurrent use. A nil Sender admits nothing.
type Sender struct {
	p      Params
	client *pass.Client
	queue  chan *Copy
	held   atomic.Int64
	rests  sync.Map // by arm: time.Time until which nothing is sent to it
}

// New makes a Sender, which sends once it runs.
func New(p Params) *Sender {
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Held == nil {
		p.Held = func(int64) {}
	}
	return &Sender{p: p, queue: make(chan *Copy, queued), client: pass.NewClient(p.Socket, p.Passes, workers)}
}

// Admit reports whether a body of a length can be sent to an arm now. What cannot is counted.
func (s *Sender) Admit(arm string, length int) bool {
	switch until := s.resting(arm); {
	case s == nil:
		return false
	case length > MostBody:
		s.p.Count(arm, Large)
	case s.p.Now().Before(until):
		s.p.Count(arm, Spent)
	case len(s.queue) == cap(s.queue) || s.held.Load()+int64(length) > mostHeld:
		s.p.Count(arm, Full)
	default:
		return true
	}
	return false
}

// Admitted returns those of the arms to which a copy of a body of a length can be sent now. Each is looked at by itself: what one has
// no budget left for, another may get. What is not sent is counted, all of it where a request cannot be repeated.
func (s *Sender) Admitted(arms []string, length int, repeatable bool) (admitted []string) {
	for _, arm := range arms {
		switch {
		case s == nil:
		case !repeatable:
			s.p.Count(arm, Stateful)
		case s.Admit(arm, length):
			admitted = append(admitted, arm)
		}
	}
	return admitted
}

// resting is until when nothing is sent to an arm, whose budget is spent; zero: it is not.
func (s *Sender) resting(arm string) (until time.Time) {
	if s == nil {
		return until
	}
	if v, ok := s.rests.Load(arm); ok {
		until = v.(time.Time)
	}
	return until
}

// Offer takes copies, each with a body of its own or with one that they share. It does not wait: what there is no room for is
// dropped, and counted.
func (s *Sender) Offer(all ...*Copy) {
	for _, c := range all {
		if s.hold(int64(len(c.Body))) > mostHeld {
			s.drop(c, Full)
			continue
		}
		select {
		case s.queue <- c:
		default:
			s.drop(c, Full)
		}
	}
}

func (s *Sender) hold(n int64) int64 {
	held := s.held.Add(n)
	s.p.Held(held)
	return held
}

// drop ends a copy.
func (s *Sender) drop(c *Copy, r Result) {
	s.hold(-int64(len(c.Body)))
	s.p.Count(c.Arm, r)
}

// Run sends until the context ends, which ends what is under way. It returns when everything has ended.
func (s *Sender) Run(ctx context.Context) {
	if s == nil {
		return
	}
	defer s.client.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, workers)
	for {
		select {
		case <-ctx.Done():
			return
		case room <- struct{}{}:
		}
		select {
		case <-ctx.Done():
			return
		case c := <-s.queue:
			wg.Go(func() {
				defer func() { <-room }()
				s.drop(c, s.send(ctx, c))
			})
		}
	}
}

// send sends a copy and reads its answer to the end.
func (s *Sender) send(ctx context.Context, c *Copy) Result {
	if until := s.resting(c.Arm); s.p.Now().Before(until) {
		return Spent
	}
	d := longest
	if c.Timeout > 0 {
		d = min(d, c.Timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.Method, c.Path, bytes.NewReader(c.Body))
	if err != nil {
		return s.failed(c, err)
	}
	if c.Header != nil {
		req.Header = c.Header
	}
	res, err := s.client.Do(req, c.Who, About{c.Arm, c.Exchange}.String(), s.p.Now())
	if err != nil {
		return s.failed(c, err)
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	switch {
	case err != nil:
		return s.failed(c, err)
	case pass.Spent(res):
		s.rests.Store(c.Arm, s.p.Now().Add(rest))
		return Spent
	case res.StatusCode >= http.StatusBadRequest:
		return Failed
	}
	return Answered
}

// failed says in the log why a copy got no answer.
func (s *Sender) failed(c *Copy, err error) Result {
	if s.p.Log != nil {
		s.p.Log.Debug("a shadow got no answer", "arm", c.Arm, "exchange", c.Exchange, "error", err)
	}
	return Failed
}

// About is what a pass says of a copy.
type About struct {
	Arm      string // EXPERIMENT/ARM
	Exchange string // ORGANIZATION/ID
}

// String writes it, and ReadAbout reads it.
func (a About) String() string { return a.Arm + "\n" + a.Exchange }

// ReadAbout reads what a pass says; ok is false where it is about something else.
func ReadAbout(s string) (a About, ok bool) {
	a.Arm, a.Exchange, ok = strings.Cut(s, "\n")
	if !ok || !strings.Contains(a.Arm, "/") {
		return About{}, false
	}
	return a, true
}
