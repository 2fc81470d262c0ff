package translate_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/translate"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

// patch is what a coding agent's apply_patch tool takes: free text, as its grammar says.
const patch = "*** Begin Patch\n*** Update File: \"ü😀\".go\n@@\n-\tx := \"a\\n\"\n+\tx := 1\n*** End Patch\n"

// grammar is the tool's.
const grammar = "start: begin_patch hunk+ end_patch\nbegin_patch: \"*** Begin Patch\" LF\n"

func quoted(s string) string { return string(jsonx.AppendQuote(nil, s)) }

// agents are requests of a second turn of a coding agent, by the client's dialect: one edit was made, another one is
// due.
var agents = map[string]string{
	"openai-responses": `{"model":"m","stream":%t,"store":false,"instructions":"You are a coding agent.","input":[` +
		`{"role":"user","content":"Fix it."},{"type":"custom_tool_call","call_id":"call_1","name":"apply_patch","input":` + quoted(patch) + `},` +
		`{"type":"custom_tool_call_output","call_id":"call_1","output":"Done!"},{"role":"user","content":"Again."}],` +
		`"tools":[{"type":"function","name":"shell","parameters":{"type":"object","properties":{}},"strict":false},` +
		`{"type":"custom","name":"apply_patch","description":"Use it to edit files.","format":{"type":"grammar","syntax":"lark","definition":` + quoted(grammar) + `}}],` +
		`"tool_choice":{"type":"custom","name":"apply_patch"}}`,
	"openai-chat": `{"model":"m","stream":%t,"messages":[{"role":"system","content":"You are a coding agent."},{"role":"user","content":"Fix it."},` +
		`{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"custom","custom":{"name":"apply_patch","input":` + quoted(patch) + `}}]},` +
		`{"role":"tool","tool_call_id":"call_1","content":"Done!"},{"role":"user","content":"Again."}],` +
		`"tools":[{"type":"function","function":{"name":"shell","parameters":{"type":"object","properties":{}}}},` +
		`{"type":"custom","custom":{"name":"apply_patch","description":"Use it to edit files.","format":{"type":"grammar","grammar":{"syntax":"lark","definition":` + quoted(grammar) + `}}}}],` +
		`"tool_choice":{"type":"custom","custom":{"name":"apply_patch"}}}`,
}

