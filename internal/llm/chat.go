package llm

// Chat is a conversation to continue: the body of OpChat.
type Chat struct {
	Turns     []Turn // in order; system text keeps its place among them
	Tools     []Tool
	Choice    ToolChoice
	Parallel  *bool // whether several tools may be called at once; nil: not said
	Output    Output
	Thinking  *Thinking // nil: not said
	Sampling  Sampling
	MaxTokens int64    // output limit in tokens, reasoning included; 0: not said
	Stop      []string // stop sequences
	N         int      // number of answers; 0: not said, which means 1
	Logprobs  *Logprobs
	Hints     Hints
}

func (*Chat) op() Op { return OpChat }

// Role says who speaks in a turn.
type Role uint8

// Roles. A tool's reply is a Reply part in a RoleUser turn.
const (
	RoleUser Role = iota
	RoleAssistant
	RoleSystem
	RoleDeveloper // OpenAI's newer word for system; other dialects treat it as RoleSystem
)

// Turn is one message. Neighbours of the same role stay apart, as the client sent them: a writer whose
// dialect needs them merged merges them.
type Turn struct {
	Role  Role
	Name  string // the speaker's name, where the dialect has one
	Parts []Part
	Extra []Member
}

// Tool is something that the model may call.
type Tool struct {
	Name        string
	Description string
	Schema      []byte // JSON Schema of the arguments as received; nil: none given
	Strict      *bool
	Cache       *CacheMark
	Native      string // "" for a function, FreeText for a tool that takes free text; else the dialect's own type, such as "web_search_20250305"
	Raw         []byte // a native tool whole, as received
	Grammar     *Grammar
	Extra       []Member
}

// FreeText is the Native of tools that take free text in place of arguments, and of calls of them.
const FreeText = "custom"

// Grammar is what the free text of a tool must fit.
type Grammar struct {
	Syntax     string // "lark" or "regex"
	Definition string
}

// ChoiceMode says how free the model is to call tools.
type ChoiceMode uint8

// Choice modes.
const (
	ChoiceUnset    ChoiceMode = iota // the dialect's default: auto when there are tools
	ChoiceAuto                       // the model decides
	ChoiceNone                       // no tool may be called
	ChoiceAny                        // some tool must be called
	ChoiceOne                        // the tool Names[0] must be called
	ChoiceSomeAuto                   // the model decides among Names
	ChoiceSomeAny                    // one of Names must be called
)

// ToolChoice limits which tools the model may or must call.
type ToolChoice struct {
	Mode  ChoiceMode
	Names []string
}

// OutputKind is the form in which the answer's text is due.
type OutputKind uint8

// Output kinds.
const (
	OutputUnset  OutputKind = iota
	OutputText              // text, said explicitly
	OutputJSON              // any JSON object
	OutputSchema            // JSON that fits Output.Schema
)

// Output says in which form the answer's text is due.
type Output struct {
	Kind        OutputKind
	Name        string
	Description string
	Schema      []byte // JSON Schema as received
	Strict      *bool
}

// ThinkMode says whether the model reasons before it answers.
type ThinkMode uint8

// Thinking modes.
const (
	ThinkUnset    ThinkMode = iota // only an effort was given
	ThinkOff                       // no reasoning
	ThinkBudget                    // reason, within Thinking.Budget tokens
	ThinkAdaptive                  // reason as much as the model sees fit
)

// Efforts, weakest first. They are the union of what vendors accept; TRANSLATION's effort table maps
// them to budgets and levels.
const (
	EffortNone    = "none"
	EffortMinimal = "minimal"
	EffortLow     = "low"
	EffortMedium  = "medium"
	EffortHigh    = "high"
	EffortXHigh   = "xhigh"
	EffortMax     = "max"
)

// Thinking asks for reasoning.
type Thinking struct {
	Mode    ThinkMode
	Effort  string // one of the efforts, or "" when not said
	Budget  int64  // tokens, for ThinkBudget
	Display string // how reasoning is shown, in the dialect's own word ("summarized", "omitted"); "" when not said
}

// Sampling steers how tokens are drawn. Nil: not said.
type Sampling struct {
	Temperature      *float64
	TopP             *float64
	TopK             *int64
	Seed             *int64
	PresencePenalty  *float64
	FrequencyPenalty *float64
	LogitBias        []byte // JSON object as received
}

// Logprobs asks for log probabilities of the answer's tokens.
type Logprobs struct {
	On  bool
	Top *int64 // how many alternatives for each token, 0 to 20
}

// Hints are members that steer bookkeeping and not meaning. Empty: not said.
type Hints struct {
	User        string // end user's id (openai-chat user or safety_identifier; anthropic metadata.user_id)
	ServiceTier string
	CacheKey    string
	CacheTTL    string // prompt_cache_retention
	Verbosity   string
	Metadata    []byte // JSON object as received
	Store       *bool
}
