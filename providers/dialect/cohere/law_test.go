package cohere

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

// drawChat draws a chat that the dialect allows, with members in any order.
func drawChat(t *rapid.T) string {
	q := func(label string) string {
		return string(jsonx.AppendQuote(nil, rapid.StringN(0, 8, 30).Draw(t, label)))
	}
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	extra := func() string { return pick("extra", "", "", `,"x_own": {"a" : 1.0e3}`) }
	content := func() string {
		return pick("content", q("text"), `[{"type":"text","text":`+q("text")+extra()+`}]`, `[]`, `[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://a.example/x","detail":"low","z":1}}]`,
			`[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]`, `[{"type":"odd","odd":1}]`)
	}
	var messages []string
	for i := range rapid.IntRange(1, 4).Draw(t, "messages") {
		switch pick("kind", "system", "user", "assistant", "called") {
		case "system":
			messages = append(messages, `{"role":"system","content":`+pick("system", q("s"), `[{"type":"text","text":"a"},{"type":"text","text":"b"}]`)+extra()+`}`)
		case "user":
			messages = append(messages, `{"role":"user","content":`+content()+extra()+`}`)
		case "assistant":
			messages = append(messages, `{"role":"assistant","content":`+pick("said", q("said"), `[{"type":"thinking","thinking":"t"},{"type":"text","text":"x"}]`, `""`)+
				pick("cites", "", `,"citations":[]`, `,"citations":[{"start":0}]`, `,"tool_plan":null,"tool_calls":[]`)+`}`)
		case "called":
			id := fmt.Sprint("c", i)
			messages = append(messages, `{"role":"assistant"`+pick("plan", "", `,"tool_plan":"p"`, `,"content":"both","tool_plan":"p"`)+`,"tool_calls":[{"id":"`+id+`","type":"function","function":{"name":"f","arguments":`+pick("args", `"{}"`, `"{broken"`, `""`)+`}`+extra()+`}]}`,
				`{"role":"tool","tool_call_id":"`+id+`","content":`+pick("result", q("r"), `[{"type":"text","text":"a"}]`, `[{"type":"document","document":{"id":"d","data":{"a":1}}},{"type":"text","text":"b"}]`, `[{"type":"document","document":{"data":"x"}}]`)+`}`)
		}
	}
	members := []string{`"model":"m"`, `"messages":[` + strings.Join(messages, ",") + `]`}
	for _, m := range []string{
		`"temperature":0.5`, `"p":0.9`, `"k":3`, `"seed":7`, `"stop_sequences":["x","y"]`, `"max_tokens":5`, `"logprobs":true`, `"frequency_penalty":0.1`, `"presence_penalty":1`,
		`"strict_tools":` + pick("strict", "true", "false", "null"), `"tool_choice":` + pick("choice", `"REQUIRED"`, `"NONE"`, `null`), `"safety_mode":"OFF"`, `"priority":0`, `"unknown": [1 , null]`,
		`"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"x":1},"y":2},{"type":"function","function":{"name":"g"}}]`,
		`"documents":` + pick("documents", `[]`, `["a"]`, `[{"id":"i","data":{"text":"b","title":"t"}},"c"]`),
		`"response_format":` + pick("format", `{"type":"text"}`, `{"type":"json_object"}`, `{"type":"json_object","json_schema":{"type":"object"}}`, `{"type":"json_object","schema":{}}`),
		`"thinking":` + pick("thinking", `{"type":"enabled"}`, `{"type":"disabled"}`, `{"type":"enabled","token_budget":99}`, `null`), pick("stream", `"stream":false`, `"stream":true`),
	} {
		if rapid.Bool().Draw(t, "member") {
			members = append(members, m)
		}
	}
	return "{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), ",") + "}"
}

