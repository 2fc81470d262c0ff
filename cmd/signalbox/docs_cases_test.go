package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// python runs a program against a served gateway. Without the SDK it is only compiled.
func python(t *testing.T, p *place, b block) {
	file := filepath.Join(p.dir, "example.py")
	must(t, os.WriteFile(file, []byte(p.ports(b.text)), 0o600))
	sdk, _, _ := strings.Cut(b.text, "\n")
	if exec.Command("python3", "-c", sdk).Run() != nil {
		stack.Output(t, "python3", "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())", file)
		if !strings.Contains(p.ports(b.text), "http://127.0.0.1:"+p.http) {
			t.Errorf("%s names another address", b)
		}
		return
	}
	p.serve(t)
	if got := stack.Output(t, "python3", file); got != "Hello\n" {
		t.Errorf("it prints %q", got)
	}
}

func failsOver(t *testing.T, p *place, b block) {
	head, body, ok := strings.Cut(p.shell(t, b, ""), "\r\n\r\n")
	if !ok {
		t.Fatalf("no head is shown: %s", head)
	}
	for _, want := range []string{"HTTP/1.1 200 OK", "x-signalbox-attempts: 2", "x-signalbox-target: mock/text"} {
		if !strings.Contains(head, want) {
			t.Errorf("the head lacks %q:\n%s", want, head)
		}
	}
	if !strings.Contains(body, "data: [DONE]") || strings.Contains(body, `"error"`) {
		t.Errorf("the stream is not whole: %s", body)
	}
}

// ownEnvoy runs the block, whose last command stays in the foreground, and asks what it started.
func ownEnvoy(t *testing.T, p *place, b block) {
	b.text = strings.TrimSpace(b.text) + " &\n"
	isChat(t, p.shell(t, b, `
curl -s --retry 30 --retry-delay 1 --retry-all-errors -f http://127.0.0.1:`+p.http+`/v1/chat/completions -H 'content-type: application/json' \
  -d '{"model":"mock/echo","messages":[{"role":"user","content":"Hello"}]}'
`), "Hello")
	if _, err := os.Stat(filepath.Join(p.dir, "bootstrap.yaml")); err != nil {
		t.Error(err)
	}
}

// asksTheLedger runs the block beside a service whose ledger has an exchange.
func asksTheLedger(t *testing.T, p *place, b block) {
	file := filepath.Join(p.dir, "signalbox.yaml")
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, append(text, "ledger: { store: sqlite:run/ledger.db, export: [ { name: pipe, file: run/usage.jsonl } ] }\n"...), 0o600))
	b.text = `signalbox up --config signalbox.yaml >up.log 2>&1 &
curl -s --retry 30 --retry-delay 1 --retry-all-errors -f http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \
  -d '{"model":"mock/echo","messages":[{"role":"user","content":"Hello"}]}' >/dev/null
for i in $(seq 100); do signalbox usage --config signalbox.yaml | grep -q '^1 ' && break; sleep 0.1; done
for i in $(seq 100); do test -s run/usage.jsonl && break; sleep 0.1; done
` + b.text
	out := p.shell(t, b, "")
	if !strings.Contains(out, "TEAM") || !regexp.MustCompile(`(?m)^- +echo +1 +0 `).MatchString(out) || !strings.Contains(out, "1 exchanges: 0 would be corrected") {
		t.Errorf("it prints\n%s", out)
	}
	if handed, err := os.ReadFile(filepath.Join(p.dir, "run/usage.jsonl")); err != nil || !strings.Contains(string(handed), `"model":"echo"`) {
		t.Errorf("the sink has %q, %v", handed, err)
	}
	costs, err := os.ReadFile(filepath.Join(p.dir, "costs.csv"))
	if err != nil || !strings.HasPrefix(string(costs), "BillingPeriodStart,") {
		t.Errorf("%.80s, %v", costs, err)
	}
}

