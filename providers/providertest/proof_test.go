package providertest_test

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/providertest"
)

// endpoint is how records of an endpoint are read: with the codec that a kind speaks for a client.
type endpoint struct {
	kind   string
	op     llm.Op
	client dialect.Name // whose requests the records hold; "": there is no front door for them
	model  string       // that has the kind speak so; "": any
	path   string       // the operation's path; "": as recorded
}

// endpoints are what the gateway speaks. A name may have the provider behind it, where several use the name.
var endpoints = map[string]endpoint{
	"chat":                        {"openai", llm.OpChat, dialect.OpenAIChat, "", "/v1/chat/completions"},
	"messages":                    {"anthropic", llm.OpChat, dialect.AnthropicMessages, "", "/v1/messages"},
	"responses":                   {"openai", llm.OpChat, dialect.OpenAIResponses, "", "/v1/responses"},
	"completions":                 {"openai", llm.OpComplete, dialect.OpenAICompletions, "gpt-3.5-turbo-instruct", "/v1/completions"},
	"generateContent":             {"gemini", llm.OpChat, dialect.Gemini, "", "/v1beta/models/m:generateContent"},
	"streamGenerateContent":       {"gemini", llm.OpChat, dialect.Gemini, "", "/v1beta/models/m:streamGenerateContent"},
	"rawPredict":                  {"vertex", llm.OpChat, "", "claude-x", ""},
	"streamRawPredict":            {"vertex", llm.OpChat, "", "claude-x", ""},
	"converse":                    {"bedrock", llm.OpChat, dialect.BedrockConverse, "", "/model/m/converse"},
	"converse-stream":             {"bedrock", llm.OpChat, dialect.BedrockConverse, "", "/model/m/converse-stream"},
	"invoke":                      {"bedrock", llm.OpChat, "", "anthropic.claude-x", ""},
	"invoke-with-response-stream": {"bedrock", llm.OpChat, "", "anthropic.claude-x", ""},
	"chat-native":                 {"cohere", llm.OpChat, dialect.Cohere, "", "/v2/chat"},
	"api-chat":                    {"ollama", llm.OpChat, "", "", ""},
	"count-tokens":                {"anthropic", llm.OpCount, dialect.AnthropicMessages, "", "/v1/messages/count_tokens"},
	"count-tokens bedrock":        {"bedrock", llm.OpCount, dialect.BedrockConverse, "", "/model/m/count-tokens"},
	"countTokens":                 {"gemini", llm.OpCount, dialect.Gemini, "", "/v1beta/models/m:countTokens"},
	"responses-input-tokens":      {"openai", llm.OpCount, dialect.OpenAIResponses, "", "/v1/responses/input_tokens"},
	"embeddings":                  {"openai", llm.OpEmbed, dialect.OpenAIEmbeddings, "", "/v1/embeddings"},
	"embed cohere":                {"cohere", llm.OpEmbed, dialect.Cohere, "", "/v2/embed"},
	"embed ollama":                {"ollama", llm.OpEmbed, "", "", ""},
	"batchEmbedContents":          {"gemini", llm.OpEmbed, dialect.Gemini, "", "/v1beta/models/m:batchEmbedContents"},
	"embedContent":                {"vertex", llm.OpEmbed, dialect.Gemini, "gemini-embedding-2", "/v1beta/models/m:embedContent"},
	"rerank":                      {"openai-compatible", llm.OpRerank, dialect.Rerank, "", "/v1/rerank"},
	"rerank cohere":               {"cohere", llm.OpRerank, dialect.Cohere, "", "/v2/rerank"},
}

// elsewhere are endpoints that the gateway speaks neither to clients nor to providers, and why.
var elsewhere = map[string]string{
	"interactions":         "Gemini's stateful API: its conversations live at the provider",
	"batchGenerateContent": "Gemini's batches: the gateway has OpenAI's",
	"api-generate":         "Ollama's completions: the gateway uses its conversations",
	"generate":             "version 1 of Cohere's API, which Cohere has retired",
	"responses-compact":    "it compacts a conversation into items that only OpenAI reads",
}

