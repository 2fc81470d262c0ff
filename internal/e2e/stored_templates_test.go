package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// TestTemplatesOfTheStore makes a template over the admin API, uses it within a second, moves its label and back, bounds who may
// use it, and asks for results by version; one that files have is theirs.
func TestTemplatesOfTheStore(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	dir, err := os.MkdirTemp("", "sbt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	writeTemplate(t, dir+"/templates", "filed@1.yaml", fmt.Sprintf(supportTemplate, 1, "of a file"))
	s := stack.Up(t, fmt.Sprintf(`store: sqlite:%[2]s/s.db
providers: [ { name: a, kind: mock, base_url: %[1]s } ]
routes: [ { name: r, match: { models: [smart] }, targets: [ a/echo ] } ]
templates: %[2]s/templates
ledger: { store: "sqlite:run/ledger.db" }
`, a.url, dir))
	h := s.Local()
	ctx := context.Background()
	kept, keys := adminv1connect.NewTemplateServiceClient(h, "http://local"), adminv1connect.NewKeyServiceClient(h, "http://local")
	issue := func(name string, templates ...string) string {
		t.Helper()
		made, err := keys.CreateKey(ctx, &v1.CreateKeyRequest{Name: name, Organization: "default", Scope: &v1.Scope{Templates: templates}})
		if err != nil {
			t.Fatal(err)
		}
		return made.Secret
	}
	free, bounded := issue("any"), issue("bounded", "other-*", "support@2")
	create := func(version int, says string) {
		t.Helper()
		if _, err := kept.CreateTemplateVersion(ctx, &v1.CreateTemplateVersionRequest{Name: "support", Body: fmt.Sprintf(supportTemplate, version, says)}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(key, model string) answer {
		t.Helper()
		return post(t, s.Base+chatPath, `{"model":"`+model+`","metadata":{"customer":"Ann"}}`, "authorization: Bearer "+key)
	}
	within := func(key, model, want string) { // what the provider is told, or what the client is where it is refused
		t.Helper()
		stack.Eventually(t, time.Second, model+": "+want, func() error {
			got := ask(key, model)
			if got.status == 200 {
				all := a.Journal()
				got.body = string(all[len(all)-1].Body)
			}
			if !strings.Contains(got.body, want) {
				return fmt.Errorf("%d: %s", got.status, got.body)
			}
			return nil
		})
	}
	within(free, "filed", "Version 1, of a file")
	create(1, "old")
	within(free, "support", "Version 1, old: friendly")
	create(2, "new")
	within(free, "support@2", "Version 2, new")
	within(free, "support", "Version 1, old")
	if _, err := kept.PromoteTemplate(ctx, &v1.PromoteTemplateRequest{Name: "support", To: "2"}); err != nil {
		t.Fatal(err)
	}
	within(free, "support", "Version 2, new")
	within(bounded, "support", "Version 2, new")
	if _, err := kept.RollbackTemplate(ctx, &v1.RollbackTemplateRequest{Name: "support"}); err != nil {
		t.Fatal(err)
	}
	within(free, "support", "Version 1, old")

	if _, err := kept.CreateTemplateVersion(ctx, &v1.CreateTemplateVersionRequest{Name: "see", Body: "model: smart\nvariables: [ { name: photo, type: image } ]\nmessages: [ { role: user, content: \"What is on it? {{photo}}\" } ]\n"}); err != nil {
		t.Fatal(err)
	}
	stack.Eventually(t, time.Second, "an image", func() error {
		got := post(t, s.Base+chatPath, `{"template":{"name":"see","variables":{"photo":"data:image/png;base64,iVBORw0KGgo="}}}`, "authorization: Bearer "+free)
		if all := a.Journal(); got.status != 200 || !strings.Contains(string(all[len(all)-1].Body), `"url":"data:image/png;base64,iVBORw0KGgo="`) {
			return fmt.Errorf("%d: %s", got.status, got.body)
		}
		return nil
	})

	refused, unknown := ask(bounded, "support@1"), ask(bounded, "support@9")
	refused.want(t, 400, "there are 2")
	if strings.ReplaceAll(refused.body, `\"1\"`, "X") != strings.ReplaceAll(unknown.body, `\"9\"`, "X") || refused.status != unknown.status {
		t.Errorf("a template outside the scope answers %d %s, an unknown one %d %s", refused.status, refused.body, unknown.status, unknown.body)
	}
	if _, err := kept.CreateTemplateVersion(ctx, &v1.CreateTemplateVersionRequest{Name: "filed", Body: fmt.Sprintf(supportTemplate, 2, "of the store")}); connect.CodeOf(err) != connect.CodeAlreadyExists {
		t.Errorf("a template that files have: %v", err)
	}
	if _, err := kept.CreateTemplateVersion(ctx, &v1.CreateTemplateVersionRequest{Name: "support", Body: "messages: []"}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a template that is wrong: %v", err)
	}

	writeTemplate(t, dir+"/templates", "support@7.yaml", fmt.Sprintf(supportTemplate, 7, "of a file"))
	stack.Eventually(t, 20*time.Second, "files hide the store's", func() error {
		if ask(free, "support"); !strings.Contains(string(a.Journal()[len(a.Journal())-1].Body), "Version 7, of a file") {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if got, err := kept.GetTemplate(ctx, &v1.GetRequest{Id: "support"}); err != nil || !got.Hidden {
		t.Errorf("got %v, %v", got, err)
	}
	if err := os.Remove(filepath.Join(dir, "templates/support@7.yaml")); err != nil {
		t.Fatal(err)
	}
	stack.Eventually(t, 20*time.Second, "the store's come back", func() error {
		if ask(free, "support"); !strings.Contains(string(a.Journal()[len(a.Journal())-1].Body), "Version 1, old") {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if _, err := kept.DeleteTemplate(ctx, &v1.DeleteRequest{Id: "support"}); err != nil {
		t.Fatal(err)
	}
	within(free, "support", "Missing required parameter")
	stack.Eventually(t, 20*time.Second, "results by version", func() error {
		report := stack.Output(t, stack.Binary(t), "usage", "report", "--ledger", "sqlite:"+filepath.Join(s.Dir, "run/ledger.db"), "--by", "template")
		for _, want := range []string{"support@1", "support@2", "support@7", "filed@1"} {
			if !strings.Contains(report, want) {
				return fmt.Errorf("the report lacks %s:\n%s", want, report)
			}
		}
		return nil
	})
}
