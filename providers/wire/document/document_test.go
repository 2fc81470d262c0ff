package document

import (
	"errors"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// run feeds pieces and returns what was read, and the code of the failure.
func run(limit int, pieces ...string) (docs []string, failed llm.Code) {
	r := New("x.read", func(doc []byte, emit llm.Emit) error {
		docs = append(docs, string(doc))
		return emit(&llm.Event{Kind: llm.EvFinished})
	})
	if limit > 0 {
		r.max = limit
	}
	for i, p := range pieces {
		_ = r.Feed([]byte(p), i == len(pieces)-1, func(ev *llm.Event) error {
			if ev.Kind == llm.EvFailed {
				failed = ev.Err.Code
			}
			return nil
		})
	}
	return docs, failed
}

func TestADocumentIsReadOnceHoweverItIsCut(t *testing.T) {
	const doc = `{"a":[1,2]}`
	for _, pieces := range [][]string{{doc}, {" \n" + doc + "\n"}, {"\xef\xbb\xbf" + doc}, {doc[:3], doc[3:]}, {doc, ""}, {"", doc, "\n"}, {"\xef", "\xbb\xbf" + doc}, {doc[:1], "", doc[1:], ""}} {
		docs, failed := run(0, pieces...)
		if len(docs) != 1 || docs[0] != doc || failed != llm.CodeNone {
			t.Errorf("%q: got %q, %s", pieces, docs, failed)
		}
	}
}

func TestWhatIsNoDocumentFailsOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		pieces []string
		want   llm.Code
	}{
		{"nothing", []string{""}, llm.CodeReset},
		{"white space", []string{" ", "\n"}, llm.CodeReset},
		{"cut", []string{`{"a":`}, llm.CodeUpstream},
		{"no JSON", []string{`<html>`}, llm.CodeUpstream},
		{"two documents", []string{`{}{}`}, llm.CodeUpstream},
		{"a member twice", []string{`{"a":1,"a":2}`}, llm.CodeUpstream},
		{"too large", []string{`{"a":`, `"012345678901234567890"}`, ""}, llm.CodeUpstream},
	} {
		t.Run(c.name, func(t *testing.T) {
			if docs, failed := run(20, c.pieces...); len(docs) != 0 || failed != c.want {
				t.Errorf("got %q, %s, want %s", docs, failed, c.want)
			}
		})
	}
}

func TestAnErrorOfEmitIsReturned(t *testing.T) {
	stop := errors.New("stop")
	r := New("x.read", func(_ []byte, emit llm.Emit) error { return emit(&llm.Event{}) })
	if err := r.Feed([]byte(`{}`), true, func(*llm.Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if err := r.Feed([]byte(`{}`), true, func(*llm.Event) error { return stop }); err != nil {
		t.Errorf("after the end: got %v", err)
	}
}
