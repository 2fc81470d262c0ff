// Package kept reads the token usage of an answer of which only pieces were kept: where nothing of an answer's content
// has to be looked at, Envoy keeps its beginning and its end (envoy/usage.lua) and hands them over with the log entry.
//
// What a model says is never taken for usage: it stands in JSON strings, whose quotes are escaped, or deeper in the
// document than the dialect has usage.
package kept

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
)

// Pieces are what was kept of an answer. Bytes above 0x7f and NUL may have become question marks.
type Pieces struct {
	Head string // of a stream as whole lines, where they state usage; of a long document its beginning, likewise
	Tail string // from a line that states usage to the end; its first line may lack its beginning
}

// Usage returns what the pieces state, as the codec that the answer is for reads it.
func Usage(c dialect.Client, p Pieces) (u llm.Usage) {
	to := c.Name()
	frames := statements(to, nil, p.Head)
	frames = statements(to, frames, p.Tail)
	if events := strings.HasPrefix(p.Tail, data) || strings.Contains(p.Tail, "\n"+data); len(frames) == 0 && !events {
		m, ok := lastUsage(to, p.Tail) // of a document
		if !ok {
			m, ok = firstUsage(to, p.Head)
		}
		if !ok && to == dialect.BedrockConverse {
			m, ok = metadata(p.Tail)
		}
		if t, tells := c.(dialect.Teller); ok && tells {
			return t.ReadUsage([]byte(m.document()))
		}
		if ok {
			frames = m.frame(to, nil)
		}
	}
	if len(frames) == 0 {
		return u
	}
	_ = c.NewReader(nil, true).Feed(frames, true, func(ev *llm.Event) error { // it returns what the function returns
		u.Merge(ev.Usage)
		return nil
	})
	return u
}

const data = "data:"

// statements appends the server-sent events of s whose data states usage, each with its data in one line. Only the
// first line may lack its beginning.
func statements(to dialect.Name, dst []byte, s string) []byte {
	var event string
	first := true
	for line := range strings.Lines(s) {
		whole := strings.HasSuffix(line, "\n")
		line = strings.TrimRight(line, "\r\n")
		doc, isData := strings.CutPrefix(line, data)
		switch {
		case line == "":
			event = ""
		case strings.HasPrefix(line, "event:"):
			event = line
		case isData && whole:
			doc = strings.TrimSpace(doc)
			if strings.Contains(doc, `"usage`) && jsonx.Valid([]byte(doc)) == nil {
				dst = frame(dst, event, doc)
			}
		case first && whole && (strings.HasSuffix(s, "\n\n") || strings.HasSuffix(s, "\n\r\n")): // documents do not end so
			if m, ok := lastUsage(to, line); ok {
				dst = m.frame(to, dst)
			}
		}
		first = false
	}
	return dst
}

func frame(dst []byte, event, doc string) []byte {
	if event != "" {
		dst = append(append(dst, event...), '\n')
	}
	dst = append(append(dst, data...), ' ')
	return append(append(dst, doc...), "\n\n"...)
}

// member is a member of a document of which the beginning need not be there, and the service tier beside it.
type member struct {
	name, value string
	tier        string // as JSON; "": it is not there
}

func (m member) document() string {
	if m.tier != "" {
		return `{"` + m.name + `":` + m.value + `,"` + serviceTier + `":` + m.tier + `}`
	}
	return `{"` + m.name + `":` + m.value + `}`
}

// frame appends the frame of a stream of the dialect that says the same and nothing else.
func (m member) frame(to dialect.Name, dst []byte) []byte {
	if m.name == meta { // its vectors and rankings have under another name what its conversations have
		m.name = usage
	}
	doc := m.document()
	switch to {
	case dialect.OpenAIResponses:
		return frame(dst, "event: response.completed", `{"type":"response.completed","response":`+doc+`}`)
	case dialect.AnthropicMessages:
		return frame(dst, "event: message_delta", `{"type":"message_delta","delta":{},`+doc[1:])
	case dialect.Cohere:
		return frame(dst, "event: message-end", `{"type":"message-end","delta":`+doc+`}`)
	case dialect.BedrockConverse:
		head := awsevents.AppendString(nil, ":event-type", "metadata")
		head = awsevents.AppendString(head, ":message-type", "event")
		return awsevents.Append(dst, head, []byte(doc))
	}
	return frame(dst, "", doc)
}

