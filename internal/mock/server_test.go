package mock

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

func serve(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	s := New(o)
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, srv.URL
}

// said is what a client makes of an answer.
type said struct {
	thoughts, text, refusal, stop, input, output string
	calls                                        []string // name and arguments
}

func str(raw []byte) string { s, _ := jsonx.String(raw); return s }

// read reads an answer in the plainest way, streamed or not.
func read(t *testing.T, d dialect, stream bool, body string) said {
	t.Helper()
	if !stream {
		return readWhole(d, []byte(body))
	}
	var a said
	for line := range strings.SplitSeq(body, "\n") {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		if err := jsonx.Valid([]byte(data)); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if d == anthropic {
			a.anthropicEvent([]byte(data))
		} else {
			a.openaiChunk([]byte(data))
		}
	}
	for i, c := range a.calls {
		if strings.HasSuffix(c, " ") {
			a.calls[i] += "{}" // a call without deltas
		}
	}
	return a
}

func readWhole(d dialect, b []byte) said {
	var a said
	if d == anthropic {
		for _, block := range jsonx.Elements(jsonx.Get(b, "content")) {
			a.text += str(jsonx.Get(block, "text"))
			a.thoughts += str(jsonx.Get(block, "thinking"))
			if name := str(jsonx.Get(block, "name")); name != "" {
				a.calls = append(a.calls, name+" "+string(jsonx.Get(block, "input")))
			}
		}
		a.stop = str(jsonx.Get(b, "stop_reason"))
		a.input, a.output = string(jsonx.At(b, "usage", "input_tokens")), string(jsonx.At(b, "usage", "output_tokens"))
		return a
	}
	for _, choice := range jsonx.Elements(jsonx.Get(b, "choices")) {
		m := jsonx.Get(choice, "message")
		a.text, a.thoughts, a.refusal = str(jsonx.Get(m, "content")), str(jsonx.Get(m, "reasoning_content")), str(jsonx.Get(m, "refusal"))
		a.stop = str(jsonx.Get(choice, "finish_reason"))
		for _, c := range jsonx.Elements(jsonx.Get(m, "tool_calls")) {
			a.calls = append(a.calls, str(jsonx.At(c, "function", "name"))+" "+str(jsonx.At(c, "function", "arguments")))
		}
	}
	a.input, a.output = string(jsonx.At(b, "usage", "prompt_tokens")), string(jsonx.At(b, "usage", "completion_tokens"))
	return a
}

func (a *said) anthropicEvent(b []byte) {
	switch str(jsonx.Get(b, "type")) {
	case "content_block_start":
		if name := str(jsonx.At(b, "content_block", "name")); name != "" {
			a.calls = append(a.calls, name+" ")
		}
	case "content_block_delta":
		a.text += str(jsonx.At(b, "delta", "text"))
		a.thoughts += str(jsonx.At(b, "delta", "thinking"))
		if piece := str(jsonx.At(b, "delta", "partial_json")); piece != "" {
			a.calls[len(a.calls)-1] += piece
		}
	case "message_delta":
		a.stop = str(jsonx.At(b, "delta", "stop_reason"))
		a.input, a.output = string(jsonx.At(b, "usage", "input_tokens")), string(jsonx.At(b, "usage", "output_tokens"))
	}
}

func (a *said) openaiChunk(b []byte) {
	for _, choice := range jsonx.Elements(jsonx.Get(b, "choices")) {
		delta := jsonx.Get(choice, "delta")
		a.text += str(jsonx.Get(delta, "content"))
		a.thoughts += str(jsonx.Get(delta, "reasoning_content"))
		a.refusal += str(jsonx.Get(delta, "refusal"))
		a.stop += str(jsonx.Get(choice, "finish_reason"))
		for _, c := range jsonx.Elements(jsonx.Get(delta, "tool_calls")) {
			i, _ := jsonx.Int(jsonx.Get(c, "index"))
			if int(i) == len(a.calls) {
				a.calls = append(a.calls, str(jsonx.At(c, "function", "name"))+" ")
			}
			a.calls[i] += str(jsonx.At(c, "function", "arguments"))
		}
	}
	if usage := jsonx.Get(b, "usage"); usage != nil {
		a.input, a.output = string(jsonx.Get(usage, "prompt_tokens")), string(jsonx.Get(usage, "completion_tokens"))
	}
}

