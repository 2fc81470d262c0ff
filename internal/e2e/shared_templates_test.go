package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// replica is a process with its Envoy and its own admin API.
type replica struct {
	*stack.Stack
	kept adminv1connect.TemplateServiceClient
	keys adminv1connect.KeyServiceClient
}

func newReplica(t *testing.T, yaml string) *replica {
	s := stack.Up(t, yaml)
	h := s.Local()
	return &replica{s, adminv1connect.NewTemplateServiceClient(h, "http://local"), adminv1connect.NewKeyServiceClient(h, "http://local")}
}

// TestTemplatesOnTwoProcesses has two processes on one PostgreSQL: what the admin API of one changes is in effect at both within
// a second, whichever it is; while the database is away both serve what they knew, and afterwards changes arrive as before.
func TestTemplatesOnTwoProcesses(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	db := servers.StartPostgres(t)
	yaml := fmt.Sprintf(`store: %s
providers: [ { name: a, kind: mock, base_url: %s } ]
routes: [ { name: r, match: { models: [smart] }, targets: [ a/echo ] } ]
`, db.Database(), a.url)
	both := []*replica{newReplica(t, yaml), newReplica(t, yaml)}
	ctx := context.Background()
	made, err := both[0].keys.CreateKey(ctx, &v1.CreateKeyRequest{Name: "any", Organization: "default"})
	if err != nil {
		t.Fatal(err)
	}
	asked := func(r *replica, model, want string) error { // what the provider is told, or what the client is where it is refused
		got, err := send(ctx, r.Base+chatPath, `{"model":"`+model+`","metadata":{"customer":"Ann"}}`, "authorization: Bearer "+made.Secret)
		if err != nil {
			return err
		}
		if got.status == http.StatusOK {
			all := a.Journal()
			got.body = string(all[len(all)-1].Body)
		}
		if !strings.Contains(got.body, want) {
			return fmt.Errorf("%d: %s", got.status, got.body)
		}
		return nil
	}
	var slowest time.Duration
	within := func(model, want string) {
		t.Helper()
		began := time.Now()
		for i, r := range both {
			stack.Eventually(t, time.Second-time.Since(began), fmt.Sprintf("process %d, %s: %s", i, model, want), func() error { return asked(r, model, want) })
		}
		slowest = max(slowest, time.Since(began))
	}
	create := func(r *replica, version int) error {
		_, err := r.kept.CreateTemplateVersion(ctx, &v1.CreateTemplateVersionRequest{Name: "support", Body: fmt.Sprintf(supportTemplate, version, "of the store")})
		return err
	}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(nil, create(both[0], 1))
	within("support", "Version 1, of the store")
	for n := 2; n <= 7; n++ { // by turns
		at, other := both[n%2], both[(n+1)%2]
		must(nil, create(at, n))
		within(fmt.Sprintf("support@%d", n), fmt.Sprintf("Version %d, of the store", n))
		must(other.kept.PromoteTemplate(ctx, &v1.PromoteTemplateRequest{Name: "support", To: fmt.Sprint(n)}))
		within("support", fmt.Sprintf("Version %d, of the store", n))
	}
	must(both[1].kept.PromoteTemplate(ctx, &v1.PromoteTemplateRequest{Name: "support", To: "3", Label: "canary"}))
	within("support@canary", "Version 3, of the store")
	must(both[0].kept.RollbackTemplate(ctx, &v1.RollbackTemplateRequest{Name: "support"}))
	within("support", "Version 6, of the store")

	db.Kill()
	if err := create(both[0], 8); err == nil {
		t.Error("a version is made without a database")
	}
	for i, r := range both {
		if err := asked(r, "support", "Version 6, of the store"); err != nil {
			t.Errorf("process %d without its database: %v", i, err)
		}
	}
	db.Start()
	stack.Eventually(t, 20*time.Second, "the database is used again", func() error { return create(both[1], 8) })
	stack.Eventually(t, 20*time.Second, "what changed is taken up again", func() error { return asked(both[0], "support@8", "Version 8, of the store") })
	must(both[1].kept.PromoteTemplate(ctx, &v1.PromoteTemplateRequest{Name: "support", To: "8"}))
	within("support", "Version 8, of the store")
	must(both[0].kept.DeleteTemplate(ctx, &v1.DeleteRequest{Id: "support"}))
	within("support", "Missing required parameter")
	t.Logf("the slowest change took %s", slowest)
}
