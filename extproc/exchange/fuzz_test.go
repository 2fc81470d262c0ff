package exchange_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/routing"
)

// failer is what a test, a fuzzed one and a law have in common.
type failer interface {
	Fatalf(format string, args ...any)
}

// gate checks that replies answer what waits: each message once, in order, and nothing after the last.
type gate struct {
	t             failer
	heads, chunks int
	done          bool
}

func (g *gate) take(rs []exchange.Reply) {
	for i := range rs {
		r := &rs[i]
		if g.done {
			g.t.Fatalf("reply %+v after the last", r)
		}
		switch {
		case r.Answer != nil:
			if !r.Done || r.Answer.Status < 400 || len(r.Answer.Body) == 0 {
				g.t.Fatalf("an answer of ours that ends nothing: %+v", r.Answer)
			}
		case r.To == exchange.ToAnswerHead && g.heads == 1:
			g.heads--
		case r.To == exchange.ToAnswerChunk && g.heads == 0 && g.chunks > 0:
			g.chunks--
		default:
			g.t.Fatalf("reply to %d while %d heads and %d chunks wait", r.To, g.heads, g.chunks)
		}
		g.done = r.Done
		if g.done && r.Answer == nil && (g.heads > 0 || g.chunks > 0) {
			g.t.Fatalf("the last reply leaves %d heads and %d chunks waiting", g.heads, g.chunks)
		}
	}
}

// pieces are what fuzzed answers are made of, beside bytes of their own.
var pieces = [...]string{
	"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
	"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n",
	"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
	"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}\n\n",
	"data: [DONE]\n\n",
	"data: {\"error\":{\"message\":\"broken\",\"type\":\"server_error\"}}\n\n",
	": ping\n\n",
	"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n",
	"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n",
	"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":1}}\n\n",
	"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
	"{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"x\"},\"finish_reason\":\"stop\"}]}",
	"{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}",
	"{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\",\"code\":\"context_length_exceeded\"}}",
}

// fuzzCore is a core with two targets, of the first and second letter: o is openai, a anthropic.
func fuzzCore(t testing.TB, setup byte, c *clock, seen exchange.Observer) *exchange.Core {
	r := newRig(t)
	r.provider([]string{"o", "openai", "k1=sk-openai-1"})
	r.provider([]string{"a", "anthropic", "k2=sk-ant-1"})
	targets := []string{"o/m", "a/m"}
	if setup&1 != 0 {
		targets = []string{"a/m", "o/m"}
	}
	r.route(append([]string{"r", "*", "->"}, targets[:1+int(setup>>1&1)]...))
	rt := r.config.routes[0]
	rt.Usage = routing.Usage(setup >> 2 & 1)
	rt.Failover.FirstToken, rt.Failover.ErrorBodies = setup>>3&1 == 0, setup>>4&1 != 0
	rt.Deadlines = routing.Deadlines{FirstToken: 5 * time.Second, Answer: 5 * time.Second, BetweenTokens: 3 * time.Second, Total: 30 * time.Second}
	r.config.maxAnswer = 4096
	return exchange.New(r.snapshot(), exchange.Options{Now: c.now, Observer: seen, Seed: func() uint64 { return 0 }, Hear: -1})
}

// FuzzAttempt plays answers on an attempt: heads, chunks, ends and missed deadlines in any order.
func FuzzAttempt(f *testing.F) {
	f.Add(byte(0x00), byte(0x02), []byte{0x01, 0x41, 0x20, 0x21, 0x24, 0x80})
	f.Add(byte(0x02), byte(0x02), []byte{0x01, 0x20, 0x25, 0x80})
	f.Add(byte(0x03), byte(0x02), []byte{0x01, 0x27, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x80})
	f.Add(byte(0x01), byte(0x00), []byte{0x00, 0x2e, 0x80})
	f.Add(byte(0x01), byte(0x01), []byte{0x00, 0x2e, 0x80})
	f.Add(byte(0x00), byte(0x03), []byte{0x01, 0x21, 0xa0, 0xa0, 0xa0})
	f.Add(byte(0x02), byte(0x02), []byte{0x02, 0x2f, 0x80})
	f.Add(byte(0x06), byte(0x02), []byte{0x05, 0x60, 0x80})
	f.Fuzz(func(t *testing.T, setup, client byte, events []byte) {
		if len(events) > 200 {
			return
		}
		attemptOnce(t, t, setup, client, events)
	})
}