func TestAStreamSaysWhatTheDocumentSays(t *testing.T) {
	_, base := serve(t, Options{})
	for _, model := range []string{"text", "echo", "tokens:40", "big:3", "json", "empty", "tools", "tools:5", "mixed+tools:3", "reasoning+tools:2", "reasoning+echo", "refuse", "filter", "stop:length", "usage:none"} {
		for d := range dialect(2) {
			_, whole, err := post(t, base+pathFor(d), bodyFor(d, model, false))
			if err != nil {
				t.Fatal(err)
			}
			_, stream, err := post(t, base+pathFor(d), bodyFor(d, model, true))
			if err != nil {
				t.Fatal(err)
			}
			got, want := read(t, d, true, stream), read(t, d, false, whole)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(said{})); diff != "" {
				t.Errorf("%s in dialect %d (-whole +stream):\n%s", model, d, diff)
			}
			if want.text == "" && want.calls == nil && want.refusal == "" && model != "empty" {
				t.Errorf("%s in dialect %d says nothing: %s", model, d, whole)
			}
		}
	}
}

func TestEchoGivesBackAnyText(t *testing.T) {
	_, base := serve(t, Options{})
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringN(1, 60, 200).Draw(r, "text")
		d := dialect(rapid.IntRange(0, 1).Draw(r, "dialect"))
		stream := rapid.Bool().Draw(r, "stream")
		body := `{"model":"x/echo","max_tokens":1000,"stream":` + string(encode(stream)) + `,"messages":[{"role":"user","content":"no"},{"role":"assistant","content":"no"},{"role":"user","content":[{"type":"text","text":` + string(encode(text)) + `}]}]}`
		_, answer, err := post(t, base+pathFor(d), body)
		if err != nil {
			r.Fatal(err)
		}
		if got := read(t, d, stream, answer).text; got != text {
			r.Errorf("got %q, want %q", got, text)
		}
	})
}

func TestAnswersKeepToTheLimitAndToTheTools(t *testing.T) {
	_, base := serve(t, Options{})
	tools := `,"tools":` + openaiTools
	for name, c := range map[string]struct{ body, text, stop, calls string }{
		"max_tokens":            {`{"model":"tokens:9","max_completion_tokens":2,"messages":[{"role":"user","content":"x"}]}`, "signal track", "length", ""},
		"a tool's result":       {`{"model":"tools","messages":[{"role":"tool","tool_call_id":"1","content":"x"}]` + tools + `}`, "Hello, this is mock, answering as the model tools.", "stop", ""},
		"no tool may be called": {`{"model":"tools","tool_choice":"none","messages":[{"role":"user","content":"x"}]` + tools + `}`, "Hello, this is mock, answering as the model tools.", "stop", ""},
		"one tool must":         {`{"model":"tools","tool_choice":{"type":"function","function":{"name":"now"}},"messages":[{"role":"user","content":"x"}]` + tools + `}`, "", "tool_calls", "now {}"},
		"text and a call":       {`{"model":"echo+tools","messages":[{"role":"user","content":"x"}]` + tools + `}`, "x", "tool_calls", `weather {"city":"example city","unit":"C"}`},
	} {
		_, body, err := post(t, base+"/chat/completions", c.body)
		if err != nil {
			t.Fatal(err)
		}
		a := read(t, openai, false, body)
		if a.text != c.text || a.stop != c.stop || strings.Join(a.calls, "; ") != c.calls {
			t.Errorf("%s: got %+v", name, a)
		}
	}
	_, body, _ := post(t, base+"/chat/completions", `{"model":"echo","n":3,"messages":[{"role":"user","content":"a b"}]}`)
	if n := strings.Count(body, `"finish_reason":"stop"`); n != 3 || !strings.Contains(body, `"completion_tokens":6`) {
		t.Errorf("n: got %s", body)
	}
}

