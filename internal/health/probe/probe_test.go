package probe

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// gateway stands for Envoy, the service and a provider: what it answers is learnt as the log would tell it.
type gateway struct {
	known  health.Known
	code   llm.Code // of attempts
	unmade string   // the body of a refusal of the gateway's own; "": it makes an attempt
	away   bool     // nobody listens
	deaf   bool     // the attempt is learnt elsewhere
	took   time.Duration

	sent    []health.Subject
	at      []time.Duration
	began   time.Time
	results map[Result]int
	turns   func(what string) (bool, time.Duration, error)
}

func newGateway() *gateway {
	return &gateway{known: health.Known{Targets: health.NewTargets(), Rests: health.NewCooldowns()}, results: map[Result]int{}, began: time.Now(), took: 100 * time.Millisecond}
}

// Do is called by one probe at a time in these tests: its targets are few, and answers come fast.
func (g *gateway) Do(req *http.Request, who auth.Identity, about string, now time.Time) (*http.Response, error) {
	s, ok := ReadAbout(about)
	if !ok || who.Owner().Organization != "signalbox.own" {
		return nil, errors.New("it is no probe")
	}
	g.sent, g.at = append(g.sent, s), append(g.at, now.Sub(g.began))
	if g.away {
		return nil, errors.New("nobody listens")
	}
	res := &http.Response{StatusCode: 200, Status: "200 OK", Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}
	if g.unmade != "" {
		res.StatusCode, res.Body = 429, io.NopCloser(strings.NewReader(g.unmade))
		if strings.Contains(g.unmade, "budget") {
			res.Header.Set("x-should-retry", "false")
		}
		return res, nil
	}
	time.Sleep(g.took)
	if !g.deaf {
		h := g.known.Targets.Of(s.Provider, s.Model)
		h.Begin(s.Key, time.Now())
		h.End(health.Attempt{Key: s.Key, Code: g.code, Took: g.took, Probe: true}, time.Now())
	}
	if g.code != llm.CodeNone {
		res.StatusCode = 503
	}
	return res, nil
}

// run probes for a time.
func (g *gateway) run(t *testing.T, r Rules, d time.Duration, do func(p *Prober), targets ...Target) {
	t.Helper()
	params := Params{Client: g, Known: g.known, Log: slog.New(slog.DiscardHandler), Count: func(_, _ string, r Result) { g.results[r]++ }}
	if g.turns != nil {
		params.Turn = func(_ context.Context, what string, _ time.Duration) (bool, time.Duration, error) {
			return g.turns(what)
		}
	}
	p := New(params)
	p.Set(r, targets, nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	if do != nil {
		do(p)
	}
	time.Sleep(d)
	stop()
	<-done
}

// break opens the breaker of a key.
func (g *gateway) breaks(key string) {
	h := g.known.Targets.Of("p", "m")
	for range 5 {
		h.Begin(key, time.Now())
		h.End(health.Attempt{Key: key, Code: llm.CodeConnect}, time.Now())
	}
}

var one = Target{Provider: "p", Model: "m", Keys: []string{"k"}, Method: "POST", Path: "/v1/chat/completions", Body: []byte("{}")}

func TestABreakerThatWaitsIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway()
		g.breaks("k")
		h := g.known.Targets.Of("p", "m")
		g.run(t, Rules{When: Resting, Every: time.Hour, Timeout: time.Second}, 4*time.Second, func(*Prober) {
			for range 50 { // no client is let in before the last trial is over
				time.Sleep(100 * time.Millisecond)
				if _, rests := h.Rests("k", 0, time.Now()); !rests {
					t.Errorf("after %v clients are the trials", time.Since(g.began))
				}
			}
		}, one)
		if len(g.sent) != 3 || g.at[0] < 5*time.Second || g.at[2] > 8*time.Second || h.Stand("k", time.Now()).State != health.Closing {
			t.Errorf("probes at %v, and then it is %v", g.at, h.Stand("k", time.Now()).State)
		}
		if d := cmp.Diff(map[Result]int{Answered: 3}, g.results); d != "" {
			t.Error(d)
		}
	})
}

func TestProbesBeginAndEndWithTheRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway()
		resting := Rules{When: Resting, Every: time.Hour, Timeout: time.Second}
		g.breaks("k")
		g.run(t, Rules{}, 0, func(p *Prober) {
			time.Sleep(10 * time.Second)
			if len(g.sent) > 0 {
				t.Errorf("probes at %v, when none are asked for", g.at)
			}
			p.Set(resting, []Target{one}, nil)
			time.Sleep(time.Second)
			if len(g.sent) == 0 {
				t.Error("none is sent when they are asked for")
			}
			p.Set(Rules{}, nil, nil)
			time.Sleep(time.Second)
			before := len(g.sent)
			g.breaks("k")
			time.Sleep(10 * time.Second)
			if len(g.sent) > before {
				t.Error("one is sent when none are asked for any more")
			}
		}, one)
	})
}

