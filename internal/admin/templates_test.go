package admin_test

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/admin"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/store"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers/all"
)

// prompts checks templates as a configuration with one of its own does.
func prompts(t *testing.T) admin.Prompts {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("providers: [ { name: mock, kind: mock } ]\naliases: { smart: mock/echo }\n"), all.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	hides := func(name string) bool { return name == "filed" }
	return admin.Prompts{
		Read: func(body string) (*template.File, error) { return c.ReadTemplate(body, all.Kinds()) }, Hides: hides,
		Check: func(name, body string) error {
			if hides(name) {
				return &store.Fault{Reason: store.Exists, Field: "name", Message: "name: it is kept in files"}
			}
			return c.CheckStored(name, body, all.Kinds())
		},
	}
}

// text writes a string as JSON.
func text(s string) string { return string(jsonx.AppendQuote(nil, s)) }

func TestTemplatesAreVersionedAndLabelled(t *testing.T) {
	r := newRig(t)
	const service = "TemplateService/"
	one, two := text("description: Answers\nmodel: smart\nvariables: [ { name: customer } ]\nmessages: [ { role: user, content: \"I am {{customer}}.\" } ]\n"), text("messages: [ { role: user, content: Hi } ]\n")
	for _, key := range r.keys {
		for _, method := range []string{"CreateTemplateVersion", "GetTemplateVersion", "ListTemplateVersions", "GetTemplate", "ListTemplates", "PromoteTemplate", "RollbackTemplate", "DeleteTemplate"} {
			r.want(key, service+method, `{}`, 403, "only the administrator")
		}
		r.want(key, service+"RemoveTemplateLabel", `{"label":"canary"}`, 403, "only the administrator")
	}
	r.want(root, service+"ListTemplates", `{}`, 200, `{}`)
	r.want(root, service+"CreateTemplateVersion", `{"name":"reply","body":`+one+`}`, 200, `"number":1`, `"author":"admin-token"`, `"description":"Answers"`, `"model":"smart"`, `"variables":["customer"]`)
	status, first := r.ask(root, service+"CreateTemplateVersion", `{"name":"reply","body":`+two+`}`, "Idempotency-Key: once")
	_, again := r.ask(root, service+"CreateTemplateVersion", `{"name":"reply","body":`+two+`}`, "Idempotency-Key: once")
	if status != 200 || first != again || !strings.Contains(first, `"number":2`) {
		t.Errorf("a repeated request: %d %s, then %s", status, first, again)
	}
	r.want(root, service+"CreateTemplateVersion", `{"name":"reply","body":`+one+`}`, 200, `"number":3`)
	r.want(root, service+"GetTemplate", `{"id":"reply"}`, 200, `"latest":3`, `"labels":{"production":1}`)
	page := r.want(root, service+"ListTemplateVersions", `{"name":"reply","page":{"size":2}}`, 200, `"number":1`, `"number":2`, `"nextToken":"2"`)
	if strings.Contains(page, `"body"`) {
		t.Errorf("a list has bodies: %s", page)
	}
	r.want(root, service+"ListTemplateVersions", `{"name":"reply","page":{"token":"2"}}`, 200, `"number":3`)
	r.want(root, service+"ListTemplateVersions", `{"name":"reply","page":{"token":"x"}}`, 400, "page.token")
	r.want(root, service+"PromoteTemplate", `{"name":"reply","to":"3","label":"canary"}`, 200, `"canary":3`)
	r.want(root, service+"PromoteTemplate", `{"name":"reply","to":"canary"}`, 200, `"production":3`)
	r.want(root, service+"GetTemplateVersion", `{"name":"reply"}`, 200, `"number":3`, `"body":"description`)
	r.want(root, service+"RollbackTemplate", `{"name":"reply"}`, 200, `"production":2`)
	r.want(root, service+"GetTemplateVersion", `{"name":"reply","version":"production"}`, 200, `"number":2`)
	r.want(root, service+"RollbackTemplate", `{"name":"reply","version":"1"}`, 409, "changed meanwhile")
	r.want(root, service+"RollbackTemplate", `{"name":"reply"}`, 200, `"production":1`)
	r.want(root, service+"RollbackTemplate", `{"name":"reply"}`, 400, "production is at reply@1, and there is no earlier version")
	r.want(root, service+"RemoveTemplateLabel", `{"name":"reply","label":"canary"}`, 200, `"labels":{"production":1}`)
	r.want(root, "AuditService/ListChanges", `{"kind":"template","action":"rollback"}`, 200, `"object":"reply"`)
	r.want(root, service+"DeleteTemplate", `{"id":"reply"}`, 200)
	r.want(root, service+"GetTemplate", `{"id":"reply"}`, 404, "there is no template")
	r.want(root, service+"CreateTemplateVersion", `{"name":"reply","body":`+two+`}`, 200, `"number":4`)
}

func TestWrongTemplatesAreRefusedByField(t *testing.T) {
	r := newRig(t)
	const service = "TemplateService/"
	good := `"body":` + text("messages: [ { role: user, content: Hi } ]\n")
	r.want(root, service+"CreateTemplateVersion", `{"name":"reply",`+good+`}`, 200)
	for _, c := range []struct {
		method, body string
		status       int
		field, says  string
	}{
		{"CreateTemplateVersion", `{"name":"Reply",` + good + `}`, 400, "name", "name: a name has"},
		{"CreateTemplateVersion", `{"name":"reply"}`, 400, "body.messages", "body:1:1: messages is missing"},
		{"CreateTemplateVersion", `{"name":"reply","body":"messages: ["}`, 400, "body", "body:1:"},
		{"CreateTemplateVersion", `{"name":"reply","body":` + text("messages:\n  - { role: user, content: \"{{nobody}}\" }\n  - { role: owner, content: x }\n") + `}`, 400, "body.messages[0].content", `body:2:28: there is no variable`},
		{"CreateTemplateVersion", `{"name":"reply","body":` + text("messages:\n  - { role: user, content: x }\n  - { role: owner, content: x }\n") + `}`, 400, "body.messages[1].role", "body:3:"},
		{"CreateTemplateVersion", `{"name":"smart",` + good + `}`, 400, "body", "alias"},
		{"CreateTemplateVersion", `{"name":"filed",` + good + `}`, 409, "name", "kept in files"},
		{"GetTemplateVersion", `{"name":"reply","version":"7"}`, 400, "version", `has no version \"7\"; it has numbers up to 1 and the labels production`},
		{"GetTemplateVersion", `{"name":"none"}`, 404, "name", "there is no template"},
		{"PromoteTemplate", `{"name":"reply"}`, 400, "to", "is due"},
		{"PromoteTemplate", `{"name":"reply","to":"1","label":"7"}`, 400, "label", "is no number"},
		{"PromoteTemplate", `{"name":"reply","to":"2"}`, 400, "to", "has no version"},
		{"RollbackTemplate", `{"name":"reply","label":"canary"}`, 400, "label", "has no label"},
		{"RemoveTemplateLabel", `{"name":"reply","label":"production"}`, 400, "label", "can be moved"},
	} {
		r.want(root, service+c.method, c.body, c.status, `"field":"`+c.field+`"`, c.says)
	}
}
