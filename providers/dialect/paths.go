package dialect

import (
	"net/url"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Path is a front door: a row of the table of request paths.
type Path struct {
	Method string
	Path   string // {model} and {id} stand for one piece, which may hold slashes
	Name   Name
	Op     llm.Op
	Form   bool // the body may be multipart/form-data
	Bare   bool // there need not be a body
	Socket bool // the connection becomes a WebSocket
}

// paths is the table of all front doors. The order does not matter but for patterns that both fit: the first
// one counts. The model list is shared by several dialects; there the request's headers decide (see Find).
var paths = [...]Path{
	{Method: "POST", Path: "/v1/chat/completions", Name: OpenAIChat, Op: llm.OpChat},
	{Method: "POST", Path: "/v1/messages", Name: AnthropicMessages, Op: llm.OpChat},
	{Method: "POST", Path: "/v1/messages/count_tokens", Name: AnthropicMessages, Op: llm.OpCount},
	{Method: "POST", Path: "/v1/responses", Name: OpenAIResponses, Op: llm.OpChat},
	{Method: "POST", Path: "/v1/responses/input_tokens", Name: OpenAIResponses, Op: llm.OpCount},
	{Method: "GET", Path: "/v1/responses/{id}/input_items", Name: OpenAIStored, Op: llm.OpStored, Bare: true},
	{Method: "POST", Path: "/v1/responses/{id}/cancel", Name: OpenAIStored, Op: llm.OpStored, Bare: true},
	{Method: "GET", Path: "/v1/responses/{id}", Name: OpenAIStored, Op: llm.OpStored, Bare: true},
	{Method: "DELETE", Path: "/v1/responses/{id}", Name: OpenAIStored, Op: llm.OpStored, Bare: true},
	{Method: "POST", Path: "/v1/completions", Name: OpenAICompletions, Op: llm.OpComplete},
	{Method: "POST", Path: "/v1/embeddings", Name: OpenAIEmbeddings, Op: llm.OpEmbed},
	{Method: "POST", Path: "/v1/moderations", Name: OpenAIModerations, Op: llm.OpModerate},
	{Method: "POST", Path: "/v1/images/generations", Name: OpenAIImages, Op: llm.OpImage},
	{Method: "POST", Path: "/v1/images/edits", Name: OpenAIImages, Op: llm.OpImageEdit, Form: true},
	{Method: "POST", Path: "/v1/images/variations", Name: OpenAIImages, Op: llm.OpImageVary, Form: true},
	{Method: "POST", Path: "/v1/audio/speech", Name: OpenAIAudio, Op: llm.OpSpeech},
	{Method: "POST", Path: "/v1/audio/transcriptions", Name: OpenAIAudio, Op: llm.OpTranscribe, Form: true},
	{Method: "POST", Path: "/v1/audio/translations", Name: OpenAIAudio, Op: llm.OpTranslate, Form: true},

	{Method: "POST", Path: "/v1/files", Name: OpenAIFiles, Op: llm.OpFiles, Form: true},
	{Method: "GET", Path: "/v1/files", Name: OpenAIFiles, Op: llm.OpFiles, Bare: true},
	{Method: "GET", Path: "/v1/files/{id}/content", Name: OpenAIFiles, Op: llm.OpFiles, Bare: true},
	{Method: "GET", Path: "/v1/files/{id}", Name: OpenAIFiles, Op: llm.OpFiles, Bare: true},
	{Method: "DELETE", Path: "/v1/files/{id}", Name: OpenAIFiles, Op: llm.OpFiles, Bare: true},
	{Method: "POST", Path: "/v1/batches", Name: OpenAIFiles, Op: llm.OpBatches},
	{Method: "GET", Path: "/v1/batches", Name: OpenAIFiles, Op: llm.OpBatches, Bare: true},
	{Method: "POST", Path: "/v1/batches/{id}/cancel", Name: OpenAIFiles, Op: llm.OpBatches, Bare: true},
	{Method: "GET", Path: "/v1/batches/{id}", Name: OpenAIFiles, Op: llm.OpBatches, Bare: true},
	{Method: "POST", Path: "/v1/messages/batches", Name: AnthropicFiles, Op: llm.OpBatches},
	{Method: "GET", Path: "/v1/messages/batches", Name: AnthropicFiles, Op: llm.OpBatches, Bare: true},
	{Method: "GET", Path: "/v1/messages/batches/{id}/results", Name: AnthropicFiles, Op: llm.OpBatches, Bare: true},
	{Method: "POST", Path: "/v1/messages/batches/{id}/cancel", Name: AnthropicFiles, Op: llm.OpBatches, Bare: true},
	{Method: "GET", Path: "/v1/messages/batches/{id}", Name: AnthropicFiles, Op: llm.OpBatches, Bare: true},
	{Method: "DELETE", Path: "/v1/messages/batches/{id}", Name: AnthropicFiles, Op: llm.OpBatches, Bare: true},
	{Method: "GET", Path: "/v1/realtime", Name: OpenAIRealtime, Op: llm.OpRealtime, Socket: true},

	{Method: "GET", Path: "/v1/models", Name: OpenAIChat, Op: llm.OpModels},
	{Method: "GET", Path: "/v1/models/{model}", Name: OpenAIChat, Op: llm.OpModels},

	{Method: "POST", Path: "/v1beta/models/{model}:generateContent", Name: Gemini, Op: llm.OpChat},
	{Method: "POST", Path: "/v1beta/models/{model}:streamGenerateContent", Name: Gemini, Op: llm.OpChat},
	{Method: "POST", Path: "/v1beta/models/{model}:countTokens", Name: Gemini, Op: llm.OpCount},
	{Method: "POST", Path: "/v1beta/models/{model}:embedContent", Name: Gemini, Op: llm.OpEmbed},
	{Method: "POST", Path: "/v1beta/models/{model}:batchEmbedContents", Name: Gemini, Op: llm.OpEmbed},
	{Method: "GET", Path: "/v1beta/models", Name: Gemini, Op: llm.OpModels},
	{Method: "GET", Path: "/v1beta/models/{model}", Name: Gemini, Op: llm.OpModels},
	{Method: "POST", Path: "/v1/models/{model}:generateContent", Name: Gemini, Op: llm.OpChat},
	{Method: "POST", Path: "/v1/models/{model}:streamGenerateContent", Name: Gemini, Op: llm.OpChat},
	{Method: "POST", Path: "/v1/models/{model}:countTokens", Name: Gemini, Op: llm.OpCount},
	{Method: "POST", Path: "/v1/models/{model}:embedContent", Name: Gemini, Op: llm.OpEmbed},
	{Method: "POST", Path: "/v1/models/{model}:batchEmbedContents", Name: Gemini, Op: llm.OpEmbed},

	{Method: "POST", Path: "/model/{model}/converse", Name: BedrockConverse, Op: llm.OpChat},
	{Method: "POST", Path: "/model/{model}/converse-stream", Name: BedrockConverse, Op: llm.OpChat},
	{Method: "POST", Path: "/model/{model}/count-tokens", Name: BedrockConverse, Op: llm.OpCount},

	{Method: "POST", Path: "/v2/chat", Name: Cohere, Op: llm.OpChat},
	{Method: "POST", Path: "/v2/embed", Name: Cohere, Op: llm.OpEmbed},
	{Method: "POST", Path: "/v2/rerank", Name: Cohere, Op: llm.OpRerank},
	{Method: "POST", Path: "/v1/chat", Name: Cohere, Op: llm.OpChat}, // version 1: the codec says where to go
	{Method: "POST", Path: "/v1/embed", Name: Cohere, Op: llm.OpEmbed},
	{Method: "POST", Path: "/v1/rerank", Name: Rerank, Op: llm.OpRerank},
	{Method: "POST", Path: "/rerank", Name: Rerank, Op: llm.OpRerank},
}

// Paths returns the table of all front doors.
func Paths() []Path { return slices.Clone(paths[:]) }

// Find returns the row for a request, and what stands in its path for {model} or {id}, percent-decoded. found is
// false for an unknown path; for a known path with another method it is true, row.Op is OpUnknown and row.Method
// names the methods to use. told is the dialect that the request's headers tell, which models and files go by; "": none.
func Find(method, path string, told Name) (row Path, piece string, found bool) {
	for i := range paths {
		p := paths[i]
		held, fits := p.fits(path)
		if !fits {
			continue
		}
		if told != "" {
			p.Name = p.told(told)
		}
		if method == p.Method || method == "HEAD" && p.Method == "GET" {
			return p, held, true
		}
		p.Op = llm.OpUnknown
		if found && !strings.Contains(row.Method, p.Method) {
			p.Method = row.Method + ", " + p.Method
		}
		row, found = p, true
	}
	if !found {
		row.Name = likely(path, told)
	}
	return row, "", found
}

// told is the row's dialect where the request's headers tell one. Lists of models and files stand at paths that two
// vendors have.
func (p *Path) told(by Name) Name {
	switch {
	case p.Op == llm.OpModels && p.Name == OpenAIChat:
		return by
	case p.Op == llm.OpFiles && by == AnthropicMessages:
		return AnthropicFiles
	}
	return p.Name
}

// likely is the dialect in which an unknown path gets its answer: the one that its client most likely speaks.
func likely(path string, told Name) Name {
	switch {
	case told != "":
		return told
	case strings.HasPrefix(path, "/v1/messages"):
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
