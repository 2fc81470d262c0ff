package catalog

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

func TestOpenAIModelsAreKnownByTheirLongestPrefix(t *testing.T) {
	for _, tc := range []struct {
		model                             string
		thinks, always, noSystem, sampled bool
		context                           int64
		efforts                           string
	}{
		{"gpt-4o-mini-2024-07-18", false, false, false, true, 128_000, ""},
		{"ft:gpt-4o-mini:org::id", false, false, false, true, 128_000, ""},
		{"gpt-5-chat-latest", false, false, false, true, 128_000, ""},
		{"gpt-5-mini", true, true, false, false, 272_000, "minimal"},
		{"gpt-5.1", false, false, false, true, 272_000, "none"},
		{"gpt-5.4-mini-2026-03-17", false, false, false, true, 272_000, "none"},
		{"gpt-5.6-sol", true, false, false, true, 1_050_000, "none"},
		{"gpt-5.9", true, false, false, true, 1_050_000, "none"},
		{"o1-mini-2024-09-12", true, true, true, false, 128_000, ""},
		{"o3", true, true, false, false, 200_000, "low"},
		{"some-other-model", false, false, false, true, 0, ""},
	} {
		f := OpenAI(tc.model)
		weakest := ""
		if len(f.Efforts) > 0 {
			weakest = f.Efforts[0]
		}
		if f.ThinkDefault != tc.thinks || f.ThinkAlways != tc.always || f.NoSystem != tc.noSystem || f.NoSampling == tc.sampled ||
			f.Context != tc.context || weakest != tc.efforts {
			t.Errorf("%s: %+v", tc.model, f)
		}
		if f.NoSystem && f.DeveloperRole {
			t.Errorf("%s takes developer and no system message", tc.model)
		}
	}
	if OpenAI("some-other-model").Efforts != nil || OpenAI("gpt-4o").Efforts == nil {
		t.Error("an unknown model takes any effort, and one that does not reason takes none")
	}
}

// notReasoning are listed as reasoning models and are none.
var notReasoning = []string{"gpt-5-chat", "gpt-5.1-chat", "gpt-5.2-chat", "gpt-5.3-chat"}

func TestTheTableAgreesWithTheListOfFacts(t *testing.T) {
	dir := os.Getenv("SIGNALBOX_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "model-facts.json"))
	if os.IsNotExist(err) && os.Getenv("SIGNALBOX_REQUIRE_DATA") != "1" {
		t.Skip("the list of model facts is not there")
	}
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Models []struct {
			Provider  string   `json:"provider"`
			ID        string   `json:"id"`
			Mode      string   `json:"mode"`
			Context   int64    `json:"context"`
			MaxOutput int64    `json:"max_output"`
			Caps      []string `json:"caps"`
			Not       []string `json:"not"`
		} `json:"models"`
	}
	if err := jsonx.Decode(raw, &list); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range list.Models {
		if m.Provider != "openai" || m.Mode != "chat" {
			continue
		}
		n++
		f := OpenAI(m.ID)
		if f.Context != m.Context || f.MaxOutput != m.MaxOutput {
			t.Errorf("%s: %d and %d, listed %d and %d", m.ID, f.Context, f.MaxOutput, m.Context, m.MaxOutput)
		}
		plain := slices.ContainsFunc(notReasoning, func(p string) bool { return len(m.ID) >= len(p) && m.ID[:len(p)] == p })
		if reasons := slices.Contains(m.Caps, "reasoning") && !plain; reasons != (f.Thinking == ThinkEffort) && m.ID != "gpt-5-search-api" && m.ID != "gpt-5-search-api-2025-10-14" {
			t.Errorf("%s: reasons %v", m.ID, reasons)
		}
		if f.Thinking == ThinkEffort {
			for _, e := range []string{"none", "minimal", "xhigh"} {
				if slices.Contains(m.Caps, "effort_"+e) && !slices.Contains(f.Efforts, e) || slices.Contains(m.Not, "effort_"+e) && slices.Contains(f.Efforts, e) {
					t.Errorf("%s: effort %s", m.ID, e)
				}
			}
		}
		if slices.Contains(m.Caps, "json_schema") != f.JSONSchema {
			t.Errorf("%s: json_schema", m.ID)
		}
	}
	if n < 40 {
		t.Errorf("only %d models were compared", n)
	}
}

func TestTheLargestPromptStandsApartWhereTheAnswerHasRoomOfItsOwn(t *testing.T) {
	for _, c := range []struct {
		kind, model string
		want        int64
	}{
		{"openai", "gpt-5", 272_000},
		{"openai", "gpt-5-2025-08-07", 272_000},
		{"azure", "gpt-5-mini", 272_000},
		{"openai", "gpt-5.4", 922_000},
		{"bedrock", "openai.gpt-5.4", 272_000}, // as that cloud lists it
		{"openrouter", "openai/gpt-5.1", 272_000},
		{"openai", "gpt-5-chat-latest", 0},
		{"openai", "gpt-4o", 0},
		{"openai", "o3", 0},
		{"gemini", "gemini-2.5-flash", 1_048_576},
		{"vertex", "gemini-3-pro-preview", 1_048_576},
		{"anthropic", "claude-sonnet-4-5", 0},
		{"mistral", "mistral-large-latest", 0},
	} {
		if got := FactsOf(c.kind, c.model).Input; got != c.want {
			t.Errorf("%s of %s takes prompts of %d tokens, want %d", c.model, c.kind, got, c.want)
		}
	}
}
