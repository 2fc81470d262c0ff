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

const stored = `
store: sqlite:%[2]s/s.db
auth: { secrets: { provider_keys: file:%[2]s/seal } }
providers: [ { name: a, kind: openai-compatible, base_url: %[1]s/v1, key: file:%[2]s/own } ]
routes: [ { name: all, match: { models: [ open ] }, targets: [ a/echo ] } ]
`

// TestIssuedKeysOnARealEnvoy follows a key from its making to its end, with a budget and the team's own provider key.
func TestIssuedKeysOnARealEnvoy(t *testing.T) {
	a := newProvider(t, "a")
	dir := t.TempDir()
	for name, text := range map[string]string{"seal": "a secret that seals keys", "own": "sk-of-the-gateway"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := stack.Up(t, fmt.Sprintf(stored, a.url, dir))
	h := s.Local()
	ctx := context.Background()
	teams, keys, budgets := adminv1connect.NewTeamServiceClient(h, "http://local"), adminv1connect.NewKeyServiceClient(h, "http://local", connect.WithProtoJSON()), adminv1connect.NewBudgetServiceClient(h, "http://local")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := teams.CreateTeam(ctx, &v1.CreateTeamRequest{Name: "core", Organization: "default"})
	must(err)
	made, err := keys.CreateKey(ctx, &v1.CreateKeyRequest{Name: "app", Team: "core"})
	must(err)
	ask := func(key string) answer {
		t.Helper()
		return post(t, s.Base+chatPath, chat("open", false), "authorization: Bearer "+key)
	}
	within := func(what string, status int, parts ...string) {
		t.Helper()
		stack.Eventually(t, time.Second, what, func() error {
			got := ask(made.Secret)
			for _, p := range parts {
				if !strings.Contains(got.body, p) {
					return fmt.Errorf("%d: %s", got.status, got.body)
				}
			}
			if got.status != status {
				return fmt.Errorf("%d: %s", got.status, got.body)
			}
			return nil
		})
	}
	within("a new key lets in", 200, "Hello")
	sent := func() string {
		seen := a.Journal()
		return seen[len(seen)-1].Header.Get("authorization")
	}
	if got := sent(); got != "Bearer sk-of-the-gateway" {
		t.Errorf("the provider got %q", got)
	}
	_, err = teams.SetProviderKey(ctx, &v1.SetProviderKeyRequest{Team: "core", Provider: "a", Key: "sk-of-the-team"})
	must(err)
	stack.Eventually(t, time.Second, "the team's own key is used", func() error {
		ask(made.Secret).want(t, 200)
		if got := sent(); got != "Bearer sk-of-the-team" {
			return fmt.Errorf("the provider got %q", got)
		}
		return nil
	})
	if strings.Contains(s.Log(), "sk-of-the") {
		t.Error("a provider key is in the log")
	}
	_, err = budgets.CreateBudget(ctx, &v1.CreateBudgetRequest{Level: "key", Owner: "app", Unit: "requests", Amount: 1, Per: "hour"})
	must(err)
	stack.Eventually(t, time.Second, "the budget refuses", func() error {
		if got := ask(made.Secret); got.status != 429 {
			return fmt.Errorf("%d: %s", got.status, got.body)
		}
		return nil
	})
	_, err = budgets.DeleteBudget(ctx, &v1.DeleteRequest{Id: "nothing"})
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("got %v", err)
	}
	list, err := budgets.ListBudgets(ctx, &v1.ListBudgetsRequest{})
	must(err)
	_, err = budgets.DeleteBudget(ctx, &v1.DeleteRequest{Id: list.Budgets[0].Id})
	must(err)
	within("without the budget it is let in", 200)
	rotated, err := keys.RotateKey(ctx, &v1.RotateKeyRequest{Id: "app"})
	must(err)
	within("the old secret goes on", 200)
	old := made.Secret
	made.Secret = rotated.Secret
	within("the new secret lets in", 200)
	_, err = keys.DisableKey(ctx, &v1.ChangeRequest{Id: "app"})
	must(err)
	within("a disabled key is refused", 401, "the API key is not valid")
	_, err = keys.EnableKey(ctx, &v1.ChangeRequest{Id: "app"})
	must(err)
	within("an enabled key lets in", 200)
	_, err = keys.RevokeKey(ctx, &v1.ChangeRequest{Id: "app"})
	must(err)
	within("a revoked key is refused", 401)
	ask(old).want(t, 401)
	if strings.Contains(s.Log(), strings.Split(old, "_")[3]) {
		t.Error("a key is in the log")
	}
}
