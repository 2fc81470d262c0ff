// Package tagging is what exchanges are marked with so that they are found again: tags, which it reads from what requests
// bring, and whether they are traced. A tag is a short text by a name that the configuration says; nothing else of a
// request becomes one. It sends nothing and makes no spans.
package tagging

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Longest is how many bytes of a value are kept.
const Longest = 128

// Marks say how exchanges are marked.
type Marks struct {
	Tags  *Rules   // nil: exchanges have none
	Trace *Tracing // nil: exchanges are not traced
}

// Tracing says how exchanges are traced.
type Tracing struct {
	Follow bool            // a client's traceparent decides whether its exchange is
	Sample func() bool     // whether one is that nobody else decides about
	Toward map[string]bool // providers that get a traceparent
	Say    bool            // spans hold what was said
}

// Rules say where tags come from. They do not change.
type Rules struct {
	headers  []source
	metadata []string
}

// source is a tag and its header.
type source struct{ tag, header string }

// New makes rules: tags by the headers that they come from, and members of the body's metadata by name. It returns nil
// where nothing becomes a tag.
func New(headers map[string]string, metadata []string) *Rules {
	if len(headers) == 0 && len(metadata) == 0 {
		return nil
	}
	r := &Rules{metadata: slices.Clone(metadata)}
	for tag, header := range headers {
		r.headers = append(r.headers, source{tag, strings.ToLower(header)})
	}
	return r
}

// Read returns the tags of a request, nil where it has none. doc is its body, nil where that is no JSON; own are the tags
// of its key, which go before what it says itself. What it returns aliases neither header nor body.
func (r *Rules) Read(header func(name string) string, d dialect.Name, doc *jsonx.Doc, own map[string]string) map[string]string {
	if r == nil {
		return own
	}
	tags := r.read(header, d, doc)
	if tags == nil {
		return own
	}
	maps.Copy(tags, own)
	return tags
}

func (r *Rules) read(header func(name string) string, d dialect.Name, doc *jsonx.Doc) map[string]string {
	var tags map[string]string
	set := func(name, value string) {
		if value = clean(value); value == "" {
			return
		}
		if tags == nil {
			tags = map[string]string{}
		}
		tags[name] = value
	}
	if doc != nil && len(r.metadata) > 0 {
		raw, _ := doc.Get(d.Metadata())
		for name, value := range jsonx.Members(raw) {
			if i := slices.Index(r.metadata, string(name)); i >= 0 {
				if text, ok := jsonx.String(value); ok {
					set(r.metadata[i], text)
				}
			}
		}
	}
	for _, s := range r.headers {
		set(s.tag, header(s.header))
	}
	return tags
}

// clean makes a value fit for logs, labels and databases: at most Longest bytes of UTF-8 without control characters.
func clean(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > Longest {
		cut := Longest
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	s = strings.ToValidUTF8(s, "?")
	return strings.Clone(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s))
}
