package fit

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Feeder reads an answer, as dialect.Reader says.
type Feeder interface {
	Feed(chunk []byte, eof bool, emit llm.Emit) error
}

// Unwrap returns a reader of the answer to a request that went through Functions, of which req is the original: calls
// of tools that take free text have their text as arguments again, piece by piece, and the function that stood for the
// tool is never seen. Arguments of another shape than the function's are the text as they are. A request without such
// tools leaves r as it is.
func Unwrap(req *llm.Request, r Feeder) Feeder {
	if req == nil || req.Chat() == nil {
		return r
	}
	var names map[string]bool
	for i := range req.Chat().Tools {
		if t := &req.Chat().Tools[i]; isFreeText(*t) {
			if names == nil {
				names = make(map[string]bool)
			}
			names[t.Name] = true
		}
	}
	if names == nil {
		return r
	}
	u := &unwrapper{inner: r, names: names}
	u.filter = u.event
	return u
}

// unwrapper is a reader that opens the arguments of calls of tools that take free text.
type unwrapper struct {
	inner  Feeder
	names  map[string]bool
	calls  []textCall
	emit   llm.Emit
	filter llm.Emit
	ev     llm.Event
}

// textCall is an open call of such a tool.
type textCall struct {
	choice, index int
	args          argText
}

// Feed takes the next bytes.
func (u *unwrapper) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	u.emit = emit
	return u.inner.Feed(chunk, eof, u.filter)
}

func (u *unwrapper) find(ev *llm.Event) int {
	if ev.Part == llm.PartCall {
		for i := range u.calls {
			if c := &u.calls[i]; c.choice == ev.Choice && c.index == ev.Index {
				return i
			}
		}
	}
	return -1
}

func (u *unwrapper) event(ev *llm.Event) error {
	switch ev.Kind {
	case llm.EvBlockStarted:
		if ev.Part == llm.PartCall && u.names[ev.Name] {
			u.calls = append(u.calls, textCall{choice: ev.Choice, index: ev.Index})
		}
	case llm.EvDelta:
		i := u.find(ev)
		if i < 0 {
			break
		}
		text := u.calls[i].args.feed(ev.Text)
		if len(text) == 0 && ev.Seal == "" {
			return nil
		}
		u.ev = *ev
		u.ev.Text, u.ev.Raw = text, nil
		return u.emit(&u.ev)
	case llm.EvBlockEnded:
		if i := u.find(ev); i >= 0 {
			text := u.calls[i].args.end()
			u.calls = append(u.calls[:i], u.calls[i+1:]...)
			if err := u.rest(ev.Choice, ev.Index, text); err != nil {
				return err
			}
		}
	case llm.EvFinished: // of calls that were not ended
		for i := range u.calls {
			if c := &u.calls[i]; c.choice == ev.Choice {
				if err := u.rest(c.choice, c.index, c.args.end()); err != nil {
					return err
				}
			}
		}
	}
	return u.emit(ev)
}

// rest emits the text that shows at a call's end only.
func (u *unwrapper) rest(choice, index int, text []byte) error {
	if len(text) == 0 {
		return nil
	}
	u.ev = llm.Event{Kind: llm.EvDelta, Choice: choice, Index: index, Part: llm.PartCall, Text: text}
	return u.emit(&u.ev)
}

// States of argText.
const (
	argsBegin  = iota // before the brace
	argsOpen          // behind the brace
	argsName          // within the first member's name
	argsColon         // behind it
	argsValue         // behind the colon
	argsText          // within the text
	argsDone          // behind it: nothing that follows is the text
	argsOther         // of another shape: kept until the end
	argsPlain         // no object: the text as it is
	argsFailed        // ended
)

// argText decodes the text in a function's arguments, which come cut anywhere. As long as they are the member alone or
// the first of the object, the text shows as it comes; else it is found at the end.
type argText struct {
	state int
	at    int    // bytes of the member's name that have come
	kept  []byte // what came before the text, or all
	esc   []byte // an escape that is not whole, from its backslash on
	high  rune   // half of a surrogate pair; 0: none
	out   []byte
}

