package dialect

import (
	"net/url"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Path is a front door: a row of the table of request paths.
type Path struct {
	Method string
	Path   string // {model} and {id} stand for one piece, which may hold slashes
	Name   Name
	Op     llm.Op
}

// paths is the table of all front doors. The order does not matter but for patterns that both fit: the first
// one counts. The model list is shared by two dialects; there the request's headers decide (see Find).
var paths = [...]Path{
	{"POST", "/v1/chat/completions", OpenAIChat, llm.OpChat},
	{"POST", "/v1/messages", AnthropicMessages, llm.OpChat},
	{"POST", "/v1/messages/count_tokens", AnthropicMessages, llm.OpCount},
	{"POST", "/v1/responses", OpenAIResponses, llm.OpChat},
	{"POST", "/v1/responses/input_tokens", OpenAIResponses, llm.OpCount},
	{"POST", "/v1/completions", OpenAICompletions, llm.OpComplete},
	{"POST", "/v1/embeddings", OpenAIEmbeddings, llm.OpEmbed},
	{"POST", "/v1/moderations", OpenAIModerations, llm.OpModerate},
	{"GET", "/v1/models", OpenAIChat, llm.OpModels},
	{"GET", "/v1/models/{model}", OpenAIChat, llm.OpModels},

	{"POST", "/v1beta/models/{model}:generateContent", Gemini, llm.OpChat},
	{"POST", "/v1beta/models/{model}:streamGenerateContent", Gemini, llm.OpChat},
	{"POST", "/v1beta/models/{model}:countTokens", Gemini, llm.OpCount},
	{"POST", "/v1beta/models/{model}:embedContent", Gemini, llm.OpEmbed},
	{"POST", "/v1beta/models/{model}:batchEmbedContents", Gemini, llm.OpEmbed},
	{"GET", "/v1beta/models", Gemini, llm.OpModels},
	{"GET", "/v1beta/models/{model}", Gemini, llm.OpModels},
	{"POST", "/v1/models/{model}:generateContent", Gemini, llm.OpChat},
	{"POST", "/v1/models/{model}:streamGenerateContent", Gemini, llm.OpChat},
	{"POST", "/v1/models/{model}:countTokens", Gemini, llm.OpCount},
	{"POST", "/v1/models/{model}:embedContent", Gemini, llm.OpEmbed},
	{"POST", "/v1/models/{model}:batchEmbedContents", Gemini, llm.OpEmbed},

	{"POST", "/model/{model}/converse", BedrockConverse, llm.OpChat},
	{"POST", "/model/{model}/converse-stream", BedrockConverse, llm.OpChat},
	{"POST", "/model/{model}/count-tokens", BedrockConverse, llm.OpCount},

	{"POST", "/v2/chat", Cohere, llm.OpChat},
	{"POST", "/v2/embed", Cohere, llm.OpEmbed},
	{"POST", "/v2/rerank", Cohere, llm.OpRerank},
	{"POST", "/v1/rerank", Rerank, llm.OpRerank},
}

// Find returns the row for a request, and what stands in its path for {model} or {id}, percent-decoded. found is
// false for an unknown path; for a known path with another method it is true, row.Op is OpUnknown and row.Method
// names the method to use. anthropic says that the request carries an anthropic-version header, which only that
// dialect's clients send.
func Find(method, path string, anthropic bool) (row Path, piece string, found bool) {
	for i := range paths {
		p := paths[i]
		held, fits := p.fits(path)
		if !fits {
			continue
		}
		if p.Op == llm.OpModels && anthropic && p.Name == OpenAIChat {
			p.Name = AnthropicMessages
		}
		if method == p.Method || method == "HEAD" && p.Method == "GET" {
			return p, held, true
		}
		p.Op = llm.OpUnknown
		row, found = p, true
	}
	if !found {
		row.Name = likely(path, anthropic)
	}
	return row, "", found
}

// likely is the dialect in which an unknown path gets its answer: the one that its client most likely speaks.
func likely(path string, anthropic bool) Name {
	switch {
	case anthropic, strings.HasPrefix(path, "/v1/messages"):
		return AnthropicMessages
	case strings.HasPrefix(path, "/v1beta/"):
		return Gemini
	case strings.HasPrefix(path, "/model/"):
		return BedrockConverse
	case strings.HasPrefix(path, "/v2/"):
		return Cohere
	}
	return OpenAIChat
}

// fits reports whether a request path fits the row, and returns the piece that the row leaves open.
func (p *Path) fits(path string) (piece string, ok bool) {
	open := strings.IndexByte(p.Path, '{')
	if open < 0 {
		return "", path == p.Path
	}
	prefix, suffix := p.Path[:open], p.Path[strings.IndexByte(p.Path, '}')+1:]
	if len(path) <= len(prefix)+len(suffix) || !strings.HasPrefix(path, prefix) || !strings.HasSuffix(path, suffix) {
		return "", false
	}
	piece = path[len(prefix) : len(path)-len(suffix)]
	if strings.IndexByte(piece, '%') >= 0 {
		plain, err := url.PathUnescape(piece)
		if err != nil {
			return "", false
		}
		piece = plain
	}
	return piece, true
}
