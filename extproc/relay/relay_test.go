package relay

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// words is a reader of a dialect that has an event for each word, and a writer of one that has a word for each event.
type words struct{ left string }

func (w *words) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	w.left += string(chunk)
	for {
		word, rest, whole := strings.Cut(w.left, " ")
		if !whole && !eof || w.left == "" {
			return nil
		}
		w.left = rest
		ev := llm.Event{Kind: llm.EvDelta, Part: llm.PartText, Text: []byte(word)}
		switch name, value, _ := strings.Cut(word, "="); name {
		case "start":
			ev = llm.Event{Kind: llm.EvStarted, Usage: llm.Usage{Input: llm.Count{N: 7, Known: true}}}
		case "native":
			ev = llm.Event{Kind: llm.EvBlockStarted, Part: llm.PartNative}
		case "usage":
			ev = llm.Event{Kind: llm.EvUsage, Usage: llm.Usage{Output: llm.Count{N: int64(len(value)), Known: true}}}
		case "stop":
			ev = llm.Event{Kind: llm.EvFinished, Stop: llm.Stop{Reason: map[string]llm.StopReason{"end": llm.StopEnd, "calls": llm.StopCalls, "length": llm.StopLength}[value]}}
		case "failed":
			ev = llm.Event{Kind: llm.EvFailed}
			if value != "" {
				ev.Err = &llm.Error{Code: llm.CodeOverloaded, Message: value}
			}
		case "bad":
			return llm.Invalid("word", value)
		}
		if err := emit(&ev); err != nil {
			return err
		}
	}
}

func (w *words) Write(dst []byte, ev *llm.Event) ([]byte, error) {
	return append(append(dst, ev.Text...), '/'), nil
}

func (w *words) Close(dst []byte) ([]byte, error) { return append(dst, "END"...), nil }

// upper is a strip that changes every byte.
type upper struct{ whole bool }

func (u *upper) Feed(dst, chunk []byte, eof bool) []byte {
	u.whole = eof
	return append(dst, strings.ToUpper(string(chunk))...)
}
func (u *upper) Whole() bool      { return u.whole }
func (u *upper) Usage() llm.Usage { return llm.Usage{} }

var _ dialect.Strip = (*upper)(nil)

func feed(t *testing.T, p *Pipe, chunks ...string) (out string) {
	t.Helper()
	for i, c := range chunks {
		if err := p.Feed([]byte(c), i == len(chunks)-1); err != nil {
			t.Fatal(err)
		}
		out += string(p.Take())
	}
	return out
}

func TestAnAnswerIsCarried(t *testing.T) {
	for _, c := range []struct {
		name string
		pipe Pipe
		want string
	}{
		{"into another dialect, and closed", Pipe{Reader: &words{}, Writer: &words{}}, "/one/two//END"},
		{"in its own, with bytes changed", Pipe{Strip: &upper{}}, "START ONE TWO STOP=END"},
		{"and is looked at on the way", Pipe{Strip: &upper{}, Reader: &words{}}, "START ONE TWO STOP=END"},
		{"as it is: nothing is written", Pipe{Reader: &words{}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := feed(t, &c.pipe, "start on", "e two s", "top=end"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if c.pipe.Reader != nil && (!c.pipe.Content || !c.pipe.Ended || c.pipe.Stop != llm.StopEnd || c.pipe.News != 2 || c.pipe.Usage.Input.N != 7) {
				t.Errorf("it was seen as %+v", c.pipe)
			}
		})
	}
}

func TestWhatIsLearntOfAnAnswer(t *testing.T) {
	for _, c := range []struct {
		name, answer             string
		reads                    bool // a writer is there
		content, empty, complete bool
		failed                   string
	}{
		{"something was said", "start one stop=end", true, true, false, true, ""},
		{"nothing was said, and it claims to be complete", "start stop=end", true, false, true, true, ""},
		{"nothing but a call that is none", "start stop=calls", true, false, true, true, ""},
		{"its limit was spent on what is hidden", "start stop=length", true, false, false, true, ""},
		{"it is over and said nothing at all", "start", true, false, true, false, ""},
		{"a block of the client's own dialect passes", "start native stop=end", false, true, false, true, ""},
		{"one that is not written says nothing", "start native stop=end", true, false, true, true, ""},
		{"it failed, and says how", "start failed=busy", true, false, false, false, "busy"},
		{"it failed, and does not say how", "start failed", true, false, false, false, "the provider's answer failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Pipe{Reader: &words{}}
			if c.reads {
				p.Writer = &words{}
			}
			feed(t, &p, c.answer)
			if p.Content != c.content || p.Empty(true) != c.empty || p.Ended != c.complete {
				t.Errorf("content %t, empty %t, complete %t", p.Content, p.Empty(true), p.Ended)
			}
			if (p.Failed != nil) != (c.failed != "") || p.Failed != nil && p.Failed.Message != c.failed {
				t.Errorf("failed by %v, want %q", p.Failed, c.failed)
			}
		})
	}
}

func TestAnAnswerIsNotEmptyBeforeItsEnd(t *testing.T) {
	p := Pipe{Reader: &words{}, Writer: &words{}}
	if err := p.Feed([]byte("start "), false); err != nil || p.Empty(false) || !p.Empty(true) {
		t.Errorf("%v, empty %t", err, p.Empty(false))
	}
	if (&Pipe{}).Empty(true) {
		t.Error("what nobody reads is not known to be empty")
	}
}

func TestWhatIsUsedIsTheLastThatWasSaid(t *testing.T) {
	p := Pipe{Reader: &words{}}
	feed(t, &p, "start one usage=xx two usage=xxxxx")
	if p.Usage.Input.N != 7 || p.Usage.Output.N != 5 {
		t.Errorf("got %+v", p.Usage)
	}
}

func TestACommentIsNoNews(t *testing.T) {
	p := Pipe{Strip: &upper{}}
	if feed(t, &p, ": ping\n\n"); p.News != 0 {
		t.Error("a comment counts as content")
	}
	raw := Pipe{Strip: same{}}
	if feed(t, &raw, "data: {}\n\n"); raw.News != 1 {
		t.Error("a frame does not count")
	}
}

// same is a strip that changes nothing.
type same struct{}

func (same) Feed(dst, chunk []byte, _ bool) []byte { return append(dst, chunk...) }

func (same) Whole() bool { return true }

func (same) Usage() llm.Usage { return llm.Usage{} }

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	p := Pipe{Reader: &words{}, Writer: &words{}}
	if err := p.Feed([]byte("one bad=word two"), true); err == nil || string(p.Take()) != "one/" {
		t.Errorf("got %v", err)
	}
}
