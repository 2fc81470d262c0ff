package passing_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/passing"
)

const boundary = "multipart/form-data; boundary=b"

// fields makes a form of names and values in turn.
func fields(nv ...string) []byte {
	var b strings.Builder
	for i := 0; i < len(nv); i += 2 {
		b.WriteString("--b\r\nContent-Disposition: form-data; name=\"" + nv[i] + "\"\r\n\r\n" + nv[i+1] + "\r\n")
	}
	return []byte(b.String() + "--b--\r\n")
}

func TestPeekAndSplice(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		body       []byte
		stream     bool
		n          int
		spliced    string
	}{
		{"an image", "", []byte(`{"prompt":"a cat", "model":"a","n":2}`), false, 2, `{"prompt":"a cat", "model":"b","n":2}`},
		{"a stream of images", "", []byte(`{"model":"a","stream":true,"n":null}`), true, 1, `{"model":"b","stream":true,"n":null}`},
		{"speech as events", "", []byte(`{"model":"a","input":"hi","stream_format":"sse"}`), true, 1, `{"model":"b","input":"hi","stream_format":"sse"}`},
		{"speech as audio", "", []byte(`{"model":"a","input":"hi","stream_format":"audio"}`), false, 1, `{"model":"b","input":"hi","stream_format":"audio"}`},
		{"a form", boundary, fields("file", "RIFF", "model", "a"), false, 1, string(fields("file", "RIFF", "model", "b"))},
		{"a streamed form", boundary, fields("stream", "True", "model", "a", "n", "3"), true, 3, string(fields("stream", "True", "model", "b", "n", "3"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			codec := passing.Audio()
			in := dialect.Inbound{Op: llm.OpTranscribe, Type: c.kind, Body: c.body}
			h, err := codec.Peek(in)
			if err != nil {
				t.Fatal(err)
			}
			if h.Model != "a" || h.Stream != c.stream || h.N != c.n || !h.Usage {
				t.Errorf("got model %q, stream %v, n %d, usage %v", h.Model, h.Stream, h.N, h.Usage)
			}
			got, err := codec.Splice(nil, h, dialect.Edits{Model: "b", AskUsage: true})
			if err != nil || string(got) != c.spliced {
				t.Errorf("got %q, %v, want %q", got, err, c.spliced)
			}
			for _, same := range []string{"", "a"} {
				if got, err := codec.Splice([]byte(">"), h, dialect.Edits{Model: same}); err != nil || string(got) != ">"+string(c.body) {
					t.Errorf("model %q changes the body to %q, %v", same, got, err)
				}
			}
			req, err := codec.ReadRequest(in)
			if err != nil || req.Op != llm.OpTranscribe || req.Model != "a" || req.Stream != c.stream {
				t.Errorf("got %+v, %v", req, err)
			}
			if _, _, err := codec.WriteRequest(nil, req, dialect.Target{Model: "b"}); code(err) != llm.CodeUnsupported {
				t.Errorf("a request is written: %v", err)
			}
		})
	}
}

func code(err error) llm.Code {
	if e, ok := errors.AsType[*llm.Error](err); ok {
		return e.Code
	}
	return llm.CodeNone
}

func TestPeekRefuses(t *testing.T) {
	for _, c := range []struct{ name, kind, body, param string }{
		{"broken JSON", "", `{"model":`, ""},
		{"a member twice", "", `{"model":"a","model":"b"}`, ""},
		{"no model", "", `{"prompt":"x"}`, "model"},
		{"an empty model", "", `{"model":""}`, "model"},
		{"a model that is no string", "", `{"model":null}`, "model"},
		{"a model in other letters", "", `{"Model":"a"}`, "Model"},
		{"a stream that is no bool", "", `{"model":"a","stream":"yes"}`, "stream"},
		{"n of none", "", `{"model":"a","n":0}`, "n"},
		{"n of many", "", `{"model":"a","n":1000}`, "n"},
		{"no form", boundary, `{"model":"a"}`, ""},
		{"a form without a model", boundary, string(fields("file", "x")), "model"},
		{"a form with two models", boundary, string(fields("model", "x", "model", "y")), ""},
		{"a form with a stream that is no bool", boundary, string(fields("model", "x", "stream", "perhaps")), "stream"},
		{"a form with n of none", boundary, string(fields("model", "x", "n", "none")), "n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := passing.Images().Peek(dialect.Inbound{Op: llm.OpImage, Type: c.kind, Body: []byte(c.body)})
			var e *llm.Error
			if !errors.As(err, &e) || e.Code != llm.CodeInvalid || e.Param != c.param || e.Message == "" {
				t.Errorf("got %v, want an invalid %q", err, c.param)
			}
		})
	}
}

