package usage

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

func TestUsageIsReadAndWritten(t *testing.T) {
	u := Read([]byte(`{"prompt_tokens":5,"completion_tokens":3,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":2}}`))
	if u.Input.N != 5 || u.Output.N != 5 || u.Reasoning.N != 2 || u.Cached.N != 2 {
		t.Errorf("thoughts in the total only: %+v", u)
	}
	if got := string(Append(nil, &u)); got != `{"prompt_tokens":5,"completion_tokens":5,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":2}}` {
		t.Error(got)
	}
	if again := Read(Append(nil, &u)); again != u {
		t.Errorf("got %+v, want %+v", again, u)
	}
	if u := Read([]byte(`null`)); u != (llm.Usage{}) {
		t.Errorf("null: %+v", u)
	}
}

func TestAskTurnsUsageOn(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1}`:                          `{"a":1,"stream_options":{"include_usage":true}}`,
		`{"stream_options":{"x":1},"a":1}`: `{"stream_options":{"x":1,"include_usage":true},"a":1}`,
		`{"stream_options":null}`:          `{"stream_options":{"include_usage":true}}`,
		`{"stream_options":{"include_usage":false,"y":2}}`: `{"stream_options":{"include_usage":true,"y":2}}`,
	} {
		doc, err := jsonx.Scan([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		edit, err := Ask(doc)
		if got := string(jsonx.Splice(nil, doc.Body, edit)); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
}

func TestAStripTakesTheFrameOutWhereverItIsCut(t *testing.T) {
	const in = "data: {\"choices\":[{\"text\":\"a\",\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n"
	for size := 1; size < len(in); size++ {
		s := NewStrip()
		var out []byte
		for i := 0; i < len(in); i += size {
			out = s.Feed(out, []byte(in[i:min(i+size, len(in))]), i+size >= len(in))
		}
		if string(out) != "data: {\"choices\":[{\"text\":\"a\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n" || s.Usage().Output.N != 2 || !s.Whole() {
			t.Fatalf("size %d: %q, %+v", size, out, s.Usage())
		}
	}
}
