package exchange_test

import (
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
			if len(books.ended) > 0 || r.core.Live() != 1 {
				t.Errorf("%s: it has ended: %v", c.what, books.ended)
			}
			time.Sleep(time.Millisecond)
			if c.comes {
				r.core.AttemptLogged(exchange.AttemptEntry{ID: x.ID, Cluster: "gpt", Status: 503})
			}
			synctest.Wait()
			if d := cmp.Diff(c.want, books.ended); d != "" {
				t.Errorf("%s (-want +got):\n%s", c.what, d)
			}
		})
	}
}