// metadata finds the usage of the last frame of an AWS event stream, whose payload stands between binary numbers.
func metadata(s string) (member, bool) {
	const last = ":message-type"
	at := strings.LastIndex(s, last)
	if at < 0 {
		return member{}, false
	}
	begin := strings.IndexByte(s[at:], '{')
	if begin < 0 {
		return member{}, false
	}
	return object(usage, jsonx.Get([]byte(s[at+begin:]), usage))
}

// object is a member that is an object, in one line.
func object(name string, value []byte) (member, bool) {
	value, err := jsonx.Compact(value)
	return member{name: name, value: string(value)}, err == nil && jsonx.Kind(value) == '{'
}

// Names of the members that state usage.
const (
	usage         = "usage"
	usageMetadata = "usageMetadata" // Gemini's
	meta          = "meta"          // Cohere's, but in conversations
	serviceTier   = "service_tier"  // what served it at OpenAI and those like it
)

// stating reports whether a member of that name states usage.
func stating(to dialect.Name, name string) bool {
	return name == usage || name == usageMetadata || name == meta && (to == dialect.Cohere || to == dialect.Rerank)
}

// firstUsage finds the first member that states usage in a JSON object of which the end need not be there.
func firstUsage(to dialect.Name, s string) (member, bool) {
	for n, v := range jsonx.Members([]byte(s)) {
		if stating(to, string(n)) {
			if m, ok := object(string(n), v); ok {
				return m, true
			}
		}
	}
	return member{}, false
}

// depthOf is how deep in a frame or a document of the dialect usage may stand; 1 is the document itself.
func depthOf(to dialect.Name) int {
	if to == dialect.OpenAIResponses || to == dialect.Gemini { // response.completed; an array of answers
		return 2
	}
	return 1
}

// lastUsage finds the last member that states usage, from the end of a JSON document whose beginning need not be there.
// Read backwards, a quote begins or ends a string unless an odd number of backslashes stands before it, as it does
// forwards.
func lastUsage(to dialect.Name, s string) (found member, ok bool) {
	tier := ""
	defer func() { found.tier = tier }()
	s = strings.TrimRight(s, " \t\r\n")
	deepest := depthOf(to)
	depth, value, named := 0, 0, false
	var end [3]int // by depth: where the member ends that is read
	mark := func(i int) {
		if depth <= deepest {
			end[depth] = i
		}
		named = false
	}
	for i := len(s) - 1; i >= 0; i-- {
		switch s[i] {
		case '}', ']':
			depth++
			mark(i)
		case ',':
			mark(i)
		case ':':
			named, value = true, i+1
		case '{', '[':
			depth--
			named = false
		case '"':
			begin := opening(s, i)
			if begin < 0 {
				return found, ok
			}
			switch name := s[begin+1 : i]; {
			case !named || depth > deepest:
			case name == serviceTier && tier == "":
				if v := strings.TrimSpace(s[value:end[depth]]); jsonx.Kind([]byte(v)) == '"' && jsonx.Valid([]byte(v)) == nil {
					tier = v
				}
			case !ok && stating(to, name):
				found, ok = object(name, []byte(s[value:end[depth]]))
			}
			if ok && (tier != "" || !tiered(to)) {
				return found, ok
			}
			named, i = false, begin
		}
		if depth < 1 { // the end is no document's, or its beginning is reached
			return found, ok
		}
	}
	return found, ok
}

// tiered reports whether answers of a dialect have their service tier beside their usage.
func tiered(to dialect.Name) bool {
	return to == dialect.OpenAIChat || to == dialect.OpenAIResponses || to == dialect.OpenAICompletions
}

// opening returns where the string begins whose closing quote is at i, or -1.
func opening(s string, i int) int {
	for {
		i = strings.LastIndexByte(s[:i], '"')
		if i < 0 {
			return -1
		}
		escapes := 0
		for i-escapes > 0 && s[i-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
}
