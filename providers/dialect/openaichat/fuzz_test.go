package openaichat

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m",` + hello + `}`))
	f.Add([]byte(`{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"a","function":{"name":"f","arguments":""}}]},{"role":"tool","tool_call_id":"a","content":[]}],"stream":true}`))
	f.Add([]byte(`{"model":"m","functions":[{"name":"f"}],"function_call":"auto","messages":[{"role":"function","name":"f","content":null}]}`))
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"https://a.example/"}},{"type":"input_audio","input_audio":"AAAA"}]}],"stop":"x","n":2}`))
	for _, r := range ownRecords(f) {
		f.Add([]byte(r.Request))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c := New()
		req, err := c.ReadRequest(inbound(body))
		if err != nil {
			if e, ok := err.(*llm.Error); !ok || e.Code == llm.CodeNone || e.Message == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		checkLaw(t, c, req)
	})
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(chunkFrame+"data: [DONE]\n\n"), uint8(3), true)
	f.Add([]byte(`data: {"id":"x","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`+"\n\n"), uint8(1), true)
	f.Add([]byte(`{"id":"x","choices":[{"index":0,"message":{"content":[{"type":"text","text":"a"}],"annotations":[{"type":"x"}]},"logprobs":{"content":[{}]},"finish_reason":""}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":5}}`), uint8(7), false)
	f.Add([]byte("event: error\ndata: {\"message\":\"x\"}\n\n"), uint8(2), true)
	for _, r := range ownRecords(f) {
		f.Add([]byte(r.Body), uint8(5), r.Kind == "sse")
	}
	f.Fuzz(func(t *testing.T, body []byte, size uint8, stream bool) {
		whole := readCut(t, nil, stream, body, max(1, len(body)))
		cut := readCut(t, nil, stream, body, int(size)+1)
		if whole.text() != cut.text() {
			t.Fatalf("cut at %d:\n%s\nwhole:\n%s", int(size)+1, cut.text(), whole.text())
		}
		for _, to := range []bool{true, false} {
			out, err := rewrite(t, body, stream, to)
			if err != nil && to {
				t.Fatal(err)
			}
			if !to && err == nil {
				if err := jsonx.Valid(out); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			if to && whole.failed == nil && whole.stopped > 0 && !bytes.Contains(out, []byte(`data: {"error"`)) {
				for line := range bytes.SplitSeq(out, []byte("\n")) {
					data, found := bytes.CutPrefix(line, []byte("data: "))
					if len(line) > 0 && !found || found && string(data) != "[DONE]" && jsonx.Valid(data) != nil {
						t.Fatalf("not a frame of JSON: %q", line)
					}
				}
			}
		}
	})
}

func FuzzSplice(f *testing.F) {
	f.Add([]byte(`{"model":"m",`+hello+`,"stream":true,"stream_options":{ }}`), "other")
	f.Add([]byte(` { "stream" : true , `+hello+` , "model" : "m" } `), "m")
	f.Add([]byte(`{"stream":true,`+hello+`,"stream_options":{"include_usage":null,"a":[]},"model":"m"}`), "\"\\")
	for _, r := range ownRecords(f) {
		f.Add([]byte(r.Request), "other")
	}
	f.Fuzz(func(t *testing.T, body []byte, model string) {
		c := New()
		h, err := c.Peek(inbound(body))
		if err != nil {
			return
		}
		out, err := c.Splice(nil, h, dialect.Edits{Model: model, AskUsage: true})
		if err != nil {
			t.Fatal(err)
		}
		got, err := jsonx.Scan(out)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for i, m := range got.Members {
			raw := string(out[m.Start:m.End])
			switch {
			case m.Name == "model" && model != "":
			case m.Name == "stream_options" && h.Stream:
				if on, _ := jsonx.Bool(jsonx.Get([]byte(raw), "include_usage")); !on {
					t.Fatalf("usage is not asked for: %s", out)
				}
			default:
				was := h.Doc.Members[i]
				if was.Name != m.Name || string(body[was.Start:was.End]) != raw {
					t.Fatalf("%s changed: %s", m.Name, out)
				}
			}
		}
		if again, err := c.Peek(inbound(out)); err != nil || again.Stream && !again.Usage {
			t.Fatalf("%v: %s", err, out)
		}
	})
}

func FuzzStrip(f *testing.F) {
	f.Add([]byte(chunkFrame+"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\r\n\r\ndata: [DONE]\n\n"), uint8(3))
	for _, r := range ownRecords(f) {
		f.Add([]byte(r.Body), uint8(5))
	}
	f.Fuzz(func(t *testing.T, body []byte, size uint8) {
		if len(body) == 0 {
			return
		}
		whole, u := runStrip(string(body), len(body))
		cut, v := runStrip(string(body), int(size)+1)
		if whole != cut || !cmp.Equal(u, v) {
			t.Fatalf("cut at %d: %q, whole %q", int(size)+1, cut, whole)
		}
	})
}
