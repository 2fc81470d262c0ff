package exchange_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/idempotency/memory"
	"github.com/signalbox-ai/signalbox/providers"
)

// onceCore is a core whose routes heed idempotency keys, where on says so.
func onceCore(t testing.TB, target string, on bool) *exchange.Core {
	r := newRig(t)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
	r.provider([]string{"claude", "anthropic", "k3=sk-ant-1"})
	words := []string{"chat", "fast", "->", target, "usage=exact", "total=10m"}
	if on {
		words = append(words, "once")
		r.config.once = idempotency.New(idempotency.Params{Store: memory.New(memory.Params{})})
	}
	r.route(words)
	return exchange.New(r.snapshot(), exchange.Options{Now: func() time.Time { return time.Unix(1000, 0) }, Seed: func() uint64 { return 1 }})
}

// Without a key a request costs what it costs where keys mean nothing: the same reply, of as many allocations, with the same ticket.
func TestRequestsWithoutAKeyAreNotTouched(t *testing.T) {
	on, off := onceCore(t, "gpt/gpt-5.1", true), onceCore(t, "gpt/gpt-5.1", false)
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
		t.Errorf("%v allocations, and %v where keys are heeded", a, b)
	}
	x := on.Begin()
	if x.Head(t.Context(), h, false); x.Patience() != 0 || x.MayWait() {
		t.Error("it may wait")
	}
}

// Whatever way an answer is cut into pieces, what is given again is what the client got.
func TestWhatIsGivenAgainIsWhatTheClientGot(t *testing.T) {
	answers := map[string]string{
		"gpt/gpt-5.1":              strings.Repeat(chatFrame, 3) + `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-5.1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" + `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-5.1","choices":[],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}}` + "\n\ndata: [DONE]\n\n",
		"claude/claude-sonnet-4-5": messagesStart + strings.Repeat(messagesFrame, 3) + "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
	}
	for target, text := range answers {
		for range 50 {
			c := onceCore(t, target, true)
			h := append(benchHead(chatPath, "request-1"), providers.Header{Name: "idempotency-key", Value: "k"})
			body := benchBody(1<<10, true)
			r := planOne(c, h, body)
			a, refused := c.Try(r.Plan.Ticket, 1, strings.SplitN(target, "/", 2)[0], h)
			if refused != nil {
				t.Fatal(string(refused.Body))
			}
			a.Request(t.Context(), body)
			var got bytes.Buffer
			var owed [][]byte
			take := func(rs []exchange.Reply) {
				for _, r := range rs {
					if r.To != exchange.ToAnswerChunk {
						continue
					}
					if came := owed[0]; r.Replace {
						got.Write(r.Body)
					} else {
						got.Write(came)
					}
					owed = owed[1:]
				}
			}
			take(a.AnswerHead(200, exchange.Header{{Name: ":status", Value: "200"}, {Name: "content-type", Value: streamTypeName}}, false))
			for rest := text; rest != ""; {
				n := min(1+rand.IntN(200), len(rest))
				owed = append(owed, []byte(rest[:n]))
				piece := []byte(rest[:n])
				rest = rest[n:]
				rs, err := a.AnswerChunk(piece, rest == "")
				if err != nil {
					t.Fatal(err)
				}
				take(rs)
				clear(piece) // what came is the stream's again
			}
			again := planOne(c, h, body)
			if again.Answer == nil {
				t.Fatalf("%s was not kept", target)
			}
			if diff := cmp.Diff(got.String(), string(again.Answer.Body)); diff != "" {
				t.Fatalf("%s\n%s", target, diff)
			}
		}
	}
}

func TestALeaseThatLooksLikeACredentialIsNone(t *testing.T) {
	secrets := map[string]string{"sk-openai-1": "gpt"}
	for _, c := range []struct {
		name string
		t    ticket.Ticket
		want bool
	}{
		{"a lease of any letters", ticket.Ticket{Asked: ticket.Asked{Lease: "9sk-Q3"}}, false},
		{"a credential in a lease", ticket.Ticket{Asked: ticket.Asked{Lease: "sk-openai-1"}}, true},
		{"one that nobody knows, in a header that is kept", ticket.Ticket{Keep: map[string]string{"x": "sk-of-a-client"}}, true},
		{"one in a step", ticket.Ticket{Steps: []ticket.Leg{{Key: "sk-openai-1"}}}, true},
		{"none", ticket.Ticket{ID: "request-1"}, false},
	} {
		if got := holdsCredential(&c.t, secrets); got != c.want {
			t.Errorf("%s: got %t", c.name, got)
		}
	}
}