// foreign tells why a record of an endpoint is none of what the gateway speaks there, or "".
func foreign(x *recorded.Exchange) string {
	model := ""
	if x.Model != nil {
		model = *x.Model
	}
	switch {
	case strings.HasPrefix(x.Endpoint, "invoke") && !strings.Contains(model, "anthropic"):
		return "InvokeModel of another family than Claude: the gateway uses Converse"
	case strings.HasPrefix(x.Endpoint, "invoke") && x.HasRequest() && jsonx.Get(x.RequestJSON, "messages") == nil:
		return "Claude's completions, which came before its messages"
	case x.Endpoint == "chat-native" && !strings.HasPrefix(x.RequestPath, "/v2/"):
		return "version 1 of Cohere's API"
	case x.Endpoint == "embeddings" && x.Provider == "perplexity":
		return "Perplexity's vectors of bytes"
	}
	return ""
}

// odd are records that are not what they look like, and why what is held of all others does not hold for them.
var odd = map[string]string{
	"43dff87a8b65f27e": "an error's body, under a status that the recording project assumed",
	"9eed91ff8f502414": "two answers in one recording; the first is the answer",
	"0279a9259ccf94a6": "tokens of images are counted beside those of its input",
	"69c91c9982bccd7a": "it asks for no documents at all, which llama.cpp takes for all",
	"59ff922e684dcdfe": "Portkey takes the model from a header",
	"9973343a23477072": "Portkey takes the model from a header",
	"07ff6d7cbc2430b4": lastCounts,
	"d33a43160f4106d8": lastCounts,
	"d79a076b8bc9ea6c": lastCounts,
}

const lastCounts = "its last chunk counts fewer tokens of the prompt than those before, and is what counts"

// proof reads records.
type proof struct {
	adapters map[string]providers.Adapter
	did      map[string]int // what was held, by what
	servers  map[dialect.Name]dialect.Server
	ups      map[spoken]dialect.Client
	chats    []dialect.Name // front doors of conversations
}

func newProof(t *testing.T) *proof {
	p := &proof{adapters: map[string]providers.Adapter{}, did: map[string]int{}, servers: all.Servers(), ups: upstream(t)}
	for _, e := range endpoints {
		k, ok := all.Kinds().Kind(e.kind)
		if !ok {
			t.Fatalf("there is no kind %s", e.kind)
		}
		p.adapters[e.kind] = adapter(t, k)
	}
	for _, n := range all.Kinds().Names() {
		if p.adapters[n] == nil {
			k, _ := all.Kinds().Kind(n)
			p.adapters[n] = adapter(t, k)
		}
	}
	for _, n := range ofOp(p.ups, llm.OpChat) {
		if p.servers[n] != nil {
			p.chats = append(p.chats, n)
		}
	}
	return p
}

// TestEveryRecordIsProven holds every recorded exchange against the codecs: none is passed over without a reason.
//
//   - A request goes out byte for byte in its own dialect, and is written for every other dialect of its operation,
//     where that dialect's server reads it.
//   - An answer is read alike however it is cut, with the usage that the provider itself says; one of a conversation
//     is written for the clients of every dialect, whole and as a stream, and says the same there.
//   - An error is understood, and written for all clients.
func TestEveryRecordIsProven(t *testing.T) {
	p := newProof(t)
	used := p.did
	recorded.Each(t, nil, func(t *testing.T, x *recorded.Exchange) {
		e, known := endpoints[x.Endpoint+" "+x.Provider]
		if !known {
			e, known = endpoints[x.Endpoint]
		}
		switch {
		case elsewhere[x.Endpoint] != "":
			used[elsewhere[x.Endpoint]]++
			return
		case !known:
			t.Fatalf("nothing is known of the endpoint %s of %s", x.Endpoint, x.Provider)
		case foreign(x) != "":
			used[foreign(x)]++
			return
		}
		c, ok := p.adapters[e.kind].Speaks(e.op, cmp.Or(e.model, "m"), cmp.Or(e.client, dialect.AnthropicMessages))
		if !ok {
			t.Fatalf("%s does not speak %s", e.kind, e.op)
		}
		if a := p.adapters[x.Provider]; a != nil && x.Model != nil { // the provider's own kind, with its quirks
			if own, ok := a.Speaks(e.op, *x.Model, e.client); ok && own.Name() == c.Name() {
				c = own
				p.did["by the provider's own kind"]++
			}
		}
		p.request(t, x, e, c)
		p.answer(t, x, e, c)
	})
	t.Log(p.did)
	for _, what := range []string{"bytes kept", "written for another dialect", "read by that dialect", "answers", "errors", "usage", "answers in another dialect", "by the provider's own kind"} {
		if p.did[what] == 0 {
			t.Errorf("nothing was held: %s", what)
		}
	}
	for endpoint, why := range elsewhere {
		if used[why] == 0 {
			t.Errorf("no record is of %s", endpoint)
		}
	}
}

