package openaichat

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/usage"
)

var update = flag.Bool("update", false, "write the golden files anew")

// marker begins a file of an archive in the txtar form.
var marker = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

// TestGolden runs the exchanges in testdata/*.txtar. Each has the client's request and an upstream's answer;
// what the codec makes of them stands beside:
//
//	client.json    the request           upstream.json  what goes upstream, for the model in it
//	answer.sse or  the answer            losses.txt     what could not be carried
//	answer.json                          events.txt     the answer's events
//	                                     out            what the client gets
func TestGolden(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in, want := map[string]string{}, map[string]string{}
			parts := marker.Split(string(raw), -1)
			kept := parts[0]
			for i, m := range marker.FindAllStringSubmatch(string(raw), -1) {
				switch m[1] {
				case "client.json", "answer.sse", "answer.json":
					in[m[1]] = parts[i+1]
					kept += m[0] + parts[i+1]
				default:
					want[m[1]] = parts[i+1]
				}
			}
			got := exchange(t, in)
			if *update {
				for _, n := range [...]string{"upstream.json", "losses.txt", "events.txt", "out"} {
					if got[n] != "" {
						kept += "-- " + n + " --\n" + got[n]
					}
				}
				if err := os.WriteFile(file, []byte(kept), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("run with -update if this is meant (-want +got):\n%s", d)
			}
		})
	}
}

// exchange runs one exchange and returns what came of it, by file name.
func exchange(t *testing.T, in map[string]string) map[string]string {
	t.Helper()
	out := map[string]string{}
	c := fixed()
	req, err := c.ReadRequest(inbound([]byte(in["client.json"])))
	if err != nil {
		t.Fatal(err)
	}
	body, losses, err := c.WriteRequest(nil, req, dialect.Target{Model: req.Model, Facts: catalog.OpenAI(req.Model)})
	if err != nil {
		t.Fatal(err)
	}
	out["upstream.json"] = string(body) + "\n"
	for _, l := range losses {
		out["losses.txt"] += l.Path + ": " + l.Why + "\n"
	}
	answer, stream := in["answer.sse"], true
	if answer == "" {
		answer, stream = in["answer.json"], false
	}
	if answer == "" {
		return out
	}
	w := fixed().NewWriter(req, req.Stream)
	var events, written []byte
	err = c.NewReader(req, stream).Feed([]byte(answer), true, func(ev *llm.Event) (err error) {
		events = appendEvent(events, ev)
		written, err = w.Write(written, ev)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if written, err = w.Close(written); err != nil {
		e, ok := err.(*llm.Error)
		if !ok {
			t.Fatal(err)
		}
		status, body := c.WriteError(e, "")
		written = fmt.Appendf(written, "status %d\n%s", status, body)
	}
	out["events.txt"] = string(events)
	out["out"] = strings.TrimRight(string(written), "\n") + "\n"
	return out
}

// appendEvent writes an event as a line.
func appendEvent(b []byte, ev *llm.Event) []byte {
	b = fmt.Appendf(b, "%s", ev.Kind)
	if ev.Choice != 0 {
		b = fmt.Appendf(b, " choice=%d", ev.Choice)
	}
	switch ev.Kind {
	case llm.EvBlockStarted, llm.EvDelta, llm.EvBlockEnded:
		b = fmt.Appendf(b, " %d %s", ev.Index, ev.Part)
	case llm.EvUsage:
		b = fmt.Appendf(b, " %s", usage.Append(nil, &ev.Usage))
	case llm.EvFinished:
		b = fmt.Appendf(b, " %s native=%q", ev.Stop.Reason, ev.Stop.Native)
	case llm.EvFailed:
		b = fmt.Appendf(b, " %s %s", ev.Err.Code, fault.Append(nil, ev.Err))
	}
	for _, m := range [...]struct{ name, value string }{
		{"id", ev.ID}, {"name", ev.Name}, {"seal", ev.Seal}, {"text", string(ev.Text)}, {"raw", string(ev.Raw)}, {"logprobs", string(ev.Logprobs)},
	} {
		if m.value != "" {
			b = fmt.Appendf(b, " %s=%q", m.name, m.value)
		}
	}
	if ev.Cite != nil {
		b = fmt.Appendf(b, " cite=%q %q %d-%d", ev.Cite.URL, ev.Cite.Title, ev.Cite.Start, ev.Cite.End)
	}
	return append(b, '\n')
}