func TestWrongRequestsNameTheMember(t *testing.T) {
	_, base := serve(t, Options{MaxBody: 500})
	const user = `"messages":[{"role":"user","content":"x"}]`
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/chat/completions", `{`, 400, "body: "},
		{"/chat/completions", `{"model":"a","model":"b",` + user + `}`, 400, "body: "},
		{"/chat/completions", `{` + user + `}`, 400, "model: "},
		{"/chat/completions", `{"model":"text"}`, 400, "messages: "},
		{"/chat/completions", `{"model":"text","messages":[]}`, 400, "messages: "},
		{"/chat/completions", `{"model":"text","messages":[{"role":"robot"}]}`, 400, "messages[0].role: "},
		{"/chat/completions", `{"model":"text","stream":1,` + user + `}`, 400, "stream: "},
		{"/chat/completions", `{"model":"text","stream_options":{"include_usage":true},` + user + `}`, 400, "stream_options: "},
		{"/chat/completions", `{"model":"text","max_tokens":0,` + user + `}`, 400, "max_tokens: "},
		{"/chat/completions", `{"model":"tools",` + user + `}`, 400, "tools: "},
		{"/messages", `{"model":"text",` + user + `}`, 400, "max_tokens: "},
		{"/messages", `{"model":"text","max_tokens":9,"messages":[{"role":"system","content":"x"}]}`, 400, "messages[0].role: "},
		{"/messages", `{"model":"text","max_tokens":9,"tools":[{"name":"x"}],` + user + `}`, 400, "tools[0]."},
		{"/messages", strings.Repeat(" ", 501), 413, "Request exceeds"},
		{"/nothing", `{}`, 404, "unknown path /nothing"},
		{"/models", `{}`, 405, "use GET"},
	} {
		resp, body, err := post(t, base+c.path, c.body)
		if err != nil {
			t.Fatal(err)
		}
		message := str(jsonx.At([]byte(body), "error", "message"))
		if resp.StatusCode != c.status || !strings.HasPrefix(message, c.want) {
			t.Errorf("%s %s: got %d %q, want %d %q…", c.path, c.body, resp.StatusCode, message, c.status, c.want)
		}
	}
}

func TestTheSameSeedGivesTheSameAnswers(t *testing.T) {
	now := func() time.Time { return time.Unix(1, 0) }
	play := func(seed uint64) (all []string, failed int) {
		_, base := serve(t, Options{Seed: seed, Now: now})
		for range 60 {
			resp, body, err := post(t, base+"/chat/completions", bodyFor(openai, "flaky:0.5+echo", false))
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode == 503 {
				failed++
			}
			all = append(all, body)
		}
		return all, failed
	}
	one, failed := play(7)
	two, _ := play(7)
	three, _ := play(8)
	if diff := cmp.Diff(one, two); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(one, three) {
		t.Error("another seed gives the same answers")
	}
	if failed < 15 || failed > 45 {
		t.Errorf("%d of 60 failed", failed)
	}
}

