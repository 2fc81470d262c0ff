package openaichat

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// refused are recorded requests that we answer with 400, with the member at fault.
var refused = map[string]string{}

func inbound(body []byte) dialect.Inbound {
	return dialect.Inbound{Op: llm.OpChat, Path: "/v1/chat/completions", Body: body}
}

func TestRecordedRequestsAreReadAndWrittenBack(t *testing.T) {
	c := New()
	for _, r := range records(t) {
		if len(r.Request) == 0 || string(r.Request) == "null" {
			continue
		}
		t.Run(r.Provider+"/"+r.ID, func(t *testing.T) {
			req, err := c.ReadRequest(inbound(r.Request))
			if want, is := refused[r.ID]; is {
				if e, ok := err.(*llm.Error); !ok || e.Param != want {
					t.Fatalf("error %v, want one of %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkLaw(t, c, req)
		})
	}
}

// checkLaw proves that what was read survives being written and read again.
func checkLaw(t interface {
	Helper()
	Fatalf(string, ...any)
}, c *Codec, req *llm.Request) {
	t.Helper()
	body, losses, err := c.WriteRequest(nil, req, dialect.Target{Model: req.Model})
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	again, _, err := c.WriteRequest(nil, req, dialect.Target{Model: req.Model})
	if err != nil || string(again) != string(body) {
		t.Fatalf("written twice, the bytes differ:\n%s\n%s", body, again)
	}
	got, err := c.ReadRequest(inbound(body))
	if err != nil {
		t.Fatalf("read what was written: %v\n%s", err, body)
	}
	want := normal(req, losses)
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("read(write(x)) differs from x (-want +got):\n%s\n%s", d, body)
	}
}

// normal is what a request becomes on purpose when it is written for a target without facts.
func normal(req *llm.Request, losses []llm.Loss) *llm.Request {
	r, chat := *req, *req.Chat()
	r.Usage = r.Stream // always asked for
	r.Body = &chat
	chat.Turns = append([]llm.Turn(nil), chat.Turns...)
	w := requestWriter{t: dialect.Target{Model: req.Model}, own: true}
	for i := range chat.Turns {
		t := &chat.Turns[i]
		if t.Role == llm.RoleDeveloper {
			t.Role = llm.RoleSystem
		}
		parts := make([]llm.Part, 0, len(t.Parts))
		for _, p := range t.Parts {
			if p.Seal != "" && !w.takesSeal(&p) && len(losses) > 0 {
				if p.Seal, p.From = "", ""; p.Kind == llm.PartThought && p.Text == "" {
					continue
				}
			}
			parts = append(parts, p)
		}
		if len(parts) != len(t.Parts) || len(losses) > 0 {
			if t.Parts = parts; len(parts) == 0 {
				t.Parts = nil
			}
		}
	}
	return &r
}