// TestRepliesAnswerEveryMessageOnce is the same as a law, with fresh events in every run.
func TestRepliesAnswerEveryMessageOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		setup, client := rapid.ByteMax(31).Draw(rt, "setup"), rapid.ByteMax(7).Draw(rt, "client")
		attemptOnce(t, rt, setup, client, rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(rt, "events"))
	})
}

// attemptOnce plans a request, plays events on its first attempt and closes the exchange.
func attemptOnce(t *testing.T, f failer, setup, client byte, events []byte) {
	c, seen := &clock{time.Unix(1e9, 0)}, &counter{}
	core := fuzzCore(t, setup, c, seen)
	path, body := "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":`
	if client&1 != 0 {
		path, body = "/v1/messages", `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":`
	}
	body += map[bool]string{true: "true}", false: "false}"}[client&2 != 0]
	h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: path}, {Name: "content-type", Value: "application/json"}}
	x := core.Begin()
	x.Head(context.Background(), h, false)
	r := x.Body(t.Context(), []byte(body))
	if r.Plan == nil {
		f.Fatalf("refused: %v", r.Answer.Err)
	}
	a, answer := core.Try(r.Plan.Ticket, 1, r.Plan.Clusters[0], mutate(h, &r))
	if answer != nil {
		f.Fatalf("no attempt: %v", answer.Err)
	}
	if client&4 == 0 {
		if q := a.Request(t.Context(), []byte(body)); q.Answer != nil {
			f.Fatalf("no request: %v", q.Answer.Err)
		}
	}
	play(f, a, c, events)
	a.End()
	core.RequestLogged(exchange.Outcome{Ticket: r.Plan.Ticket, Status: 200, Tries: 1})
	if seen.closed != 1 {
		f.Fatalf("closed %d times", seen.closed)
	}
}

// play turns bytes into events. The first is the head.
func play(t failer, a *exchange.Attempt, c *clock, events []byte) {
	g := &gate{t: t}
	if len(events) == 0 {
		return
	}
	e := events[0]
	status := [...]int{200, 200, 400, 429, 503, 200, 200, 204}[e&7]
	h := exchange.Header{{Name: "content-type", Value: [...]string{"application/json", "text/event-stream", "application/json", "text/html", "", "text/event-stream"}[min(int(e&7), 5)]}}
	if e>>3&3 == 3 {
		h = append(h, providers.Header{Name: "content-encoding", Value: "gzip"})
	}
	g.heads = 1
	end := e&0x80 != 0
	g.take(a.AnswerHead(status, h, end))
	for i := 1; i < len(events) && !g.done && !end; i++ {
		e = events[i]
		var rs []exchange.Reply
		var err error
		switch e >> 5 {
		case 1:
			rs, err = chunk(a, g, pieces[int(e&0x1f)%len(pieces)], false)
		case 2:
			n := min(int(e&0x1f), len(events)-i-1)
			rs, err = chunk(a, g, string(events[i+1:i+1+n]), false)
			i += n
		case 3:
			p := pieces[int(e&0x0f)%len(pieces)]
			if rs, err = chunk(a, g, p[:len(p)/2], false); err == nil {
				g.take(rs)
				if g.done {
					return
				}
				rs, err = chunk(a, g, p[len(p)/2:], false)
			}
		case 4:
			end = true
			rs, err = chunk(a, g, "", true)
		case 5, 6:
			c.t = c.t.Add(time.Second)
			if due, ok := a.Deadline(); ok && !c.t.Before(due) {
				rs, err = a.Expire()
			}
		case 7:
			end = true
			rs, err = chunk(a, g, pieces[int(e&0x1f)%len(pieces)], true)
		default:
			rs, err = chunk(a, g, strings.Repeat(" ", 300*int(e&0x1f)), false)
		}
		if err != nil {
			return // the client's stream is reset
		}
		g.take(rs)
	}
	if end && !g.done && (g.heads > 0 || g.chunks > 0) {
		t.Fatalf("the answer is over, and %d heads and %d chunks wait", g.heads, g.chunks)
	}
}

