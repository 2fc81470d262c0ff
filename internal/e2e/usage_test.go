package e2e

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse"
	"github.com/signalbox-ai/signalbox/providers/dialect/cohere"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaicompletions"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
	"github.com/signalbox-ai/signalbox/providers/dialect/openairesponses"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank"
)

// metered is an endpoint whose answers state usage: its codec, and a request for it to a target on the direct path.
type metered struct {
	client     dialect.Client
	path, body string
	req        *llm.Request // what the answer is read as; nil: a conversation's
}

func meteredEndpoints() map[string]metered {
	const (
		contents = `{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}`
		embeds   = `{"content":{"parts":[{"text":"Hello"}]}}`
		ranks    = `{"model":"co","query":"a","documents":["b","c"]}`
	)
	vectors, ranking := &llm.Request{Op: llm.OpEmbed, Body: new(llm.Embed)}, &llm.Request{Op: llm.OpRerank, Body: &llm.Rerank{Documents: make([]llm.Document, 64)}}
	return map[string]metered{
		"chat":                  {openaichat.New(), chatPath, `{"model":"oai","stream":%v%s,"messages":[{"role":"user","content":"Hello"}]}`, nil},
		"completions":           {openaicompletions.New(), "/v1/completions", `{"model":"instruct","stream":%v%s,"prompt":"Hello"}`, nil},
		"responses":             {openairesponses.New(), "/v1/responses", `{"model":"oai","stream":%v,"input":"Hello"}`, nil},
		"messages":              {anthropicmessages.New(), messagePath, `{"model":"claude","stream":%v,"max_tokens":64,"messages":[{"role":"user","content":"Hello"}]}`, nil},
		"generateContent":       {gemini.New(), "/v1beta/models/g:generateContent", contents, nil},
		"streamGenerateContent": {gemini.New(), "/v1beta/models/g:streamGenerateContent?alt=sse", contents, nil},
		"converse":              {bedrockconverse.New(), "/model/nova/converse", converses, nil},
		"converse-stream":       {bedrockconverse.New(), "/model/nova/converse-stream", converses, nil},
		"chat-native":           {cohere.New(), "/v2/chat", `{"model":"co","stream":%v,"messages":[{"role":"user","content":"Hello"}]}`, nil},
		"embeddings":            {openaiembeddings.New(), "/v1/embeddings", `{"model":"oai","input":"Hello"}`, nil},
		"embed":                 {cohere.New(), "/v2/embed", `{"model":"co","texts":["Hello"],"input_type":"search_query","embedding_types":["float"]}`, vectors},
		"embedContent":          {gemini.New(), "/v1beta/models/g:embedContent", embeds, nil},
		"batchEmbedContents":    {gemini.New(), "/v1beta/models/g:batchEmbedContents", `{"requests":[` + embeds + `]}`, nil},
		"rerank":                {rerank.New(), "/v1/rerank", strings.Replace(ranks, "co", "ranks", 1), nil},
		"rerank-native":         {cohere.New(), "/v2/rerank", ranks, ranking},
	}
}

// recorder answers a request with the record that its id names, a stream event by event.
type recorder map[string]*recorded.Exchange

const usageID = "usage-"

func (r recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	x := r[strings.TrimPrefix(req.Header.Get("x-request-id"), usageID)]
	if x == nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	body, err := x.Body()
	if err != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	w.Header().Set("content-type", cmp.Or(x.ResponseHeaders["content-type"], "application/json")) // some recordings left headers out
	for len(body) > 0 {
		n := len(body)
		if x.Stream {
			if i := strings.Index(string(body), "\n\n"); i >= 0 {
				n = i + 2
			} else if i := strings.Index(string(body), "\r\n\r\n"); i >= 0 {
				n = i + 4
			} else if x.BodyKind == "eventstream-b64" {
				n = min(n, 64)
			}
		}
		_, _ = w.Write(body[:n])
		w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
		body = body[n:]
	}
}

func (e metered) usage(x *recorded.Exchange, body []byte) (u llm.Usage) {
	_ = e.client.NewReader(e.req, x.Stream).Feed(slices.Clone(body), true, func(ev *llm.Event) error {
		u.Merge(ev.Usage)
		return nil
	})
	return u
}

