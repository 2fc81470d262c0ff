package gemini

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txtar")

// archive is a text archive in the txtar form: a comment, then files that each follow a line "-- name --".
type archive struct {
	comment string
	names   []string
	files   map[string]string
}

func parseArchive(s string) *archive {
	a := &archive{files: map[string]string{}}
	at := ""
	for _, line := range strings.SplitAfter(s, "\n") {
		n, isMark := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "-- ")
		n, closes := strings.CutSuffix(n, " --")
		switch {
		case isMark && closes:
			at = n
			a.names = append(a.names, n)
			a.files[n] = ""
		case at == "":
			a.comment += line
		default:
			a.files[at] += line
		}
	}
	return a
}

func (a *archive) set(name, body string) {
	body = strings.ReplaceAll(body, "\r\n", "\n")
	if body != "" && !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	if _, found := a.files[name]; !found {
		a.names = append(a.names, name)
	}
	a.files[name] = body
}

func (a *archive) String() string {
	var b strings.Builder
	b.WriteString(a.comment)
	for _, n := range a.names {
		b.WriteString("-- " + n + " --\n" + a.files[n])
	}
	return b.String()
}

// option returns the value of a line "name: value" of the comment.
func (a *archive) option(name string) string {
	for line := range strings.Lines(a.comment) {
		if v, found := strings.CutPrefix(line, name+": "); found {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// TestGolden runs the exchanges in testdata/*.txtar. The request (request.json) is written for the model in the
// comment as if it had come in the dialect that the comment names; the answer is read for it and written back in all
// forms. Everything else in an archive is expected. Line ends are those of the file.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a, was := parseArchive(string(b)), parseArchive(string(b))
			runGolden(t, a)
			if *update {
				if err := os.WriteFile(file, []byte(a.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(a.files, was.files); diff != "" {
				t.Errorf("(-got +want)\n%s", diff)
			}
		})
	}
}

func runGolden(t *testing.T, a *archive) {
	t.Helper()
	c := fixed()
	c.vertex = a.option("service") == "vertex"
	var req *llm.Request
	if body, found := a.files["request.json"]; found {
		var err error
		if req, err = c.ReadRequest(dialect.Inbound{Op: llm.OpChat, Path: a.option("path"), Model: "m", Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
		if from := a.option("from"); from != "" {
			req.Extra.Dialect = from
		}
		model := a.option("model")
		out, losses, err := c.WriteRequest(nil, req, dialect.Target{Model: model, Facts: catalog.FactsOf("gemini", model)})
		if err != nil {
			out = []byte(err.Error())
		}
		a.set("upstream.json", string(out))
		lost := ""
		for _, l := range losses {
			lost += l.Path + ": " + l.Why + "\n"
		}
		a.set("losses.txt", lost)
	}
	answer, found := a.files["answer"]
	if !found {
		return
	}
	evs := read(t, c.NewReader(req, true), []byte(answer), whole)
	for _, n := range []int{1, 7, 64} {
		if diff := cmp.Diff(read(t, c.NewReader(req, true), []byte(answer), every(n)), evs); diff != "" {
			t.Errorf("cut every %d bytes: %s", n, diff)
		}
	}
	a.set("events.txt", describe(evs))
	to := &llm.Request{Op: llm.OpChat, Body: &llm.Chat{}}
	for _, form := range []string{"json", "sse", formArray} {
		to.Form = form
		out, err := write(t, c.NewWriter(to, form != "json"), evs)
		if err != nil {
			out = fmt.Append(out, "error: ", err)
		}
		a.set("client."+form, string(out))
	}
}

// describe writes events as text, one in a line.
func describe(evs []llm.Event) string {
	var b strings.Builder
	for i := range evs {
		e := &evs[i]
		b.WriteString(e.Kind.String())
		if e.Choice != 0 {
			fmt.Fprintf(&b, " of choice %d", e.Choice)
		}
		switch e.Kind {
		case llm.EvBlockStarted, llm.EvDelta, llm.EvBlockEnded:
			fmt.Fprintf(&b, " %d %v", e.Index, e.Part)
		case llm.EvUsage:
			u := &e.Usage
			for _, c := range []struct {
				name string
				n    llm.Count
			}{{"input", u.Input}, {"cached", u.Cached}, {"output", u.Output}, {"reasoning", u.Reasoning}, {"audio_in", u.AudioIn}, {"searches", u.WebSearches}} {
				if c.n.Known {
					fmt.Fprintf(&b, " %s=%d", c.name, c.n.N)
				}
			}
		case llm.EvFinished:
			fmt.Fprintf(&b, " %v %s %s", e.Stop.Reason, e.Stop.Native, e.Stop.Details)
		case llm.EvFailed:
			fmt.Fprintf(&b, " %v: %s", e.Err.Code, e.Err.Message)
		}
		for _, s := range []string{e.ID, e.Name, e.Seal, string(e.Text), string(e.Raw), string(e.Logprobs)} {
			if len(s) > 200 {
				s = s[:200] + "…"
			}
			if s != "" {
				fmt.Fprintf(&b, " %q", s)
			}
		}
		if e.Cite != nil {
			fmt.Fprintf(&b, " cites %q %d-%d", e.Cite.Title, e.Cite.Start, e.Cite.End)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