// repeats runs the block twice beside a service that keeps answers.
func repeats(t *testing.T, p *place, b block) {
	must(t, os.WriteFile(filepath.Join(p.dir, "signalbox.yaml"), []byte(p.ports(mockOnly)+"idempotency: { store: memory }\n"), 0o600))
	up := p.serve(t)
	defer up.Stop()
	first, second := p.shell(t, b, ""), p.shell(t, b, "")
	if !strings.Contains(first, "hello") || strings.Contains(first, "idempotent-replayed") {
		t.Errorf("the first prints\n%s", first)
	}
	if !strings.Contains(second, "hello") || !strings.Contains(second, "idempotent-replayed: true") || !strings.Contains(second, "x-signalbox-replay-of: ") {
		t.Errorf("the second prints\n%s", second)
	}
}

// waits runs the block beside a service with the configuration before it.
func waits(t *testing.T, p *place, b block) {
	yaml := mockOnly
	for _, other := range blocks(t) {
		if other.file == b.file && other.line < b.line {
			yaml = strings.Replace(mockOnly, "providers: [ { name: mock, kind: mock } ]\n", other.text, 1)
		}
	}
	must(t, os.WriteFile(filepath.Join(p.dir, "signalbox.yaml"), []byte(p.ports(yaml)), 0o600))
	up := p.serve(t)
	defer up.Stop()
	out := p.shell(t, b, "")
	if n := strings.Count(out, "HTTP/1.1 200"); n != 5 {
		t.Errorf("%d of 5 are answered:\n%s", n, out)
	}
	if n := strings.Count(out, "x-signalbox-waited-ms: "); n != 2 {
		t.Errorf("%d are said to have waited, want 2:\n%s", n, out)
	}
}

// showsHealth runs the block beside a service that has had an exchange.
func showsHealth(t *testing.T, p *place, b block) {
	b.text = `signalbox up --config signalbox.yaml >up.log 2>&1 &
curl -s --retry 30 --retry-delay 1 --retry-all-errors -f http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \
  -d '{"model":"mock/echo","messages":[{"role":"user","content":"Hello"}]}' >/dev/null
for i in $(seq 100); do signalbox health | grep -q '^mock/echo' && break; sleep 0.1; done
` + b.text
	if out := p.shell(t, b, ""); !regexp.MustCompile(`(?m)^mock/echo +closed +100.0 % +1 `).MatchString(out) {
		t.Errorf("it prints\n%s", out)
	}
}

// withStore runs the block beside a service that has a store and a ledger with an exchange of a key.
func withStore(t *testing.T, p *place, b block) string {
	t.Helper()
	file := filepath.Join(p.dir, "signalbox.yaml")
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, append(text, "store: sqlite:run/signalbox.db\nauth: { secrets: { keys: file:pepper } }\nledger: { store: sqlite:run/ledger.db }\n"...), 0o600))
	must(t, os.WriteFile(filepath.Join(p.dir, "pepper"), []byte("a pepper of tests"), 0o600))
	b.text = `signalbox up --config signalbox.yaml >up.log 2>&1 &
for i in $(seq 300); do signalbox teams create core >/dev/null 2>&1 && break; sleep 0.1; done
key=$(signalbox keys create app --team core | sed -n 's/^key: *//p')
for i in $(seq 100); do
  curl -s --retry 30 --retry-delay 1 --retry-connrefused -f http://127.0.0.1:8080/v1/chat/completions -H "authorization: Bearer $key" -H 'content-type: application/json' \
    -d '{"model":"mock/echo","messages":[{"role":"user","content":"Hello"}]}' >/dev/null && break
  sleep 0.1
done
for i in $(seq 100); do signalbox usage --config signalbox.yaml | grep -q '^1 ' && break; sleep 0.1; done
signalbox budgets create team core money 5 --per month >/dev/null
` + b.text
	return p.shell(t, b, "")
}

// asksTheService runs the block that asks for usage over the admin API.
func asksTheService(t *testing.T, p *place, b block) {
	out := withStore(t, p, b)
	for _, want := range []string{`(?m)^core +echo +1 +0 `, `(?m)^2\S+Z +default +core +app +mock/echo +ok `, `(?m)^TEAM +USED`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}
}

// rendersTemplate runs the block beside a service that has the template of the block before.
func rendersTemplate(t *testing.T, p *place, b block) {
	for _, made := range blocks(t) {
		if made.file == b.file && strings.Contains(made.text, "cat > templates/") {
			p.shell(t, made, "")
		}
	}
	must(t, os.WriteFile(filepath.Join(p.dir, "signalbox.yaml"), []byte(p.ports(mockOnly)+"templates: templates\n"), 0o600))
	p.serve(t)
	isChat(t, p.shell(t, b, ""), "I am Ann.")
}

