// Package jsonarray cuts one JSON array, arriving in pieces that end anywhere, into its elements. It knows
// framing alone: whether an element is valid JSON is for the reader of it to find.
//
//	bytes ─ Parser.Feed ─► elements, one by one
package jsonarray

import "errors"

// DefaultMax is the largest element in bytes where Parser.Max is 0.
const DefaultMax = 1 << 20

// Errors of Feed, returned bare. The parser must not be used after one.
var (
	ErrTooLong  = errors.New("element of a JSON array over the size limit")
	ErrNotArray = errors.New("not a JSON array")
)

type place uint8

const (
	before  place = iota // the array has not begun
	between              // an element, a comma or the end is due
	within               // an element is under way
	after                // the array has ended
)

// Parser cuts an array into elements. The result does not depend on how the bytes were cut. The zero value is
// ready; it serves one array. An element that arrives whole is read in place; only an unfinished one is kept.
type Parser struct {
	Max int // largest element in bytes; 0: DefaultMax

	at      place
	depth   int
	quoted  bool
	escaped bool
	buf     []byte // the beginning of an unfinished element
}

// Whole reports whether the end of the array was seen.
func (p *Parser) Whole() bool { return p.at == after }

// Feed takes the next bytes and emits the elements that they complete, valid until emit returns. What follows
// the array is ignored. An error of emit ends the call and is returned bare. Feed does not keep chunk.
func (p *Parser) Feed(chunk []byte, emit func(element []byte) error) error {
	most := p.Max
	if most == 0 {
		most = DefaultMax
	}
	for i := 0; i < len(chunk); {
		switch p.at {
		case before:
			switch c := chunk[i]; {
			case c == '[':
				p.at = between
			case !space(c):
				return ErrNotArray
			}
			i++
		case between:
			switch c := chunk[i]; {
			case c == ']':
				p.at = after
				i++
			case space(c) || c == ',':
				i++
			default:
				p.at, p.depth, p.quoted, p.escaped = within, 0, false, false
			}
		case within:
			end, whole := p.end(chunk, i)
			if len(p.buf)+end-i > most {
				return ErrTooLong
			}
			if !whole {
				p.buf = append(p.buf, chunk[i:end]...)
				return nil
			}
			element := chunk[i:end]
			if len(p.buf) > 0 {
				p.buf = append(p.buf, element...)
				element = p.buf
			}
			p.at, p.buf, i = between, p.buf[:0], end
			if err := emit(element); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// end returns where the element that goes on at i ends in b, and whether it does.
func (p *Parser) end(b []byte, i int) (int, bool) {
	for ; i < len(b); i++ {
		c := b[i]
		switch {
		case p.escaped:
			p.escaped = false
		case p.quoted:
			p.escaped = c == '\\'
			if p.quoted = c != '"'; !p.quoted && p.depth == 0 {
				return i + 1, true
			}
		case c == '"':
			p.quoted = true
		case c == '{' || c == '[':
			p.depth++
		case c == '}' || c == ']':
			if p.depth == 0 {
				return i, true
			}
			if p.depth--; p.depth == 0 {
				return i + 1, true
			}
		case (c == ',' || space(c)) && p.depth == 0:
			return i, true
		}
	}
	return i, false
}

func space(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