// edit is an answer that calls the tool, as the provider's dialect carries it.
func edit(t *testing.T, d dialect.Name, stream, native bool) []byte {
	t.Helper()
	req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: stream, Usage: true, Extra: llm.Extra{Dialect: string(d)}, Body: &llm.Chat{}}
	args := `{"input":` + quoted(patch) + `}`
	if native {
		req.Body, args = &llm.Chat{Tools: []llm.Tool{{Name: "apply_patch", Native: llm.FreeText, Raw: []byte("{}")}}}, patch
	}
	w := all.Servers()[d].NewWriter(req, stream)
	evs := []llm.Event{
		{Kind: llm.EvStarted, ID: "msg_1", Name: "m"}, {Kind: llm.EvBlockStarted, Part: llm.PartText},
		{Kind: llm.EvDelta, Part: llm.PartText, Text: []byte("On it.")}, {Kind: llm.EvBlockEnded, Part: llm.PartText},
		{Kind: llm.EvBlockStarted, Index: 1, Part: llm.PartCall, ID: "call_2", Name: "apply_patch"},
	}
	for _, piece := range strings.SplitAfter(args, "n") {
		evs = append(evs, llm.Event{Kind: llm.EvDelta, Index: 1, Part: llm.PartCall, Text: []byte(piece)})
	}
	evs = append(evs, llm.Event{Kind: llm.EvBlockEnded, Index: 1, Part: llm.PartCall},
		llm.Event{Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(9), Output: llm.Tokens(8)}},
		llm.Event{Kind: llm.EvFinished, Stop: llm.Stop{Reason: llm.StopCalls}})
	var b []byte
	var err error
	for i := range evs {
		if b, err = w.Write(b, &evs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if b, err = w.Close(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// told is what the client's own reader finds in its answer: the name and the text of the call of a tool that takes
// free text, and how the answer stops.
func told(t *testing.T, client string, body []byte, stream bool) (text string, deltas int, stop llm.StopReason) {
	t.Helper()
	c := all.Servers()[dialect.Name(client)].(dialect.Client)
	err := c.NewReader(nil, stream).Feed(body, true, func(ev *llm.Event) error {
		switch {
		case ev.Kind == llm.EvBlockStarted && ev.Part == llm.PartCall && (ev.Name != "apply_patch" || ev.ID == ""):
			t.Errorf("a call of %q with the id %q", ev.Name, ev.ID)
		case ev.Kind == llm.EvDelta && ev.Part == llm.PartCall:
			text += string(ev.Text)
			deltas++
		case ev.Kind == llm.EvFinished:
			stop = ev.Stop.Reason
		case ev.Kind == llm.EvFailed:
			t.Errorf("the answer failed: %v", ev.Err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text, deltas, stop
}

// TestAnAgentsFreeTextToolWorksEverywhere sends a coding agent's turn through every kind's dialect, whole and as a
// stream: the provider gets the tool, its call and the forced choice, and the client gets the text of the new call.
func TestAnAgentsFreeTextToolWorksEverywhere(t *testing.T) {
	for _, c := range []struct {
		kind, model, params string
		dialect             dialect.Name
		native              bool // the provider has such tools itself
	}{
		{"anthropic", "claude-sonnet-4-5", "{}", dialect.AnthropicMessages, false},
		{"gemini", "gemini-2.5-pro", "{}", dialect.Gemini, false},
		{"bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", "{}", dialect.BedrockConverse, false},
		{"bedrock", "amazon.nova-pro-v1:0", "{}", dialect.BedrockConverse, false},
		{"vertex", "gemini-2.5-pro", `{"project":"p"}`, dialect.Gemini, false},
		{"cohere", "command-a-03-2025", "{}", dialect.Cohere, false},
		{"mistral", "mistral-large-latest", "{}", dialect.OpenAIChat, false},
		{"openai", "gpt-5.1", `{"api":"chat"}`, dialect.OpenAIChat, true},
		{"openai", "gpt-5.1", `{"api":"responses"}`, dialect.OpenAIResponses, true},
		{"azure", "gpt-5.1", `{"api":"chat","account":"a"}`, dialect.OpenAIChat, true},
	} {
		for client, ask := range agents {
			if client == string(c.dialect) {
				continue
			}
			for _, stream := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s to %s %s stream=%t", client, c.kind, c.model, stream), func(t *testing.T) {
					rec := fmt.Sprintf(`{"id":"r","client":%q,"request_json":%s,"target":{"kind":%q,"model":%q,"region":"us-east-1","params":%s}`,
						client, fmt.Sprintf(ask, stream), c.kind, c.model, c.params)
					kind := "json"
					switch {
					case stream && c.dialect == dialect.BedrockConverse:
						kind = "eventstream"
					case stream:
						kind = "sse"
					}
					rec += fmt.Sprintf(`,"response_body_kind":"%s-b64","response_body":%q}`, kind, base64.StdEncoding.EncodeToString(edit(t, c.dialect, stream, c.native)))
					agent(t, []byte(rec), client, stream, c.native)
				})
			}
		}
	}
}

// TestFreeTextDoesNotDependOnTheCuts feeds the answers cut in many ways.
func TestFreeTextDoesNotDependOnTheCuts(t *testing.T) {
	ups := map[dialect.Name]dialect.Client{dialect.OpenAIChat: openaichat.NewUpstream(openaichat.Quirks{})}
	for _, d := range []dialect.Name{dialect.AnthropicMessages, dialect.Gemini, dialect.BedrockConverse, dialect.Cohere} {
		ups[d] = all.Servers()[d].(dialect.Client)
	}
	for client, ask := range agents {
		req, err := all.Servers()[dialect.Name(client)].ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: fmt.Appendf(nil, ask, true)})
		if err != nil {
			t.Fatal(err)
		}
		for d, up := range ups {
			if string(d) == client {
				continue
			}
			t.Run(client+" to "+string(d), func(t *testing.T) {
				got := codectest.Recut(t, func() dialect.Reader { return up.NewReader(req, true) }, edit(t, d, true, false))
				if strings.Contains(got, `{\"input`) || !strings.Contains(got, "text=\"*** Begin") {
					t.Errorf("the text is not taken out: %s", got)
				}
			})
		}
	}
}

// agent translates a record, and holds what the provider and the client get against what is due.
func agent(t *testing.T, rec []byte, client string, stream, native bool) {
	t.Helper()
	var r translate.Record
	if err := jsonx.Decode(rec, &r); err != nil {
		t.Fatal(err)
	}
	out := translator().Translate(t.Context(), &r)
	if out.Error != nil {
		t.Fatalf("%+v", *out.Error)
	}
	if out.Path != "worked" {
		t.Fatalf("the path is %s", out.Path)
	}
	up := []byte(*out.Upstream.Body)
	for _, must := range []string{"apply_patch", "Use it to edit files.", `begin_patch hunk+ end_patch`, `*** Update File: `, "Done!"} {
		if !bytes.Contains(up, []byte(must)) {
			t.Errorf("the provider does not get %q: %s", must, up)
		}
	}
	lost := 0
	for _, l := range out.Losses {
		if strings.HasSuffix(l.Path, ".format") {
			lost++
		}
	}
	if custom := bytes.Contains(up, []byte(`"type":"custom"`)); custom != native || lost > 0 == native {
		t.Errorf("native %t, but the body has %s, losses %v", native, up, out.Losses)
	}
	body := []byte(out.Answer.BodyBase64)
	if out.Answer.Body != nil {
		body = []byte(*out.Answer.Body)
	}
	text, deltas, stop := told(t, client, body, stream)
	if text != patch || stop != llm.StopCalls || deltas < 1 {
		t.Errorf("the client gets %q in %d pieces, which stops with %v: %s", text, deltas, stop, body)
	}
	if bytes.Contains(body, []byte(`"function_call"`)) || bytes.Contains(body, []byte(`{\"input`)) || bytes.Contains(body, []byte("arguments")) {
		t.Errorf("the client sees the function that stands for its tool: %s", body)
	}
	if !bytes.Contains(body, []byte(map[string]string{"openai-responses": `"type":"custom_tool_call"`, "openai-chat": `"type":"custom"`}[client])) {
		t.Errorf("the client gets no call of its tool: %s", body)
	}
}
