package claude_test

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/claude"
)

func TestHowAModelIsAskedToReason(t *testing.T) {
	effort := func(e string) *llm.Thinking { return &llm.Thinking{Effort: e} }
	budget := func(n int64) *llm.Thinking { return &llm.Thinking{Mode: llm.ThinkBudget, Budget: n} }
	for _, c := range []struct {
		name, model string
		th          *llm.Thinking
		max         int64
		forced      bool
		want        claude.Told // without losses
		lost        string      // members, joined by blanks
	}{
		{"nothing said", "claude-sonnet-4-5", nil, 0, false, claude.Told{Max: 64000}, ""},
		{"nothing known", "other", nil, 0, false, claude.Told{Max: 4096}, ""},
		{"an effort for a budget", "claude-sonnet-4-5", effort("medium"), 20000, false, claude.Told{Thinking: claude.Thinking{Form: "enabled", Budget: 8192}, Max: 20000}, ""},
		{"a budget above the limit", "claude-sonnet-4-5", budget(8192), 1000, false, claude.Told{Thinking: claude.Thinking{Form: "enabled", Budget: 8192}, Max: 9216}, "max"},
		{"an effort for an adaptive model", "claude-opus-4-6", effort("low"), 100, false, claude.Told{Thinking: claude.Thinking{Form: "adaptive", Effort: "low"}, Max: 100}, ""},
		{"a budget for an adaptive model", "claude-opus-4-6", budget(20000), 100, false, claude.Told{Thinking: claude.Thinking{Form: "adaptive", Effort: "high"}, Max: 100}, ""},
		{"an effort that the model lacks", "claude-opus-4-6", effort("xhigh"), 100, false, claude.Told{Thinking: claude.Thinking{Form: "adaptive", Effort: "max"}, Max: 100}, "effort"},
		{"no reasoning", "claude-opus-4-6", effort("none"), 100, false, claude.Told{Thinking: claude.Thinking{Form: "disabled"}, Max: 100}, ""},
		{"no reasoning where it cannot be", "claude-opus-5-5", effort("none"), 100, false, claude.Told{Max: 100}, "thinking"},
		{"a model that does not reason", "claude-3-haiku", effort("high"), 100, false, claude.Told{Max: 100}, "thinking"},
		{"a forced form", "claude-sonnet-4", effort("high"), 100, true, claude.Told{Max: 100}, "thinking"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := catalog.Anthropic(c.model)
			got, err := claude.Decide(&claude.Ask{
				Chat: &llm.Chat{Thinking: c.th, MaxTokens: c.max}, Facts: &f, Forced: c.forced,
				Names: claude.Names{Thinking: "thinking", Effort: "effort", Max: "max", Format: "format"},
			})
			if err != nil {
				t.Fatal(err)
			}
			var lost []string
			for _, l := range got.Losses {
				lost = append(lost, l.Path)
			}
			if got.Thinking != c.want.Thinking || got.Max != c.want.Max || strings.Join(lost, " ") != c.lost {
				t.Errorf("got %+v", *got)
			}
		})
	}
	f := catalog.Anthropic("claude-opus-5-5")
	_, err := claude.Decide(&claude.Ask{Chat: &llm.Chat{}, Facts: &f, Forced: true, Names: claude.Names{Format: "format"}})
	if e, ok := err.(*llm.Error); !ok || e.Param != "format" {
		t.Errorf("a forced form where none can be: %v", err)
	}
}
