// Package ability names what models can do, as sets. A set is what is stated: a member that is missing is
// not known, unless a second set states what a model cannot do.
package ability

import (
	"math/bits"
	"strings"
)

// Set is a set of abilities.
type Set uint32

// Abilities.
const (
	Tools         Set = 1 << iota // calls functions
	ToolChoice                    // can be told whether and which to call
	ParallelTools                 // calls several at once
	JSONSchema                    // takes a schema for its output
	Reasoning                     // reasons before it answers
	Adaptive                      // reasons as much as it sees fit
	EffortNone                    // takes the effort none, and minimal, xhigh, max below
	EffortMinimal
	EffortXHigh
	EffortMax
	Vision // images in the input, and so on with the next
	PDF
	AudioIn
	AudioOut
	VideoIn
	Caching // the provider caches prompts
	System  // takes a system message
	Prefill // goes on from the beginning of an answer
	WebSearch
	ComputerUse
	Sampling    // takes temperature, top_p and top_k
	OpenWeights // its weights are published
	Batch       // has a batch price
)

var names = [...]string{
	"tools", "tool_choice", "parallel_tools", "json_schema", "reasoning", "adaptive_thinking", "effort_none", "effort_minimal", "effort_xhigh", "effort_max",
	"vision", "pdf", "audio_in", "audio_out", "video_in", "prompt_cache", "system", "prefill", "web_search", "computer_use", "sampling_params", "open_weights", "batch",
}

// Names returns the names of all abilities.
func Names() []string { return append([]string(nil), names[:]...) }

// Parse returns the ability of a name.
func Parse(name string) (Set, bool) {
	for i, n := range names {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// Has reports whether all of other are in the set.
func (s Set) Has(other Set) bool { return s&other == other }

// Names returns the names of the members.
func (s Set) Names() []string {
	out := make([]string, 0, bits.OnesCount32(uint32(s)))
	for i, n := range names {
		if s&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return out
}

// String returns the names of the members, with commas.
func (s Set) String() string { return strings.Join(s.Names(), ",") }
