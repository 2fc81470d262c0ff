package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// fault is a way in which an attempt ends. Without a status there is no answer, and Envoy's log alone tells of it.
type fault struct {
	class  failure.Class
	status int
	body   string
	ending exchange.Ending
	well   bool // it is none
}

// says is a chat's answer.
func says(message string) string {
	return `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",` + message + `},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`
}

var faults = []fault{
	{class: failure.RateLimited, status: 429, body: `{"error":{"message":"slow","type":"requests","code":"rate_limit_exceeded"}}`},
	{class: failure.Overloaded, status: 503, body: `{"error":{"message":"busy","type":"server_error"}}`},
	{class: failure.Upstream, status: 500, body: `{"error":{"message":"oops","type":"server_error"}}`},
	{class: failure.ContextTooLong, status: 400, body: `{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}`},
	{class: failure.ContentFiltered, status: 400, body: `{"error":{"message":"no","type":"invalid_request_error","code":"content_filter"}}`},
	{class: failure.Refusal, status: 200, body: says(`"content":null,"refusal":"No."`)},
	{class: failure.InvalidOutput, status: 200, body: says(`"content":"not what was asked for"`)},
	{class: failure.Connect, ending: exchange.EndedConnect},
	{class: failure.Reset, ending: exchange.EndedReset},
	{class: failure.Timeout, ending: exchange.EndedTimeout},
	{status: 200, body: says(`"content":"{}"`), well: true},
}

// retriable reports whether Envoy by itself makes another attempt behind the fault.
func (f *fault) retriable() bool { return f.status == 0 || f.status >= 500 || f.status == 429 }

// books keep what the meter was told.
type books struct{ ended []metering.Ended }

func (b *books) Write(e *metering.Ended, _ *metering.Charge) *ledger.Record {
	b.ended = append(b.ended, *e)
	return &ledger.Record{Key: ledger.Key{Organization: e.Party.Organization, ID: e.ID}}
}
func (*books) Keep(*ledger.Record, *metering.Charge)     {}
func (*books) Lapsed(string, quota.Lapse) *ledger.Record { return &ledger.Record{} }

// made is an attempt that was made at a provider.
type made struct {
	provider string
	*fault
}

// trial is one exchange under any rules, with Envoy's part in it.
type trial struct {
	*rapid.T
	core     *exchange.Core
	route    *routing.Route
	kinds    map[string]string
	regions  map[string]string
	seen     *endings
	books    *books
	requests map[string]int // first attempts at a provider
	retries  map[string]int // others

	often    int // the fault that half of the attempts have
	ticket   *ticket.Ticket
	held     string // the ticket as it travels
	body     []byte
	header   exchange.Header
	clusters []string
	made     []made
}

// TestRulesLaws plays Envoy for any rules and any failures. Each attempt goes to a step behind the last one, which suits the rule of how that
// failed; where none does, or the rule stops, nothing more is sent. No more attempts are made than the route allows, and
// than Envoy was told; none beyond the retry budget of its provider, and none in a region that the client's key may not use. A target
// is tried once more, an answer repaired, and a round begun only where the rules say so, and as often. The exchange is closed once,
// at the last step that was tried, and the ledger gets every attempt.
func TestRulesLaws(outer *testing.T) {
	came := map[string]int{} // what was played, and how often
	rapid.Check(outer, func(t *rapid.T) {
		p := newTrial(outer, t)
		if !p.plan() {
			return
		}
		n := p.attempts()
		status := 503
		if p.made[len(p.made)-1].well {
			status = 200
		}
		p.core.RequestLogged(exchange.Outcome{Ticket: p.held, Status: status, Tries: n, Usage: llm.Usage{}, Took: time.Second})
		came["plays"]++
		for _, l := range p.laws() {
			came[l]++
		}
	})
	for _, what := range []string{"next", "same", "repair", "round", "budget"} { // each comes in one of ten or more
		if came["plays"] >= 80 && came[what] == 0 && !outer.Failed() {
			outer.Errorf("nothing was played that comes to %q: %v", what, came)
		}
	}
}

