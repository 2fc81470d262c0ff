package providertest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/plain"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openairesponses"
)

// codec is both halves of a dialect, and the naive reader that knows neither.
type codec struct {
	endpoint string
	server   dialect.Server
	client   dialect.Client
	plain    func([]byte, string) (plain.Answer, error)
}

func chatCodec() codec { return codec{"chat", openaichat.New(), openaichat.New(), plain.Chat} }

func messagesCodec() codec {
	return codec{"messages", anthropicmessages.New(), anthropicmessages.New(), plain.Messages}
}

func responsesCodec() codec {
	return codec{"responses", openairesponses.New(), openairesponses.New(), plain.Responses}
}

// codecs are those of the dialects whose records cross to each other.
func codecs() []codec { return []codec{chatCodec(), messagesCodec(), responsesCodec()} }

// crosses reports whether a record is of one of the dialects.
func crosses(x *recorded.Exchange) bool {
	return slices.ContainsFunc(codecs(), func(c codec) bool { return c.endpoint == x.Endpoint })
}

// across returns the record's dialect and the other ones.
func across(x *recorded.Exchange) (own codec, others []codec) {
	for _, c := range codecs() {
		if c.endpoint == x.Endpoint {
			own = c
		} else {
			others = append(others, c)
		}
	}
	return own, others
}

// said is what an answer says, in words that both dialects share.
type said struct {
	Text            string // refusals too: one of the dialects has no member for them
	Refused         bool
	Calls           []call
	Stop            string
	In, Out, Cached int64
	Err             bool
}

type call struct {
	Name string
	Args any
}

// parsed are arguments without their spelling; a text that is no JSON stays one.
func parsed(args string) any {
	var v any
	if strings.TrimSpace(args) == "" {
		args = "{}"
	}
	if jsonx.Valid([]byte(args)) != nil {
		return args
	}
	if err := jsonx.Decode([]byte(args), &v); err != nil {
		return args
	}
	if v == nil { // null arguments are none
		return map[string]any{}
	}
	if m, _ := v.(map[string]any); len(m) == 1 {
		if cut, ok := m["_raw"].(string); ok { // of an answer that reached its limit, where arguments must be an object
			return cut
		}
	}
	return v
}

// stops maps the dialects' own words. A stop sequence and the end are one in openai-chat.
func stops(native string, calls int) string {
	switch native {
	case "stop", "end_turn", "stop_sequence", "pause_turn":
		return "end"
	case "length", "max_tokens", "model_context_window_exceeded":
		return "length"
	case "tool_calls", "function_call", "tool_use":
		return "calls"
	case "content_filter", "refusal":
		return "filter"
	case "max_output_tokens":
		return "length"
	case "completed":
		if calls > 0 {
			return "calls"
		}
		return "end"
	}
	return native
}

// plainly is what the naive reader finds.
func plainly(t *testing.T, c codec, body []byte, kind string) said {
	t.Helper()
	a, err := c.plain(body, kind)
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	s := said{Text: a.Text + a.Refusal, Refused: a.Refusal != "", Stop: stops(a.Stop, len(a.Calls)), In: a.Usage.In, Out: a.Usage.Out, Cached: a.Usage.CacheRead, Err: a.Error != ""}
	if c.endpoint == "messages" {
		s.In += a.Usage.CacheRead + a.Usage.CacheWrite
	}
	for _, k := range a.Calls {
		s.Calls = append(s.Calls, call{k.Name, parsed(k.Args)})
	}
	return s
}

