package fit_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
)

// freeText is a request of an OpenAI client with a tool that takes free text.
func freeText(from string) *llm.Request {
	return &llm.Request{Op: llm.OpChat, Extra: llm.Extra{Dialect: from}, Body: &llm.Chat{
		Tools: []llm.Tool{
			{Name: "shell", Schema: []byte(`{"type":"object"}`)},
			{Name: "apply_patch", Description: "Edits files.", Native: llm.FreeText, Raw: []byte("{}"), Grammar: &llm.Grammar{Syntax: "lark", Definition: `start: "x"`}},
		},
		Turns: []llm.Turn{
			{Parts: []llm.Part{{Text: "hi"}}},
			{Role: llm.RoleAssistant, Parts: []llm.Part{{Kind: llm.PartCall, Call: &llm.ToolCall{ID: "c1", Name: "apply_patch", Args: "*** Begin\n\"x\"", Native: llm.FreeText}}}},
		},
	}}
}

func TestFreeTextBecomesAFunctionOfOneString(t *testing.T) {
	req := freeText("openai-responses")
	before := fmt.Sprintf("%+v %+v", *req.Chat(), *req.Chat().Turns[1].Parts[0].Call)
	to, losses := fit.Functions(req)
	want := llm.Tool{
		Name: "apply_patch", Description: "Edits files.\n\nThe text in \"input\" must match this grammar (syntax: lark):\n\nstart: \"x\"",
		Schema: []byte(`{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool, as plain text."}},"required":["input"]}`),
	}
	if d := cmp.Diff([]llm.Tool{req.Chat().Tools[0], want}, to.Chat().Tools); d != "" {
		t.Errorf("tools (-want +got):\n%s", d)
	}
	if got, want := *to.Chat().Turns[1].Parts[0].Call, (llm.ToolCall{ID: "c1", Name: "apply_patch", Args: `{"input":"*** Begin\n\"x\""}`}); got != want {
		t.Errorf("the call: got %+v, want %+v", got, want)
	}
	if d := cmp.Diff([]llm.Loss{{Path: "tools[1].format", Why: "the provider does not hold a tool's input to a grammar; it is told in the tool's description"}}, losses); d != "" {
		t.Errorf("losses (-want +got):\n%s", d)
	}
	if after := fmt.Sprintf("%+v %+v", *req.Chat(), *req.Chat().Turns[1].Parts[0].Call); after != before {
		t.Errorf("the client's request has changed:\n%s\n%s", before, after)
	}
	if _, losses := fit.Functions(freeText("openai-chat")); len(losses) != 1 || losses[0].Path != "tools[1].custom.format" {
		t.Errorf("of a client of openai-chat: got %v", losses)
	}
	for name, same := range map[string]*llm.Request{
		"a request without such tools":   {Body: &llm.Chat{Tools: []llm.Tool{{Name: "f"}}}, Extra: llm.Extra{Dialect: "openai-chat"}},
		"another dialect's custom tools": freeText("gemini"),
		"texts to embed":                 {Body: &llm.Embed{}, Extra: llm.Extra{Dialect: "openai-chat"}},
	} {
		if to, losses := fit.Functions(same); to != same || losses != nil {
			t.Errorf("%s: got %v, %v", name, to, losses)
		}
	}
}

// fed is a reader that emits the arguments of a call in pieces.
type fed struct{ pieces []string }

func (f *fed) Feed(_ []byte, _ bool, emit llm.Emit) error {
	evs := []llm.Event{{Kind: llm.EvStarted}, {Kind: llm.EvBlockStarted, Part: llm.PartCall, ID: "c", Name: "apply_patch"}}
	for _, p := range f.pieces {
		evs = append(evs, llm.Event{Kind: llm.EvDelta, Part: llm.PartCall, Text: []byte(p)})
	}
	evs = append(evs, llm.Event{Kind: llm.EvBlockEnded, Part: llm.PartCall}, llm.Event{Kind: llm.EvFinished, Stop: llm.Stop{Reason: llm.StopCalls}})
	for i := range evs {
		if err := emit(&evs[i]); err != nil {
			return err
		}
	}
	return nil
}

