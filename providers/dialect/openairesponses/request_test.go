package openairesponses

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

func targetOf(req *llm.Request) dialect.Target {
	return dialect.Target{Model: req.Model, Facts: catalog.OpenAI(req.Model)}
}

// with is a request with members beside model and input.
func with(members string) string { return `{"model":"m","input":"x",` + members + `}` }

// items is a request with items as its input.
func items(list string) string { return `{"model":"m","input":[` + list + `]}` }

func TestWhatIsWrongIsNamed(t *testing.T) {
	const call = `{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},`
	for _, tc := range []struct{ name, body, param, message string }{
		{"no JSON", `{"model":`, "", "could not parse"},
		{"a member twice", `{"model":"m","model":"n","input":"x"}`, "model", "could not parse"},
		{"a member in another case", `{"model":"m","Input":"x"}`, "Input", "Did you mean 'input'"},
		{"no model", `{"input":"x"}`, "model", "Missing"},
		{"a null model", `{"model":null,"input":"x"}`, "model", "a string"},
		{"no input", `{"model":"m"}`, "input", "Missing"},
		{"input as an object", `{"model":"m","input":{}}`, "input", "a string or an array"},
		{"an item that is none", items(`"x"`), "input[0]", "an object"},
		{"an item without type and role", items(`{"content":"x"}`), "input[0].type", "Missing"},
		{"a role of chat", items(`{"role":"tool","content":"x"}`), "input[0].role", "'assistant'"},
		{"no content", items(`{"role":"user"}`), "input[0].content", "Missing"},
		{"a picture from the system", items(`{"role":"system","content":[{"type":"input_image","image_url":"https://a.example/x"}]}`), "input[0].content[0].type", "'input_text'"},
		{"a picture without a source", items(`{"role":"user","content":[{"type":"input_image"}]}`), "input[0].content[0].image_url", "Missing"},
		{"a picture that is a file of ours", items(`{"role":"user","content":[{"type":"input_image","image_url":"file:///etc/passwd"}]}`), "input[0].content[0].image_url", "https or data"},
		{"a result without a call", items(`{"type":"function_call_output","call_id":"c","output":"x"}`), "input[0].call_id", "No tool call found"},
		{"a result without an id", items(call + `{"type":"function_call_output","output":"x"}`), "input[1].call_id", "Missing"},
		{"a result without output", items(call + `{"type":"function_call_output","call_id":"c"}`), "input[1].output", "Missing"},
		{"a call without a name", items(`{"type":"function_call","call_id":"c","arguments":""}`), "input[0].name", "Missing"},
		{"a summary as text", items(`{"type":"reasoning","summary":"x"}`), "input[0].summary", "an array"},
		{"too hot", with(`"temperature":2.5`), "temperature", "<= 2"},
		{"no tokens", with(`"max_output_tokens":0`), "max_output_tokens", ">= 1"},
		{"too many alternatives", with(`"top_logprobs":21`), "top_logprobs", "<= 20"},
		{"stream as a word", with(`"stream":"yes"`), "stream", "a boolean"},
		{"tools as an object", with(`"tools":{}`), "tools", "an array"},
		{"a tool without a type", with(`"tools":[{"name":"f"}]`), "tools[0].type", "a string"},
		{"a function without a name", with(`"tools":[{"type":"function"}]`), "tools[0].name", "Missing"},
		{"a custom tool without a name", with(`"tools":[{"type":"custom"}]`), "tools[0].name", "Missing"},
		{"parameters as text", with(`"tools":[{"type":"function","name":"f","parameters":"{}"}]`), "tools[0].parameters", "an object"},
		{"an unknown choice", with(`"tool_choice":"any"`), "tool_choice", "'required'"},
		{"a choice of no name", with(`"tool_choice":{"type":"function"}`), "tool_choice.name", "Missing"},
		{"allowed tools without a mode", with(`"tool_choice":{"type":"allowed_tools","tools":[]}`), "tool_choice.mode", "a string"},
		{"allowed tools of none", with(`"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]}`), "tool_choice.tools", "Missing"},
		{"a schema without a name", with(`"text":{"format":{"type":"json_schema","schema":{}}}`), "text.format.name", "Missing"},
		{"a form that there is not", with(`"text":{"format":{"type":"xml"}}`), "text.format.type", "json_schema"},
		{"a summary that there is not", with(`"reasoning":{"summary":"long"}`), "reasoning.summary", "concise"},
		{"include as text", with(`"include":"x"`), "include", "an array"},
		{"metadata as text", with(`"metadata":"x"`), "metadata", "an object"},
		{"nested too deep", with(`"text":` + strings.Repeat(`{"a":`, 70) + `1` + strings.Repeat(`}`, 70)), "text", "deeper"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := fixed().ReadRequest(inbound([]byte(tc.body)))
			var e *llm.Error
			if !errors.As(err, &e) || e.Code != llm.CodeInvalid || e.Param != tc.param || !strings.Contains(e.Message, tc.message) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatNamesStoredStateIsBound(t *testing.T) {
	for _, tc := range []struct{ name, body, bound string }{
		{"nothing stored", with(`"store":false,"background":false,"previous_response_id":null,"truncation":"disabled"`), ""},
		{"a response", `{"model":"m","previous_response_id":"resp_1"}`, "previous_response_id"},
		{"a response and results of its calls", `{"model":"m","previous_response_id":"resp_1","input":[{"type":"function_call_output","call_id":"c","output":"x"}]}`, "previous_response_id"},
		{"a conversation", with(`"conversation":"conv_1"`), "conversation"},
		{"a conversation as an object", with(`"conversation":{"id":"conv_1"}`), "conversation"},
		{"a prompt", `{"model":"m","prompt":{"id":"pmpt_1"}}`, "prompt"},
		{"in the background", with(`"background":true`), "background"},
		{"a reference to an item", items(`{"type":"item_reference","id":"msg_1"}`), "input[0]"},
		{"a compacted conversation", items(`{"role":"user","content":"x"},{"type":"compaction","encrypted_content":"x"}`), "input[1]"},
		{"a choice of a built-in tool", with(`"tools":[{"type":"file_search"}],"tool_choice":{"type":"file_search"}`), "tool_choice"},
		{"built-in tools among the allowed", with(`"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"mcp","server_label":"x"}]}`), "tool_choice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := fixed().ReadRequest(inbound([]byte(tc.body)))
			if err != nil || req.Bound != tc.bound {
				t.Fatalf("got %+v, %v", req, err)
			}
			checkLaw(t, req)
		})
	}
}

// TestToolChoicesCross writes each meaning of tool_choice for each dialect.
func TestToolChoicesCross(t *testing.T) {
	const tools = `"tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}],`
	for _, tc := range []struct{ choice, own, chat, anthropic string }{
		{`"auto"`, `"auto"`, `"auto"`, `{"type":"auto"}`},
		{`"none"`, `"none"`, `"none"`, `{"type":"none"}`},
		{`"required"`, `"required"`, `"required"`, `{"type":"any"}`},
		{`{"type":"function","name":"g"}`, `{"type":"function","name":"g"}`, `{"type":"function","function":{"name":"g"}}`, `{"type":"tool","name":"g"}`},
		{`{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"g"}]}`, `{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"g"}]}`,
			`{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}}`, `{"type":"any"}`},
	} {
		t.Run(tc.choice, func(t *testing.T) {
			req, err := fixed().ReadRequest(inbound([]byte(with(tools + `"tool_choice":` + tc.choice))))
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range []struct {
				c    dialect.Client
				want string
			}{{fixed(), tc.own}, {openaichat.New(), tc.chat}, {anthropicmessages.New(), tc.anthropic}} {
				out, _, err := to.c.WriteRequest(nil, req, dialect.Target{Model: "m"})
				if got := string(jsonx.Get(out, "tool_choice")); err != nil || got != to.want {
					t.Errorf("%s: got %s, %v; want %s", to.c.Name(), got, err, to.want)
				}
			}
		})
	}
}

// TestWhatTheAPILacksIsRefusedOrLost writes openai-chat's members that Responses has not.
func TestWhatTheAPILacksIsRefusedOrLost(t *testing.T) {
	for _, tc := range []struct{ name, members, param, loss string }{
		{"stop sequences", `"stop":["x"]`, "stop", ""},
		{"several answers", `"n":2`, "n", ""},
		{"sound", `"modalities":["text","audio"],"audio":{"voice":"a","format":"wav"}`, "modalities", ""},
		{"a seed", `"seed":1`, "", "seed"},
		{"biases", `"logit_bias":{}`, "", "logit_bias"},
		{"penalties", `"presence_penalty":1`, "", "presence_penalty"},
		{"a limit that is too low", `"max_tokens":5`, "", "max_tokens"},
		{"top_k", `"top_k":5`, "", "top_k"},
		{"a prediction", `"prediction":{"type":"content","content":"x"}`, "", "prediction"},
		{"temperature where the model reasons", `"temperature":0.5,"reasoning_effort":"low"`, "", "temperature"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := openaichat.New().ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: []byte(`{"model":"gpt-5.1","messages":[{"role":"user","content":"x"}],` + tc.members + `}`)})
			if err != nil {
				t.Fatal(err)
			}
			_, losses, err := fixed().WriteRequest(nil, req, targetOf(req))
			var e *llm.Error
			if errors.As(err, &e) != (tc.param != "") || e != nil && (e.Param != tc.param || e.Code != llm.CodeUnsupported) {
				t.Errorf("got %v", err)
			}
			if tc.loss != "" && (len(losses) != 1 || losses[0].Path != tc.loss || losses[0].Why == "") {
				t.Errorf("lost %v", losses)
			}
		})
	}
}

