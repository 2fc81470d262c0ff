// Package catalog knows models: their names at every vendor, limits, abilities, prices and dates, and how
// they must be asked.
//
//	model-facts.json ─ ./gen ─► models.tsv (embedded) ─ decode ─► Model ─► Find
//	                            rules by name ──────────────────► Facts, for codecs
//
// An unknown newer model of a known family is taken to behave like the newest known one; its price is never
// guessed. It is not a list of what may be used: providers and routes say that.
package catalog

// Thinking is the form in which a model is asked to reason.
type Thinking uint8

// Thinking forms.
const (
	ThinkNone     Thinking = iota // does not reason, or is not asked
	ThinkEffort                   // openai-chat reasoning_effort
	ThinkBudget                   // anthropic thinking {type: enabled, budget_tokens}
	ThinkAdaptive                 // anthropic thinking {type: adaptive} with output_config.effort
)

// Facts is what a codec must know of a model to write a request that it accepts.
type Facts struct {
	Context         int64 // context window in tokens; 0: unknown
	MaxOutput       int64 // largest output in tokens; 0: unknown
	Thinking        Thinking
	ThinkDefault    bool     // reasons even when not asked to
	ThinkAlways     bool     // cannot be told not to reason
	Efforts         []string // efforts it accepts, weakest first; nil: unknown
	NoSampling      bool     // refuses temperature, top_p and top_k at all times
	OneSampling     bool     // refuses temperature and top_p together
	NoForcedThink   bool     // refuses a forced tool choice at all times while reasoning
	JSONSchema      bool     // takes a schema for its output
	DeveloperRole   bool     // wants developer in place of system
	CompletionsMax  bool     // wants max_completion_tokens in place of max_tokens
	MidSystem       bool     // accepts system messages in the middle of a conversation
	NoSystem        bool     // refuses system and developer messages
	NoSamplingThink bool     // refuses the sampling members while it reasons
}
