package codectest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// feed feeds an answer in pieces of a size: whole where it is 0, cut at random where it is below. A piece is overwritten
// once it is fed, so that a reader which keeps a part of it is found out.
func feed(t testing.TB, r dialect.Reader, body []byte, size int, emit llm.Emit) {
	t.Helper()
	for {
		n := len(body)
		switch {
		case size > 0:
			n = min(n, size)
		case size < 0:
			n = min(n, rand.N(97)) // none at times
		}
		piece := slices.Clone(body[:n])
		body = body[n:]
		if err := r.Feed(piece, len(body) == 0, emit); err != nil {
			t.Fatal(err)
		}
		for i := range piece {
			piece[i] = '?'
		}
		if len(body) == 0 {
			return
		}
	}
}

// Events feeds an answer as Read does and returns its events, which alias nothing.
func Events(t testing.TB, r dialect.Reader, body []byte, size int) (evs []llm.Event) {
	t.Helper()
	feed(t, r, body, size, func(ev *llm.Event) error {
		e := *ev
		e.Text, e.Logprobs, e.Raw = slices.Clone(ev.Text), slices.Clone(ev.Logprobs), slices.Clone(ev.Raw)
		e.Stop.Details = slices.Clone(ev.Stop.Details)
		if ev.Cite != nil {
			c := *ev.Cite
			c.Raw = slices.Clone(c.Raw)
			e.Cite = &c
		}
		evs = append(evs, e)
		return nil
	})
	return evs
}

// Write writes events as one answer. The error is the writer's, of an event or of the end.
func Write(w dialect.Writer, evs []llm.Event) (out []byte, err error) {
	for i := range evs {
		if out, err = w.Write(out, &evs[i]); err != nil {
			return out, err
		}
	}
	return w.Close(out)
}

// Count counts the events of a kind.
func Count(evs []llm.Event, kind llm.EventKind) (n int) {
	for i := range evs {
		if evs[i].Kind == kind {
			n++
		}
	}
	return n
}

// Describe writes events as text, one in a line.
func Describe(evs []llm.Event) string {
	var b []byte
	for i := range evs {
		b = AppendEvent(b, &evs[i])
	}
	return string(b)
}

// Unserved returns events without how an answer was served, which is its provider's word and no other's.
func Unserved(evs []llm.Event) []llm.Event {
	out := slices.Clone(evs)
	for i := range out {
		out[i].Usage = UsageUnserved(out[i].Usage)
	}
	return out
}

// UsageUnserved returns a usage without it.
func UsageUnserved(u llm.Usage) llm.Usage {
	if u.Details == nil {
		return u
	}
	d := *u.Details
	d.Served = llm.Served{}
	u.Details = nil
	if d != (llm.Details{}) {
		u.Details = &d
	}
	return u
}
