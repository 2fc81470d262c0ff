// Package ranking reads the results of a ranking, which vendors write alike, and says which documents a client gets
// back with them. The documents around the results differ; they are the dialects' own business.
package ranking

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Read reads the elements of a ranking, of any form, the most relevant first. documents is how many were
// ranked, -1 where that is not known. problem is "" when all is well.
func Read(list []byte, documents int) (items []llm.Ranked, problem string) {
	seen := map[int64]bool{}
	for i, e := range jsonx.Elements(list) {
		at, ok := jsonx.Int(jsonx.Get(e, "index"))
		raw := jsonx.Get(e, "relevance_score")
		if raw == nil {
			raw = jsonx.Get(e, "score")
		}
		score, isNumber := jsonx.Float(raw)
		switch {
		case !ok || at < 0 || documents >= 0 && at >= int64(documents) || seen[at]:
			return nil, fmt.Sprintf("The provider's result %d has the index %s, which cannot be.", i, jsonx.Get(e, "index"))
		case !isNumber:
			return nil, fmt.Sprintf("The provider's result %d has no score.", i)
		}
		seen[at] = true
		item := llm.Ranked{Index: int(at), Score: score}
		for _, n := range [...]string{"document", "text"} {
			if d := jsonx.Get(e, n); item.Document == nil && !jsonx.IsNull(d) {
				item.Document = d
			}
		}
		items = append(items, item)
	}
	slices.SortStableFunc(items, func(a, b llm.Ranked) int { return cmp.Compare(b.Score, a.Score) })
	return items, ""
}

// Returned is the document that a client gets with an item, as JSON, or nil: only where it asked, and from the
// request where the provider does not send it.
func Returned(asked *llm.Rerank, it *llm.Ranked) []byte {
	switch {
	case asked == nil:
		return it.Document
	case !asked.Return:
		return nil
	case it.Document != nil || it.Index >= len(asked.Documents):
		return it.Document
	case asked.Documents[it.Index].Raw != nil:
		return asked.Documents[it.Index].Raw
	}
	return jsonx.AppendQuote(nil, asked.Documents[it.Index].Text)
}
