package tokenizer

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog/naming"
	"github.com/signalbox-ai/signalbox/tokenizer/frame"
	"github.com/signalbox-ai/signalbox/tokenizer/media"
)

// family is how the models of a family count. The first row that fits a model's name counts for it.
type family struct {
	name  string // for people
	kinds string // provider kinds that it is limited to, parted by spaces; "": any
	// models are beginnings of plain names (package naming), which end there or before a dash; with * behind, anywhere.
	models   string
	encoding string
	frame    frame.Rule
	media    media.Rule
	class    Class
	scale    float64 // tokens for each token of the encoding, where that is another's; 0: 1
}

// tileRule is OpenAI's rule of tiles with the constants of https://platform.openai.com/docs/guides/images-vision.
func tileRule(base, tile int64) media.Rule {
	return media.Rule{Tiles: media.Tiles{Base: base, Tile: tile, Fit: 2048, Short: 768, Side: 512}, Most: base + 8*tile, Page: 220}
}

// patchRule is OpenAI's rule of patches, of the same page, and so are the factors of 1.62, 1.72 and 2.46. Those of
// gpt-5-mini, gpt-5-nano and gpt-5.4 are of recorded usage, all of it in the half that is checked on.
func patchRule(factor float64) media.Rule {
	return media.Rule{Patches: media.Patches{Side: 32, Most: 1536, Factor: factor}, Most: int64(1536*factor) + 1}
}

var (
	gpt4oMedia = tileRule(85, 170)
	// Patches of 28 pixels are of recorded usage, in both halves; pages and the most are those of
	// https://platform.claude.com/docs/en/build-with-claude/vision and pdf-support.
	claudeMedia = media.Rule{Patches: media.Patches{Side: 28, Factor: 1, More: 3, Most: 5600}, Most: 5603, Page: 1600}
	// https://ai.google.dev/gemini-api/docs/tokens and, for Gemini 3, media-resolution; its images are of recorded usage.
	geminiMedia = media.Rule{Flat: 258, Most: 1548, Page: 258, Second: 32}
	gemini3     = media.Rule{Flat: 1088, Most: 2240, Page: 560, Second: 32}
	openMedia   = media.Rule{Patches: media.Patches{Side: 28, Most: 16384, Factor: 1, More: 2}, Most: 16386}
)

