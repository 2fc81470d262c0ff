package dialect

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Path is a front door: a row of the table of request paths.
type Path struct {
	Method string
	Path   string // exact, or ending in "/" for one further segment
	Name   Name
	Op     llm.Op
}

// Paths is the table of all front doors. The order does not matter: paths are unique by method, but for
// the model list, which two dialects share; there the request's headers decide (see Find).
var paths = [...]Path{
	{"POST", "/v1/chat/completions", OpenAIChat, llm.OpChat},
	{"POST", "/v1/messages", AnthropicMessages, llm.OpChat},
	{"GET", "/v1/models", OpenAIChat, llm.OpModels},
	{"GET", "/v1/models/", OpenAIChat, llm.OpModels},
}

// Find returns the row for a request. found is false for an unknown path; for a known path with another
// method it is true, row.Op is OpUnknown and row.Method names the method to use. anthropic says that the
// request carries an anthropic-version header, which only that dialect's clients send.
func Find(method, path string, anthropic bool) (row Path, found bool) {
	for _, p := range paths {
		if path != p.Path && !(strings.HasSuffix(p.Path, "/") && len(path) > len(p.Path) && strings.HasPrefix(path, p.Path)) {
			continue
		}
		if p.Op == llm.OpModels && anthropic {
			p.Name = AnthropicMessages
		}
		if method == p.Method || method == "HEAD" && p.Method == "GET" {
			return p, true
		}
		p.Op = llm.OpUnknown
		row, found = p, true
	}
	if !found { // an unknown path still gets its answer in the dialect that its client most likely speaks
		row.Name = OpenAIChat
		if anthropic || strings.HasPrefix(path, "/v1/messages") {
			row.Name = AnthropicMessages
		}
	}
	return row, found
}
