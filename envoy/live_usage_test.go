package envoy_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/envoy"
)

// usageNamespace is where usage.lua keeps what an answer says of its usage.
const usageNamespace = "signalbox.usage"

// inPieces answers with what a request asks for, in pieces that arrive one by one.
type inPieces struct{ answers map[string]cutAnswer }

// cutAnswer is an answer whose first bytes come in small pieces.
type cutAnswer struct {
	kind  string
	body  string
	size  int // of a piece
	small int // how many bytes come so; the rest comes at once
}

func (u *inPieces) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := u.answers[r.Header.Get("x-case")]
	w.Header().Set("content-type", a.kind)
	c := http.NewResponseController(w)
	for body, sent := a.body, 0; body != ""; {
		n := min(a.size, len(body))
		if sent >= a.small {
			n = len(body)
		}
		_, _ = w.Write([]byte(body[:n]))
		_ = c.Flush()
		body, sent = body[n:], sent+n
		time.Sleep(2 * time.Millisecond) // or Envoy reads several at once
	}
}

// TestWhatAnAnswerSaysOfItsUsageIsKept, at its beginning and at its end, however it is cut.
func TestWhatAnAnswerSaysOfItsUsageIsKept(t *testing.T) {
	t.Parallel()
	const first, last = `"usage":{"input_tokens":7,"output_tokens":1}`, `"usage":{"output_tokens":9}`
	delta := strings.Repeat("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"text\":\"some words\"}\n\n", 300)
	start := "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"" + strings.Repeat("m", 400) + "\"," + first + "}}\n\n"
	end := "event: message_delta\ndata: {\"type\":\"message_delta\"," + last + "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	document := "{" + first + `,"text":"` + strings.Repeat("words ", 2000) + `"}`
	sse, js := "text/event-stream", "application/json"
	cases := map[string]cutAnswer{
		"stream/whole":            {sse, start + delta + end, 1 << 20, 0},
		"stream/small":            {sse, start + delta + end, 50, 1500},
		"stream/small to the end": {sse, start + delta[:len(delta)/10] + end, 90, 1 << 20},
		"stream/after comments":   {sse, strings.Repeat(": wait\n\n", 40) + start + delta + end, 8, 320},
		"stream/crlf":             {sse, strings.ReplaceAll(start+delta+end, "\n", "\r\n"), 50, 1500},
		"document/whole":          {js, document, 1 << 20, 0},
		"document/small":          {js, document, 20, 1000},
		"document/after blanks":   {js, strings.Repeat("\n", 10) + document, 1, 10},
	}
	u, _ := upstream(t, "cut", &inPieces{cases})
	r := begin(t, u)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r.service.take()
			if a := r.post("/v1/rerank", `{"plan":["cut"],"watch":"0","usage":"tail"}`, "X-Case", name); a.body != c.body {
				t.Fatalf("got %d bytes, want %d", len(a.body), len(c.body))
			}
			var head, tail string
			eventually(t, "log entry", func() error {
				_, es := r.service.take()
				for _, e := range es {
					if e.log == "request" {
						held := e.GetCommonProperties().GetMetadata().GetFilterMetadata()[usageNamespace].GetFields()
						head, tail = held["head"].GetStringValue(), held["tail"].GetStringValue()
						return nil
					}
				}
				return fmt.Errorf("%d entries", len(es))
			})
			if !strings.Contains(head+tail, first) {
				t.Errorf("what is said at the beginning is lost: head %s, tail %s", strconv.Quote(head), strconv.Quote(tail))
			}
			if strings.Contains(c.body, last) && !strings.Contains(tail, last) {
				t.Errorf("what is said at the end is lost: %s", strconv.Quote(tail))
			}
		})
	}
}

func begin(t *testing.T, u envoy.Upstream) *rig {
	return start(t, func(s *envoy.Spec) { s.Providers = []envoy.Upstream{u} })
}
