package exchange_test

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/providertest"
	"github.com/signalbox-ai/signalbox/routing"
)

// answersOf are whole answers of conversations, by the dialect in which a provider gives them.
func answersOf(t *testing.T) map[dialect.Name][]byte {
	t.Helper()
	endpoints := map[string]dialect.Name{
		"chat": dialect.OpenAIChat, "messages": dialect.AnthropicMessages, "responses": dialect.OpenAIResponses, "converse": dialect.BedrockConverse,
		"generateContent": dialect.Gemini, "chat-native": dialect.Cohere, "api-chat": dialect.Ollama,
	}
	out := map[dialect.Name][]byte{}
	for _, x := range recorded.Curated(t) {
		name := endpoints[x.Endpoint]
		if name == "" || x.Status != 200 || x.BodyKind != "json" || out[name] != nil || strings.Contains(x.RawBody, `"error":{`) {
			continue
		}
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		out[name] = body
	}
	return out
}

// TestLossyHoldsForEveryPair sends, from every front door of conversations to every kind that speaks another dialect,
// a request of which something is lost: warn names it in a header of the answer, silent does not, and refuse answers
// 400 in its place.
func TestLossyHoldsForEveryPair(t *testing.T) {
	doors, err := providertest.Doors(all.Servers())
	if err != nil {
		t.Fatal(err)
	}
	answers := answersOf(t)
	for _, name := range all.Kinds().Names() {
		k, _ := all.Kinds().Kind(name)
		if k.Vendor != nil {
			continue
		}
		p := newProvider(t, k, name, "", "", providers.Key{ID: "k", Secret: secret.New("sk-1")})
		model := "m"
		if len(k.Models) > 0 {
			model = strings.ReplaceAll(k.Models[0], "*", "x")
		}
		for i := range doors {
			d := &doors[i]
			if c, ok := p.Adapter.Speaks(d.Op, model, d.Name); ok && d.Op == llm.OpChat && c.Name() != d.Name {
				t.Run(string(d.Name)+" to "+name, func(t *testing.T) {
					l := lossy{door: d, provider: p, model: model, answer: answers[c.Name()]}
					l.holds(t)
				})
			}
		}
	}
}

// lossy is a pair of a front door and a provider.
type lossy struct {
	door     *providertest.Door
	provider *providers.Provider
	model    string
	answer   []byte
}

func (l *lossy) holds(t *testing.T) {
	if l.answer == nil {
		t.Fatal("there is no answer of the provider's dialect")
	}
	found := 0
	for _, r := range l.door.Requests[1:] {
		_, refused := l.send(t, r, routing.LossyRefuse)
		if refused == nil || !strings.HasPrefix(refused.Message, "the target cannot carry ") {
			continue // nothing is lost, or more
		}
		found++
		if refused.Param == "" || !strings.Contains(refused.Message, refused.Param) {
			t.Errorf("%s: refused without the member: %v", r.Member, refused)
		}
		warned, err := l.send(t, r, routing.LossyWarn)
		if err != nil || !strings.Contains(warned, refused.Param) {
			t.Errorf("%s: the answer's header says %q, %v; want %s in it", r.Member, warned, err, refused.Param)
		}
		if said, err := l.send(t, r, routing.LossySilent); err != nil || said != "" {
			t.Errorf("%s: silent says %q, %v", r.Member, said, err)
		}
	}
	if found == 0 {
		t.Error("nothing is ever lost")
	}
}

// send plays one exchange. It returns the header of the answer that names losses, or why the request is refused.
func (l *lossy) send(t *testing.T, r providertest.Request, mode routing.Lossy) (losses string, refused *llm.Error) {
	t.Helper()
	rt := &routing.Route{Name: "r", Models: []string{"*"}, Lossy: mode, Targets: []routing.Target{{Provider: l.provider.Name, Model: l.model}}}
	core := exchange.New(&exchange.Snapshot{
		Version: "1", Table: routing.NewTable([]*routing.Route{rt}, nil), Providers: map[string]*providers.Provider{l.provider.Name: l.provider}, Registry: all.Kinds(),
		Servers: servers(), Keys: auth.Open(auth.Options{}), MaxBody: 1 << 20, MaxAnswer: 1 << 20,
	}, exchange.Options{})
	in, err := l.door.Inbound(r, false)
	if err != nil {
		t.Fatal(err)
	}
	h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: strings.TrimSuffix(in.Path+"?"+in.Query, "?")}, {Name: "content-type", Value: "application/json"}}
	x := core.Begin()
	reply := x.Head(t.Context(), h, false)
	if reply.Answer == nil {
		reply = x.Body(t.Context(), in.Body)
	}
	if reply.Answer != nil {
		if reply.Answer.Status != 400 {
			t.Errorf("%s: status %d: %v", r.Member, reply.Answer.Status, reply.Answer.Err)
		}
		return "", reply.Answer.Err
	}
	a, answer := core.Try(reply.Plan.Ticket, 1, reply.Plan.Clusters[0], mutate(h, &reply))
	if answer != nil {
		t.Fatal(answer.Err)
	}
	second := a.Request(t.Context(), in.Body)
	if second.Answer != nil {
		t.Fatal(second.Answer.Err)
	}
	replies := a.AnswerHead(200, exchange.Header{{Name: "content-type", Value: "application/json"}}, false)
	more, err := a.AnswerChunk(l.answer, true)
	if err != nil {
		t.Fatal(err)
	}
	a.End()
	for _, reply := range append(replies, more...) {
		if reply.Answer != nil {
			t.Fatalf("%s: the answer is not read: %v", r.Member, reply.Answer.Err)
		}
	}
	return second.Attempt.Losses, nil
}