// read feeds an answer in pieces of n bytes and says what came.
func read(t *testing.T, stream bool, body string, n int) (content int, usage llm.Usage, end llm.EventKind, failed *llm.Error) {
	t.Helper()
	r := passing.Images().NewReader(nil, stream)
	ends := 0
	emit := func(ev *llm.Event) error {
		switch {
		case ev.Content():
			content += len(ev.Text)
		case ev.Kind == llm.EvUsage:
			usage.Merge(ev.Usage)
		case ev.Kind == llm.EvFinished, ev.Kind == llm.EvFailed:
			ends, end, failed = ends+1, ev.Kind, ev.Err
		}
		return nil
	}
	for i := 0; i < len(body); i += n {
		if err := r.Feed([]byte(body[i:min(i+n, len(body))]), false, emit); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Feed(nil, true, emit); err != nil {
		t.Fatal(err)
	}
	if ends != 1 {
		t.Errorf("it ends %d times", ends)
	}
	return content, usage, end, failed
}

func TestReader(t *testing.T) {
	images := `{"created":1,"data":[{"b64_json":"aGk="}],"usage":{"total_tokens":30,"input_tokens":10,"output_tokens":20}}`
	for _, c := range []struct {
		name    string
		stream  bool
		body    string
		usage   llm.Usage
		failed  llm.Code
		content bool
	}{
		{"images", false, images, llm.Usage{Input: llm.Tokens(10), Output: llm.Tokens(20), Details: &llm.Details{Images: llm.Tokens(1)}}, llm.CodeNone, true},
		{"images of a size, of tokens of two kinds", false, `{"data":[{"b64_json":"aGk="},{"url":"u"}],"size":"1024x1024","quality":"high","usage":{"input_tokens":10,"input_tokens_details":{"text_tokens":4,"image_tokens":6},"output_tokens":20,"output_tokens_details":{"image_tokens":18,"text_tokens":2}}}`,
			llm.Usage{Input: llm.Tokens(10), Output: llm.Tokens(20), Details: &llm.Details{Images: llm.Tokens(2), ImageIn: llm.Tokens(6), ImageOut: llm.Tokens(18), Served: llm.Served{Size: "1024x1024", Quality: "high"}}}, llm.CodeNone, true},
		{"images without usage", false, `{"created":1,"data":[{"url":"u"},{"url":"v"},{"url":"w"}]}`, llm.Usage{Details: &llm.Details{Images: llm.Tokens(3)}}, llm.CodeNone, true},
		{"a transcript by its seconds", false, `{"text":"hi","usage":{"type":"duration","seconds":9}}`, llm.Usage{Details: &llm.Details{Heard: llm.Tokens(9)}}, llm.CodeNone, true},
		{"a transcript that says how long it is", false, `{"task":"transcribe","duration":8.47,"text":"hi"}`, llm.Usage{Details: &llm.Details{Heard: llm.Tokens(9)}}, llm.CodeNone, true},
		{"the last event of an image", true, "data: {\"type\":\"image_generation.completed\",\"size\":\"1024x1024\",\"quality\":\"low\",\"usage\":{\"input_tokens\":10,\"output_tokens\":20}}\n\n",
			llm.Usage{Input: llm.Tokens(10), Output: llm.Tokens(20), Details: &llm.Details{Served: llm.Served{Size: "1024x1024", Quality: "low"}}}, llm.CodeNone, true},
		{"audio bytes", false, "\xff\xf3\x00binary", llm.Usage{}, llm.CodeNone, true},
		{"a transcript", false, `{"text":"hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":4}}`,
			llm.Usage{Input: llm.Tokens(14), Output: llm.Tokens(4), AudioIn: llm.Tokens(14)}, llm.CodeNone, true},
		{"an error under 200", false, `{"error":{"message":"Rate limit reached","type":"rate_limit_exceeded","code":"rate_limit_exceeded"}}`, llm.Usage{}, llm.CodeRateLimited, false},
		{"nothing", false, "", llm.Usage{}, llm.CodeReset, false},
		{"a stream of a transcript", true, "event: transcript.text.delta\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}\n\n" +
			"data: {\"type\":\"transcript.text.done\",\"text\":\"hi\",\"usage\":{\"input_tokens\":14,\"output_tokens\":4}}\n\n",
			llm.Usage{Input: llm.Tokens(14), Output: llm.Tokens(4)}, llm.CodeNone, true},
		{"an error as the first event", true, "data: {\"type\":\"error\",\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n", llm.Usage{}, llm.CodeOverloaded, false},
		{"no JSON", true, "data: hello\n\n", llm.Usage{}, llm.CodeUpstream, false},
		{"a comment alone", true, ": wait\n\n", llm.Usage{}, llm.CodeNone, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 7, 64, 1 << 20} {
				content, usage, end, failed := read(t, c.stream, c.body, n)
				if diff := cmp.Diff(usage, c.usage); diff != "" {
					t.Errorf("usage (-got +want):\n%s", diff)
				}
				got := llm.CodeNone
				if failed != nil {
					got = failed.Code
				}
				if got != c.failed || (end == llm.EvFailed) != (c.failed != llm.CodeNone) || c.content && content == 0 {
					t.Errorf("cut at %d: ends as %s with %v and %d bytes, want %s", n, end, failed, content, c.failed)
				}
			}
		})
	}
	if _, _, end, failed := read(t, true, "data: {\"type\":\"x\"", 3); end != llm.EvFailed || failed.Code != llm.CodeReset {
		t.Errorf("a stream that is cut ends as %s, %v", end, failed)
	}
}

