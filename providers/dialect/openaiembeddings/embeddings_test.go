package openaiembeddings_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
)

var update = flag.Bool("update", false, "write the golden files anew")

func inbound(body string) dialect.Inbound {
	return dialect.Inbound{Op: llm.OpEmbed, Path: "/v1/embeddings", Body: []byte(body)}
}

func form(name string) *openaiembeddings.Codec {
	switch name {
	case "voyage":
		return openaiembeddings.NewForm(openaiembeddings.Voyage())
	case "jina":
		return openaiembeddings.NewForm(openaiembeddings.Jina())
	case "mistral":
		return openaiembeddings.NewForm(openaiembeddings.Mistral())
	case "nvidia":
		return openaiembeddings.NewForm(openaiembeddings.NVIDIA())
	}
	return openaiembeddings.New()
}

func TestGolden(t *testing.T) {
	codectest.Golden(t, *update, func(s map[string]string) codectest.Pair {
		return codectest.Pair{Server: openaiembeddings.New(), Client: form(s["form"]), In: inbound("")}
	})
}

func TestWrongMembersAreNamed(t *testing.T) {
	for _, c := range []struct {
		body, param, says string
		peeks             bool
	}{
		{`{"input":"x"}`, "model", "must provide a model", true},
		{`{"model":"m"}`, "input", "Missing required parameter: 'input'", true},
		{`{"model":1,"input":"x"}`, "model", "expected a string", true},
		{`{"model":"m","input":{}}`, "input", "a string or an array", true},
		{`{"model":"m","input":[]}`, "input", "empty array", true},
		{`{"model":"m","input":null}`, "input", "a string or an array", true},
		{`{"model":"m","input":"x","dimensions":0}`, "dimensions", ">= 1", true},
		{`{"model":"m","input":"x","dimensions":"8"}`, "dimensions", "an integer", true},
		{`{"model":"m","input":"x","stream":true}`, "stream", "not streamed", true},
		{`{"model":"m","Input":"y","input":"x"}`, "Input", "Did you mean 'input'", true},
		{`{"model":"m","model":"n","input":"x"}`, "model", "could not parse", true},
		{`{"model":"m","input":"x","encoding_format":"ubinary"}`, "encoding_format", "'float', 'base64'", false},
		{`{"model":"m","input":["x",1]}`, "input[1]", "a string or an array of integers", false},
		{`{"model":"m","input":[1,"x"]}`, "input[1]", "an integer", false},
		{`{"model":"m","input":[[1],[]]}`, "input[1]", "empty array", false},
		{`{"model":"m","input":[[-1]]}`, "input[0][0]", ">= 0", false},
		{`{"model":"m","input":[{"video":"x"}]}`, "input[0].video", "Unknown parameter", false},
		{`{"model":"m","input":[{}]}`, "input[0]", "one of 'text' and 'image'", false},
		{`{"model":"m","input":"x","user":5}`, "user", "a string", false},
	} {
		codectest.Refused(t, openaiembeddings.New(), inbound(c.body), c.peeks, c.param, c.says)
	}
	many := `{"model":"m","input":[` + strings.Repeat(`"x",`, 1<<14) + `"x"]}`
	codectest.Refused(t, openaiembeddings.New(), inbound(many), true, "input", "array too long")
}

// drawBody draws a request that the dialect allows, with members in any order.
func drawBody(t *rapid.T) string {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	text := func() string { return string(jsonx.AppendQuote(nil, rapid.StringN(0, 8, 30).Draw(t, "text"))) }
	members := []string{`"model":"m"`, `"input":` + pick("input", text(), `[`+text()+`,`+text()+`]`, `[`+text()+`]`, `[5,6]`, `[[5,6],[7]]`, `[[1],`+text()+`]`,
		`[{"text":`+text()+`},{"image":"https://a.example/x.png"}]`, `[{"image":"data:image/png;base64,AAAA"},{"image":"AAAA"}]`)}
	for _, m := range []string{
		`"dimensions":` + pick("dimensions", "256", "null"), `"encoding_format":` + pick("encoding", `"float"`, `"base64"`, `null`), `"user":"u"`,
		pick("task", `"input_type":"query"`, `"task":"retrieval.passage"`, `"task":"text-matching"`, `"input_type":"classification","task":"separation"`, `"input_type":"QUESTION_ANSWERING"`,
			`"input_type":"FACT_VERIFICATION"`, `"task":"code.query"`, `"input_type":"something"`, `"task":["x"]`),
		pick("truncate", `"truncate":true`, `"truncation":false`, `"truncate":"START"`, `"truncate":"x","truncation":true`, `"truncate":null`), `"own": { "a" : 1.0e3 }`, `"stream":false`,
	} {
		if rapid.Bool().Draw(t, "member") {
			members = append(members, m)
		}
	}
	members = rapid.Permutation(members).Draw(t, "order")
	return "{" + strings.Join(members, ",") + "}"
}