// keepsTemplates runs the block beside a service with a store, and has the file of the block before.
func keepsTemplates(t *testing.T, p *place, b block) {
	for _, made := range blocks(t) {
		if made.file == b.file && strings.Contains(made.text, "cat > templates/") {
			p.shell(t, made, "")
		}
	}
	out := withStore(t, p, b)
	for _, want := range []string{"support-reply@1\n", "support-reply@2\n", "canary of support-reply is version 2\n", "production of support-reply is version 2\n", "production of support-reply is version 1\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if !regexp.MustCompile(`(?m)^\+ +content: You answer for ACME briefly, in a`).MatchString(out) || !regexp.MustCompile(`(?m)^support-reply +1 +production +mock/echo +customer,tone `).MatchString(out) {
		t.Errorf("it prints\n%s", out)
	}
}

// listsChanges runs the block that asks the audit log.
func listsChanges(t *testing.T, p *place, b block) {
	out := withStore(t, p, b)
	if !regexp.MustCompile(`create budget team_core_money_month_\n`).MatchString(out) || !strings.Contains(out, `+ amount: "5000000000"`) || !strings.Contains(out, "SEQ") {
		t.Errorf("it prints\n%s", out)
	}
}

// listsModels runs the block and asks for what the text around it says of numbers and names.
func listsModels(t *testing.T, p *place, b block) {
	out := p.shell(t, b, "")
	for _, want := range []string{"claude-sonnet-4-5-20250929 ", "us.anthropic.claude-opus-5 ", `{"vendor":"azure","id":"gpt-5.4`} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not listed:\n%s", want, out)
		}
	}
	vendors := map[string]bool{}
	all := strings.Split(strings.TrimSpace(stack.Output(t, filepath.Join(p.dir, "bin/signalbox"), "models", "--json")), "\n")
	named := map[string]string{}
	for _, line := range all {
		vendors[text([]byte(line), "vendor")] = true
		named[text([]byte(line), "id")] = text([]byte(line), "name")
	}
	if len(all) <= 1500 || len(vendors) != 34 {
		t.Errorf("%d models at %d vendors are listed", len(all), len(vendors))
	}
	for _, id := range []string{"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5@20250929", "anthropic/claude-sonnet-4.5"} {
		if named[id] != "claude-sonnet-4-5" {
			t.Errorf("%s is named %q", id, named[id])
		}
	}
}

func countsTokens(t *testing.T, p *place, b block) {
	text, request, _ := strings.Cut(p.shell(t, b, ""), "\n")
	if text != "6 tokens of gpt-4o (exact)" || !strings.Contains(request, `"dialect":"openai-chat","tokens":8,`) {
		t.Errorf("got %s\n%s", text, request)
	}
}

func explains(t *testing.T, p *place, b block) {
	if out := p.shell(t, b, ""); !regexp.MustCompile(`(?m)^mock +yes `).MatchString(out) || !regexp.MustCompile(`(?m)^1 +mock/echo .* direct `).MatchString(out) {
		t.Errorf("it prints\n%s", out)
	}
}

// backtests runs the block beside the ledger of a service that has served an exchange.
func backtests(t *testing.T, p *place, b block) {
	file := filepath.Join(p.dir, "signalbox.yaml")
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, append(text, "ledger: { store: sqlite:run/ledger.db }\n"...), 0o600))
	must(t, os.WriteFile(filepath.Join(p.dir, "new.yaml"), text, 0o600))
	b.text = `signalbox up --config signalbox.yaml >up.log 2>&1 &
curl -s --retry 30 --retry-delay 1 --retry-all-errors -f http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \
  -d '{"model":"mock/echo","messages":[{"role":"user","content":"Hello"}]}' >/dev/null
for i in $(seq 100); do signalbox usage --config signalbox.yaml | grep -q '^1 ' && break; sleep 0.1; done
` + b.text
	if out := p.shell(t, b, ""); !regexp.MustCompile(`(?m)^1 exchanges from `).MatchString(out) || !regexp.MustCompile(`(?m)^mock/echo +100.00 % +100.00 % +100.00 % +100.00 % +1 attempts, thin$`).MatchString(out) {
		t.Errorf("it prints\n%s", out)
	}
}