// ended waits for the line by which an exchange ends, and returns its attributes.
func ended(t testing.TB, s *stack.Stack, id string) map[string]string {
	t.Helper()
	at := map[string]string{}
	stack.Eventually(t, 10*time.Second, "the exchange is logged", func() error {
		log := s.Log()
		for i := strings.LastIndex(log, "exchange="+id+" "); i >= 0; i = strings.LastIndex(log[:i], "exchange="+id+" ") {
			line := log[strings.LastIndexByte(log[:i], '\n')+1:]
			line, _, _ = strings.Cut(line, "\n")
			if !strings.Contains(line, `msg="exchange ended"`) {
				continue
			}
			for word := range strings.FieldsSeq(line) {
				if name, value, ok := strings.Cut(word, "="); ok {
					at[name] = value
				}
			}
			return nil
		}
		return fmt.Errorf("not yet")
	})
	return at
}

// TestUsageOfRecordedAnswersIsTheProviders sends every recorded answer that states usage over the direct path, and
// compares what the log entry brings with what the answer says.
func TestUsageOfRecordedAnswersIsTheProviders(t *testing.T) {
	t.Setenv("TEST_KEY", "of-the-gateway")
	up := recorder{}
	var ids []string
	endpoints := meteredEndpoints()
	wants := map[string]llm.Usage{}
	for _, x := range recorded.All(t) {
		e, ok := endpoints[endpointOf(x)]
		body, err := x.Body()
		if !ok || err != nil || x.Status != http.StatusOK || x.ResponseTrimmed {
			continue
		}
		if want := e.usage(x, body); want.Known() {
			up[x.ID], wants[x.ID], ids = x, want, append(ids, x.ID)
		}
	}
	server := httptest.NewServer(up)
	t.Cleanup(server.Close)
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: oai, kind: openai, base_url: %[1]s/v1, key: env:TEST_KEY }
  - { name: claude, kind: anthropic, base_url: %[1]s, key: env:TEST_KEY }
  - { name: g, kind: gemini, base_url: %[1]s, key: env:TEST_KEY }
  - { name: co, kind: cohere, base_url: %[1]s, key: env:TEST_KEY }
  - { name: bed, kind: bedrock, base_url: %[1]s, key: env:TEST_KEY, region: us-east-1 }
  - { name: github, kind: github, base_url: %[1]s/v1, key: env:TEST_KEY }
  - { name: mistral, kind: mistral, base_url: %[1]s/v1, key: env:TEST_KEY }
  - { name: jina, kind: jina, base_url: %[1]s/v1, key: env:TEST_KEY }
routes:
  - { name: github, match: { models: [github] }, targets: [github/m] }
  - { name: mistral, match: { models: [mistral] }, targets: [mistral/m] }
  - { name: instruct, match: { models: [instruct] }, targets: [oai/gpt-3.5-turbo-instruct] }
  - { name: ranks, match: { models: [ranks] }, targets: [jina/m] }
  - { name: oai, match: { models: [oai] }, targets: [oai/m] }
  - { name: claude, match: { models: [claude] }, targets: [claude/m] }
  - { name: g, match: { models: [g] }, targets: [g/m] }
  - { name: co, match: { models: [co] }, targets: [co/m] }
  - { name: nova, match: { models: [nova] }, targets: [bed/amazon.nova-pro-v1:0] }
