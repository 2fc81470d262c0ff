// Package quirk says, as data, in what a server that imitates OpenAI's Chat Completions differs from it, and
// makes a request's body fit such a server. Every other byte of the body stays as it is.
//
// It knows no vendor: a vendor's set is data of its provider kind. It reads no answers either, since their
// quirks are recognised by their shape; the set only says which of them harm a client.
package quirk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Set is the quirks of one server. The zero value is OpenAI's own behaviour. A Set is not changed once it is
// in use.
type Set struct {
	Drops     []string          `yaml:"drops" json:"drops,omitempty" doc:"Members of a request that it refuses and that only steer sampling or bookkeeping: they are left out, with a loss."`
	Refuses   []string          `yaml:"refuses" json:"refuses,omitempty" doc:"Members that it cannot do and that change the answer: a request with one goes to another target, or is refused."`
	Renames   map[string]string `yaml:"renames" json:"renames,omitempty" doc:"Members that it knows by another name."`
	Values    []Value           `yaml:"values" json:"values,omitempty" doc:"Texts for which it has another word."`
	Usage     string            `yaml:"usage" json:"usage,omitempty" enum:"asked,always,never" zero:"asked" doc:"When its streams carry usage: asked for by stream_options, as OpenAI's; always, and then stream_options is left out; or never, likewise."`
	MaxTokens string            `yaml:"max_tokens" json:"max_tokens,omitempty" enum:"max_tokens,max_completion_tokens" doc:"The one name under which it takes the limit of the output; empty: both."`
	Developer bool              `yaml:"developer_as_system" json:"developer_as_system,omitempty" doc:"It does not know the role developer: such messages become system messages."`
	Single    bool              `yaml:"one_answer" json:"one_answer,omitempty" doc:"It makes one answer only: a request with n above 1 goes to another target, or is refused."`
	Choices   []string          `yaml:"tool_choice" json:"tool_choice,omitempty" enum:"auto,none,required,function,allowed_tools" doc:"The forms of tool_choice that it takes; empty: all."`
	Formats   []string          `yaml:"response_format" json:"response_format,omitempty" enum:"text,json_object,json_schema" doc:"The forms of response_format that it takes; empty: all."`
	Parts     []string          `yaml:"parts" json:"parts,omitempty" enum:"text,image_url,input_audio,file,audio_text,document_url" doc:"The kinds of content that it takes; empty: all. audio_text is input_audio with its data alone, and document_url a file by its URL or data URL: OpenAI's kinds become those."`
	CallID    int               `yaml:"call_id" json:"call_id,omitempty" max:"64" zero:"any" doc:"The length of the ids of tool calls, where they must be of letters and digits and of that length."`
	Reasoning Reasoning         `yaml:"reasoning" json:"reasoning,omitzero" doc:"How its models are asked to reason."`
	Errors    []Error           `yaml:"errors" json:"errors,omitempty" doc:"Errors that mean something else than their status says."`
	Answers   []string          `yaml:"answers" json:"answers,omitempty" doc:"What is peculiar in its answers. Some of it harms clients: where it may, answers are read and written anew."`
}

// Value is a text value of a top-level member, and the server's word for it.
type Value struct {
	Member string `yaml:"member" json:"member,omitempty" required:"true" doc:"The member."`
	From   string `yaml:"from" json:"from,omitempty" required:"true" doc:"The text."`
	To     string `yaml:"to" json:"to,omitempty" doc:"Its text in place of it; empty: the member is left out."`
}

// Request is what of a client's request decides whether an answer harms it.
type Request struct {
	Doc    *jsonx.Doc
	Stream bool
	Usage  bool // it asks for usage in its stream
}

// mayCall reports whether it has tools that the model may call.
func (r Request) mayCall() bool {
	for _, name := range [...]string{"tools", "functions"} {
		if raw, ok := r.Doc.Get(name); ok && !silent(raw) {
			return true
		}
	}
	return false
}

// harm says to which requests a peculiarity of answers is harmful: a client that expects OpenAI's breaks on it, or
// understands something else.
type harm int

const (
	harmless      harm = iota
	always             // to all
	streams            // to streams
	counts             // where the client gets usage
	calls              // where tools may be called
	streamedCalls      // likewise, in streams
)

// to reports whether a request is one that suffers.
func (w harm) to(r Request) bool {
	switch w {
	case always:
		return true
	case streams:
		return r.Stream
	case counts:
		return !r.Stream || r.Usage
	case calls:
		return r.mayCall()
	case streamedCalls:
		return r.Stream && r.mayCall()
	}
	return false
}

// answers are the peculiarities of answers that have a name, and whom they harm.
var answers = map[string]harm{
	"comments":         harmless, // comment lines while it is busy
	"crlf":             harmless, // lines end in \r\n
	"extra_members":    harmless, // members beside OpenAI's
	"finish_absent":    harmless, // no finish_reason until the end, in place of null
	"finish_repeated":  harmless, // finish_reason in several chunks
	"first_chunk_bare": harmless, // a first chunk without id and choices
	"no_done":          harmless, // no [DONE]
	"no_object":        harmless, // no member object: Envoy's filter does not see that it is a chat completion
	"reasoning":        harmless, // reasoning in a member of its own
	"role_repeated":    harmless, // role in every chunk
	"usage_on_finish":  harmless, // usage in the chunk that has finish_reason
	"whole_calls":      harmless, // a tool call in one delta

	"content_object":   always,        // content as an object
	"content_parts":    always,        // content as an array of parts
	"cumulative_usage": streams,       // usage in many chunks, which a client may add up
	"empty_call_id":    calls,         // tool calls with the id ""
	"empty_strings":    always,        // "" and {} for what is absent
	"foreign_chunks":   streams,       // chunks of another object, or a message beside each delta
	"foreign_errors":   always,        // errors of another shape inside a 200
	"no_call_index":    streamedCalls, // deltas of tool calls without an index
	"no_role":          streams,       // no role in any chunk
	"reasoning_apart":  counts,        // completion_tokens without the reasoning
	"stop_with_calls":  calls,         // finish_reason stop beside tool calls
}

