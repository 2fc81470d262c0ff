package admin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// The role billing reads its whole organization and changes its budgets: an admin, who has a team, does not make itself such a key.
func TestNobodyGivesARoleThatReachesFurther(t *testing.T) {
	r := newRig(t)
	r.want(r.keys["admin"], "KeyService/CreateKey", `{"name":"up","team":"core","role":"billing"}`, 403)
	r.want(r.keys["admin"], "KeyService/CreateKey", `{"name":"app","team":"core"}`, 200)
	r.want(r.keys["admin"], "KeyService/UpdateKey", `{"id":"app","role":"billing"}`, 403)
	r.want(r.keys["owner"], "KeyService/CreateKey", `{"name":"books","team":"core","role":"billing"}`, 200)
	r.want(r.keys["admin"], "KeyService/RotateKey", `{"id":"books"}`, 403)
	r.want(r.keys["admin"], "KeyService/UpdateKey", `{"id":"books","name":"mine"}`, 403)
	r.want(r.keys["admin"], "KeyService/CreateKey", `{"name":"reader","team":"core","role":"viewer"}`, 200)
}

func TestTeamsSeeNothingOfEachOther(t *testing.T) {
	r := newRig(t)
	for _, b := range []string{`{"level":"team","owner":"edge","unit":"requests","amount":"5","per":"minute"}`, `{"level":"team","owner":"core","unit":"requests","amount":"5","per":"minute"}`} {
		r.want(root, "BudgetService/CreateBudget", b, 200)
	}
	r.want(root, "KeyService/CreateKey", `{"name":"top","organization":"acme","role":"owner"}`, 200)
	r.want(root, "BudgetService/CreateBudget", `{"level":"key","owner":"top","unit":"requests","amount":"5","per":"minute"}`, 200)
	for _, role := range []string{"admin", "member", "viewer"} {
		who := r.keys[role]
		r.want(who, "BudgetService/GetBudget", `{"id":"team_edge_requests_minute_"}`, 404)
		if text := r.want(who, "BudgetService/ListBudgets", `{"level":"team","owner":"edge"}`, 200); strings.Contains(text, "edge") {
			t.Errorf("%s sees %s", role, text)
		}
		there, away := r.want(who, "BudgetService/CreateBudget", `{"level":"team","owner":"edge","unit":"money","amount":"5","per":"day"}`, 400), r.want(who, "BudgetService/CreateBudget", `{"level":"team","owner":"none","unit":"money","amount":"5","per":"day"}`, 400)
		if there != away {
			t.Errorf("%s: what is said of a team that is there differs: %s, %s", role, there, away)
		}
		r.want(who, "AuditService/ListChanges", `{"kind":"budget","object":"team_edge_requests_minute_"}`, 404)
		r.want(who, "BudgetService/GetBudget", `{"id":"team_core_requests_minute_"}`, 200)
		r.want(who, "KeyService/GetKey", `{"id":"top"}`, 404)
		if text := r.want(who, "BudgetService/ListBudgets", `{"level":"key","owner":"top"}`, 200); strings.Contains(text, "requests") {
			t.Errorf("%s sees %s", role, text)
		}
	}
	r.want(r.keys["billing"], "BudgetService/GetBudget", `{"id":"team_edge_requests_minute_"}`, 200)
	r.want(r.keys["owner"], "KeyService/GetKey", `{"id":"top"}`, 200)
}

