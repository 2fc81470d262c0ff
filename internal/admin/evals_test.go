package admin_test

import (
	"fmt"
	"strings"
	"testing"
)

const (
	evalService = "EvalService/"
	nightRun    = `"name":"night","set":"0123456789abcdef","cases":3,"targets":["a/x","b/y"]`
	passes      = `{"case":"one","target":"a/x","pass":true,"checks":[{"check":"exact","pass":true}],"promptTokens":"7","costNanoUsd":"12","priced":true,"totalMs":20.5}`
)

func TestRunsOfEvaluationsAreKept(t *testing.T) {
	r := newRig(t)
	r.want(root, evalService+"BeginEvalRun", `{"organization":"acme",`+nightRun+`}`, 200, `"organization":"acme"`, `"configurations":["c1-1"]`, `"author":"admin-token"`, `"began":"2`, `"version":"1"`)
	failed := `{"case":"one","target":"b/y","error":"503"}`
	r.want(root, evalService+"AddEvalOutcomes", `{"organization":"acme","run":"night","outcomes":[`+passes+`,`+failed+`]}`, 200, `"added":2`)
	r.want(root, evalService+"AddEvalOutcomes", `{"organization":"acme","run":"night","outcomes":[`+passes+`,`+failed+`]}`, 200, `"replaced":1`, `"kept":1`)
	r.want(root, evalService+"BeginEvalRun", `{"organization":"acme",`+nightRun+`}`, 200, `"outcomes":"2"`)
	first := r.want(root, evalService+"ListEvalOutcomes", `{"organization":"acme","run":"night","page":{"size":1}}`, 200, `"nextToken":"1"`, `"totalMs":20.5`, `"costNanoUsd":"12"`)
	if strings.Contains(first, "b/y") {
		t.Errorf("a page of one has %s", first)
	}
	r.want(root, evalService+"ListEvalOutcomes", `{"organization":"acme","run":"night","page":{"token":"1"}}`, 200, `"error":"503"`)
	r.want(root, evalService+"ListEvalOutcomes", `{"organization":"acme","run":"night","page":{"token":"x"}}`, 400, "page.token")
	r.want(root, evalService+"GetEvalRun", `{"organization":"acme","name":"night"}`, 200, `"outcomes":"2"`, `"version":"3"`)
	r.want(root, "AuditService/ListChanges", `{"kind":"eval"}`, 200, `"create"`, `"acme/night"`)
	r.want(root, evalService+"DeleteEvalRun", `{"organization":"acme","name":"night","version":"1"}`, 409, "changed meanwhile")
	gone := func() { // as one that repeats its request does
		t.Helper()
		if status, text := r.ask(root, evalService+"DeleteEvalRun", `{"organization":"acme","name":"night"}`, "Idempotency-Key: gone"); status != 200 {
			t.Errorf("%d %s", status, text)
		}
	}
	gone()
	gone()
	r.want(root, evalService+"GetEvalRun", `{"organization":"acme","name":"night"}`, 404, "there is no run")
	r.want(root, evalService+"BeginEvalRun", `{`+nightRun+`}`, 400, "organization: there is no organization \\\"default\\\"")
}

func TestWhatWasAnsweredIsKeptOnlyWhereItIsAllowed(t *testing.T) {
	r := newRig(t)
	text := `{"case":"one","target":"a/x","text":"said","checks":[{"check":"exact","why":"got said"}]}`
	why := `{"case":"one","target":"a/x","checks":[{"check":"exact","why":"got said"}]}`
	r.want(root, evalService+"BeginEvalRun", `{"organization":"acme","content":true,`+nightRun+`}`, 400, "content: the service keeps nothing", "evals.content: true")
	r.want(root, evalService+"BeginEvalRun", `{"organization":"acme",`+nightRun+`}`, 200)
	r.want(root, evalService+"AddEvalOutcomes", `{"organization":"acme","run":"night","outcomes":[`+text+`]}`, 400, `"field":"outcomes[0].text"`)
	r.want(root, evalService+"AddEvalOutcomes", `{"organization":"acme","run":"night","outcomes":[`+why+`]}`, 400, `"field":"outcomes[0].checks[0].why"`)
	r.content = true
	r.want(root, evalService+"AddEvalOutcomes", `{"organization":"acme","run":"night","outcomes":[`+text+`]}`, 400, "keeps nothing") // --keep was not said
	r.want(root, evalService+"BeginEvalRun", `{"organization":"acme","content":true,`+nightRun+`}`, 200, `"content":true`)
	r.want(root, evalService+"AddEvalOutcomes", `{"organization":"acme","run":"night","outcomes":[`+text+`]}`, 200)
	if got := r.want(root, evalService+"ListEvalOutcomes", `{"organization":"acme","run":"night"}`, 200, "got said"); strings.Contains(got, `"text"`) {
		t.Errorf("texts are not asked for: %s", got)
	}
	r.want(root, evalService+"ListEvalOutcomes", `{"organization":"acme","run":"night","texts":true}`, 200, `"text":"said"`)
	r.content = false
	r.want(root, evalService+"AddEvalOutcomes", `{"organization":"acme","run":"night","outcomes":[`+strings.Replace(text, "one", "two", 1)+`]}`, 400, "failed_precondition", "any more")
	if log := r.want(root, "AuditService/ListChanges", `{"kind":"eval"}`, 200); strings.Contains(log, "said") {
		t.Errorf("the audit log has an answer: %s", log)
	}
}