// newTrial draws a route and its targets.
func newTrial(outer *testing.T, t *rapid.T) *trial {
	p := &trial{T: t, kinds: map[string]string{}, regions: map[string]string{}, seen: &endings{}, books: &books{}, requests: map[string]int{}, retries: map[string]int{}}
	r := newRig(outer)
	r.client([]string{"who", "sk-client-0123456789", "regions=eu"})
	on := &routing.Failover{
		FirstToken: true, ErrorBodies: rapid.Bool().Draw(t, "error bodies"), Attempts: rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, 3, 4, 5}).Draw(t, "attempts"), Budget: rapid.SampledFrom([]int{0, 20, 100}).Draw(t, "budget"),
		Rounds: failure.Rounds{N: rapid.IntRange(1, 3).Draw(t, "rounds"), Base: 100 * time.Microsecond, Max: time.Millisecond},
	}
	for _, f := range faults {
		does := []failure.Action{failure.Usual, failure.Next, failure.Stop}
		switch {
		case f.well:
			continue
		case f.class == failure.Timeout:
		case f.class < failure.Timeout:
			does = append(does, failure.Same, failure.Same, failure.Same)
		case f.class == failure.InvalidOutput:
			does = append(does, failure.Other, failure.Repair, failure.Repair, failure.Repair, failure.Repair)
		default:
			does = append(does, failure.Other)
		}
		on.On[f.class] = rapid.SampledFrom(does).Draw(t, f.class.String())
	}
	p.often = rapid.IntRange(0, len(faults)-1).Draw(t, "often")
	var rare []int
	for i, f := range faults {
		switch on.On[f.class] {
		case failure.Repair:
			rare = append(rare, i, i, i, i)
		case failure.Same:
			rare = append(rare, i)
		}
	}
	if len(rare) > 0 && rapid.IntRange(0, 3).Draw(t, "often any") > 0 {
		p.often = rapid.SampledFrom(rare).Draw(t, "often what is rare")
	}
	p.route = &routing.Route{Name: "r", Models: []string{"*"}, Failover: *on}
	for i := range rapid.IntRange(1, 6).Draw(t, "targets") {
		name, kind := fmt.Sprint("p", i), rapid.SampledFrom([]string{"openai", "groq", "mistral"}).Draw(t, "kind")
		p.kinds[name], p.regions[name] = kind, rapid.SampledFrom([]string{"eu", "eu", "eu", "eu", "eu", "us", ""}).Draw(t, "region")
		r.provider([]string{name, kind, "region=" + p.regions[name], "k=sk-of-" + name})
		r.config.providers[name].Models = catalog.NewDeployment(kind, nil)
		p.route.Targets = append(p.route.Targets, routing.Target{Provider: name, Model: "m"})
	}
	r.config.routes = []*routing.Route{p.route}
	r.config.meter, r.config.limits = metering.New(metering.Params{Store: memory.New(memory.Params{}), Books: p.books}), everybody(nil)
	p.core = exchange.New(r.snapshot(), exchange.Options{Observer: p.seen, Now: time.Now})
	return p
}

// ask sends a request of the client's, and returns its plan; nil: it is refused.
func (p *trial) ask(id string) *exchange.Reply {
	x := p.core.Begin()
	p.header = exchange.Header{
		{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}, {Name: "x-request-id", Value: id}, {Name: "authorization", Value: "Bearer sk-client-0123456789"},
	}
	if r := x.Head(context.Background(), p.header, false); r.Answer != nil {
		p.Fatalf("refused at once: %s", r.Answer.Body)
	}
	r := x.Body(context.Background(), p.body)
	if r.Plan == nil {
		if slices.Contains(allowed(p), true) {
			p.Fatalf("refused: %s", r.Answer.Body)
		}
		return nil
	}
	return &r
}

// allowed says of each target whether the client's key may use it.
func allowed(p *trial) (out []bool) {
	for _, t := range p.route.Targets {
		out = append(out, p.regions[t.Provider] == "eu")
	}
	return out
}

// plan plans the exchange, after others that spent the retry budget of a provider or nearly so.
func (p *trial) plan() bool {
	const form = `,"response_format":{"type":"json_object"}`
	p.body = []byte(`{"model":"any","messages":[{"role":"user","content":"hi"}]` + rapid.SampledFrom([]string{"", form, form, form}).Draw(p.T, "form") + `}`)
	reply := p.ask("a-request")
	if reply == nil {
		return false
	}
	t, err := ticket.Read(reply.Plan.Ticket)
	if err != nil {
		p.Fatal(err)
	}
	p.ticket, p.held, p.clusters = t, reply.Plan.Ticket, reply.Plan.Clusters
	p.header = mutate(p.header, reply)
	if reply.Replace {
		p.body = reply.Body
	}
	var others []string
	for _, l := range t.Steps {
		if l.Provider != exchange.ServiceCluster && l.Provider != t.Steps[0].Provider && l.Round == 0 {
			others = append(others, l.Provider)
		}
	}
	if len(others) == 0 || rapid.Bool().Draw(p.T, "spends nothing") {
		return true
	}
	spent := others[0] // it comes next
	if rapid.Bool().Draw(p.T, "of another") {
		spent = rapid.SampledFrom(others).Draw(p.T, "spent")
	}
	own, body := p.header, p.body
	p.body = []byte(`{"model":"any","messages":[{"role":"user","content":"hi"}]}`)
	for i := range rapid.SampledFrom([]int{98, 99, 100, 100}).Draw(p.T, "others") {
		other := p.ask("other-" + strconv.Itoa(i))
		k := ticketOf(p, other)
		p.requests[k.Steps[0].Provider]++
		p.take(spent, func() bool {
			a, _ := p.core.Try(other.Plan.Ticket, 2, spent, nil)
			return a != nil
		})
	}
	p.header, p.body = own, body
	*p.seen = endings{}
	return true
}