`, server.URL))
	var wait sync.WaitGroup
	for w := range 4 {
		wait.Go(func() {
			for i := w; i < len(ids); i += 4 {
				x := up[ids[i]]
				e := endpoints[endpointOf(x)]
				if _, err := send(t.Context(), s.Base+e.path, e.request(x), "x-request-id: "+usageID+x.ID); err != nil {
					t.Errorf("%s: %v", x.ID, err)
				}
			}
		})
	}
	wait.Wait()
	equal := 0
	for _, id := range ids {
		x, want, got := up[id], wants[id], ended(t, s, usageID+id)
		from := "envoy"
		if x.Provider == "mistral" && x.Endpoint == "chat" { // they are read and written anew
			from = "service"
		}
		said := fmt.Sprintf("%s %d %d %d", from, want.Input.N, want.Output.N, want.Queries.N)
		if is := strings.Join([]string{got["usage_from"], got["input"], got["output"], got["queries"]}, " "); is == said && got["partial"] == "false" {
			equal++
		} else if id != severalAnswers {
			t.Errorf("%s %s %s, stream: %v: got %s, partial: %s; want %s", id, x.Provider, x.Endpoint, x.Stream, is, got["partial"], said)
		}
	}
	t.Logf("%d of %d answers as the provider says", equal, len(ids))
}

func endpointOf(x *recorded.Exchange) string {
	if x.Endpoint == "rerank" && x.Provider == "cohere" {
		return "rerank-native"
	}
	return x.Endpoint
}

// severalAnswers is a record that holds the events of several answers.
const severalAnswers = "9eed91ff8f502414"

func (e metered) request(x *recorded.Exchange) string {
	body := e.body
	if x.Endpoint == "chat" && (x.Provider == "github" || x.Provider == "mistral") { // whose answers are otherwise than OpenAI's
		body = strings.Replace(body, `"oai"`, `"`+x.Provider+`"`, 1)
	}
	switch strings.Count(body, "%") {
	case 0:
		return body
	case 1:
		return fmt.Sprintf(body, x.Stream)
	}
	options := ""
	if x.Stream {
		options = `,"stream_options":{"include_usage":true}`
	}
	return fmt.Sprintf(body, x.Stream, options)
}

// TestUsageOfAnswersThatMislead serves what a reader of the ends of an answer may stumble over.
func TestUsageOfAnswersThatMislead(t *testing.T) {
	t.Setenv("TEST_KEY", "of-the-gateway")
	const (
		text  = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":1}} \xff\"},\"finish_reason\":null}]}\n\n"
		last  = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9,\"total_tokens\":16}}\n\n"
		done  = "data: [DONE]\n\n"
		start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n"
		ping  = "event: ping\ndata: {\"type\":\"ping\"}\n\n"
	)
	each := func(s string, n int) (out []string) {
		for len(s) > n {
			out, s = append(out, s[:n]), s[n:]
		}
		return append(out, s)
	}
	cases := map[string]struct {
		path, body, encoding string
		pieces               []string
		cut                  bool // the connection is, behind the pieces
		want                 string
	}{
		"text":      {path: chatPath, pieces: []string{text, text, done}, want: "none 0 0 false"},
		"pieces":    {path: chatPath, pieces: each(text+last+done, 7), want: "envoy 7 9 false"},
		"many":      {path: chatPath, pieces: append(slices.Repeat([]string{text}, 500), last, done), want: "envoy 7 9 false"},
		"long":      {path: chatPath, pieces: []string{text + strings.Replace(last, `"c"`, `"`+strings.Repeat("c", 200_000)+`"`, 1), done}, want: "envoy 7 9 false"},
		"compress":  {path: chatPath, encoding: "gzip", pieces: []string{"\x1f\x8b\x08\x00", "\x00\x00\x00"}, want: "none 0 0 false"},
		"cut":       {path: chatPath, pieces: []string{text, text, text, text, text}, cut: true, want: "none 0 0 false"},
		"cut-start": {path: messagePath, pieces: []string{start, ping, ping, ping, ping}, cut: true, want: "envoy 7 1 true"},
		"empty":     {path: chatPath, pieces: nil, want: "none 0 0 false"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := cases[strings.TrimPrefix(r.Header.Get("x-request-id"), usageID)]
		w.Header().Set("content-type", "text/event-stream")
		if c.encoding != "" {
			w.Header().Set("content-encoding", c.encoding)
		}
		for _, p := range c.pieces {
			_, _ = io.WriteString(w, p)
			w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
		}
		if c.cut {
			time.Sleep(100 * time.Millisecond) // what was sent is on its way
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(server.Close)
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: oai, kind: openai, base_url: %[1]s/v1, key: env:TEST_KEY }
  - { name: claude, kind: anthropic, base_url: %[1]s, key: env:TEST_KEY }
routes:
  - { name: oai, match: { models: [oai] }, targets: [oai/m] }
  - { name: claude, match: { models: [claude] }, targets: [claude/m] }
`, server.URL))
	endpoints := meteredEndpoints()
	stream := &recorded.Exchange{Stream: true}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := endpoints["chat"]
			if c.path == messagePath {
				e = endpoints["messages"]
			}
			got, err := send(t.Context(), s.Base+c.path, e.request(stream), "x-request-id: "+usageID+name)
			if err != nil || !c.cut && (got.err != nil || got.body != strings.Join(c.pieces, "")) {
				t.Fatalf("the client got %v, %v, %.200q", err, got.err, got.body)
			}
			at := ended(t, s, usageID+name)
			if said := strings.Join([]string{at["usage_from"], at["input"], at["output"], at["partial"]}, " "); said != c.want {
				t.Errorf("got %s, want %s", said, c.want)
			}
		})
	}
}
