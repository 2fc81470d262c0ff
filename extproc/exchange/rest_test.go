package exchange_test

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/testkit/heap"
)

// streams is a core with one route to two targets, and a limit.
func streams(t testing.TB) (*rig, *memory.Store, *quota.Budget) {
	r := newRig(t)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
	r.provider([]string{"two", "openai", "base=https://two.example", "k2=sk-two-1"})
	r.route([]string{"all", "all", "->", "gpt/gpt-4o", "two/gpt-4o", "nohold=1", "usage=pass"})
	store := memory.New(memory.Params{})
	n := &quota.Budget{ID: "n", Owner: quota.Owner{Level: "key", Name: "k"}, Unit: quota.Requests, Limit: 1 << 20, Window: life()}
	r.config.meter, r.config.limits = metering.New(metering.Params{Store: store}), everybody{n}
	r.start()
	return r, store, n
}

func (r *rig) open(id string) string {
	_, reply := r.ask(id, `{"model":"all","stream":true,"messages":[{"role":"user","content":"hi"}]}`)
	if reply.Plan == nil {
		r.t.Fatalf("%+v", reply.Answer)
	}
	return reply.Plan.Ticket
}

// An exchange of the direct path rests two seconds after its beginning, and ends as if it had not.
func TestAStreamRestsUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store, n := streams(t)
		ticket := r.open("request-1")
		time.Sleep(1900 * time.Millisecond)
		if r.core.Sweep(); r.core.Resting() != 0 {
			t.Error("it rests already")
		}
		time.Sleep(100 * time.Millisecond)
		if r.core.Sweep(); r.core.Resting() != 1 || r.core.Live() != 1 {
			t.Errorf("%d rest, %d live", r.core.Resting(), r.core.Live())
		}
		if x, reply := r.ask("request-1", `{"model":"all","stream":true,"messages":[{"role":"user","content":"hi"}]}`); reply.Plan == nil || x.ID == "request-1" {
			t.Error("its id is another's")
		}
		r.core.RequestLogged(exchange.Outcome{Ticket: ticket, Status: 200, Tries: 1, Took: 2 * time.Second})
		synctest.Wait()
		if r.core.Resting() != 0 || r.core.Live() != 1 {
			t.Errorf("%d rest and %d live, when it has ended", r.core.Resting(), r.core.Live())
		}
		if c := counters(t, store, n); c.Used != 1 || c.Reserved != 1 {
			t.Errorf("%d are used and %d reserved", c.Used, c.Reserved)
		}
		r.core.RequestLogged(exchange.Outcome{Ticket: ticket, Status: 200, Tries: 1})
		if c := counters(t, store, n); c.Used != 1 {
			t.Error("it ended twice")
		}
	})
}

// What rests is given up when it is due, and when its Envoy has ended, as everything is.
func TestWhatRestsIsGivenUp(t *testing.T) {
	for _, dies := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r, store, n := streams(t)
			gone := make(chan struct{})
			x := r.core.Begin()
			x.CameBy(gone)
			h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}, {Name: "x-request-id", Value: "request-1"}}
			x.Head(context.Background(), h, false)
			if x.Body(context.Background(), []byte(`{"model":"all","stream":true,"messages":[{"role":"user","content":"hi"}]}`)).Plan == nil {
				t.Fatal("there is no plan")
			}
			time.Sleep(3 * time.Second)
			if r.core.Sweep(); r.core.Resting() != 1 {
				t.Fatal("it does not rest")
			}
			wait := 24*time.Hour - 4*time.Second
			if dies {
				close(gone)
				r.core.Died()
				wait = 0
			}
			time.Sleep(wait)
			if r.core.Sweep() != 0 || r.core.Live() != 1 {
				t.Error("it was given up early")
			}
			time.Sleep(time.Second)
			if r.core.Sweep() != 1 || r.core.Live() != 0 || r.core.Resting() != 0 {
				t.Errorf("it was not given up: %d rest", r.core.Resting())
			}
			if c := counters(t, store, n); c.Reserved != 0 {
				t.Errorf("%d are reserved", c.Reserved)
			}
		})
	}
}

// What more is known of than a ticket tells does not rest.
func TestWhatWasAskedForDoesNotRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _ := streams(t)
		r.open("failed-1")
		r.core.AttemptLogged(exchange.AttemptEntry{ID: "failed-1", Cluster: "gpt", Status: 503})
		again := r.open("again-1")
		if _, answer := r.core.Try(again, 2, "two", nil); answer != nil {
			t.Fatalf("%+v", answer)
		}
		time.Sleep(3 * time.Second)
		if r.core.Sweep(); r.core.Resting() != 0 || r.core.Live() != 2 {
			t.Errorf("%d of %d rest", r.core.Resting(), r.core.Live())
		}
	})
}

// Of many open streams only what is their own is kept, with their reservations.
func TestAnOpenStreamTakesLittleMemory(t *testing.T) {
	r, _, _ := streams(t)
	const n = 5000
	before := heap.Bytes()
	for i := range n {
		r.open("6f9619ff-8b86-d011-b42d-00cf4fc9" + strconv.Itoa(1000+i))
		r.log.Reset()
		r.out = nil
	}
	awake := (heap.Bytes() - before) / n
	if rested := r.core.RestAll(); rested != n {
		t.Fatalf("%d rest", rested)
	}
	resting := (heap.Bytes() - before) / n
	t.Logf("%d bytes each, %d at rest", awake, resting)
	if resting > 750 {
		t.Errorf("an exchange at rest takes %d bytes", resting)
	}
	runtime.KeepAlive(r)
}