// unwrapped returns the text of the call, and in how many pieces it came.
func unwrapped(t interface{ Fatal(...any) }, pieces ...string) (text string, deltas int) {
	order := ""
	err := fit.Unwrap(freeText("openai-responses"), &fed{pieces}).Feed(nil, true, func(ev *llm.Event) error {
		order += ev.Kind.String()[:1]
		if ev.Kind == llm.EvDelta {
			text += string(ev.Text)
			deltas++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "sb" + strings.Repeat("d", deltas) + "ef"; order != want {
		t.Fatal("events come as", order, "want", want)
	}
	return text, deltas
}

func TestTheTextOfACallIsTakenOutOfItsArguments(t *testing.T) {
	for _, c := range []struct{ name, args, want string }{
		{"the member alone", `{"input":"*** Begin\n\tx \"y\" \\ \/ \b\f\r"}`, "*** Begin\n\tx \"y\" \\ / \b\f\r"},
		{"white space around it", " {\n \"input\" : \"a\" \n}", "a"},
		{"escapes of code points", `{"input":"\u00e9 \ud83d\ude00 \u0041"}`, "é 😀 A"},
		{"halves of pairs", `{"input":"\ud83d \ude00 \ud83dA\ud83d\ud83d\ude00\ud83d"}`, "\ufffd \ufffd \ufffdA\ufffd😀\ufffd"},
		{"no escapes", `{"input":"\x \u12g4 \uZ"}`, `\x \u12g4 \uZ`},
		{"a quote within what is no escape", `{"input":"\u12"}`, `\u12`},
		{"control characters as they are", "{\"input\":\"a\nb\"}", "a\nb"},
		{"nothing", ``, ""},
		{"an empty object", `{ }`, ""},
		{"an empty text", `{"input":""}`, ""},
		{"other members behind it", `{"input":"a","why":"b"}`, "a"},
		{"other members in front", `{"why":"b","input":"a\n"}`, "a\n"},
		{"its name escaped", `{"\u0069nput":"a"}`, "a"},
		{"another name", `{"patch":"a"}`, `{"patch":"a"}`},
		{"a longer name", `{"inputs":"a"}`, `{"inputs":"a"}`},
		{"another type", `{"input":["a"]}`, `{"input":["a"]}`},
		{"no object", `*** Begin {"input":"a"}`, `*** Begin {"input":"a"}`},
		{"white space and no object", "\n x", "\n x"},
		{"a broken object", `{"why":"b",`, `{"why":"b",`},
		{"cut in front of the text", `{"inp`, ""},
		{"cut within the text", `{"input":"abc\n\u00`, "abc\n"},
		{"cut within a pair", `{"input":"abc\ud83d`, "abc\ufffd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, _ := unwrapped(t, c.args); got != c.want {
				t.Errorf("whole: got %q, want %q", got, c.want)
			}
			if got, _ := unwrapped(t, strings.Split(c.args, "")...); got != c.want {
				t.Errorf("cut everywhere: got %q, want %q", got, c.want)
			}
			for i := range c.args {
				if got, _ := unwrapped(t, c.args[:i], c.args[i:]); got != c.want {
					t.Errorf("cut at %d: got %q, want %q", i, got, c.want)
				}
			}
		})
	}
}

func TestTheTextShowsAsItComes(t *testing.T) {
	if text, n := unwrapped(t, `{"input":`, `"one`, ` two`, `\`, `n"`, `}`); text != "one two\n" || n != 3 {
		t.Errorf("got %q in %d pieces", text, n)
	}
}

func TestAnyTextComesThroughInAnyCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		args := string(jsonx.AppendQuote([]byte(`{"input":`), want)) + "}"
		if rapid.Bool().Draw(t, "escaped") { // every code unit as \uXXXX
			var b strings.Builder
			b.WriteString(`{"input":"`)
			for _, u := range utf16Of(want) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
			args = b.String() + `"}`
		}
		var pieces []string
		for rest := args; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		if got, _ := unwrapped(t, pieces...); got != strings.ToValidUTF8(want, "\ufffd") {
			t.Fatalf("got %q, want %q of %s", got, want, args)
		}
	})
}

func TestOnlyCallsOfSuchToolsAreOpened(t *testing.T) {
	req := freeText("openai-chat")
	req.Chat().Tools[1].Name = "another"
	var text string
	emit := func(ev *llm.Event) error { text += string(ev.Text); return nil }
	if err := fit.Unwrap(req, &fed{[]string{`{"input":"a"}`}}).Feed(nil, true, emit); err != nil || text != `{"input":"a"}` {
		t.Errorf("got %q, %v", text, err)
	}
	f := &fed{}
	for name, req := range map[string]*llm.Request{"none": nil, "texts to embed": {Body: &llm.Embed{}}, "functions": {Body: &llm.Chat{Tools: []llm.Tool{{Name: "f"}}}}} {
		if r := fit.Unwrap(req, f); !reflect.DeepEqual(r, fit.Feeder(f)) {
			t.Errorf("%s: the reader is wrapped", name)
		}
	}
}

func utf16Of(s string) []uint16 { return utf16.Encode([]rune(s)) }