func drawEmbed(t *rapid.T) string {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	members := []string{`"model":"m"`, pick("inputs", `"texts":["a","é"]`, `"images":["data:image/png;base64,AAAA"]`,
		`"inputs":[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://a.example/x"}}]},{"content":[{"type":"text","text":"b"}]}]`)}
	for _, m := range []string{`"input_type":` + pick("type", `"search_query"`, `"clustering"`, `"classification"`, `"search_document"`), `"embedding_types":` + pick("types", `["float"]`, `["base64"]`, `null`),
		`"output_dimension":256`, `"truncate":"START"`, `"max_tokens":5`, `"priority":3`} {
		if rapid.Bool().Draw(t, "member") {
			members = append(members, m)
		}
	}
	return "{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), ",") + "}"
}

func TestReadingAndWritingIsALaw(t *testing.T) {
	c := New()
	rapid.Check(t, func(rt *rapid.T) { codectest.Law(t, c, c, inbound(llm.OpChat, drawChat(rt))) })
	rapid.Check(t, func(rt *rapid.T) { codectest.Law(t, c, c, inbound(llm.OpEmbed, drawEmbed(rt))) })
	for _, body := range []string{
		`{"model":"m","query":"q","documents":["a","b"],"top_n":1,"max_tokens_per_doc":9,"priority":1}`,
		`{"query":"","documents":[{"text":"a","b":1}],"model":"m","return_documents":true,"rank_fields":["text"]}`,
	} {
		codectest.Law(t, c, c, inbound(llm.OpRerank, body))
	}
}

