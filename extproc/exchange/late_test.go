package exchange_test

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
)

// TestAnExchangeEndsWhenItsAttemptsAreKnown: Envoy tells of attempts by another log than of requests, and may be late with it. What the
// provider refused is billed otherwise than what nobody knows.
func TestAnExchangeEndsWhenItsAttemptsAreKnown(t *testing.T) {
	for _, c := range []struct {
		what  string
		ends  time.Duration // of the exchange, behind the request's entry
		comes bool          // the attempt's entry, then
		want  []string
	}{
		{"a little late", 20 * time.Millisecond, true, []string{"gpt overloaded [], two  []"}},
		{"never", 300 * time.Millisecond, false, []string{"gpt  [], two  []"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
			r.provider([]string{"two", "openai", "base=https://two.example", "k2=sk-two-1"})
			r.route([]string{"all", "all", "->", "gpt/gpt-4o", "two/gpt-4o"})
			books := &kept{}
			n := &quota.Budget{ID: "n", Owner: quota.Owner{Level: "key", Name: "k"}, Unit: quota.Requests, Limit: 100, Window: life()}
			r.config.meter, r.config.limits = metering.New(metering.Params{Store: memory.New(memory.Params{}), Books: books}), everybody{n}
			r.start()
			x, reply := r.ask("request-1", `{"model":"all","messages":[{"role":"user","content":"hi"}]}`)
			for range 2 { // Envoy may say it twice
				r.core.RequestLogged(exchange.Outcome{Ticket: reply.Plan.Ticket, Status: 200, Tries: 2})
			}
			time.Sleep(c.ends - time.Millisecond)
			synctest.Wait()
			if ended := books.all(); len(ended) > 0 || r.core.Live() != 1 {
				t.Errorf("%s: it has ended: %v", c.what, ended)
			}
			time.Sleep(time.Millisecond)
			if c.comes {
				r.core.AttemptLogged(exchange.AttemptEntry{ID: x.ID, Cluster: "gpt", Status: 503})
			}
			synctest.Wait()
			if d := cmp.Diff(c.want, books.all()); d != "" {
				t.Errorf("%s (-want +got):\n%s", c.what, d)
			}
		})
	}
}

// TestWhatAnEnvoyTookWithItEnds: of exchanges of an Envoy that has ended nobody tells any more, but for what it had sent before.
// What came by a connection that is open, or by none that is known, may be told of.
func TestWhatAnEnvoyTookWithItEnds(t *testing.T) {
	gone, open := make(chan struct{}), make(chan struct{})
	close(gone)
	for _, c := range []struct {
		what   string
		by     <-chan struct{}
		before bool // it began before the Envoy ended
		dies   bool
		told   time.Duration // when its entry comes, after the Envoy ended; 0: never
		live   int           // after a second
		ends   string        // "": it has not
	}{
		{what: "it began before", by: gone, before: true, dies: true, ends: "swept"},
		{what: "its entry is on its way", by: gone, before: true, dies: true, told: 990 * time.Millisecond, ends: "ok"},
		{what: "its entry came, and those of its attempts do not", by: gone, before: true, dies: true, told: 999 * time.Millisecond, live: 1, ends: "ok"},
		{what: "it began in the next one", by: gone, dies: true, live: 1},
		{what: "its connection is open", by: open, before: true, dies: true, live: 1},
		{what: "it is another process's", before: true, dies: true, live: 1},
		{what: "the connection alone has ended", by: gone, before: true, live: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, store := limited(t, &quota.Budget{ID: "n", Owner: quota.Owner{Level: "key", Name: "k"}, Unit: quota.Requests, Limit: 100, Window: life()})
			n := r.config.limits.(everybody)[0]
			if !c.before && c.dies {
				r.core.Died()
				time.Sleep(10 * time.Millisecond)
			}
			x := r.core.Begin()
			x.CameBy(c.by)
			h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}, {Name: "x-request-id", Value: "1"}}
			x.Head(t.Context(), h, false)
			reply := x.Body(t.Context(), []byte(`{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}`))
			if reply.Plan == nil {
				t.Fatalf("%s: %+v", c.what, reply.Answer)
			}
			time.Sleep(10 * time.Millisecond)
			if c.before && c.dies {
				r.core.Died()
			}
			if c.told > 0 {
				time.Sleep(c.told)
				tries := 1
				if c.live > 0 {
					tries = 2
				}
				r.core.RequestLogged(exchange.Outcome{Ticket: reply.Plan.Ticket, Status: 200, Tries: tries})
			}
			if time.Sleep(999*time.Millisecond - c.told); r.core.Sweep() > 0 {
				t.Errorf("%s: it is not waited for", c.what)
			}
			time.Sleep(2 * time.Millisecond)
			swept := r.core.Sweep()
			if live := r.core.Live(); live != c.live || (swept > 0) != (c.ends == "swept") {
				t.Errorf("%s: %d are live, want %d, and %d were swept", c.what, live, c.live, swept)
			}
			if c.ends == "swept" { // by another connection, say
				r.core.RequestLogged(exchange.Outcome{Ticket: reply.Plan.Ticket, Status: 200, Tries: 1})
			}
			time.Sleep(300 * time.Millisecond)
			synctest.Wait()
			ends := ""
			for _, line := range r.out {
				if _, after, ok := strings.Cut(line, "closed "); ok && ends != "" {
					t.Errorf("%s: it ended twice", c.what)
				} else if ok {
					ends = after
				}
			}
			if !strings.Contains(ends, c.ends) || (c.ends == "") != (ends == "") {
				t.Errorf("%s: it ended with %q, want %q", c.what, ends, c.ends)
			}
			if held := counters(t, store, n).Reserved; (held == 0) != (c.ends != "") {
				t.Errorf("%s: %d are reserved", c.what, held)
			}
		})
	}
}