func TestSpliceChangesTheModelAlone(t *testing.T) {
	const body = `{ "model" : "a", "input":[{"role":"user","content":"x"} ],"unknown":1.0e3 }`
	h, err := fixed().Peek(inbound([]byte(body)))
	if err != nil || !h.Usage || h.N != 1 {
		t.Fatal(h, err)
	}
	if got, err := fixed().Splice(nil, h, dialect.Edits{Model: "b", AskUsage: true}); err != nil || string(got) != strings.Replace(body, `"a"`, `"b"`, 1) {
		t.Errorf("got %s, %v", got, err)
	}
	if same, err := fixed().Splice(nil, h, dialect.Edits{Model: "a"}); err != nil || &same[0] != &h.Doc.Body[0] {
		t.Error("a body without edits is copied")
	}
}

// TestForeignReasoningIsTakenOut splices conversations that another vendor's model was part of.
func TestForeignReasoningIsTakenOut(t *testing.T) {
	const (
		user    = `{"role":"user","content":"say \"sbs1.\""}`
		own     = `{"type":"reasoning","summary":[],"encrypted_content":"gAAA"}`
		wrapped = `{"type":"reasoning","summary":[],"encrypted_content":"sbs1.openai-responses.gAAA"}`
		foreign = `{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"sbs1.anthropic-messages.EqoB"}`
		carried = `{"type":"reasoning","summary":[],"encrypted_content":"sbc1.YQ.sbs1.gemini.c2ln"}`
	)
	for in, want := range map[string]string{
		user + "," + own:     user + "," + own,
		user + "," + wrapped: user + "," + wrapped,
		user + "," + foreign: user,
		foreign + " , " + user + "," + carried + " , " + foreign: " " + user,
		user + "," + foreign + "," + carried + "," + own:         user + "," + own,
		foreign: "",
		user + "," + foreign + "," + user + ",\n" + carried + "\n," + user: user + "," + user + ",\n" + user,
	} {
		h, err := fixed().Peek(inbound([]byte(items(in))))
		if err != nil {
			t.Fatal(err)
		}
		got, err := fixed().Splice(nil, h, dialect.Edits{Model: "b"})
		if err != nil || jsonx.Valid(got) != nil {
			t.Fatalf("%s: %s, %v", in, got, err)
		}
		wantBody := strings.Replace(items(want), `"m"`, `"b"`, 1)
		a, _ := jsonx.Compact(got)
		b, _ := jsonx.Compact([]byte(wantBody))
		if string(a) != string(b) {
			t.Errorf("%s:\ngot  %s\nwant %s", in, a, b)
		}
	}
}

