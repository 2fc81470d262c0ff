package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// block is a fenced block of a document.
type block struct {
	file string // from the root of the repository
	line int
	lang string
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

// root is the root of the repository.
const root = "../.."

// blocks reads the fenced blocks of all documents.
func blocks(t *testing.T) []block {
	t.Helper()
	files, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no documents", err)
	}
	var out []block
	for _, f := range append([]string{root + "/README.md"}, files...) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel(root, f)
		open, n := false, 0
		for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
			n++
			lang, fence := strings.CutPrefix(s.Text(), "```")
			switch {
			case fence && !open:
				out = append(out, block{file: name, line: n, lang: lang})
			case !fence && open:
				out[len(out)-1].text += s.Text() + "\n"
			}
			open = open != fence
		}
		if open {
			t.Fatalf("%s: a block is not closed", name)
		}
	}
	return out
}

// said is what the documents say of a block, by its file and something that it holds.
var said = []struct {
	file, holds string
	check       func(*testing.T, *place, block)
}{
	{"README.md", "make run", commandsExist},
	{"README.md", `"model":"mock/echo","messages"`, func(t *testing.T, p *place, b block) {
		p.serve(t)
		isChat(t, p.shell(t, b, ""), "Hello")
	}},
	{"README.md", "/v1/messages", func(t *testing.T, p *place, b block) {
		p.serve(t)
		out := []byte(p.shell(t, b, ""))
		if got := text(first(jsonx.Get(out, "content")), "text"); got != "Hello" {
			t.Errorf("the content is %q: %s", got, out)
		}
	}},
	{"README.md", "from openai import", python},
	{"README.md", "deploy/failover.yaml", failsOver},
	{"docs/own-envoy.md", "envoy bootstrap", ownEnvoy},
	{"docs/translate.md", "signalbox translate", translates},
	{"docs/models.md", "signalbox models", listsModels},
	{"docs/tokens.md", "signalbox tokens", countsTokens},
	{"docs/backtest.md", "signalbox backtest", backtests},
	{"docs/explain.md", "signalbox explain request.json", explains},
	{"docs/explain.md", "signalbox explain 06cq", knowsCommands},
	{"docs/providers.md", "from anthropic import", python},
	{"docs/alerts.md", "signalbox alerts test", testsChannel},
	{"docs/health.md", "signalbox health", showsHealth},
	{"docs/idempotency.md", "idempotency-key", repeats},
	{"docs/queue.md", "x-signalbox-waited", waits},
	{"docs/alerts.md", "signalbox usage forecast", forecasts},
	{"docs/slo.md", "signalbox slo", asksForObjectives},
	{"docs/ledger.md", "--server", asksTheService},
	{"docs/ledger.md", "signalbox usage", asksTheLedger},
	{"docs/keys.md", "signalbox audit", listsChanges},
	{"docs/experiments.md", "signalbox experiments", knowsCommands},
	{"docs/experiments.md", "signalbox usage", knowsCommands},
	{"docs/evals.md", "cat > greetings.jsonl", evaluates},
	{"docs/evals.md", "SIGNALBOX_ADMIN=", storesEvaluations},
	{"docs/templates.md", "signalbox templates create", keepsTemplates},
	{"docs/templates.md", "cat > templates/", func(t *testing.T, p *place, b block) { p.shell(t, b, "") }},
	{"docs/templates.md", "support-reply", rendersTemplate},
}

// TestEveryCommandOfTheDocumentsWorks runs each block as a reader would, in a folder that looks like the
// repository's, and compares the outcome with what is said about it. Only ports are changed.
func TestEveryCommandOfTheDocumentsWorks(t *testing.T) {
	used := map[int]bool{}
	for _, b := range blocks(t) {
		if b.lang != "sh" && b.lang != "python" {
			continue
		}
		check := commandsExist
		for i, s := range said {
			if s.file == b.file && strings.Contains(b.text, s.holds) {
				used[i], check = true, s.check
				break
			}
		}
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel() // each has a place of its own, and mostly waits for what it started
			check(t, newPlace(t), b)
		})
	}
	for i, s := range said {
		if !used[i] {
			t.Errorf("%s has no block with %q any more", s.file, s.holds)
		}
	}
}

// place is a folder with what the documents take for granted: the program, the examples, an Envoy on the PATH.
type place struct {
	dir         string
	http, admin string // ports
	env         []string
}