// Thousands that are under way, most of them idle streams, are not looked through each time; what is due is closed within ten
// calls all the same, and at once where an Envoy has ended.
func TestThousandsAreLookedThroughLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := limited(t, &quota.Budget{ID: "n", Owner: quota.Owner{Level: "key", Name: "k"}, Unit: quota.Requests, Limit: 10_000, Window: life()})
		gone := make(chan struct{})
		begin := func(n int) {
			for i := range n {
				x := r.core.Begin()
				x.CameBy(gone)
				h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}, {Name: "x-request-id", Value: "many-" + strconv.Itoa(i)}}
				x.Head(t.Context(), h, false)
				if x.Body(t.Context(), []byte(`{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}`)).Plan == nil {
					t.Fatal("there is no plan")
				}
			}
		}
		begin(3000)
		if n := r.core.Sweep(); n != 0 {
			t.Fatalf("%d are swept", n)
		}
		time.Sleep(48 * time.Hour) // none of them says when it must have ended
		calls := 1
		for r.core.Sweep() == 0 {
			if calls++; calls > 10 {
				t.Fatal("they are not swept")
			}
		}
		if calls != 4 || r.core.Live() != 0 {
			t.Errorf("swept by call %d, %d are live", calls, r.core.Live())
		}
		time.Sleep(time.Minute)
		for range 10 {
			r.core.Sweep()
		}
		begin(3000)
		r.core.Sweep()
		time.Sleep(time.Second)
		close(gone)
		r.core.Died()
		time.Sleep(time.Second)
		if n := r.core.Sweep(); n != 3000 {
			t.Errorf("%d are swept when their Envoy has ended", n)
		}
		synctest.Wait()
	})
}

// Where a client leaves, Envoy sends the request's entry before it ends the stream of the attempt, with which the service says what it
// has read of the answer.
func TestAnExchangeEndsBehindTheAttemptThatIsUnderWay(t *testing.T) {
	for _, ends := range []bool{true, false} { // false: its end is lost
		synctest.Test(t, func(t *testing.T) {
			r, _ := limited(t, &quota.Budget{ID: "n", Owner: quota.Owner{Level: "key", Name: "k"}, Unit: quota.Requests, Limit: 100, Window: life()})
			x := r.core.Begin()
			h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}, {Name: "x-request-id", Value: "1"}}
			x.Head(t.Context(), h, false)
			plan := x.Body(t.Context(), []byte(`{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}`)).Plan
			a, answer := r.core.Try(plan.Ticket, 1, plan.Clusters[0], nil)
			if a == nil {
				t.Fatalf("%+v", answer)
			}
			r.core.RequestLogged(exchange.Outcome{Ticket: plan.Ticket, Ending: exchange.EndedByClient, Tries: 1})
			time.Sleep(299 * time.Millisecond)
			synctest.Wait()
			if r.core.Live() != 1 {
				t.Error("it ended before its attempt")
			}
			if ends {
				a.End()
			} else {
				time.Sleep(2 * time.Millisecond)
			}
			synctest.Wait()
			if r.core.Live() != 0 {
				t.Errorf("it has not ended, where its attempt has: %v", ends)
			}
		})
	}
}
