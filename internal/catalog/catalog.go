// Package catalog knows models: their names at every vendor, limits, abilities, prices and dates, and how
// they must be asked.
//
//	model-facts.json ─ ./gen ─► models.tsv (embedded) ─ decode ─► Model ─► Find
//	                            rules by name ──────────────────► Facts, for codecs
//
// An unknown newer model of a known family is taken to behave like the newest known one; its price is never
// guessed. It is not a list of what may be used: providers and routes say that.
package catalog

import "github.com/signalbox-ai/signalbox/internal/catalog/ability"

// Thinking is the form in which a model is asked to reason.
type Thinking uint8

// Thinking forms. A dialect writes each in its own way.
const (
	ThinkNone     Thinking = iota // does not reason, or is not asked
	ThinkEffort                   // a word: openai-chat reasoning_effort, Nova maxReasoningEffort
	ThinkBudget                   // tokens: anthropic thinking {type: enabled, budget_tokens}, Gemini 2.5 thinkingBudget, Cohere token_budget
	ThinkAdaptive                 // anthropic thinking {type: adaptive} with output_config.effort
	ThinkLevel                    // a word of Gemini 3: thinkingLevel
	ThinkSwitch                   // on or off: thinking {type: enabled or disabled}, enable_thinking
)

// Facts is what a codec must know of a model to write a request that it accepts.
type Facts struct {
	Context        int64 // context window in tokens; 0: unknown
	Input          int64 // largest prompt in tokens, where the answer has room of its own beside it; 0: both share the window
	MaxOutput      int64 // largest output in tokens; 0: unknown
	Thinking       Thinking
	Efforts        []string // efforts or levels it accepts, weakest first; nil: unknown
	JSONSchema     bool     // takes a schema for its output
	DeveloperRole  bool     // wants developer in place of system
	CompletionsMax bool     // wants max_completion_tokens in place of max_tokens
	MidSystem      bool     // accepts system messages in the middle of a conversation
	NoSystem       bool     // refuses system and developer messages
	Known          bool     // the registry has it, or its family: what Can lacks it probably cannot
	Can            ability.Set
	Reasoning
	Sampling
}

// Reasoning is how a model reasons.
type Reasoning struct {
	ThinkDefault  bool  // reasons even when not asked to
	ThinkAlways   bool  // cannot be told not to reason
	NoForcedThink bool  // refuses a forced tool choice at all times while reasoning
	BudgetMin     int64 // smallest budget above 0, where it reasons within one
	BudgetMax     int64 // largest; 0: no bound of its own
}

// Sampling is which of the sampling members a model takes.
type Sampling struct {
	NoSampling      bool    // refuses temperature, top_p and top_k at all times
	OneSampling     bool    // refuses temperature and top_p together
	NoSamplingThink bool    // refuses the sampling members while it reasons
	NoPenalties     bool    // refuses presence_penalty, frequency_penalty and stop
	MaxTemperature  float64 // largest temperature; 0: unknown
}

// Lacks reports whether a model is known, and not to have an ability: a codec may refuse what needs it.
func (f *Facts) Lacks(a ability.Set) bool { return f.Known && !f.Can.Has(a) }