// feed takes the next piece and returns what of the text it brings, which is valid until the next call.
func (a *argText) feed(piece []byte) []byte {
	a.out = a.out[:0]
	for i, c := range piece {
		switch a.state {
		case argsText:
			a.text(c)
			continue
		case argsPlain:
			a.out = append(a.out, piece[i:]...)
			return a.out
		case argsDone, argsFailed:
			return a.out
		}
		a.kept = append(a.kept, c)
		a.shape(c)
		switch a.state {
		case argsPlain:
			a.out, a.kept = append(a.out, a.kept...), nil
		case argsText:
			a.kept = nil
		}
	}
	return a.out
}

// shape takes a byte in front of the text.
func (a *argText) shape(c byte) {
	if a.state == argsOther {
		return
	}
	if a.state == argsName {
		switch {
		case a.at < len(textMember) && c == textMember[a.at]:
			a.at++
		case a.at == len(textMember) && c == '"':
			a.state = argsColon
		default:
			a.state = argsOther
		}
		return
	}
	switch c {
	case ' ', '\t', '\r', '\n':
		return
	}
	next := [...]struct {
		wants byte
		then  int
	}{argsBegin: {'{', argsOpen}, argsOpen: {'"', argsName}, argsColon: {':', argsValue}, argsValue: {'"', argsText}}[a.state]
	switch {
	case c == next.wants:
		a.state = next.then
	case a.state == argsBegin:
		a.state = argsPlain
	default:
		a.state = argsOther
	}
}

// text takes a byte of the text, which is within a JSON string.
func (a *argText) text(c byte) {
	switch {
	case len(a.esc) > 0:
		a.esc = append(a.esc, c)
		a.escape()
	case c == '\\':
		a.esc = append(a.esc, c)
	case c == '"':
		a.lone()
		a.state = argsDone
	default: // control characters too, which models forget to escape
		a.lone()
		a.out = append(a.out, c)
	}
}

// lone writes half a surrogate pair whose other half did not come.
func (a *argText) lone() {
	if a.high != 0 {
		a.high = 0
		a.out = utf8.AppendRune(a.out, utf8.RuneError)
	}
}

// escape writes what an escape stands for once it is whole. What is none stays as it is.
func (a *argText) escape() {
	if a.esc[1] != 'u' {
		a.lone()
		if i := strings.IndexByte(`"\/bfnrt`, a.esc[1]); i >= 0 {
			a.out = append(a.out, "\"\\/\b\f\n\r\t"[i])
		} else {
			a.out = append(a.out, a.esc...)
		}
		a.esc = a.esc[:0]
		return
	}
	if len(a.esc) < 6 && (len(a.esc) == 2 || hex(a.esc[len(a.esc)-1]) >= 0) {
		return
	}
	r := rune(0)
	for _, c := range a.esc[2:] {
		if hex(c) < 0 { // no escape: its backslash is text, and so is what follows
			rest := a.esc
			a.esc = nil
			a.lone()
			a.out = append(a.out, rest[:len(rest)-1]...)
			a.text(rest[len(rest)-1])
			return
		}
		r = r<<4 | hex(c)
	}
	a.esc = a.esc[:0]
	switch {
	case a.high != 0 && utf16.IsSurrogate(r) && r >= 0xdc00:
		a.out = utf8.AppendRune(a.out, utf16.DecodeRune(a.high, r))
		a.high = 0
	case utf16.IsSurrogate(r) && r < 0xdc00:
		a.lone()
		a.high = r
	default:
		a.lone()
		a.out = utf8.AppendRune(a.out, r) // half a pair becomes the replacement character
	}
}

func hex(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}

// end returns the text that shows only now: of arguments of another shape the member where they have it, else all of
// them. Arguments that were cut in front of the text have none.
func (a *argText) end() []byte {
	state := a.state
	a.state, a.out = argsFailed, a.out[:0]
	if state == argsText {
		a.lone()
	}
	if state != argsOther {
		return a.out
	}
	if jsonx.Valid(a.kept) != nil {
		return a.kept
	}
	if string(bytes.Join(bytes.Fields(a.kept), nil)) == "{}" { // as some call a function with nothing
		return nil
	}
	if s := jsonx.Get(a.kept, textMember); jsonx.Kind(s) == '"' {
		a.out, _ = jsonx.AppendString(a.out, s)
		return a.out
	}
	return a.kept
}
