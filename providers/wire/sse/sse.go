// Package sse reads and writes server-sent events (WHATWG HTML, section 9.2) as bytes that arrive cut
// anywhere. It knows framing and nothing of what the events mean.
//
//	bytes ─ Parser.Feed ─► Event (name, data, the frame's own bytes)
package sse

import (
	"bytes"
	"errors"
)

// DefaultMax is the largest frame in bytes where Parser.Max is 0.
const DefaultMax = 1 << 20

// ErrTooLong is returned for a frame over the limit. The parser must not be used after it.
var ErrTooLong = errors.New("server-sent event over the size limit")

// Event is one frame. Its slices are valid until emit returns.
type Event struct {
	Name    []byte // of the event: line; empty: none
	Data    []byte // the data lines, joined by newlines
	Raw     []byte // every byte of the frame, with its blank line
	Comment bool   // a frame without data: a comment, a lone id or retry, or only blank lines; Data is the comment's text
	Partial bool   // the stream ended before the frame's blank line
}

// Parser cuts a stream into events. The result does not depend on how the bytes were cut, and all Raw
// together are the bytes that were fed. The zero value is ready; it serves one stream.
type Parser struct {
	Max int // largest frame in bytes; 0: DefaultMax

	buf     []byte // an unfinished frame
	scanned int    // bytes of buf up to which lines are known; the start of the last line
	at      int    // bytes of buf that were looked at for a line end
	data    []byte // joined data lines
	begun   bool   // the stream's first byte was seen
}

// Feed takes the next bytes and emits the frames that they complete. eof says that no more follow: what is
// left is emitted too. An error of emit ends the call and is returned.
func (p *Parser) Feed(chunk []byte, eof bool, emit func(*Event) error) error {
	most := p.Max
	if most == 0 {
		most = DefaultMax
	}
	src := chunk
	if len(p.buf) > 0 {
		p.buf = append(p.buf, chunk...)
		src = p.buf
	}
	from := 0
	for {
		end := p.frame(src[from:], eof)
		if end == 0 {
			break
		}
		if end > most {
			return ErrTooLong
		}
		ev := p.parse(src[from : from+end])
		from += end
		p.scanned, p.at = 0, 0
		if err := emit(&ev); err != nil {
			return err
		}
	}
	rest := src[from:]
	if len(rest) > most {
		return ErrTooLong
	}
	if eof && len(rest) > 0 {
		ev := p.parse(rest)
		ev.Partial = true
		p.buf = p.buf[:0]
		return emit(&ev)
	}
	if len(p.buf) > 0 {
		p.buf = p.buf[:copy(p.buf, rest)]
	} else {
		p.buf = append(p.buf[:0], rest...)
	}
	return nil
}

// frame returns the length of the first complete frame of b, or 0. It resumes where it stopped.
func (p *Parser) frame(b []byte, eof bool) int {
	for {
		i := bytes.IndexAny(b[p.at:], "\r\n")
		if i < 0 {
			p.at = len(b)
			return 0
		}
		end := p.at + i
		next := end + 1
		if b[end] == '\r' {
			if next == len(b) && !eof { // a line feed may follow in the next chunk
				p.at = end
				return 0
			}
			if next < len(b) && b[next] == '\n' {
				next++
			}
		}
		blank := end == p.scanned
		p.scanned, p.at = next, next
		if blank {
			return next
		}
	}
}

var bom = []byte("\xef\xbb\xbf")

// parse reads the lines of a frame.
func (p *Parser) parse(frame []byte) Event {
	ev := Event{Raw: frame}
	b := frame
	if !p.begun {
		p.begun = true
		b = bytes.TrimPrefix(b, bom)
	}
	var comment []byte
	lines := 0
	joined := false
	for len(b) > 0 {
		line := b
		if i := bytes.IndexAny(b, "\r\n"); i >= 0 {
			line = b[:i]
			if b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n' {
				i++
			}
			b = b[i+1:]
		} else {
			b = nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if len(value) > 0 && value[0] == ' ' {
			value = value[1:]
		}
		switch string(name) {
		case "data":
			if lines++; lines == 1 {
				ev.Data = value
				break
			}
			if !joined {
				p.data, joined = append(p.data[:0], ev.Data...), true
			}
			p.data = append(append(p.data, '\n'), value...)
		case "event":
			ev.Name = value
		case "":
			if len(line) > 0 {
				comment = value
			}
		}
	}
	if joined {
		ev.Data = p.data
	}
	if lines == 0 {
		ev.Comment, ev.Data = true, comment
	}
	return ev
}

// AppendEvent appends an event. name is left out when empty; neither may hold a line end.
func AppendEvent(dst []byte, name string, data []byte) []byte {
	if name != "" {
		dst = append(append(append(dst, "event: "...), name...), '\n')
	}
	dst = append(append(dst, "data: "...), data...)
	return append(dst, "\n\n"...)
}

// AppendComment appends a comment, which clients ignore.
func AppendComment(dst []byte, text string) []byte {
	return append(append(append(dst, ": "...), text...), "\n\n"...)
}