// TestNothingOfAForeignRequestVanishes reads Cohere's requests as if they were another dialect's.
func TestNothingOfAForeignRequestVanishes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := drawChat(t)
		req, err := New().ReadRequest(inbound(llm.OpChat, body))
		if err != nil {
			t.Fatal(err)
		}
		req.Extra.Dialect = "openai-chat"
		out, losses, err := New().WriteRequest(nil, req, dialect.Target{Model: "m"})
		if err != nil {
			return // refused by name
		}
		if err := jsonx.Valid(out); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		lost := func(path string) bool {
			return slices.ContainsFunc(losses, func(l llm.Loss) bool { return strings.HasSuffix(l.Path, path) })
		}
		for _, m := range req.Extra.Members {
			if !lost(m.Name) {
				t.Fatalf("%s vanished\n%s\n%v", m.Name, out, losses)
			}
		}
		for _, m := range []string{"x_own", "citations"} {
			if strings.Contains(body, `"`+m+`"`) && !strings.Contains(body, `"citations":[]`) && !lost(m) {
				t.Fatalf("%s vanished\n%s\n%s\n%v", m, body, out, losses)
			}
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("event: message-start\ndata: {\"type\":\"message-start\",\"id\":\"a\"}\n\nevent: content-start\ndata: {\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"é\",\"type\":\"text\"}}}}\n\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\"}}\n\n"), uint8(3), true)
	f.Add([]byte("data: {\"type\":\"tool-call-start\",\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"name\":\"f\"}}}}}\n\ndata: {\"type\":\"citation-start\",\"delta\":{\"message\":{\"citations\":{\"start\":1,\"end\":2}}}}\n\n"), uint8(1), true)
	f.Add([]byte(`{"id":"a","finish_reason":"ERROR","message":{"content":[{"type":"text","text":"x"},{"thinking":"y"}],"citations":[{"start":5}]},"usage":{"tokens":{"input_tokens":1.5}},"logprobs":[{"text":"x","logprobs":[-1,-2]}]}`), uint8(7), false)
	f.Add([]byte(`{"message":"boom"}`), uint8(2), false)
	f.Fuzz(func(t *testing.T, body []byte, size uint8, stream bool) {
		c := fixed()
		whole := codectest.Read(t, c.NewReader(nil, stream), body, 0)
		if cut := codectest.Read(t, c.NewReader(nil, stream), body, int(size)+1); cut != whole {
			t.Fatalf("cut:\n%s\nwhole:\n%s", cut, whole)
		}
		w := c.NewWriter(nil, true)
		var out []byte
		if err := c.NewReader(nil, stream).Feed(body, true, func(ev *llm.Event) (err error) {
			out, err = w.Write(out, ev)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if out, _ = w.Close(out); strings.Contains("\n"+whole, "\nfinished ") && !strings.Contains(string(out), `"ERROR"`) {
			strict(t, out)
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":[]},{"role":"assistant","tool_plan":"x","tool_calls":[{"function":{"name":"f"}}]},{"role":"tool","tool_call_id":"","content":[]}],"documents":[{"data":{}}]}`), uint8(0))
	f.Add([]byte(`{"model":"m","texts":["a"],"input_type":"image","embedding_types":["base64"]}`), uint8(1))
	f.Add([]byte(`{"model":"m","query":"q","documents":[{"text":5}]}`), uint8(2))
	f.Fuzz(func(t *testing.T, body []byte, op uint8) {
		in := inbound([]llm.Op{llm.OpChat, llm.OpEmbed, llm.OpRerank}[op%3], string(body))
		h, perr := New().Peek(in)
		req, rerr := New().ReadRequest(in)
		if perr != nil {
			if rerr == nil {
				t.Fatalf("refused by Peek alone: %v", perr)
			}
			return
		}
		if out, err := New().Splice(nil, h, dialect.Edits{Model: "other"}); err != nil || jsonx.Valid(out) != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if rerr == nil && len(req.Extra.Members) == 0 {
			codectest.Law(t, New(), New(), in)
		}
	})
}

// textStream is a stream of n pieces of text.
func textStream(n int) []byte {
	out := sse.AppendEvent(nil, "message-start", []byte(`{"type":"message-start","id":"a","delta":{"message":{"role":"assistant"}}}`))
	out = sse.AppendEvent(out, "content-start", []byte(`{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}`))
	for i := range n {
		out = sse.AppendEvent(out, "content-delta", fmt.Appendf(nil, `{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"word %d "}}}}`, i))
	}
	out = sse.AppendEvent(out, "content-end", []byte(`{"type":"content-end","index":0}`))
	return sse.AppendEvent(out, "message-end", []byte(`{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"tokens":{"input_tokens":1,"output_tokens":200}}}}`))
}

// warm is a reader and a writer in the middle of a stream, and a chunk to feed.
func warm(up dialect.Client, down dialect.Server, head, chunk []byte) (feed func()) {
	req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: true, Body: &llm.Chat{}}
	r, w := up.NewReader(req, true), down.NewWriter(req, true)
	var out []byte
	emit := func(ev *llm.Event) (err error) { out, err = w.Write(out, ev); return err }
	_ = r.Feed(head, false, emit)
	return func() {
		out = out[:0]
		_ = r.Feed(chunk, false, emit)
	}
}

func TestAWarmStreamAllocatesNothing(t *testing.T) {
	frames := strings.SplitAfter(string(textStream(3)), "\n\n")
	own := []byte(frames[3])
	foreign := []byte("data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"},\"finish_reason\":null}]}\n\n")
	for name, feed := range map[string]func(){
		"toward openai-chat":   warm(New(), openaichat.New(), []byte(strings.Join(frames[:3], "")), own),
		"from openai-chat":     warm(openaichat.New(), New(), foreign, foreign),
		"in its own dialect":   warm(New(), New(), []byte(strings.Join(frames[:3], "")), own),
		"toward it, cut small": warm(New(), New(), []byte(strings.Join(frames[:3], "")), own),
	} {
		for range 10 {
			feed()
		}
		if n := testing.AllocsPerRun(200, feed); n > 0 {
			t.Errorf("%s: %v allocations for a chunk", name, n)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	body := textStream(200)
	req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: true, Body: &llm.Chat{}}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var out []byte
	for b.Loop() {
		r, w := New().NewReader(req, true), openaichat.New().NewWriter(req, true)
		out = out[:0]
		err := r.Feed(body, true, func(ev *llm.Event) (err error) { out, err = w.Write(out, ev); return err })
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSplice(b *testing.B) {
	body := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("word ", 20_000) + `"}]}`
	for b.Loop() {
		h, err := New().Peek(inbound(llm.OpChat, body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := New().Splice(nil, h, dialect.Edits{Model: "other"}); err != nil {
			b.Fatal(err)
		}
	}
}
