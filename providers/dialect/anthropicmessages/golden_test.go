package anthropicmessages

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
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

// TestGolden runs the exchanges in testdata/*.txtar. The request (request.json) is written for the model in
// the comment as if it had come in the dialect that the comment names; the answer (answer.sse, answer.json)
// is read for it and written back in both forms. Everything else in an archive is expected.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) < 8 {
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
	var req *llm.Request
	if body, found := a.files["request.json"]; found {
		var err error
		if req, err = c.ReadRequest(in(body)); err != nil {
			t.Fatal(err)
		}
		if from := a.option("from"); from != "" {
			req.Extra.Dialect = from
		}
		out, losses, err := c.WriteRequest(nil, req, target(a.option("model")))
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
	for _, form := range []string{"answer.sse", "answer.json"} {
		body, found := a.files[form]
		if !found {
			continue
		}
		stream := form == "answer.sse"
		evs := read(t, c.NewReader(req, stream), []byte(body), whole)
		for _, n := range []int{1, 7, 64} {
			if diff := cmp.Diff(read(t, c.NewReader(req, stream), []byte(body), every(n)), evs); diff != "" {
				t.Errorf("cut every %d bytes: %s", n, diff)
			}
		}
		a.set("events.txt", describe(evs))
		for _, s := range []bool{true, false} {
			out, err := write(t, c.NewWriter(req, s), evs)
			if err != nil {
				out = fmt.Append(out, "error: ", err)
			}
			a.set(map[bool]string{true: "client.sse", false: "client.json"}[s], string(out))
		}
	}
}

// describe writes events as text, one a line.
func describe(evs []llm.Event) string {
	var b bytes.Buffer
	for _, e := range evs {
		b.WriteString(e.Kind.String())
		switch e.Kind {
		case llm.EvBlockStarted, llm.EvDelta, llm.EvBlockEnded:
			fmt.Fprintf(&b, " %d %v", e.Index, e.Part)
		case llm.EvUsage:
			u := e.Usage
			for _, c := range []struct {
				name string
				n    llm.Count
			}{
				{"input", u.Input}, {"cached", u.Cached}, {"write", u.CacheWrite}, {"write1h", u.CacheWrite1h}, {"output", u.Output},
				{"reasoning", u.Reasoning}, {"searches", u.WebSearches},
			} {
				if c.n.Known {
					fmt.Fprintf(&b, " %s=%d", c.name, c.n.N)
				}
			}
		case llm.EvFinished:
			fmt.Fprintf(&b, " %v %s %q %s", e.Stop.Reason, e.Stop.Native, e.Stop.Sequence, e.Stop.Details)
		case llm.EvFailed:
			fmt.Fprintf(&b, " %v: %s", e.Err.Code, e.Err.Message)
		}
		for _, s := range []string{e.ID, e.Name, e.Seal, string(e.Text)} {
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

func TestArchivesAreParsed(t *testing.T) {
	const s = "about\nmodel: m\n-- a --\n1\n2\n-- b --\n"
	a := parseArchive(s)
	if a.String() != s || a.option("model") != "m" || !slices.Equal(a.names, []string{"a", "b"}) || a.files["a"] != "1\n2\n" {
		t.Errorf("got %+v", a)
	}
}