// request holds a record's request: passed on in its own dialect its bytes stay, and it is written for every other.
func (p *proof) request(t *testing.T, x *recorded.Exchange, e endpoint, c dialect.Client) {
	server := p.servers[e.client]
	if server == nil || !x.HasRequest() {
		return
	}
	path, query, _ := strings.Cut(e.path, "?")
	_, model, _ := dialect.Find("POST", path, "")
	in := dialect.Inbound{Op: e.op, Path: path, Query: query, Model: model, Body: x.RequestJSON}
	head, err := server.Peek(in)
	if err != nil {
		refusedByName(t, err)
		if x.Status < 300 && odd[x.ID] == "" {
			t.Errorf("the provider took what is refused here: %v", err)
		}
		return
	}
	if c.Name() == e.client {
		keepsBytes(t, c, head, in.Body)
		p.did["bytes kept"]++
	}
	req, err := server.ReadRequest(in)
	if err != nil {
		refusedByName(t, err)
		return
	}
	d := &providertest.Door{Name: e.client, Op: e.op, Server: server}
	for _, name := range ofOp(p.ups, e.op) {
		if name == e.client || x.RequestTrimmed && req.Op == llm.OpChat { // what was trimmed is no picture any more
			continue
		}
		o := providertest.Written(t, "to "+string(name), d, p.ups[spoken{name, e.op}], e.op, in, dialect.Target{Model: "m"})
		if o.Refused == nil {
			p.did["written for another dialect"]++
		}
		back := p.servers[name]
		if o.Refused != nil || back == nil || p.ups[spoken{name, e.op}].Name() != name {
			continue
		}
		if _, err := back.ReadRequest(dialect.Inbound{Op: e.op, Path: pathOf(name, e.op), Model: "m", Body: o.Body}); err != nil && unreadable[x.ID] == "" {
			t.Errorf("%s cannot read what is written for it: %v\n%.1000s", name, err, o.Body)
		}
		p.did["read by that dialect"]++
		wordsSurvive(t, x.RequestJSON, o.Body, o.Losses)
	}
}

// pathOf is a path of an operation in a dialect.
func pathOf(name dialect.Name, op llm.Op) string {
	for _, p := range dialect.Paths() {
		if p.Name == name && p.Op == op {
			return strings.ReplaceAll(p.Path, "{model}", "m")
		}
	}
	return ""
}

// named is a model's name, which may stand in each of several requests.
var named = regexp.MustCompile(`"model":\s*"[^"]*",?`)

