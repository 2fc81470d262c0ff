package passing_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/passing"
)

func moderate(body string) dialect.Inbound {
	return dialect.Inbound{Op: llm.OpModerate, Path: "/v1/moderations", Body: []byte(body)}
}

func TestModerationsPass(t *testing.T) {
	m := passing.Moderations()
	for _, c := range []struct{ body, model, to, spliced string }{
		{`{"input":"x"}`, "omni-moderation-latest", "omni-moderation-latest", `{"input":"x"}`},
		{`{"input":"x"}`, "omni-moderation-latest", "mistral-moderation-latest", `{"input":"x","model":"mistral-moderation-latest"}`},
		{`{"model":"a","input":["x","y"]}`, "a", "b", `{"model":"b","input":["x","y"]}`},
		{`{"input":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"https://a.example"}}],"model":"a"}`, "a", "a",
			`{"input":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"https://a.example"}}],"model":"a"}`},
		{`{"input":[[{"role":"user","content":"x"}]],"model":"a"}`, "a", "b", `{"input":[[{"role":"user","content":"x"}]],"model":"b"}`},
	} {
		h, err := m.Peek(moderate(c.body))
		if err != nil || h.Model != c.model || h.N != 1 {
			t.Fatalf("%s: %+v, %v", c.body, h, err)
		}
		if got, err := m.Splice(nil, h, dialect.Edits{Model: c.to}); err != nil || string(got) != c.spliced {
			t.Errorf("got %s, %v, want %s", got, err, c.spliced)
		}
		req, err := m.ReadRequest(moderate(c.body))
		if err != nil || req.Op != llm.OpModerate || req.Model != c.model {
			t.Errorf("got %+v, %v", req, err)
		}
		if _, _, err := m.WriteRequest(nil, req, dialect.Target{}); code(err) != llm.CodeUnsupported {
			t.Errorf("a request is written: %v", err)
		}
	}
	if m.Name() != dialect.OpenAIModerations {
		t.Errorf("it is called %s", m.Name())
	}
	events := codectest.Read(t, m.NewReader(nil, false), []byte(`{"id":"modr-1","model":"m","results":[{"flagged":false}]}`), 7)
	if want := "finished end native=\"\" sequence=\"\"\n"; events[len(events)-len(want):] != want {
		t.Errorf("got %s", events)
	}
}

func TestModerationsRefuse(t *testing.T) {
	for _, c := range []struct{ body, param, says string }{
		{`{"model":"m"}`, "input", "Missing required parameter"},
		{`{"model":"","input":"x"}`, "model", "must provide"},
		{`{"model":null,"input":"x"}`, "model", "Invalid type"},
		{`{"model":5,"input":"x"}`, "model", "Invalid type"},
		{`{"input":{}}`, "input", "a string or an array"},
		{`{"input":[]}`, "input", "from 1 to"},
		{`{"input":["x",1]}`, "input[1]", "a string or an object"},
		{`{"input":"x","stream":true}`, "stream", "not streamed"},
		{`{"input":"x","Model":"m"}`, "Model", "Did you mean 'model'"},
		{`{`, "", "could not parse"},
	} {
		codectest.Refused(t, passing.Moderations(), moderate(c.body), true, c.param, c.says)
	}
}
