package cohere

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fixed is the codec with made-up ids that do not differ from run to run.
func fixed() *Codec {
	return &Codec{mint: func() string { return "00000000-0000-4000-8000-000000000000" }}
}

func inbound(op llm.Op, body string) dialect.Inbound {
	return dialect.Inbound{Op: op, Path: "/v2/" + op.String(), Body: []byte(body)}
}

func TestGolden(t *testing.T) {
	ops := map[string]llm.Op{"": llm.OpChat, "embed": llm.OpEmbed, "rerank": llm.OpRerank}
	codectest.Golden(t, *update, func(s map[string]string) codectest.Pair {
		p := codectest.Pair{Server: fixed(), Client: fixed(), In: inbound(ops[s["op"]], "")}
		p.Facts = func(model string) dialect.Target {
			return dialect.Target{Model: model, Facts: catalog.FactsOf("cohere", model)}
		}
		switch s["server"] {
		case "openai-chat":
			p.Server, p.In.Path = openaichat.New(), "/v1/chat/completions"
		case "anthropic-messages":
			p.Server, p.In.Path = anthropicmessages.New(), "/v1/messages"
		case "openai-embeddings":
			p.Server, p.In.Path = openaiembeddings.New(), "/v1/embeddings"
		case "rerank":
			p.Server, p.In.Path = rerank.New(), "/v1/rerank"
		}
		switch s["client"] {
		case "openai-chat":
			p.Client = openaichat.New()
		case "openai-embeddings":
			p.Client = openaiembeddings.New()
		case "rerank":
			p.Client = rerank.New()
		}
		if s["path"] != "" {
			p.In.Path = s["path"]
		}
		return p
	})
}

