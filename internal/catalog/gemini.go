package catalog

// Levels of Gemini 3, weakest first.
var (
	levelsFlash = []string{"minimal", "low", "medium", "high"}
	levelsPro   = []string{"low", "medium", "high"}
	levelsPro3  = []string{"low", "high"}
)

// gemini are the rules of Google's models, on the Gemini API, on Vertex AI and elsewhere
// (https://ai.google.dev/gemini-api/docs/thinking).
var gemini = []rule{
	// A Gemini that is newer than all below is like the newest known one of its line.
	{prefix: "gemini-", facts: geminiLevel(levelsFlash)},
	{prefix: "gemini-", has: "-pro", facts: geminiLevel(levelsPro)},
	{prefix: "gemini-", has: "-image", facts: geminiLevel(nil)},
	{prefix: "gemini-pro", facts: geminiLevel(levelsPro)},
	{prefix: "gemini-3-pro", facts: geminiLevel(levelsPro3)},

	{prefix: "gemini-2-5-pro", facts: geminiBudget(128, 32_768, true, true)},
	{prefix: "gemini-2-5-computer-use", facts: geminiBudget(128, 32_768, true, true)},
	{prefix: "gemini-2-5-flash", facts: geminiBudget(1, 24_576, true, false)},
	{prefix: "gemini-2-5-flash-lite", facts: geminiBudget(512, 24_576, false, false)},
	{prefix: "gemini-robotics", facts: geminiBudget(1, 24_576, true, false)},

	{prefix: "gemini-2-5-flash-image", facts: geminiPlain()},
	{prefix: "gemini-2-5-flash-native-audio", facts: geminiPlain()},
	{prefix: "gemini-2-5-pro-preview-tts", facts: geminiPlain()},
	{prefix: "gemini-1", facts: geminiPlain()},
	{prefix: "gemini-1", has: "-pro", facts: geminiPlain()},
	{prefix: "gemini-2-0", facts: geminiPlain()},
	{prefix: "gemini-exp", facts: geminiPlain()},
	{prefix: "gemini-gemma", facts: geminiPlain()},
	{prefix: "gemini-", has: "-live-", facts: geminiPlain()},
	{prefix: "gemini-live", facts: geminiPlain()},
	{prefix: "learnlm", facts: geminiPlain()},

	{prefix: "gemma", facts: plainModel()},
	{prefix: "gemma-4", facts: thinksSwitched(false)},
	{prefix: "gemma", vendor: "gemini", facts: Facts{Efforts: effortsNone, NoSystem: true}}, // 400: developer instruction is not enabled
}

func geminiPlain() Facts {
	return Facts{Efforts: effortsNone, JSONSchema: true, Sampling: Sampling{MaxTemperature: 2}}
}

// geminiBudget is a Gemini 2.5, which reasons within a budget; 0 turns that off, where it can be.
func geminiBudget(least, most int64, byDefault, always bool) Facts {
	f := geminiPlain()
	f.Thinking = ThinkBudget
	f.Reasoning = Reasoning{ThinkDefault: byDefault, ThinkAlways: always, BudgetMin: least, BudgetMax: most}
	return f
}

// geminiLevel is a Gemini 3 or newer, which always reasons, at a level. A budget beside it is a 400.
func geminiLevel(levels []string) Facts {
	f := geminiPlain()
	f.Thinking, f.Efforts = ThinkLevel, levels
	f.Reasoning = Reasoning{ThinkDefault: true, ThinkAlways: true}
	return f
}
