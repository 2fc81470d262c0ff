package all_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// TestEveryDialectBoundsItsAnswers caps requests of each dialect in which an answer's length is the client's choice, and
// reads the bound back.
func TestEveryDialectBoundsItsAnswers(t *testing.T) {
	const text = `[{"role":"user","content":"hi"}]`
	const gemini = `"contents":[{"role":"user","parts":[{"text":"hi"}]}]`
	const converse = `"messages":[{"role":"user","content":[{"text":"hi"}]}]`
	for _, c := range []struct {
		dialect dialect.Name
		op      llm.Op
		bodies  []string
	}{
		{dialect.OpenAIChat, llm.OpChat, []string{`{"model":"m","messages":` + text + `}`, `{"model":"m","max_completion_tokens":null,"messages":` + text + `}`, `{"model":"m","max_tokens":900,"messages":` + text + `}`, `{"model":"m","max_tokens":5,"max_completion_tokens":900,"messages":` + text + `}`}},
		{dialect.OpenAIResponses, llm.OpChat, []string{`{"model":"m","input":"hi"}`, `{"model":"m","input":"hi","max_output_tokens":null}`}},
		{dialect.OpenAICompletions, llm.OpComplete, []string{`{"model":"m","prompt":"hi"}`}},
		{dialect.AnthropicMessages, llm.OpChat, []string{`{"model":"m","max_tokens":900,"messages":` + text + `}`}},
		{dialect.Gemini, llm.OpChat, []string{`{` + gemini + `}`, `{"generationConfig":{},` + gemini + `}`, `{"generation_config":{"max_output_tokens":900},` + gemini + `}`, `{"generationConfig":{"temperature":1},` + gemini + `}`}},
		{dialect.BedrockConverse, llm.OpChat, []string{`{` + converse + `}`, `{"inferenceConfig":{"temperature":0.5},` + converse + `}`}},
		{dialect.Cohere, llm.OpChat, []string{`{"model":"m","messages":` + text + `}`}},
	} {
		s := all.Servers()[c.dialect]
		capper, ok := s.(dialect.Capper)
		if !ok {
			t.Errorf("%s cannot bound its answers", c.dialect)
			continue
		}
		for _, body := range c.bodies {
			in := dialect.Inbound{Op: c.op, Model: "m", Body: []byte(body)}
			h, err := s.Peek(in)
			if err != nil {
				t.Errorf("%s: %s: %v", c.dialect, body, err)
				continue
			}
			e, ok := capper.Cap(h, 77)
			if !ok {
				t.Errorf("%s: %s has no bound", c.dialect, body)
				continue
			}
			in.Body = jsonx.Splice(nil, in.Body, e)
			after, err := s.Peek(in)
			if err != nil || after.MaxTokens != 77 {
				t.Errorf("%s: %s: %v, bound %v", c.dialect, in.Body, err, after)
			}
			if _, err := s.ReadRequest(in); err != nil {
				t.Errorf("%s: %s: %v", c.dialect, in.Body, err)
			}
		}
	}
}
