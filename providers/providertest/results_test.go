package providertest_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/cohere"
	"github.com/signalbox-ai/signalbox/providers/dialect/ollama"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank"
)

// resultCodec is a dialect of an operation that is no conversation. server is nil where clients do not speak it.
type resultCodec struct {
	name   string
	op     llm.Op
	server dialect.Server
	client dialect.Client
	has    func(*recorded.Exchange) bool
}

func resultCodecs() []resultCodec {
	vectors := openaiembeddings.New()
	co, ol := cohere.New(), ollama.New()
	return []resultCodec{
		{"openai-embeddings", llm.OpEmbed, vectors, vectors, func(x *recorded.Exchange) bool { return x.Endpoint == "embeddings" && x.Provider != "perplexity" }},
		{"cohere", llm.OpEmbed, co, co, func(x *recorded.Exchange) bool { return x.Endpoint == "embed" && x.Provider == "cohere" }},
		{"ollama", llm.OpEmbed, nil, ol, func(x *recorded.Exchange) bool { return x.Endpoint == "embed" && x.Provider == "ollama" }},
		{"rerank", llm.OpRerank, rerank.New(), rerank.New(), func(x *recorded.Exchange) bool { return x.Endpoint == "rerank" && x.Provider != "cohere" }},
		{"cohere", llm.OpRerank, co, co, func(x *recorded.Exchange) bool { return x.Endpoint == "rerank" && x.Provider == "cohere" }},
	}
}

// result is what an answer says: vectors or a ranking, and what it cost.
func result(t *testing.T, c dialect.Client, req *llm.Request, body []byte) (res llm.Result, usage llm.Usage) {
	t.Helper()
	err := c.NewReader(req, false).Feed(body, true, func(ev *llm.Event) error {
		usage.Merge(ev.Usage)
		switch ev.Kind {
		case llm.EvResult:
			res = ev.Result
		case llm.EvFailed:
			t.Fatalf("%v: %.300s", ev.Err, body)
		}
		return nil
	})
	if err != nil || res == nil {
		t.Fatalf("%v, %v", res, err)
	}
	return res, usage
}

// same compares results, but for documents, which dialects return or not.
func same(a, b llm.Result) error {
	switch a := a.(type) {
	case *llm.Embeddings:
		b, ok := b.(*llm.Embeddings)
		if !ok || !slices.EqualFunc(a.Vectors, b.Vectors, func(v, w []float32) bool {
			return slices.EqualFunc(v, w, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
		}) {
			return fmt.Errorf("the vectors differ")
		}
	case *llm.Ranking:
		b, ok := b.(*llm.Ranking)
		if !ok || !slices.EqualFunc(a.Items, b.Items, func(x, y llm.Ranked) bool { return x.Index == y.Index && x.Score == y.Score }) {
			return fmt.Errorf("the rankings differ: %v, %v", a, b)
		}
	}
	return nil
}

// asked is the record's request where there is one that its dialect's server reads, or one that fits its answer.
func asked(t *testing.T, own resultCodec, x *recorded.Exchange, res llm.Result) *llm.Request {
	t.Helper()
	if own.server != nil && x.HasRequest() {
		if req, err := own.server.ReadRequest(dialect.Inbound{Op: own.op, Body: x.RequestJSON}); err == nil {
			return req
		}
	}
	req := &llm.Request{Op: own.op, Model: "m"}
	switch r := res.(type) {
	case *llm.Embeddings:
		req.Body = &llm.Embed{Inputs: make([]llm.EmbedInput, len(r.Vectors))}
	case *llm.Ranking:
		req.Body = &llm.Rerank{Documents: make([]llm.Document, 100)}
	}
	return req
}

// TestResultsSurviveTheOtherDialects writes every recorded answer for the clients of the other dialects of its
// operation, and reads it again: the same vectors, the same order, the same usage.
func TestResultsSurviveTheOtherDialects(t *testing.T) {
	for _, own := range resultCodecs() {
		recorded.Each(t, func(x *recorded.Exchange) bool { return own.has(x) && x.Status == 200 && !x.ResponseTrimmed }, func(t *testing.T, x *recorded.Exchange) {
			body, err := x.Body()
			if err != nil {
				t.Fatal(err)
			}
			want, usage := result(t, own.client, nil, body)
			req := asked(t, own, x, want)
			for _, other := range resultCodecs() {
				if other.op != own.op {
					continue
				}
				if written, _, err := other.client.WriteRequest(nil, req, dialect.Target{Model: "m"}); err != nil {
					refusedByName(t, err)
				} else if other.server != nil {
					if _, err := other.server.ReadRequest(dialect.Inbound{Op: own.op, Body: written}); err != nil {
						t.Errorf("%s cannot read the request: %v\n%.500s", other.name, err, written)
					}
				}
				if other.server == nil {
					continue
				}
				w := other.server.NewWriter(req, false)
				var out []byte
				err := own.client.NewReader(nil, false).Feed(body, true, func(ev *llm.Event) (err error) { out, err = w.Write(out, ev); return err })
				if err == nil {
					out, err = w.Close(out)
				}
				if err != nil {
					t.Fatalf("%s: %v", other.name, err)
				}
				got, cost := result(t, other.client, req, out)
				if err := same(want, got); err != nil {
					t.Errorf("%s: %v", other.name, err)
				}
				if usage.Input != cost.Input && usage.Input.Known {
					t.Errorf("%s: it cost %v, and now %v", other.name, usage.Input, cost.Input)
				}
			}
		})
	}
}
