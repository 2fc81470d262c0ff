// Package sse reads and writes server-sent events (WHATWG HTML, section 9.2) as bytes that arrive cut
// anywhere. It knows framing and nothing of what the events mean.
//
//	bytes ─ Parser.Feed ─► Event (name, data, the frame's own bytes)
package sse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
)

// DefaultMax is the largest frame in bytes where Parser.Max is 0.
const DefaultMax = 1 << 20

// ErrTooLong is returned, bare, for a frame over the limit. The parser must not be used after it.
var ErrTooLong = errors.New("server-sent event over the size limit")

// Event is one frame. It and its slices are valid until emit returns.
type Event struct {
	Name    []byte // of the last event: line; empty: none
	Data    []byte // the data lines, joined by newlines
	Raw     []byte // every byte of the frame, with its blank line
	Comment bool   // a frame without data, which is no event: a comment, a lone event, id or retry, or only a blank line; Data is the last comment's text, nil without one
	Partial bool   // the stream ended before the frame's blank line: a client would drop the frame
}

// Parser cuts a stream into events. The result does not depend on how the bytes were cut, and all Raw
// together are the bytes that were fed. The zero value is ready; it serves one stream.
//
// A frame that arrives whole is read in place. Only an unfinished one is kept, and each of its bytes is
// looked at once until its end is known. A carriage return at the end of a chunk is no line end before the
// next byte shows that no line feed belongs to it.
type Parser struct {
	Max int // largest frame in bytes; 0: DefaultMax

	buf   []byte // an unfinished frame
	line  int    // where the last line of the unfinished frame begins
	at    int    // how far the unfinished frame was searched for line ends
	data  []byte // joined data lines
	begun bool   // the stream's first frame was read
	ev    Event  // lives here, so that no event is allocated
}

// Feed takes the next bytes and emits the frames that they complete. eof says that no more follow: what is
// left is emitted too. An error of emit ends the call and is returned bare; the parser must not be used
// after it. Feed does not keep chunk.
func (p *Parser) Feed(chunk []byte, eof bool, emit func(*Event) error) error {
	most := p.Max
	if most == 0 {
		most = DefaultMax
	}
	src := chunk
	kept := len(p.buf) > 0
	if kept {
		p.buf = append(p.buf, chunk...)
		src = p.buf
	}
	from := 0
	for {
		n := p.frame(src[from:], eof)
		if n == 0 {
			break
		}
		if n > most {
			return ErrTooLong
		}
		p.parse(src[from : from+n])
		from += n
		p.line, p.at = 0, 0
		if err := emit(&p.ev); err != nil {
			return err
		}
	}
	rest := src[from:]
	if len(rest) > most {
		return ErrTooLong
	}
	if eof && len(rest) > 0 {
		p.parse(rest)
		p.ev.Partial = true
		p.buf = p.buf[:0]
		return emit(&p.ev)
	}
	if !kept || from > 0 { // else buf is what is left, and moving it each time would cost its square
		p.buf = append(p.buf[:0], rest...)
	}
	return nil
}

// frame returns the length of the first complete frame of b, or 0. It resumes where it stopped.
func (p *Parser) frame(b []byte, eof bool) int {
	for {
		end := lineEnd(b, p.at)
		if end == len(b) {
			p.at = end
			return 0
		}
		next := end + 1
		if b[end] == '\r' {
			if next == len(b) && !eof {
				p.at = end
				return 0
			}
			if next < len(b) && b[next] == '\n' {
				next++
			}
		}
		blank := end == p.line
		p.line, p.at = next, next
		if blank {
			return next
		}
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// lineEnd returns the offset of the first line feed or carriage return from i on, or len(b).
func lineEnd(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		n, r := w^(ones*'\n'), w^(ones*'\r')
		if found := ((n-ones)&^n | (r-ones)&^r) & highs; found != 0 { // its lowest bit is exact
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' {
			return i
		}
	}
	return i
}

const bom = "\xef\xbb\xbf"

// parse reads the lines of a frame into p.ev.
func (p *Parser) parse(frame []byte) {
	ev := Event{Raw: frame}
	b := frame
	if !p.begun {
		p.begun = true
		b = bytes.TrimPrefix(b, []byte(bom))
	}
	var comment []byte
	lines := 0
	for len(b) > 0 {
		end := lineEnd(b, 0)
		line := b[:end]
		b = b[min(end+1, len(b)):] // of CR LF, an empty line is left, which says nothing
		if end == 0 {
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if len(value) > 0 && value[0] == ' ' {
			value = value[1:]
		}
		switch string(name) {
		case "data":
			switch lines++; lines {
			case 1:
				ev.Data = value
			case 2:
				p.data = append(append(append(p.data[:0], ev.Data...), '\n'), value...)
			default:
				p.data = append(append(p.data, '\n'), value...)
			}
		case "event":
			ev.Name = value
		case "":
			comment = value
		}
	}
	switch {
	case lines == 0:
		ev.Comment, ev.Name, ev.Data = true, nil, comment
	case lines > 1:
		ev.Data = p.data
	}
	p.ev = ev
}

// AppendEvent appends an event. name is left out when empty. Neither may hold a line end, and clients fail
// on empty data.
func AppendEvent(dst []byte, name string, data []byte) []byte {
	if name != "" {
		dst = append(append(append(dst, "event: "...), name...), '\n')
	}
	dst = append(append(dst, "data: "...), data...)
	return append(dst, "\n\n"...)
}

// AppendComment appends a comment, which clients ignore. text may not hold a line end.
func AppendComment(dst []byte, text string) []byte {
	return append(append(append(dst, ": "...), text...), "\n\n"...)
}