func TestAProbeThatFailsWaitsAsTheBreakerDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway()
		g.code = llm.CodeTimeout
		g.breaks("k")
		g.run(t, Rules{When: Resting, Every: time.Hour, Timeout: time.Second}, 40*time.Second, nil, one)
		if len(g.sent) != 3 || g.results[Failed] != 3 { // after 5, 15 and 35 s
			t.Errorf("probes at %v: %v", g.at, g.results)
		}
	})
}

// TestWhatCannotBeProbedIsTriedByClients has a breaker whose probes come to nothing.
func TestWhatCannotBeProbedIsTriedByClients(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*gateway)
		want Result
		most int // probes in half a minute
	}{
		"the budget is spent":      {func(g *gateway) { g.unmade = `{"error":{"message":"the budget is spent"}}` }, Spent, 1},
		"no price is known":        {func(g *gateway) { g.unmade = `{"error":{"code":"unknown_price"}}` }, Unpriced, 1},
		"the gateway refuses":      {func(g *gateway) { g.unmade = `not JSON` }, Refused, 1},
		"an error is no object":    {func(g *gateway) { g.unmade = `{"error":"no"}` }, Refused, 1},
		"Envoy is away":            {func(g *gateway) { g.away = true }, Unsent, 6},
		"another process hears it": {func(g *gateway) { g.deaf = true }, Elsewhere, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway()
				c.set(g)
				g.breaks("k")
				h := g.known.Targets.Of("p", "m")
				let := false
				g.run(t, Rules{When: Resting, Every: time.Hour, Timeout: time.Second}, 20*time.Second, func(*Prober) {
					time.Sleep(10 * time.Second) // the breaker's 5, and at most 3 until it is known that no log entry comes
					for range 20 {
						_, rests := h.Rests("k", 0, time.Now())
						let = let || !rests
						time.Sleep(100 * time.Millisecond)
					}
				}, one)
				if !let || len(g.sent) == 0 || len(g.sent) > c.most || g.results[c.want] != len(g.sent) {
					t.Errorf("clients are let in: %v; probes at %v: %v", let, g.at, g.results)
				}
			})
		})
	}
}

func TestWhatNobodyAsksIsProbed(t *testing.T) {
	every := 10 * time.Second
	for name, c := range map[string]struct {
		when        When
		busy        bool
		least, most int // in a minute and a half
	}{
		"when idle, without traffic":   {Idle, false, 6, 9},
		"when idle, with traffic":      {Idle, true, 0, 0},
		"always, with traffic":         {Always, true, 6, 9},
		"when resting, without any":    {Resting, false, 0, 0},
		"never, which is the default":  {Never, false, 0, 0},
		"always, without any traffic,": {Always, false, 6, 9},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway()
				h := g.known.Targets.Of("p", "m")
				g.run(t, Rules{When: c.when, Every: every, Timeout: time.Second}, 0, func(*Prober) {
					for range 90 {
						if c.busy {
							h.Begin("k", time.Now())
							h.End(health.Attempt{Key: "k"}, time.Now())
						}
						time.Sleep(time.Second)
					}
				}, one)
				if n := len(g.sent); n < c.least || n > c.most {
					t.Errorf("%d probes, at %v", n, g.at)
				}
				for i := 1; i < len(g.at); i++ {
					if d := g.at[i] - g.at[i-1]; d < every || d > every+every/spread+2*tick+g.took+tick {
						t.Errorf("the %d. comes %v after the one before", i+1, d)
					}
				}
			})
		})
	}
}

// TestWhatIsLearntElsewhereIsProbedAsOften has another process hear of all probes.
func TestWhatIsLearntElsewhereIsProbedAsOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway()
		g.deaf = true
		g.run(t, Rules{When: Idle, Every: 10 * time.Second, Timeout: time.Second}, time.Minute, nil, one)
		if n := len(g.sent); n < 3 || n > 6 || g.results[Elsewhere] != n {
			t.Errorf("probes at %v: %v", g.at, g.results)
		}
	})
}

