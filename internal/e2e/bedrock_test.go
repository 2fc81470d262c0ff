package e2e

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
)

// bedrockCall is a request as the provider got it.
type bedrockCall struct {
	path   string // as it came
	header http.Header
	body   string
}

// bedrock is a provider with Bedrock's paths, frames and errors. The model's name steers it.
type bedrock struct {
	url string
	mu  sync.Mutex
	got []bedrockCall
}

func newBedrock(t testing.TB) *bedrock {
	t.Helper()
	b := new(bedrock)
	s := httptest.NewServer(b)
	t.Cleanup(s.Close)
	b.url = s.URL
	return b
}

// last returns the last request.
func (b *bedrock) last() bedrockCall {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.got) == 0 {
		return bedrockCall{}
	}
	return b.got[len(b.got)-1]
}

// event makes a frame.
func awsEvent(kind, name, payload string) []byte {
	h := awsevents.AppendString(nil, ":"+kind+"-type", name)
	h = awsevents.AppendString(h, ":content-type", "application/json")
	h = awsevents.AppendString(h, ":message-type", kind)
	return awsevents.Append(nil, h, []byte(payload))
}

func awsChunk(payload string) []byte {
	return awsEvent("event", "chunk", `{"bytes":"`+base64.StdEncoding.EncodeToString([]byte(payload))+`","p":"abcd"}`)
}

