package anthropicmessages

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openairesponses"
)

func counting(body string) dialect.Inbound {
	return dialect.Inbound{Op: llm.OpCount, Path: "/v1/messages/count_tokens", Body: []byte(body)}
}

// counts reads an answer and returns what it counts.
func counts(t *testing.T, r dialect.Reader, w dialect.Writer, body []byte) ([]byte, error) {
	t.Helper()
	if err := r.Feed(body, true, func(ev *llm.Event) error {
		_, err := w.Write(nil, ev)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return w.Close(nil)
}

func TestACountNeedsNoLimit(t *testing.T) {
	const body = `{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"hi"}]}`
	if _, err := New().Peek(counting(body)); err != nil {
		t.Error(err)
	}
	if _, err := New().Peek(dialect.Inbound{Op: llm.OpChat, Body: []byte(body)}); err == nil || !strings.Contains(err.Error(), "max_tokens") {
		t.Errorf("a chat without one: %v", err)
	}
}

func TestRecordedCountsAreReadAndWritten(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return x.Endpoint == "count-tokens" && strings.Contains(x.RequestPath, "/v1/messages/")
	}, func(t *testing.T, x *recorded.Exchange) {
		req, err := New().ReadRequest(counting(string(x.RequestJSON)))
		if err != nil || req.Op != llm.OpCount {
			t.Fatalf("%+v, %v", req, err)
		}
		out, _, err := New().WriteRequest(nil, req, dialect.Target{Model: req.Model, Facts: catalog.Anthropic(req.Model)})
		if err != nil {
			t.Fatal(err)
		}
		for _, refused := range []string{"max_tokens", "stream", "temperature", "metadata", "stop_sequences"} {
			if jsonx.Get(out, refused) != nil {
				t.Errorf("the API refuses %s here: %s", refused, out)
			}
		}
		back, err := New().ReadRequest(counting(string(out)))
		if d := cmp.Diff(req, back); err != nil || d != "" {
			t.Errorf("read again it is another: %v\n%s", err, d)
		}
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		if x.Status >= 400 {
			if e := New().ReadError(x.Status, nil, body); e.Code != llm.CodeNotFound {
				t.Errorf("got %s", e.Code)
			}
			return
		}
		want, _ := jsonx.Compact(body)
		for _, r := range []dialect.Reader{New().NewReader(req, false), New().NewReader(nil, false)} {
			if got, err := counts(t, r, New().NewWriter(req, false), body); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %s, %v; want %s", got, err, want)
			}
		}
	})
}

// TestACountCrossesToOpenAIAndBack counts for a client of one dialect at a provider of the other.
func TestACountCrossesToOpenAIAndBack(t *testing.T) {
	responses := openairesponses.New()
	req, err := New().ReadRequest(counting(`{"model":"m","system":"be brief","messages":[{"role":"user","content":"hi"}],"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"},"metadata":{"user_id":"u"}}`))
	if err != nil {
		t.Fatal(err)
	}
	out, losses, err := responses.WriteRequest(nil, req, dialect.Target{Model: "gpt-4.1", Facts: catalog.OpenAI("gpt-4.1")})
	if want := `{"model":"gpt-4.1","instructions":"be brief","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],"tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":false}],"tool_choice":"required"}`; err != nil || string(out) != want || len(losses) > 0 {
		t.Errorf("got %s, %v, %v; want %s", out, losses, err, want)
	}
	if got, err := counts(t, responses.NewReader(req, false), New().NewWriter(req, false), []byte(`{"object":"response.input_tokens","input_tokens":51}`)); err != nil || string(got) != `{"input_tokens":51}` {
		t.Errorf("got %s, %v", got, err)
	}

	req, err = responses.ReadRequest(dialect.Inbound{Op: llm.OpCount, Body: []byte(`{"model":"m","instructions":"be brief","input":"hi","reasoning":{"effort":"low"},"tools":[{"type":"function","name":"f"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	out, losses, err = New().WriteRequest(nil, req, dialect.Target{Model: "claude-sonnet-4-6", Facts: catalog.Anthropic("claude-sonnet-4-6")})
	if want := `{"model":"claude-sonnet-4-6","tools":[{"name":"f","input_schema":{"type":"object","properties":{}}}],"system":[{"type":"text","text":"be brief"}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}}`; err != nil || string(out) != want || len(losses) > 0 {
		t.Errorf("got %s, %v, %v; want %s", out, losses, err, want)
	}
	if got, err := counts(t, New().NewReader(req, false), responses.NewWriter(req, false), []byte(`{"input_tokens":12}`)); err != nil || string(got) != `{"object":"response.input_tokens","input_tokens":12}` {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := counts(t, New().NewReader(req, false), responses.NewWriter(req, false), []byte(`{"type":"error","error":{"type":"not_found_error","message":"model: x"}}`)); err == nil {
		t.Error("an error is no count")
	}
}
