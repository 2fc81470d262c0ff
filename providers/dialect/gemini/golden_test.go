package gemini

import (
	"flag"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txtar")

// TestGolden runs the exchanges in testdata/*.txtar. The request (request.json) is written for the model in the
// comment as if it had come in the dialect that the comment names; the answer is read for it and written back in all
// forms. Everything else in an archive is expected. Line ends are those of the file.
func TestGolden(t *testing.T) { codectest.Archives(t, *update, 10, runGolden) }

func runGolden(t *testing.T, a *codectest.Archive) {
	t.Helper()
	c := fixed()
	c.vertex = a.Option("service") == "vertex"
	var req *llm.Request
	if body, found := a.File("request.json"); found {
		var err error
		if req, err = c.ReadRequest(dialect.Inbound{Op: llm.OpChat, Path: a.Option("path"), Model: "m", Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
		if from := a.Option("from"); from != "" {
			req.Extra.Dialect = from
		}
		model := a.Option("model")
		out, losses, err := c.WriteRequest(nil, req, dialect.Target{Model: model, Facts: catalog.FactsOf("gemini", model)})
		if err != nil {
			out = []byte(err.Error())
		}
		a.Set("upstream.json", string(out))
		lost := ""
		for _, l := range losses {
			lost += l.Path + ": " + l.Why + "\n"
		}
		a.Set("losses.txt", lost)
	}
	answer, found := a.File("answer")
	if !found {
		return
	}
	evs := codectest.Events(t, c.NewReader(req, true), []byte(answer), 0)
	for _, n := range []int{1, 7, 64} {
		if diff := cmp.Diff(codectest.Events(t, c.NewReader(req, true), []byte(answer), n), evs); diff != "" {
			t.Errorf("cut every %d bytes: %s", n, diff)
		}
	}
	a.Set("events.txt", codectest.Describe(evs))
	to := &llm.Request{Op: llm.OpChat, Body: &llm.Chat{}}
	for _, form := range []string{"json", "sse", formArray} {
		to.Form = form
		out, err := codectest.Write(c.NewWriter(to, form != "json"), evs)
		if err != nil {
			out = fmt.Append(out, "error: ", err)
		}
		a.Set("client."+form, string(out))
	}
}
