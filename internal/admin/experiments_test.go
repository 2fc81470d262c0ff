package admin_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/override"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
	"github.com/signalbox-ai/signalbox/routing"
)

// tried are routes of which one has an experiment.
func tried() []*routing.Route {
	e := &experiment.Experiment{Name: "smaller", By: experiment.ByUser, Arms: []experiment.Arm{{Name: "control", Weight: 9}, {Name: "small", Weight: 1}}}
	t := &routing.Trial{Experiment: e, Labels: []string{"smaller/control", "smaller/small"}}
	for _, m := range []string{"gpt-5.1", "gpt-5-mini"} {
		t.Routes = append(t.Routes, &routing.Route{Name: "support", Targets: []routing.Target{{Provider: "openai", Model: m}}})
	}
	hot := 0.25
	t.Template, t.Routes[1].Change = "reply", &override.Change{Version: "next", Parameters: &override.Parameters{Temperature: &hot, MaxTokens: 300, Stop: []string{"END"}}}
	support := &routing.Route{Name: "support"}
	support.Trial = t
	return []*routing.Route{{Name: "other"}, support}
}

func TestExperimentsAreChangedByTheAdministrator(t *testing.T) {
	r := newRig(t)
	const service = "ExperimentService/"
	r.want(root, service+"ListExperiments", `{}`, 200, `"name":"smaller"`, `"state":"running"`, `"weight":9`, `"openai/gpt-5-mini"`, `"template":"reply@next"`, `"parameters":["temperature=0.25"`, `"max_tokens=300"`, `"stop=[\"END\"]"]`)
	for _, key := range r.keys {
		for _, method := range []string{"ListExperiments", "GetExperiment", "StartExperiment", "StopExperiment", "PromoteExperiment"} {
			r.want(key, service+method, `{}`, 403, "only the administrator")
		}
	}
	r.want(root, service+"StopExperiment", `{"name":"smaller","why":"it is dear"}`, 200, `"state":"stopped"`, `"why":"it is dear"`, `"version":"1"`)
	r.want(root, service+"PromoteExperiment", `{"name":"smaller","arm":"small","version":"7"}`, 409, "changed meanwhile")
	r.want(root, service+"PromoteExperiment", `{"name":"smaller","arm":"big"}`, 400, "arm: must be one of control, small")
	r.want(root, service+"PromoteExperiment", `{"name":"smaller","arm":"small","version":"1"}`, 200, `"state":"promoted"`, `"arm":"small"`, `"version":"2"`)
	r.want(root, service+"ListExperiments", `{}`, 200, `"state":"promoted"`)
	r.want(root, service+"StartExperiment", `{"name":"smaller"}`, 200, `"state":"running"`)
	r.want(root, service+"StartExperiment", `{"name":"smalle"}`, 404, `there is no experiment`, `did you mean`)
	r.want(root, service+"StartExperiment", `{"name":"smaller","version":"1"}`, 409)
	r.want(root, "AuditService/ListChanges", `{"kind":"experiment"}`, 200, `it is dear`)
}

func TestResultsAreReadFromTheLedger(t *testing.T) {
	r := newRig(t)
	var all []*ledger.Record
	for i := range 400 {
		arm, cost := "smaller/control", ledger.Nano(10_000_000)
		if i%2 == 1 {
			arm, cost = "smaller/small", 6_000_000
		}
		all = append(all, ledgertest.Make(fmt.Sprint("x-", i), time.Now().Add(-time.Hour), func(rec *ledger.Record) {
			rec.Asked.Arm, rec.Who.User, rec.Attempts[0].Bill.Cost = arm, fmt.Sprint("user-", i), cost+ledger.Nano(i*1000)
		}))
	}
	all = append(all, ledgertest.Make("old", time.Now().AddDate(0, -2, 0), func(rec *ledger.Record) { rec.Asked.Arm = "smaller/small" }))
	ledgertest.Write(t, r.books, all...)
	r.want(root, "ExperimentService/GetExperiment", `{"name":"smaller"}`, 200, `"exchanges":"200"`, `"units":"200"`, `"verdict":"better"`, `is cheaper by `, `"route":"support"`)
	r.want(root, "ExperimentService/GetExperiment", `{"name":"smaller","until":"2026-01-01T00:00:00Z"}`, 400, "filter.until")
	r.want(root, "ExperimentService/GetExperiment", `{"name":"none"}`, 404)
	r.want(root, "ExperimentService/GetExperiment", fmt.Sprintf(`{"name":"smaller","from":%q}`, time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)), 200, `units are too few`)
}