// TestKeysTakeTurns has a target of three keys, of which one rests and one is asked by its provider to wait.
func TestKeysTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway()
		g.breaks("open")
		g.known.Rests.Cool(health.Subject{Provider: "p", Key: "cool"}, time.Now(), 10*time.Minute)
		target := one
		target.Keys = []string{"a", "open", "cool", "b"}
		g.code = llm.CodeOverloaded
		g.run(t, Rules{When: Idle, Every: time.Minute, Timeout: time.Second}, 6*time.Second, nil, target)
		if d := cmp.Diff([]health.Subject{{Provider: "p", Model: "m", Key: "open"}}, g.sent); d != "" {
			t.Error(d)
		}
		g.sent, g.code = nil, llm.CodeNone
		g.run(t, Rules{When: Idle, Every: 10 * time.Second, Timeout: time.Second}, 2*time.Minute, nil, target)
		n := map[string]int{}
		for _, s := range g.sent {
			n[s.Key]++
		}
		if n["open"] < 3 || n["a"] < 2 || n["b"] < 2 || n["cool"] != 0 {
			t.Errorf("probes by key: %v", n)
		}
	})
}

// TestWhatTheProviderAsksForIsKept has a breaker whose rest is over long before that which the provider asks for.
func TestWhatTheProviderAsksForIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway()
		g.breaks("k")
		g.known.Rests.Cool(health.Subject{Provider: "p", Key: "k", Model: "m"}, time.Now(), 20*time.Second)
		h := g.known.Targets.Of("p", "m")
		g.run(t, Rules{When: Resting, Every: time.Hour, Timeout: time.Second}, 4*time.Second, func(*Prober) {
			for range 201 {
				time.Sleep(100 * time.Millisecond)
				if _, rests := h.Rests("k", 0, time.Now()); !rests {
					t.Errorf("after %v clients are the trials", time.Since(g.began))
				}
			}
		}, one)
		if len(g.sent) != 3 || g.at[0] < 20*time.Second {
			t.Errorf("probes at %v", g.at)
		}
	})
}

func TestOthersHaveTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway()
		asked := 0
		g.turns = func(string) (bool, time.Duration, error) { asked++; return false, 5 * time.Second, nil }
		g.breaks("k")
		h := g.known.Targets.Of("p", "m")
		g.run(t, Rules{When: Resting, Every: time.Hour, Timeout: time.Second}, 15*time.Second, nil, one)
		if _, rests := h.Rests("k", 0, time.Now()); !rests || len(g.sent) > 0 || asked < 5 || asked > 15 {
			t.Errorf("trials are kept: %v, %d probes, %d questions", rests, len(g.sent), asked)
		}
		g.turns = func(string) (bool, time.Duration, error) { return false, 0, errors.New("Redis is away") }
		g.run(t, Rules{When: Resting, Every: time.Hour, Timeout: time.Second}, 5*time.Second, nil, one)
		if len(g.sent) != 3 {
			t.Errorf("while nobody says whose turn it is there are probes at %v", g.at)
		}
	})
}

// TestWhatIsNewHasItsTime has a configuration that is read again long after the process began.
func TestWhatIsNewHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway()
		rules := Rules{When: Idle, Every: 10 * time.Second, Timeout: time.Second}
		g.run(t, rules, 13*time.Second, func(p *Prober) {
			time.Sleep(time.Minute)
			p.Set(rules, []Target{one}, nil)
		})
		if len(g.at) != 1 || g.at[0] < 70*time.Second {
			t.Errorf("probes at %v", g.at)
		}
	})
}

// TestModelsThatRoutesPassOnAreProbed has a breaker of a model that no route names.
func TestModelsThatRoutesPassOnAreProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway()
		g.breaks("k")
		g.run(t, Rules{When: Resting, Every: time.Hour, Timeout: time.Second}, 8*time.Second, func(p *Prober) {
			p.Set(Rules{When: Resting, Every: time.Hour, Timeout: time.Second}, nil, func(provider, model string) (Target, bool) {
				return one, provider == "p" && model == "m"
			})
		})
		if len(g.sent) != 3 {
			t.Errorf("probes at %v", g.at)
		}
	})
}

func TestWhatAPassSays(t *testing.T) {
	s := health.Subject{Provider: "p", Model: "a/b:c", Key: ""}
	if got, ok := ReadAbout(About(s)); got != s || !ok {
		t.Errorf("got %+v", got)
	}
	for _, about := range []string{"", "probe", "x/arm\nacme/1", "probe\n\nm\nk", "probe\np\n\nk", "probe\np\nm", "probe\np\nm\nk\n", "copy\np\nm\nk"} {
		if s, ok := ReadAbout(about); ok {
			t.Errorf("%q is of a probe of %+v", about, s)
		}
	}
}