// events reads an answer, with slices of its own.
func events(t *testing.T, c codec, body []byte, stream bool) []llm.Event {
	t.Helper()
	var all []llm.Event
	err := c.client.NewReader(nil, stream).Feed(body, true, func(ev *llm.Event) error {
		e := *ev
		e.Text, e.Raw, e.Logprobs = append([]byte(nil), ev.Text...), nil, append([]byte(nil), ev.Logprobs...)
		all = append(all, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// read is what the codec's reader finds.
func read(t *testing.T, c codec, body []byte, stream bool) said {
	t.Helper()
	var s said
	var usage llm.Usage
	at := map[int]int{}
	args := map[int]string{}
	for _, ev := range events(t, c, body, stream) {
		usage.Merge(ev.Usage)
		if ev.Choice != 0 {
			continue
		}
		switch {
		case ev.Kind == llm.EvFailed:
			s.Err = true
		case ev.Kind == llm.EvFinished:
			s.Stop = ev.Stop.Reason.String()
			if s.Stop == "sequence" || s.Stop == "pause" {
				s.Stop = "end"
			}
		case ev.Kind == llm.EvBlockStarted && ev.Part == llm.PartCall:
			at[ev.Index] = len(s.Calls)
			s.Calls = append(s.Calls, call{Name: ev.Name})
			args[at[ev.Index]] = string(ev.Text)
		case ev.Kind == llm.EvDelta && ev.Part == llm.PartCall:
			args[at[ev.Index]] += string(ev.Text)
		case ev.Kind == llm.EvDelta && (ev.Part == llm.PartText || ev.Part == llm.PartRefusal):
			s.Text += string(ev.Text)
			s.Refused = s.Refused || ev.Part == llm.PartRefusal && len(ev.Text) > 0
		}
	}
	for i := range s.Calls {
		s.Calls[i].Args = parsed(args[i])
	}
	s.In, s.Out, s.Cached = usage.Input.N, usage.Output.N, usage.Cached.N
	return s
}

// written is the answer in another dialect.
func written(t *testing.T, c codec, evs []llm.Event, stream bool) []byte {
	t.Helper()
	req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: stream, Usage: true, Body: &llm.Chat{}}
	w := c.server.NewWriter(req, stream)
	var out []byte
	var err error
	for i := range evs {
		if out, err = w.Write(out, &evs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if out, err = w.Close(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func answered(x *recorded.Exchange) bool {
	return crosses(x) && (x.BodyKind == "sse" || x.BodyKind == "json") && x.Status < 300 &&
		(x.Complete == nil || *x.Complete) && !x.ResponseTrimmed
}

// TestAnswersSurviveTheOtherDialect reads every recorded answer, writes it in the other dialect as a document
// and as a stream, and reads that again: with the codec, and naively.
func TestAnswersSurviveTheOtherDialect(t *testing.T) {
	recorded.Each(t, answered, func(t *testing.T, x *recorded.Exchange) {
		own, others := across(x)
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		want := plainly(t, own, body, x.BodyKind)
		if want.Err {
			t.Skip("the provider says that it failed")
		}
		promised(&want)
		got := read(t, own, body, x.BodyKind == "sse")
		diff, why := cmp.Diff(want, got), otherwise[x.ID]
		if diff != "" && why == "" {
			t.Errorf("the codec reads it otherwise than plainly (-plain +codec):\n%s", diff)
		}
		if diff == "" && why != "" {
			t.Errorf("listed as read otherwise (%s), but it is not", why)
		}
		evs := events(t, own, body, x.BodyKind == "sse")
		for _, other := range others {
			t.Run(other.endpoint, func(t *testing.T) { saysTheSame(t, other, evs, got) })
		}
	})
}

// saysTheSame writes an answer in another dialect and reads it there.
func saysTheSame(t *testing.T, other codec, evs []llm.Event, want said) {
	if want.Refused && other.endpoint == "messages" {
		want.Refused, want.Stop = false, "filter" // it tells a refusal by its stop reason alone
	}
	for _, stream := range []bool{false, true} {
		out := written(t, other, evs, stream)
		if again := written(t, other, evs, stream); !sameButTime(out, again) {
			t.Errorf("stream %v: written twice:\n%s\n%s", stream, out, again)
		}
		if diff := cmp.Diff(want, read(t, other, out, stream)); diff != "" {
			t.Errorf("stream %v: in the other dialect it says something else (-was +is):\n%s", stream, diff)
		}
		if diff := cmp.Diff(want, plainly(t, other, out, map[bool]string{false: "json", true: "sse"}[stream])); diff != "" {
			t.Errorf("stream %v: plainly, in the other dialect, it says something else (-was +is):\n%s", stream, diff)
		}
	}
}

// sameButTime compares answers but for the second in which they were made, and ids made for answers that came without.
func sameButTime(a, b []byte) bool {
	return made.ReplaceAllString(string(a), "") == made.ReplaceAllString(string(b), "")
}

// TestErrorsAreUnderstoodAndWritten reads recorded errors and writes them in both dialects.
func TestErrorsAreUnderstoodAndWritten(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return crosses(x) && x.Status >= 400
	}, func(t *testing.T, x *recorded.Exchange) {
		own, others := across(x)
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		e := own.client.ReadError(x.Status, nil, body)
		want := map[int][]llm.Code{
			400: {llm.CodeInvalid, llm.CodeContextTooLong, llm.CodeBlocked, llm.CodeUnsupported, llm.CodeCredential, llm.CodeNotFound, llm.CodeOverQuota}, 401: {llm.CodeCredential}, 403: {llm.CodeCredential, llm.CodeForbidden},
			404: {llm.CodeNotFound}, 422: {llm.CodeInvalid}, 429: {llm.CodeRateLimited, llm.CodeOverQuota},
		}[x.Status]
		found := want == nil
		for _, c := range want {
			found = found || c == e.Code
		}
		if !found || e.Message == "" {
			t.Errorf("%d is read as %s: %q: %s", x.Status, e.Code, e.Message, body)
		}
		for _, c := range append(others, own) {
			status, out := c.server.WriteError(e, "req_1")
			if status < 400 || status > 599 || jsonx.Valid(out) != nil {
				t.Errorf("%s: status %d: %s", c.endpoint, status, out)
			}
			if m, _ := jsonx.String(jsonx.At(out, "error", "message")); m == "" {
				t.Errorf("%s: no message: %s", c.endpoint, out)
			}
			back := c.client.ReadError(status, nil, out)
			if back.Code.Retryable() != e.Code.Retryable() && e.Code != llm.CodeCredential && e.Code != llm.CodeForbidden { // those are about the gateway itself
				t.Errorf("%s: %s is read back as %s: %s", c.endpoint, e.Code, back.Code, out)
			}
		}
	})
}
