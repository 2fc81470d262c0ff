package bedrockconverse

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
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
	for line := range strings.Lines(s) {
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

// packed makes frames of text: a line "NAME PAYLOAD" is an event, or where NAME ends in Exception, an exception.
func packed(text string) (out []byte) {
	for line := range strings.Lines(text) {
		kind, payload, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		names := [2]string{":event-type", "event"}
		if strings.HasSuffix(kind, "Exception") {
			names = [2]string{":exception-type", "exception"}
		}
		h := awsevents.AppendString(nil, names[0], kind)
		h = awsevents.AppendString(h, ":content-type", "application/json")
		h = awsevents.AppendString(h, ":message-type", names[1])
		out = awsevents.Append(out, h, []byte(payload))
	}
	return out
}

// unpacked is packed backwards.
func unpacked(t testing.TB, stream []byte) string {
	t.Helper()
	var b strings.Builder
	_, kinds, payloads := frames(t, stream)
	for i := range kinds {
		b.WriteString(kinds[i] + " " + payloads[i] + "\n")
	}
	return b.String()
}

// TestGolden runs the exchanges in testdata/*.txtar. The request (request.json) is written for the model in the comment
// as if it had come in the dialect that the comment names; the answer (answer.frames, answer.json) is read for it and
// written back in both forms. Everything else in an archive is expected.
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
		if req, err = c.ReadRequest(dialect.Inbound{Op: llm.OpChat, Model: "client's name", Path: "/model/x/converse-stream", Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
		if from := a.option("from"); from != "" {
			req.Extra.Dialect = from
		}
		out, losses, err := c.WriteRequest(nil, req, target(a.option("model")))
		if err != nil {
			out = []byte(err.Error())
		} else if jsonx.Valid(out) != nil {
			t.Errorf("not JSON: %s", out)
		}
		a.set("upstream.json", string(out))
		lost := ""
		for _, l := range losses {
			lost += l.Path + ": " + l.Why + "\n"
		}
		a.set("losses.txt", lost)
	}
	for _, form := range []string{"answer.frames", "answer.json"} {
		text, found := a.files[form]
		if !found {
			continue
		}
		body := []byte(text)
		if form == "answer.frames" {
			body = packed(text)
		}
		evs := read(t, c.NewReader(req, true), body, whole)
		for _, n := range []int{1, 7, 64} {
			if diff := cmp.Diff(read(t, c.NewReader(req, true), body, every(n)), evs); diff != "" {
				t.Errorf("cut every %d bytes: %s", n, diff)
			}
		}
		a.set("events.txt", describe(evs))
		out, err := write(c.NewWriter(req, true), evs)
		if err != nil {
			t.Error(err)
		}
		a.set("client.frames", unpacked(t, out))
		if out, err = write(c.NewWriter(req, false), evs); err != nil {
			out = fmt.Append(nil, "error: ", err)
		}
		a.set("client.json", string(out))
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
			} {
				if c.n.Known {
					fmt.Fprintf(&b, " %s=%d", c.name, c.n.N)
				}
			}
		case llm.EvFinished:
			fmt.Fprintf(&b, " %v %s %q", e.Stop.Reason, e.Stop.Native, e.Stop.Sequence)
		case llm.EvFailed:
			fmt.Fprintf(&b, " %v: %s", e.Err.Code, e.Err.Message)
		}
		for _, s := range []string{e.ID, e.Name, e.Seal, string(e.Text)} {
			if s != "" {
				fmt.Fprintf(&b, " %q", s)
			}
		}
		if e.Cite != nil {
			fmt.Fprintf(&b, " cites %q %q %d-%d", e.Cite.Title, e.Cite.Text, e.Cite.Start, e.Cite.End)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
