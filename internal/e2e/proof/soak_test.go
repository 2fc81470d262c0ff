package proof

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// soakYAML has everything on that a deployment has: keys, tags, limits, a ledger, idempotency, policies, health.
const soakYAML = `
log: { level: warn }
providers:
  - { name: one, kind: mock }
  - { name: two, kind: mock, params: { speaks: [anthropic-messages] } }
keys:
  - { name: app, hash: "HASH", limits: { requests_per_minute: 10M, tokens_per_minute: 100M, parallel: 10000 } }
tags: { headers: { feature: x-feature } }
ledger: { store: "sqlite:run/ledger.db" }
idempotency: { store: memory }
routes:
  - { name: echo, match: { models: [ echo ] }, policy: [ healthy, least-busy ], targets: [ one/echo, two/echo ] }
  - { name: fails, match: { models: [ fails ] }, targets: [ one/503, one/echo ] }
  - { name: cut, match: { models: [ cut ] }, targets: [ "one/tokens:50+cut:3" ] }
`

const soakKey = "sk-soak-0123456789abcdef"

// soakFor is how long: $SIGNALBOX_SOAK, or the test is skipped.
func soakFor(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SIGNALBOX_SOAK")
	if text == "" {
		t.Skip("make soak runs it")
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Minute {
		t.Fatal("SIGNALBOX_SOAK is a time of a minute or more")
	}
	return d
}

// gauges are what must not grow.
type gauges struct{ memory, goroutines, files, envoy float64 }

// TestNothingGrows keeps a gateway with everything on under a mixed load, and compares the least of what it holds in an
// middle and in the last part. What grows by a request is found at any rate; tables have come to their bound by then: what an
// exchange came to is remembered for five minutes.
func TestNothingGrows(t *testing.T) {
	total := soakFor(t)
	s := stack.Apart(t, strings.Replace(soakYAML, "HASH", auth.HashKey(soakKey), 1))
	ctx, stop := context.WithTimeout(t.Context(), total)
	defer stop()
	var wg sync.WaitGroup
	var asked atomic.Int64
	for i := range 16 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for ctx.Err() == nil {
				soakOnce(ctx, s.Base, r)
				asked.Add(1)
				time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
			}
		})
	}
	early, late := least{}, least{}
	began := time.Now()
	for tick := time.NewTicker(2 * time.Second); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-tick.C:
			g := read(t, s)
			switch done := time.Since(began); {
			case done < total*6/10: // warming up
			case done < total*7/10:
				early.take(g)
			case done > total*9/10:
				late.take(g)
			}
		}
	}
	wg.Wait()
	t.Logf("%d exchanges in %v", asked.Load(), total)
	t.Logf("early: %v", early)
	t.Logf("late:  %v", late)
	for _, c := range []struct {
		what        string
		early, late float64
		share, more float64
	}{
		{"memory of the service, MB", early.memory, late.memory, 0.1, 4},
		{"goroutines", early.goroutines, late.goroutines, 0.05, 10},
		{"open files", early.files, late.files, 0.05, 5},
		{"memory of Envoy, MB", early.envoy, late.envoy, 0.1, 8},
	} {
		if c.late > c.early*(1+c.share)+c.more {
			t.Errorf("%s: %.0f grew to %.0f", c.what, c.early, c.late)
		}
	}
	if asked.Load() < int64(total/time.Second)*20 {
		t.Error("this is too little load to prove anything")
	}
	if errs := strings.Count(s.Log(), `"level":"ERROR"`); errs > 0 {
		t.Errorf("%d errors in the log", errs)
	}
}

// least is the least of gauges.
type least struct {
	gauges
	any bool
}

func (l *least) take(g gauges) {
	if !l.any {
		l.gauges, l.any = g, true
		return
	}
	l.memory, l.goroutines = min(l.memory, g.memory), min(l.goroutines, g.goroutines)
	l.files, l.envoy = min(l.files, g.files), min(l.envoy, g.envoy)
}

// String is a line of the report.
func (l least) String() string {
	return fmt.Sprintf("%.1f MB, %.0f goroutines, %.0f open files, Envoy %.1f MB", l.memory, l.goroutines, l.files, l.envoy)
}

func read(t *testing.T, s *stack.Stack) gauges {
	t.Helper()
	var g gauges
	for in := bufio.NewScanner(strings.NewReader(s.Metrics())); in.Scan(); {
		name, value, _ := strings.Cut(in.Text(), " ")
		v, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "process_resident_memory_bytes":
			g.memory = v / 1e6
		case "go_goroutines":
			g.goroutines = v
		case "process_open_fds":
			g.files = v
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Envoy().Pid()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	g.envoy = kb / 1e3
	if g.memory == 0 || g.goroutines == 0 || g.files == 0 || g.envoy == 0 {
		t.Fatalf("not all is told: %+v", g)
	}
	return g
}

// soakOnce sends one request of the mix. What comes of it is others' tests.
func soakOnce(ctx context.Context, base string, r *rand.Rand) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	path, model, stream := "/v1/chat/completions", "echo", r.IntN(3) == 0
	switch r.IntN(20) {
	case 0:
		model = "fails"
	case 1:
		model, stream = "cut", true
	case 2:
		model = fmt.Sprint("unknown-", r.IntN(1e6))
	case 3, 4, 5, 6:
		path = "/v1/messages"
	}
	text := strings.Repeat("All work and no play. ", 1+r.IntN(40))
	body := fmt.Sprintf(`{"model":%q,"max_tokens":100,"stream":%v,"messages":[{"role":"user","content":%q}]}`, model, stream, text)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+soakKey)
	req.Header.Set("X-Feature", fmt.Sprint("f", r.IntN(2000)))
	if r.IntN(10) == 0 {
		req.Header.Set("Idempotency-Key", strconv.FormatUint(r.Uint64N(1000), 36))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	if r.IntN(25) == 0 { // a client that leaves
		_, _ = io.CopyN(io.Discard, res.Body, 20)
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
}