func ticketOf(p *trial, r *exchange.Reply) *ticket.Ticket {
	if r == nil {
		p.Fatal("another request is refused")
	}
	k, err := ticket.Read(r.Plan.Ticket)
	if err != nil {
		p.Fatal(err)
	}
	return k
}

// take counts a further attempt at a provider, if it is made, which the provider's retry budget has to have room for.
func (p *trial) take(provider string, try func() bool) bool {
	const floor = 100 // in the ten seconds that all of this takes less than
	room := p.retries[provider] < max(floor, p.requests[provider]*p.route.Failover.Budget/100)
	if !try() {
		return false
	}
	if p.retries[provider]++; !room {
		p.Fatalf("attempt %d that is not the first of its request is made at %s, after %d first ones, with %d %% allowed", p.retries[provider], provider, p.requests[provider], p.route.Failover.Budget)
	}
	return true
}

// attempts plays Envoy's attempts until one ends the exchange, and returns how many there were.
func (p *trial) attempts() int {
	most, err := strconv.Atoi(p.header.Get("x-envoy-max-retries"))
	if err != nil {
		p.Fatal(err)
	}
	for n := 1; ; n++ {
		cluster := p.clusters[min(n, len(p.clusters))-1]
		var again bool
		switch {
		case cluster != exchange.ServiceCluster:
			again = p.attempt(n, cluster)
		case p.core.Turns(p.held, n):
			again = p.turn(n)
		default:
			if a := p.core.Verdict(context.Background(), p.held, p.header); a == nil || a.Err == nil {
				p.Fatal("no verdict")
			}
		}
		if !again {
			return n
		}
		if n > most {
			p.Fatalf("Envoy makes no attempt behind %d, and there is one", n)
		}
	}
}

// turn is an attempt by which the service says how to go on.
func (p *trial) turn(n int) bool {
	a, answer := p.core.Turn(context.Background(), p.held, n, p.header)
	if answer != nil {
		return false
	}
	r := a.Request(context.Background(), p.body)
	p.header = mutate(p.header, &r)
	rs := a.AnswerHead(415, nil, true)
	a.End()
	if len(rs) != 1 || rs[0].Steps == nil {
		p.Fatalf("turn %d says nothing: %+v", n, rs)
	}
	p.clusters = rs[0].Steps
	return true
}

// attempt is one at a provider. It reports whether Envoy makes another.
func (p *trial) attempt(n int, cluster string) bool {
	watch := p.header.Get("x-signalbox-watch")
	var a *exchange.Attempt
	switch {
	case n == 1 && watch == "0":
		p.requests[cluster]++
	case n == 1:
		p.requests[cluster]++
		a = p.try(n, cluster)
	default:
		if p.core.Hears(p.held, n) {
			p.core.Hear(context.Background(), p.held, n)
		}
		if !p.take(cluster, func() bool { a = p.try(n, cluster); return a != nil }) {
			if v := p.core.Verdict(context.Background(), p.held, p.header); v == nil || v.Err == nil {
				p.Fatal("no verdict")
			}
			return false
		}
	}
	if a != nil && (n > 1 || watch == "2") {
		r := a.Request(context.Background(), p.body)
		if r.Answer != nil {
			p.Fatalf("attempt %d at %s: %s", n, cluster, r.Answer.Body)
		}
		p.header = mutate(p.header, &r)
	}
	f := &faults[p.often]
	if rapid.Bool().Draw(p.T, "another") {
		f = &faults[rapid.IntRange(0, len(faults)-1).Draw(p.T, "fault")]
	}
	p.made = append(p.made, made{cluster, f})
	again := f.retriable()
	if a != nil {
		if f.status > 0 {
			again = p.answer(a, f)
		}
		a.End()
	}
	if again || !f.well {
		status := f.status
		if again && status > 0 {
			status = max(status, 429)
		}
		p.core.AttemptLogged(exchange.AttemptEntry{ID: p.ticket.ID, Cluster: cluster, Status: status, Ending: f.ending})
	}
	return again
}

func (p *trial) try(n int, cluster string) *exchange.Attempt {
	a, answer := p.core.Try(p.held, n, cluster, p.header)
	if answer != nil {
		p.Fatalf("attempt %d at %s: %s", n, cluster, answer.Body)
	}
	return a
}

// answer is what a provider answers an attempt that the service sees. It reports whether Envoy makes another.
func (p *trial) answer(a *exchange.Attempt, f *fault) bool {
	rs := a.AnswerHead(f.status, exchange.Header{{Name: "content-type", Value: "application/json"}}, false)
	if len(rs) == 0 {
		var err error
		if rs, err = a.AnswerChunk([]byte(f.body), true); err != nil {
			p.Fatal(err)
		}
	}
	if len(rs) == 0 {
		p.Fatal("it is held for ever")
	}
	if rs[0].Steps != nil {
		p.clusters = rs[0].Steps
	}
	again := len(rs[0].Set) > 0 && rs[0].Set[0].Name == "x-signalbox-retry"
	return again || rs[0].Answer == nil && f.retriable()
}
