package compat_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/compat"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

var update = flag.Bool("update", false, "write the golden files anew")

// marker begins a file of an archive in the txtar form.
var marker = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

// made is what differs from run to run: times, and ids made for answers that came without.
var made = regexp.MustCompile(`"created":\d+|"id":"(msg_|chatcmpl-|call_|toolu_)[A-Za-z0-9]{20,}"`)

// TestGolden runs the archives in testdata/VENDOR. In requests-*.txtar a client's request stands beside what the
// vendor gets, or why it gets nothing; in answers-*.txtar a vendor's answer beside what clients get:
//
//	client.json           a request     upstream.txt   path, headers and body, what was lost; or the refusal
//	answer.sse, .json     an answer     openai.txt     to a client of openai-chat
//	error-STATUS.json     an error      anthropic.txt  to a client of anthropic-messages
//
// A vendor without archives gets the usual ones when they are written anew.
func TestGolden(t *testing.T) {
	for _, k := range compat.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			dir := filepath.Join("testdata", k.Name)
			if *update {
				begin(t, &k, dir)
			}
			archives, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
			if err != nil || len(archives) == 0 {
				t.Fatalf("no archives in %s: run with -update", dir)
			}
			for _, file := range archives {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { archive(t, &k, file) })
			}
		})
	}
}