func TestFailFirstCountsByModelString(t *testing.T) {
	s, base := serve(t, Options{})
	status := func(model string) int {
		resp, _, err := post(t, base+"/messages", bodyFor(anthropic, model, false))
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	var got []int
	for _, model := range []string{"fail-first:2:529+echo", "fail-first:2:529+echo", "fail-first:2:529", "fail-first:2:529+echo"} {
		got = append(got, status(model))
	}
	s.Clear()
	got = append(got, status("fail-first:2:529+echo"))
	if diff := cmp.Diff([]int{529, 529, 529, 200, 529}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPausesAreThoseAskedFor(t *testing.T) {
	var mu sync.Mutex
	var slept []string
	_, base := serve(t, Options{KeepAlive: 400 * time.Millisecond, Sleep: func(_ context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		slept = append(slept, d.String())
		return nil
	}})
	if _, _, err := post(t, base+"/chat/completions", bodyFor(openai, "slow:3s+slow-first:1s+pace:20ms+echo", true)); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"3s", "400ms", "400ms", "200ms", "20ms", "20ms"}, slept); diff != "" {
		t.Error(diff)
	}
}

func TestCompressedAnswersInflate(t *testing.T) {
	_, base := serve(t, Options{})
	for d := range dialect(2) {
		for _, stream := range []bool{false, true} {
			for model, length := range map[string]int{"gzip+echo": 18, "bomb:3": 3 << 20} {
				resp, body, err := post(t, base+pathFor(d), bodyFor(d, model, stream))
				if err != nil || resp.Header.Get("content-encoding") != "gzip" {
					t.Fatal(resp, err)
				}
				if len(body) > 64<<10 {
					t.Errorf("%s: %d bytes on the wire", model, len(body))
				}
				z, err := gzip.NewReader(strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				plain, err := io.ReadAll(z)
				if err != nil {
					t.Fatal(err)
				}
				if got := len(read(t, d, stream, string(plain)).text); got != length {
					t.Errorf("%s in dialect %d: text of %d bytes, want %d", model, d, got, length)
				}
			}
		}
	}
}

func TestHangEndsWithTheClientAndIsNoted(t *testing.T) {
	s, base := serve(t, Options{KeepAlive: time.Millisecond})
	for _, model := range []string{"hang", "stall:1", "ping-only"} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "POST", base+"/v1/messages", strings.NewReader(bodyFor(anthropic, model, true)))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			resp, err := http.DefaultClient.Do(req)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			done <- err
		}()
		for len(s.Journal()) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", model, err)
		}
		for !s.Journal()[0].Aborted { // the test's own time limit bounds this
			time.Sleep(time.Millisecond)
		}
		s.Clear()
	}
	if _, _, err := post(t, base+"/v1/messages", bodyFor(anthropic, "echo", true)); err != nil {
		t.Fatal(err)
	}
	if list := s.Journal(); len(list) != 1 || list[0].Aborted {
		t.Errorf("a whole answer: %+v", list)
	}
}

func TestJournalShowsNoCredentials(t *testing.T) {
	s, base := serve(t, Options{Journal: 2})
	send := func(method, path, body string) (*http.Response, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("authorization", "Bearer sk-bearer-1")
		req.Header.Set("x-api-key", "sk-header-2")
		req.Header.Set("x-note", "see sk-bearer-1")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(b)
	}
	send("GET", "/v1/models", "")
	send("GET", "/v1/models", "")
	send("POST", "/v1/messages?key=sk-query-33&beta=true", `{"x":"sk-bearer-1 sk-header-2 sk-query-33 \xff"}`)
	_, shown := send("GET", "/__mock/requests", "")
	if strings.Contains(shown, "sk-") {
		t.Errorf("a credential is shown: %s", shown)
	}
	var last []byte
	n := 0
	for _, r := range jsonx.Elements(jsonx.Get([]byte(shown), "requests")) {
		last, n = r, n+1
	}
	if n != 2 || str(jsonx.Get(last, "path")) != "/v1/messages?beta=true&key=%5Bredacted%5D" || str(jsonx.At(last, "headers", "x-note")) != "see [redacted]" {
		t.Errorf("%d requests, last %s", n, last)
	}
	list := s.Journal()
	if got := list[1]; got.Header.Get("x-api-key") != "sk-header-2" || got.Length != len(got.Body) || !strings.Contains(string(got.Body), "sk-query-33") || got.Method != "POST" {
		t.Errorf("the Go form: %+v", got)
	}
	if resp, _ := send("DELETE", "/__mock/requests", ""); resp.StatusCode != 204 || len(s.Journal()) != 0 {
		t.Errorf("DELETE: %d, %d left", resp.StatusCode, len(s.Journal()))
	}
}

