package tokenizer

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/tokenizer/claude"
)

func TestAModelsNamesLeadToItsFamily(t *testing.T) {
	s := NewSet(nil)
	for _, c := range []struct{ kind, model, family, encoding, class string }{
		{"openai", "gpt-4o-2024-08-06", "gpt-4o", "o200k_base", "exact"},
		{"openai", "gpt-4o-mini", "gpt-4o-mini", "o200k_base", "exact"},
		{"openai", "ft:gpt-4o-mini-2024-07-18:acme::id", "gpt-4o-mini", "o200k_base", "exact"},
		{"openai", "gpt-4.1-mini-2025-04-14", "gpt-4.1-mini", "o200k_base", "exact"},
		{"openai", "gpt-4-0613", "gpt-4", "cl100k_base", "exact"},
		{"azure", "gpt-35-turbo", "gpt-4", "cl100k_base", "exact"},
		{"openai", "gpt-5-mini", "gpt-5-mini", "o200k_base", "exact"},
		{"openai", "gpt-5.4-nano-2026-03-17", "gpt-5.4", "o200k_base", "exact"},
		{"openai", "gpt-9-ultra", "gpt, newer", "o200k_base", "reconstructed"},
		{"openai", "o3-mini-2025-01-31", "o-series", "o200k_base", "exact"},
		{"openrouter", "openai/o4-mini", "o4-mini", "o200k_base", "exact"},
		{"bedrock", "openai.gpt-oss-120b-1:0", "gpt-oss", "o200k_harmony", "reconstructed"},
		{"openai", "text-embedding-3-large", "text-embedding", "cl100k_base", "exact"},
		{"openai", "davinci-002", "text-embedding", "cl100k_base", "exact"},
		{"openai", "text-davinci-003", "davinci", "p50k_base", "exact"},
		{"openai", "davinci", "gpt-3", "r50k_base", "exact"},
		{"openrouter", "deepseek/deepseek-r1", "deepseek-r1", "deepseek_v3", "reconstructed"},
		{"groq", "qwen/qwen3-32b", "qwen", "qwen2", "reconstructed"},
		{"mistral", "mistral-small-latest", "mistral", "tekken", "reconstructed"},
		{"mistral", "open-mistral-7b", "mistral-7b", "o200k_base", "estimate"},
		{"mistral", "open-mixtral-8x22b", "mistral-7b", "o200k_base", "estimate"},
		{"mistral", "open-mistral-nemo", "mistral", "tekken", "reconstructed"},
		{"bedrock", "meta.llama2-70b-chat-v1", "llama-2", "o200k_base", "estimate"},
		{"moonshot", "kimi-k2-0905-preview", "kimi", "kimi_k2", "reconstructed"},
		{"anthropic", "claude-sonnet-4-5-20250929", "claude-4.5", "claude-3", "reconstructed"},
		{"bedrock", "us.anthropic.claude-opus-4-7-v1:0", "claude-4.7", "claude-4.7", "reconstructed"},
		{"vertex", "claude-3-7-sonnet@20250219", "claude-4", "claude-3", "reconstructed"},
		{"openrouter", "anthropic/claude-opus-4.8", "claude-4.8", "claude-4.8", "reconstructed"},
		{"anthropic", "claude-opus-5", "claude-opus-5", "claude-opus-5", "reconstructed"},
		{"anthropic", "claude-next-9", "claude, newer", "claude-4.8", "reconstructed"},
		{"anthropic", "claude-2.1", "claude-2", "o200k_base", "estimate"},
		{"gemini", "gemini-2.5-flash", "gemini-2.5", "o200k_base", "estimate"},
		{"groq", "llama-3.3-70b-versatile", "llama-3", "o200k_base", "estimate"},
		{"somebody", "their-model", "unknown", "o200k_base", "estimate"},
		{"", "", "unknown", "o200k_base", "estimate"},
		{"", strings.Repeat("long", 100), "unknown", "o200k_base", "estimate"},
	} {
		if _, err := Encoding(c.encoding); errors.Is(err, claude.ErrAbsent) {
			c.encoding, c.class = stand, "estimate"
		}
		got := s.For(c.kind, c.model)
		if got.Family != c.family || got.Encoding != c.encoding || got.Class().String() != c.class {
			t.Errorf("%s/%s: got %s by %s, %s; want %s by %s, %s", c.kind, c.model, got.Family, got.Encoding, got.Class(), c.family, c.encoding, c.class)
		}
		if again := s.For(c.kind, c.model); len(c.model) < 200 && again != got {
			t.Errorf("%s/%s: made twice", c.kind, c.model)
		}
	}
}

func TestEveryFamilyHasAnEncodingAndAFrame(t *testing.T) {
	for _, f := range append(slices.Clip(families), unknownFamily) {
		_, err := Encoding(f.encoding)
		if err != nil && !slices.Contains(Loadable(), f.encoding) && !errors.Is(err, claude.ErrAbsent) {
			t.Errorf("%s: %v", f.name, err)
		}
		if f.frame == nil {
			t.Errorf("%s has no frame", f.name)
		}
		if f.media.Known() && f.media.Most == 0 {
			t.Errorf("%s: an image has no bound", f.name)
		}
	}
}

func TestNamesOfClientsDoNotFillTheSet(t *testing.T) {
	s := NewSet(nil)
	for i := range keep + 100 {
		s.For("openai", "gpt-4o-"+strings.Repeat("x", i%97)+string(rune('a'+i/97)))
	}
	if len(s.kept) > keep {
		t.Errorf("%d counters are kept", len(s.kept))
	}
}