// archive runs one archive.
func archive(t *testing.T, k *providers.Kind, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(filepath.Base(file), ".txtar")
	parts := marker.Split(string(raw), -1)
	kept := parts[0]
	var want, got []string
	put := func(name, text string) {
		kept += "-- " + name + " --\n" + text
		got = append(got, name, text)
	}
	for i, m := range marker.FindAllStringSubmatch(string(raw), -1) {
		switch base, _, _ := strings.Cut(m[1], "."); {
		case base == "client":
			kept += m[0] + parts[i+1]
			put("upstream.txt", sent(t, k, door(name), []byte(parts[i+1])))
		case base == "answer", strings.HasPrefix(base, "error-"):
			kept += m[0] + parts[i+1]
			for _, d := range []dialect.Name{dialect.OpenAIChat, dialect.AnthropicMessages} {
				vendor, _, _ := strings.Cut(string(d), "-")
				put(vendor+".txt", received(t, k, d, m[1], []byte(parts[i+1])))
			}
		default:
			want = append(want, m[1], parts[i+1])
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(kept), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := diff.Diff(want, got); d != "" {
		t.Errorf("run with -update if this is meant (-want +got):\n%s", d)
	}
}

// door is the path of a client, by the archive's name.
func door(name string) string {
	switch {
	case strings.HasPrefix(name, "requests-anthropic"):
		return "/v1/messages"
	case strings.HasPrefix(name, "requests-embeddings"):
		return "/v1/embeddings"
	}
	return "/v1/chat/completions"
}

// adapter makes the vendor's adapter, at its own address.
func adapter(t *testing.T, k *providers.Kind) (providers.Adapter, string) {
	t.Helper()
	params := k.Params().(*compat.Params)
	if strings.Contains(k.BaseURL, "{account}") {
		params.Account = "acct"
	}
	base, err := k.Locate("", params)
	if err != nil {
		t.Fatal(err)
	}
	u, err := providers.ParseBase(cmp.Or(base, "http://127.0.0.1:8000/v1"))
	if err != nil {
		t.Fatal(err)
	}
	params.Account = ""
	a, err := k.New(providers.Env{Name: k.Name, BaseURL: u}, params)
	if err != nil {
		t.Fatal(err)
	}
	return a, u.Host
}

// sent is what the vendor gets of a request.
func sent(t *testing.T, k *providers.Kind, path string, body []byte) string {
	t.Helper()
	row, _, _ := dialect.Find("POST", path, "")
	server := all.Servers()[row.Name]
	a, host := adapter(t, k)
	in := dialect.Inbound{Op: row.Op, Path: path, Body: bytes.TrimSpace(body)}
	head, err := server.Peek(in)
	if err != nil {
		t.Fatal(err)
	}
	client, ok := a.Speaks(row.Op, head.Model, row.Name)
	if !ok {
		t.Fatalf("%s does not serve %s", k.Name, row.Op)
	}
	out, losses, err := upstream(server, client, in, head, a)
	if err != nil {
		e, _ := err.(*llm.Error)
		if e == nil || e.Param == "" {
			t.Fatal(err)
		}
		return fmt.Sprintf("refused: %s: %s\n", e.Param, e.Message)
	}
	o := &providers.Outbound{Method: "POST", Host: host, Dialect: client.Name(), Stream: head.Stream, Body: out, Key: secret.New("KEY"), Client: func(string) string { return "" }}
	if o.Path, err = a.Address(providers.Call{Op: row.Op, Dialect: client.Name(), Model: head.Model, Stream: head.Stream}); err != nil {
		t.Fatal(err)
	}
	if err := a.Sign(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s%s\n", host, o.Path)
	for _, h := range o.Header {
		if !slices.Contains(k.Sets, h.Name) {
			t.Errorf("%s is set and not listed", h.Name)
		}
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	fmt.Fprintf(&b, "\n%s\n", out)
	for _, l := range losses {
		fmt.Fprintf(&b, "lost: %s: %s\n", l.Path, l.Why)
	}
	return b.String()
}

func upstream(server dialect.Server, client dialect.Client, in dialect.Inbound, head *dialect.Head, a providers.Adapter) ([]byte, []llm.Loss, error) {
	if client.Name() == server.Name() {
		var losses []llm.Loss
		if t, ok := client.(dialect.Trimmer); ok {
			var err error
			if losses, err = t.Trims(head, head.Model); err != nil {
				return nil, nil, err
			}
		}
		out, err := client.Splice(nil, head, dialect.Edits{Model: head.Model, AskUsage: true})
		return out, losses, err
	}
	req, err := server.ReadRequest(in)
	if err != nil {
		return nil, nil, err
	}
	return client.WriteRequest(nil, req, dialect.Target{Model: head.Model, Facts: a.Facts(head.Model)})
}

// received is what a client gets of an answer of openai-chat.
func received(t *testing.T, k *providers.Kind, d dialect.Name, file string, body []byte) string {
	t.Helper()
	server := all.Servers()[d]
	a, _ := adapter(t, k)
	client, _ := a.Speaks(llm.OpChat, "m", dialect.OpenAIChat)
	if rest, isError := strings.CutPrefix(file, "error-"); isError {
		var status int
		if _, err := fmt.Sscanf(rest, "%d", &status); err != nil {
			t.Fatal(err)
		}
		e := client.ReadError(status, nil, bytes.TrimSpace(body))
		out, text := server.WriteError(e, "")
		return fmt.Sprintf("%s, retryable: %v\n%d %s\n", e.Code, e.Code.Retryable(), out, text)
	}
	stream := strings.HasSuffix(file, ".sse")
	asked := `{"model":"m"}`
	if bytes.Contains(body, []byte(`"tool_calls"`)) {
		asked = `{"model":"m","tools":[{"type":"function","function":{"name":"f"}}]}`
	}
	doc, err := jsonx.Scan([]byte(asked))
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := client.(dialect.Rewriter); d == dialect.OpenAIChat && (!ok || !r.Rewrites(&dialect.Head{Doc: doc, Stream: stream, Usage: true})) {
		return "as it came\n"
	}
	req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: stream, Usage: true, Body: new(llm.Chat), Extra: llm.Extra{Dialect: string(d)}}
	w := server.NewWriter(req, stream)
	var out []byte
	err = client.NewReader(req, stream).Feed(body, true, func(ev *llm.Event) (err error) {
		out, err = w.Write(out, ev)
		return err
	})
	if err == nil {
		out, err = w.Close(out)
	}
	if err != nil {
		e, ok := err.(*llm.Error)
		if !ok {
			t.Fatal(err)
		}
		status, text := server.WriteError(e, "")
		return fmt.Sprintf("%d %s\n", status, text)
	}
	return strings.TrimRight(string(made.ReplaceAll(out, []byte(`"made":0`))), "\n") + "\n"
}

// The requests that a vendor begins with.
const (
	plainChat = `{"model":"MODEL","stream":true,"messages":[{"role":"user","content":"Hello"}]}`
	fullChat  = `{"model":"MODEL","stream":true,"messages":[{"role":"developer","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"What is 2+2?"}]},` +
		`{"role":"assistant","content":null,"reasoning_content":"A tool can do that.","tool_calls":[{"id":"call_abc123","type":"function","function":{"name":"add","arguments":"{\"a\":2,\"b\":2}"}}]},` +
		`{"role":"tool","tool_call_id":"call_abc123","content":"4"},{"role":"assistant","content":"4","reasoning_content":"The tool said so."},{"role":"user","content":"And 3+3?"}],` +
		`"tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}}}}}],"tool_choice":"auto","parallel_tool_calls":true,` +
		`"max_completion_tokens":256,"temperature":0.5,"seed":7,"stop":["END"],"logit_bias":{"50256":-100},"user":"u-1","service_tier":"default","reasoning_effort":"low","x_unknown":[1.0]}`
	messages = `{"model":"MODEL","max_tokens":4096,"stream":true,"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],"thinking":{"type":"enabled","budget_tokens":2048},` +
		`"messages":[{"role":"user","content":"What is 2+2?"},{"role":"assistant","content":[{"type":"thinking","thinking":"A tool can do that.","signature":"c2ln"},{"type":"tool_use","id":"toolu_1","name":"add","input":{"a":2,"b":2}}]},` +
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"4"}]}],"tools":[{"name":"add","input_schema":{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"number"}}}}],` +
		`"tool_choice":{"type":"auto"},"stop_sequences":["END"],"metadata":{"user_id":"u-1"}}`
	embeddings = `{"model":"MODEL","input":["Hello","World"],"encoding_format":"base64","dimensions":256,"user":"u-1"}`
)

// probes are members that a vendor may refuse. Each is asked for alone.
var probes = []string{
	`"n":2`, `"logprobs":true`, `"response_format":{"type":"json_object"}`, `"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{}}}`,
	`"tool_choice":"required","tools":[{"type":"function","function":{"name":"f"}}]`, `"tool_choice":{"type":"function","function":{"name":"f"}},"tools":[{"type":"function","function":{"name":"f"}}]`,
	`"reasoning_effort":"none"`, `"reasoning_effort":"high"`, `"max_tokens":5`,
}