func translates(t *testing.T, p *place, b block) {
	out := []byte(p.shell(t, b, ""))
	upstream := jsonx.Get(out, "upstream")
	if text(upstream, "path") != "/v1/messages" || text(upstream, "headers", "x-api-key") != "<redacted>" {
		t.Errorf("got %s", out)
	}
	if body := text(upstream, "body"); !strings.Contains(body, `"model":"claude-sonnet-4-5"`) || !strings.Contains(body, "Hello") {
		t.Errorf("the body is %s", body)
	}
	if got := string(jsonx.Get(out, "error")); got != "null" {
		t.Errorf("the error is %s", got)
	}
}

// testsChannel runs the block with a channel that takes the test.
func testsChannel(t *testing.T, p *place, b block) {
	got := make(chan string, 1)
	slack := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- string(body)
	}))
	defer slack.Close()
	p.env = append(p.env, "SLACK_WEBHOOK="+slack.URL)
	must(t, os.WriteFile(filepath.Join(p.dir, "signalbox.yaml"), []byte(p.ports(mockOnly)+"ledger: { store: \"sqlite:run/ledger.db\" }\nalerts: { channels: [ { name: ops, slack: { url: env:SLACK_WEBHOOK } } ] }\n"), 0o600))
	if out := p.shell(t, b, ""); out != "ops: taken\n" {
		t.Errorf("it prints %q", out)
	}
	if s := <-got; !strings.Contains(s, "Nothing has happened") {
		t.Errorf("Slack got %s", s)
	}
}

// asksForObjectives runs the block beside a service that has promised something of an exchange that went well.
func asksForObjectives(t *testing.T, p *place, b block) {
	must(t, os.WriteFile(filepath.Join(p.dir, "signalbox.yaml"), []byte(p.ports(mockOnly)+"slos: [ { name: all, success: 99% } ]\n"), 0o600))
	p.serve(t)
	isChat(t, p.shell(t, block{text: `curl -s http://127.0.0.1:8080/v1/chat/completions -d '{"model":"mock/echo","messages":[{"role":"user","content":"Hello"}]}' -H 'content-type: application/json'`}, ""), "Hello")
	at := "export SIGNALBOX_SERVICE=http://127.0.0.1:9180\n"
	p.shell(t, block{text: at + "for i in $(seq 100); do signalbox slo | grep -q '30d  *1 ' && break; sleep 0.1; done\n"}, "")
	b.text = at + b.text
	out := p.shell(t, b, "signalbox slo --json\n")
	if !regexp.MustCompile(`(?m)^all +success +99% +30d +1 +100% +100% +0\.0 +0\.0 +0\.0 +-$`).MatchString(out) || !strings.Contains(out, `[{"slo":"all","objective":"success","goal":0.99,`) {
		t.Errorf("it prints\n%s", out)
	}
}

func TestTheExamplesAreValid(t *testing.T) {
	files, err := filepath.Glob(root + "/deploy/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no examples", err)
	}
	for _, b := range blocks(t) {
		if b.lang != "yaml" {
			continue
		}
		if !regexp.MustCompile(`(?m)^providers:`).MatchString(b.text) { // it shows one part
			b.text = "providers: [ { name: mock, kind: mock } ]\n" + b.text
		}
		f := filepath.Join(t.TempDir(), "example.yaml")
		if strings.HasPrefix(b.text, "policy:") { // of a route, or of all
			b.text = "defaults:\n  " + strings.TrimSpace(strings.ReplaceAll(b.text, "\n", "\n  ")) + "\n"
		}
		if !strings.Contains(b.text, "providers:") { // a part of a configuration, which has providers elsewhere
			b.text += "\nproviders: [ { name: mock, kind: mock } ]\n"
		}
		must(t, os.WriteFile(f, []byte(b.text), 0o600))
		files = append(files, f)
	}
	for _, f := range files {
		example, err := os.ReadFile(f)
		must(t, err)
		for _, m := range regexp.MustCompile(`env:([A-Z0-9_]+)`).FindAllSubmatch(example, -1) { // what it takes for granted
			value := `{"type":"authorized_user","client_id":"a","client_secret":"b","refresh_token":"c"}`
			if strings.HasSuffix(string(m[1]), "_WEBHOOK") {
				value = "https://hooks.example.com/x"
			}
			t.Setenv(string(m[1]), value)
		}
		if out := stack.Output(t, stack.Binary(t), "check", f); !strings.Contains(out, " is valid: ") {
			t.Errorf("%s: %s", f, out)
		}
	}
}