// Answers returns the names that Set.Answers may hold, in order.
func Answers() []string { return names(answers) }

// Harms reports whether the server's answer to a request harms a client of the dialect.
func (s *Set) Harms(r Request) bool {
	return slices.ContainsFunc(s.Answers, func(a string) bool { return answers[a].to(r) })
}

// Nameless reports whether answers do not say what they are.
func (s *Set) Nameless() bool { return slices.Contains(s.Answers, "no_object") }

// vital are members without which no request would be one, or which have a field of their own.
var vital = [...]string{"model", "messages", "stream", "stream_options"}

// Check returns what is wrong with a set, by the names that users write.
func (s *Set) Check() error {
	for _, l := range [...]struct {
		name   string
		values []string
		known  []string
	}{
		{"tool_choice", s.Choices, []string{"auto", "none", "required", "function", "allowed_tools"}},
		{"response_format", s.Formats, []string{"text", "json_object", "json_schema"}},
		{"parts", s.Parts, []string{"text", "image_url", "input_audio", "file", partAudioText, partDocumentURL}},
		{"answers", s.Answers, names(answers)},
		{"usage", []string{s.Usage}, []string{"", "asked", "always", "never"}},
		{"max_tokens", []string{s.MaxTokens}, []string{"", "max_tokens", "max_completion_tokens"}},
		{"reasoning.knob", []string{s.Reasoning.Knob}, knobs[:]},
		{"reasoning.history", []string{s.Reasoning.History}, histories[:]},
		{"reasoning.member", []string{s.Reasoning.Member}, []string{"", "reasoning_content", "reasoning"}},
		{"reasoning.efforts", s.Reasoning.Efforts, ladder[:]},
	} {
		for _, v := range l.values {
			if !slices.Contains(l.known, v) {
				return fmt.Errorf("%s: unknown value %q; possible: %s", l.name, v, strings.Join(l.known, ", "))
			}
		}
	}
	seen := map[string]string{}
	for _, l := range [...]struct {
		name    string
		members []string
	}{{"drops", s.Drops}, {"refuses", s.Refuses}, {"renames", names(s.Renames)}} {
		for _, m := range l.members {
			switch {
			case m == "" || slices.Contains(vital[:], m):
				return fmt.Errorf("%s: the member %q cannot be changed", l.name, m)
			case seen[m] != "":
				return fmt.Errorf("%s: the member %s stands in %s too", l.name, m, seen[m])
			}
			seen[m] = l.name
		}
	}
	for m, to := range s.Renames {
		if to == "" || slices.Contains(vital[:], to) || seen[to] != "" {
			return fmt.Errorf("renames: %s cannot become %q", m, to)
		}
	}
	for _, v := range s.Values {
		if v.Member == "" || v.From == "" || slices.Contains(vital[:], v.Member) {
			return fmt.Errorf("values: the member %q cannot have its value %q changed", v.Member, v.From)
		}
	}
	for _, e := range s.Errors {
		if _, ok := e.class(); !ok || e.Says == "" || e.Says != strings.ToLower(e.Says) {
			return fmt.Errorf("errors: %q is %q: it says something in lower case, and is one of %s", e.Says, e.Code, strings.Join(classes(), ", "))
		}
	}
	if s.CallID < 0 || s.CallID > 64 {
		return fmt.Errorf("call_id: %d is no length of ids", s.CallID)
	}
	return s.Reasoning.check()
}

// names returns the keys of a map in order.
func names[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Takes reports whether the server takes a kind of content, by its name in the dialect.
func (s *Set) Takes(part string) bool {
	return len(s.Parts) == 0 || slices.Contains(s.Parts, part) || s.reshapes(part)
}

// Kinds of content that a server takes in place of OpenAI's.
const (
	partAudioText   = "audio_text"   // input_audio whose value is the data alone, as Mistral has it
	partDocumentURL = "document_url" // a file by its URL or data URL
)

// knows reports whether a text is the server's own word for one of OpenAI's.
func (s *Set) knows(member, text string) bool {
	return slices.ContainsFunc(s.Values, func(v Value) bool { return v.Member == member && v.To == text })
}

// Fetches reports whether a file may be named by its URL.
func (s *Set) Fetches() bool { return s.reshapes("file") }

// reshapes reports whether a kind of content of OpenAI's becomes another one.
func (s *Set) reshapes(part string) bool {
	switch part {
	case "input_audio":
		return slices.Contains(s.Parts, partAudioText)
	case "file":
		return slices.Contains(s.Parts, partDocumentURL)
	}
	return false
}

// AsksUsage reports whether usage comes in streams only when it is asked for.
func (s *Set) AsksUsage() bool { return s.Usage == "" || s.Usage == "asked" }