func TestWrongMembersAreNamed(t *testing.T) {
	const hello = `"messages":[{"role":"user","content":"hi"}]`
	for _, c := range []struct {
		op                llm.Op
		body, param, says string
		peeks             bool
	}{
		{llm.OpChat, `{` + hello + `}`, "model", "Missing required parameter", true},
		{llm.OpChat, `{"model":null,` + hello + `}`, "model", "a string", true},
		{llm.OpChat, `{"model":"m"}`, "messages", "Missing required parameter", true},
		{llm.OpChat, `{"model":"m","messages":[]}`, "messages", "empty array", true},
		{llm.OpChat, `{"model":"m","messages":[{"content":"x"}]}`, "messages[0].role", "Missing", true},
		{llm.OpChat, `{"model":"m","messages":[{"role":"CHATBOT","content":"x"}]}`, "messages[0].role", "expected one of", true},
		{llm.OpChat, `{"message":"hi","model":"command"}`, "message", "version 1", true},
		{llm.OpChat, `{"message":"hi"}`, "message", "version 1", true},
		{llm.OpChat, `{"model":"m",` + hello + `,"stream":1}`, "stream", "a boolean", true},
		{llm.OpChat, `{"model":"m",` + hello + `,"Stream":true}`, "Stream", "Did you mean", true},
		{llm.OpChat, `{"model":"m",` + hello + `,"max_tokens":0}`, "max_tokens", ">= 1", true},
		{llm.OpChat, `{"model":"m",` + hello + `,"temperature":-1}`, "temperature", ">= 0", true},
		{llm.OpChat, `{"model":"m",` + hello + `,"p":2}`, "p", "<= 1", true},
		{llm.OpChat, `{"model":"m",` + hello + `,"tools":{}}`, "tools", "an array", true},
		{llm.OpChat, `{"model":"m",` + hello + `,"tools":[{"type":"function"}]}`, "tools[0].function", "Missing", false},
		{llm.OpChat, `{"model":"m",` + hello + `,"tools":[{"type":"web","function":{"name":"x"}}]}`, "tools[0].type", "'function'", false},
		{llm.OpChat, `{"model":"m",` + hello + `,"tools":[{"type":"function","function":{}}]}`, "tools[0].function.name", "Missing", false},
		{llm.OpChat, `{"model":"m",` + hello + `,"tool_choice":"auto"}`, "tool_choice", "'REQUIRED', 'NONE'", false},
		{llm.OpChat, `{"model":"m",` + hello + `,"strict_tools":"x"}`, "strict_tools", "a boolean", false},
		{llm.OpChat, `{"model":"m",` + hello + `,"response_format":{"type":"xml"}}`, "response_format.type", "'json_object'", false},
		{llm.OpChat, `{"model":"m",` + hello + `,"response_format":{"type":"json_object","x":1}}`, "response_format.x", "Unknown", false},
		{llm.OpChat, `{"model":"m",` + hello + `,"thinking":{"type":"on"}}`, "thinking.type", "'enabled'", false},
		{llm.OpChat, `{"model":"m",` + hello + `,"thinking":{"type":"enabled","token_budget":0}}`, "thinking.token_budget", ">= 1", false},
		{llm.OpChat, `{"model":"m",` + hello + `,"stop_sequences":[1]}`, "stop_sequences[0]", "a string", false},
		{llm.OpChat, `{"model":"m",` + hello + `,"documents":[5]}`, "documents[0]", "a string or an object", false},
		{llm.OpChat, `{"model":"m",` + hello + `,"documents":[{"id":"a"}]}`, "documents[0].data", "Missing", false},
		{llm.OpChat, `{"model":"m","messages":[{"role":"user"}]}`, "messages[0].content", "Missing", false},
		{llm.OpChat, `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"ftp://x"}}]}]}`, "messages[0].content[0].image_url.url", "https or data", false},
		{llm.OpChat, `{"model":"m","messages":[{"role":"system","content":[{"type":"image_url"}]}]}`, "messages[0].content[0].type", "cannot be", false},
		{llm.OpChat, `{"model":"m","messages":[{"role":"tool","content":"x"}]}`, "messages[0].tool_call_id", "Missing", false},
		{llm.OpChat, `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":{}}}]}]}`, "messages[0].tool_calls[0].function.arguments", "a string", false},
		{llm.OpEmbed, `{"model":"m","input_type":"search_query"}`, "texts", "Missing", true},
		{llm.OpEmbed, `{"model":"m","texts":[]}`, "texts", "empty array", true},
		{llm.OpEmbed, `{"model":"m","texts":["a"],"input_type":"x"}`, "input_type", "expected one of", false},
		{llm.OpEmbed, `{"model":"m","texts":["a"],"embedding_types":["int8"]}`, "embedding_types", "float or base64", false},
		{llm.OpEmbed, `{"model":"m","texts":["a"],"embedding_types":["float","base64"]}`, "embedding_types", "one type", false},
		{llm.OpEmbed, `{"model":"m","texts":["a"],"images":["data:image/png;base64,AAAA"]}`, "images", "Only one of", false},
		{llm.OpEmbed, `{"model":"m","texts":["a"],"truncate":"MIDDLE"}`, "truncate", "'NONE'", false},
		{llm.OpEmbed, `{"model":"m","inputs":[{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}`, "inputs[0]", "several texts", false},
		{llm.OpRerank, `{"model":"m","documents":["a"]}`, "query", "Missing", true},
		{llm.OpRerank, `{"model":"m","query":"q"}`, "documents", "Missing", true},
		{llm.OpRerank, `{"model":"m","query":"q","documents":["a"],"top_n":0}`, "top_n", ">= 1", true},
		{llm.OpRerank, `{"model":"m","query":"q","documents":[1]}`, "documents[0]", "a string", false},
	} {
		codectest.Refused(t, New(), inbound(c.op, c.body), c.peeks, c.param, c.says)
	}
	v1 := inbound(llm.OpChat, `{"message":"hi"}`)
	v1.Path = "/v1/chat"
	codectest.Refused(t, New(), v1, true, "", "use /v2/chat")
}

// native reports whether a record is of the version that is spoken here.
func native(x *recorded.Exchange) bool {
	return x.Provider == "cohere" && strings.Contains(x.RequestPath, "/v2/")
}

func opOf(x *recorded.Exchange) llm.Op {
	return map[string]llm.Op{"chat-native": llm.OpChat, "embed": llm.OpEmbed, "rerank": llm.OpRerank}[x.Endpoint]
}