func TestWhoMayWriteRunsOfEvaluations(t *testing.T) {
	r := newRig(t)
	for role, c := range map[string]struct {
		begin int
		team  string // that it can name
	}{"owner": {200, `"core"`}, "admin": {200, `"core"`}, "member": {403, ""}, "viewer": {403, ""}, "billing": {403, ""}} {
		mine := strings.Replace(nightRun, "night", role, 1)
		r.want(r.keys[role], evalService+"BeginEvalRun", `{`+mine+`}`, c.begin, c.team)
		r.want(r.keys[role], evalService+"BeginEvalRun", `{"organization":"globex",`+mine+`}`, 400, "organization")
	}
	r.want(r.keys["owner"], evalService+"BeginEvalRun", `{"team":"edge",`+strings.Replace(nightRun, "night", "edges", 1)+`}`, 200, `"team":"edge"`)
	r.want(r.keys["owner"], evalService+"BeginEvalRun", `{"team":"other",`+nightRun+`}`, 400, "team: there is no such team")
	r.want(r.keys["admin"], evalService+"BeginEvalRun", `{"team":"edge",`+nightRun+`}`, 400, "team: there is no such team")
	r.want(root, evalService+"BeginEvalRun", `{"organization":"globex",`+nightRun+`}`, 200)
	r.want(root, evalService+"BeginEvalRun", `{"organization":"acme",`+nightRun+`}`, 200)

	for role, want := range map[string]string{"owner": "admin edges night owner", "billing": "admin edges night owner", "admin": "admin night owner", "member": "admin night owner", "viewer": "admin night owner"} {
		got := r.want(r.keys[role], evalService+"ListEvalRuns", `{}`, 200)
		for _, name := range []string{"admin", "edges", "night", "owner"} {
			if has := strings.Contains(got, fmt.Sprintf(`"name":%q`, name)); has != strings.Contains(want, name) {
				t.Errorf("%s sees the run %s: %v in %s", role, name, has, got)
			}
		}
		r.want(r.keys[role], evalService+"ListEvalRuns", `{"organization":"globex"}`, 200, `{}`)
		r.want(r.keys[role], evalService+"GetEvalRun", `{"name":"owner"}`, 200)
		r.want(r.keys[role], evalService+"GetEvalRun", `{"organization":"globex","name":"night"}`, 404, "there is no run")
	}
	add := func(run string) string { return `{"run":"` + run + `","outcomes":[` + passes + `]}` }
	r.want(r.keys["admin"], evalService+"AddEvalOutcomes", add("owner"), 200) // it is of the same team
	r.want(r.keys["admin"], evalService+"AddEvalOutcomes", add("edges"), 404, "there is no run")
	r.want(r.keys["admin"], evalService+"AddEvalOutcomes", add("night"), 403) // it is the organization's
	r.want(r.keys["member"], evalService+"AddEvalOutcomes", add("owner"), 403)
	r.want(r.keys["viewer"], evalService+"DeleteEvalRun", `{"name":"owner"}`, 403)
	r.want(r.keys["admin"], evalService+"ListEvalOutcomes", `{"run":"edges"}`, 404)
	r.want(r.keys["owner"], evalService+"DeleteEvalRun", `{"name":"edges"}`, 200)
	r.want(r.keys["admin"], "AuditService/ListChanges", `{"kind":"eval","object":"acme/owner"}`, 200, `"create"`)
	r.want(r.keys["admin"], "AuditService/ListChanges", `{"kind":"eval","object":"globex/night"}`, 404)
}
