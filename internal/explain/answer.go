package explain

import (
	"github.com/signalbox-ai/signalbox/internal/ledger"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
)

// Answer is the report on an exchange of the ledger as the admin API gives it, without its records.
func (r *Report) Answer() *v1.ExplainExchangeResponse {
	out := &v1.ExplainExchangeResponse{Seed: r.Seed, Route: r.Route, Arm: r.Arm, Unusable: reasons(r.Unusable)}
	if a := r.Again; a != nil {
		out.ConfigThen, out.ConfigNow, out.Unknown, out.Differences = a.Then, a.Now, a.Unknown, a.Differences
	}
	for _, t := range r.Routes {
		out.Routes = append(out.Routes, &v1.ExplainedRoute{Name: t.Name, Takes: t.Takes, Why: t.Why})
	}
	for i := range r.Targets {
		t := &r.Targets[i]
		out.Targets = append(out.Targets, &v1.ExplainedTarget{
			Target: t.Name, PromptTokens: t.Prompt, AnswerTokens: t.Answer, CostNanoUsd: (*int64)(t.Cost), FirstMs: t.First, TookMs: t.Takes, Success: t.Success, Attempts: t.Weight,
		})
	}
	for i := range r.Policies {
		p := &r.Policies[i]
		e := &v1.ExplainedPolicy{Policy: p.Name, In: p.In, Out: p.Out, Dropped: reasons(p.Dropped)}
		for _, s := range p.Scores {
			e.Scores = append(e.Scores, &v1.ExplainedReason{Target: s.Target, Why: s.Score})
		}
		out.Policies = append(out.Policies, e)
	}
	for _, s := range r.Plan {
		out.Plan = append(out.Plan, s.Target)
	}
	if r.Refused != nil {
		out.Refused = r.Refused.Message
	}
	return out
}

func reasons(all []Dropped) (out []*v1.ExplainedReason) {
	for _, d := range all {
		out = append(out, &v1.ExplainedReason{Target: d.Target, Why: d.Why})
	}
	return out
}

// Read is the report that an answer of the admin API is of. What it says of the request stands in its records.
func Read(m *v1.ExplainExchangeResponse) *Report {
	r := &Report{Seed: m.Seed, Route: m.Route, Arm: m.Arm, Unusable: said(m.Unusable), Again: &Again{m.ConfigThen, m.ConfigNow, m.Unknown, m.Differences}}
	for _, t := range m.Routes {
		r.Routes = append(r.Routes, Route{t.Name, t.Takes, t.Why})
	}
	for _, t := range m.Targets {
		r.Targets = append(r.Targets, Target{
			Name: t.Target, Prompt: t.PromptTokens, Answer: t.AnswerTokens, Cost: (*ledger.Nano)(t.CostNanoUsd), First: t.FirstMs, Takes: t.TookMs, Success: t.Success, Weight: t.Attempts,
		})
	}
	for _, p := range m.Policies {
		e := Policy{Name: p.Policy, In: p.In, Out: p.Out, Dropped: said(p.Dropped)}
		for _, s := range p.Scores {
			e.Scores = append(e.Scores, Score{s.Target, s.Why})
		}
		r.Policies = append(r.Policies, e)
	}
	for _, t := range m.Plan {
		r.Plan = append(r.Plan, Step{Target: t})
	}
	if m.Refused != "" {
		r.Refused = &Fault{Message: m.Refused}
	}
	return r
}

func said(all []*v1.ExplainedReason) (out []Dropped) {
	for _, d := range all {
		out = append(out, Dropped{d.Target, d.Why})
	}
	return out
}