func TestRecordedRequestsAndAnswers(t *testing.T) {
	recorded.Each(t, native, func(t *testing.T, x *recorded.Exchange) {
		c := fixed()
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		if x.Status >= 400 {
			e := c.ReadError(x.Status, nil, body)
			want := map[int]llm.Code{400: llm.CodeContextTooLong, 401: llm.CodeCredential, 404: llm.CodeNotFound}[x.Status]
			if e.Code != want || e.Message == "" {
				t.Errorf("%d is read as %s %q", x.Status, e.Code, e.Message)
			}
			return
		}
		in := inbound(opOf(x), string(x.RequestJSON))
		codectest.Law(t, c, c, in)
		req, err := c.ReadRequest(in)
		if err != nil {
			t.Fatal(err)
		}
		if x.ResponseTrimmed {
			t.Skip("the record is cut")
		}
		stream := x.BodyKind == "sse"
		events := codectest.Recut(t, func() dialect.Reader { return c.NewReader(req, stream) }, body)
		if strings.Contains(events, "failed ") {
			t.Fatal(events)
		}
		if n, ok := jsonx.Int(jsonx.At(body, "usage", "tokens", "output_tokens")); ok && !strings.Contains(events, fmt.Sprintf(" out=%d", n)) {
			t.Errorf("usage is not the provider's: %s", events)
		}
		if stream {
			codectest.Truncated(t, func() dialect.Reader { return c.NewReader(req, true) }, body, "\n\n", func(head string) bool { return strings.Contains(head, "message-end") })
		}
		for _, as := range []bool{stream, !stream} {
			if as && in.Op != llm.OpChat {
				continue
			}
			again := rewrite(t, c, req, body, stream, as)
			if d := cmp.Diff(gist(t, c.NewReader(req, stream), body), gist(t, c.NewReader(req, as), again)); d != "" {
				t.Errorf("stream %v: what is written says something else (-was +is):\n%s\n%s", as, d, again)
			}
		}
	})
}

// rewrite reads an answer and writes it anew.
func rewrite(t testing.TB, c *Codec, req *llm.Request, body []byte, from, to bool) []byte {
	t.Helper()
	w := c.NewWriter(req, to)
	var out []byte
	err := c.NewReader(req, from).Feed(body, true, func(ev *llm.Event) (err error) {
		out, err = w.Write(out, ev)
		return err
	})
	if err == nil {
		out, err = w.Close(out)
	}
	if err != nil {
		t.Fatal(err)
	}
	if to {
		strict(t, out)
	} else if err := jsonx.Valid(out); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return out
}

