package fit

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

func TestEffortsAreFitted(t *testing.T) {
	for want, in := range map[string]llm.Thinking{
		llm.EffortNone: {Mode: llm.ThinkOff, Effort: llm.EffortHigh}, llm.EffortLow: {Mode: llm.ThinkBudget, Budget: 1024},
		llm.EffortXHigh: {Mode: llm.ThinkBudget, Budget: 24576}, llm.EffortMedium: {Mode: llm.ThinkAdaptive}, "": {},
	} {
		if got := WantedEffort(&in, false); got != want {
			t.Errorf("%+v: effort %q, want %q", in, got, want)
		}
	}
	if e := NearestEffort(llm.EffortXHigh, []string{llm.EffortNone, llm.EffortLow, llm.EffortHigh}); e != llm.EffortHigh {
		t.Errorf("effort %q", e)
	}
	if e := NearestEffort(llm.EffortMinimal, []string{llm.EffortNone, llm.EffortLow}); e != llm.EffortLow {
		t.Errorf("reasoning is turned off: %q", e)
	}
}

func TestStrictSchemasAreKnown(t *testing.T) {
	for schema, want := range map[string]bool{
		`{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}`: true,
		`{"type":"object","properties":{"a":{}},"required":["a"]}`:                              false,
		`{"type":"object","properties":{"a":{}},"additionalProperties":false}`:                  false,
		`{"type":"array","items":{"type":"object"}}`:                                            false,
		`{"type":"string"}`: true,
	} {
		if got := StrictSchema([]byte(schema)); got != want {
			t.Errorf("%s: %v", schema, got)
		}
	}
}