// A name that one organization has given up may be another's later, which does not read what was before.
func TestTheAuditLogBeginsWithWhoOwnsTheNameNow(t *testing.T) {
	r := newRig(t)
	r.want(root, "TeamService/CreateTeam", `{"name":"moves","organization":"globex","title":"secret plans"}`, 200)
	r.want(root, "TeamService/SetProviderKey", `{"team":"moves","provider":"openai","key":"sk-globex-0007"}`, 200)
	r.want(root, "TeamService/DeleteProviderKey", `{"id":"moves:openai"}`, 200)
	r.want(root, "TeamService/DeleteTeam", `{"id":"moves"}`, 200)
	r.want(r.keys["owner"], "TeamService/CreateTeam", `{"name":"moves","organization":"acme"}`, 200)
	r.want(r.keys["owner"], "TeamService/UpdateTeam", `{"name":"moves","title":"ours"}`, 200)
	r.want(r.keys["owner"], "TeamService/SetProviderKey", `{"team":"moves","provider":"openai","key":"sk-acme-0008"}`, 200)
	for _, body := range []string{`{"kind":"team","object":"moves"}`, `{"kind":"provider_key","object":"moves:openai"}`} {
		if text := r.want(r.keys["owner"], "AuditService/ListChanges", body, 200, `"create"`); strings.Contains(text, "globex") || strings.Contains(text, "secret plans") || strings.Contains(text, "0007") {
			t.Errorf("%s: what another organization did is told: %s", body, text)
		}
	}
	r.want(r.keys["owner"], "AuditService/ListChanges", `{"kind":"team","object":"moves"}`, 200, `"update"`)
	r.want(root, "AuditService/ListChanges", `{"kind":"team","object":"moves"}`, 200, "secret plans", `"delete"`)
}

// Of an issuer whose tokens name no user, all have one name; an idempotency key of one tenant gets another no answer.
func TestAnswersAreRepeatedToTheTenantWhoAsked(t *testing.T) {
	r := newRig(t)
	token := func(org, team, role string) string {
		return r.token(fmt.Sprintf(`{"iss":"https://shared.example","aud":"signalbox","exp":%d,"org":%q,"team":%q,"role":%q}`, time.Now().Add(time.Hour).Unix(), org, team, role))
	}
	ours, theirs := token("acme", "core", "owner"), token("globex", "other", "owner")
	for _, who := range []string{ours, theirs} {
		r.want(who, "KeyService/CreateKey", `{"name":"app"}`, 200)
	}
	for _, c := range []struct{ method, body string }{{"KeyService/UpdateKey", `{"id":"app","name":"renamed"}`}, {"KeyService/DeleteKey", `{"id":"renamed"}`}} {
		if status, text := r.ask(ours, c.method, c.body, "idempotency-key: 1"+c.method); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
		if status, text := r.ask(token("acme", "core", "viewer"), c.method, c.body, "idempotency-key: 1"+c.method); status == 200 {
			t.Errorf("%s: who may not got the answer of who may: %s", c.method, text)
		}
		status, text := r.ask(theirs, c.method, c.body, "idempotency-key: 1"+c.method)
		if o, _ := jsonx.String(jsonx.At([]byte(text), "organization")); status != 200 || strings.Contains(text, "acme") || c.method == "KeyService/UpdateKey" && o != "globex" {
			t.Errorf("%s: got %d %s", c.method, status, text)
		}
	}
	r.want(theirs, "KeyService/GetKey", `{"id":"renamed"}`, 404)
}

// What cannot be read is not said not to be there.
func TestADatabaseThatIsAwayIsNoEmptyList(t *testing.T) {
	r := newRig(t)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	for method, body := range map[string]string{
		"OrganizationService/ListOrganizations": `{}`, "TeamService/ListTeams": `{}`, "BudgetService/ListBudgets": `{"level":"team","owner":"core"}`,
		"BudgetService/CreateBudget": `{"level":"project","owner":"search","unit":"requests","amount":"5","per":"minute"}`, "KeyService/CreateKey": `{"name":"app","team":"core"}`,
		"ProjectService/CreateProject": `{"name":"new","team":"core"}`, "TeamService/GetTeam": `{"id":"core"}`, "KeyService/GetKey": `{"id":"app"}`,
	} {
		r.want(r.keys["admin"], method, body, 500, "internal")
	}
}