// TestWhatUpPrintsWorks runs the command that is shown at start as it is.
func TestWhatUpPrintsWorks(t *testing.T) {
	for name, config := range map[string]string{
		"the mock":        mockOnly,
		"a route":         mockOnly + "routes: [ { name: r, match: { models: [ \"a*\", my-model ] }, targets: [ mock/echo ] } ]\n",
		"keys, all hosts": "listen: { http: 0.0.0.0:PORT, admin: 127.0.0.1:9180 }\nproviders: [ { name: mock, kind: mock } ]\nkeys: [ { name: ci, hash: \"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\" } ]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			must(t, os.WriteFile(filepath.Join(p.dir, "signalbox.yaml"), []byte(strings.ReplaceAll(p.ports(config), "PORT", p.http)), 0o600))
			up := p.serve(t)
			_, after, ok := strings.Cut(up.Output(), "Try it:\n")
			if !ok {
				t.Fatal("nothing is shown")
			}
			command, _, _ := strings.Cut(after, "\n\n")
			isChat(t, p.shell(t, block{file: name, text: "KEY=test\n" + command + "\n"}, ""), "Hello")
		})
	}
}

// evaluates runs a set through a served gateway.
func evaluates(t *testing.T, p *place, b block) {
	b.text = strings.ReplaceAll(b.text, "--name night", "--name night --base-url http://127.0.0.1:8080/v1")
	p.serve(t)
	out := p.shell(t, b, "signalbox eval list\nsignalbox eval diff night night --json\n")
	for _, want := range []string{"mock/echo  3/3     100.0 %", "mock/text  0/3     0.0 %", "no difference in passing is shown (0 to 3, p 0.25)", "kept as night in run/evals",
		"exact: got \"Hello, this is mock", "no number in", "no JSON", "night", `"p":1`} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
}

// storesEvaluations runs the set of the page beside a service with a store.
func storesEvaluations(t *testing.T, p *place, b block) {
	for _, made := range blocks(t) {
		if lines, ok := strings.CutPrefix(made.text, "cat > greetings.jsonl <<'END'\n"); ok {
			lines, _, _ = strings.Cut(lines, "END\n")
			must(t, os.WriteFile(filepath.Join(p.dir, "greetings.jsonl"), []byte(lines), 0o600))
		}
	}
	// Not the key of a team with a budget of money, which what has no price is not let in under.
	b.text = `signalbox teams create asking >/dev/null
export KEY=$(signalbox keys create asking --team asking | sed -n 's/^key: *//p')
for i in $(seq 100); do
  curl -s -f http://127.0.0.1:8080/v1/models -H "authorization: Bearer $KEY" >/dev/null && break
  sleep 0.1
done
` + strings.ReplaceAll(b.text, "--name noon", "--name noon --base-url http://127.0.0.1:8080/v1")
	out := withStore(t, p, b)
	for _, want := range []string{`mock/echo  3/3 `, `kept as noon in the store of unix:run/control.sock\n`, `(?m)^noon  store  20\S+ \S+  local:\d+ +[0-9a-f]{16}  [0-9a-f]{8} +mock/echo, mock/text$`,
		`of 3 cases, configuration [0-9a-f]{8}, begun by local:\d+ on`, `noon is deleted from the store of unix:run/control.sock\n`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "run/evals") {
		t.Errorf("it is in a file, too:\n%s", out)
	}
}

// knowsCommands asks the program for help on each command of a block that needs more than a place has.
func knowsCommands(t *testing.T, p *place, b block) {
	for line := range strings.Lines(b.text) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "signalbox" {
			continue
		}
		out := stack.Output(t, filepath.Join(p.dir, "bin/signalbox"), words[1], words[2], "--help")
		for _, f := range flag.FindAllString(line, -1) {
			if !strings.Contains(out, f) && !strings.Contains(line, "#") {
				t.Errorf("%s %s knows no %s", words[1], words[2], f)
			}
		}
	}
}