func chunk(a *exchange.Attempt, g *gate, s string, end bool) ([]exchange.Reply, error) {
	g.chunks++
	return a.AnswerChunk([]byte(s), end)
}

// FuzzReadTicket reads foreign and damaged metadata: refused, or whole and written as it was read.
func FuzzReadTicket(f *testing.F) {
	good := &ticket.Ticket{V: 1, ID: "request-1", Dialect: "openai-chat", Asked: ticket.Asked{Op: llm.OpChat, Path: "/v1/chat/completions", Model: "m"}, Route: "r", Began: 1, Version: "c", Steps: []ticket.Leg{{Provider: "o", Model: "m", Key: "k", Path: ticket.Worked}}}
	s := good.Encode()
	for _, seed := range []string{s, "", "{}", "null", "[]", s[:len(s)/2], s + s, strings.Replace(s, `"v":1`, `"v":2`, 1), strings.Replace(s, `"v":1`, `"v":1,"v":1`, 1), strings.Replace(s, `"p":[`, `"P":[`, 1), strings.Replace(s, `"w":2`, `"w":99`, 1), `{"v":1,"id":"x","d":"x","p":[]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ticket.Read(s)
		if err != nil {
			if k != nil {
				t.Fatalf("half a ticket: %+v", k)
			}
			return
		}
		if k.V != 1 || k.ID == "" || k.Dialect == "" || len(k.Steps) == 0 || len(k.Steps) > ticket.MaxLegs {
			t.Fatalf("half a ticket: %+v", k)
		}
		if err := jsonx.Valid([]byte(k.Encode())); err != nil {
			t.Fatalf("it cannot be written again: %v", err)
		}
	})
}

// FuzzForeignTicket gives any ticket to every entry that takes one.
func FuzzForeignTicket(f *testing.F) {
	f.Add(`{"v":1,"id":"request-1","d":"openai-chat","o":1,"a":"/","m":"m","r":"r","l":{},"t":0,"c":"x","p":[{"p":"o","m":"m"}]}`, 1, "o")
	f.Add(`{"v":1,"id":"request-1","d":"nothing","o":1,"a":"/","m":"m","r":"r","l":{},"t":0,"c":"x","p":[{"p":"o","m":"m","w":200}]}`, 1, "o")
	f.Add(`{"v":1,"id":"request-1","d":"openai-chat","o":77,"a":"/","m":"m","r":"r","l":{"t":1},"t":0,"c":"x","p":[{"p":"gone","m":"m"}]}`, 1, "gone")
	f.Fuzz(func(t *testing.T, ticket string, n int, cluster string) {
		c, seen := &clock{time.Unix(1e9, 0)}, &counter{}
		core := fuzzCore(t, 2, c, seen)
		a, answer := core.Try(ticket, n, cluster, nil)
		if (a == nil) == (answer == nil) {
			t.Fatalf("attempt %v and answer %v", a, answer)
		}
		if a != nil {
			if r := a.Request(t.Context(), []byte(goodChat)); r.Answer == nil {
				g := &gate{t: t, heads: 1}
				g.take(a.AnswerHead(500, nil, true))
			}
			a.End()
		}
		core.RequestLogged(exchange.Outcome{Ticket: ticket, Status: 200, Tries: n})
		if seen.closed > 1 {
			t.Fatalf("closed %d times", seen.closed)
		}
	})
}