func (b *bedrock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	b.got = append(b.got, bedrockCall{r.RequestURI, r.Header.Clone(), string(body)})
	b.mu.Unlock()
	w.Header().Set("x-amzn-requestid", "amzn-1")
	switch {
	case strings.Contains(r.RequestURI, "busy"):
		w.Header().Set("x-amzn-errortype", "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/")
		w.Header().Set("content-type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"message":"Too many tokens, please wait before trying again."}`)
	case strings.HasSuffix(r.URL.Path, "/converse"):
		w.Header().Set("content-type", "application/json")
		_, _ = io.WriteString(w, `{"metrics":{"latencyMs":5},"output":{"message":{"content":[{"text":"Hi there"}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}`)
	case strings.HasSuffix(r.URL.Path, "/invoke"):
		w.Header().Set("content-type", "application/json")
		_, _ = io.WriteString(w, `{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Hi there"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2}}`)
	case strings.HasSuffix(r.URL.Path, "/count-tokens"):
		w.Header().Set("content-type", "application/json")
		_, _ = io.WriteString(w, `{"inputTokens":7}`)
	default:
		w.Header().Set("content-type", awsevents.ContentType)
		for _, f := range b.frames(r.RequestURI) {
			_, _ = w.Write(f)
			w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
		}
	}
}

func (b *bedrock) frames(uri string) [][]byte {
	if strings.HasSuffix(uri, "/invoke-with-response-stream") {
		return [][]byte{
			awsChunk(`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}`),
			awsChunk(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`),
			awsChunk(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi "}}`),
			awsChunk(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"there"}}`),
			awsChunk(`{"type":"content_block_stop","index":0}`),
			awsChunk(`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`),
			awsChunk(`{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}`),
		}
	}
	fs := [][]byte{awsEvent("event", "messageStart", `{"role":"assistant"}`)}
	if strings.Contains(uri, "early") {
		return append(fs, awsEvent("exception", "throttlingException", `{"message":"slow down"}`))
	}
	fs = append(fs,
		awsEvent("event", "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Hi "}}`),
		awsEvent("event", "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"there"}}`))
	if strings.Contains(uri, "late") {
		return append(fs, awsEvent("exception", "modelStreamErrorException", `{"message":"the model broke"}`))
	}
	return append(fs,
		awsEvent("event", "contentBlockStop", `{"contentBlockIndex":0}`),
		awsEvent("event", "messageStop", `{"stopReason":"end_turn"}`),
		awsEvent("event", "metadata", `{"usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5},"metrics":{"latencyMs":5}}`))
}

// unframed returns the kinds and payloads of a stream of frames.
func unframed(t testing.TB, body string) (kinds []string, payloads string) {
	t.Helper()
	err := new(awsevents.Parser).Feed([]byte(body), true, func(m *awsevents.Message) error {
		kinds = append(kinds, string(m.String(":event-type"))+string(m.String(":exception-type")))
		payloads += string(m.Payload)
		return nil
	})
	if err != nil {
		t.Fatalf("%v: %q", err, body)
	}
	return kinds, payloads
}

const (
	arn       = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova"
	converses = `{"messages":[{"role":"user","content":[{"text":"Hello"}]}],"inferenceConfig":{"maxTokens":64}}`
	allKinds  = "messageStart contentBlockDelta contentBlockDelta contentBlockStop messageStop metadata"
)

func bedrockConfig(b *bedrock, other *provider) string {
	return fmt.Sprintf(`
providers:
  - { name: bed, kind: bedrock, base_url: %[1]s, key: env:TEST_BEDROCK_KEY, region: us-east-1 }
  - { name: a, kind: mock, base_url: %[2]s, params: { speaks: [openai-chat] } }
routes:
  - { name: arn, match: { models: [ "%[3]s" ] }, targets: [ "bed/%[3]s" ] }
  - { name: claude, match: { models: [ claude ] }, targets: [ "bed/us.anthropic.claude-sonnet-4-5-20250929-v1:0" ] }
  - { name: both, match: { models: [ both ] }, targets: [ "bed/us.anthropic.claude-sonnet-4-5-20250929-v1:0", a/text ] }
  - { name: nova, match: { models: [ nova ] }, targets: [ "bed/amazon.nova-pro-v1:0" ] }
  - { name: busy, match: { models: [ busy ] }, targets: [ bed/amazon.busy ] }
  - { name: late, match: { models: [ late ] }, targets: [ bed/amazon.late ] }
  - { name: early, match: { models: [ early ] }, targets: [ bed/amazon.early, a/text ] }
  - { name: other, match: { models: [ other ] }, targets: [ a/text ] }
`, b.url, other.url, arn)
}

func TestClientsOfConverse(t *testing.T) {
	t.Setenv("TEST_BEDROCK_KEY", "bedrock-api-key-test")
	b, a := newBedrock(t), newProvider(t, "a")
	s := stack.Up(t, bedrockConfig(b, a))
	escaped := strings.NewReplacer(":", "%3A", "/", "%2F").Replace(arn)

	t.Run("an ARN with slashes is a model", func(t *testing.T) {
		got := post(t, s.Base+"/model/"+escaped+"/converse", converses, "authorization: Bearer client")
		got.want(t, 200, `"Hi there"`, `"latencyMs":5`)
		if u := b.last(); u.path != "/model/"+escaped+"/converse" || u.body != converses || u.header.Get("authorization") != "Bearer bedrock-api-key-test" {
			t.Errorf("the provider got %+v", u)
		}
	})
	t.Run("a stream passes frame by frame", func(t *testing.T) {
		got := post(t, s.Base+"/model/nova/converse-stream", converses)
		got.want(t, 200)
		kinds, payloads := unframed(t, got.body)
		if strings.Join(kinds, " ") != allKinds || !strings.Contains(payloads, `"latencyMs":5`) || got.header.Get("content-type") != awsevents.ContentType {
			t.Errorf("got %v, %v", kinds, got.header)
		}
		if u := b.last(); u.path != "/model/amazon.nova-pro-v1%3A0/converse-stream" {
			t.Errorf("the provider got %s", u.path)
		}
	})
	t.Run("a stream of another dialect is framed", func(t *testing.T) {
		got := post(t, s.Base+"/model/other/converse-stream", converses)
		got.want(t, 200)
		kinds, payloads := unframed(t, got.body)
		if kinds[0] != "messageStart" || kinds[len(kinds)-1] != "metadata" || !strings.Contains(payloads, `"stopReason":"end_turn"`) || got.header.Get("content-type") != awsevents.ContentType {
			t.Errorf("got %v, %v", kinds, got.header)
		}
	})
	t.Run("an answer of another dialect is a document", func(t *testing.T) {
		got := post(t, s.Base+"/model/other/converse", converses)
		got.want(t, 200, `"output":{"message"`, `"stopReason":"end_turn"`)
	})
	t.Run("tokens are counted", func(t *testing.T) {
		post(t, s.Base+"/model/nova/count-tokens", `{"input":{"converse":`+strings.Replace(converses, `,"inferenceConfig":{"maxTokens":64}`, "", 1)+`}}`).want(t, 200, `{"inputTokens":7}`)
	})
	t.Run("errors have their name in a header", func(t *testing.T) {
		for _, c := range []struct {
			path, body, name string
			status           int
		}{
			{"/model/busy/converse", converses, "ThrottlingException", 429},
			{"/model/nope/converse", converses, "ResourceNotFoundException", 404},
			{"/model/nova/converse", `{"messages":[{"role":"robot","content":[]}]}`, "ValidationException", 400},
			{"/model/nova/converse", `{`, "ValidationException", 400},
			{"/model/nova/what", converses, "ResourceNotFoundException", 404},
		} {
			got := post(t, s.Base+c.path, c.body)
			got.want(t, c.status, `{"message":"`)
			if n := got.header.Get("x-amzn-errortype"); n != c.name || got.header.Get("x-amzn-requestid") == "" {
				t.Errorf("%s: got %q, %v", c.path, n, got.header)
			}
		}
	})
	t.Run("an exception before content is the next target's chance", func(t *testing.T) {
		got := post(t, s.Base+"/model/early/converse-stream", converses)
		got.want(t, 200)
		if kinds, _ := unframed(t, got.body); kinds[len(kinds)-1] != "metadata" || b.last().path != "/model/amazon.early/converse-stream" {
			t.Errorf("got %v", kinds)
		}
	})
	t.Run("an exception in mid-stream reaches the client", func(t *testing.T) {
		got := post(t, s.Base+"/model/late/converse-stream", converses)
		if kinds, _ := unframed(t, got.body); kinds[len(kinds)-1] != "modelStreamErrorException" {
			t.Errorf("got %v", kinds)
		}
	})
}

func TestOtherClientsOfBedrock(t *testing.T) {
	t.Setenv("TEST_BEDROCK_KEY", "bedrock-api-key-test")
	b, a := newBedrock(t), newProvider(t, "a")
	s := stack.Up(t, bedrockConfig(b, a))
	const path = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"
	betas := []string{"anthropic-version: 2023-06-01", "anthropic-beta: context-1m-2025-08-07, other-beta", "x-api-key: client"}

	for _, model := range []string{"claude", "both"} {
		t.Run("Anthropic's clients stream by InvokeModel: "+model, func(t *testing.T) {
			got := post(t, s.Base+messagePath+"?beta=true", message(model, true), betas...)
			got.want(t, 200, "event: message_start\ndata: {", "event: content_block_delta\n", `"text":"there"`, "event: message_stop\n")
			u := b.last()
			if u.path != path+"/invoke-with-response-stream" || field(t, u.body, "anthropic_version") != "bedrock-2023-05-31" ||
				field(t, u.body, "anthropic_beta") != `["context-1m-2025-08-07","other-beta"]` || field(t, u.body, "model")+field(t, u.body, "stream") != "" {
				t.Errorf("the provider got %s %s", u.path, u.body)
			}
			for n := range u.header {
				if n = strings.ToLower(n); strings.HasPrefix(n, "anthropic-") || n == "x-api-key" {
					t.Errorf("the provider got the header %s", n)
				}
			}
			if !strings.HasPrefix(got.header.Get("content-type"), "text/event-stream") {
				t.Errorf("content-type %s", got.header.Get("content-type"))
			}
		})
		t.Run("Anthropic's clients get documents as they are: "+model, func(t *testing.T) {
			got := post(t, s.Base+messagePath, message(model, false), betas...)
			got.want(t, 200, `"id":"msg_1"`, `"Hi there"`)
			if u := b.last(); u.path != path+"/invoke" || u.header.Get("anthropic-version") != "" || !strings.HasPrefix(u.body, `{"anthropic_version":`) {
				t.Errorf("the provider got %s %s", u.path, u.body)
			}
		})
	}
	t.Run("OpenAI's clients are served by Converse", func(t *testing.T) {
		got := post(t, s.Base+chatPath, chat("claude", true))
		got.want(t, 200, `"content":"Hi "`, `"finish_reason":"stop"`, "data: [DONE]")
		if u := b.last(); u.path != path+"/converse-stream" || jsonx.Get([]byte(u.body), "messages") == nil {
			t.Errorf("the provider got %s %s", u.path, u.body)
		}
		post(t, s.Base+chatPath, chat("nova", false)).want(t, 200, `"content":"Hi there"`, `"prompt_tokens":3`)
	})
	t.Run("OpenAI's clients see a broken stream", func(t *testing.T) {
		got := post(t, s.Base+chatPath, chat("late", true))
		got.want(t, 200, `"content":"there"`, `"error":{`)
		if strings.Contains(got.body, "[DONE]") || strings.Contains(got.body, `"finish_reason":"`) {
			t.Errorf("the stream ends as if it were whole: %s", got.body)
		}
	})
	t.Run("a failure before content is a status", func(t *testing.T) {
		post(t, s.Base+chatPath, chat("busy", true)).want(t, 429, "Too many tokens")
	})
}
