package checks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/checks"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

func schema(s string) *checks.Form {
	return checks.FormOf(&llm.Chat{Output: llm.Output{Kind: llm.OutputSchema, Schema: []byte(s)}})
}

func TestFormsFitWhatTheySay(t *testing.T) {
	object := checks.FormOf(&llm.Chat{Output: llm.Output{Kind: llm.OutputJSON}})
	number := schema(`{"type":"object","properties":{"n":{"$ref":"#/$defs/n"}},"required":["n"],"additionalProperties":false,"$defs":{"n":{"type":"integer","minimum":0}}}`)
	for _, c := range []struct {
		name string
		form *checks.Form
		text string
		fits bool
	}{
		{"an object", object, ` {"a":1} `, true},
		{"an array where an object is due", object, `[1]`, false},
		{"no JSON", object, `Sure! {"a":1}`, false},
		{"JSON between fences", object, "```json\n{\"a\":1}\n```", false},
		{"half an object", object, `{"a":`, false},
		{"nothing", object, ``, false},
		{"a member twice", object, `{"a":1,"a":2}`, false},
		{"what the schema says", number, `{"n":3}`, true},
		{"a member of another type", number, `{"n":"3"}`, false},
		{"a member less", number, `{}`, false},
		{"a member more", number, `{"n":3,"m":1}`, false},
		{"a schema that is none", schema(`{"type":17}`), `{"n":3}`, true},
		{"a schema that is no JSON", schema(`{`), `{"n":3}`, true},
		{"a schema that refers to an address", schema(`{"$ref":"http://127.0.0.1:1/x.json"}`), `{"n":3}`, true},
		{"a schema that refers to a file", schema(`{"$ref":"file:///etc/passwd"}`), `{"n":3}`, true},
		{"a schema that is nothing but itself", schema(`{"$ref":"#"}`), `{"n":3}`, false},
	} {
		if err := c.form.Fits([]byte(c.text)); (err == nil) != c.fits {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	regex := schema(`{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"format":"regex"},"b":{"format":"ipv4"}}}`)
	for text, fits := range map[string]bool{`{"a":"x+","b":"127.0.0.1"}`: true, `{"a":"x("}`: false, `{"b":"none"}`: false} {
		if err := regex.Fits([]byte(text)); (err == nil) != fits {
			t.Errorf("a format: %s: %v", text, err)
		}
	}
	if checks.FormOf(&llm.Chat{Output: llm.Output{Kind: llm.OutputText}}) != nil {
		t.Error("text has a form")
	}
}

// TestASchemaThatAsksForTooMuch is not held against an answer to its end, which would never come: its choices, each of which is
// looked at twice, double with every line.
func TestASchemaThatAsksForTooMuch(t *testing.T) {
	for _, how := range []string{
		`{"anyOf":[%[1]s,%[1]s]}`, `{"oneOf":[%[1]s,%[1]s]}`, `{"allOf":[%[1]s,%[1]s]}`, `{"not":{"allOf":[{"not":%[1]s},{"not":%[1]s}]}}`,
		`{"not":{"dependentSchemas":{"a":%[1]s,"b":%[1]s}}}`, `{"if":%[1]s,"then":true,"else":%[1]s}`,
		`{"properties":{"c":{"anyOf":[{"properties":{"d":%[1]s}},%[1]s,%[1]s]}},"anyOf":[%[1]s,%[1]s]}`,
	} {
		var parts []string
		const deep = 60
		for i := range deep {
			next := fmt.Sprintf(`{"$ref":"#/$defs/a%d"}`, i+1)
			parts = append(parts, fmt.Sprintf(`"a%d":`+how, i, next))
		}
		f := schema(`{"$ref":"#/$defs/a0","$defs":{` + strings.Join(parts, ",") + fmt.Sprintf(`,"a%d":{"type":"string"}}}`, deep))
		done := make(chan error, 1)
		go func() { done <- f.Fits([]byte(`{"a":1,"b":2,"c":{"d":{}}}`)) }()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("%s: it does not end", how)
		}
	}
	wide := schema(`{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"boolean"},{"type":"integer"}]}}`)
	if err := wide.Fits([]byte("[1" + strings.Repeat(",1", 100_000) + `]`)); err != nil {
		t.Errorf("a long answer: %v", err)
	}
	if err := wide.Fits([]byte("[1" + strings.Repeat(",1", 100_000) + `,null]`)); err == nil {
		t.Error("a long answer is not looked at to its end")
	}
}

func rules(c failure.Class) *failure.Rules {
	var r failure.Rules
	r[c] = failure.Next
	return &r
}

func text(choice int, s string) llm.Event {
	return llm.Event{Kind: llm.EvDelta, Choice: choice, Part: llm.PartText, Text: []byte(s)}
}

func end(choice int, reason llm.StopReason, native string) llm.Event {
	return llm.Event{Kind: llm.EvFinished, Choice: choice, Stop: llm.Stop{Reason: reason, Native: native}}
}

func TestWhatIsFoundInAnswers(t *testing.T) {
	object := checks.FormOf(&llm.Chat{Output: llm.Output{Kind: llm.OutputJSON}})
	for _, c := range []struct {
		name   string
		events []llm.Event
		want   string // the reason
	}{
		{"an object in pieces", []llm.Event{text(0, `{"a"`), text(0, `:1}`), end(0, llm.StopEnd, "stop")}, ""},
		{"text", []llm.Event{text(0, `Hello`), end(0, llm.StopEnd, "stop")}, "invalid_output"},
		{"an object that is cut off", []llm.Event{text(0, `{"a"`), end(0, llm.StopLength, "length")}, "invalid_output"},
		{"two choices, one of them wrong", []llm.Event{text(0, `{}`), text(1, `no`), end(0, llm.StopEnd, "stop"), end(1, llm.StopEnd, "stop")}, "invalid_output"},
		{"a call of a tool", []llm.Event{text(0, `Let me see`), {Kind: llm.EvBlockStarted, Part: llm.PartCall}, end(0, llm.StopCalls, "tool_calls")}, ""},
		{"a refusal", []llm.Event{{Kind: llm.EvDelta, Part: llm.PartRefusal, Text: []byte("No.")}, end(0, llm.StopEnd, "stop")}, "refusal"},
		{"a refusal as a reason to stop", []llm.Event{text(0, "I"), end(0, llm.StopFilter, "refusal")}, "refusal"},
		{"a filter", []llm.Event{text(0, "I"), end(0, llm.StopFilter, "content_filter")}, "content_filter"},
		{"more than is kept", []llm.Event{text(0, strings.Repeat("x", 2<<20)), end(0, llm.StopEnd, "stop")}, ""},
		{"an answer without an end", []llm.Event{text(0, "x")}, ""},
	} {
		l := checks.New(rules(failure.InvalidOutput), object)
		for i := range c.events {
			l.Event(&c.events[i])
		}
		got := ""
		if e := l.Found(true); e != nil {
			got = e.Reason
			if _, ok := failure.Of(e); !ok {
				t.Errorf("%s: no rule is about %v", c.name, e)
			}
		}
		if got != c.want {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}

func TestWhatIsWrongIsMendedOrTold(t *testing.T) {
	number := schema(`{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}`)
	for _, c := range []struct {
		name           string
		texts          []string
		mended, by     string // the first that is
		said, complain string // what the model is told of
	}{
		{"all are right", []string{`{"n":1}`}, "", "", "", ""},
		{"fences", []string{"```\n{\"n\":1}\n```"}, `{"n":1}`, "fences", "```\n{\"n\":1}\n```", "it is no JSON: invalid value at byte 0"},
		{"the second of two", []string{`{"n":1}`, `I say {"n":2}`}, `{"n":2}`, "text", `I say {"n":2}`, "it is no JSON: invalid value at byte 0"},
		{"one of two cannot be mended", []string{`I say {"n":2}`, `no`}, "", "", `I say {"n":2}`, "it is no JSON: invalid value at byte 0"},
		{"what is mended does not fit the schema", []string{`I say {"n":"2"}`}, "", "", `I say {"n":"2"}`, "it is no JSON: invalid value at byte 0"},
		{"a member of another type", []string{`{"n":"2"}`}, "", "", `{"n":"2"}`, "- at '/n': got string, want integer"},
	} {
		l := checks.New(rules(failure.InvalidOutput), number)
		for i, s := range c.texts {
			ev, last := text(i, s), end(i, llm.StopEnd, "stop")
			l.Event(&ev)
			l.Event(&last)
		}
		instead, how, ok := l.Mended()
		if ok != (c.mended != "") || how != c.by || ok && string(instead[c.texts[len(c.texts)-1]]) != c.mended {
			t.Errorf("%s: got %q by %q, %v", c.name, instead, how, ok)
		}
		if said, why := l.Wrong(); string(said) != c.said || why != c.complain {
			t.Errorf("%s: got %q for %q", c.name, why, said)
		}
	}
}

func TestARouteWithoutRulesLooksAtNothing(t *testing.T) {
	var usual failure.Rules
	l := checks.New(&usual, nil)
	ev := text(0, "x")
	l.Event(&ev)
	if l != nil || l.Found(true) != nil {
		t.Error("it looks")
	}
	if n := testing.AllocsPerRun(100, func() { checks.New(&usual, nil) }); n > 0 {
		t.Errorf("looking at nothing allocates %v times", n)
	}
}