// gist is what an answer says, however it is cut into pieces.
func gist(t testing.TB, r dialect.Reader, body []byte) string {
	t.Helper()
	var text, thought, rest strings.Builder
	var usage llm.Usage
	err := r.Feed(body, true, func(ev *llm.Event) error {
		usage.Merge(ev.Usage)
		switch {
		case ev.Kind == llm.EvDelta && ev.Cite != nil:
			fmt.Fprintf(&rest, "cite %d-%d %s\n", ev.Cite.Start, ev.Cite.End, ev.Cite.Text)
		case ev.Kind == llm.EvDelta && ev.Part == llm.PartThought:
			thought.Write(ev.Text)
		case ev.Kind == llm.EvDelta && ev.Part == llm.PartText:
			text.Write(ev.Text)
		case ev.Kind == llm.EvDelta:
			rest.Write(ev.Text)
		case ev.Kind == llm.EvBlockStarted && ev.Part == llm.PartCall:
			fmt.Fprintf(&rest, "call %s %s ", ev.ID, ev.Name)
		case ev.Kind == llm.EvFinished:
			fmt.Fprintf(&rest, "finished %s\n", ev.Stop.Reason)
		case ev.Kind == llm.EvResult, ev.Kind == llm.EvFailed, ev.Kind == llm.EvStarted:
			rest.Write(codectest.AppendEvent(nil, ev))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s|%s|%s|%v", thought.String(), text.String(), rest.String(), usage)
}

// strict holds a stream to what Cohere's SDKs and ai-sdk need of it: types that they know, an event line for each,
// a message-start first, one block at a time, a message-end last.
func strict(t testing.TB, out []byte) {
	t.Helper()
	open := ""
	started, ended := false, false
	for frame := range strings.SplitSeq(strings.TrimSuffix(string(out), "\n\n"), "\n\n") {
		if ended {
			if frame != "data: [DONE]" {
				t.Fatalf("%q after the end", frame)
			}
			continue
		}
		head, data, ok := strings.Cut(frame, "\ndata: ")
		kind, ok2 := strings.CutPrefix(head, "event: ")
		said, _ := jsonx.String(jsonx.Get([]byte(data), "type"))
		if !ok || !ok2 || jsonx.Valid([]byte(data)) != nil || said != kind || strings.Contains(data, "\n") {
			t.Fatalf("no event: %q", frame)
		}
		n, _ := jsonx.Int(jsonx.Get([]byte(data), "index"))
		what, step, _ := strings.Cut(strings.ReplaceAll(kind, "tool-call", "call"), "-")
		this := fmt.Sprint(what, n)
		switch {
		case !started && kind != "message-start", started && kind == "message-start":
			t.Fatalf("%s out of place", kind)
		case kind == "message-start":
			started = true
		case kind == "message-end":
			ended = true
			for _, n := range []string{"input_tokens", "output_tokens"} {
				if _, ok := jsonx.Int(jsonx.At([]byte(data), "delta", "usage", "tokens", n)); !ok {
					t.Fatalf("no %s: %s", n, data)
				}
			}
			if open != "" {
				t.Fatalf("%s is open at the end", open)
			}
		case kind == "citation-start":
			for _, s := range jsonx.Elements(jsonx.At([]byte(data), "delta", "message", "citations", "sources")) {
				if d := jsonx.Get(s, "document"); d != nil && (jsonx.Kind(jsonx.Get(d, "text")) != '"' || jsonx.Kind(jsonx.Get(d, "title")) != '"') {
					t.Fatalf("a document without its text or title: %s", data)
				}
			}
		case what == "citation":
		case step == "start" && open != "", step != "start" && open != this:
			t.Fatalf("%s while %q is open", frame, open)
		case step == "start":
			open = this
		case step == "end":
			open = ""
		}
	}
	if !ended {
		t.Fatalf("no end: %s", out)
	}
}

func TestErrorsHaveTheirStatus(t *testing.T) {
	for _, c := range []struct {
		e      *llm.Error
		status int
		body   string
	}{
		{&llm.Error{Code: llm.CodeInvalid, Param: "p", Message: "too high"}, 400, `{"id":"r","message":"p: too high"}`},
		{&llm.Error{Code: llm.CodeContextTooLong, Message: "too many tokens"}, 400, `{"id":"r","message":"too many tokens","error_type":"TOO_MANY_TOKENS"}`},
		{&llm.Error{Code: llm.CodeUnauthenticated}, 401, `{"id":"r","message":"invalid api token"}`},
		{&llm.Error{Code: llm.CodeCredential, Message: "Incorrect API key sk-1"}, 502, `{"id":"r","message":"the provider refused the gateway"}`},
		{&llm.Error{Code: llm.CodeRateLimited, Message: "slow"}, 429, `{"id":"r","message":"slow"}`},
		{&llm.Error{Code: llm.CodeOverQuota}, 402, `{"id":"r","message":"over quota"}`},
		{&llm.Error{Code: llm.CodeNotFound, Status: 418}, 418, `{"id":"r","message":"not found"}`},
	} {
		status, body := New().WriteError(c.e, "r")
		if status != c.status || string(body) != c.body {
			t.Errorf("%s: got %d %s", c.e.Code, status, body)
		}
	}
	for code := llm.CodeInvalid; code <= llm.CodeInternal; code++ {
		e := &llm.Error{Code: code, Message: "m"}
		status, body := New().WriteError(e, "")
		back := New().ReadError(status, nil, body)
		about := code == llm.CodeCredential || code == llm.CodeConnect || code == llm.CodeReset || code == llm.CodeInternal || code == llm.CodeOverQuota || code == llm.CodeMethod || code == llm.CodeMediaType
		if status < 400 || jsonx.Valid(body) != nil || back.Code.Retryable() != code.Retryable() && !about && code != llm.CodeUnauthenticated && code != llm.CodeContextTooLong {
			t.Errorf("%s: %d %s is read back as %s", code, status, body, back.Code)
		}
	}
	if e := New().ReadError(498, nil, []byte(`{"message":"invalid token"}`)); e.Code != llm.CodeCredential {
		t.Errorf("498 is read as %s", e.Code)
	}
}

func TestStopsAreOfTheDialect(t *testing.T) {
	for reason, want := range map[llm.StopReason]string{
		llm.StopEnd: "COMPLETE", llm.StopLength: "MAX_TOKENS", llm.StopSequence: "STOP_SEQUENCE", llm.StopFilter: "ERROR_TOXIC", llm.StopPause: "COMPLETE", llm.StopFault: "COMPLETE",
	} {
		out := answer(t, llm.Event{Kind: llm.EvBlockStarted}, llm.Event{Kind: llm.EvDelta, Text: []byte("x")}, llm.Event{Kind: llm.EvBlockEnded}, llm.Event{Kind: llm.EvFinished, Stop: llm.Stop{Reason: reason}})
		if !strings.Contains(out, `"finish_reason":"`+want+`"`) {
			t.Errorf("%s: %s", reason, out)
		}
	}
	for native, want := range map[string]llm.StopReason{
		"COMPLETE": llm.StopEnd, "MAX_TOKENS": llm.StopLength, "STOP_SEQUENCE": llm.StopSequence, "TOOL_CALL": llm.StopCalls, "ERROR_TOXIC": llm.StopFilter, "ERROR": llm.StopFault, "NEW": llm.StopEnd,
	} {
		if got := readStop([]byte(`"` + native + `"`)); got.Reason != want || got.Native != native {
			t.Errorf("%s: %v", native, got)
		}
	}
}

// answer writes events as a stream and checks it.
func answer(t *testing.T, events ...llm.Event) string {
	t.Helper()
	w := fixed().NewWriter(nil, true)
	var out []byte
	for i := range events {
		out, _ = w.Write(out, &events[i])
	}
	out, err := w.Close(out)
	if err != nil {
		t.Fatal(err)
	}
	strict(t, out)
	return string(out)
}

func TestCallsDoNotInterleave(t *testing.T) {
	out := answer(t,
		llm.Event{Kind: llm.EvStarted, ID: "a"},
		llm.Event{Kind: llm.EvBlockStarted, Index: 0, Part: llm.PartCall, ID: "one", Name: "f"},
		llm.Event{Kind: llm.EvBlockStarted, Index: 1, Part: llm.PartCall, ID: "two", Name: "g"},
		llm.Event{Kind: llm.EvDelta, Index: 1, Part: llm.PartCall, Text: []byte(`{"b":`)},
		llm.Event{Kind: llm.EvDelta, Index: 0, Part: llm.PartCall, Text: []byte(`{"a":1}`)},
		llm.Event{Kind: llm.EvDelta, Index: 1, Part: llm.PartCall, Text: []byte(`2}`)},
		llm.Event{Kind: llm.EvBlockStarted, Index: 2, Part: llm.PartCall, Name: "h"},
		llm.Event{Kind: llm.EvBlockEnded, Index: 1, Part: llm.PartCall},
		llm.Event{Kind: llm.EvFinished, Stop: llm.Stop{Reason: llm.StopCalls}})
	got := gist(t, New().NewReader(nil, true), []byte(out))
	if want := "call one f {\"a\":1}call two g {\"b\":2}call call_000000000000400080000000 h {}finished calls"; !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}
}

func TestAStreamThatFailsSaysSoAndNoMore(t *testing.T) {
	for _, end := range [][]llm.Event{nil, {{Kind: llm.EvFailed}}, {{Kind: llm.EvFailed, Err: &llm.Error{Code: llm.CodeTimeout, Message: "late"}}, {Kind: llm.EvFinished}}} {
		w := New().NewWriter(nil, true)
		var out []byte
		for _, ev := range append([]llm.Event{{Kind: llm.EvStarted, ID: "a"}, {Kind: llm.EvBlockStarted}, {Kind: llm.EvDelta, Text: []byte("x")}}, end...) {
			out, _ = w.Write(out, &ev)
		}
		out, err := w.Close(out)
		if err != nil || strings.Contains(string(out), "[DONE]") || strings.Contains(string(out), "COMPLETE") {
			t.Errorf("%v: %s", err, out)
		}
		if got := codectest.Read(t, New().NewReader(nil, true), out, 0); !strings.Contains(got, "\nfailed ") || strings.Contains(got, "finished ") {
			t.Errorf("read as %s", got)
		}
	}
}

func TestTheDiagonalChangesTheModelAlone(t *testing.T) {
	body := ` {"messages":[{"role":"user","content":"hi"}], "model" : "a", "own":1.0}`
	h, err := New().Peek(inbound(llm.OpChat, body))
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]string{"": body, "a": body, "b": strings.Replace(body, `"a"`, `"b"`, 1)} {
		if got, err := New().Splice(nil, h, dialect.Edits{Model: model}); err != nil || string(got) != want {
			t.Errorf("%q: %s, %v", model, got, err)
		}
	}
}
