package mistral

import (
	"flag"
	"regexp"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
)

var update = flag.Bool("update", false, "write the golden files anew")

// client is the codec toward the provider.
func client(t *testing.T, op llm.Op, of dialect.Name) (dialect.Client, string) {
	t.Helper()
	u, err := providers.ParseBase(Kind().BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Kind().New(providers.Env{BaseURL: u}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := a.Speaks(op, "m", of)
	if !ok {
		t.Fatalf("no %s", op)
	}
	path, err := a.Address(providers.Call{Op: op, Dialect: c.Name(), Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	return c, path
}

func TestGolden(t *testing.T) {
	codectest.Golden(t, *update, func(s map[string]string) codectest.Pair {
		p := codectest.Pair{Server: openaichat.New(), In: dialect.Inbound{Op: llm.OpChat, Path: "/v1/chat/completions"}}
		switch s["server"] {
		case "anthropic-messages":
			p.Server, p.In.Path = anthropicmessages.New(), "/v1/messages"
		case "openai-embeddings":
			p.Server, p.In = openaiembeddings.New(), dialect.Inbound{Op: llm.OpEmbed, Path: "/v1/embeddings"}
		}
		p.Client, _ = client(t, p.In.Op, p.Server.Name())
		p.Facts = func(model string) dialect.Target {
			return dialect.Target{Model: model, Facts: catalog.FactsOf("mistral", model)}
		}
		return p
	})
}

func TestTheQuirksAreKnown(t *testing.T) {
	q := quirks()
	if err := q.Check(); err != nil {
		t.Error(err)
	}
}

func TestEndpoints(t *testing.T) {
	for op, want := range map[llm.Op]string{
		llm.OpChat: "/v1/chat/completions", llm.OpEmbed: "/v1/embeddings", llm.OpModerate: "/v1/moderations", llm.OpTranscribe: "/v1/audio/transcriptions",
	} {
		if _, path := client(t, op, ""); path != want {
			t.Errorf("%s: got %s, want %s", op, path, want)
		}
	}
}

// TestTheDiagonal splices what the API knows otherwise, and leaves its own members alone.
func TestTheDiagonal(t *testing.T) {
	c, _ := client(t, llm.OpChat, dialect.OpenAIChat)
	for _, x := range []struct{ body, want string }{
		{`{"model":"m", "messages":[{"role":"user","content":"x"}],"safe_prompt":true,"random_seed":3}`, `{"model":"m", "messages":[{"role":"user","content":"x"}],"safe_prompt":true,"random_seed":3}`},
		{`{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"a","prefix":true}],"seed":3,"user":"u"}`, `{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"a","prefix":true}],"random_seed":3}`},
		{`{"model":"m","messages":[{"role":"user","content":[{"type":"document_url","document_url":"https://a.example/x.pdf"},{"type":"image_url","image_url":"https://a.example/x.png"},{"type":"input_audio","input_audio":"AAAA"}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"document_url","document_url":"https://a.example/x.pdf"},{"type":"image_url","image_url":"https://a.example/x.png"},{"type":"input_audio","input_audio":"AAAA"}]}]}`},
		{`{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"developer","content":"x"}],"max_completion_tokens":9}`, `{"model":"m","stream":true,"messages":[{"role":"system","content":"x"}],"max_tokens":9}`},
		{`{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}},{"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}},{"type":"file","file":{"file_id":"f"}}]}]}`,
			`{"model":"m","messages":[{"role":"user","content":[{"type":"document_url","document_url":"data:application/pdf;base64,AAAA","document_name":"a.pdf"},{"type":"input_audio","input_audio":"AAAA"},{"type":"file","file":{"file_id":"f"}}]}]}`},
		{`{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"any"}`, `{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"any"}`},
		{`{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required"}`, `{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"any"}`},
	} {
		h, err := openaichat.New().Peek(dialect.Inbound{Op: llm.OpChat, Body: []byte(x.body)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Splice(nil, h, dialect.Edits{Model: "m", AskUsage: true})
		if err != nil || string(got) != x.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, x.want)
		}
	}
}

func TestIDsAreOfNineLettersAndDigits(t *testing.T) {
	c, _ := client(t, llm.OpChat, dialect.OpenAIChat)
	body := `{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"call_REDACTED_with_many_letters_1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"abcDEF123","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_REDACTED_with_many_letters_1","content":"x"},{"role":"tool","tool_call_id":"abcDEF123","content":"y"}]}`
	h, err := openaichat.New().Peek(dialect.Inbound{Op: llm.OpChat, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Splice(nil, h, dialect.Edits{Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	ids := regexp.MustCompile(`"(?:id|tool_call_id)":"([^"]*)"`).FindAllStringSubmatch(string(got), -1)
	if len(ids) != 4 || ids[0][1] != ids[2][1] || ids[1][1] != "abcDEF123" || ids[3][1] != "abcDEF123" || !regexp.MustCompile(`^[a-zA-Z0-9]{9}$`).MatchString(ids[0][1]) {
		t.Errorf("got %s", got)
	}
	if again, _ := c.Splice(nil, h, dialect.Edits{Model: "m"}); string(again) != string(got) {
		t.Errorf("the ids differ from time to time: %s, %s", got, again)
	}
}

func TestRecordedTraffic(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool { return x.Provider == "mistral" }, func(t *testing.T, x *recorded.Exchange) {
		op, of := llm.OpChat, dialect.OpenAIChat
		if x.Endpoint == "embeddings" {
			op, of = llm.OpEmbed, dialect.OpenAIEmbeddings
		}
		c, _ := client(t, op, of)
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		if x.Status >= 400 {
			e := c.ReadError(x.Status, nil, body)
			want := map[string]llm.Code{"Invalid API Key": llm.CodeCredential, "Logprobs are not enabled": llm.CodeUnsupported, "Invalid model": llm.CodeNotFound}
			for says, code := range want {
				if strings.Contains(string(body), says) && op == llm.OpChat && e.Code != code {
					t.Errorf("%s is read as %s", body, e.Code)
				}
			}
			return
		}
		if x.ResponseTrimmed {
			t.Skip("the record is cut")
		}
		stream := x.BodyKind == "sse"
		events := codectest.Read(t, c.NewReader(nil, stream), body, 0)
		if strings.Contains(events, "failed ") || !strings.Contains(events, "finished ") {
			t.Fatal(events)
		}
		if n, ok := jsonx.Int(jsonx.At(body, "usage", "completion_tokens")); ok && n > 0 && !regexp.MustCompile(`usage .*out=`).MatchString(events) {
			t.Errorf("no usage: %s", events)
		}
		if strings.Contains(string(body), `"type":"thinking"`) && !strings.Contains(events, " thought text=") {
			t.Errorf("the reasoning is not read: %.300s", events)
		}
	})
}