func TestReadingAndWritingIsALaw(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := openaiembeddings.New()
		codectest.Law(t, c, c, inbound(drawBody(rt)))
	})
}

// TestNothingVanishes writes requests in every form: what is not written is lost, and said to be.
func TestNothingVanishes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := drawBody(t)
		req, err := openaiembeddings.New().ReadRequest(inbound(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Extra.Dialect = rapid.SampledFrom([]string{"cohere", "gemini"}).Draw(t, "client")
		c := form(rapid.SampledFrom([]string{"", "voyage", "jina", "mistral", "nvidia"}).Draw(t, "form"))
		out, losses, err := c.WriteRequest(nil, req, dialect.Target{Model: "m"})
		if err != nil {
			return // refused by name
		}
		if err := jsonx.Valid(out); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		said := fmt.Sprint(losses)
		for _, x := range req.Extra.Members {
			if !strings.Contains(said, x.Name) {
				t.Fatalf("%s vanished: %s\n%s", x.Name, out, said)
			}
		}
		e := req.Embed()
		for what, given := range map[string]bool{"dimension": e.Dimensions > 0, "user": e.User != "", "ask": e.Task != "", "runcat": e.Truncate != ""} {
			if given && !strings.Contains(strings.ToLower(string(out)+said), what) && !(what == "ask" && strings.Contains(string(out)+said, "input_type")) {
				t.Fatalf("%s vanished: %s\n%s", what, out, said)
			}
		}
	})
}