func TestALongAnswerIsNotKept(t *testing.T) {
	content, usage, end, _ := read(t, false, `{"data":[{"b64_json":"`+strings.Repeat("A", 3<<20)+`"}],"usage":{"input_tokens":1}}`, 1<<16)
	if content < 3<<20 || usage.Known() || end != llm.EvFinished {
		t.Errorf("got %d bytes, usage %v, %s", content, usage, end)
	}
}

func TestErrorsAreOpenAIs(t *testing.T) {
	status, body := passing.Audio().WriteError(&llm.Error{Code: llm.CodeNotFound, Message: "no such model", Param: "model"}, "id")
	if want := `{"error":{"message":"no such model","type":"invalid_request_error","param":"model","code":null}}`; status != 404 || string(body) != want {
		t.Errorf("got %d %s", status, body)
	}
	if e := passing.Audio().ReadError(401, nil, []byte(`{"error":{"message":"bad key","code":"invalid_api_key"}}`)); e.Code != llm.CodeCredential {
		t.Errorf("got %v", e)
	}
	w := passing.Audio().NewWriter(nil, false)
	if _, err := w.Write(nil, &llm.Event{}); code(err) != llm.CodeInternal {
		t.Errorf("got %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(true, []byte("data: {\"type\":\"x\",\"usage\":{\"input_tokens\":1}}\n\n"), 3)
	f.Add(false, []byte(`{"error":{"message":"x"}}`), 1)
	f.Fuzz(func(t *testing.T, stream bool, body []byte, n int) {
		_, whole, end, _ := read(t, stream, string(body), max(len(body), 1))
		_, cut, again, _ := read(t, stream, string(body), max(1, n%17))
		if end != again || !cmp.Equal(whole, cut) {
			t.Errorf("the cuts count: %s %v, %s %v", end, whole, again, cut)
		}
	})
}
