package naming_test

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog/naming"
)

func TestNamesOfOneModel(t *testing.T) {
	for _, c := range []struct {
		id, name string
		parts    naming.Parts
	}{
		{"claude-sonnet-4-5", "claude-sonnet-4-5", naming.Parts{}},
		{"claude-sonnet-4-5-20250929", "claude-sonnet-4-5", naming.Parts{Date: 20250929}},
		{"claude-sonnet-4-5@20250929", "claude-sonnet-4-5", naming.Parts{Date: 20250929}},
		{"claude-opus-5@default", "claude-opus-5", naming.Parts{}},
		{"anthropic/claude-sonnet-4.5", "claude-sonnet-4-5", naming.Parts{}},
		{"anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5", naming.Parts{Date: 20250929}},
		{"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5", naming.Parts{Date: 20250929, Region: "us"}},
		{"global.anthropic.claude-opus-4-6-v1", "claude-opus-4-6", naming.Parts{Region: "global"}},
		{"arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.anthropic.claude-opus-4-1-20250805-v1:0", "claude-opus-4-1", naming.Parts{Date: 20250805, Region: "eu"}},
		{"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet", naming.Parts{Date: 20241022}},
		{"anthropic.claude-v2:1", "claude-v2", naming.Parts{}},
		{"claude-4-opus-20250514", "claude-opus-4", naming.Parts{Date: 20250514}},
		{"claude-opus-4-0", "claude-opus-4", naming.Parts{}},
		{"databricks-claude-sonnet-4-5", "claude-sonnet-4-5", naming.Parts{}},
		{"claude-3-7-sonnet-latest", "claude-3-7-sonnet", naming.Parts{}},
		{"gpt-4o-2024-08-06", "gpt-4o", naming.Parts{Date: 20240806}},
		{"ft:gpt-4o-mini-2024-07-18:acme::id", "gpt-4o-mini", naming.Parts{Date: 20240718, Variant: "ft"}},
		{"gpt-35-turbo-16k", "gpt-3-5-turbo-16k", naming.Parts{}},
		{"gpt-5.1-codex", "gpt-5-1-codex", naming.Parts{}},
		{"openai.gpt-oss-120b-1:0", "gpt-oss-120b", naming.Parts{}},
		{"@cf/openai/gpt-oss-120b", "gpt-oss-120b", naming.Parts{}},
		{"deepseek.v3-v1:0", "deepseek-v3", naming.Parts{}},
		{"us.deepseek.r1-v1:0", "deepseek-r1", naming.Parts{Region: "us"}},
		{"accounts/fireworks/models/deepseek-v3p2", "deepseek-v3-2", naming.Parts{}},
		{"accounts/fireworks/models/glm-4p7", "glm-4-7", naming.Parts{}},
		{"zai-glm-4.7", "glm-4-7", naming.Parts{}},
		{"google/gemma-4-31b-it:free", "gemma-4-31b-it", naming.Parts{Variant: "free"}},
		{"qwen/qwen-plus-2025-07-28:thinking", "qwen-plus-thinking", naming.Parts{Date: 20250728}},
		{"qwen-3-32b", "qwen3-32b", naming.Parts{}},
		{"qwen.qwen3-32b-v1:0", "qwen3-32b", naming.Parts{}},
		{"meta.llama3-3-70b-instruct-v1:0", "llama-3-3-70b", naming.Parts{}},
		{"Meta-Llama-3_3-70B-Instruct", "llama-3-3-70b", naming.Parts{}},
		{"llama-3.3-70b-versatile", "llama-3-3-70b", naming.Parts{}},
		{"accounts/fireworks/models/llama-v3p1-405b-instruct", "llama-3-1-405b", naming.Parts{}},
		{"llama3.1-8b", "llama-3-1-8b", naming.Parts{}},
		{"amazon.nova-lite-v1:0", "nova-lite", naming.Parts{}},
		{"amazon/nova-lite-v1", "nova-lite", naming.Parts{}},
		{"moonshotai/kimi-k2-thinking-maas", "kimi-k2-thinking", naming.Parts{}},
		{"gemini-2.5-flash", "gemini-2-5-flash", naming.Parts{}},
		{"-2025-01-01", "-2025-01-01", naming.Parts{}},
		{"", "", naming.Parts{}},
		{strings.Repeat("x", naming.Longest+1), "", naming.Parts{}},
	} {
		name, parts := naming.Append(nil, c.id)
		if string(name) != c.name || parts != c.parts {
			t.Errorf("%s: got %s, %+v; want %s, %+v", c.id, name, parts, c.name, c.parts)
		}
	}
}

func TestReadingANameAllocatesNothing(t *testing.T) {
	for _, id := range []string{"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "gpt-35-turbo", "meta.llama3-3-70b-instruct-v1:0", "qwen/qwen-plus:thinking"} {
		if n := testing.AllocsPerRun(100, func() {
			var buf [naming.Longest + 16]byte
			naming.Append(buf[:0], id)
		}); n != 0 {
			t.Errorf("%s: %v allocations", id, n)
		}
	}
}

func FuzzAppend(f *testing.F) {
	f.Add("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
	f.Add("claude-4-opus-2025-01-01-v2:0")
	f.Add("ft:gpt-35:x")
	f.Fuzz(func(t *testing.T, id string) {
		name, _ := naming.Append([]byte("before"), id)
		if !strings.HasPrefix(string(name), "before") {
			t.Errorf("%q: what stood in the buffer is gone: %q", id, name)
		}
		again, _ := naming.Append(nil, id)
		if string(name[6:]) != string(again) {
			t.Errorf("%q: %q and %q", id, name, again)
		}
		if len(again) > naming.Longest+16 {
			t.Errorf("%q: %d bytes", id, len(again))
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	var buf [naming.Longest + 16]byte
	for b.Loop() {
		naming.Append(buf[:0], "us.anthropic.claude-sonnet-4-5-20250929-v1:0")
	}
}
