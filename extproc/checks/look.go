package checks

import (
	"cmp"
	"strings"

	"github.com/signalbox-ai/signalbox/extproc/checks/mend"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// most bounds the text of an answer that is kept to be looked at, in bytes.
const most = 1 << 20

// schemaFails is how the reader of schemas begins what it says of a value; what is wrong stands behind it.
const schemaFails = "jsonschema validation failed with '" + local + "#'\n"

// Look is a look at one answer. A nil Look sees nothing.
type Look struct {
	on       *failure.Rules
	form     *Form // nil: any
	texts    map[int][]byte
	kept     int
	refused  bool
	filtered bool
	called   bool // a tool
	ended    int  // choices that are
	over     bool // not all of the text was kept
}

// New begins to look at an answer for what a route has rules about; nil: it has none.
func New(on *failure.Rules, form *Form) *Look {
	if !on.Checks() {
		return nil
	}
	if on.On(failure.InvalidOutput) == failure.Stop {
		form = nil
	}
	return &Look{on: on, form: form, texts: map[int][]byte{}}
}

// Event takes the next event of the answer.
func (l *Look) Event(ev *llm.Event) {
	if l == nil {
		return
	}
	switch ev.Kind {
	case llm.EvDelta, llm.EvBlockStarted:
		switch ev.Part {
		case llm.PartRefusal:
			l.refused = true
		case llm.PartCall:
			l.called = true
		case llm.PartText:
			l.keep(ev)
		}
	case llm.EvFinished:
		l.ended++
		if ev.Stop.Reason == llm.StopFilter {
			l.refused = l.refused || ev.Stop.Native == "refusal"
			l.filtered = l.filtered || ev.Stop.Native != "refusal"
		}
	}
}

func (l *Look) keep(ev *llm.Event) {
	if l.form == nil {
		return
	}
	if l.kept += len(ev.Text); l.kept > most {
		l.over, l.texts = true, nil
		return
	}
	l.texts[ev.Choice] = append(l.texts[ev.Choice], ev.Text...)
}

// Mended returns what the texts that are not of the form are to be replaced by, and how the first of them was mended;
// false: one of them cannot be, or comes to nothing of the form.
func (l *Look) Mended() (instead map[string][]byte, how string, ok bool) {
	instead = map[string][]byte{}
	for i := range l.ended {
		if l.form.Fits(l.texts[i]) == nil {
			continue
		}
		value, by := mend.Text(l.texts[i])
		if value == nil || l.form.Fits(value) != nil {
			return nil, "", false
		}
		instead[string(l.texts[i])] = value
		how = cmp.Or(how, by)
	}
	return instead, how, len(instead) > 0
}

// Wrong returns the first text that is not of the form, and why it is not.
func (l *Look) Wrong() (text []byte, why string) {
	for i := range l.ended {
		if err := l.form.Fits(l.texts[i]); err != nil {
			return l.texts[i], strings.TrimPrefix(err.Error(), schemaFails)
		}
	}
	return nil, ""
}

// Found returns what is wrong with the answer so far, or with all of it where whole; nil: nothing is.
func (l *Look) Found(whole bool) *llm.Error {
	switch {
	case l == nil:
		return nil
	case l.refused:
		return &llm.Error{Code: llm.CodeBlocked, Op: "checks", Reason: failure.ReasonRefusal, Message: "the model declined to answer"}
	case l.filtered:
		return &llm.Error{Code: llm.CodeBlocked, Op: "checks", Reason: "content_filter", Message: "a filter of the provider stopped the answer"}
	case !whole || l.form == nil || l.over || l.called || l.ended == 0:
		return nil
	}
	for i := range l.ended {
		if err := l.form.Fits(l.texts[i]); err != nil {
			return &llm.Error{Code: llm.CodeUpstream, Op: "checks", Reason: failure.ReasonInvalidOutput, Message: "the answer is not of the form that the request asks for", Cause: err}
		}
	}
	return nil
}
