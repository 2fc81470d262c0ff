// Package remote keeps runs of evaluations in the store of a service, through its admin API, as package evals keeps them in
// files. It asks no model, and decides nothing.
package remote

import (
	"github.com/signalbox-ai/signalbox/internal/evals"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
)

// Outcome reads an outcome as the API has it.
func Outcome(m *v1.EvalOutcome) evals.Outcome {
	o := evals.Outcome{
		Case: m.Case, Target: m.Target, Pass: m.Pass, Error: m.Error, Text: m.Text, Prompt: m.PromptTokens, Output: m.OutputTokens, Cached: m.CachedTokens,
		Cost: m.CostNanoUsd, Priced: m.Priced, Judging: m.JudgeNanoUsd, First: m.FirstTokenMs, Total: m.TotalMs, Exchange: m.Exchange,
	}
	for _, c := range m.Checks {
		o.Checks = append(o.Checks, evals.Found{Check: c.Check, Pass: c.Pass, Why: c.Why, Void: c.Undecided})
	}
	return o
}

// Message writes an outcome as the API has it.
func Message(o *evals.Outcome) *v1.EvalOutcome {
	m := &v1.EvalOutcome{
		Case: o.Case, Target: o.Target, Pass: o.Pass, Error: o.Error, Text: o.Text, PromptTokens: o.Prompt, OutputTokens: o.Output, CachedTokens: o.Cached,
		CostNanoUsd: o.Cost, Priced: o.Priced, JudgeNanoUsd: o.Judging, FirstTokenMs: o.First, TotalMs: o.Total, Exchange: o.Exchange,
	}
	for i := range o.Checks {
		c := &o.Checks[i]
		m.Checks = append(m.Checks, &v1.EvalCheck{Check: c.Check, Pass: c.Pass, Why: c.Why, Undecided: c.Void})
	}
	return m
}