const mockOnly = "drain: 1s\nlisten: { http: 127.0.0.1:8080, admin: 127.0.0.1:9180 }\nproviders: [ { name: mock, kind: mock } ]\n"

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb") // short: a socket's path holds about a hundred bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &place{dir: dir, http: stack.FreePort(t), admin: stack.FreePort(t)}
	binary, err := filepath.Abs(stack.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"bin", "deploy"} {
		must(t, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	must(t, os.Symlink(binary, filepath.Join(dir, "bin/signalbox")))
	envoy := strings.TrimSpace(stack.Output(t, binary, "envoy", "path"))
	must(t, os.Symlink(envoy, filepath.Join(dir, "bin/envoy")))
	must(t, os.WriteFile(filepath.Join(dir, "signalbox.yaml"), []byte(p.ports(mockOnly)), 0o600))
	examples, _ := filepath.Glob(root + "/deploy/*.yaml")
	for _, f := range examples {
		text, err := os.ReadFile(f)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "deploy", filepath.Base(f)), []byte(p.ports(string(text))), 0o600))
	}
	return p
}

// ports puts free ports in the place of those that the documents name.
func (p *place) ports(text string) string {
	return strings.NewReplacer("127.0.0.1:8080", "127.0.0.1:"+p.http, "127.0.0.1:9180", "127.0.0.1:"+p.admin).Replace(text)
}

// serve does what "make run" does after building.
func (p *place) serve(t *testing.T) *stack.Process {
	t.Helper()
	path := filepath.Join(p.dir, "bin/signalbox")
	run := stack.Start(t, "/usr/bin/env", nil, "-C", p.dir, "setsid", path, "up") // a group of its own, as a shell gives it
	p.ready(t)
	return run
}

func (p *place) ready(t *testing.T) {
	t.Helper()
	stack.Eventually(t, time.Minute, "signalbox is ready", func() error {
		res, err := http.Get("http://127.0.0.1:" + p.admin + "/readyz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", res.Status)
		}
		return nil
	})
}

// shell runs a block and what follows it, and returns what that wrote to standard output. What the block left in
// the background is stopped.
func (p *place) shell(t *testing.T, b block, then string) string {
	t.Helper()
	script := "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n" + p.ports(b.text) + then
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = p.dir
	cmd.Env = append(append(os.Environ(), "PATH="+filepath.Join(p.dir, "bin")+":"+os.Getenv("PATH")), p.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", b, err, out.String(), errs.String())
	}
	return out.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// first returns the first element of a JSON array.
func first(list []byte) []byte {
	for _, v := range jsonx.Elements(list) {
		return v
	}
	return nil
}

// text returns a string member.
func text(obj []byte, path ...string) string {
	s, _ := jsonx.String(jsonx.At(obj, path...))
	return s
}

func isChat(t *testing.T, body, want string) {
	t.Helper()
	if got := text(first(jsonx.Get([]byte(body), "choices")), "message", "content"); got != want {
		t.Errorf("the content is %q, want %q: %s", got, want, body)
	}
}

// flag is an option of a script.
var flag = regexp.MustCompile(`--[a-z-]+`)

// commandsExist is for what takes too long to be run here, and is run by make itself: targets of the Makefile, and
// scripts of the repository with their options.
func commandsExist(t *testing.T, _ *place, b block) {
	makefile, err := os.ReadFile(root + "/Makefile")
	must(t, err)
	for line := range strings.Lines(b.text) {
		command, _, _ := strings.Cut(strings.TrimSpace(line), "#")
		words := strings.Fields(command)
		switch {
		case len(words) == 0:
		case words[0] == "make" && len(words) > 1:
			if !bytes.Contains(makefile, []byte("\n"+words[1]+":")) {
				t.Errorf("the Makefile has no target %s", words[1])
			}
		default:
			scriptExists(t, words)
		}
	}
}

func scriptExists(t *testing.T, words []string) {
	t.Helper()
	for i, w := range words {
		if _, err := os.Stat(filepath.Join(root, w)); err != nil {
			continue
		}
		var source []byte // a script may hand its options to another beside it
		beside, _ := filepath.Glob(filepath.Join(root, filepath.Dir(w), "*.[ps][yh]"))
		for _, f := range beside {
			text, err := os.ReadFile(f)
			must(t, err)
			source = append(source, text...)
		}
		for _, f := range flag.FindAllString(strings.Join(words[i+1:], " "), -1) {
			if !bytes.Contains(source, []byte(f)) {
				t.Errorf("%s knows no %s", w, f)
			}
		}
		return
	}
	t.Errorf("nothing says how to check %q", strings.Join(words, " "))
}
