package bedrockconverse

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txtar")

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
func TestGolden(t *testing.T) { codectest.Archives(t, *update, 8, runGolden) }

func runGolden(t *testing.T, a *codectest.Archive) {
	t.Helper()
	c := fixed()
	var req *llm.Request
	if body, found := a.File("request.json"); found {
		var err error
		if req, err = c.ReadRequest(dialect.Inbound{Op: llm.OpChat, Model: "client's name", Path: "/model/x/converse-stream", Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
		if from := a.Option("from"); from != "" {
			req.Extra.Dialect = from
		}
		out, losses, err := c.WriteRequest(nil, req, target(a.Option("model")))
		if err != nil {
			out = []byte(err.Error())
		} else if jsonx.Valid(out) != nil {
			t.Errorf("not JSON: %s", out)
		}
		a.Set("upstream.json", string(out))
		lost := ""
		for _, l := range losses {
			lost += l.Path + ": " + l.Why + "\n"
		}
		a.Set("losses.txt", lost)
	}
	for _, form := range []string{"answer.frames", "answer.json"} {
		text, found := a.File(form)
		if !found {
			continue
		}
		body := []byte(text)
		if form == "answer.frames" {
			body = packed(text)
		}
		evs := codectest.Events(t, c.NewReader(req, true), body, 0)
		for _, n := range []int{1, 7, 64} {
			if diff := cmp.Diff(codectest.Events(t, c.NewReader(req, true), body, n), evs); diff != "" {
				t.Errorf("cut every %d bytes: %s", n, diff)
			}
		}
		a.Set("events.txt", codectest.Describe(evs))
		out, err := codectest.Write(c.NewWriter(req, true), evs)
		if err != nil {
			t.Error(err)
		}
		a.Set("client.frames", unpacked(t, out))
		if out, err = codectest.Write(c.NewWriter(req, false), evs); err != nil {
			out = fmt.Append(nil, "error: ", err)
		}
		a.Set("client.json", string(out))
	}
}
