package bedrock

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank"
)

// reranker is the client half of rerank models in InvokeModel: a body of the usual form, without the model.
type reranker struct {
	*rerank.Codec
	cohere bool // which wants the version of its API in the body
}

var _ dialect.Client = (*reranker)(nil)

// rerankerOf returns the codec for a model, nil for one that is not known.
func rerankerOf(model string) *reranker {
	if !strings.Contains(model, "rerank") {
		return nil
	}
	return &reranker{rerank.NewForm(rerank.Form{NoModel: true, Documents: "documents", TopN: "top_n"}), strings.Contains(model, "cohere")}
}

// Name implements dialect.Client.
func (*reranker) Name() dialect.Name { return reranking }

// Splice implements dialect.Client. There are no clients of the dialect.
func (*reranker) Splice(dst []byte, _ *dialect.Head, _ dialect.Edits) ([]byte, error) {
	return dst, unsupported("", "no client speaks "+string(reranking))
}

// WriteRequest appends the body for the target.
func (r *reranker) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	b, losses, err := r.Codec.WriteRequest(slices.Clip(dst), req, t)
	if err != nil || !r.cohere {
		return b, losses, err
	}
	return append(b[:len(b)-1], `,"api_version":2}`...), losses, nil
}

// ReadError implements dialect.Client.
func (*reranker) ReadError(status int, h dialect.Header, body []byte) *llm.Error {
	return fault.Read(status, h, body)
}
