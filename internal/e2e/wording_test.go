package e2e

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

const wording = `
store: sqlite:%[3]s/s.db
ledger: { store: "sqlite:run/ledger.db" }
end_user: { body: [ user ] }
providers:
  - { name: a, kind: mock, base_url: %[1]s/v1 }
  - { name: b, kind: mock, base_url: %[2]s/v1 }
defaults: { answer_headers: true }
routes: [ { name: all, match: { models: [ smart ] }, targets: [ a/echo ] } ]
experiments:
  - { name: words, route: all, arms: [ { name: now }, { name: next, targets: [ b/echo ], template: support@next, parameters: { temperature: 0.25, max_tokens: 77 } } ] }
`

// TestArmsOfATemplateOnARealEnvoy: the arm's version and parameters reach the provider, results are by arm, and an arm whose version
// comes and goes in the store comes and goes with it.
func TestArmsOfATemplateOnARealEnvoy(t *testing.T) {
	t.Parallel()
	a, b := newProvider(t, "a"), newProvider(t, "b")
	s := stack.Up(t, fmt.Sprintf(wording, a.url, b.url, t.TempDir()))
	ctx := context.Background()
	api, key := administer(t, s)
	local := s.Local()
	awaitKey(t, s.Base, key)
	templates := adminv1connect.NewTemplateServiceClient(local, "http://local")
	for _, says := range []string{"Say the first.", "Say the second."} {
		if _, err := templates.CreateTemplateVersion(ctx, &v1.CreateTemplateVersionRequest{Name: "support", Body: "model: smart\nmessages: [ { role: system, content: " + says + " } ]\n"}); err != nil {
			t.Fatal(err)
		}
	}
	const users = 30
	// round asks on behalf of every user, and returns which provider answered each of them.
	round := func() (at map[string]string, err error) {
		at = map[string]string{}
		for u := range users {
			user := fmt.Sprint("user-", u)
			got := post(t, s.Base+chatPath, strings.Replace(chat("support", false), "{", fmt.Sprintf("{%q:%q,", "user", user), 1), "authorization: Bearer "+key)
			if got.status != 200 {
				return nil, fmt.Errorf("%d %s", got.status, got.body)
			}
			at[user], _, _ = strings.Cut(got.header.Get("x-signalbox-target"), "/")
		}
		return at, nil
	}
	count := func(at map[string]string, provider string) (n int) {
		for _, p := range at {
			if p == provider {
				n++
			}
		}
		return n
	}
	var before map[string]string
	stack.Eventually(t, 10*time.Second, "the template is known, and its label is not", func() (err error) {
		before, err = round()
		return err
	})
	if n := count(before, "b"); n > 0 {
		t.Errorf("%d users have an arm whose version is not there", n)
	}
	if !strings.Contains(s.Log(), "its version of the template is not there") {
		t.Error("the log does not say that the arm's version is not there")
	}
	if _, err := templates.PromoteTemplate(ctx, &v1.PromoteTemplateRequest{Name: "support", Label: "next", To: "2"}); err != nil {
		t.Fatal(err)
	}
	var during map[string]string
	stack.Eventually(t, 10*time.Second, "the arm has users, who keep it", func() error {
		last := during
		var err error
		if during, err = round(); err != nil {
			return err
		}
		if n := count(during, "b"); n == 0 || !maps.Equal(last, during) {
			return fmt.Errorf("%d have it", n)
		}
		return nil
	})
	for _, r := range b.Journal() {
		if body := string(r.Body); !strings.Contains(body, "Say the second.") || !strings.Contains(body, `"temperature":0.25`) || !strings.Contains(body, `"max_completion_tokens":77`) {
			t.Errorf("the arm sends %s", body)
		}
	}
	for _, r := range a.Journal() {
		if body := string(r.Body); !strings.Contains(body, "Say the first.") || strings.Contains(body, `"temperature":0.25`) {
			t.Errorf("the control sends %s", body)
		}
	}
	if got := post(t, s.Base+chatPath, strings.Replace(chat("support@1", false), "{", `{"user":"user-0",`, 1), "authorization: Bearer "+key); !strings.HasPrefix(got.header.Get("x-signalbox-target"), "a/") {
		t.Errorf("a request that chooses its version is at %s", got.header.Get("x-signalbox-target"))
	}
	n := len(b.Journal())
	stack.Eventually(t, 10*time.Second, "the results", func() error {
		r, err := api.GetExperiment(ctx, &v1.GetExperimentRequest{Name: "words"})
		if err != nil {
			return err
		}
		if got := r.Arms[1]; int(got.Exchanges) != n || got.Success.Value != 1 {
			return fmt.Errorf("%d at the provider, and the arm has %v", n, got)
		}
		return nil
	})
	if out := stack.Output(t, stack.Binary(t), "experiments", "show", "words", "--server", "unix:"+s.Dir+"/c.sock"); !strings.Contains(out, "next: support@next temperature=0.25 max_tokens=77") {
		t.Errorf("signalbox experiments show prints\n%s", out)
	}
	if got := get(t, s.Admin+"/metrics"); !strings.Contains(got.body, fmt.Sprintf(`signalbox_tagged_exchanges_total{outcome="ok",tag="template",value="support@2"} %d`, n)) {
		t.Errorf("the metrics lack the arm's version: %s", linesWith(got.body, "signalbox_tagged_exchanges_total"))
	}
	if _, err := templates.RemoveTemplateLabel(ctx, &v1.RemoveTemplateLabelRequest{Name: "support", Label: "next"}); err != nil {
		t.Fatal(err)
	}
	stack.Eventually(t, 10*time.Second, "the arm is gone with its label", func() error {
		after, err := round()
		if err == nil && count(after, "b") > 0 {
			err = fmt.Errorf("%d users have it", count(after, "b"))
		}
		return err
	})
}
