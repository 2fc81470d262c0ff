package anthropicmessages

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

// fixed is a codec whose made-up ids are always the same.
func fixed() *Codec { return &Codec{mint: func() string { return "MINTED" }} }

func started() llm.Event { return llm.Event{Kind: llm.EvStarted, ID: "msg_1", Name: "model-x"} }

func begin(i int, p llm.PartKind) llm.Event {
	return llm.Event{Kind: llm.EvBlockStarted, Index: i, Part: p}
}

func piece(i int, p llm.PartKind, s string) llm.Event {
	return llm.Event{Kind: llm.EvDelta, Index: i, Part: p, Text: []byte(s)}
}

func ended(i int) llm.Event { return llm.Event{Kind: llm.EvBlockEnded, Index: i} }

func finished(r llm.StopReason) llm.Event {
	return llm.Event{Kind: llm.EvFinished, Stop: llm.Stop{Reason: r}}
}

func tool(i int, id, name string) llm.Event {
	e := begin(i, llm.PartCall)
	e.ID, e.Name = id, name
	return e
}

// content returns the blocks of a document written from events.
func content(t *testing.T, evs ...llm.Event) string {
	t.Helper()
	out, err := codectest.Write(fixed().NewWriter(nil, false), evs)
	if err != nil {
		t.Fatal(err)
	}
	if err := jsonx.Valid(out); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(jsonx.Get(out, "content"))
}