// families are all known ones. Where a vendor publishes nothing, another's vocabulary stands in and the class says so.
var families = []family{
	{name: "gpt-oss", models: "gpt-oss", encoding: "o200k_harmony", frame: frame.Template{Start: 62, Turn: 5, NoSystem: 0, Tools: 20}, class: Reconstructed},
	{name: "gpt-5-mini", models: "gpt-5-mini", encoding: "o200k_base", frame: frame.GPT5(), media: patchRule(1.2)},
	{name: "gpt-5-nano", models: "gpt-5-nano", encoding: "o200k_base", frame: frame.GPT5(), media: patchRule(1.5)},
	{name: "gpt-5.4", models: "gpt-5-4 gpt-5-5 gpt-5-6", encoding: "o200k_base", frame: frame.GPT5(), media: patchRule(1.2)},
	{name: "gpt-5", models: "gpt-5", encoding: "o200k_base", frame: frame.GPT5(), media: tileRule(70, 140)},
	{name: "o4-mini", models: "o4-mini codex-mini", encoding: "o200k_base", frame: frame.OSeries(), media: patchRule(1.72)},
	{name: "o1-mini", models: "o1-mini o1-preview", encoding: "o200k_base", frame: frame.O1Mini()},
	{name: "o-series", models: "o1 o3 o4 computer-use-preview", encoding: "o200k_base", frame: frame.OSeries(), media: tileRule(75, 150)},
	{name: "gpt-4o-search", models: "gpt-4o-search-preview gpt-4o-mini-search-preview", encoding: "o200k_base", frame: frame.Searching(), media: gpt4oMedia, class: Estimated},
	{name: "gpt-4o-mini", models: "gpt-4o-mini", encoding: "o200k_base", frame: frame.Classic(), media: tileRule(2833, 5667)},
	{name: "gpt-4.1-mini", models: "gpt-4-1-mini", encoding: "o200k_base", frame: frame.Classic(), media: patchRule(1.62)},
	{name: "gpt-4.1-nano", models: "gpt-4-1-nano", encoding: "o200k_base", frame: frame.Classic(), media: patchRule(2.46)},
	{name: "gpt-4o", models: "gpt-4o gpt-4-1 gpt-4-5 chatgpt-4o gpt-realtime gpt-audio", encoding: "o200k_base", frame: frame.Classic(), media: gpt4oMedia},
	{name: "gpt-3.5-turbo-0301", models: "gpt-3-5-turbo-0301", encoding: "cl100k_base", frame: frame.Classic0301()},
	{name: "gpt-4", models: "gpt-4 gpt-3-5", encoding: "cl100k_base", frame: frame.Classic(), media: gpt4oMedia},
	{name: "text-embedding", models: "text-embedding-3 text-embedding-ada-002 davinci-002 babbage-002", encoding: "cl100k_base", frame: frame.Classic()},
	{name: "davinci", models: "text-davinci-002 text-davinci-003 code-davinci code-cushman", encoding: "p50k_base", frame: frame.Classic()},
	{name: "gpt-3", models: "davinci curie babbage ada text-davinci text-curie text-babbage text-ada", encoding: "r50k_base", frame: frame.Classic()},
	{name: "gpt, newer", models: "gpt-*", encoding: "o200k_base", frame: frame.GPT5(), media: patchRule(1), class: Reconstructed},

	{name: "claude-2", models: "claude-2 claude-v2 claude-1 claude-v1 claude-instant*", encoding: "o200k_base", frame: frame.Template{Start: 7, Loose: true}, class: Estimated, scale: 1.1},
	{name: "claude-opus-5", models: "claude-opus-5", encoding: "claude-opus-5", frame: frame.Claude{Base: 6, Call: 50, More: 84, Tool: 3, Turn: 2, Schema: 81, Auto: 360, Any: 360, One: 360}, media: claudeMedia, class: Reconstructed},
	{name: "claude-5", models: "claude-sonnet-5 claude-haiku-5 claude-fable-5 claude-fable*", encoding: "claude-4.8", frame: frame.Claude{Base: 6, System: 1, Call: 50, More: 84, Tool: 3, Turn: 2, Schema: 81, Auto: 357, Any: 487, One: 487}, media: claudeMedia, class: Reconstructed},
	{name: "claude-4.8", models: "claude-opus-4-8 claude-sonnet-4-8 claude-haiku-4-8 claude-opus-4-9 claude-sonnet-4-9", encoding: "claude-4.8", frame: frame.Claude{Base: 6, Call: 50, More: 84, Tool: 3, Turn: 2, Schema: 81, Auto: 263, Any: 487, One: 487}, media: claudeMedia, class: Reconstructed},
	{name: "claude-4.7", models: "claude-opus-4-7 claude-sonnet-4-7 claude-haiku-4-7 claude-4-7*", encoding: "claude-4.7", frame: frame.Claude{Base: 11, Call: 50, More: 84, Tool: 3, Turn: 2, Budget: 35, Schema: 81, Auto: 494, Any: 588, One: 592, Serial: 11}, media: claudeMedia, class: Reconstructed},
	{name: "claude-4.6", models: "claude-opus-4-6 claude-sonnet-4-6 claude-4-6*", encoding: "claude-3", frame: frame.Claude{Base: 7, Call: 50, More: 84, Tool: 3, System: 1, Turn: 3, Think: 29, Schema: 81, Auto: 494, Any: 588, One: 592, Serial: 11}, media: claudeMedia, class: Reconstructed},
	{name: "claude-4.5", models: "claude-opus-4-5 claude-sonnet-4-5 claude-haiku-4-5 claude-4-5*", encoding: "claude-3", frame: frame.Claude{Base: 7, Call: 50, More: 84, Tool: 3, Turn: 3, Think: 29, Schema: 81, Auto: 494, Any: 588, One: 592, Serial: 11}, media: claudeMedia, class: Reconstructed},
	{name: "claude-4", models: "claude-opus-4 claude-sonnet-4 claude-3-7-sonnet claude-opus-4-1 claude-4", encoding: "claude-3", frame: frame.Claude{Base: 7, Call: 50, More: 84, Tool: 3, Turn: 3, Think: 29, Auto: 315, Any: 315, One: 320, Serial: -33}, media: claudeMedia, class: Reconstructed},
	{name: "claude-3.5-sonnet", models: "claude-3-5-sonnet", encoding: "claude-3", frame: frame.Claude{Base: 7, Call: 50, More: 84, Tool: 3, Turn: 3, Auto: 294, Any: 261, One: 261}, media: claudeMedia, class: Reconstructed},
	{name: "claude-3-opus", models: "claude-3-opus", encoding: "claude-3", frame: frame.Claude{Base: 7, Call: 50, More: 84, Tool: 3, Turn: 3, Auto: 534, Any: 289, One: 289}, media: claudeMedia, class: Reconstructed},
	{name: "claude-3-sonnet", models: "claude-3-sonnet", encoding: "claude-3", frame: frame.Claude{Base: 7, Call: 50, More: 84, Tool: 3, Turn: 3, Auto: 160, Any: 236, One: 236}, media: claudeMedia, class: Reconstructed},
	{name: "claude-haiku-3", models: "claude-3-haiku claude-3-5-haiku claude-3", encoding: "claude-3", frame: frame.Claude{Base: 7, Call: 50, More: 84, Tool: 3, Turn: 3, Auto: 264, Any: 348, One: 360}, media: claudeMedia, class: Reconstructed},
	{name: "claude, newer", models: "claude*", encoding: "claude-4.8", frame: frame.Claude{Base: 6, Call: 50, More: 84, Tool: 3, Turn: 2, Schema: 81, Auto: 357, Any: 487, One: 487}, media: claudeMedia, class: Reconstructed},

	{name: "gemini-3", kinds: "vertex openrouter", models: "gemini-3*", encoding: gemma, frame: frame.Gemini{Function: 13, Property: 42, List: -31, Object: 20}, media: gemini3, class: Reconstructed},
	{name: "gemini-3.5", models: "gemini-3-5*", encoding: gemma, frame: frame.Gemini{Content: 1, Function: 13, Property: 42, List: -31, Object: 20}, media: gemini3, class: Reconstructed},
	{name: "gemini-3", models: "gemini-3*", encoding: gemma, frame: frame.Gemini{Content: 1, System: 1, Function: 13, Property: 42, List: -31, Object: 20}, media: gemini3, class: Reconstructed},
	{name: "gemini-2.0", models: "gemini-2-0 gemini-1*", encoding: gemma2, frame: frame.Gemini{Function: 1, Property: 2, List: 2, Object: 2}, media: media.Rule{Flat: 1290, Most: 1290, Page: 258, Second: 32}, class: Reconstructed},
	{name: "gemini-2.5", kinds: "vertex openrouter", models: "gemini*", encoding: gemma, frame: frame.Gemini{Function: 18, Property: 10, List: 73, Object: 46}, media: geminiMedia, class: Reconstructed},
	{name: "gemini-2.5", models: "gemini*", encoding: gemma, frame: frame.Gemini{Content: 1, System: 1, Function: 18, Property: 10, List: 73, Object: 46}, media: geminiMedia, class: Reconstructed},
	{name: "gemma", kinds: "gemini", models: "gemma*", encoding: gemma, frame: frame.Gemini{Content: 1, System: 1, Function: 18, Property: 10, List: 73, Object: 46}, media: media.Rule{Flat: 256, Most: 2048}, class: Reconstructed},
	{name: "gemma", models: "gemma*", encoding: gemma, frame: frame.Template{Start: 1, Turn: 5, End: 3, Loose: true}, media: media.Rule{Flat: 256, Most: 2048}, class: Reconstructed},

	{name: "deepseek-reasoner", models: "deepseek-reasoner", encoding: "deepseek_v3", frame: frame.Template{Start: 1, Turn: 1, End: 3, System: -1, Answer: 1}, class: Reconstructed},
	{name: "deepseek-r1", models: "deepseek-r1*", encoding: "deepseek_v3", frame: frame.Template{Start: 1, Turn: 1, End: 1, Answer: 1}, class: Reconstructed},
	{name: "deepseek", models: "deepseek*", encoding: "deepseek_v3", frame: frame.Template{Start: 1, Turn: 1, End: 2, System: -1, Answer: 1}, class: Reconstructed},
	{name: "qwen3.5", models: "qwen3-5* qwen3-6* qwen-3-5* qwen-3-6*", encoding: "qwen3.5", frame: chatML(5, 4), media: openMedia, class: Reconstructed},
	{name: "qwen", models: "qwen* qwq* qvq*", encoding: "qwen2", frame: chatML(5, 3), media: openMedia, class: Reconstructed},
	{name: "kimi", models: "kimi* moonshot*", encoding: "kimi_k2", frame: frame.Template{Turn: 4, End: 3}, media: openMedia, class: Reconstructed},
	{name: "mistral-7b", models: "mistral-7b* open-mistral-7b* open-mixtral* mixtral*", encoding: "mistral", frame: frame.Template{Start: 1, Turn: 2, System: 0, Answer: -1, Loose: true}, class: Reconstructed},
	{name: "mistral", models: "mistral* ministral* codestral* magistral* devstral* pixtral* open-mistral*", encoding: "tekken", frame: frame.Template{Start: 1, Turn: 2, System: 0, Answer: -1}, media: openMedia, class: Reconstructed},
	{name: "llama-4", models: "llama-4* llama4*", encoding: "llama4", frame: frame.Template{Start: 1, Turn: 5, End: 4, Loose: true}, media: openMedia, class: Reconstructed},
	{name: "llama-2", models: "llama-2* llama2*", encoding: "llama2", frame: frame.Template{Start: 1, Turn: 7, Answer: -5, Loose: true}, class: Reconstructed},
	{name: "llama-3.0", models: "llama-3-8b llama-3-70b llama3", encoding: llama3, frame: frame.Template{Start: 1, Turn: 5, End: 4, Loose: true}, class: Reconstructed},
	{name: "llama-3", models: "llama-3* meta-llama*", encoding: llama3, frame: frame.Template{Start: 1, Turn: 5, End: 4, NoSystem: 25, System: 20, Loose: true}, media: openMedia, class: Reconstructed},
	{name: "grok", models: "grok*", encoding: "o200k_base", frame: frame.Template{Start: 1, Turn: 4, End: 3, Loose: true}, media: openMedia, class: Estimated},
	{name: "glm", models: "glm* zai*", encoding: "glm4", frame: frame.Template{Start: 2, Turn: 2, End: 1, Loose: true}, media: openMedia, class: Reconstructed},
	{name: "command-r", models: "command-r* command-a c4ai* aya-expanse aya-vision", encoding: "command", frame: frame.Template{Start: 1, Turn: 3, End: 2, Loose: true}, media: openMedia, class: Reconstructed},
	{name: "command", models: "command* aya*", encoding: "o200k_base", frame: frame.Template{Start: 1, Turn: 3, End: 2, Loose: true}, class: Estimated},
	{name: "phi-4-mini", models: "phi-4-mini phi4-mini phi-4-multimodal", encoding: "o200k_base", frame: frame.Template{Turn: 2, End: 1, Loose: true}, media: openMedia, class: Reconstructed},
	{name: "phi-4", models: "phi-4* phi4*", encoding: "cl100k_base", frame: chatML(4, 3), class: Reconstructed},
	{name: "phi-3-small", models: "phi-3-small phi3-small", encoding: "cl100k_base", frame: frame.Template{Start: 1, Turn: 4, End: 2, Loose: true}, class: Reconstructed},
	{name: "phi-3", models: "phi-3* phi3*", encoding: "llama2", frame: frame.Template{Start: 1, Turn: 2, End: 1, Loose: true}, media: openMedia, class: Reconstructed},
	{name: "nova", models: "nova* amazon* titan*", encoding: "o200k_base", frame: frame.Template{Start: 1, Turn: 3, End: 1, Loose: true}, media: openMedia, class: Estimated},
}

