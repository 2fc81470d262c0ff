package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// evalRig runs signalbox eval against a service with a store, as a key's owner.
type evalRig struct {
	*stack.Stack
	t   *testing.T
	dir string // where the command runs
	env []string
}

func (r *evalRig) command(args ...string) *exec.Cmd {
	cmd := exec.Command(stack.Binary(r.t), append([]string{"eval"}, args...)...)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), r.env...)
	return cmd
}

// eval runs a command, and returns what it says and whether it succeeds.
func (r *evalRig) eval(args ...string) (string, bool) {
	r.t.Helper()
	out, err := r.command(args...).CombinedOutput()
	return string(out), err == nil
}

func (r *evalRig) wants(args []string, parts ...string) string {
	r.t.Helper()
	out, ok := r.eval(args...)
	if !ok {
		r.t.Fatalf("%v: %s", args, out)
	}
	for _, p := range parts {
		if !strings.Contains(out, p) {
			r.t.Errorf("%v: lacks %q:\n%s", args, p, out)
		}
	}
	return out
}

func (r *evalRig) write(path, text string) {
	r.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// TestEvaluationsAreKeptInTheStore kills a run half-way and goes on with it, reads it beside one of a folder, keeps answers only
// where that is allowed, and deletes.
func TestEvaluationsAreKeptInTheStore(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	config := fmt.Sprintf("store: sqlite:run/s.db\nproviders: [ { name: a, kind: mock, base_url: %s } ]\nteams: [ { name: core } ]\n", a.url)
	r := &evalRig{Stack: stack.Up(t, config), t: t, dir: t.TempDir()}
	h := r.Local()
	made, err := adminv1connect.NewKeyServiceClient(h, "http://local").CreateKey(t.Context(), &v1.CreateKeyRequest{Name: "ci", Team: "core", Role: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	r.write(filepath.Join(r.dir, "key"), made.Secret)
	var lines strings.Builder
	for i := range 12 {
		fmt.Fprintf(&lines, `{"id":"case-%d","prompt":"number %d","expect":{"number":{"value":%d}}}`+"\n", i, i, i%10)
	}
	r.write(filepath.Join(r.dir, "set.jsonl"), lines.String())
	r.env = []string{"SIGNALBOX_ADMIN=" + r.Admin, "SIGNALBOX_ADMIN_TOKEN_FILE=" + filepath.Join(r.dir, "key"), "SIGNALBOX_KEY_REF=file:" + filepath.Join(r.dir, "key")}
	slow := []string{"set.jsonl", "--targets", "a/slow:100ms+echo", "--base-url", r.Base + "/v1", "--name", "night", "--parallel", "1"}

	stack.Eventually(t, 20*time.Second, "the key is in effect", func() error {
		if got := post(t, r.Base+chatPath, `{"model":"a/echo","messages":[]}`, "authorization: Bearer "+made.Secret); got.status == 401 {
			return fmt.Errorf("%d", got.status)
		}
		return nil
	})
	before := len(a.Journal())
	first := r.command(slow...)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	runs := adminv1connect.NewEvalServiceClient(h, "http://local")
	stack.Eventually(t, 20*time.Second, "outcomes are stored as they come", func() error {
		got, err := runs.GetEvalRun(t.Context(), &v1.GetEvalRunRequest{Name: "night"})
		if err != nil || got.Outcomes < 3 {
			return fmt.Errorf("%v, %w", got, err)
		}
		return nil
	})
	_ = first.Process.Kill()
	_ = first.Wait()
	r.wants(slow, "a/slow:100ms+echo  10/12", "kept as night in the store of "+r.Admin)
	if asked := len(a.Journal()) - before; asked < 12 || asked > 14 { // what was under way is asked again
		t.Errorf("the provider was asked %d times", asked)
	}
	if files, _ := filepath.Glob(filepath.Join(r.dir, "run/evals/*")); len(files) > 0 {
		t.Errorf("the store's run is in %v, too", files)
	}
	run, err := runs.GetEvalRun(t.Context(), &v1.GetEvalRunRequest{Name: "night"})
	if err != nil || run.Outcomes != 12 || run.Team != "core" || run.Organization != "default" || !strings.Contains(run.Author, "ci") && run.Author != made.Key.Id || len(run.Configurations) != 1 || run.Content {
		t.Errorf("the store has %v, %v", run, err)
	}
	show := r.wants([]string{"show", "night", "--cases"}, "case-10  a/slow:100ms+echo  number", "case-11")
	if strings.Contains(show, "got 1") {
		t.Errorf("what was answered is kept though nobody said so: %s", show)
	}
	r.wants([]string{"show", "night"}, "10/12", "set "+run.Set+" of 12 cases, configuration "+run.Configurations[0]+", begun by "+run.Author)

	filed := []string{"set.jsonl", "--targets", "a/echo", "--base-url", r.Base + "/v1", "--name", "noon", "--server", ""}
	r.wants(filed, "10/12", "kept as noon in run/evals")
	r.wants([]string{"list"}, "night  store", "noon   folder", run.Set)
	r.wants([]string{"diff", "night", "noon"}, "a/slow:100ms+echo", "a/echo")
	if out, ok := r.eval("show", "nobody"); ok || !strings.Contains(out, "there is no run nobody in run/evals, nor in the store of") {
		t.Errorf("got %s", out)
	}

	keep := []string{"set.jsonl", "--targets", "a/echo", "--base-url", r.Base + "/v1", "--name", "kept", "--keep"}
	if out, ok := r.eval(keep...); ok || !strings.Contains(out, "evals.content: true") {
		t.Errorf("answers are kept though the operator did not allow it: %s", out)
	}
	r.Rewrite(config + "evals: { content: true }\n")
	stack.Eventually(t, 20*time.Second, "the configuration is taken up", func() error {
		if out, ok := r.eval(keep...); !ok {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	all := r.wants([]string{"show", "kept", "--cases", "--json"}, `"text":"number 11"`, "got 11")
	if n := strings.Count(all, "\n"); n != 13 {
		t.Errorf("there are %d lines: %s", n, all)
	}
	r.write(filepath.Join(r.dir, "run/evals/copy.jsonl"), all) // what is shown is what a file has
	r.wants([]string{"diff", "copy", "kept", "--json"}, `"kept against copy"`, `"better":0,"worse":0`)
	head, _, _ := strings.Cut(all, "\n")
	if got, _ := jsonx.String(jsonx.At([]byte(head), "author")); got != run.Author {
		t.Errorf("the head is %s", head)
	}

	r.wants([]string{"delete", "night"}, "night is deleted from the store of "+r.Admin)
	if out, ok := r.eval("delete", "night"); ok || !strings.Contains(out, "the store has no such run") {
		t.Errorf("got %s", out)
	}
	r.wants([]string{"delete", "noon", "--server", ""}, "noon is deleted from run/evals")
	if out := r.wants([]string{"list"}, "kept  store"); strings.Contains(out, "night") || strings.Contains(out, "noon") {
		t.Errorf("still there: %s", out)
	}
	changes, err := adminv1connect.NewAuditServiceClient(h, "http://local").ListChanges(t.Context(), &v1.ListChangesRequest{Kind: "eval", Object: "default/night"})
	if err != nil || len(changes.Changes) != 2 || changes.Changes[0].Action != "delete" || strings.Contains(fmt.Sprint(changes), "number") {
		t.Errorf("the audit log has %v, %v", changes, err)
	}
}

// TestARunGoesOnAtAnotherReplica has two processes on one PostgreSQL: what one keeps the other knows, and where both keep one run
// at once, each outcome is there once.
func TestARunGoesOnAtAnotherReplica(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	yaml := fmt.Sprintf("store: %s\nproviders: [ { name: a, kind: mock, base_url: %s } ]\n", servers.StartPostgres(t).Database(), a.url)
	both := []*replica{newReplica(t, yaml), newReplica(t, yaml)}
	made, err := both[0].keys.CreateKey(t.Context(), &v1.CreateKeyRequest{Name: "ci", Organization: "default", Role: "owner"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rigs := make([]*evalRig, len(both))
	for i, r := range both {
		rigs[i] = &evalRig{Stack: r.Stack, t: t, dir: dir, env: []string{"SIGNALBOX_ADMIN=" + r.Admin, "SIGNALBOX_ADMIN_TOKEN_FILE=" + dir + "/key", "SIGNALBOX_KEY_REF=file:" + dir + "/key"}}
		stack.Eventually(t, 20*time.Second, "the key is in effect", func() error {
			if got := post(t, r.Base+chatPath, `{"model":"a/echo","messages":[]}`, "authorization: Bearer "+made.Secret); got.status == 401 {
				return fmt.Errorf("%d", got.status)
			}
			return nil
		})
	}
	rigs[0].write(dir+"/key", made.Secret)
	var lines strings.Builder
	for i := range 20 {
		fmt.Fprintf(&lines, `{"id":"case-%d","prompt":"number %d","expect":{"number":{"value":%d}}}`+"\n", i, i, i)
	}
	rigs[0].write(dir+"/set.jsonl", lines.String())
	eval := func(r *evalRig, name, targets string) *exec.Cmd {
		return r.command("set.jsonl", "--targets", targets, "--base-url", r.Base+"/v1", "--name", name)
	}

	before := len(a.Journal())
	for i, targets := range []string{"a/echo", "a/echo,a/text"} {
		if out, err := eval(rigs[i], "one", targets).CombinedOutput(); err != nil || !strings.Contains(string(out), "a/echo  20/20") {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if asked := len(a.Journal()) - before; asked != 40 {
		t.Errorf("the provider was asked %d times, want 40", asked)
	}
	rigs[0].wants([]string{"show", "one"}, "a/echo  20/20", "a/text  0/20", "begun by "+made.Key.Id)

	var wg sync.WaitGroup
	for _, r := range rigs {
		wg.Go(func() {
			if out, err := eval(r, "two", "a/echo,a/slow:20ms+echo").CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	for _, r := range rigs {
		if out := r.wants([]string{"show", "two", "--cases", "--json"}, `"case-19"`); strings.Count(out, "\n") != 41 {
			t.Errorf("there are %d lines:\n%s", strings.Count(out, "\n"), out)
		}
		r.wants([]string{"show", "two"}, "a/echo            20/20", "a/slow:20ms+echo  20/20")
	}
}