// TestTheDiagonal changes the model and leaves the rest, but where a form calls members otherwise.
func TestTheDiagonal(t *testing.T) {
	for _, c := range []struct{ form, body, want string }{
		{"", ` {"model" : "a", "input":["x"], "own": 1.0 } `, ` {"model" : "m", "input":["x"], "own": 1.0 } `},
		{"", `{"model":"m","input":[1,2],"encoding_format":"base64"}`, `{"model":"m","input":[1,2],"encoding_format":"base64"}`},
		{"voyage", `{"model":"a", "input":"x","output_dtype":"int8"}`, `{"model":"m", "input":"x","output_dtype":"int8"}`},
		{"voyage", `{"model":"a", "input":"x","encoding_format":"float","dimensions":8,"user":"u","own":[ 1 ]}`, `{"model":"m","input":"x","output_dimension":8,"own":[ 1 ]}`},
		{"voyage", `{"model":"a","input":"x","input_type":"query","truncation":false}`, `{"model":"m","input":"x","input_type":"query","truncation":false}`},
		{"jina", `{"model":"a","input":[{"image":"AAAA"}],"encoding_format":"base64","task":"retrieval.query"}`, `{"model":"m","input":[{"image":"AAAA"}],"embedding_type":"base64","task":"retrieval.query"}`},
		{"nvidia", `{"model":"a","input":"x","truncate":"START"}`, `{"model":"m","input":"x","input_type":"passage","truncate":"START"}`},
		{"nvidia", `{"model":"a","input":"x","input_type":"own"}`, `{"model":"m","input":"x","input_type":"own"}`},
		{"mistral", `{"model":"a","input":"x","output_dimension":9,"user":"u"}`, `{"model":"m","input":"x","output_dimension":9}`},
	} {
		k := form(c.form)
		h, err := openaiembeddings.New().Peek(inbound(c.body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Splice(nil, h, dialect.Edits{Model: "m"})
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.form, got, err, c.want)
		}
	}
	h, err := openaiembeddings.New().Peek(inbound(`{"model":"m","input":"x","dimensions":8,"output_dimension":9}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := form("voyage").Splice(nil, h, dialect.Edits{Model: "m"}); err == nil {
		t.Errorf("two lengths are written: %s", got)
	}
}

func records(t *testing.T, f func(*testing.T, *recorded.Exchange, []byte)) {
	recorded.Each(t, func(x *recorded.Exchange) bool { return x.Endpoint == "embeddings" }, func(t *testing.T, x *recorded.Exchange) {
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		f(t, x, body)
	})
}

func TestRecordedTraffic(t *testing.T) {
	records(t, func(t *testing.T, x *recorded.Exchange, body []byte) {
		c := openaiembeddings.New()
		if x.Status >= 400 {
			checkError(t, c, x, body)
			return
		}
		if x.ResponseTrimmed {
			t.Skip("the record is cut")
		}
		read := func() dialect.Reader { return c.NewReader(nil, false) }
		events := codectest.Recut(t, read, body)
		if x.Provider == "perplexity" {
			t.Skip("its base64 is of 8-bit integers")
		}
		if !strings.Contains(events, "\nfinished ") {
			t.Fatalf("not read: %.200s", events)
		}
		if n, ok := jsonx.Int(jsonx.At(body, "usage", "prompt_tokens")); ok && !strings.Contains(events, fmt.Sprintf("usage in=%d out=0\n", n)) {
			t.Errorf("usage is not the provider's own: %.200s", events)
		}
		if jsonx.Valid(x.RequestJSON) == nil && !x.RequestTrimmed {
			codectest.Law(t, c, c, inbound(string(x.RequestJSON)))
		}
		rewritten(t, c, x, body, events)
	})
}

// rewritten writes the answer anew in both forms, and reads that again.
func rewritten(t *testing.T, c *openaiembeddings.Codec, x *recorded.Exchange, body []byte, events string) {
	t.Helper()
	for _, base64 := range []bool{false, true} {
		w := c.NewWriter(&llm.Request{Body: &llm.Embed{Base64: base64}}, false)
		var out []byte
		err := c.NewReader(nil, false).Feed(body, true, func(ev *llm.Event) (err error) {
			out, err = w.Write(out, ev)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if out, err = w.Close(out); err != nil {
			t.Fatal(err)
		}
		got := codectest.Read(t, c.NewReader(nil, false), out, 0)
		_, was, _ := strings.Cut(events, "\n")
		_, is, _ := strings.Cut(got, "\n")
		if d := cmp.Diff(was, is); d != "" {
			t.Errorf("base64 %v: what is written says something else (-was +is):\n%.2000s", base64, d)
		}
	}
}

func checkError(t *testing.T, c *openaiembeddings.Codec, x *recorded.Exchange, body []byte) {
	t.Helper()
	e := c.ReadError(x.Status, nil, body)
	want := map[int][]llm.Code{400: {llm.CodeInvalid, llm.CodeUnsupported}, 401: {llm.CodeCredential}, 403: {llm.CodeForbidden, llm.CodeCredential}, 404: {llm.CodeNotFound}, 501: {llm.CodeUnsupported}}[x.Status]
	if !slices.Contains(want, e.Code) {
		t.Errorf("%d is read as %s %q: %s", x.Status, e.Code, e.Message, body)
	}
}

func TestBrokenAnswersFail(t *testing.T) {
	two := &llm.Request{Body: &llm.Embed{Inputs: make([]llm.EmbedInput, 2)}}
	for _, c := range []struct{ name, body, says string }{
		{"nothing", ``, "ended early"},
		{"no vectors", `{"object":"list"}`, "no vectors"},
		{"an error in a 200", `{"error":{"message":"boom","type":"server_error"}}`, "boom"},
		{"an error of another shape", `{"detail":"boom"}`, "boom"},
		{"too few", `{"data":[{"embedding":[1]}]}`, "1 vectors for 2 inputs"},
		{"what was not asked for", `{"data":[{"embedding":"AACAPwAAAL8="},{"embedding":[1]}]}`, "numbers were asked for"},
		{"words", `{"data":[{"embedding":["a"]},{"embedding":[1]}]}`, "vector 0 is not"},
		{"base64 of something else", `{"data":[{"embedding":"AAAA"},{"embedding":[1]}]}`, "vector 0 is encoded"},
		{"an index twice", `{"data":[{"index":1,"embedding":[1]},{"index":1,"embedding":[1]}]}`, "has the index 1"},
		{"an index too high", `{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}`, "has the index 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			events := codectest.Recut(t, func() dialect.Reader { return form("").NewReader(two, false) }, []byte(c.body))
			if !strings.Contains(events, "failed ") || !strings.Contains(events, c.says) {
				t.Errorf("got %s", events)
			}
		})
	}
}

func TestAnAnswerWithoutItsEndIsNoAnswer(t *testing.T) {
	c := openaiembeddings.New()
	result := llm.Event{Kind: llm.EvResult, Result: &llm.Embeddings{Vectors: [][]float32{{1}}}}
	for name, events := range map[string][]llm.Event{
		"nothing":            nil,
		"no result":          {{Kind: llm.EvStarted}, {Kind: llm.EvFinished}},
		"no end":             {{Kind: llm.EvStarted}, result},
		"failed":             {{Kind: llm.EvStarted}, result, {Kind: llm.EvFailed}},
		"failed at the end":  {{Kind: llm.EvStarted}, result, {Kind: llm.EvFailed, Err: &llm.Error{Code: llm.CodeReset}}},
		"a ranking is none":  {{Kind: llm.EvResult, Result: &llm.Ranking{}}, {Kind: llm.EvFinished}},
		"what is no number":  {{Kind: llm.EvResult, Result: &llm.Embeddings{Vectors: [][]float32{{nan()}}}}, {Kind: llm.EvFinished}},
		"no result but ping": {{Kind: llm.EvPing}, {Kind: llm.EvFinished}},
	} {
		w := c.NewWriter(nil, false)
		var out []byte
		for i := range events {
			out, _ = w.Write(out, &events[i])
		}
		if out, err := w.Close(out); err == nil || len(out) > 0 {
			t.Errorf("%s: got %s, %v", name, out, err)
		}
	}
}

func nan() float32 { z := float32(0); return z / z }

func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-5]}],"model":"m","usage":{"prompt_tokens":1,"total_tokens":1}}`), 3)
	f.Add([]byte(`{"data":[{"embedding":"AACAPwAAAL8="}]}`), 1)
	f.Add([]byte(`{"error":"x"}`), 2)
	f.Fuzz(func(t *testing.T, body []byte, size int) {
		whole := codectest.Read(t, form("").NewReader(nil, false), body, 0)
		if cut := codectest.Read(t, form("").NewReader(nil, false), body, max(1, size)); cut != whole {
			t.Fatalf("cut:\n%s\nwhole:\n%s", cut, whole)
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","input":[[1,2],"x",{"image":"AAAA"}],"task":"x","dimensions":8}`))
	f.Add([]byte(`{"model":"m","input":"x","truncate":"END","input_type":"query","own":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c := openaiembeddings.New()
		h, perr := c.Peek(inbound(string(body)))
		_, rerr := c.ReadRequest(inbound(string(body)))
		if perr != nil && rerr == nil {
			t.Fatalf("refused by Peek alone: %v", perr)
		}
		if rerr == nil {
			codectest.Law(t, c, c, inbound(string(body)))
		}
		if perr != nil {
			return
		}
		out, err := c.Splice(nil, h, dialect.Edits{Model: "other"})
		if err != nil || jsonx.Valid(out) != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
}

func BenchmarkSplice(b *testing.B) {
	body := []byte(`{"model":"m","input":["` + strings.Repeat("word ", 20_000) + `"]}`)
	c := openaiembeddings.New()
	for b.Loop() {
		h, err := c.Peek(dialect.Inbound{Body: body})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Splice(nil, h, dialect.Edits{Model: "other"}); err != nil {
			b.Fatal(err)
		}
	}
}
