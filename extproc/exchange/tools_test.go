package exchange_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
)

// searching is a rig whose model searches the web for 27.5 m$, and costs a dollar for a million tokens of a prompt and ten
// of an answer.
func searching(t *testing.T, hold string) (*rig, *memory.Store, *quota.Budget) {
	t.Helper()
	money := &quota.Budget{ID: "money", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.Money, Limit: 1 << 50, Window: life()}
	r := newRig(t)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
	r.provider([]string{"spare", "openai", "k2=sk-openai-2"})
	r.route(append([]string{"chat", "finder", "->", "gpt/finder", "spare/finder"}, hold))
	card := &price.Card{Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: 1_000_000_000, price.Output: 10_000_000_000, price.WebSearchMedium: 27_500_000_000_000})}
	for _, p := range r.config.providers {
		p.Models = catalog.NewDeployment(p.Kind, []catalog.Declared{{Name: "finder", Card: card, Context: 10_000, MaxOutput: 1000}})
	}
	store := memory.New(memory.Params{})
	r.config.meter, r.config.limits = metering.New(metering.Params{Store: store}), everybody{money}
	r.start()
	return r, store, money
}

// TestCallsOfAProvidersToolsAreCounted where they stand in the answer's content alone, whose bytes pass as they are.
func TestCallsOfAProvidersToolsAreCounted(t *testing.T) {
	const (
		output = `[{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"a"}},{"type":"web_search_call","id":"ws_2","status":"completed","action":{"type":"open_page","url":"u"}},` +
			`{"type":"web_search_call","id":"ws_3","status":"completed","action":{"type":"search","query":"b"}},{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[]}]}]`
		whole = `{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"finder","output":` + output + `,"service_tier":"default","usage":{"input_tokens":1000,"output_tokens":100,"total_tokens":1100}}`
		event = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"model\":\"finder\",\"output\":[]}}\n\n" +
			"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":" + whole + "}\n\n"
	)
	for _, c := range []struct{ name, stream, hold, kind, answer string }{
		{"a document", "false", "nohold=1", "application/json", whole},
		{"a stream", "true", "nohold=1", "text/event-stream", event},
		{"a stream whose beginning is judged", "true", "between=30s", "text/event-stream", event},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, store, money := searching(t, c.hold)
			x := r.core.Begin()
			h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/responses"}, {Name: "content-type", Value: "application/json"}, {Name: "x-request-id", Value: "request-1"}}
			x.Head(t.Context(), h, false)
			body := []byte(`{"model":"finder","max_output_tokens":50,"max_tool_calls":4,"stream":` + c.stream + `,"tools":[{"type":"web_search"}],"input":"hi"}`)
			plan := x.Body(t.Context(), body)
			if plan.Plan == nil {
				t.Fatalf("refused: %s", plan.Answer.Body)
			}
			// 10,000 tokens, written to a cache at twice the price, for each of five turns, and all of that once more where
			// the first provider fails; 50 at ten dollars; four searches.
			if got := counters(t, store, money).Reserved; got != 2*5*20_000_000+500_000+110_000_000 {
				t.Errorf("%d nano-USD are reserved", got)
			}
			a, refused := r.core.Try(plan.Plan.Ticket, 1, plan.Plan.Clusters[0], mutate(h, &plan))
			if refused != nil {
				t.Fatal(refused.Err)
			}
			if reply := a.Request(t.Context(), body); reply.Answer != nil {
				t.Fatal(reply.Answer.Err)
			}
			replies := a.AnswerHead(200, exchange.Header{{Name: "content-type", Value: c.kind}}, false)
			for i := 0; i < len(c.answer); i += 50 {
				more, err := a.AnswerChunk([]byte(c.answer[i:min(i+50, len(c.answer))]), i+50 >= len(c.answer))
				if err != nil {
					t.Fatal(err)
				}
				replies = append(replies, more...)
			}
			for _, reply := range replies {
				if reply.Replace || reply.Answer != nil {
					t.Errorf("the answer is changed: %+v", reply)
				}
			}
			if last := replies[len(replies)-1]; !last.Done {
				t.Error("the end of the answer is not the end of what is read")
			}
			a.End()
			r.core.RequestLogged(exchange.Outcome{Ticket: plan.Plan.Ticket, Status: 200, Tries: 1, Sent: uint64(len(c.answer))})
			// 1,000 + 100 × 10 = 2 m$, and two searches: a page that is opened is none.
			if c := counters(t, store, money); c.Used != 2_000_000+55_000_000 || c.Reserved != 0 {
				t.Errorf("after the end %+v", c)
			}
		})
	}
}