func TestASetIsSharedByManyGoroutines(t *testing.T) {
	s := NewSet(nil)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for _, m := range []string{"gpt-4o", "gpt-4", "qwen3-8b"} {
				if n := s.For("", m).Text([]byte("hello world")); n != 2 {
					t.Errorf("%s: %d tokens", m, n)
				}
			}
		})
	}
	wait.Wait()
}

func TestAnEstimateSaysWhatItIs(t *testing.T) {
	s := NewSet(nil)
	ask := func(parts ...llm.Part) *llm.Request {
		return &llm.Request{Op: llm.OpChat, Body: &llm.Chat{Turns: []llm.Turn{{Parts: parts}}}}
	}
	for _, c := range []struct {
		name, model string
		req         *llm.Request
		input       int64
		class       Class
		loose       bool
	}{
		{"plain text of a known vocabulary", "gpt-4o", ask(llm.Part{Text: "hello"}), 8, Exact, false},
		{"tools", "gpt-4o", &llm.Request{Op: llm.OpChat, Body: &llm.Chat{Turns: []llm.Turn{{Parts: []llm.Part{{Text: "hello"}}}}, Tools: []llm.Tool{{Name: "f"}}}}, 31, Reconstructed, true},
		{"an image of unknown size", "gpt-4o", ask(llm.Part{Kind: llm.PartImage, Media: &llm.Media{URL: "https://example.com/a.png"}}), 772, Estimated, true},
		{"an unknown model", "their-model", ask(llm.Part{Text: "hello"}), 8, Estimated, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := s.For("", c.model).Request(c.req)
			if e.Input != c.input || e.Class != c.class || e.Error > 0 != c.loose || e.Upper < e.Input+e.Error {
				t.Errorf("got %+v", e)
			}
			if e.Text+e.Tools+e.Media+e.Frame != e.Input {
				t.Errorf("the parts of %+v are not its sum", e)
			}
		})
	}
}

func TestAPromptThatTheRequestDoesNotHoldIsEstimated(t *testing.T) {
	c := NewSet(nil).For("openai", "gpt-5.6-sol")
	chat := &llm.Chat{Turns: []llm.Turn{{Parts: []llm.Part{{Text: "hello"}}}}}
	part := llm.Part{Kind: llm.PartNative, Name: "item_reference", Raw: []byte(`{"type":"item_reference","id":"msg_1"}`)}
	for _, r := range []struct {
		name string
		req  *llm.Request
		want bool
	}{
		{"an earlier answer", &llm.Request{Op: llm.OpChat, Body: chat, Extra: extra("previous_response_id", `"resp_1"`)}, true},
		{"a template", &llm.Request{Op: llm.OpChat, Body: chat, Extra: extra("prompt", `{"id":"pmpt_1"}`)}, true},
		{"texts of a legacy completion", &llm.Request{Op: llm.OpComplete, Body: &llm.Chat{}, Extra: extra("prompt", `["hello","you"]`)}, false},
		{"a mode that adds to the prompt", &llm.Request{Op: llm.OpChat, Body: chat, Extra: extra("reasoning", `{"mode":"pro"}`)}, true},
		{"another mode", &llm.Request{Op: llm.OpChat, Body: chat, Extra: extra("reasoning", `{"context":"auto"}`)}, false},
		{"a reference to an item", &llm.Request{Op: llm.OpChat, Body: &llm.Chat{Turns: []llm.Turn{{Role: llm.RoleAssistant, Parts: []llm.Part{part}}}}}, true},
		{"embeddings", &llm.Request{Op: llm.OpEmbed, Body: &llm.Embed{Inputs: []llm.EmbedInput{{Text: "hello"}}}}, false},
	} {
		if e := c.Request(r.req); e.Partial != r.want || (e.Class == Estimated) != r.want {
			t.Errorf("%s: partial %t, %s; want %t", r.name, e.Partial, e.Class, r.want)
		}
	}
}

func extra(name, raw string) llm.Extra {
	return llm.Extra{Members: []llm.Member{{Name: name, Raw: []byte(raw)}}}
}

func TestNoTextHasMoreTokensThanItsBound(t *testing.T) {
	texts := []string{"", "a", "A. B. C. D. E. f g h i", "\x7f\n\t\n", strings.Repeat("Z ", 500), strings.Repeat("é\u0301!", 300), strings.Repeat("🙂a", 200), "{\"a\":[1,2,3]}"}
	s := NewSet(nil)
	for _, f := range append(slices.Clip(families), unknownFamily) {
		name, _, _ := strings.Cut(f.models, " ")
		c := s.For(f.kinds, strings.TrimSuffix(name, "*"))
		for _, text := range texts {
			n := int64(c.Text([]byte(text)))
			if e := c.Plain(n, int64(len(text))); n > c.most(int64(len(text))) || e.Upper < n {
				t.Errorf("%s: %.20q has %d tokens of at most %d", f.name, text, n, e.Upper)
			}
		}
	}
}

func TestAStreamCountsAsTheWhole(t *testing.T) {
	for _, model := range []string{"gpt-4o", "claude-unknown", "their-model"} {
		c := NewSet(nil).For("", model)
		text := "Hello wörld, counting while it streams: 12345 tokens…"
		s := c.Stream()
		for i := range len(text) {
			s.Add([]byte(text[i : i+1]))
		}
		if got, want := s.Total(), c.Text([]byte(text)); got != want {
			t.Errorf("%s: got %d, want %d", model, got, want)
		}
	}
}