// frames returns the data of a stream written from events, one a line.
func frames(t *testing.T, evs ...llm.Event) []string {
	t.Helper()
	out, err := codectest.Write(fixed().NewWriter(nil, true), evs)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	var p sse.Parser
	err = p.Feed(out, true, func(e *sse.Event) error {
		if kind, _ := jsonx.String(jsonx.Get(e.Data, "type")); kind != string(e.Name) {
			t.Errorf("event %q has type %q", e.Name, kind)
		}
		lines = append(lines, string(e.Data))
		return jsonx.Valid(e.Data)
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestStopReasonsBothWays(t *testing.T) {
	for _, c := range []struct {
		word    string
		reason  llm.StopReason
		written string // "": word
	}{
		{"end_turn", llm.StopEnd, ""},
		{"max_tokens", llm.StopLength, ""},
		{"model_context_window_exceeded", llm.StopLength, ""},
		{"tool_use", llm.StopCalls, ""},
		{"refusal", llm.StopFilter, ""},
		{"stop_sequence", llm.StopSequence, ""},
		{"pause_turn", llm.StopPause, ""},
		{"something_new", llm.StopEnd, "end_turn"},
	} {
		doc := `{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"x"}],"stop_reason":"` + c.word + `","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}`
		evs := codectest.Events(t, New().NewReader(nil, false), []byte(doc), 0)
		last := evs[len(evs)-1]
		if last.Kind != llm.EvFinished || last.Stop.Reason != c.reason || last.Stop.Native != c.word {
			t.Errorf("%s is read as %v", c.word, last.Stop)
		}
		out, err := codectest.Write(New().NewWriter(nil, false), evs)
		want := c.word
		if c.written != "" {
			want = c.written
		}
		if got, _ := jsonx.String(jsonx.Get(out, "stop_reason")); err != nil || got != want {
			t.Errorf("%s is written as %s, %v", c.word, got, err)
		}
	}
	for reason, want := range map[llm.StopReason]string{
		llm.StopEnd: "end_turn", llm.StopLength: "max_tokens", llm.StopCalls: "tool_use", llm.StopFilter: "refusal",
		llm.StopSequence: "stop_sequence", llm.StopPause: "pause_turn", llm.StopFault: "end_turn",
	} {
		e := finished(reason)
		e.Stop.Native, e.Stop.Sequence = "content_filter", "END"
		lines := frames(t, started(), begin(0, llm.PartText), piece(0, llm.PartText, "x"), ended(0), e)
		sequence := "null"
		if reason == llm.StopSequence {
			sequence = `"END"`
		}
		if got := lines[len(lines)-2]; !strings.Contains(got, `"delta":{"stop_reason":"`+want+`","stop_sequence":`+sequence+`}`) {
			t.Errorf("%v is written as %s", reason, got)
		}
	}
}

func TestABrokenAnswerWithoutContentIsAnError(t *testing.T) {
	for _, stream := range []bool{true, false} {
		out, err := codectest.Write(New().NewWriter(nil, stream), []llm.Event{started(), finished(llm.StopFault)})
		var e *llm.Error
		if stream && !strings.Contains(string(out), "event: error") || !stream && !errors.As(err, &e) {
			t.Errorf("stream %t: %s, %v", stream, out, err)
		}
	}
}

func TestACallIsToldEvenIfTheProviderSaysStop(t *testing.T) {
	lines := frames(t, started(), tool(0, "", "f"), ended(0), finished(llm.StopEnd))
	want := []string{
		`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_MINTED","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}`,
		`{"type":"content_block_stop","index":0}`,
	}
	if diff := cmp.Diff(lines[1:4], want); diff != "" || !strings.Contains(lines[4], `"stop_reason":"tool_use"`) {
		t.Errorf("%s\n%s", diff, lines[4])
	}
}

func TestInterleavedBlocksComeOneAfterTheOther(t *testing.T) {
	lines := frames(t, started(),
		tool(0, "a", "f"), piece(0, llm.PartCall, `{"x"`), tool(1, "b", "g"), piece(1, llm.PartCall, `{"y"`),
		piece(0, llm.PartCall, `:1}`), begin(2, llm.PartText), piece(2, llm.PartText, "late"), ended(1), piece(2, llm.PartText, "r"), ended(0),
		finished(llm.StopCalls))
	want := []string{
		`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"x\""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":":1}"}}`,
		`{"type":"content_block_stop","index":0}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"b","name":"g","input":{}}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"y\""}}`,
		`{"type":"content_block_stop","index":1}`,
		`{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"late"}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"r"}}`,
		`{"type":"content_block_stop","index":2}`,
	}
	if diff := cmp.Diff(lines[1:len(lines)-2], want); diff != "" {
		t.Error(diff)
	}
}

func TestThoughtsAreSignedForSDKsToSendThemBack(t *testing.T) {
	const envelope = sealPrefix + "bW9kZWwteA"
	seal := func(i int, s string) llm.Event {
		return llm.Event{Kind: llm.EvDelta, Index: i, Part: llm.PartThought, Seal: s}
	}
	redacted := begin(0, llm.PartThought)
	redacted.Seal = "D"
	for _, c := range []struct {
		name string
		evs  []llm.Event
		want string
	}{
		{"signed", []llm.Event{begin(0, llm.PartThought), piece(0, llm.PartThought, "hm"), seal(0, "S")}, `[{"type":"thinking","thinking":"hm","signature":"S"}]`},
		{"signed and hidden", []llm.Event{begin(0, llm.PartThought), seal(0, "S")}, `[{"type":"thinking","thinking":"","signature":"S"}]`},
		{"redacted", []llm.Event{redacted}, `[{"type":"redacted_thinking","data":"D"}]`},
		{"signed at its start", []llm.Event{redacted, piece(0, llm.PartThought, "hm")}, `[{"type":"thinking","thinking":"hm","signature":"D"}]`},
		{"not signed", []llm.Event{begin(0, llm.PartThought), piece(0, llm.PartThought, "hm")}, `[{"type":"thinking","thinking":"hm","signature":"` + envelope + `"}]`},
	} {
		evs := append(append([]llm.Event{started()}, c.evs...), ended(0), finished(llm.StopEnd))
		if got := content(t, evs...); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
		// The stream says the same.
		out, err := codectest.Write(fixed().NewWriter(nil, true), evs)
		if err != nil {
			t.Fatal(err)
		}
		strict(t, out)
		if got := content(t, codectest.Events(t, New().NewReader(nil, true), out, 0)...); got != c.want {
			t.Errorf("%s, streamed: got %s, want %s", c.name, got, c.want)
		}
	}
	// An envelope that comes back seals nothing.
	req, err := New().ReadRequest(in(withMessages(`{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"` + envelope + `"}]}`)))
	if err != nil {
		t.Fatal(err)
	}
	if p := req.Chat().Turns[0].Parts[0]; p.Text != "hm" || p.Seal != "" || p.From != "" {
		t.Errorf("got %+v", p)
	}
	body, losses, err := New().WriteRequest(nil, req, target("claude-opus-4-8"))
	if err != nil || strings.Contains(string(body), sealPrefix) || len(losses) != 1 || losses[0].Path != "messages.0.content.0" {
		t.Errorf("got %s, %v, %v", body, losses, err)
	}
}

func TestDetailsOfARefusalAreOfTheAPIsClosedList(t *testing.T) {
	for details, want := range map[string]string{
		`{"type":"refusal","category":"bio","explanation":"No."}`:    `{"type":"refusal","category":"bio","explanation":"No."}`,
		`{"category":"MODEL_ARMOR","explanation":"It was refused."}`: `{"type":"refusal","category":null,"explanation":"MODEL_ARMOR: It was refused."}`,
		`{"category":"SAFETY"}`:            `{"type":"refusal","category":null,"explanation":"SAFETY"}`,
		`{"explanation":"It was \"no\"."}`: `{"type":"refusal","category":null,"explanation":"It was \"no\"."}`,
		`{"other":1}`:                      ``,
	} {
		end := finished(llm.StopFilter)
		end.Stop.Details = []byte(details)
		out, err := codectest.Write(fixed().NewWriter(nil, false), []llm.Event{started(), end})
		if err != nil || jsonx.Valid(out) != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got := string(jsonx.Get(out, "stop_details")); got != want {
			t.Errorf("%s: got %s, want %s", details, got, want)
		}
	}
}

func TestRefusalsAreTextWithTheirStop(t *testing.T) {
	lines := frames(t, started(), begin(0, llm.PartRefusal), piece(0, llm.PartRefusal, "no"), ended(0), finished(llm.StopEnd))
	if lines[2] != `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"no"}}` || !strings.Contains(lines[4], `"stop_reason":"refusal"`) {
		t.Errorf("got %s", lines)
	}
}

func TestWhatTheDialectHasNoWordForIsLeftOut(t *testing.T) {
	other := piece(0, llm.PartText, "other")
	other.Choice = 1
	native := begin(1, llm.PartNative)
	native.Name, native.Raw = "custom", []byte(`{"type":"custom"}`)
	got := content(t, started(), begin(0, llm.PartAudio), piece(0, llm.PartAudio, "x"), other, native, begin(2, llm.PartText), piece(2, llm.PartText, "y"), ended(2), finished(llm.StopEnd))
	if got != `[{"type":"text","text":"y"}]` {
		t.Errorf("got %s", got)
	}
}

func TestArgumentsOfACallInADocumentAreAnObject(t *testing.T) {
	got := content(t, started(), tool(0, "a", "f"), ended(0), tool(1, "b", "f"), piece(1, llm.PartCall, `{"x":`), piece(1, llm.PartCall, `1}`), ended(1),
		tool(2, "c", "f"), piece(2, llm.PartCall, "oops"), ended(2), finished(llm.StopCalls))
	want := `[{"type":"tool_use","id":"a","name":"f","input":{}},{"type":"tool_use","id":"b","name":"f","input":{"x":1}},{"type":"tool_use","id":"c","name":"f","input":{"_raw":"oops"}}]`
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestUsageIsNormalisedBothWays(t *testing.T) {
	u := llm.Usage{
		Input: llm.Tokens(100), Cached: llm.Tokens(30), CacheWrite: llm.Tokens(50), CacheWrite1h: llm.Tokens(20),
		Output: llm.Tokens(7), Reasoning: llm.Tokens(3), WebSearches: llm.Tokens(2),
	}
	want := `{"input_tokens":20,"cache_creation_input_tokens":50,"cache_read_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":20},"output_tokens":7,"output_tokens_details":{"thinking_tokens":3},"server_tool_use":{"web_search_requests":2,"web_fetch_requests":0}}`
	if got := string(appendUsage(nil, &u)); got != want {
		t.Errorf("got %s", got)
	}
	// The numbers of an OpenAI upstream come after the end.
	lines := frames(t, started(), begin(0, llm.PartText), piece(0, llm.PartText, "x"), ended(0), finished(llm.StopEnd), llm.Event{Kind: llm.EvUsage, Usage: u})
	if !strings.Contains(lines[0], `"input_tokens":0,`) || !strings.HasSuffix(lines[len(lines)-2], `"usage":`+want+`}`) {
		t.Errorf("got %s\n%s", lines[0], lines[len(lines)-2])
	}
	if got := string(appendUsage(nil, &llm.Usage{Input: llm.Tokens(1), Cached: llm.Tokens(5)})); !strings.HasPrefix(got, `{"input_tokens":0,`) {
		t.Errorf("below 0: %s", got)
	}
	doc := `{"id":"m","type":"message","role":"assistant","model":"c","content":[],"stop_reason":"end_turn","usage":` + want + `}`
	var got llm.Usage
	for _, e := range codectest.Events(t, New().NewReader(nil, false), []byte(doc), 0) {
		got.Merge(e.Usage)
	}
	if diff := cmp.Diff(got, u); diff != "" {
		t.Error(diff)
	}
}

func TestForeignCitationsComeBackWithoutHarm(t *testing.T) {
	cite := llm.Event{Kind: llm.EvDelta, Part: llm.PartText, Cite: &llm.Citation{URL: "https://a.example", Title: "A", From: "openai-chat"}}
	got := content(t, started(), begin(0, llm.PartText), piece(0, llm.PartText, "x"), cite, ended(0), finished(llm.StopEnd))
	want := `[{"type":"text","text":"x","citations":[{"type":"web_search_result_location","cited_text":"","url":"https://a.example","title":"A","encrypted_index":""}]}]`
	if got != want {
		t.Errorf("got %s", got)
	}
	req, err := New().ReadRequest(in(withMessages(`{"role":"assistant","content":` + got + `}`)))
	if err != nil || req.Chat().Turns[0].Parts[0].Extra != nil {
		t.Errorf("got %+v, %v", req, err)
	}
}

func TestModelsAreListed(t *testing.T) {
	got := string(New().WriteModels([]dialect.ModelInfo{{ID: "a", Created: 1700000000}, {ID: "b"}}))
	want := `{"data":[{"type":"model","id":"a","display_name":"a","created_at":"2023-11-14T22:13:20Z"},{"type":"model","id":"b","display_name":"b","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"a","last_id":"b"}`
	if got != want {
		t.Errorf("got %s", got)
	}
	if got := string(New().WriteModels(nil)); got != `{"data":[],"has_more":false,"first_id":null,"last_id":null}` {
		t.Errorf("got %s", got)
	}
	known := dialect.ModelInfo{ID: "p/c", Name: "c", Known: true, Context: 200000, MaxOutput: 64000, Retires: "2027-01-31"}
	if got := string(New().WriteModel(known)); got != `{"type":"model","id":"p/c","display_name":"c","created_at":"1970-01-01T00:00:00Z","max_input_tokens":200000,"max_tokens":64000,"lifecycle":"deprecated","retires_at":"2027-01-31T00:00:00Z"}` {
		t.Errorf("got %s", got)
	}
	if got := string(New().WriteModel(dialect.ModelInfo{ID: "b"})); got != `{"type":"model","id":"b","display_name":"b","created_at":"1970-01-01T00:00:00Z"}` {
		t.Errorf("got %s", got)
	}
}

// A thought with a signature and no text is not a redacted one, whatever the client's dialect makes of it.
func TestAHiddenThoughtKeepsItsKindOnTheWayThroughAnotherDialect(t *testing.T) {
	doc := `{"id":"m","type":"message","role":"assistant","model":"c","content":[{"type":"thinking","thinking":"","signature":"S"},{"type":"redacted_thinking","data":"D"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`
	evs := codectest.Events(t, New().NewReader(nil, false), []byte(doc), 0)
	var seals []string
	for _, e := range evs {
		if e.Seal != "" {
			vendor, seal, _ := dialect.OpenSeal(e.Seal)
			if vendor != name {
				t.Errorf("the seal %q does not name its vendor", e.Seal)
			}
			seals = append(seals, seal)
		}
	}
	req := chat(func(ch *llm.Chat) {
		turn := llm.Turn{Role: llm.RoleAssistant}
		for _, s := range seals {
			turn.Parts = append(turn.Parts, llm.Part{Kind: llm.PartThought, Seal: s, From: name})
		}
		ch.Turns = append(ch.Turns, turn, user("end"))
	})
	got, _ := written(t, req, "claude-opus-4-8", "messages")
	if want := `{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"S"},{"type":"redacted_thinking","data":"D"}]}`; !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}
	if again := content(t, evs...); again != `[{"type":"thinking","thinking":"","signature":"S"},{"type":"redacted_thinking","data":"D"}]` {
		t.Errorf("written back as %s", again)
	}
}
