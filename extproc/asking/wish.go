package asking

import (
	"strings"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Wish returns what a request asks for that its price depends on beside its tokens. With byTools it looks for tools that
// the provider runs by itself, which takes a walk through all tools.
func Wish(op llm.Op, h *dialect.Head, byTools bool) (w billing.Wish) {
	made(&w, op, h)
	if h.Doc == nil {
		return w
	}
	var most int64 = -1 // calls of tools, of an answer
	var tools []byte
	for i := range h.Doc.Members {
		m := &h.Doc.Members[i]
		raw := h.Doc.Body[m.Start:m.End]
		switch m.Name {
		case "service_tier", "serviceTier", "speed", "inference_geo", "performanceConfig":
			served(&w, m.Name, raw)
		case "web_search_options":
			if !jsonx.IsNull(raw) {
				w.Search, w.Endless = size(raw), "how often the provider searches the web for web_search_options"
			}
		case "search_parameters":
			if !jsonx.IsNull(raw) {
				w.Endless = "how many sources the provider searches for search_parameters"
			}
		case "mcp_servers":
			if !empty(raw) {
				w.Endless, w.Loops = "how often the provider runs the tools of mcp_servers", true
			}
		case "max_tool_calls":
			if n, ok := jsonx.Int(raw); ok && n >= 0 {
				most = min(n, manyCalls)
			}
		case "tools":
			tools = raw
		case "images":
			if op == llm.OpEmbed {
				for range jsonx.Elements(raw) {
					w.Fees[price.PerImage]++
				}
			}
		case "inputs":
			if op == llm.OpEmbed {
				w.Fees[price.PerImage] += pictures(raw)
			}
		}
	}
	if op == llm.OpChat && byTools {
		ofTools(&w, tools, most)
	}
	return w
}

// made reads what requests for images, speech and transcripts say of how much there will be.
func made(w *billing.Wish, op llm.Op, h *dialect.Head) {
	switch {
	case op.Draws():
		w.Look = price.Look{Size: word(field(h, "size")), Quality: word(field(h, "quality"))}
		w.Fees[price.PerImageOutput] = int64(max(h.N, 1))
	case op == llm.OpTranscribe, op == llm.OpTranslate:
		file, _ := part(h, "file")
		if n, ok := seconds(file); ok {
			w.Fees[price.PerAudioSecond] = n
		}
	case op == llm.OpSpeech && h.Doc != nil:
		raw, _ := h.Doc.Get("input")
		text, _ := jsonx.String(raw)
		w.Fees[price.PerCharacter] = int64(utf8.RuneCountInString(text))
	}
}

// served reads a member that says how a request is to be served.
func served(w *billing.Wish, name string, raw []byte) {
	s, _ := jsonx.String(raw)
	s = word(s)
	switch name {
	case "serviceTier":
		if jsonx.Kind(raw) == '{' { // Bedrock's
			s, _ = jsonx.String(jsonx.Get(raw, "type"))
			s = word(s)
		}
		fallthrough
	case "service_tier":
		if s != "auto" && s != "default" {
			w.Service = s
		}
	case "speed": // https://platform.claude.com/docs/en/build-with-claude/fast-mode
		if s != "" && s != "standard" {
			w.Switches = append(w.Switches, s)
		}
	case "inference_geo": // https://platform.claude.com/docs/en/build-with-claude/data-residency
		if s != "" && s != "global" {
			w.Switches = append(w.Switches, s)
		}
	case "performanceConfig": // https://docs.aws.amazon.com/bedrock/latest/userguide/latency-optimized-inference.html
		if s, _ = jsonx.String(jsonx.Get(raw, "latency")); word(s) != "" && s != "standard" {
			w.Switches = append(w.Switches, word(s))
		}
	}
}

// manyCalls is more calls of tools than any answer has.
const manyCalls = 1 << 20

// google reports whether a member of a tool is one of Gemini's that it runs itself, and whether what that finds comes into
// the prompt.
func google(name string) (runs, loops bool) {
	switch name {
	case "google_search", "googleSearch", "google_search_retrieval", "googleSearchRetrieval", "googleMaps", "google_maps", "enterpriseWebSearch":
		return true, false
	case "url_context", "urlContext", "code_execution", "codeExecution", "fileSearch", "file_search":
		return true, true
	}
	return false, false
}

// ofTools reads the tools that a provider runs by itself: each of their calls may cost a fee and another turn of the model.
// Anthropic's have max_uses (https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool), OpenAI's
// Responses max_tool_calls for all of an answer (https://platform.openai.com/docs/api-reference/responses/create), Google's
// and xAI's nothing of the kind.
func ofTools(w *billing.Wish, tools []byte, most int64) {
	var turns, web, files int64
	for _, t := range jsonx.Elements(tools) {
		var kind string
		for name, v := range jsonx.Members(t) {
			if string(name) == "type" {
				if string(v) == `"function"` { // most are
					break
				}
				kind, _ = jsonx.String(v)
			} else if runs, loops := google(string(name)); runs {
				w.Hosted = true
				w.Endless, w.Loops = "how often the provider runs "+string(name), w.Loops || loops
			}
		}
		var fee *int64
		switch {
		case strings.HasPrefix(kind, "web_search"):
			fee, w.Search = &web, size(t)
		case kind == "file_search":
			fee = &files
		case strings.HasPrefix(kind, "web_fetch"), kind == "mcp", strings.HasPrefix(kind, "tool_search"):
			fee = new(int64)
		case strings.HasPrefix(kind, "code_execution"), kind == "code_interpreter", kind == "image_generation":
			w.Endless = "what the provider's tool " + kind + " costs"
			continue
		default:
			continue
		}
		w.Hosted = true
		n, ok := jsonx.Int(jsonx.Get(t, "max_uses"))
		if !ok || n < 0 {
			n = most
		}
		if n < 0 {
			w.Endless, w.Loops = "how often the provider runs the tool "+word(kind), true
			continue
		}
		n = min(n, manyCalls)
		*fee += n
		turns += n
	}
	if most >= 0 {
		turns, web, files = min(turns, most), min(web, most), min(files, most)
	}
	w.Turns, w.Fees[price.WebSearch], w.Fees[price.FileSearch] = turns, web, files
}

// size is the size of a web search's context, which OpenAI takes to be medium.
func size(raw []byte) string {
	s, _ := jsonx.String(jsonx.Get(raw, "search_context_size"))
	if s = word(s); s == "" {
		return "medium"
	}
	return s
}

// pictures counts the images of Cohere's inputs, each of which has content in parts.
func pictures(raw []byte) (n int64) {
	for _, in := range jsonx.Elements(raw) {
		for _, p := range jsonx.Elements(jsonx.Get(in, "content")) {
			if kind, _ := jsonx.String(jsonx.Get(p, "type")); kind == "image_url" {
				n++
			}
		}
	}
	return n
}

// field returns a text of a body or a form.
func field(h *dialect.Head, name string) string {
	v, ok := part(h, name)
	if !ok || h.Form != nil {
		return string(v[:min(len(v), longestWord+1)])
	}
	s, _ := jsonx.String(v)
	return s
}

func part(h *dialect.Head, name string) ([]byte, bool) {
	switch {
	case h.Form != nil:
		return h.Form.Get(name)
	case h.Doc != nil:
		return h.Doc.Get(name)
	}
	return nil, false
}

const longestWord = 32

// word returns a text in lower case, "" unless it is a word of an API.
func word(s string) string {
	if len(s) > longestWord || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.' && r != ':'
	}) {
		return ""
	}
	return strings.ToLower(s)
}
