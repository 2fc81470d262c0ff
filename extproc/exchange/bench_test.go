package exchange_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/providers"
)

// benchHead is a request's head as Envoy sends it for a usual client.
func benchHead(path, id string) exchange.Header {
	h := exchange.Header{
		{Name: ":method", Value: "POST"}, {Name: ":path", Value: path}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "gateway.example"},
		{Name: "authorization", Value: "Bearer sk-of-the-client-0123456789"}, {Name: "content-type", Value: "application/json"},
		{Name: "accept", Value: "application/json"}, {Name: "accept-encoding", Value: "gzip, deflate"}, {Name: "user-agent", Value: "OpenAI/Python 2.7.1"},
		{Name: "x-forwarded-for", Value: "10.0.0.1"}, {Name: "x-forwarded-proto", Value: "https"}, {Name: "x-request-id", Value: id},
	}
	for _, n := range []string{"arch", "async", "lang", "os", "package-version", "retry-count", "runtime", "runtime-version"} {
		h = append(h, providers.Header{Name: "x-stainless-" + n, Value: "value"})
	}
	return h
}

func benchBody(size int, stream bool) []byte {
	const turn = 500
	var b strings.Builder
	fmt.Fprintf(&b, `{"model":"fast","max_tokens":1000,"stream":%t,"messages":[`, stream)
	for i := 0; b.Len() < size-turn; i++ {
		fmt.Fprintf(&b, `{"role":"%s","content":"%s"},`, []string{"user", "assistant"}[i%2], strings.Repeat(`word and \"more\" `, turn/17))
	}
	b.WriteString(`{"role":"user","content":"` + strings.Repeat("x", max(size-b.Len()-40, 1)) + `"}]}`)
	return []byte(b.String())
}

func benchCore(tb testing.TB, target string) *exchange.Core {
	r := newRig(tb)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1", "k2=sk-openai-2"})
	r.provider([]string{"claude", "anthropic", "k3=sk-ant-1"})
	r.route([]string{"chat", "fast", "->", target, "usage=pass", "first=30s", "between=30s", "total=10m"})
	return exchange.New(r.snapshot(), exchange.Options{})
}

// planOne runs the plan stage.
func planOne(core *exchange.Core, h exchange.Header, body []byte) *exchange.Reply {
	x := core.Begin()
	x.Head(context.Background(), h, false)
	r := x.Body(context.Background(), body)
	return &r
}

func BenchmarkPlan(b *testing.B) {
	for _, c := range []struct{ name, target string }{{"direct", "gpt/gpt-5.1"}, {"translated", "claude/claude-sonnet-4-5"}} {
		for _, size := range []int{1 << 10, 100 << 10} {
			b.Run(fmt.Sprintf("%s/%dKB", c.name, size>>10), func(b *testing.B) {
				core, body := benchCore(b, c.target), benchBody(size, true)
				h := benchHead("/v1/chat/completions", "")
				b.ReportAllocs()
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					r := planOne(core, h, body)
					core.RequestLogged(exchange.Outcome{Ticket: r.Plan.Ticket, Status: 200, Tries: 1})
				}
			})
		}
	}
}

func benchTicket(tb testing.TB) string {
	return planOne(benchCore(tb, "gpt/gpt-5.1"), benchHead("/v1/chat/completions", "request-1"), benchBody(1<<10, true)).Plan.Ticket
}

func BenchmarkTicketEncode(b *testing.B) {
	k, err := ticket.Read(benchTicket(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		k.Encode()
	}
}

func BenchmarkTicketRead(b *testing.B) {
	s := benchTicket(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ticket.Read(s); err != nil {
			b.Fatal(err)
		}
	}
}

const (
	chatFrame      = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-5.1","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n"
	messagesStart  = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
	messagesFrame  = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}\n\n"
	chatPath       = "/v1/chat/completions"
	messagesPath   = "/v1/messages"
	streamTypeName = "text/event-stream"
)

// worked begins an attempt on the worked path and brings its answer to the first content.
func worked(tb testing.TB, path, target, usage, first string) *exchange.Attempt {
	tb.Helper()
	r := newRig(tb)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
	r.provider([]string{"claude", "anthropic", "k3=sk-ant-1"})
	r.route([]string{"chat", "fast", "->", target, "usage=" + usage, "between=30s"})
	core := exchange.New(r.snapshot(), exchange.Options{})
	h, body := benchHead(path, "request-1"), benchBody(1<<10, true)
	plan := planOne(core, h, body)
	a, answer := core.Try(plan.Plan.Ticket, 1, plan.Plan.Clusters[0], mutate(h, plan))
	if answer != nil {
		tb.Fatal(answer.Err)
	}
	if reply := a.Request(tb.Context(), body); reply.Answer != nil {
		tb.Fatal(reply.Answer.Err)
	}
	a.AnswerHead(200, exchange.Header{{Name: "content-type", Value: streamTypeName}}, false)
	if rs, err := a.AnswerChunk([]byte(first), false); err != nil || len(rs) != 2 {
		tb.Fatalf("%d replies, %v", len(rs), err)
	}
	return a
}

// workedChunks are the ways in which a chunk is worked on.
func workedChunks() []struct{ name, path, target, usage, first, frame string } {
	return []struct{ name, path, target, usage, first, frame string }{
		{"strip", chatPath, "gpt/gpt-5.1", "exact", chatFrame, chatFrame},
		{"messages to chat", chatPath, "claude/claude-sonnet-4-5", "pass", messagesStart + messagesFrame, messagesFrame},
		{"chat to messages", messagesPath, "gpt/gpt-5.1", "pass", chatFrame, chatFrame},
	}
}

func BenchmarkWorkedChunk(b *testing.B) {
	for _, c := range workedChunks() {
		b.Run(c.name, func(b *testing.B) {
			a, frame := worked(b, c.path, c.target, c.usage, c.first), []byte(c.frame)
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if rs, err := a.AnswerChunk(frame, false); err != nil || len(rs) != 1 {
					b.Fatalf("%d replies, %v", len(rs), err)
				}
			}
		})
	}
}

// TestAllocations bounds what a request and a chunk allocate. The bounds leave a fifth of room over what was
// measured; going over one wants a reason. The length of a body must not matter.
func TestAllocations(t *testing.T) {
	if testing.CoverMode() != "" {
		t.Skip("coverage changes what is inlined")
	}
	const chunk, plan = 5, 95
	for _, c := range workedChunks() {
		a, frame := worked(t, c.path, c.target, c.usage, c.first), []byte(c.frame)
		n := testing.AllocsPerRun(200, func() {
			if rs, err := a.AnswerChunk(frame, false); err != nil || len(rs) != 1 {
				t.Fatalf("%d replies, %v", len(rs), err)
			}
		})
		if n > chunk {
			t.Errorf("a chunk, %s: %v allocations, at most %d", c.name, n, chunk)
		}
	}
	core, h := benchCore(t, "gpt/gpt-5.1"), benchHead(chatPath, "")
	for _, size := range []int{1 << 10, 100 << 10} {
		body := benchBody(size, true)
		n := testing.AllocsPerRun(50, func() {
			r := planOne(core, h, body)
			core.RequestLogged(exchange.Outcome{Ticket: r.Plan.Ticket, Status: 200, Tries: 1})
		})
		if n > plan {
			t.Errorf("the plan of %d KB: %v allocations, at most %d", size>>10, n, plan)
		}
	}
}
