package extproc

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/providers"
)

func planReply() *exchange.Reply {
	return &exchange.Reply{
		To: exchange.ToRequestBody, Done: true,
		Set:     []providers.Header{{Name: ":path", Value: "/v1/chat/completions"}, {Name: ":authority", Value: "api.openai.com"}, {Name: "authorization", Value: "Bearer " + strings.Repeat("k", 50)}},
		Remove:  []string{"x-api-key", "x-goog-api-key"},
		Plan:    &exchange.Routed{Clusters: []string{"openai", "azure", exchange.ServiceCluster}, Ticket: strings.Repeat("t", 500), Dialect: "openai-chat"},
		Attempt: &exchange.Prepared{Length: 1000},
	}
}

// TestChunksAreReadAndAnsweredWithoutAllocating holds what every chunk of a worked stream costs here.
func TestChunksAreReadAndAnsweredWithoutAllocating(t *testing.T) {
	m := attemptHead(strings.Repeat("t", 500), 1, "openai")
	m.Request = answerBody(sse(`{"content":"x"}`), false).GetRequest()
	b := marshal(t, m)
	r := &response{To: exchange.ToAnswerChunk, Replace: true, Body: []byte("data: x\n\n")}
	dst := make([]byte, 0, 1<<10)
	if n := testing.AllocsPerRun(100, func() {
		q, ok := readRequest(b)
		body, _, ok2 := q.body()
		if !ok || !ok2 || len(body) == 0 {
			t.Fatal("it cannot be read")
		}
		r.AppendTo(dst)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkReadHead(b *testing.B) {
	m := marshal(b, requestHead(false, ":method", "POST", ":path", "/v1/chat/completions", ":authority", "localhost", ":scheme", "http", "content-type", "application/json",
		"authorization", "Bearer "+strings.Repeat("k", 50), "user-agent", "bench", "accept", "*/*", "x-request-id", strings.Repeat("i", 36), "x-forwarded-proto", "http", "content-length", "1000"))
	b.ReportAllocs()
	for b.Loop() {
		r, _ := readRequest(m)
		if h, _, ok := r.head(); !ok || len(h) != 11 {
			b.Fatal(h)
		}
	}
}

func BenchmarkWritePlan(b *testing.B) {
	r := (*response)(planReply())
	dst := make([]byte, 0, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		r.AppendTo(dst)
	}
}

func BenchmarkReadEntry(b *testing.B) {
	m := marshal(b, requestEntry(b, strings.Repeat("t", 500), nil))
	b.ReportAllocs()
	for b.Loop() {
		if o := outcome(m); o.Status != 200 {
			b.Fatal(o)
		}
	}
}