// TestPathsAreTheClients names parts of what was read by their place in the request.
func TestPathsAreTheClients(t *testing.T) {
	req, err := fixed().ReadRequest(inbound([]byte(`{"model":"m","instructions":"i","input":[{"role":"user","content":"x"},{"type":"reasoning","summary":[]},{"role":"assistant","content":[{"type":"output_text","text":"a"},{"type":"output_text","text":"b"}]},{"role":"assistant","phase":"final_answer","content":"c"},{"type":"function_call","call_id":"c","name":"f","arguments":""},{"type":"function_call_output","call_id":"c","output":"x"}]}`)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		turn, part int
		want       string
	}{
		{0, 0, "instructions"}, {1, 0, "input[0].content[0]"}, {1, -1, "input[0]"}, {2, 0, "input[1]"}, {2, 1, "input[2].content[0]"}, {2, 2, "input[2].content[1]"},
		{2, 3, "input[3].content[0]"}, {2, 4, "input[4]"}, {3, 0, "input[5].content[0]"},
	} {
		if got := member.At(name, req.Chat().Turns, tc.turn, tc.part); got != tc.want {
			t.Errorf("%d, %d: %s, want %s", tc.turn, tc.part, got, tc.want)
		}
	}
}

func TestRecordedCountsAreReadAndWritten(t *testing.T) {
	each(t, func(x *recorded.Exchange) bool { return x.Endpoint == "responses-input-tokens" }, func(t *testing.T, x *recorded.Exchange) {
		in := dialect.Inbound{Op: llm.OpCount, Path: "/v1/responses/input_tokens", Body: x.RequestJSON}
		req, err := fixed().ReadRequest(in)
		if err != nil || req.Op != llm.OpCount {
			t.Fatalf("%+v, %v", req, err)
		}
		out, losses, err := fixed().WriteRequest(nil, req, targetOf(req))
		if err != nil || len(losses) > 0 {
			t.Fatal(losses, err)
		}
		in.Body = out
		if back, err := fixed().ReadRequest(in); err != nil || cmp.Diff(req, back) != "" {
			t.Errorf("read again it is another: %v\n%s", err, cmp.Diff(req, back))
		}
		body, _ := x.Body()
		w := fixed().NewWriter(req, false)
		if err := fixed().NewReader(nil, false).Feed(body, true, func(ev *llm.Event) error {
			_, err := w.Write(nil, ev)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		n, _ := jsonx.Int(jsonx.Get(body, "input_tokens"))
		if got, err := w.Close(nil); err != nil || string(got) != fmt.Sprintf(`{"object":"response.input_tokens","input_tokens":%d}`, n) {
			t.Errorf("got %s, %v", got, err)
		}
	})
}

// drawBody draws a request that the dialect allows, with members in any order.
func drawBody(t *rapid.T) string {
	q := func(label string) string {
		return string(jsonx.AppendQuote(nil, rapid.StringN(0, 8, 30).Draw(t, label)))
	}
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	part := func() string {
		return pick("part", `{"type":"input_text","text":`+q("text")+`}`, `{"type":"input_image","image_url":"https://a.example/x","detail":"low"}`,
			`{"type":"input_image","file_id":"f","x":1}`, `{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}`, `{"type":"input_file","file_url":"https://a.example/y"}`, `{"type":"input_audio","z":{}}`)
	}
	content := func() string {
		if rapid.Bool().Draw(t, "plain") {
			return q("content")
		}
		var parts []string
		for range rapid.IntRange(0, 3).Draw(t, "parts") {
			parts = append(parts, part())
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	var list []string
	for i := range rapid.IntRange(0, 6).Draw(t, "items") {
		id := fmt.Sprintf("call_%d", i)
		list = append(list, pick("item",
			`{"role":"user","content":`+content()+`}`, `{"type":"message","role":"`+pick("role", "system", "developer")+`","content":`+q("system")+`,"x":1}`,
			`{"type":"message","id":"msg_1","status":"completed","phase":"final_answer","role":"assistant","content":[{"type":"output_text","text":`+q("said")+`,"annotations":[],"logprobs":[]},{"type":"refusal","refusal":"no"}]}`,
			`{"role":"assistant","content":`+q("said")+`}`, `{"role":"assistant","content":[]}`,
			`{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":`+q("summary")+`}],"encrypted_content":`+pick("seal", "null", `"gAAA"`, `"sbs1.anthropic-messages.Eqo"`)+`}`,
			`{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]}`,
			`{"type":"web_search_call","id":"ws_1","status":"completed"}`, `{"type":"mcp_approval_response","approve":true}`,
			`{"type":"function_call","call_id":"`+id+`","name":"f","arguments":`+pick("args", `""`, `"{}"`, `"{broken"`)+`},{"type":"function_call_output","call_id":"`+id+`","output":`+content()+`}`,
			`{"type":"custom_tool_call","call_id":"`+id+`","name":"c","input":`+q("input")+`},{"type":"custom_tool_call_output","call_id":"`+id+`","output":`+q("result")+`}`))
	}
	members := []string{`"model":"gpt-5.1"`, `"input":[` + strings.Join(list, ",") + `]`}
	for _, m := range []string{
		`"instructions":` + q("instructions"), `"temperature":0.5`, `"top_p":1`, `"max_output_tokens":5`, `"top_logprobs":3`, `"include":["message.output_text.logprobs","reasoning.encrypted_content","x"]`,
		`"presence_penalty":1`, `"user":"u"`, `"safety_identifier":"s"`, `"metadata":{"a":"b"}`, `"store":` + pick("store", "true", "false"), `"service_tier":"flex"`, `"prompt_cache_key":"k"`,
		`"reasoning":` + pick("reasoning", `{"effort":"none"}`, `{"summary":"auto"}`, `{"effort":"low","summary":"detailed","context":"all"}`, `{}`), `"parallel_tool_calls":false`,
		`"text":` + pick("text", `{"format":{"type":"json_object"}}`, `{"verbosity":"low","y":1}`, `{"format":{"type":"json_schema","name":"n","schema":{ },"strict":true}}`), `"truncation":"auto"`, `"unknown": [1 , {"a":null}]`, `"unknown_null":null`,
		`"tool_choice":` + pick("choice", `"auto"`, `"none"`, `"required"`, `{"type":"function","name":"f"}`, `{"type":"custom","name":"c"}`, `{"type":"mcp","server_label":"x"}`),
		`"tools":[{"type":"function","name":"f","x":1,"strict":true},{"type":"function","name":"g","parameters":null},{"type":"custom","name":"c"},{"type":"web_search"}]`, `"stream":true`, `"stream_options":{"include_obfuscation":false}`,
	} {
		if rapid.Bool().Draw(t, "member") {
			members = append(members, m)
		}
	}
	return "{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), ",") + "}"
}

func TestReadingAndWritingIsALaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := drawBody(t)
		req, err := fixed().ReadRequest(inbound([]byte(body)))
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		checkLaw(t, req)
	})
}

// Of what another dialect's request holds, everything is written or lost, and said to be.
func TestNothingOfAForeignRequestVanishes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req, err := fixed().ReadRequest(inbound([]byte(drawBody(t))))
		if err != nil {
			t.Skip("not a request")
		}
		for _, d := range []dialect.Name{dialect.OpenAIChat, dialect.AnthropicMessages, dialect.Gemini} {
			req.Extra.Dialect = string(d)
			out, losses, err := fixed().WriteRequest(nil, req, targetOf(req))
			if err != nil {
				var e *llm.Error
				if !errors.As(err, &e) || e.Param == "" {
					t.Fatalf("refused without a name: %v", err)
				}
				continue
			}
			if _, err := jsonx.Scan(out); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, m := range req.Extra.Members {
				if lost := fmt.Sprint(losses); !jsonx.IsNull(m.Raw) && !strings.Contains(lost, "{"+m.Name+" ") {
					t.Fatalf("%s vanished\n%s\n%v", m.Name, out, losses)
				}
			}
		}
	})
}
