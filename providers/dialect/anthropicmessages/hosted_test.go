package anthropicmessages

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

// bedrock and vertex are the clouds that take the dialect.
func bedrock() *Framed {
	return NewFramed(Host{Version: "bedrock-2023-05-31", Betas: true, NoURLs: true})
}

func vertex() *Hosted { return NewHosted(Host{Version: "vertex-2023-10-16", KeepStream: true}) }

func TestACloudGetsTheClientsBytesWithoutWhatItsPathSays(t *testing.T) {
	const head = `"anthropic_version":"bedrock-2023-05-31",`
	const rest = `"max_tokens":5, "messages" : [ {"role":"user","content":"hi"} ]`
	for _, c := range []struct{ name, body, want string }{
		{"the model first", `{"model":"m",` + rest + `}`, `{` + head + rest + `}`},
		{"the model last", `{` + rest + ` , "model" : "m" }`, `{` + head + rest + ` }`},
		{"model and stream first", `{ "model":"m", "stream":true,` + "\n" + rest + `}`, `{ ` + head + rest + `}`},
		{"model and stream last", `{` + rest + `,"stream":true,"model":"m"}`, `{` + head + rest + `}`},
		{"model and stream apart", `{"stream":true,"top_k":1.0e0,"model":"m",` + rest + `}`, `{` + head + `"top_k":1.0e0,` + rest + `}`},
		{"one in front, one within, one behind", `{"model":"m","max_tokens":5,"stream":false,"messages":[{"role":"user","content":"x"}],"anthropic_version":"old"}`, `{` + head + `"max_tokens":5,"messages":[{"role":"user","content":"x"}]}`},
		{"unknown members and odd spelling", `{"model":"m",` + rest + `,"new_thing":{"a" : 1e3}}`, `{` + head + rest + `,"new_thing":{"a" : 1e3}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := strings.Replace(c.body, `"top_k":1.0e0`, `"x":1.0e0`, 1)
			h, err := bedrock().Peek(in(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := bedrock().Splice(nil, h, dialect.Edits{Model: "other"})
			want := strings.Replace(c.want, `"top_k":1.0e0`, `"x":1.0e0`, 1)
			if err != nil || string(got) != want {
				t.Errorf("got  %s %v\nwant %s", got, err, want)
			}
			if string(h.Doc.Body) != body {
				t.Error("the client's body was changed")
			}
		})
	}
}

func TestBetasGoIntoTheBodyOfBedrockAlone(t *testing.T) {
	body := request(`"stream":true,"anthropic_beta":["b","a"]`)
	h, err := bedrock().Peek(in(body))
	if err != nil {
		t.Fatal(err)
	}
	e := dialect.Edits{Betas: []string{"a", "c"}}
	got, err := bedrock().Splice([]byte("x"), h, e)
	if err != nil || string(got[:1]) != "x" || string(jsonx.Get(got[1:], "anthropic_beta")) != `["a","c","b"]` || jsonx.Get(got[1:], "stream") != nil {
		t.Errorf("got %s %v", got, err)
	}
	if len(e.Betas) != 2 {
		t.Error("the caller's list was changed")
	}
	got, err = vertex().Splice(nil, h, e)
	if err != nil || string(jsonx.Get(got, "anthropic_beta")) != `["b","a"]` || string(jsonx.Get(got, "stream")) != "true" ||
		string(jsonx.Get(got, "anthropic_version")) != `"vertex-2023-10-16"` || jsonx.Get(got, "model") != nil {
		t.Errorf("got %s %v", got, err)
	}
	if !bedrock().Encloses() || vertex().Encloses() || !bedrock().Reshapes(h) {
		t.Error("headers: only Bedrock encloses them, and both reshape")
	}
}

func TestACloudGetsWhatOtherDialectsAsk(t *testing.T) {
	req := chat(func(c *llm.Chat) { c.Turns = []llm.Turn{user("hi")} })
	req.Stream = true
	tg := dialect.Target{Model: "us.anthropic.claude-haiku-4-5", Facts: catalog.Anthropic("claude-haiku-4-5")}
	got, _, err := bedrock().WriteRequest(nil, req, tg)
	if err != nil || jsonx.Valid(got) != nil || jsonx.Get(got, "model") != nil || jsonx.Get(got, "stream") != nil || !bytes.HasPrefix(got, []byte(`{"anthropic_version":"bedrock-2023-05-31","max_tokens":`)) {
		t.Errorf("got %s %v", got, err)
	}
	if got, _, err = vertex().WriteRequest(nil, req, tg); err != nil || string(jsonx.Get(got, "stream")) != "true" {
		t.Errorf("got %s %v", got, err)
	}
	req.Chat().Turns[0].Parts = []llm.Part{{Kind: llm.PartImage, Media: &llm.Media{URL: "https://example.com/a.png"}}}
	_, _, err = bedrock().WriteRequest(nil, req, tg)
	if e, ok := err.(*llm.Error); !ok || e.Code != llm.CodeUnsupported || e.Param != "messages[0].content[0]" {
		t.Errorf("a URL: %v", err)
	}
	if _, _, err = vertex().WriteRequest(nil, req, tg); err != nil {
		t.Errorf("a URL: %v", err)
	}
}

// framed packs a stream of server-sent events in frames.
func framed(t testing.TB, stream string) []byte {
	t.Helper()
	h := awsevents.AppendString(nil, ":event-type", "chunk")
	h = awsevents.AppendString(h, ":content-type", "application/json")
	h = awsevents.AppendString(h, ":message-type", "event")
	var out []byte
	err := new(sse.Parser).Feed([]byte(stream), true, func(e *sse.Event) error {
		if len(e.Data) > 0 && !e.Comment {
			out = awsevents.Append(out, h, []byte(`{"bytes":"`+base64.StdEncoding.EncodeToString(e.Data)+`","p":"abc"}`))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func exception(kind, message string) []byte {
	h := awsevents.AppendString(nil, ":exception-type", kind)
	h = awsevents.AppendString(h, ":content-type", "application/json")
	h = awsevents.AppendString(h, ":message-type", "exception")
	return awsevents.Append(nil, h, []byte(`{"message":"`+message+`"}`))
}

// repack runs a reframe over a body, cut every n bytes.
func repack(s dialect.Strip, body []byte, n int) []byte {
	var out []byte
	for {
		k := min(n, len(body))
		piece := bytes.Clone(body[:k])
		body = body[k:]
		out = s.Feed(out, piece, len(body) == 0)
		if len(body) == 0 {
			return out
		}
	}
}

func TestFramesAreReadAsTheirEvents(t *testing.T) {
	c := bedrock()
	eachRecord(t, func(t *testing.T, x *recorded.Exchange) {
		if x.BodyKind != "sse" || x.Status != 200 {
			return
		}
		body := framed(t, x.RawBody)
		want := codectest.Events(t, c.Codec.NewReader(nil, true), []byte(x.RawBody), 0)
		drop := func(evs []llm.Event) (out []llm.Event) {
			for _, e := range evs {
				if e.Kind != llm.EvPing { // comments have no frame
					out = append(out, e)
				}
			}
			return out
		}
		for _, n := range []int{1, 3, 64, 1 << 20} {
			if diff := cmp.Diff(drop(codectest.Events(t, c.NewReader(nil, true), body, n)), drop(want)); diff != "" {
				t.Fatalf("cut every %d bytes: %s", n, diff)
			}
		}
	})
}

func TestRecordedFramesAreRepackedForClients(t *testing.T) {
	keep := func(x *recorded.Exchange) bool {
		return x.Endpoint == "invoke-with-response-stream" && x.BodyKind == "eventstream-b64" && x.Model != nil && strings.Contains(*x.Model, "claude") && !strings.Contains(*x.Model, "instant")
	}
	recorded.Each(t, keep, func(t *testing.T, x *recorded.Exchange) {
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		repacked(t, body)
	})
}

// repacked holds a whole stream in frames against the rules.
func repacked(t *testing.T, body []byte) {
	t.Helper()
	c := bedrock()
	s := c.NewReframe()
	out := repack(s, body, 1<<20)
	strict(t, out)
	want := codectest.Events(t, c.NewReader(nil, true), body, 0)
	if diff := cmp.Diff(codectest.Events(t, c.Codec.NewReader(nil, true), out, 0), want); diff != "" {
		t.Errorf("what the client reads (-got +want): %s", diff)
	}
	if codectest.Count(want, llm.EvFinished) != 1 || !s.Whole() {
		t.Error("the stream has no end")
	}
	var u llm.Usage
	for i := range want {
		u.Merge(want[i].Usage)
	}
	if s.Usage() != u || !u.Known() {
		t.Errorf("usage %+v, want %+v", s.Usage(), u)
	}
	for _, n := range []int{1, 2, 7, 64} {
		if got := repack(c.NewReframe(), body, n); !bytes.Equal(got, out) {
			t.Errorf("cut every %d bytes: the result differs", n)
		}
	}
	var ends []int
	_ = new(awsevents.Parser).Feed(body, true, func(m *awsevents.Message) error {
		last := 0
		if len(ends) > 0 {
			last = ends[len(ends)-1]
		}
		ends = append(ends, last+len(m.Raw))
		return nil
	})
	for _, end := range ends[:len(ends)-1] {
		for _, cut := range []int{end, end + 5} {
			s := c.NewReframe()
			if got := repack(s, body[:cut], 1<<20); s.Whole() || bytes.Contains(got, []byte("message_stop")) {
				t.Fatalf("cut at %d: the stream ends as if it were whole", cut)
			}
			if evs := codectest.Events(t, c.NewReader(nil, true), body[:cut], 0); codectest.Count(evs, llm.EvFailed) != 1 || codectest.Count(evs, llm.EvFinished) != 0 {
				t.Fatalf("cut at %d: %v", cut, evs)
			}
		}
	}
}

const short = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}}

event: message_stop
data: {"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}

`

func TestWhatIsRepackedIsWhatWasFramed(t *testing.T) {
	repacked(t, framed(t, short))
	if got := repack(bedrock().NewReframe(), framed(t, short), 1<<20); string(got) != short {
		t.Errorf("got %s", got)
	}
}

func TestAnswersThatFailInTheirFrames(t *testing.T) {
	ok := framed(t, short)
	bad := bytes.Clone(ok)
	bad[len(bad)/2] ^= 1
	head := framed(t, short[:strings.Index(short, "event: content_block_stop")])
	for _, c := range []struct {
		name string
		body []byte
		code llm.Code
		kind string // of the error toward the client
	}{
		{"throttled before content", exception("throttlingException", "slow down"), llm.CodeRateLimited, "rate_limit_error"},
		{"broken after content", append(bytes.Clone(head), exception("modelStreamErrorException", "oops")...), llm.CodeUpstream, "api_error"},
		{"busy after content", append(bytes.Clone(head), exception("serviceUnavailableException", "busy")...), llm.CodeOverloaded, "overloaded_error"},
		{"a wrong checksum", bad, llm.CodeUpstream, "api_error"},
		{"an event that is no JSON", awsevents.Append(nil, awsevents.AppendString(awsevents.AppendString(nil, ":event-type", "chunk"), ":message-type", "event"), []byte(`{"bytes":"e30x"}`)), llm.CodeUpstream, "api_error"},
		{"an error frame", awsevents.Append(nil, awsevents.AppendString(awsevents.AppendString(awsevents.AppendString(nil, ":message-type", "error"), ":error-code", "InternalFailure"), ":error-message", "oops"), nil), llm.CodeUpstream, "api_error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 1 << 20} {
				evs := codectest.Events(t, bedrock().NewReader(nil, true), c.body, n)
				last := evs[len(evs)-1]
				if last.Kind != llm.EvFailed || last.Err.Code != c.code || codectest.Count(evs, llm.EvFinished) != 0 || codectest.Count(evs, llm.EvFailed) != 1 {
					t.Errorf("got %v", codectest.Describe(evs))
				}
				s := bedrock().NewReframe()
				out := repack(s, c.body, n)
				if !s.Whole() || bytes.Count(out, []byte("event: error\n")) != 1 || !bytes.Contains(out, []byte(`"type":"`+c.kind+`"`)) || bytes.Contains(out, []byte("message_stop")) {
					t.Errorf("got %s", out)
				}
			}
		})
	}
	late := append(bytes.Clone(ok), exception("internalServerException", "late")...)
	if evs := codectest.Events(t, bedrock().NewReader(nil, true), late, 0); codectest.Count(evs, llm.EvFailed) != 0 {
		t.Errorf("an exception behind the end: %v", codectest.Describe(evs))
	}
}

func TestADocumentForAStreamIsRead(t *testing.T) {
	const doc = `{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`
	for _, stream := range []bool{true, false} {
		if evs := codectest.Events(t, bedrock().NewReader(nil, stream), []byte(doc), 3); codectest.Count(evs, llm.EvFinished) != 1 {
			t.Errorf("stream %t: %v", stream, codectest.Describe(evs))
		}
	}
	for ct, want := range map[string]bool{awsevents.ContentType: true, awsevents.ContentType + "; x=y": true, "application/json": false, "text/event-stream": false} {
		if bedrock().Streams(ct) != want {
			t.Errorf("%s: stream is %t", ct, !want)
		}
	}
	if evs := codectest.Events(t, bedrock().NewReader(nil, true), nil, 0); codectest.Count(evs, llm.EvFailed) != 1 {
		t.Errorf("nothing at all: %v", evs)
	}
}

func TestRepackingDoesNotAllocate(t *testing.T) {
	s := bedrock().NewReframe()
	first := framed(t, short[:strings.Index(short, "event: content_block_delta")])
	delta := framed(t, short[strings.Index(short, "event: content_block_delta"):strings.Index(short, "event: content_block_stop")])
	dst := s.Feed(make([]byte, 0, 4096), first, false)
	if n := testing.AllocsPerRun(100, func() { dst = s.Feed(dst[:0], delta, false) }); n != 0 || len(dst) == 0 {
		t.Errorf("%v allocations for %d bytes", n, len(dst))
	}
}

func FuzzFramed(f *testing.F) {
	f.Add(framed(f, short), 3)
	f.Add(exception("throttlingException", "slow down"), 1)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		n = max(1, n%61)
		evs := codectest.Events(t, bedrock().NewReader(nil, true), body, 0)
		if codectest.Count(evs, llm.EvFinished)+codectest.Count(evs, llm.EvFailed) != 1 {
			t.Fatalf("neither or both ends: %v", codectest.Describe(evs))
		}
		if cut := codectest.Events(t, bedrock().NewReader(nil, true), body, n); codectest.Describe(cut) != codectest.Describe(evs) {
			t.Fatalf("cut every %d bytes\n%s\nwhole\n%s", n, codectest.Describe(cut), codectest.Describe(evs))
		}
		if got, want := repack(bedrock().NewReframe(), body, n), repack(bedrock().NewReframe(), body, 1<<20); !bytes.Equal(got, want) {
			t.Fatalf("repacked %q, whole %q", got, want)
		}
	})
}