func TestJournalIsBoundedInBytes(t *testing.T) {
	j := journal{max: 1000}
	for range 100 {
		j.add(&Request{Body: make([]byte, 2<<20)})
	}
	size := 0
	for _, r := range j.all() {
		size += len(r.Body)
	}
	if size > maxJournal || size < maxJournal/2 {
		t.Errorf("%d bytes", size)
	}
}

func TestModelsAndCounts(t *testing.T) {
	_, base := serve(t, Options{})
	get := func(path, version string) []byte {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", base+path, nil)
		if version != "" {
			req.Header.Set("anthropic-version", version)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return b
	}
	for _, version := range []string{"", "2023-06-01"} {
		n := 0
		for _, m := range jsonx.Elements(jsonx.Get(get("/v1/models", version), "data")) {
			if _, err := parse(str(jsonx.Get(m, "id"))); err != nil {
				t.Error(err)
			}
			n++
		}
		if n != len(Behaviours()) {
			t.Errorf("%d models", n)
		}
	}
	if got := str(jsonx.Get(get("/p/v1/models/a/b", ""), "id")); got != "a/b" {
		t.Errorf("one model: %q", got)
	}
	if got := string(get("/healthz", "")); got != "ok\n" {
		t.Errorf("healthz: %q", got)
	}
	_, body, err := post(t, base+"/v1/messages/count_tokens", `{"model":"m","system":"one two","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":"three"},{"type":"text","text":"four"}]}]}`)
	if err != nil || body != `{"input_tokens":4}` {
		t.Errorf("count: %s, %v", body, err)
	}
}

func TestExamplesFitTheirSchemas(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}},"required":["b"]}`: `{"b":1}`,
		`{"properties":{"a":{"type":["null","number"]},"b":{"type":"boolean"},"c":{"type":"null"}}}`:     `{"a":1,"b":true,"c":null}`,
		`{"type":"object"}`: `{}`,
		`{"$ref":"#/$defs/p","$defs":{"p":{"const":{"x":[1]}}}}`:                              `{"x":[1]}`,
		`{"anyOf":[{"type":"null"},{"enum":["u","v"]}]}`:                                      `"u"`,
		`{"type":"array","items":{"type":"integer","minimum":5,"multipleOf":4},"minItems":2}`: `[8,8]`,
		`{"type":"array","maxItems":0}`:                                                       `[]`,
		`{"type":"number","exclusiveMaximum":0}`:                                              `-0.5`,
		`{"type":"string","format":"date"}`:                                                   `"2026-01-31"`,
		`{"type":"string","minLength":15}`:                                                    `"example valuexx"`,
		`{"type":"string","maxLength":3}`:                                                     `"exa"`,
		`{"allOf":[{"properties":{"a":{"default":2}},"required":["a"]},{"properties":{"b":{"examples":[3]}},"required":["b"]}]}`: `{"a":2,"b":3}`,
		`{"type":"object","properties":{"next":{"$ref":"#"},"v":{"type":"integer"}},"required":["v"]}`:                           `{"v":1}`,
	} {
		if err := jsonx.Valid([]byte(schema)); err != nil {
			t.Fatal(err)
		}
		if got := string(example([]byte(schema))); got != want {
			t.Errorf("%s: got %s, want %s", schema, got, want)
		}
	}
	for _, endless := range []string{`{"$ref":"#"}`, `{"properties":{"n":{"$ref":"#"}},"required":["n"]}`, `{"type":"array","items":{"$ref":"#"}}`,
		`{"properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{"$ref":"#"}},"required":["a","b","c"]}`, `{"type":"array","minItems":1000,"items":{"$ref":"#"}}`} {
		if got := example([]byte(endless)); jsonx.Valid(got) != nil || len(got) > 1<<20 {
			t.Errorf("%s: got %d bytes: %.80s", endless, len(got), got)
		}
	}
}
