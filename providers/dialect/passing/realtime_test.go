package passing_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/passing"
)

func TestSessionsNameTheirModelInTheQuery(t *testing.T) {
	for query, want := range map[string]string{
		"model=gpt-realtime": "gpt-realtime", "a=b&model=x%2Fy": "x/y", "": "", "model=": "", "model=a&model=b": "", "model=%zz": "",
	} {
		h, err := passing.Realtime().Peek(dialect.Inbound{Op: llm.OpRealtime, Query: query})
		switch {
		case want == "" && code(err) != llm.CodeInvalid:
			t.Errorf("%q: got %v, want an invalid model", query, err)
		case want != "" && (err != nil || h.Model != want):
			t.Errorf("%q: got %+v, %v", query, h, err)
		}
	}
}

// text frames a message as a server does, up to 64 KiB.
func text(m string) []byte {
	return append([]byte{0x81, 126, byte(len(m) >> 8), byte(len(m))}, m...)
}

func TestSessionsAreListenedTo(t *testing.T) {
	session := slices.Concat(
		text(`{"type":"session.created"}`),
		text(`{"type":"response.done","response":{"usage":{"input_tokens":5,"output_tokens":7,"input_token_details":{"cached_tokens":2,"audio_tokens":3},"output_token_details":{"audio_tokens":6}}}}`),
		[]byte{0x82, 3, 1, 2, 3}, // binary
		text(`no JSON`),
		text(`{"type":"response.done","response":{"status":"failed","usage":null}}`),
		text(`{"type":"response.done","response":{"usage":{"input_tokens":10,"output_tokens":1}}}`),
		text(`{"type":"conversation.item.input_audio_transcription.completed","usage":{"type":"tokens","input_tokens":4,"output_tokens":2}}`),
		text(`{"type":"rate_limits.updated","usage":{"input_tokens":400}}`),
	)
	want := llm.Usage{Input: llm.Tokens(19), Output: llm.Tokens(10), Cached: llm.Tokens(2), AudioIn: llm.Tokens(3), AudioOut: llm.Tokens(6)}
	for _, n := range []int{1, 3, 1000, len(session)} {
		l := passing.Realtime().NewListener()
		var got llm.Usage
		ended := 0
		emit := func(ev *llm.Event) error {
			got.Merge(ev.Usage)
			if ev.Kind == llm.EvFinished {
				ended++
			}
			return nil
		}
		for piece := range slices.Chunk(session, n) {
			if err := l.Feed(piece, false, emit); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Feed(nil, true, emit); err != nil || ended != 1 {
			t.Errorf("it ends %d times, %v", ended, err)
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("cut at %d (-got +want):\n%s", n, diff)
		}
	}
}
