package bedrockconverse

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

func FuzzReadRequest(f *testing.F) {
	recorded.SeedRequests(f)
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"cachePoint":{}},{"text":"a"},{"toolResult":{"toolUseId":"x","content":[{"json":{"a":1}},{"video":{}}]}}]}],"toolConfig":{"tools":[{"systemTool":{"name":"x"}},{"cachePoint":{}}]},"additionalModelRequestFields":{"reasoningConfig":{"type":"disabled"},"inferenceConfig":{"topK":3}}}`))
	c := New()
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, in := range []dialect.Inbound{{Op: llm.OpChat, Path: "/model/m/converse", Model: "m", Body: body}, {Op: llm.OpCount, Path: "/model/m/count-tokens", Model: "m", Body: body}} {
			h, peekErr := c.Peek(in)
			req, err := c.ReadRequest(in)
			if err != nil {
				if e, ok := err.(*llm.Error); !ok || e.Message == "" {
					t.Fatalf("error %v", err)
				}
				continue
			}
			if peekErr != nil {
				t.Fatalf("Peek refused what ReadRequest takes: %v", peekErr)
			}
			if out, err := c.Splice(nil, h, dialect.Edits{Model: "x"}); err != nil || !bytes.Equal(out, body) {
				t.Fatalf("spliced: %s, %v", out, err)
			}
			for _, from := range []string{name, "openai-chat"} {
				req.Extra.Dialect = from
				for _, m := range []string{"anthropic.claude-3-haiku", "anthropic.claude-opus-5", "amazon.nova-2-lite-v1:0", "mistral.mistral-large-2402", "unknown"} {
					out, _, err := c.WriteRequest(nil, req, target(m))
					if err != nil {
						continue
					}
					if _, err := jsonx.Scan(out); err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
				}
			}
		}
	})
}

func FuzzReader(f *testing.F) {
	recorded.SeedAnswers(f)
	f.Add(packed("messageStart {\"role\":\"assistant\"}\ncontentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\"a\"}}\nmodelStreamErrorException {\"message\":\"x\"}\n"))
	c := fixed()
	f.Fuzz(func(t *testing.T, body []byte) {
		evs := codectest.Events(t, c.NewReader(nil, true), body, 0)
		if codectest.Count(evs, llm.EvFinished)+codectest.Count(evs, llm.EvFailed) != 1 {
			t.Fatalf("neither or both ends: %s", codectest.Describe(evs))
		}
		if cut := codectest.Events(t, c.NewReader(nil, true), body, 3); codectest.Describe(cut) != codectest.Describe(evs) {
			t.Fatalf("cut\n%s\nwhole\n%s", codectest.Describe(cut), codectest.Describe(evs))
		}
		for _, stream := range []bool{true, false} {
			out, err := codectest.Write(c.NewWriter(nil, stream), evs)
			if err != nil {
				continue
			}
			if !stream && jsonx.Valid(out) != nil {
				t.Fatalf("not JSON: %s", out)
			}
			if stream && codectest.Count(evs, llm.EvFinished) == 1 {
				strict(t, out)
			}
		}
		if e := c.ReadError(400, nil, body); e == nil || e.Message == "" {
			t.Fatal("no error")
		}
	})
}

// FuzzFrames makes streams of any payloads, which fuzzing frames themselves rarely does.
func FuzzFrames(f *testing.F) {
	for _, s := range []string{"text", "thinking", "tools", "interleaved", "redacted"} {
		b, err := os.ReadFile("testdata/" + s + ".txtar")
		if err != nil {
			f.Fatal(err)
		}
		frames, _ := codectest.ParseArchive(string(b)).File("answer.frames")
		f.Add(frames)
	}
	c := fixed()
	f.Fuzz(func(t *testing.T, text string) {
		for line := range strings.Lines(text) {
			if kind, _, _ := strings.Cut(line, " "); len(kind) > 200 || len(line) > 60000 {
				return
			}
		}
		body := packed(text)
		evs := codectest.Events(t, c.NewReader(nil, true), body, 0)
		if codectest.Count(evs, llm.EvFinished)+codectest.Count(evs, llm.EvFailed) != 1 {
			t.Fatalf("neither or both ends: %s", codectest.Describe(evs))
		}
		if cut := codectest.Events(t, c.NewReader(nil, true), body, 11); codectest.Describe(cut) != codectest.Describe(evs) {
			t.Fatalf("cut\n%s\nwhole\n%s", codectest.Describe(cut), codectest.Describe(evs))
		}
		out, err := codectest.Write(c.NewWriter(nil, true), evs)
		if err != nil {
			t.Fatal(err)
		}
		if codectest.Count(evs, llm.EvFinished) == 1 {
			strict(t, out)
		}
	})
}

// typical is a stream of text in n pieces.
func typical(n int) (head, tail []byte, pieces [][]byte) {
	head = packed("messageStart {\"role\":\"assistant\",\"p\":\"abc\"}\n")
	for i := range n {
		pieces = append(pieces, packed(fmt.Sprintf("contentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\" token %d\"},\"p\":\"abcdefghijklmnop\"}\n", i)))
	}
	return head, packed("contentBlockStop {\"contentBlockIndex\":0}\nmessageStop {\"stopReason\":\"end_turn\"}\nmetadata {\"usage\":{\"inputTokens\":1,\"outputTokens\":200,\"totalTokens\":201},\"metrics\":{\"latencyMs\":5}}\n"), pieces
}

func chatRequest(stream bool) *llm.Request {
	return &llm.Request{Op: llm.OpChat, Model: "m", Stream: stream, Usage: true, Body: &llm.Chat{}}
}

// pipe connects a reader and a writer, and keeps what is written.
type pipe struct {
	r   dialect.Reader
	w   dialect.Writer
	out []byte
}

func (p *pipe) emit(ev *llm.Event) (err error) {
	p.out, err = p.w.Write(p.out, ev)
	return err
}

func (p *pipe) feed(t testing.TB, chunk []byte) {
	p.out = p.out[:0]
	if err := p.r.Feed(chunk, false, p.emit); err != nil {
		t.Fatal(err)
	}
}

func TestAPieceOfAStreamDoesNotAllocate(t *testing.T) {
	head, _, pieces := typical(1)
	chatHead := []byte("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":null}]}\n\n")
	chatPiece := []byte("data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},\"finish_reason\":null}]}\n\n")
	for _, c := range []struct {
		name        string
		p           *pipe
		head, piece []byte
	}{
		{"Converse for a client of openai-chat", &pipe{r: New().NewReader(chatRequest(true), true), w: openaichat.New().NewWriter(chatRequest(true), true)}, head, pieces[0]},
		{"openai-chat for a client of Converse", &pipe{r: openaichat.New().NewReader(chatRequest(true), true), w: New().NewWriter(chatRequest(true), true)}, chatHead, chatPiece},
	} {
		emit := c.p.emit // made once, as the exchange does
		c.p.out = make([]byte, 0, 4096)
		c.p.feed(t, c.head)
		c.p.feed(t, c.piece)
		if n := testing.AllocsPerRun(100, func() { c.p.out = c.p.out[:0]; _ = c.p.r.Feed(c.piece, false, emit) }); n != 0 || len(c.p.out) == 0 {
			t.Errorf("%s: %v allocations for %d bytes", c.name, n, len(c.p.out))
		}
	}
}

// BenchmarkStream reads Converse's stream of 200 pieces and writes it for a client of openai-chat.
func BenchmarkStream(b *testing.B) {
	head, tail, pieces := typical(200)
	b.ReportAllocs()
	for b.Loop() {
		p := &pipe{r: New().NewReader(chatRequest(true), true), w: openaichat.New().NewWriter(chatRequest(true), true), out: make([]byte, 0, 4096)}
		p.feed(b, head)
		for _, x := range pieces {
			p.feed(b, x)
		}
		p.feed(b, tail)
	}
}

// BenchmarkPeek checks a request of 100 KB, and splices it.
func BenchmarkPeek(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"messages":[`)
	for i := range 100 {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"role":%q,"content":[{"text":%q}]}`, []string{"user", "assistant"}[i%2], strings.Repeat("some words of it ", 60))
	}
	body.WriteString(`],"inferenceConfig":{"maxTokens":100}}`)
	c, in := New(), dialect.Inbound{Op: llm.OpChat, Path: "/model/m/converse", Model: "m", Body: []byte(body.String())}
	b.SetBytes(int64(body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		h, err := c.Peek(in)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Splice(nil, h, dialect.Edits{}); err != nil {
			b.Fatal(err)
		}
	}
}
