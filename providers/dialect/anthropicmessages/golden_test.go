package anthropicmessages

import (
	"flag"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/codectest"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txtar")

// TestGolden runs the exchanges in testdata/*.txtar. The request (request.json) is written for the model in
// the comment as if it had come in the dialect that the comment names; the answer (answer.sse, answer.json)
// is read for it and written back in both forms. Everything else in an archive is expected.
func TestGolden(t *testing.T) { codectest.Archives(t, *update, 8, runGolden) }

func runGolden(t *testing.T, a *codectest.Archive) {
	t.Helper()
	c := fixed()
	var req *llm.Request
	if body, found := a.File("request.json"); found {
		var err error
		if req, err = c.ReadRequest(in(body)); err != nil {
			t.Fatal(err)
		}
		if from := a.Option("from"); from != "" {
			req.Extra.Dialect = from
		}
		out, losses, err := c.WriteRequest(nil, req, target(a.Option("model")))
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
	for _, form := range []string{"answer.sse", "answer.json"} {
		body, found := a.File(form)
		if !found {
			continue
		}
		stream := form == "answer.sse"
		evs := codectest.Events(t, c.NewReader(req, stream), []byte(body), 0)
		for _, n := range []int{1, 7, 64} {
			if diff := cmp.Diff(codectest.Events(t, c.NewReader(req, stream), []byte(body), n), evs); diff != "" {
				t.Errorf("cut every %d bytes: %s", n, diff)
			}
		}
		a.Set("events.txt", codectest.Describe(evs))
		for _, s := range []bool{true, false} {
			out, err := codectest.Write(c.NewWriter(req, s), evs)
			if err != nil {
				out = fmt.Append(out, "error: ", err)
			}
			a.Set(map[bool]string{true: "client.sse", false: "client.json"}[s], string(out))
		}
	}
}
