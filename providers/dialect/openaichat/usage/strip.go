package usage

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// NewStrip makes a filter that takes the usage frame out of a stream.
func NewStrip() *Strip { return new(Strip) }

// Strip passes every byte but those of a frame whose choices are empty and that has usage.
type Strip struct {
	held  []byte // an unfinished frame
	seen  int    // bytes of held that were looked at for its end
	flows bool   // the frame at hand is too large to be held: its rest passes as it comes
	usage llm.Usage
	whole bool // an end was seen: a finish reason, an error or [DONE]
}

// maxHeld is the largest frame that is held back. A usage frame is far smaller.
const maxHeld = 64 << 10

// Usage returns what the stream said of usage.
func (s *Strip) Usage() llm.Usage { return s.usage }

// Whole implements dialect.Strip.
func (s *Strip) Whole() bool { return s.whole }

// ends reports whether a frame says how the stream ended. Inside a string its quotes would be escaped.
func ends(frame []byte) bool {
	if bytes.Contains(frame, []byte("[DONE]")) || bytes.Contains(frame, []byte(`"error"`)) || bytes.Contains(frame, []byte(`"finish_details"`)) {
		return true
	}
	_, rest, found := bytes.Cut(frame, []byte(`"finish_reason"`))
	rest = bytes.TrimLeft(rest, " \t:")
	return found && len(rest) > 1 && rest[0] == '"' && rest[1] != '"'
}

// Feed appends to dst what the client gets of chunk.
func (s *Strip) Feed(dst, chunk []byte, eof bool) []byte {
	src := chunk
	if len(s.held) > 0 {
		s.held = append(s.held, chunk...)
		src = s.held
	}
	for {
		n := s.frame(src, eof)
		if n == 0 {
			break
		}
		if s.flows || !s.drop(src[:n]) {
			dst = append(dst, src[:n]...)
		}
		s.flows, s.seen = false, 0
		src = src[n:]
	}
	switch {
	case eof:
		if len(src) > 0 && (s.flows || !s.drop(src)) {
			dst = append(dst, src...)
		}
		s.held, s.seen = s.held[:0], 0
		return dst
	case len(src) > maxHeld || s.flows && len(src) > 4:
		// Its last bytes stay: they may begin the blank line that ends it.
		n := len(src) - 4
		dst = append(dst, src[:n]...)
		src, s.seen, s.flows = src[n:], 0, true
	}
	s.held = append(s.held[:0], src...)
	return dst
}

// frame returns the length of the first frame of b with its blank line, or 0.
func (s *Strip) frame(b []byte, eof bool) int {
	for i := s.seen; i < len(b); {
		j := bytes.IndexAny(b[i:], "\r\n")
		if j < 0 {
			s.seen = max(0, len(b)-1)
			return 0
		}
		i += j
		end := i + lineEnd(b[i:])
		if end >= len(b) || b[i] == '\r' && end == i+1 && end >= len(b) {
			s.seen = i
			return 0
		}
		if next := lineEnd(b[end:]); next > 0 {
			if b[end] == '\r' && end+1 == len(b) && !eof { // a line feed may follow
				s.seen = i
				return 0
			}
			return end + next
		}
		i = end
	}
	return 0
}

// lineEnd is the length of the line end at the start of b, or 0.
func lineEnd(b []byte) int {
	switch {
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return 2
	case len(b) > 0 && (b[0] == '\r' || b[0] == '\n'):
		return 1
	}
	return 0
}

// drop reports whether a frame is the usage frame. It takes note of usage wherever it stands.
func (s *Strip) drop(frame []byte) bool {
	s.whole = s.whole || ends(frame)
	_, after, ok := bytes.Cut(frame, []byte(`"usage"`))
	if !ok {
		return false
	}
	rest := bytes.TrimLeft(after, " \t:")
	if len(rest) == 0 || rest[0] != '{' && !bytes.Contains(rest, []byte(`"usage"`)) {
		return false // null, as in every frame but one
	}
	_, after0, ok0 := bytes.Cut(frame, []byte("data:"))
	if !ok0 {
		return false
	}
	data, _, _ := bytes.Cut(after0, []byte("\n"))
	data = bytes.TrimSpace(data)
	var f struct{ choices, usage []byte }
	for n, v := range jsonx.Members(data) {
		switch string(n) {
		case "choices":
			f.choices = v
		case "usage":
			f.usage = v
		}
	}
	if jsonx.Kind(f.usage) != '{' {
		return false
	}
	s.usage.Merge(Of(data, f.usage))
	if jsonx.Kind(f.choices) != '[' {
		return false
	}
	for range jsonx.Elements(f.choices) {
		return false
	}
	return true
}

// Ask is the edit that turns stream_options.include_usage on.
func Ask(doc *jsonx.Doc) (jsonx.Edit, error) {
	const on = `{"include_usage":true}`
	for i := range doc.Members {
		m := &doc.Members[i]
		if m.Name != "stream_options" {
			continue
		}
		raw := doc.Body[m.Start:m.End]
		if jsonx.Kind(raw) != '{' {
			break
		}
		inner, err := jsonx.Scan(raw)
		if err != nil {
			return jsonx.Edit{}, err
		}
		edit := inner.Set("include_usage", []byte("true"))
		edit.Start += m.Start
		edit.End += m.Start
		return edit, nil
	}
	return doc.Set("stream_options", []byte(on)), nil
}
