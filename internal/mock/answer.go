package mock

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"strconv"
	"strings"
	"unicode"
)

// answer is what the model says, before it is written in a dialect.
type answer struct {
	thoughts []string // chunks; joined they are the reasoning
	text     []string // chunks
	refused  string
	calls    []call
	stop     string // end, length, filter, calls, sequence, pause, refuse
	in       int    // words of the prompt
	think    int    // words of the reasoning
	out      int    // words of the answer, with the reasoning
}

type call struct{ id, name, args string }

// phase says where in a stream a frame is.
type phase uint8

const (
	opening phase = iota // before any content
	content              // a chunk
	joint                // between contents
	closing              // behind the last chunk
)

// frame is one event of a stream, in its final bytes.
type frame struct {
	phase phase
	data  []byte
}

type frames = iter.Seq[frame]

const (
	refusal = "I'm sorry, but I can't help with that."
	thought = "The user wants an answer, so I think about it first."
)

// vocabulary is what tokens and big are made of.
var vocabulary = [...]string{"signal", "track", "points", "lever", "bell", "block", "token", "train", "home", "distant", "switch", "frame", "siding", "guard", "route", "junction"}

// compose makes the answer to e's request.
func (e *exchange) compose() *answer {
	a := &answer{stop: "end", in: e.req.words}
	if e.sc.thoughts {
		a.thoughts = words(thought)
	}
	source := e.sc.text
	calls := e.sc.calls
	if calls > 0 && (e.req.replied || e.req.noTools) {
		calls = 0
		if source == "none" {
			source = "fixed"
		}
	}
	a.text = e.text(source)
	if source == "refuse" {
		a.stop, a.refused = "refuse", refusal
	}
	e.limit(a, source)
	for i := range calls {
		a.calls = append(a.calls, e.call(i))
		a.stop = "calls"
	}
	if e.sc.stop != "" {
		a.stop = e.sc.stop
	}
	a.think = count(a.thoughts)
	a.out = a.think + count(a.text) + len(strings.Fields(a.refused))
	for _, c := range a.calls {
		a.out += len(strings.Fields(c.args)) + 1
	}
	return a
}

// text returns the chunks of a source of text.
func (e *exchange) text(source string) []string {
	switch source {
	case "echo":
		return words(e.req.last)
	case "tokens":
		chunks := make([]string, e.sc.size)
		for i := range chunks {
			chunks[i] = " " + vocabulary[i%len(vocabulary)]
		}
		chunks[0] = chunks[0][1:]
		return chunks
	case "big":
		kib := strings.Repeat(strings.Join(vocabulary[:], " ")+" ", 1024/len(vocabulary))[:1023] + " "
		chunks := make([]string, e.sc.size)
		for i := range chunks {
			chunks[i] = kib
		}
		return chunks
	case "json":
		if e.req.schema == nil {
			return words(`{"ok": true, "provider": ` + string(encode(e.s.o.Name)) + `}`)
		}
		return pieces(string(example(e.req.schema)))
	case "fenced":
		return append(append(words("Here it is:\n```json\n"), e.text("json")...), "\n```")
	case "coaxed":
		if strings.Contains(e.req.last, "JSON") {
			return e.text("json")
		}
		return e.text("fixed")
	case "fixed":
		return words("Hello, this is " + e.s.o.Name + ", answering as the model " + strings.ToValidUTF8(e.req.model, "\uFFFD") + ".")
	default:
		return nil
	}
}

// limit keeps plain text within max_tokens, reasoning first. What would be broken by that is left whole.
func (e *exchange) limit(a *answer, source string) {
	limit := e.req.limit
	if limit == 0 || source == "big" || source == "json" || source == "fenced" || source == "refuse" || len(a.thoughts)+len(a.text) <= limit {
		return
	}
	a.stop = "length"
	a.thoughts = a.thoughts[:min(len(a.thoughts), limit)]
	a.text = a.text[:min(len(a.text), limit-len(a.thoughts))]
}

// call makes the i-th call.
func (e *exchange) call(i int) call {
	t := e.req.tools[i%len(e.req.tools)]
	if e.req.tool != "" {
		t = tool{name: e.req.tool}
		for _, known := range e.req.tools {
			if known.name == e.req.tool {
				t = known
			}
		}
	}
	args := "{}"
	if t.schema != nil {
		if v := example(t.schema); v[0] == '{' {
			args = string(v)
		}
	}
	prefix := "call_"
	if e.d == anthropic {
		prefix = "toolu_"
	}
	return call{id: e.name(prefix + strconv.Itoa(i)), name: t.name, args: args}
}

// name makes an id of this exchange: the same seed and the same place in the order of requests give the
// same one. What stands before the last underscore or hyphen of kind is its prefix.
func (e *exchange) name(kind string) string {
	b := binary.BigEndian.AppendUint64(nil, e.s.o.Seed)
	b = binary.BigEndian.AppendUint64(b, e.id)
	sum := sha256.Sum256(append(b, kind...))
	return kind[:strings.LastIndexAny(kind, "_-")+1] + hex.EncodeToString(sum[:12])
}

// words cuts a text before each white space that follows a word, so that joined it is the same text.
func words(s string) []string {
	var list []string
	start, inWord := 0, false
	for i, r := range s {
		if space := unicode.IsSpace(r); space && inWord {
			list = append(list, s[start:i])
			start, inWord = i, false
		} else if !space {
			inWord = true
		}
	}
	if start < len(s) {
		list = append(list, s[start:])
	}
	return list
}

// pieces cuts a text into chunks of about eight bytes, never within a character.
func pieces(s string) []string {
	var list []string
	start := 0
	for i := range s {
		if i-start >= 8 {
			list = append(list, s[start:i])
			start = i
		}
	}
	return append(list, s[start:])
}

func count(chunks []string) int { return len(strings.Fields(strings.Join(chunks, ""))) }
