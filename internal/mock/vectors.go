package mock

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"math"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Limits of vectors.
const (
	dimensions    = 8 // where a request does not say
	maxDimensions = 4096
	maxTexts      = 2048
)

// script reads the model of a request that is no chat, and whether it is to fail.
func (e *exchange) script(body []byte) (ok bool) {
	if _, err := jsonx.Scan(body); err != nil {
		e.invalid(&memberError{"body", err.Error()})
		return false
	}
	model, ok := jsonx.String(jsonx.Get(body, "model"))
	if !ok || model == "" {
		e.invalid(&memberError{"model", "is required and must be a string"})
		return false
	}
	sc, err := parse(model)
	if err != nil {
		e.invalid(err)
		return false
	}
	e.sc = sc
	if status := sc.fails(e.s.o.Seed, model, e.s.try(model, sc)); status != 0 {
		e.fail(&failure{status: status})
		return false
	}
	e.req = &request{model: model}
	return e.preface()
}

// embeddings answers with a vector for each text: the more words two texts share, the nearer their vectors.
func (e *exchange) embeddings(body []byte) {
	if !e.script(body) {
		return
	}
	texts, err := textsOf(jsonx.Get(body, "input"), "input")
	if err != nil {
		e.invalid(err)
		return
	}
	size := int64(dimensions)
	if raw := jsonx.Get(body, "dimensions"); !jsonx.IsNull(raw) {
		var ok bool
		if size, ok = jsonx.Int(raw); !ok || size < 1 || size > maxDimensions {
			e.invalid(&memberError{"dimensions", "must be a whole number from 1 to 4096"})
			return
		}
	}
	format, _ := jsonx.String(jsonx.Get(body, "encoding_format"))
	data := make([]any, len(texts))
	words := 0
	for i, t := range texts {
		words += len(strings.Fields(t))
		data[i] = map[string]any{"object": "embedding", "index": i, "embedding": vector(t, int(size), format == "base64")}
	}
	e.whole(200, encode(map[string]any{
		"object": "list", "data": data, "model": e.req.model, "usage": map[string]int{"prompt_tokens": words, "total_tokens": words},
	}))
}

// textsOf reads one text or a list of them.
func textsOf(raw []byte, member string) ([]string, error) {
	if s, ok := jsonx.String(raw); ok {
		return []string{s}, nil
	}
	var texts []string
	for i, e := range jsonx.Elements(raw) {
		s, ok := jsonx.String(e)
		if !ok {
			if s, ok = jsonx.String(jsonx.Get(e, "text")); !ok {
				return nil, &memberError{at(member, i, "text"), "must be a string"}
			}
		}
		texts = append(texts, s)
	}
	if len(texts) == 0 || len(texts) > maxTexts {
		return nil, &memberError{member, "must be a text, or a list of 1 to 2048"}
	}
	return texts, nil
}

// vector adds up a direction for each word and makes the sum one long.
func vector(text string, size int, packed bool) any {
	sums := make([]float64, size)
	for _, w := range append(strings.Fields(strings.ToLower(text)), "") {
		h := fnv.New64a()
		_, _ = h.Write([]byte(w))
		x := h.Sum64()
		for i := range sums {
			x = x*6364136223846793005 + 1442695040888963407
			sums[i] += float64(int32(x>>32)) / math.MaxInt32
		}
	}
	length := 0.0
	for _, s := range sums {
		length += s * s
	}
	length = max(math.Sqrt(length), 1e-9)
	out := make([]float32, size)
	for i, s := range sums {
		out[i] = float32(s / length)
	}
	if !packed {
		return out
	}
	b := make([]byte, 0, 4*size)
	for _, f := range out {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// rerank orders documents by how many of the query's words they have.
func (e *exchange) rerank(body []byte) {
	if !e.script(body) {
		return
	}
	query, ok := jsonx.String(jsonx.Get(body, "query"))
	if !ok || query == "" {
		e.invalid(&memberError{"query", "is required and must be a string"})
		return
	}
	documents, err := textsOf(jsonx.Get(body, "documents"), "documents")
	if err != nil {
		e.invalid(err)
		return
	}
	asked := strings.Fields(strings.ToLower(query))
	type result struct {
		Index int     `json:"index"`
		Score float64 `json:"relevance_score"`
	}
	results := make([]result, len(documents))
	words := len(asked)
	for i, d := range documents {
		has := strings.Fields(strings.ToLower(d))
		words += len(has)
		hits := 0
		for _, w := range asked {
			if slices.Contains(has, w) {
				hits++
			}
		}
		results[i] = result{i, float64(hits) / float64(len(asked))}
	}
	slices.SortStableFunc(results, func(a, b result) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
	if n, ok := jsonx.Int(jsonx.Get(body, "top_n")); ok && n > 0 && int(n) < len(results) {
		results = results[:n]
	}
	e.whole(200, encode(map[string]any{"model": e.req.model, "results": results, "usage": map[string]int{"total_tokens": words}}))
}
