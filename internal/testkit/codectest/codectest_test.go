package codectest

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// echo emits a delta for each byte, and an end for each '.'.
type echo struct{ whole bool }

func (e *echo) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	for i := range chunk {
		kind := llm.EvDelta
		if chunk[i] == '.' {
			kind, e.whole = llm.EvFinished, true
		}
		if err := emit(&llm.Event{Kind: kind, Text: chunk[i : i+1]}); err != nil {
			return err
		}
	}
	if eof && !e.whole {
		return emit(&llm.Event{Kind: llm.EvFailed, Err: &llm.Error{Code: llm.CodeReset}})
	}
	return nil
}

func TestAnswersAreFedWholeAndInPieces(t *testing.T) {
	read := func() dialect.Reader { return new(echo) }
	want := "delta 0 text text=\"a\"\ndelta 0 text text=\"b\"\nfinished end native=\"\" sequence=\"\" text=\".\"\n"
	if got := Recut(t, read, []byte("ab.")); got != want {
		t.Errorf("got %q", got)
	}
	Truncated(t, read, []byte("ab."), "b", func(head string) bool { return head == "ab." })
}

func TestArchivesAreParsed(t *testing.T) {
	const s = "about\nmodel: m\n-- a --\n1\n2\n-- b --\n"
	a := ParseArchive(s)
	text, found := a.File("a")
	if a.String() != s || a.Option("model") != "m" || a.Option("about") != "" || text != "1\n2\n" || !found {
		t.Errorf("got %+v", a)
	}
	a.Set("b", "3")
	a.Set("c", "")
	if got := a.String(); got != s+"3\n-- c --\n" {
		t.Errorf("got %q", got)
	}
}

func TestEventsAliasNothing(t *testing.T) {
	for _, size := range []int{0, 1, 2, -1} {
		if got := Describe(Events(t, new(echo), []byte("a."), size)); got != "delta 0 text text=\"a\"\nfinished end native=\"\" sequence=\"\" text=\".\"\n" {
			t.Errorf("fed by %d: %s", size, got)
		}
	}
}
