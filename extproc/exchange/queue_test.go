package exchange_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/queue"
)

// queue WAIT [PROVIDER:UNIT=N]….
func (r *rig) queue(args []string) {
	wait := r.duration(args[0])
	s := queue.Settings{Most: 100, Bytes: 1 << 20, Waits: queue.Waits(wait, wait, wait, wait), Limits: map[string]queue.Limits{}}
	for _, a := range args[1:] {
		at, n, _ := strings.Cut(a, "=")
		provider, unit, _ := strings.Cut(at, ":")
		l := s.Limits[provider]
		switch unit {
		case "requests":
			l.Requests = r.int(n)
		case "tokens":
			l.Tokens = r.int(n)
		case "parallel":
			l.Parallel = r.int(n)
		default:
			r.fatalf("no limit: %q", a)
		}
		s.Limits[provider] = l
	}
	if r.config.line == nil {
		r.config.line = queue.New(nil, nil)
	}
	r.config.line.Configure(s)
}

// waited sees a request through the queue.
func (r *rig) waited(x *exchange.Exchange, reply exchange.Reply) exchange.Reply {
	for reply.Wait > 0 {
		if reply.To != exchange.ToRequestBody || reply.Done || reply.Plan != nil || reply.Answer != nil {
			r.fatalf("who waits has a reply: %+v", reply)
		}
		most, began := reply.Wait, time.Now()
		reply = x.Resume(r.t.Context())
		r.sayf("waited %v of %v", time.Since(began), most)
	}
	return reply
}

// TestAQueueCostsNothingWhereNoLimitIsKnown compares with a process that has none.
func TestAQueueCostsNothingWhereNoLimitIsKnown(t *testing.T) {
	core := func(lined bool) *exchange.Core {
		r := newRig(t)
		r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
		r.route([]string{"chat", "fast", "->", "gpt/gpt-5.1"})
		if lined {
			r.queue([]string{"30s"})
		}
		return exchange.New(r.snapshot(), exchange.Options{Now: func() time.Time { return time.Unix(1000, 0) }, Seed: func() uint64 { return 1 }})
	}
	off, on := core(false), core(true)
	h, body := benchHead(chatPath, "request-1"), benchBody(1<<10, false)
	if diff := cmp.Diff(planOne(off, h, body), planOne(on, h, body)); diff != "" {
		t.Error(diff)
	}
	allocs := func(c *exchange.Core) float64 {
		return testing.AllocsPerRun(200, func() {
			r := planOne(c, h, body)
			c.RequestLogged(exchange.Outcome{Ticket: r.Plan.Ticket, Status: 200, Tries: 1})
		})
	}
	if a, b := allocs(off), allocs(on); b > a+1 { // an id is made anew now and then
		t.Errorf("%v allocations, and %v with a queue", a, b)
	}
}
