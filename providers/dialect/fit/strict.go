package fit

import (
	"slices"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// StrictSchema reports whether a schema fits strict mode as far as its objects go: each closed, with every
// property required.
func StrictSchema(raw []byte) bool {
	if jsonx.Kind(raw) == '[' {
		for _, v := range jsonx.Elements(raw) {
			if !StrictSchema(v) {
				return false
			}
		}
		return true
	}
	if jsonx.Kind(raw) != '{' {
		return true
	}
	var required []string
	for _, v := range jsonx.Elements(jsonx.Get(raw, "required")) {
		s, _ := jsonx.String(v)
		required = append(required, s)
	}
	properties := jsonx.Get(raw, "properties")
	if open, said := jsonx.Bool(jsonx.Get(raw, "additionalProperties")); (open || !said) &&
		(properties != nil || word(jsonx.Get(raw, "type")) == "object") {
		return false
	}
	for n, v := range jsonx.Members(properties) {
		if !slices.Contains(required, string(n)) || !StrictSchema(v) {
			return false
		}
	}
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "items", "anyOf", "allOf", "oneOf":
			if !StrictSchema(v) {
				return false
			}
		case "$defs", "definitions":
			for _, d := range jsonx.Members(v) {
				if !StrictSchema(d) {
					return false
				}
			}
		}
	}
	return true
}

func word(raw []byte) string {
	s, _ := jsonx.String(raw)
	return s
}

// ladder is the order of the efforts.
var ladder = [...]string{
	llm.EffortNone, llm.EffortMinimal, llm.EffortLow, llm.EffortMedium, llm.EffortHigh, llm.EffortXHigh, llm.EffortMax,
}

// WantedEffort is the effort that a request asks for, "" for the model's own choice.
func WantedEffort(th *llm.Thinking, byDefault bool) string {
	switch {
	case th.Mode == llm.ThinkOff:
		return llm.EffortNone
	case th.Effort != "":
		return th.Effort
	case th.Mode == llm.ThinkBudget:
		switch b := th.Budget; {
		case b <= 0:
			return llm.EffortMedium
		case b <= 4096:
			return llm.EffortLow
		case b <= 12288:
			return llm.EffortMedium
		case b < 24576:
			return llm.EffortHigh
		default:
			return llm.EffortXHigh
		}
	case th.Mode == llm.ThinkAdaptive && !byDefault:
		return llm.EffortMedium
	}
	return ""
}

// NearestEffort picks the accepted effort next below the wanted one, or else the weakest above. Reasoning
// that was asked for is not turned off.
func NearestEffort(want string, accepted []string) string {
	at := slices.Index(ladder[:], want)
	if at < 0 || slices.Contains(accepted, want) {
		return want
	}
	for i := at - 1; i > 0; i-- {
		if slices.Contains(accepted, ladder[i]) {
			return ladder[i]
		}
	}
	for _, e := range ladder[at+1:] {
		if slices.Contains(accepted, e) {
			return e
		}
	}
	return want
}