func TestAnAdministratorNamesKeysByTheirNames(t *testing.T) {
	r := newRig(t)
	made := r.want(root, "KeyService/CreateKey", `{"name":"app","team":"core"}`, 200)
	id, _ := jsonx.String(jsonx.At([]byte(made), "key", "id"))
	r.want(root, "BudgetService/CreateBudget", `{"level":"key","owner":"app","unit":"requests","amount":"5","per":"minute"}`, 200)
	for _, name := range []string{"app", id} {
		r.want(root, "BudgetService/ListBudgets", `{"level":"key","owner":"`+name+`"}`, 200, id)
		r.want(root, "AuditService/ListChanges", `{"kind":"key","object":"`+name+`"}`, 200, `"create"`)
	}
	r.want(root, "KeyService/CreateKey", `{"name":"app","team":"other"}`, 200)
	r.want(root, "BudgetService/ListBudgets", `{"level":"key","owner":"app"}`, 400, "use the id")
	r.want(root, "AuditService/ListChanges", `{"kind":"key","object":"app"}`, 400, "use the id")
	r.want(root, "KeyService/DeleteKey", `{"id":"`+id+`"}`, 200)
	r.want(root, "AuditService/ListChanges", `{"kind":"key","object":"`+id+`"}`, 200, `"delete"`)
}

// PostgreSQL keeps no text with such a byte: it is a wrong field on every engine.
func TestTextsThatCannotBeKeptAreWrongFields(t *testing.T) {
	r := newRig(t)
	r.want(root, "TeamService/CreateTeam", `{"name":"new","organization":"acme","title":"a\u0000b"}`, 400, `"field":"title"`)
	r.want(root, "TeamService/GetTeam", `{"id":"core\u0000"}`, 400, `"field":"id"`)
	r.want(root, "KeyService/ListKeys", `{"page":{"token":"\u0000"}}`, 400, `"field":"page.token"`)
	r.want(root, "KeyService/CreateKey", `{"name":"app","team":"core","scope":{"models":["a","b\u0000"]}}`, 400, `"field":"scope.models`)
	for _, id := range []string{"\xff", "a b\u00e9"} {
		if status, text := r.ask(root, "TeamService/CreateTeam", `{"name":"new","organization":"acme"}`, "idempotency-key: "+id); status != 400 || !strings.Contains(text, `"field":"idempotency-key"`) {
			t.Errorf("the idempotency key %q: %d %s", id, status, text)
		}
	}
	r.want(root, "TeamService/SetProviderKey", `{"team":"core","provider":"openai","key":"sk-provider-se\u0007"}`, 400, `"field":"key"`)
	r.want(root, "TeamService/SetProviderKey", `{"team":"core","provider":"openai","key":" sk-provider-1é€\n"}`, 200, `"hint":"…-1é€"`)
}

// A bound whose name is mistyped is not left out in silence.
func TestUnknownFieldsAreRefused(t *testing.T) {
	r := newRig(t)
	for _, body := range []string{`{"name":"app","team":"core","expire":"2099-01-01T00:00:00Z"}`, `{"name":"app","team":"core","scope":{"model":["gpt-*"]}}`} {
		r.want(root, "KeyService/CreateKey", body, 400, "invalid_argument", "unknown field")
	}
	r.want(root, "KeyService/CreateKey", `{"name":"app","team":"core","expires":"2099-01-01T00:00:00Z"}`, 200)
}

func TestWhoHasNoTeamNamesOne(t *testing.T) {
	r := newRig(t)
	who := r.token(fmt.Sprintf(`{"iss":"https://whole.example","aud":"signalbox","exp":%d}`, time.Now().Add(time.Hour).Unix()))
	for _, method := range []string{"ProjectService/ListProjects", "TeamService/ListProviderKeys"} {
		r.want(who, method, `{}`, 400, `"field":"team"`, "team: is due")
		r.want(who, method, `{"team":"core"}`, 200)
	}
}