// keepsBytes holds that a request in the provider's own dialect goes out byte for byte, but for the model's name.
func keepsBytes(t *testing.T, c dialect.Client, head *dialect.Head, body []byte) {
	t.Helper()
	if r, ok := c.(dialect.Reshaper); ok && r.Reshapes(head) {
		return
	}
	if trim, ok := c.(dialect.Trimmer); ok {
		losses, err := trim.Trims(head, "m")
		if err != nil {
			refusedByName(t, err)
		}
		if err != nil || len(losses) > 0 {
			return
		}
	}
	out, err := c.Splice(nil, head, dialect.Edits{})
	if err != nil || !bytes.Equal(out, body) {
		t.Errorf("with nothing to change it is changed: %v\n%.500s\n%.500s", err, body, out)
	}
	if out, err = c.Splice(nil, head, dialect.Edits{Model: "another"}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(named.ReplaceAll(out, nil), named.ReplaceAll(body, nil)) {
		t.Errorf("another model changes more than its name: %.500s", out)
	}
}

// answer holds a record's answer: read whole and cut, with the provider's own usage, and written for every client.
func (p *proof) answer(t *testing.T, x *recorded.Exchange, e endpoint, c dialect.Client) {
	body, err := x.Body()
	if err != nil {
		t.Fatal(err)
	}
	if x.Status >= 300 {
		p.failure(t, x, c, body)
		return
	}
	stream := x.BodyKind != "json" && x.BodyKind != "text" || e.client == dialect.Gemini && bytes.HasPrefix(bytes.TrimSpace(body), []byte("["))
	whole := recut(t, c, body, stream)
	if failed := strings.Contains("\n"+whole, "\nfailed "); failed {
		if complete := x.Complete == nil || *x.Complete; complete && !stream && odd[x.ID] == "" {
			t.Errorf("a whole answer is read as failed:\n%s", whole)
		}
		p.did["failed answers"]++
		return
	}
	p.did["answers"]++
	for i := 1; i < 8 && odd[x.ID] == ""; i++ {
		cut := codectest.Read(t, c.NewReader(nil, stream), body[:len(body)*i/8], 0)
		if !strings.Contains("\n"+cut, "\nfailed ") && content(cut) != content(whole) {
			t.Errorf("%d of 8 parts of it are read as whole:\n%s", i, cut)
		}
	}
	own := codec{client: c}
	evs := events(t, own, body, stream)
	var usage llm.Usage
	for i := range evs {
		was := usage
		usage.Merge(evs[i].Usage)
		if u := evs[i].Usage; u.Output.Known && u.Output.N < was.Output.N || u.Input.Known && u.Input.N < was.Input.N {
			t.Errorf("usage falls from %+v to %+v", was, u)
		}
	}
	if ownUsage(t, x, body, usage) {
		p.did["usage"]++
	}
	if e.op != llm.OpChat {
		return
	}
	want := read(t, own, body, stream)
	keepRaw(t, own, body, stream, evs)
	for _, name := range p.chats {
		p.reaches(t, name, evs, want, c.Name())
		p.did["answers in another dialect"]++
	}
}

// keepRaw gives events the raw frames that events takes away.
func keepRaw(t *testing.T, c codec, body []byte, stream bool, evs []llm.Event) {
	t.Helper()
	i := 0
	if err := c.client.NewReader(nil, stream).Feed(body, true, func(ev *llm.Event) error {
		evs[i].Raw = bytes.Clone(ev.Raw)
		i++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// content are the events without those that say only how an answer ended and what it cost.
func content(events string) string {
	var out []string
	for line := range strings.Lines(events) {
		if !strings.HasPrefix(line, "usage ") && !strings.HasPrefix(line, "finished ") && !strings.HasPrefix(line, "ping") {
			out = append(out, madeID.ReplaceAllString(line, ""))
		}
	}
	return strings.Join(out, "")
}

// madeID is the id of a call whose provider gives it none.
var madeID = regexp.MustCompile(`id="call_[A-Z2-7]{24}"`)

// recut reads an answer whole and in pieces: the events are the same, with one end.
func recut(t *testing.T, c dialect.Client, body []byte, stream bool) string {
	t.Helper()
	read := func(size int) string {
		return madeID.ReplaceAllString(codectest.Read(t, c.NewReader(nil, stream), body, size), "")
	}
	whole := read(0)
	for _, size := range [...]int{1, 7, -1} {
		if got := read(size); got != whole {
			t.Fatalf("cut at %d, the events differ (-whole +cut):\n%s", size, gocmp.Diff(strings.Split(whole, "\n"), strings.Split(got, "\n")))
		}
	}
	if finished, failed := strings.Contains("\n"+whole, "\nfinished "), strings.Count("\n"+whole, "\nfailed "); finished == (failed > 0) || failed > 1 {
		t.Fatalf("it has not one end:\n%s", whole)
	}
	return whole
}

// failure holds that an error is understood, and says the same to every client.
func (p *proof) failure(t *testing.T, x *recorded.Exchange, c dialect.Client, body []byte) {
	p.did["errors"]++
	e := c.ReadError(x.Status, header(x.ResponseHeaders), body)
	if e == nil || e.Code == llm.CodeNone || e.Message == "" {
		t.Fatalf("%d is read as %+v: %s", x.Status, e, body)
	}
	for name, s := range p.servers {
		status, out := s.WriteError(e, "req_1")
		if status < 400 || status > 599 || jsonx.Valid(out) != nil || e.Code != llm.CodeCredential && !strings.Contains(strings.Join(texts(out), " "), e.Message) {
			t.Errorf("%s: %d: %s", name, status, out)
		}
	}
}

type header map[string]string

func (h header) Get(name string) string { return h[name] }

// reaches writes an answer for a client of a dialect, whole and as a stream, and reads it there.
func (p *proof) reaches(t *testing.T, name dialect.Name, evs []llm.Event, want said, from dialect.Name) {
	t.Helper()
	other := codec{server: p.servers[name], client: p.ups[spoken{name, llm.OpChat}]}
	if want.Refused && name != dialect.OpenAIChat && name != dialect.OpenAIResponses && name != from {
		want.Refused = false // it has no word for a refusal but the stop reason
		if name != dialect.Cohere {
			want.Stop = "filter"
		}
	}
	for _, stream := range []bool{false, true} {
		out := written(t, other, evs, stream)
		if diff := gocmp.Diff(want, read(t, other, out, stream)); diff != "" {
			t.Errorf("%s, stream %v: it says something else (-was +is):\n%s\n%.1000q", name, stream, diff, out)
		}
	}
}

// counts are the members in which providers count, by the member that holds them. Their sums are input and output.
var counts = []struct{ holds, input, output string }{
	{`"usage":`, "prompt_tokens", "completion_tokens"},
	{`"usage":`, "input_tokens cache_read_input_tokens cache_creation_input_tokens", "output_tokens"},
	{`"usage":`, "inputTokens cacheReadInputTokens cacheWriteInputTokens", "outputTokens"},
	{`"usageMetadata":`, "promptTokenCount toolUsePromptTokenCount", "candidatesTokenCount thoughtsTokenCount"},
	{`"tokens":`, "input_tokens", "output_tokens"},
}

// ownUsage holds usage against the provider's own numbers, found by looking for them in the bytes. It reports whether
// there are any.
func ownUsage(t *testing.T, x *recorded.Exchange, body []byte, got llm.Usage) (held bool) {
	t.Helper()
	var said []string
	for _, k := range counts {
		var in, out int64
		found := false
		for rest := body; ; found = true { // they repeat themselves, and what they say only grows
			i := bytes.Index(rest, []byte(k.holds))
			if i < 0 {
				break
			}
			rest = rest[i+len(k.holds):]
			in, out = max(in, sum(rest, k.input)), max(out, sum(rest, k.output))
		}
		if found && in == got.Input.N && out == got.Output.N {
			return true
		}
		if found && in+out > 0 {
			said = append(said, fmt.Sprint(in, "/", out))
		}
	}
	if len(said) > 0 && otherwise[x.ID] == "" && odd[x.ID] == "" {
		t.Errorf("usage is read as %d/%d; the provider says %v", got.Input.N, got.Output.N, said)
	}
	return false
}

// sum adds the numbers of some members.
func sum(object []byte, names string) (n int64) {
	for name := range strings.FieldsSeq(names) {
		v, _ := jsonx.Int(jsonx.Get(object, name))
		n += v
	}
	return n
}
