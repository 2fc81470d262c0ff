package translate_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/internal/translate"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/providertest"
)

// EnvCross makes TestEveryRecordToEveryKind take every kind for every record, where it else takes the vendors that are
// data for a part of them.
const EnvCross = "SIGNALBOX_CROSS"

// clients are the dialects of recorded requests, by endpoint. There is no front door for the others'.
var clients = map[string]string{
	"chat": "openai-chat", "messages": "anthropic-messages", "count-tokens": "anthropic-messages", "responses": "openai-responses",
	"responses-input-tokens": "openai-responses", "completions": "openai-completions", "embeddings": "openai-embeddings", "rerank": "rerank",
	"generateContent": "gemini", "streamGenerateContent": "gemini", "countTokens": "gemini", "batchEmbedContents": "gemini", "embedContent": "gemini",
	"converse": "bedrock-converse", "converse-stream": "bedrock-converse", "chat-native": "cohere",
}

// job is a line of a batch, and what it is made of.
type job struct {
	x      *recorded.Exchange
	client string
	target translate.Target
}

// line is the record as `signalbox translate --batch` reads it.
func (j *job) line(t *testing.T) []byte {
	t.Helper()
	b, err := jsonx.Encode(&translate.Record{
		ID: j.x.ID, Client: j.client, RequestPath: j.x.RequestPath, RequestHeaders: j.x.RequestHeaders, RequestJSON: j.x.RequestJSON, Target: j.target,
		Status: j.x.Status, Headers: j.x.ResponseHeaders, BodyKind: j.x.BodyKind, Body: &j.x.RawBody,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// targetOf is a model at a kind, as a record names it.
func targetOf(k providers.Kind) translate.Target {
	out := translate.Target{Kind: k.Name, Model: "m"}
	if len(k.Models) > 0 {
		out.Model = strings.ReplaceAll(k.Models[0], "*", "x")
	}
	if strings.Contains(k.BaseURL, "{region}") {
		out.Region = "us-east-1"
	}
	if strings.Contains(k.BaseURL, "{account}") {
		out.Params = jsonx.Raw(`{"account":"acct"}`)
	}
	if k.BaseURL == "" {
		out.BaseURL = "https://up.example/v1"
	}
	return out
}

// jobs are the records crossed with the kinds: all with those that are code, and with a vendor each seventh, or all.
func jobs(t *testing.T) (out []job) {
	kinds, whole := all.Kinds(), os.Getenv(EnvCross) != ""
	names := kinds.Names()
	for n, x := range recorded.All(t) {
		client := clients[x.Endpoint]
		if client == "" || !x.HasRequest() || x.Endpoint == "count-tokens" && x.Provider == "bedrock" || x.Endpoint == "rerank" && x.Provider == "cohere" ||
			x.Endpoint == "chat-native" && !strings.HasPrefix(x.RequestPath, "/v2/") {
			continue
		}
		for i, name := range names {
			k, _ := kinds.Kind(name)
			if k.Vendor == nil || whole || (n+i)%40 == 0 {
				out = append(out, job{x, client, targetOf(k)})
			}
		}
	}
	return out
}

// TestEveryRecordToEveryKind translates recorded exchanges to kinds of providers, as one batch. Each has a request to
// send and an answer, or says why not; and what goes the direct path comes back byte for byte.
func TestEveryRecordToEveryKind(t *testing.T) {
	js := jobs(t)
	var in, out bytes.Buffer
	for i := range js {
		in.Write(js[i].line(t))
		in.WriteByte('\n')
	}
	began := time.Now()
	if err := translator().Batch(t.Context(), &in, &out); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Logf("%d lines in %v", len(js), took)
	if most := time.Minute + time.Duration(len(js))*5*time.Millisecond; took > most {
		t.Errorf("%d lines took %v", len(js), took)
	}
	lines := bytes.Split(bytes.TrimSuffix(out.Bytes(), []byte("\n")), []byte("\n"))
	if len(lines) != len(js) {
		t.Fatalf("%d results for %d records", len(lines), len(js))
	}
	direct := 0
	for i, line := range lines {
		j := &js[i]
		var r translate.Result
		if err := jsonx.DecodeStrict(line, &r); err != nil || r.ID != j.x.ID {
			t.Fatalf("line %d: %v, of %q", i+1, err, r.ID)
		}
		direct += holds(t, j, &r)
	}
	t.Logf("%d answers went the direct path", direct)
	if direct == 0 {
		t.Error("no answer went the direct path")
	}
}

// holds checks one result. It returns 1 where the answer went the direct path.
func holds(t *testing.T, j *job, r *translate.Result) int {
	t.Helper()
	what := j.x.Provider + "/" + j.x.Endpoint + "/" + j.x.ID + " to " + j.target.Kind
	if e := r.Error; e != nil {
		if e.Code == "" || e.Message == "" || slices.Contains([]string{"internal", "bad_record"}, e.Code) {
			t.Errorf("%s: %+v", what, e)
		}
		return 0
	}
	switch {
	case r.Upstream == nil || r.Answer == nil:
		t.Errorf("%s: no error, and nothing else", what)
	case r.Upstream.Body == nil || jsonx.Valid([]byte(*r.Upstream.Body)) != nil:
		t.Errorf("%s: the provider gets no JSON", what)
	case r.Path == "direct":
		body, err := j.x.Body()
		if err != nil {
			t.Fatal(err)
		}
		got, _ := base64.StdEncoding.DecodeString(r.Answer.BodyBase64)
		if r.Answer.Body != nil {
			got = []byte(*r.Answer.Body)
		}
		if !bytes.Equal(got, body) || r.Answer.Status != j.x.Status {
			t.Errorf("%s: the answer of the direct path is changed: %d, %.300q", what, r.Answer.Status, got)
		}
		return 1
	}
	return 0
}

// TestADialectIsEnoughToNameAnEndpoint translates a plain request of each dialect that can be translated, by its name
// alone, and holds docs/translate.md to it.
func TestADialectIsEnoughToNameAnEndpoint(t *testing.T) {
	doc, err := os.ReadFile("../../docs/translate.md")
	if err != nil {
		t.Fatal(err)
	}
	doors, err := providertest.Doors(all.Servers())
	if err != nil {
		t.Fatal(err)
	}
	named := map[dialect.Name]llm.Op{} // conversations come first
	for _, op := range [...]llm.Op{llm.OpChat, llm.OpComplete, llm.OpEmbed, llm.OpRerank} {
		for _, d := range doors {
			if _, again := named[d.Name]; again || d.Op != op {
				continue
			}
			named[d.Name] = op
			kind := "openai"
			if op == llm.OpRerank {
				kind = "openai-compatible"
			}
			k, _ := all.Kinds().Kind(kind)
			r := translator().Translate(t.Context(), &translate.Record{ID: "r", Client: string(d.Name), RequestJSON: jsonx.Raw(d.Requests[0].Body), Target: targetOf(k)})
			if r.Error != nil || r.Upstream == nil {
				t.Errorf("%s: %+v", d.Name, r.Error)
			}
			if !bytes.Contains(doc, []byte("\n| `"+string(d.Name)+"` | `/")) {
				t.Errorf("docs/translate.md does not name %s", d.Name)
			}
		}
	}
	if len(named) < 9 {
		t.Errorf("only %v", named)
	}
}