// begin writes the usual requests of a vendor that has none.
func begin(t *testing.T, k *providers.Kind, dir string) {
	t.Helper()
	params := k.Params().(*compat.Params)
	model := "m"
	if len(k.Models) > 0 {
		model = strings.Trim(k.Models[0], "*")
	}
	if m := params.Quirks.Reasoning.Models; len(m) > 0 {
		model = strings.Trim(m[0], "*")
	}
	usual := map[string][]string{}
	if params.Endpoints.Chat != "" {
		usual["requests-openai"] = []string{plainChat, fullChat}
		for _, p := range probes {
			usual["requests-probes"] = append(usual["requests-probes"], strings.Replace(plainChat, `"stream":true`, p, 1))
		}
		usual["requests-anthropic"] = []string{messages}
	} else {
		usual["requests-embeddings"] = []string{embeddings}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, bodies := range usual {
		file := filepath.Join(dir, name+".txtar")
		if _, err := os.Stat(file); err == nil {
			continue
		}
		var b strings.Builder
		for _, body := range bodies {
			b.WriteString("-- client.json --\n" + strings.ReplaceAll(body, "MODEL", model) + "\n")
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatVendorsGetIsReadBack reads what is sent of every request: it is of the dialect still.
func TestWhatVendorsGetIsReadBack(t *testing.T) {
	for _, k := range compat.Kinds() {
		if k.Params().(*compat.Params).Endpoints.Chat == "" {
			continue
		}
		for path, body := range map[string]string{"/v1/chat/completions": fullChat, "/v1/messages": messages} {
			text := sent(t, &k, path, []byte(strings.ReplaceAll(body, "MODEL", "m")))
			_, rest, ok := strings.Cut(text, "\n\n")
			out, _, _ := strings.Cut(rest, "\n")
			if !ok && strings.HasPrefix(text, "refused: ") {
				continue
			}
			if err := jsonx.Valid([]byte(out)); err != nil || !strings.Contains(text, "KEY") {
				t.Errorf("%s: %v\n%s", k.Name, err, text)
			}
		}
	}
}
