package openairesponses

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

var update = flag.Bool("update", false, "write the golden files anew")

// marker begins a file of an archive in the txtar form.
var marker = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

// clock is what the other codecs take from theirs.
var clock = regexp.MustCompile(`"created":\d+`)

// fixed is a codec whose clock stands and whose ids repeat.
func fixed() *Codec {
	return &Codec{now: func() time.Time { return time.Unix(1700000000, 0) }, mint: func() string { return "0123456789abcdef01234567" }, vendor: name}
}

func inbound(body []byte) dialect.Inbound {
	return dialect.Inbound{Op: llm.OpChat, Path: "/v1/responses", Body: body}
}

// foreign are the codecs of other dialects on the other side of an exchange.
type foreign interface {
	dialect.Client
	dialect.Server
}

// side returns the codec of one side: ours, or another's where the archive names it so.
func side(name string) (foreign, func(string) catalog.Facts) {
	switch {
	case strings.Contains(name, "anthropic"):
		return anthropicmessages.New(), catalog.Anthropic
	case strings.Contains(name, "chat"):
		return openaichat.New(), catalog.OpenAI
	}
	return fixed(), catalog.OpenAI
}

// TestGolden runs the exchanges in testdata/*.txtar. Each has the client's request and an upstream's answer, in this
// dialect or in the one that the file's name ends in; what becomes of them stands beside:
//
//	client[-chat|-anthropic].json   the request         upstream.json  what goes upstream, for the model in it
//	answer[-chat|-anthropic].sse    the answer          losses.txt     what could not be carried
//	or .json                                            events.txt     the answer's events
//	                                                    out            what the client gets
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
				if strings.HasPrefix(m[1], "client") || strings.HasPrefix(m[1], "answer") {
					in[m[1]] = parts[i+1]
					kept += m[0] + parts[i+1]
				} else {
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
	var request, answer, answerName string
	var client foreign
	for n, s := range in {
		if strings.HasPrefix(n, "client") {
			request = s
			client, _ = side(n)
		} else {
			answer, answerName = s, n
		}
	}
	up, facts := side(answerName)
	req, err := client.ReadRequest(inbound([]byte(request)))
	if err != nil {
		t.Fatal(err)
	}
	body, losses, err := up.WriteRequest(nil, req, dialect.Target{Model: req.Model, Facts: facts(req.Model)})
	if err != nil {
		out["upstream.json"] = err.Error() + "\n"
		return out
	}
	out["upstream.json"] = string(body) + "\n"
	for _, l := range losses {
		out["losses.txt"] += l.Path + ": " + l.Why + "\n"
	}
	if answer == "" {
		return out
	}
	w := client.NewWriter(req, req.Stream)
	var events, written []byte
	err = up.NewReader(req, strings.HasSuffix(answerName, ".sse")).Feed([]byte(answer), true, func(ev *llm.Event) (err error) {
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
		status, body := client.WriteError(e, "")
		written = fmt.Appendf(written, "status %d\n%s", status, body)
	}
	out["events.txt"] = string(events)
	out["out"] = clock.ReplaceAllString(strings.TrimRight(string(written), "\n"), `"created":1700000000`) + "\n"
	return out
}

// appendEvent writes an event as a line.
func appendEvent(b []byte, ev *llm.Event) []byte {
	b = fmt.Appendf(b, "%s", ev.Kind)
	switch ev.Kind {
	case llm.EvBlockStarted, llm.EvDelta, llm.EvBlockEnded:
		b = fmt.Appendf(b, " %d %s", ev.Index, ev.Part)
	case llm.EvUsage:
		b = fmt.Appendf(b, " %s", appendUsage(nil, &ev.Usage))
	case llm.EvFinished:
		b = fmt.Appendf(b, " %s native=%q", ev.Stop.Reason, ev.Stop.Native)
	case llm.EvFailed:
		b = fmt.Appendf(b, " %s reason=%q param=%q %q", ev.Err.Code, ev.Err.Reason, ev.Err.Param, ev.Err.Message)
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
