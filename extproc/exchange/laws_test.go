package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
)

// counter counts what the observer is told of closed exchanges.
type counter struct {
	closed  int
	last    string // the provider of the last attempt of the last that closed
	sources []exchange.Source
}

func (*counter) Refused(exchange.Refusal)      {}
func (*counter) Planned(exchange.Planned)      {}
func (*counter) Lost(_, _ dialect.Name, _ int) {}
func (*counter) Attempt(exchange.AttemptSeen)  {}
func (c *counter) Closed(e exchange.Closed) {
	c.closed++
	c.sources, c.last = append(c.sources, e.Source), e.Last.Provider
}

// clock is a time that tests set.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// kindsRoute makes a core with one provider of each of the kinds, each with a key of its own that names it.
func kindsRoute(t testing.TB, kinds []providers.Kind, o exchange.Options) *exchange.Core {
	t.Helper()
	ps := map[string]*providers.Provider{}
	rt := &routing.Route{Name: "r", Models: []string{"*"}, Failover: routing.Failover{FirstToken: true, ErrorBodies: true, Budget: 20}}
	for i, k := range kinds {
		name := fmt.Sprintf("%s-%d", k.Name, i)
		ps[name] = newProvider(t, k, name, "", "", providers.Key{ID: "k", Secret: secret.New(keyOf(name))})
		rt.Targets = append(rt.Targets, routing.Target{Provider: name, Model: "model-of-" + name})
	}
	return exchange.New(&exchange.Snapshot{
		Version: "1", Table: routing.NewTable([]*routing.Route{rt}, nil), Providers: ps, Registry: all.Kinds(), Servers: servers(),
		Keys: auth.Open(auth.Options{}), MaxBody: 1 << 20, MaxAnswer: 1 << 20,
	}, o)
}

func keyOf(provider string) string { return "sk-secret-of-" + provider + "-0123456789" }

func everyKind(t testing.TB) []providers.Kind {
	var ks []providers.Kind
	alike := map[string]bool{} // vendors that set the same headers are alike here
	for _, n := range all.Kinds().Names() {
		k, ok := all.Kinds().Kind(n)
		if !ok {
			t.Fatal(n)
		}
		if v := k.Vendor; v != nil {
			sets := strings.Join(k.Sets, " ")
			if alike[sets] || !slices.Contains(v.Speaks, dialect.OpenAIChat) {
				continue
			}
			alike[sets] = true
		}
		ks = append(ks, k)
	}
	return ks
}

// drawTicket makes any ticket that may be written.
func drawTicket(t *rapid.T) *ticket.Ticket {
	word := rapid.StringN(1, 20, 60)
	leg := rapid.Custom(func(t *rapid.T) ticket.Leg {
		return ticket.Leg{Provider: word.Draw(t, "provider"), Model: word.Draw(t, "model"), Like: rapid.String().Draw(t, "like"), Key: rapid.String().Draw(t, "key"), Path: ticket.Path(rapid.IntRange(0, 2).Draw(t, "path"))}
	})
	k := &ticket.Ticket{
		V: 1, ID: word.Draw(t, "id"), Dialect: dialect.Name(word.Draw(t, "dialect")),
		Asked: ticket.Asked{Op: llm.OpChat, Method: rapid.String().Draw(t, "e"), Path: rapid.String().Draw(t, "a"), Type: rapid.String().Draw(t, "y"), Model: rapid.String().Draw(t, "m"),
			Stream: rapid.Bool().Draw(t, "s"), Usage: rapid.Bool().Draw(t, "u")}, Route: rapid.String().Draw(t, "r"), Began: rapid.Int64Range(0, 1<<52).Draw(t, "t"),
		Version: rapid.String().Draw(t, "c"), Who: rapid.String().Draw(t, "k"), Steps: rapid.SliceOfN(leg, 1, routing.MaxSteps).Draw(t, "p"),
	}
	k.Rules.Show, k.Rules.Hold, k.Rules.Judge = rapid.Bool().Draw(t, "show"), rapid.Bool().Draw(t, "hold"), rapid.Bool().Draw(t, "judge")
	k.Rules.Lossy, k.Rules.Mode = routing.Lossy(rapid.IntRange(0, 2).Draw(t, "lossy")), routing.Usage(rapid.IntRange(0, 2).Draw(t, "mode"))
	for _, d := range []*ticket.Millis{&k.Rules.First, &k.Rules.Between, &k.Rules.Total} {
		*d = ticket.Millis(rapid.Int64Range(0, 1<<40).Draw(t, "deadline"))
	}
	if rapid.Bool().Draw(t, "keep") {
		k.Keep = map[string]string{"anthropic-beta": rapid.String().Draw(t, "beta")}
	}
	return k
}

func TestATicketIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawTicket(t)
		s := k.Encode()
		got, err := ticket.Read(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if diff := cmp.Diff(got, k); diff != "" {
			t.Fatalf("(-got +want):\n%s", diff)
		}
	})
}

// TestADamagedTicketIsRefusedWhole cuts tickets anywhere, and changes a byte anywhere: it is refused, or it is
// a whole ticket, which is written as it was read.
func TestADamagedTicketIsRefusedWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawTicket(t).Encode()
		i := rapid.IntRange(0, len(s)-1).Draw(t, "where")
		if _, err := ticket.Read(s[:i]); err == nil {
			t.Fatalf("a ticket of %d of %d bytes is taken", i, len(s))
		}
		b := []byte(s)
		b[i] = rapid.Byte().Draw(t, "byte")
		got, err := ticket.Read(string(b))
		if err != nil {
			if got != nil {
				t.Fatalf("half a ticket: %+v", got)
			}
			return
		}
		if got.V != 1 || got.ID == "" || got.Dialect == "" || len(got.Steps) == 0 || len(got.Steps) > ticket.MaxLegs {
			t.Fatalf("half a ticket: %+v", got)
		}
	})
}

// TestEveryExchangeClosesOnce plays attempts, log entries and sweeps in random orders.
func TestEveryExchangeClosesOnce(t *testing.T) {
	kinds := everyKind(t)
	rapid.Check(t, func(rt *rapid.T) {
		c, seen := &clock{time.Unix(1e9, 0)}, &counter{}
		core := kindsRoute(t, kinds[:2], exchange.Options{Now: c.now, Observer: seen, Hear: -1})
		h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}, {Name: "x-request-id", Value: "request-1"}}
		x := core.Begin()
		x.Head(context.Background(), h, false)
		r := x.Body(t.Context(), []byte(goodChat))
		if r.Plan == nil {
			rt.Fatal("refused")
		}
		h = mutate(h, &r)
		ended := false
		for range rapid.IntRange(1, 12).Draw(rt, "events") {
			switch rapid.IntRange(0, 4).Draw(rt, "event") {
			case 0:
				n := rapid.IntRange(0, 3).Draw(rt, "attempt")
				if a, _ := core.Try(r.Plan.Ticket, n, r.Plan.Clusters[min(max(n-1, 0), 1)], h); a != nil {
					a.Request(t.Context(), []byte(goodChat))
					a.AnswerHead(rapid.SampledFrom([]int{200, 400, 429, 503}).Draw(rt, "status"), exchange.Header{{Name: "content-type", Value: "application/json"}}, rapid.Bool().Draw(rt, "end"))
					a.End()
				}
			case 1:
				core.AttemptLogged(exchange.AttemptEntry{ID: "request-1", Cluster: r.Plan.Clusters[rapid.IntRange(0, 2).Draw(rt, "cluster")], Status: rapid.IntRange(0, 599).Draw(rt, "status")})
			case 2:
				core.RequestLogged(exchange.Outcome{Ticket: r.Plan.Ticket, Status: 200, Tries: rapid.IntRange(-1, 9).Draw(rt, "tries")})
				ended = true
			case 3:
				core.Sweep()
			case 4: // less than the time for which a closed exchange is remembered, in all
				c.t = c.t.Add(50 * time.Millisecond)
			}
		}
		if want := map[bool]int{true: 1}[ended]; seen.closed != want {
			rt.Fatalf("closed %d times, want %d", seen.closed, want)
		}
		c.t = c.t.Add(48 * time.Hour)
		core.Sweep()
		core.Sweep()
		if seen.closed != 1 || core.Live() != 0 {
			rt.Fatalf("closed %d times in the end, %d live", seen.closed, core.Live())
		}
	})
}