// Encodings that are counted with only where their vocabulary was loaded.
const (
	gemma  = "gemma3"
	gemma2 = "gemma2"
	llama3 = "llama3"
)

// unknownFamily counts for models that no row fits.
var unknownFamily = family{name: "unknown", encoding: "o200k_base", frame: frame.Template{Start: 3, Turn: 4, Loose: true}, media: openMedia, class: Estimated}

// chatML is the frame of templates with <|im_start|>: turn tokens around each turn, and end for the answer's opening.
func chatML(turn, end int64) frame.Template { return frame.Template{Turn: turn, End: end} }

// familyOf returns the family of a model at a kind of provider.
func familyOf(kind, model string) family {
	var buf [naming.Longest + 32]byte
	name, _ := naming.Append(buf[:0], model)
	for i := range families {
		f := &families[i]
		if f.kinds != "" && !word(f.kinds, kind) {
			continue
		}
		if f.fits(name) {
			return *f
		}
	}
	return unknownFamily
}

func word(list, w string) bool {
	for one := range strings.FieldsSeq(list) {
		if one == w {
			return true
		}
	}
	return false
}

// fits reports whether one of the family's patterns fits a plain name.
func (f *family) fits(name []byte) bool {
	for p := range strings.FieldsSeq(f.models) {
		start, free := strings.CutSuffix(p, "*")
		if len(name) < len(start) || string(name[:len(start)]) != start {
			continue
		}
		if free || len(name) == len(start) || name[len(start)] == '-' {
			return true
		}
	}
	return false
}
